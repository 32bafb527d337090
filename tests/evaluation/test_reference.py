"""The package says what the reference says: on random worlds, on the fixtures, on real data."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import box_reference
import numpy as np
import pytest
import reference
import reference_inputs
import retrieval_reference
import word_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import THRESHOLDS, UNASKED, Phrase, Scene, Shown, World, cases, make_world, scored, scored_if_any

from attneval import Options, Protocol, Result, score
from attneval.errors import NothingToScoreError
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.registry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.results.scores import Measured, Scores

# Without an index of annotations beside the user's other caches.
QUICK = Options(resamples=0, cache=False)


def assert_same(table: Mapping[str, Measured], expected: reference.Values, place: str) -> None:
    for name, value in expected.items():
        if name in table:
            found = table[name].value
            assert (found is None) == (value is None), (place, name, found, value)
            assert found == value or found == pytest.approx(value, abs=1e-9, rel=0), (place, name, found, value)


def assert_scores(scores: Scores, expected: reference.Scored) -> None:
    """Every metric of attention, its floors, its breakdown, and what they are means over."""
    names = {metric.name for metric in metrics(*ATTENTION)} - UNASKED - {"best_f1"}
    assert names - set(expected.values) <= {"specificity"}
    assert_same(scores.metrics, expected.values, "metrics")
    assert scores.metrics["coverage"].n == expected.items
    assert scores.metrics["f1"].n == expected.scored
    assert set(scores.baselines) == {*expected.baselines, "oracle"}
    comparable = {m.name for m in metrics(*ATTENTION) if m.baseline and m.name in scores.metrics}
    assert comparable >= {m.name for m in metrics(*ATTENTION) if m.baseline} - UNASKED
    for base, table in expected.baselines.items():
        own = scores.baselines[base]
        assert set(own) == comparable - (set(reference.LIFTS) if base == "shuffled" else set())
        assert_same(own, table, base)
    assert_gaps(scores, expected)
    for kind, groups in expected.by.items():
        # A group may be there of which nothing is scored.
        assert set(groups) == {name for name, table in scores.by[kind].items() if table["coverage"].n}
        for group, table in groups.items():
            assert_same(scores.by[kind][group], table, f"{kind} {group}")
            assert scores.by_images[kind][group] >= expected.images_by[kind][group], (kind, group)
            for floor, of_floor in expected.floors_by[kind][group].items():
                own = scores.by_baselines[kind][group][floor]
                assert set(own) == set(reference.FLOORED)
                assert_same(own, of_floor, f"{floor} of {kind} {group}")


def assert_gaps(scores: Scores, expected: reference.Scored) -> None:
    """The difference to the highest floor; of equally high ones any may be named."""
    for name, by_floor in expected.gaps.items():
        gap = scores.metrics[name].above_floor
        heights = {floor: table[name] for floor, table in expected.baselines.items()}
        known = {floor: height for floor, height in heights.items() if height is not None}
        if not known or expected.values[name] is None:
            assert gap is None, name
            continue
        assert gap is not None, name
        assert known[gap.floor] >= max(known.values()) - 1e-9, (name, gap, known)
        assert gap.difference == pytest.approx(by_floor[gap.floor], abs=1e-9, rel=0), (name, gap.floor)


def assert_curve(
    scores: Scores, truth: reference_inputs.Truth, export: reference_inputs.Export, p: dict[str, Any], every: int
) -> None:
    """Some points of the curve."""
    if scores.curve is None:
        return
    points = range(0, len(scores.curve.parameter), every)
    thresholds = [f"{scores.curve.rule}:{scores.curve.parameter[point]:.17g}" for point in points]
    for point, expected in zip(points, reference.curve(truth, export, p, thresholds), strict=True):
        for name, value in expected.items():
            assert getattr(scores.curve, name)[point] == pytest.approx(value, abs=1e-9, rel=0), (name, point)


# ---------------------------------------------------------------- random worlds


def read_back(world: World, protocol: Protocol, root: Path) -> tuple[reference_inputs.Truth, reference_inputs.Export]:
    truth = reference_inputs.read_entities(
        world.entities(root / "annotations.zip"), list(world.scenes), edges=protocol.edges
    )
    return truth, reference_inputs.read_export(world.packed(root / "maps.npz"))


def assert_agrees(world: World, protocol: Protocol, root: Path) -> None:
    truth, export = read_back(world, protocol, root)
    p = protocol.to_dict()
    channels = [None, *(range(len(world.channels)) if len(world.channels) > 1 else [])]
    expected = {
        (direction, channel): reference.score(truth, export, p | {"direction": direction}, channel)
        for direction in protocol.directions
        for channel in channels
    }
    if not expected[protocol.directions[0], None].items:
        with pytest.raises(NothingToScoreError):
            scored(world, protocol)
        return
    result = scored_if_any(world, protocol)
    assert_scores(result.scores, expected[protocol.directions[0], None])
    assert_curve(result.scores, truth, export, p | {"direction": protocol.directions[0]}, every=17)
    for (direction, channel), own in expected.items():
        if len(expected) > 1:
            name = "all" if channel is None else f"L{channel // 2}H{channel % 2}"
            assert_scores(result.channels[f"{name}/{direction}"], own)
    assert export.similarity is not None
    retrieval = retrieval_reference.retrieval(export.similarity, export.caption_image, protocol.ties)
    assert {name: result[name] for name in retrieval} == pytest.approx(retrieval, abs=1e-9, rel=0)


@given(cases())
@settings(max_examples=90, deadline=None, derandomize=True)
def test_random_worlds(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    assert_agrees(*case, tmp_path_factory.getbasetemp())


@given(cases(grid=True, channels=1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_grids(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    assert_agrees(*case, tmp_path_factory.getbasetemp())


@given(cases(grid=True, channels=1, back=False, fields={"pointing": "upsampled"}))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_maps_enlarged_to_the_image(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    assert_agrees(*case, tmp_path_factory.getbasetemp())


PIXELS = [rule for rule in THRESHOLDS if not rule.startswith("top")]


@given(
    cases(grid=True, channels=1, back=False, images=2),
    st.sampled_from(["nearest", "bilinear", "bicubic"]),
    st.sampled_from(["none", "component:0.5", "component:1"]),
    st.sampled_from(PIXELS),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_maps_held_against_shapes_pixel_by_pixel(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol], enlarge: str, box_from: str, rule: str
) -> None:
    world, protocol = case
    protocol = dataclasses.replace(protocol, threshold=rule, enlarge=enlarge, box_from=box_from)
    assert_agrees(world, protocol, tmp_path_factory.getbasetemp())
    measured = set(scored_if_any(world, protocol).metrics)
    assert measured >= {"map_iou", "map_precision", "map_recall"}
    assert ("box_accuracy" in measured) == (box_from != "none")


@given(
    cases(grid=True, channels=1, back=False, images=2),
    st.sampled_from(["none", "component:0.5"]),
    st.sampled_from([rule for rule in PIXELS if not rule.startswith(("uniform", "abs"))]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_maps_made_pictures_of_8_bits(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol], box_from: str, rule: str
) -> None:
    world, protocol = case
    protocol = dataclasses.replace(protocol, threshold=rule, enlarge="bilinear-8bit", box_from=box_from)
    assert_agrees(world, protocol, tmp_path_factory.getbasetemp())


@given(cases(tiles=True, channels=1, fields={"overlap": "auto"}))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_tiles(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    world, protocol = case
    assert_agrees(world, protocol, tmp_path_factory.getbasetemp())
    assert scored_if_any(world, protocol).protocol.overlap == "iof"


@given(cases(undefined=True, back=False), st.sampled_from(["skip", "zero"]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_undefined_rows(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol], undefined: str) -> None:
    world, protocol = case
    assert_agrees(world, dataclasses.replace(protocol, undefined=undefined), tmp_path_factory.getbasetemp())


@given(cases(windows=True))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_windows_of_captions(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    assert_agrees(*case, tmp_path_factory.getbasetemp())


@given(cases(signed=True, channels=1, ties=False, missing=False))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_negative_maps(tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]) -> None:
    assert_agrees(*case, tmp_path_factory.getbasetemp())


def one_caption(weights: Sequence[Sequence[Sequence[float]]], words: Sequence[str]) -> World:
    """One image with a region on its only box and others beside it, and one caption that is one phrase."""
    maps = np.array(weights, np.float32)
    regions = [(0.0, 0.0, 10.0, 10.0), *((20.0 * r, 0.0, 20.0 * r + 10, 10.0) for r in range(1, maps.shape[2]))]
    sentence: list[str | Phrase] = [Phrase("1", ("people",), tuple(words))]
    scene = Scene(200, 100, {"1": [(1, 1, 10, 10)], "2": [(21, 1, 30, 10)]}, [sentence], regions)
    tokens = [f"{word}" for word in words]
    channels = [(0, head) for head in range(len(maps))] if len(maps) > 1 else [(-1, -1)]
    return World({"1": scene}, [Shown("1", 0, tokens, maps)], np.ones((1, 1), np.float32), channels)


def test_the_mean_of_channels_is_pooled(tmp_path: Path) -> None:
    # Each word has 0.6 and 0.45 in the mean map, so that it prefers region 0; each channel has a word with 0.9.
    world = one_caption([[[0.6, 0.9], [0.6, 0.0]], [[0.6, 0.0], [0.6, 0.9]]], ["a", "man"])
    assert_agrees(world, Protocol(unit="phrase", pool="max"), tmp_path)


def test_ties_survive_the_mean_of_words(tmp_path: Path) -> None:
    # Both regions have a sum of 0.75 over three words: 0 + 0 + 0.75 and 0 + 0.125 + 0.625.
    world = one_caption([[[0.0, 0.0], [0.0, 0.125], [0.75, 0.625]]], ["a", "tall", "man"])
    assert scored(world, Protocol(unit="phrase"))["pointing"] == 0.5


def test_summed_counts_of_words_without_attention(tmp_path: Path) -> None:
    # One word attends to the one relevant region, the other was cut: one of two relevant keys is found.
    world = one_caption([[[1.0, 0.0], [1.0, 0.0]]], ["a", "man"])
    cut = [dataclasses.replace(own, tokens=own.tokens[:1], maps=own.maps[:, :1]) for own in world.shown]
    result = scored(dataclasses.replace(world, shown=cut), Protocol(missing="zero"))
    assert (result["recall"], result["micro_recall"]) == (0.5, 0.5)


# ---------------------------------------------------------------- the fixtures


def some_protocols(count: int, **fixed: list[Any]) -> list[Protocol]:
    """Protocols that differ in every field, among which every value of every field is, count allowing."""
    choices: dict[str, list[Any]] = {
        "unit": ["word", "phrase"],
        "direction": ["t2i"],
        "iou": [0.3, 0.5, 0.7],
        "overlap": ["auto", "iou", "iof", "center"],
        "boxes": ["any", "merged", "union"],
        "threshold": THRESHOLDS,
        "normalize": ["sum", "softmax", "minmax", "none"],
        "pool": ["mean", "max", "sum", "last"],
        "unreachable": ["skip", "zero"],
        "average": ["macro", "micro"],
        "pointing": ["region", "center"],
        "ties": ["expected", "worst", "best"],
        "folds": [1, 2, 3],
        "min_area": [0.0, 0.03],
        "edges": ["pixel", "raw", "corner"],
        "extent": ["edge", "pixel"],
        "border": ["inside", "outside"],
    }
    draw = random.Random(2023)  # noqa: S311 - not a secret
    columns = []
    for values in (choices | fixed).values():
        rounds = [draw.sample(values, len(values)) for _ in range(-(-count // len(values)))]
        columns.append(list(itertools.chain.from_iterable(rounds))[:count])
    return [Protocol(**dict(zip(choices | fixed, row, strict=True))) for row in zip(*columns, strict=True)]


def annotated(fixtures: Path, gt: str, images: Sequence[str], edges: str = "pixel") -> reference_inputs.Truth:
    if gt == "entities":
        return reference_inputs.read_entities(fixtures / gt, images, edges=edges)
    truth = reference_inputs.read_mdetr(fixtures / gt, edges=edges)
    return {image: truth[image] for image in images}


def part_of(export: reference_inputs.Export, images: Sequence[str]) -> reference_inputs.Export:
    return dataclasses.replace(export, maps=[own for own in export.maps if own.image in set(images)])


def split_of(path: Path, images: Sequence[str]) -> Path:
    path.write_text("\n".join(images), "utf-8")
    return path


@pytest.mark.parametrize("gt", ["entities", "grounding.json"])
@pytest.mark.parametrize("name", ["good", "noisy", "twin", "uniform"])
def test_fixtures(fixtures: Path, name: str, gt: str) -> None:
    path = fixtures / f"{name}.npz"
    export = reference_inputs.read_export(path)
    truth = annotated(fixtures, gt, list(export.boxes))
    p = Protocol().to_dict()
    result = score(path, fixtures / gt, options=QUICK)
    assert_scores(result.scores, reference.score(truth, export, p))
    assert_curve(result.scores, truth, export, p, every=25)
    if export.similarity is not None:
        expected = retrieval_reference.retrieval(export.similarity, export.caption_image)
        assert {metric: result[metric] for metric in expected} == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize("gt", ["entities", "grounding.json"])
def test_protocols_on_the_fixtures(fixtures: Path, tmp_path: Path, gt: str) -> None:
    """Word pieces, a grid of choices, a few images."""
    path = fixtures / "noisy.npz"
    export = reference_inputs.read_export(path)
    images = list(export.boxes)[3:9]  # among them the image without a box
    split, some = split_of(tmp_path / "split.txt", images), part_of(export, images)
    rows = [row for row, image in enumerate(export.boxes) if image in images]
    columns = [column for column, row in enumerate(export.caption_image) if row in rows]
    assert export.similarity is not None
    similarity = export.similarity[np.ix_(rows, columns)]
    for protocol in some_protocols(24):
        truth = annotated(fixtures, gt, images, protocol.edges)
        p = protocol.to_dict()
        result = score(path, fixtures / gt, protocol=protocol, split=split, options=QUICK)
        assert_scores(result.scores, reference.score(truth, some, p))
        assert_curve(result.scores, truth, some, p, every=33)
        expected = retrieval_reference.retrieval(
            similarity, [rows.index(export.caption_image[c]) for c in columns], protocol.ties, protocol.folds
        )
        assert {metric: result[metric] for metric in expected} == pytest.approx(expected, abs=1e-9, rel=0)


def test_regions_that_attend_to_words(fixtures: Path, tmp_path: Path) -> None:
    """Direction i2t on the fixtures, whose weights are read as normalised over nothing."""
    with np.load(fixtures / "good.npz") as file:
        members = dict(file)
    np.savez(tmp_path / "scores.npz", **members | {"format": header_of_both_ways()})
    export = reference_inputs.read_export(tmp_path / "scores.npz")
    images = list(export.boxes)[:8]
    split, some = split_of(tmp_path / "split.txt", images), part_of(export, images)
    for protocol in some_protocols(12, direction=["i2t"], folds=[1]):
        truth = annotated(fixtures, "entities", images, protocol.edges)
        result = score(tmp_path / "scores.npz", fixtures / "entities", protocol=protocol, split=split, options=QUICK)
        assert_scores(result.scores, reference.score(truth, some, protocol.to_dict()))


# ---------------------------------------------------------------- real data


EDGES = ["pixel", "raw", "corner"]
BOTH_WAYS = ["t2i", "i2t", "t2i,i2t"]


def assert_protocols(
    path: Path, gt: Path, truths: Mapping[str, reference_inputs.Truth], protocols: Sequence[Protocol]
) -> None:
    """Each protocol on some of the images, all of them in turn; in both directions and on curves and ranks as well.

    The annotations are given by what is made of their edges.
    """
    truth = truths["pixel"]
    export = reference_inputs.read_export(path, {image: own.size for image, own in truth.items()})
    everything, rows = itertools.cycle(truth), {image: row for row, image in enumerate(export.boxes)}
    split = path.with_suffix(".txt")
    scored_items = 0
    for protocol in protocols:
        # In the order of the file, and as many as divide into the folds.
        images = sorted(itertools.islice(everything, protocol.folds), key=rows.__getitem__)
        some = part_of(export, images)
        annotated_ = {image: truths[protocol.edges][image] for image in images}
        expected = {
            direction: reference.score(annotated_, some, protocol.to_dict() | {"direction": direction})
            for direction in protocol.directions
        }
        head = protocol.directions[0]
        if not expected[head].items:
            continue
        result = score(path, gt, protocol=protocol, split=split_of(split, images), options=QUICK)
        assert_scores(result.scores, expected[head])
        for direction, own in expected.items():
            if len(expected) > 1:
                assert_scores(result.channels[f"all/{direction}"], own)
        assert_curve(result.scores, annotated_, some, protocol.to_dict() | {"direction": head}, every=40)
        scored_items += expected[head].scored
        if export.similarity is not None:
            chosen = [rows[image] for image in images]
            columns = [c for c, row in enumerate(export.caption_image) if row in chosen]
            owners = [chosen.index(export.caption_image[c]) for c in columns]
            ranks = retrieval_reference.retrieval(
                export.similarity[np.ix_(chosen, columns)], owners, protocol.ties, protocol.folds
            )
            assert {metric: result[metric] for metric in ranks} == pytest.approx(ranks, abs=1e-9, rel=0)
    assert scored_items > 100


def header_of_both_ways(**about: Any) -> NDArray[np.uint8]:
    """The member `format` for weights that may be read in both directions."""
    header = {"format": "attneval", "version": [1, 0], "kind": "relevance", "normalised_over": "none"}
    return np.frombuffer(json.dumps(header | about).encode(), np.uint8)


@pytest.mark.realdata
def test_real_regions(shared: Path) -> None:
    path = shared / "f8k285_regions.npz"
    export = reference_inputs.read_export(path)
    images = list(export.boxes)[::6]
    truth = reference_inputs.read_entities(shared / "flickr8k_entities.zip", images)
    with tempfile.TemporaryDirectory() as folder:
        split = split_of(Path(folder) / "split.txt", images)
        result = score(path, shared / "flickr8k_entities.zip", split=split, options=QUICK)
    assert_scores(result.scores, reference.score(truth, part_of(export, images), Protocol().to_dict()))


@pytest.mark.realdata
def test_protocols_on_real_regions(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "f8k285_regions.npz") as file:
        members = dict(file)
    np.savez(tmp_path / "maps.npz", **members | {"format": header_of_both_ways()})
    images = list(reference_inputs.read_export(tmp_path / "maps.npz").boxes)[3::11]
    gt = extracted(shared / "flickr8k_entities.zip", images, tmp_path / "entities")
    truths = {edges: reference_inputs.read_entities(gt, images, edges=edges) for edges in EDGES}
    assert_protocols(tmp_path / "maps.npz", gt, truths, some_protocols(20, direction=BOTH_WAYS))


def extracted(path: Path, images: Sequence[str], folder: Path) -> Path:
    """The annotations of some images, as they are in the archive, so that not all of it is looked through each time."""
    with zipfile.ZipFile(path) as archive:
        names = {"/".join(name.split("/")[-2:]): name for name in archive.namelist()}
        for name in (f"{part}/{image}.{end}" for image in images for part, end in PARTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(archive.read(names[name]))
    return folder


PARTS = (("Annotations", "xml"), ("Sentences", "txt"))


def part_of_grid(shared: Path, target: Path, images: Sequence[str], captions: Sequence[str], meta: str) -> Path:
    """Some captions of the real grid, in a file of their own."""
    with np.load(shared / "f8k285_grid.npz") as file:
        rows = np.isin(file["caption_ids"], captions)
        arrays = {name: file[name][rows] for name in ("attn", "words", "caption_ids")}
        own = np.isin(file["image_ids"], images)
        similarity = file["similarity"][own][:, rows]
    np.savez(target, image_ids=np.array(images), similarity=similarity, meta=np.array(meta), **arrays)
    return target


@pytest.fixture
def grid_images(shared: Path) -> list[str]:
    with np.load(shared / "f8k285_grid.npz") as file:
        return [str(image) for image in file["image_ids"]]


@pytest.mark.realdata
def test_real_grid(shared: Path, tmp_path: Path, grid_images: list[str]) -> None:
    images = grid_images[::90]
    captions = [f"{image}#{k}" for image in images for k in range(5)]
    path = part_of_grid(shared, tmp_path / "part.npz", images, captions, '{"normalised_over": "regions"}')
    truth = reference_inputs.read_entities(shared / "flickr8k_entities.zip", images)
    export = reference_inputs.read_export(path, {image: own.size for image, own in truth.items()})
    protocol = Protocol(overlap="iof")
    result = score(path, shared / "flickr8k_entities.zip", protocol=protocol, options=QUICK)
    assert_scores(result.scores, reference.score(truth, export, protocol.to_dict()))


@pytest.mark.realdata
def test_protocols_on_the_real_grid(shared: Path, tmp_path: Path, grid_images: list[str]) -> None:
    images = grid_images[5::7]
    captions = [f"{image}#{k % 5}" for k, image in enumerate(images)]
    meta = json.dumps({"kind": "relevance", "normalised_over": "none"})
    path = part_of_grid(shared, tmp_path / "part.npz", images, captions, meta)
    gt = extracted(shared / "flickr8k_entities.zip", images, tmp_path / "entities")
    truths = {edges: reference_inputs.read_entities(gt, images, edges=edges) for edges in EDGES}
    # Mostly as grids are meant to be judged; the other captions of each image are missing.
    overlaps = ["iof", "iof", "center", "iou"]
    protocols = some_protocols(20, direction=BOTH_WAYS, overlap=overlaps, missing=["skip", "zero"], folds=[1, 2])
    assert_protocols(path, gt, truths, protocols)


def random_export(path: Path, truth: reference_inputs.Truth, seed: int) -> Path:
    """Regions around the annotated boxes and elsewhere, and random attention of every word to them."""
    draw = np.random.default_rng(seed)
    boxes: list[list[reference_inputs.Box]] = []
    for image in truth.values():
        width, height = image.size
        own: list[reference_inputs.Box] = []
        for x1, y1, x2, y2 in itertools.chain.from_iterable(image.entities.values()):
            shift = draw.uniform(-0.15, 0.15, 4) * np.tile([x2 - x1, y2 - y1], 2)
            edges = np.clip(np.array([x1, y1, x2, y2]) + shift, 0, [width, height, width, height])
            if draw.random() < 0.4 and edges[2] > edges[0] and edges[3] > edges[1]:
                own.append((float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])))
        own.append((0.0, 0.0, width / 2, height / 2))
        boxes.append(own)
    captions = [(row, index, c.words) for row, i in enumerate(truth.values()) for index, c in i.captions.items()]
    sizes = [len(words) * len(boxes[row]) for row, _, words in captions]
    np.savez(
        path,
        format=header_of_both_ways(),
        image_id=np.array(list(truth)),
        region_offset=np.cumsum([0, *map(len, boxes)]),
        region_box=np.array([box for own in boxes for box in own], np.float32),
        caption_image=np.array([row for row, _, _ in captions]),
        caption_index=np.array([index for _, index, _ in captions]),
        token_offset=np.cumsum([0, *(len(words) for _, _, words in captions)]),
        token_text=np.array([word.lower() for _, _, words in captions for word in words]),
        attention_offset=np.cumsum([0, *sizes]),
        attention=draw.random(sum(sizes)).astype(np.float32) ** 3,
    )
    return path


MDETR = ["flickr_separateGT_val.json", "flickr_mergedGT_val.json"]


@pytest.mark.realdata
@pytest.mark.parametrize("name", MDETR)
def test_real_grounding_json(shared: Path, tmp_path: Path, name: str) -> None:
    every = reference_inputs.read_mdetr(shared / "mdetr" / name)
    truth = {image: every[image] for image in list(every)[::50]}
    assert len(truth) == 20
    path = random_export(tmp_path / "maps.npz", truth, seed=4)
    export = reference_inputs.read_export(path)
    protocol = Protocol(boxes="merged" if "merged" in name else "any")
    result: Result = score(path, shared / "mdetr" / name, protocol=protocol, options=QUICK)
    assert 0.2 < (result["coverage"] or 0) < 0.95
    assert_scores(result.scores, reference.score(truth, export, protocol.to_dict()))
    # The same annotations of fewer images, under many protocols.
    few = part_of_json(shared / "mdetr" / name, list(truth), tmp_path / "few.json")
    truths = {edges: reference_inputs.read_mdetr(few, edges=edges) for edges in EDGES}
    assert_protocols(path, few, truths, some_protocols(12, direction=BOTH_WAYS))


def part_of_json(path: Path, images: Sequence[str], target: Path) -> Path:
    """Grounding JSON of some images."""
    data = json.loads(path.read_text("utf-8"))
    entries = [entry for entry in data["images"] if str(entry["original_img_id"]) in images]
    numbers = {entry["id"] for entry in entries}
    boxes = [box for box in data["annotations"] if box["image_id"] in numbers]
    target.write_text(json.dumps(data | {"images": entries, "annotations": boxes}), "utf-8")
    return target


def test_worlds_are_of_every_kind() -> None:
    """What the random worlds are for: they hold the cases that are hard to think of."""
    made = [make_world(seed, missing=True) for seed in range(60)]
    scenes = [scene for world in made for scene in world.scenes.values()]
    pieces = [(scene, piece) for scene in scenes for sentence in scene.sentences for piece in sentence]
    in_scenes = [(scene, piece) for scene, piece in pieces if isinstance(piece, Phrase)]
    marked = [phrase for _, phrase in in_scenes]
    assert any(not any(scene.boxes.values()) for scene in scenes)
    assert any(box_reference.area(region) == 0 for scene in scenes for region in scene.regions)
    assert any(len(phrase.types) > 1 for phrase in marked)
    assert any(phrase.chain == "0" for phrase in marked)
    assert any(phrase.types == ("notvisual",) and scene.boxes.get(phrase.chain) for scene, phrase in in_scenes)
    assert any(not any(map(word_reference.letters, phrase.words)) for phrase in marked)
    assert any(len(world.shown) < 6 for world in made)
    assert any("##" in token for world in made for own in world.shown for token in own.tokens)
    assert len({len(scene.regions) for scene in scenes}) > 5
