"""Small random worlds: annotated images, and what an imagined model did on them, written as files.

A world follows from a seed and a few switches. It is ragged, has images without boxes, boxes of several chains,
phrases of several types, phrases without a box, regions without an area, word pieces, punctuation and special tokens.
"""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from attneval import Options, Protocol, Result, score
from attneval.errors import NothingToScoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PixelBox = tuple[int, int, int, int]  # xmin, ymin, xmax, ymax: counted from 1, the last pixel inside
Box = tuple[float, float, float, float]  # continuous edges

WORDS = ["a", "man", "dogs", "café", "t-shirt", "'s", "éclair", "running", "skateboarder", "two", "red", "of"]
MARKS = [",", ".", '"', "&"]
TYPES = ["people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other"]


CURVES = ("deletion", "deletion_random", "insertion", "insertion_random")


@dataclass(frozen=True)
class Phrase:
    """A marked phrase of a caption."""

    chain: str
    types: tuple[str, ...]
    words: tuple[str, ...]


Sentence = list["str | Phrase"]


@dataclass(frozen=True)
class Scene:
    """An annotated image."""

    width: int
    height: int
    boxes: Mapping[str, list[PixelBox]]  # by chain, perhaps none
    sentences: list[Sentence]
    regions: list[Box]
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class Shown:
    """An exported caption: its tokens, and maps [channels, tokens, regions] in one direction or both."""

    image: str
    index: int
    tokens: list[str]
    maps: NDArray[np.float32]
    back: NDArray[np.float32] | None = None
    mass: NDArray[np.float32] | None = None  # [channels, tokens], what each row summed to on the image
    window: tuple[int, int] | None = None  # the first region of its image that it has maps for, and how many
    curves: NDArray[np.float32] | None = None  # [4, K + 1], in the order of CURVES


