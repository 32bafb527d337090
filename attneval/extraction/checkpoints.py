"""From checkpoints to an attention export: maps of the matched pairs, scores of all pairs, and where they come from."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import ConfigError, DataError
from attneval.export.checks import check_boxes
from attneval.export.problems import FileProblems
from attneval.export.write.writer import ExportWriter
from attneval.extraction.perturbed_pairs import REMOVED, PerturbedPairs
from attneval.extraction.removals import check_steps, described
from attneval.training.data.captions import EncodedCaptions
from attneval.training.models.similarity import CaptionMap, MatchedMaps, mean_maps, similarity_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.extraction.trained import Trained
    from attneval.groundtruth import Source
    from attneval.training.data.precomputed import Split

PREPROCESS = "captions in lower case, split as nltk does, between <start> and <end>; precomputed region features"
SCORE = "similarity of the caption and its own image"
SEVERAL = " + "
"""Between the names, files and digests of models that are averaged."""


def export_models(
    models: Sequence[Trained],
    split: Split,
    path: Path,
    *,
    maps: bool = True,
    similarity: bool = True,
    perturb: int | None = None,
    gt: Source | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write what models do on a split; several are averaged, as SGRAF averages SGR and SAF.

    Maps are written as they are computed; the similarity matrix is held in memory.

    Args:
        models: At least one.
        split: Images and captions.
        path: The `.npz` to write, whole or not at all.
        maps: Write the attention of captions and their own images.
        similarity: Write the scores of all images and captions.
        perturb: Also remove the regions of each caption's image in so many steps, and write what its score became.
        gt: Annotations: regions are then removed in the order of the mean map of a caption's annotated words, else of
            all its words.
        on_progress: Called with how much of how much is done.

    Raises:
        DataError: The models do not fit the data or each other, or captions are not annotated.
        ExportError: The file cannot be written.
        ConfigError: There is nothing to export, or nothing to remove regions by.
    """
    if not maps and not similarity:
        raise ConfigError("without maps and without similarity there is nothing to export")
    if perturb is not None and not maps:
        raise ConfigError("regions are removed in the order of the maps", hint="leave --no-maps or --perturb out")
    if maps and len({one.directions for one in models}) > 1:
        have = ", ".join(f"{one.about['checkpoint']} has {' and '.join(one.directions)}" for one in models)
        raise DataError(
            f"maps of different directions cannot be averaged: {have}",
            hint="average the scores alone with --no-maps, or export one by one",
        )
    captions = [EncodedCaptions.from_texts(split.captions, one.vocabulary) for one in models]
    count, rounds = len(split.captions), maps + similarity * len(models)

    def advance(finished: int, done: int) -> None:
        if on_progress is not None:
            on_progress(finished * count + done, rounds * count)

    def scores() -> NDArray[np.float32]:
        total = np.zeros((split.images, count), np.float32)
        for finished, (one, words) in enumerate(zip(models, captions, strict=True), int(maps)):
            total += similarity_matrix(one.model, split, words, on_progress=partial(advance, finished))
        total /= len(models)
        return total

    about, curves = _about(models), None
    if perturb is not None:
        about["perturbed"] = described(check_steps(perturb), annotated=gt is not None, removed=REMOVED, score=SCORE)
        names = [_image_ids(split)[image] for image in split.caption_image.tolist()]
        bare = [one.model for one in models]
        numbers = caption_numbers(split.caption_image)
        curves = PerturbedPairs.of_captions(bare, split, captions, perturb, names=names, numbers=numbers, gt=gt).curves
    every = [MatchedMaps(one.model, split, words) for one, words in zip(models, captions, strict=True)]
    write_export(
        path,
        split,
        _counted(mean_maps(*every), partial(advance, 0)) if maps else None,
        scores if similarity else None,
        directions=models[0].directions,
        about=about,
        curves=curves,
    )


