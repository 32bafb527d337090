"""The export of a whole data set: sizes first, then shards of whole images, then one file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attneval.errors import AttnevalError, ProtocolError
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.check import check as run_check
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.header import header_of
from attneval.extraction.transformers.loops import evaluating
from attneval.extraction.transformers.pairs import Pair, Pairs
from attneval.extraction.transformers.perturb import Perturbation
from attneval.extraction.transformers.plan import LIMIT, Plan, bytes_text
from attneval.extraction.transformers.regions import Grid
from attneval.extraction.transformers.shards import Shards, maps_of, refuse, skipped_of, write_shard

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from PIL.Image import Image

    from attneval.extraction.transformers.families.base import Adapter, CaptionMap
    from attneval.extraction.transformers.regions import Regions


@dataclass(frozen=True)
class Exported:
    """The outcome of an export.

    Attributes:
        path: The file; None after a dry run.
        plan: What was said before.
        skipped: Images and captions that were left out, and why.
        resumed: How many shards were there already.
        check: What the self-check found; empty without it.
    """

    path: Path | None
    plan: Plan
    skipped: tuple[str, ...] = ()
    resumed: int = 0
    check: dict[str, Any] = field(default_factory=dict)


def export(
    model: Any,
    processor: Any,
    pairs: Pairs | Iterable[Pair],
    path: str | os.PathLike[str],
    *,
    prompt: str | None = None,
    rows: str = "token",
    layers: str | Iterable[int] = "all",
    heads: str | Iterable[Sequence[int]] = "mean",
    over_layers: str = "none",
    weights: str | None = None,
    boxes: Any = None,
    adapter: Any = None,
    batch_size: int = 8,
    perturb: int | None = None,
    shard_images: int = 50,
    errors: str = "stop",
    check: bool = True,
    limit: int | None = LIMIT,
    dry_run: bool = False,
    about: dict[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write what a model attends to in captions of images as one attention export.

    Whole images are written in shards to a folder beside the target and put together in the end. The same call again
    takes up where the last one stopped.

    Args:
        model: A model of transformers, on its device and in its dtype.
        processor: Its processor.
        pairs: Images and captions, as `hf.pairs` finds them.
        path: The `.npz` to write, whole or not at all.
        prompt: Text with `{caption}` in it, or a chat model's instruction; by default the family's own.
        rows: `token`, the row of the token itself, or `predict`, the row that predicts it.
        layers: `all`, numbers, or text such as `8-24`.
        heads: `mean`, `max`, `all`, or (layer, head) of each.
        over_layers: `mean` for one map over all layers.
        weights: `attention`, `similarity`, `detector` or `gradcam`; the family's own by default.
        boxes: Region boxes and features by image id, for models that are given regions.
        adapter: A class, an instance or `module:Class`; looked for by default.
        batch_size: Captions of an image that the model sees at a time.
        perturb: Also remove the cells of each caption's image in so many steps, and write what its score became.
        shard_images: Images of a shard.
        errors: `stop` at what cannot be exported, or `skip` it and list it.
        check: Run the self-check on the first image.
        limit: Bytes of weights from which on nothing is done; None for no limit.
        dry_run: Stop when sizes have been said.
        about: What else the header says.
        say: Called with each line of what is to be known before and after.
        tell: Called with how many captions of how many are done.

    Returns:
        The file and what is to be known of it.

    Raises:
        AttnevalError: Nothing serves the model, the self-check fails, an image or caption cannot be exported, shards of
            another export lie there, or more than `limit` is to be written.
    """
    target = Path(path)
    if errors not in {"stop", "skip"}:
        raise AttnevalError(f"errors {errors!r} does not exist", hint="use stop or skip")
    if batch_size < 1 or shard_images < 1:
        raise AttnevalError(f"batch_size is {batch_size} and shard_images is {shard_images}, both are at least 1")
    skip, speak = errors == "skip", say or _silent
    choices = Choices.checked(
        prompt=prompt, rows=rows, layers=layers, heads=heads, over_layers=over_layers, weights=weights
    )
    serving, reason = choose_adapter(model, processor, choices, adapter=adapter, boxes=boxes)
    removing = None if perturb is None else Perturbation.checked(serving, perturb, batch_size)
    given = pairs if isinstance(pairs, Pairs) else Pairs(pairs)
    if serving.asks_phrases:
        serving.phrases = given.phrases()
    with evaluating(model):
        items, sizes, skipped = _usable(given, serving, skip=skip)
        first, image, maps = _first_of(serving, items, batch_size, skip=skip)
        plan = Plan.from_first(serving, reason, items, first, maps)
        for line in (*plan.lines(), *([] if removing is None else [removing.line()])):
            speak(line)
        if dry_run:
            return Exported(None, plan, tuple(skipped))
        if limit is not None and plan.size > limit:
            raise AttnevalError(
                f"about {bytes_text(plan.size)} of weights are to come, the limit is {bytes_text(limit)}",
                hint="take fewer layers or heads (--heads mean, --over-layers mean), or confirm with --yes",
            )
        checked = _self_check(serving, image, first, speak) if check else {}
        described = {**header_of(serving, reason), **(about or {})}
        if removing is not None:
            described |= removing.about(items)
        # Shards need not have these in common: the check's last digits may differ, and the captions are compared.
        header = {**described, "captions_from": given.source, "self_check": checked or "not run"}
        as_grid = _all_grids(serving, items, sizes, maps[0].regions)
        shards = Shards(target, items, shard_images)
        asked = {"phrases": [pair.phrases for pair in items]} if serving.asks_phrases else {}
        shards.claim({"header": described, "grid": as_grid, **asked})
        resumed = 0
        total = sum(len(pair.captions) for pair in items)
        done = 0

        def finished(pair: Pair) -> None:
            nonlocal done
            done += len(pair.captions)
            if tell is not None:
                tell(done, total)

        for place, chosen in shards:
            before = skipped_of(place)
            if before is not None:
                resumed += 1
                skipped += before
                for pair in chosen:
                    finished(pair)
                continue
            skipped += write_shard(
                place,
                serving,
                chosen,
                header,
                batch_size=batch_size,
                as_grid=as_grid,
                skip=skip,
                done=finished,
                perturbation=removing,
            )
        if resumed:
            speak(f"{resumed} of {len(shards)} shards were there already")
        for warning in shards.pack():
            speak(f"warning: {warning}")
    return Exported(target, plan, tuple(skipped), resumed, checked)