@dataclass(frozen=True)
class World:
    scenes: Mapping[str, Scene]
    shown: list[Shown]
    similarity: NDArray[np.float32] | None
    channels: list[tuple[int, int]] = field(default_factory=lambda: [(-1, -1)])
    kind: str = "attention"

    # ------------------------------------------------------------ files

    def entities(self, path: Path, *, backwards: bool = False) -> Path:
        """Write Flickr30k Entities, as a directory or as a zip file, the objects in one order or the other."""
        texts = {}
        for image, scene in self.scenes.items():
            chains_of: dict[PixelBox, list[str]] = {}
            for chain, boxes in scene.boxes.items():
                for box in boxes:
                    chains_of.setdefault(box, []).append(chain)
            objects = [f"{_names(chains)}<bndbox>{_edges(box)}</bndbox>" for box, chains in chains_of.items()]
            objects += [
                f"{_names([chain])}<scene>1</scene><nobndbox>0</nobndbox>"
                for chain, boxes in scene.boxes.items()
                if not boxes
            ]
            body = "".join(f"<object>{thing}</object>" for thing in objects[:: -1 if backwards else 1])
            size = f"<size><width>{scene.width}</width><height>{scene.height}</height></size>"
            texts[f"Annotations/{image}.xml"] = f"<annotation>{size}{body}</annotation>"
            texts[f"Sentences/{image}.txt"] = "".join(f"{_marked(sentence)}\n" for sentence in scene.sentences)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name, text in texts.items():
                    archive.writestr(name, text)
        else:
            for name, text in texts.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_text(text, "utf-8")
        return path

    def grounding(self, path: Path) -> Path:
        """Write the annotations as grounding JSON."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image, scene in self.scenes.items():
            for index, sentence in enumerate(scene.sentences):
                spans = [(phrase, span) for phrase, span in _spans(sentence) if phrase.words]
                number = len(images)
                entry = {"id": number, "original_img_id": image, "file_name": f"{image}.jpg", "sentence_id": index}
                entry |= {"width": str(scene.width), "height": str(scene.height), "caption": _plain(sentence)}
                images.append(entry | {"tokens_positive_eval": [[span] for _, span in spans]})
                for phrase, span in spans:
                    for x1, y1, x2, y2 in scene.boxes.get(phrase.chain, []):
                        bbox = [x1, y1, x2 - x1, y2 - y1]
                        box = {"id": len(annotations), "image_id": number, "category_id": 1, "bbox": bbox}
                        annotations.append(box | {"area": bbox[2] * bbox[3], "iscrowd": 0, "tokens_positive": [span]})
        data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
        path.write_text(json.dumps(data), "utf-8")
        return path

    def packed(self, path: Path, *, spans: bool = False) -> Path:
        """Write the maps in the packed layout, tokens as texts or as spans of the caption's text."""
        images = list(self.scenes)
        newer = any(each is not None for each in (self.shown[0].mass, self.shown[0].window, self.shown[0].curves))
        header = {"format": "attneval", "version": [1, int(newer)], "kind": self.kind, "normalised_over": "none"}
        tokens = [len(own.tokens) for own in self.shown]
        members: dict[str, Any] = {
            "format": np.frombuffer(json.dumps(header).encode(), np.uint8),
            "image_id": np.array(images),
            "image_size": np.array([(scene.width, scene.height) for scene in self.scenes.values()], np.int32),
            "caption_image": np.array([images.index(own.image) for own in self.shown], np.int32),
            "caption_index": np.array([own.index for own in self.shown], np.int16),
            "token_offset": _offsets(tokens),
            "channel": np.array(self.channels, np.int16),
            "attention_offset": _offsets([own.maps.size for own in self.shown]),
            "attention": np.concatenate([own.maps.ravel() for own in self.shown]),
        }
        if spans:
            texts = [_plain(self.scenes[own.image].sentences[own.index]) for own in self.shown]
            members["caption_text"] = np.array(texts)
            found = [_token_spans(own.tokens, text) for own, text in zip(self.shown, texts, strict=True)]
            members["token_span"] = np.array([span for own in found for span in own], np.int32)
        else:
            members["token_text"] = np.array([token for own in self.shown for token in own.tokens])
        members |= self._curves()
        if self.similarity is not None:
            members["similarity"] = self.similarity
        if all(scene.grid for scene in self.scenes.values()):
            members["grid_shape"] = np.array([scene.grid for scene in self.scenes.values()], np.int32)
        else:
            boxes = [box for scene in self.scenes.values() for box in scene.regions]
            members["region_offset"] = _offsets([len(scene.regions) for scene in self.scenes.values()])
            members["region_box"] = np.array(boxes, np.float32).reshape(-1, 4)
        if self.shown[0].mass is not None:
            members["row_mass"] = np.concatenate([_flat(own.mass) for own in self.shown])
        if self.shown[0].window is not None:
            members["caption_region"] = np.array([own.window for own in self.shown], np.int64)
        if self.shown[0].back is not None:
            members["attention_i2t"] = np.concatenate([_flat(own.back) for own in self.shown])
        np.savez(path, **members)
        return path

    def spanned(self, path: Path) -> Path:
        """Write the packed layout with spans."""
        return self.packed(path, spans=True)

    def padded(self, path: Path) -> Path:
        """Write the maps in the padded layout, with rubbish on regions of padding; one channel only."""
        images = list(self.scenes)
        longest = max(len(own.tokens) for own in self.shown)
        widest = max(len(scene.regions) for scene in self.scenes.values())
        boxes = np.zeros((len(images), widest, 4), np.float32)
        for row, scene in enumerate(self.scenes.values()):
            boxes[row, : len(scene.regions)] = np.array(scene.regions, np.float32).reshape(-1, 4)
        members: dict[str, Any] = {
            "words": np.array([own.tokens + [""] * (longest - len(own.tokens)) for own in self.shown]),
            "caption_ids": np.array([f"{own.image}#{own.index}" for own in self.shown]),
            "image_ids": np.array(images),
            "boxes": boxes,
            "meta": np.array(json.dumps({"kind": self.kind})),
        }
        members |= self._curves()
        if self.similarity is not None:
            members["similarity"] = self.similarity
        for name, blocks in (
            ("attn", [own.maps for own in self.shown]),
            ("attn_i2t", [own.back for own in self.shown]),
        ):
            table = np.full((len(blocks), longest, widest), 7, np.float32)
            for row, block in enumerate(blocks):
                if block is not None:
                    table[row, : block.shape[1], : block.shape[2]] = block[0]
                    table[row, block.shape[1] :] = 0  # weight behind the last token is none that was cut
                    members[name] = table
        np.savez(path, **members)
        return path

    def _curves(self) -> dict[str, NDArray[np.float32]]:
        curves = [own.curves for own in self.shown if own.curves is not None]
        return {name: np.array([own[row] for own in curves]) for row, name in enumerate(CURVES) if curves}

    # ------------------------------------------------------------ the same in other words

    def reordered(self, random: np.random.Generator) -> World:
        """The images, and the captions of the export, in another order."""
        images, captions = random.permutation(len(self.scenes)), random.permutation(len(self.shown))
        named = list(self.scenes.items())
        return replace(
            self,
            scenes=dict(named[i] for i in images.tolist()),
            shown=[self.shown[c] for c in captions.tolist()],
            similarity=None if self.similarity is None else self.similarity[images][:, captions],
        )

    def attention_alone(self) -> World:
        """The same without similarities."""
        return replace(self, similarity=None)

    def with_captions(self, keep: Callable[[Shown], bool]) -> World:
        """Some of the captions of the export, without similarities."""
        return replace(self.attention_alone(), shown=[own for own in self.shown if keep(own)])

    def with_images(self, keep: Callable[[str], bool]) -> World:
        """Some of the images, without similarities."""
        scenes = {image: scene for image, scene in self.scenes.items() if keep(image)}
        return replace(self.with_captions(lambda own: own.image in scenes), scenes=scenes)

    def with_regions_permuted(self, random: np.random.Generator) -> World:
        """The regions of each image in another order."""
        order = {image: random.permutation(len(scene.regions)) for image, scene in self.scenes.items()}
        return replace(
            self,
            scenes={
                image: replace(scene, regions=[scene.regions[r] for r in order[image].tolist()])
                for image, scene in self.scenes.items()
            },
            shown=[
                replace(
                    own,
                    maps=own.maps[:, :, order[own.image]],
                    back=None if own.back is None else own.back[:, :, order[own.image]],
                )
                for own in self.shown
            ],
        )

    def scaled(self, factors: Sequence[float]) -> World:
        """The weights of each caption times a number."""
        return replace(
            self,
            shown=[
                replace(own, maps=own.maps * np.float32(f), back=None if own.back is None else own.back * np.float32(f))
                for own, f in zip(self.shown, factors, strict=True)
            ],
        )