def write_export(
    path: Path,
    split: Split,
    maps: Iterable[CaptionMap] | None,
    similarity: Callable[[], NDArray[np.float32]] | None = None,
    *,
    directions: Sequence[str],
    about: dict[str, Any],
    curves: Callable[[CaptionMap], dict[str, NDArray[np.float32]]] | None = None,
) -> None:
    """Write maps of a split's captions, in their order, and scores.

    A model that only has region-to-word attention has its map written as `attention`, normalised over tokens.

    Args:
        path: The `.npz` to write, whole or not at all.
        split: Images and captions.
        maps: One for each caption, or None.
        similarity: Computes the [I, N] scores, or None. It is called last: what it takes longest to compute is not lost
            to a folder that cannot be written or to images without boxes.
        directions: `t2i`, `i2t` or both: what the maps have.
        about: What else the header says.
        curves: Makes the scores of perturbed images of a caption, or None.

    Raises:
        DataError: The split has no image ids, maps have no boxes to stand on, or boxes lie outside their images.
        ExportError: The file cannot be written.
    """
    image_ids = _image_ids(split)
    boxes, sizes = _regions(split, image_ids, needed=maps is not None)
    both = set(directions) == {"t2i", "i2t"}
    over = "regions" if "t2i" in directions else "tokens"
    with ExportWriter(path, normalised_over=over, **about) as out:
        out.add_images(image_ids, size=sizes, boxes=boxes)
        numbers = caption_numbers(split.caption_image)
        names = [image_ids[image] for image in split.caption_image.tolist()]
        if maps is None:
            out.add_captions(names, None, indices=numbers, texts=split.captions)
        else:
            for each in maps:
                at = each.caption
                out.add_caption(
                    names[at],
                    each.i2t if each.t2i is None else each.t2i,
                    index=numbers[at],
                    text=split.captions[at],
                    tokens=each.tokens,
                    attention_i2t=each.i2t if both else None,
                    perturbed=None if curves is None else curves(each),
                )
        if similarity is not None:
            out.set_similarity(similarity())


def _image_ids(split: Split) -> Sequence[str]:
    if split.image_ids is None:
        raise DataError(f"{split.source}: has no image ids", hint="put them into {split}_ids.txt, one a line")
    return split.image_ids


def even_maps(split: Split, captions: EncodedCaptions) -> Iterator[CaptionMap]:
    """Maps in which each token attends to all regions alike, for what depends on tokens and regions alone."""
    for caption, (tokens, image) in enumerate(zip(captions.tokens, split.caption_image.tolist(), strict=True)):
        regions = len(split.regions.features(split.rows[image : image + 1])[0])
        yield CaptionMap(caption, tokens, np.full((len(tokens), regions), 1 / regions, np.float32), None)


def _regions(
    split: Split, image_ids: Sequence[str], *, needed: bool
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64] | None]:
    """The boxes of all images, none where they are not known, and their sizes if they are.

    They are held against each other as by whoever reads the export: no map is computed for one that is refused.
    """
    boxes, sizes = [], []
    for image_id, row in zip(image_ids, split.rows.tolist(), strict=True):
        image_boxes = split.regions.boxes(row)
        if image_boxes is None and needed:
            raise DataError(
                f"{split.source}: image {image_id} has no boxes, and maps need them",
                hint="give {split}_boxes.npy in pixels or --bottom-up, or leave the maps out with --no-maps",
            )
        boxes.append(np.zeros((0, 4), np.float32) if image_boxes is None else image_boxes)
        sizes.append(split.regions.size(row))
    size = None if None in sizes else np.array(sizes, np.int64)
    report, flat = FileProblems(Path(split.regions.boxes_file)), np.concatenate(boxes).astype(np.float64)
    offset = offsets_of(np.array([len(image_boxes) for image_boxes in boxes]))
    check_boxes(report, list(image_ids), offset, flat, size, member="region_box")
    report.stop_if_broken()
    return boxes, size


def caption_numbers(caption_image: NDArray[np.int64]) -> list[int]:
    """Number each of N captions among those of its image, from 0.

    Args:
        caption_image: i8[N], the image of each caption.
    """
    seen: Counter[int] = Counter()
    numbers = []
    for image in caption_image.tolist():
        numbers.append(seen[image])
        seen[image] += 1
    return numbers


def _about(models: Sequence[Trained]) -> dict[str, Any]:
    """The header's keys; what the models differ in is named one by one."""
    about: dict[str, Any] = {}
    for key in ("model", "checkpoint", "checkpoint_sha256", "constraints"):
        values = [str(trained.about[key]) for trained in models]
        same = key == "constraints" and len(set(values)) == 1
        about[key] = values[0] if same else SEVERAL.join(values)
    about["epoch"] = SEVERAL.join(str(trained.about["epoch"]) for trained in models)
    about["aggregation"] = "none" if len(models) == 1 else f"mean of the maps and scores of {len(models)} models"
    about["preprocess"] = PREPROCESS
    about["training"] = [trained.about.get("training") for trained in models]
    return about


def _counted(maps: Iterable[CaptionMap], on_progress: Callable[[int], None]) -> Iterable[CaptionMap]:
    """The same maps; reports how many are done."""
    for done, each in enumerate(maps, 1):
        yield each
        on_progress(done)