def _silent(_line: str) -> None:
    """Say nothing."""


def _usable(given: Pairs, adapter: Adapter, *, skip: bool) -> tuple[list[Pair], dict[str, tuple[int, int]], list[str]]:
    """Look at every image's size and every caption's length before anything is computed.

    Returns:
        The images that can be used, their sizes, and what was left out and why.
    """
    items: list[Pair] = []
    sizes: dict[str, tuple[int, int]] = {}
    wrong: list[AttnevalError] = []
    for pair in given:
        if bad := _refusal(pair.measure) or _refusal(adapter.check_image, pair.image_id):
            wrong.append(bad)
            continue
        captions = list(pair.captions)
        if _refusal(adapter.check_captions, [text for _, text in captions]):
            tried = [(one, _refusal(adapter.check_captions, [one[1]])) for one in captions]
            captions = [one for one, bad in tried if bad is None]
            wrong += [
                AttnevalError(f"{pair.image_id}#{one[0]}: {bad.message}", hint=bad.hint)
                for one, bad in tried
                if bad is not None
            ]
        if captions:
            sizes[pair.image_id] = pair.measure()
            items.append(replace(pair, captions=tuple(captions)))
    if not skip:
        refuse(wrong)
    if not items:
        raise AttnevalError("no image is left to export", hint="leave out --errors skip to see why")
    return items, sizes, [str(error) for error in wrong]


def _refusal(attempt: Callable[..., object], *given: Any) -> AttnevalError | None:
    """Return what is refused, None if nothing is."""
    try:
        attempt(*given)
    except AttnevalError as error:
        return error
    return None


def _first_of(
    adapter: Adapter, items: Sequence[Pair], batch_size: int, *, skip: bool
) -> tuple[Pair, Image, list[CaptionMap]]:
    """Run the first image that can be run."""
    for pair in items:
        try:
            image = pair.open()
            maps, wrong = maps_of(adapter, pair, image, batch_size)
        except ProtocolError:
            raise
        except AttnevalError as error:
            maps, wrong = [], [error]
        if not skip:
            refuse(wrong)
        if not maps:
            continue
        made = [one for _, _, one in maps]
        if all(one.mass is not None and not one.mass.any() for one in made):
            raise AttnevalError(
                f"image {pair.image_id}: no token of its captions attends to the image at all",
                hint="in a causal model the caption must stand after the image in the prompt",
            )
        return pair, image, made
    raise AttnevalError("no image can be exported", hint="leave out --errors skip to see why")


def _all_grids(adapter: Adapter, items: Sequence[Pair], sizes: dict[str, tuple[int, int]], first: Regions) -> bool:
    """Tell if every image has one grid of cells, by the images whose size is extreme in some way."""
    if not isinstance(first, Grid):
        return False
    by_size = {sizes[pair.image_id]: pair for pair in reversed(items)}
    measures: tuple[Callable[[tuple[int, int]], float], ...] = (
        lambda size: size[0],
        lambda size: size[1],
        lambda size: size[0] * size[1],
        lambda size: size[0] / size[1],
    )
    extreme = {choose(by_size, key=key) for key in measures for choose in (min, max)}
    for size in sorted(extreme):
        pair = by_size[size]
        image = pair.open()
        inputs = adapter.prepare(image, [pair.captions[0][1]], pair.image_id).inputs
        if not isinstance(adapter.regions(image, inputs), Grid):
            return False
    return True


def _self_check(adapter: Adapter, image: Image, pair: Pair, speak: Callable[[str], None]) -> dict[str, Any]:
    """Run the self-check on one image and its first caption."""
    outcome = run_check(
        adapter.model,
        adapter.processor,
        image,
        pair.captions[0][1],
        adapter=adapter,
        choices=adapter.choices,
        boxes=adapter.boxes,
        image_id=pair.image_id,
    )
    for line in str(outcome).splitlines():
        speak(f"self-check of {pair.image_id}: {line}")
    return {"image": pair.image_id, **outcome.as_dict()}