def _names(chains: list[str]) -> str:
    return "".join(f"<name>{chain}</name>" for chain in chains)


def _edges(box: PixelBox) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    return "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, box, strict=True))


def _words(sentence: Sentence) -> list[str]:
    return [word for piece in sentence for word in (piece.words if isinstance(piece, Phrase) else [piece])]


def _plain(sentence: Sentence) -> str:
    return " ".join(_words(sentence))


def _marked(sentence: Sentence) -> str:
    return " ".join(
        f"[/EN#{piece.chain}/{'/'.join(piece.types)} {' '.join(piece.words)}]" if isinstance(piece, Phrase) else piece
        for piece in sentence
    )


def _spans(sentence: Sentence) -> list[tuple[Phrase, tuple[int, int]]]:
    """The phrases, and the code points they take in the plain text."""
    found, position = [], 0
    for piece in sentence:
        length = len(" ".join(piece.words)) if isinstance(piece, Phrase) else len(piece)
        if isinstance(piece, Phrase):
            found.append((piece, (position, position + length)))
        position += length + 1
    return found


def _token_spans(tokens: list[str], text: str) -> list[tuple[int, int]]:
    """Where the tokens stand in their text, special ones nowhere."""
    found, position = [], 0
    for token in tokens:
        piece = token.removeprefix("##")
        if token in {"[CLS]", "[SEP]"}:
            found.append((-1, -1))
            continue
        start = text.index(piece, position)
        position = start + len(piece)
        found.append((start, position))
    return found


def _offsets(lengths: list[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _flat(maps: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if maps is None:
        raise ValueError("all captions have maps in both directions, or none")
    return maps.ravel()


# ---------------------------------------------------------------- making them up


def make_world(
    seed: int,
    *,
    images: int = 3,
    captions: int = 2,
    channels: int = 1,
    back: bool = False,
    ties: bool = False,
    missing: bool = False,
    signed: bool = False,
    grid: bool = False,
    tiles: bool = False,
    undefined: bool = False,
    windows: bool = False,
) -> World:
    """Make up a world.

    Args:
        seed: Everything else follows from it.
        images: How many images.
        captions: How many captions of each.
        channels: How many maps per caption.
        back: Whether there are region-to-word maps as well.
        ties: Whether weights are few different ones.
        missing: Whether some captions are cut, and some left out.
        signed: Whether weights may be negative; they are then no attention.
        grid: Whether regions are the cells of a grid over the image.
        tiles: Whether they are such cells written as boxes, some of them beside a region of the whole image.
        undefined: Whether the file says what rows summed to, some to nothing.
        windows: Whether each caption has a window of its image's regions.
    """
    random = np.random.default_rng(seed)
    scenes = {str(1000 + 7 * i): _scene(random, captions, grid=grid, first=i == 0) for i in range(images)}
    if tiles:
        scenes = {image: replace(scene, regions=_tiles(random, scene)) for image, scene in scenes.items()}
    shown: list[Shown] = []
    for image, scene in scenes.items():
        for index, sentence in enumerate(scene.sentences):
            tokens = _tokens(random, sentence)
            # The first caption is whole, so that there always is something to score.
            if missing and shown:
                if random.random() < 0.15:
                    continue
                if random.random() < 0.4:
                    # Cut, but not so short that nothing says which caption it is.
                    first = next(k for k, token in enumerate(tokens) if token.strip("#") in "".join(WORDS))
                    tokens = tokens[: int(random.integers(first, len(tokens))) + 1]
            window = _window(random, len(scene.regions)) if windows else None
            shape = (channels, len(tokens), window[1] if window else len(scene.regions))
            maps = [_weights(random, shape, ties=ties) - np.float32(0.5 * signed) for _ in range(1 + back)]
            # Region-to-word weights sum to one over the tokens, special ones included.
            mass = None
            if undefined:
                # Whole columns of channels, too, so that some words have no row at all.
                lost = (random.random(shape[:2]) < 0.3) | (random.random(shape[1]) < 0.3)
                lost &= bool(shown)
                maps[0][lost] = 0
                mass = np.where(lost, 0, random.random(shape[:2]) + 0.01).astype(np.float32)
            shown.append(Shown(image, index, tokens, maps[0], _over_tokens(maps[1]) if back else None, mass, window))
    scores = random.random((images, len(shown)))
    steps = int(random.integers(1, 5))
    return World(
        scenes,
        [replace(own, curves=_curves(random, steps)) for own in shown],
        (np.round(scores * 4) / 4 if ties else scores).astype(np.float32),
        [(-1, -1)] if channels == 1 else [(a // 2, a % 2) for a in range(channels)],
        "relevance" if signed else "attention",
    )


def _scene(random: np.random.Generator, captions: int, *, grid: bool, first: bool) -> Scene:
    width, height = (int(side) for side in random.integers(40, 120, 2))
    boxes: dict[str, list[PixelBox]] = {}
    for chain in range(1, int(random.integers(2, 6))):
        count = int(random.choice([0, 1, 1, 2, 3]))
        boxes[str(chain)] = [_box(random, width, height) for _ in range(max(count, int(first and chain == 1)))]
    # A box that two chains share.
    shared = [own for own in boxes.values() if own]
    if len(shared) > 1:
        shared[0].append(shared[1][0])
    sentences = [_sentence(random, list(boxes), first=first and k == 0) for k in range(captions)]
    if grid:
        rows, columns = (int(side) for side in random.integers(1, 5, 2))
        sx, sy = width / columns, height / rows
        cells = [(c * sx, r * sy, (c + 1) * sx, (r + 1) * sy) for r in range(rows) for c in range(columns)]
        return Scene(width, height, boxes, sentences, cells, (rows, columns))
    return Scene(width, height, boxes, sentences, _regions(random, width, height, boxes))


def _box(random: np.random.Generator, width: int, height: int) -> PixelBox:
    w, h = int(random.integers(1, width)), int(random.integers(1, height))
    x, y = int(random.integers(1, width - w + 1)), int(random.integers(1, height - h + 1))
    return x, y, x + w, y + h


def _regions(random: np.random.Generator, width: int, height: int, boxes: Mapping[str, list[PixelBox]]) -> list[Box]:
    """Boxes near those of some chains, others anywhere, and some without an area."""
    found: list[Box] = []
    for own in boxes.values():
        for x1, y1, x2, y2 in own:
            if random.random() < 0.6:
                shift = random.integers(-2, 3, 4) / 2
                edges = np.clip(np.array([x1 - 1, y1 - 1, x2, y2]) + shift, 0, [width, height, width, height])
                if edges[2] > edges[0] and edges[3] > edges[1]:
                    found.append((float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])))
    for _ in range(int(random.integers(1, 5))):
        x1, y1, x2, y2 = _box(random, width, height)
        found.append((x1 - 1.0, y1 - 1.0, float(x2), float(y2)))
    found += [(0.0, 0.0, 0.0, 0.0)] * int(random.integers(0, 2))
    return [found[r] for r in random.permutation(len(found)).tolist()]


def _tiles(random: np.random.Generator, scene: Scene) -> list[Box]:
    """Cells in any order, at least 16, with or without one of the whole image."""
    rows, columns = (int(side) for side in random.integers(4, 6, 2))
    x, y = np.linspace(0, scene.width, columns + 1), np.linspace(0, scene.height, rows + 1)
    found: list[Box] = [
        (float(x[c]), float(y[r]), float(x[c + 1]), float(y[r + 1])) for r in range(rows) for c in range(columns)
    ]
    found += [(0.0, 0.0, float(scene.width), float(scene.height))] * int(random.integers(0, 2))
    return [found[r] for r in random.permutation(len(found)).tolist()]


def _window(random: np.random.Generator, regions: int) -> tuple[int, int]:
    first = int(random.integers(0, regions))
    return first, int(random.integers(1, regions - first + 1))


def _sentence(random: np.random.Generator, chains: list[str], *, first: bool) -> Sentence:
    sentence: Sentence = []
    for number in range(int(random.integers(1, 4))):
        sentence += [str(word) for word in random.choice(WORDS + MARKS, int(random.integers(0, 3)))]
        chain = str(random.choice([*chains, "0", "77"]))  # 0 is not visual, of 77 nothing is known
        types = [str(name) for name in random.choice(TYPES, int(random.integers(1, 3)), replace=False)]
        if chain == "0" or random.random() < 0.05:
            types = ["notvisual"]
        words = [str(word) for word in random.choice(WORDS + MARKS, int(random.integers(1, 6)))]
        if first and number == 0:
            chain, types, words = "1", ["people"], ["a", "man"]
        sentence.append(Phrase(chain, tuple(types), tuple(words)))
    if not set(WORDS) & set(_words(sentence)):
        sentence.append("man")  # a caption of punctuation alone is none
    return sentence


def _tokens(random: np.random.Generator, sentence: Sentence) -> list[str]:
    """Word pieces between special tokens, some of the punctuation dropped."""
    tokens = ["[CLS]"]
    for word in _words(sentence):
        if word in MARKS and random.random() < 0.5:
            continue
        cut = len(word) // 2 if len(word) > 3 and random.random() < 0.5 else len(word)
        tokens += [word[:cut], *([f"##{word[cut:]}"] if cut < len(word) else [])]
    return [*tokens, "[SEP]"]


def _weights(random: np.random.Generator, shape: tuple[int, ...], *, ties: bool) -> NDArray[np.float32]:
    """Weights in [0, 1), or few different ones; some rows are even, some empty."""
    weights = random.integers(0, 4, shape) / 4 if ties else random.random(shape) ** 3
    weights[random.random(shape[:2]) < 0.08] = 0
    weights[random.random(shape[:2]) < 0.08] = 0.25
    return weights.astype(np.float32)


def _curves(random: np.random.Generator, steps: int) -> NDArray[np.float32]:
    """Scores of an image with regions removed and kept; some captions do not depend on theirs at all."""
    curves = np.round(random.normal(size=(len(CURVES), steps + 1)) * 8) / 8
    curves[1, [0, -1]] = curves[0, [0, -1]]
    curves[2:, [0, -1]] = curves[0, [-1, 0]]
    return np.zeros_like(curves, np.float32) if random.random() < 0.2 else curves.astype(np.float32)


def _over_tokens(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    total = weights.sum(axis=1, keepdims=True)
    return np.where(total > 0, weights / np.where(total > 0, total, 1), np.float32(1 / weights.shape[1]))


# ---------------------------------------------------------------- strategies

QUICK = Options(resamples=0)
MAPS = {"map_iou", "map_precision", "map_recall", "box_accuracy"}
"""Metrics of enlarged maps."""
UNASKED = {
    *("class_precision", "class_recall", "class_f1", "class_pointing", "spatial_entropy"),
    *MAPS,
    *("function_specificity", "map_function_f1"),
}
"""Metrics that are measured where they are asked for alone: means over classes, of the channels of grids, of maps."""
THRESHOLDS = [
    "uniform",
    "uniform:0.5",
    "abs:0",
    "abs:0.2",
    "max:0.5",
    "max:1",
    "top:1",
    "top:3",
    "mass:0.5",
    "mass:0.9",
    "otsu",
    "otsu:0.6",
]


def worlds(**switches: Any) -> st.SearchStrategy[World]:
    """Worlds of every kind; a switch that is given is kept."""
    free: dict[str, st.SearchStrategy[Any]] = {
        "images": st.integers(1, 4),
        "captions": st.integers(1, 3),
        "channels": st.sampled_from([1, 1, 2]),
        "back": st.booleans(),
        "ties": st.booleans(),
        "missing": st.booleans(),
    }
    chosen = free | {name: st.just(value) for name, value in switches.items()}
    return st.builds(make_world, st.integers(0, 2**31), **chosen)


def protocols(**fields: Any) -> st.SearchStrategy[Protocol]:
    """Protocols of every kind, but with captions missing; a field that is given is kept."""
    free: dict[str, st.SearchStrategy[Any]] = {
        "unit": st.sampled_from(["word", "phrase"]),
        "iou": st.sampled_from([0.3, 0.5, 0.7]),
        "overlap": st.sampled_from(["auto", "iou", "iof", "center"]),
        "boxes": st.sampled_from(["any", "merged", "union"]),
        "threshold": st.sampled_from(THRESHOLDS),
        "normalize": st.sampled_from(["sum", "softmax", "minmax", "none"]),
        "pool": st.sampled_from(["mean", "max", "sum", "last"]),
        "unreachable": st.sampled_from(["skip", "zero"]),
        "pointing": st.sampled_from(["region", "center"]),
        "ties": st.sampled_from(["expected", "worst", "best"]),
        "missing": st.sampled_from(["skip", "zero"]),
        "min_area": st.sampled_from([0.0, 0.0, 0.05]),
        "edges": st.sampled_from(["pixel", "pixel", "raw", "corner"]),
        "extent": st.sampled_from(["edge", "edge", "pixel"]),
        "border": st.sampled_from(["inside", "inside", "outside"]),
    }
    chosen = free | {name: st.just(value) for name, value in fields.items()}
    return st.builds(Protocol, **chosen)


@st.composite
def cases(draw: st.DrawFn, /, *, fields: Mapping[str, Any] | None = None, **switches: Any) -> tuple[World, Protocol]:
    """A world, and a protocol under which it can be scored."""
    world = draw(worlds(**switches))
    given = dict(fields or {})
    if "direction" not in given:
        both = world.shown[0].back is not None
        given["direction"] = draw(st.sampled_from(["t2i", "i2t", "t2i,i2t"] if both else ["t2i"]))
    if world.kind != "attention" and "normalize" not in given:
        given["normalize"] = draw(st.sampled_from(["softmax", "minmax"]))
    return world, draw(protocols(**given))


# ---------------------------------------------------------------- scoring


def scored(world: World, protocol: Protocol, *, layout: str = "packed", backwards: bool = False) -> Result:
    """Write a world and score it, without intervals."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        export = getattr(world, layout)(root / "maps.npz")
        truth = world.entities(root / "annotations.zip", backwards=backwards)
        return score(export, truth, protocol=protocol, options=QUICK)


def scored_in_shards(shards: Sequence[World], protocol: Protocol) -> Result:
    """Score several files as one export; the first of the worlds has all the annotations."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        exports = [shard.packed(root / f"{number}.npz") for number, shard in enumerate(shards)]
        truth = shards[0].entities(root / "annotations.zip")
        return score(exports, truth, protocol=protocol, options=QUICK)


def scored_if_any(world: World, protocol: Protocol, **given: Any) -> Result:
    """The same for worlds in which there may be nothing to score, which are then of no interest."""
    try:
        return scored(world, protocol, **given)
    except NothingToScoreError:
        reject()


def numbers(result: Result) -> dict[str, float | None]:
    """Every number of a result by its place; images by their ids, whatever their order."""
    found: dict[str, float | None] = {}

    def add(place: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{place}/{name}", inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                add(f"{place}/{number}", inner)
        elif isinstance(value, (int, float, type(None))):
            found[place] = value

    values = result.to_dict()
    for part in (values, *values["channels"].values()):
        images = part["per_image"].pop("image_id")
        groups = part["per_image"].pop("by", {})
        part["groups"] = {
            f"{kind} {group}/{column}": dict(zip((images[row] for row in rows["row"]), of_images, strict=True))
            for kind, named in groups.items()
            for group, rows in named.items()
            for column, of_images in rows.items()
            if column != "row"
        }
        part["per_image"] = {
            # Ranks are listed in the order of the export's captions.
            column: {i: sorted(v) if isinstance(v, list) else v for i, v in zip(images, of_images, strict=True)}
            for column, of_images in part["per_image"].items()
        }
    tables = ("metrics", "baselines", "by", "by_baselines", "by_images", "curve", "per_image", "groups", "channels")
    for name in (*tables, "counts"):
        add(name, values[name])
    images = result.scores.sums.image_id
    for side in ("captions", "images") if "joint" in values else ():
        view = values["joint"][side]
        view["per_image"] = {cell: dict(zip(images, counts, strict=True)) for cell, counts in view["per_image"].items()}
        add(f"joint/{side}", view)
    return found


def differences(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, tuple[Any, Any]]:
    """The numbers in which two results differ by more than rounding."""
    return {
        name: (one.get(name, "nothing"), other.get(name, "nothing"))
        for name in {**one, **other}
        if not _near(one.get(name, math.nan), other.get(name, math.nan))
    }


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=0, abs_tol=1e-9)
