"""Images and their captions, as annotations name them: what is to be exported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attneval.errors import AttnevalError, first_of
from attneval.extraction.removals import annotated_words
from attneval.groundtruth import open_ground_truth

if TYPE_CHECKING:
    from PIL.Image import Image

    from attneval.groundtruth import GroundTruth

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_PADDED = re.compile(r"(?:COCO_\w+?_)?0*(\d+)")
"""COCO's names of image files: the id, padded with zeros, after the split."""


@dataclass(frozen=True)
class Pair:
    """An image and its captions.

    Attributes:
        image_id: The annotations' name of the image.
        source: A file, or the image itself.
        captions: Number within the image, and text, of each caption.
        size: Width and height by the annotations; None if unknown.
        phrases: The spans of annotated phrases of each caption, half-open code points; empty if unknown.
        words: The annotated words by number of the caption, half-open code points; empty if unknown.
    """

    image_id: str
    source: Any
    captions: tuple[tuple[int, str], ...]
    size: tuple[int, int] | None = None
    phrases: tuple[tuple[tuple[int, int], ...], ...] = ()
    words: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def open(self) -> Image:
        """Read the image as RGB, as it is stored: annotations are made on pixels as they stand, without EXIF turns.

        Raises:
            AttnevalError: It cannot be read, or has another size than the annotations say.
        """
        from PIL import Image as Pictures

        try:
            if isinstance(self.source, (str, Path)):
                with Pictures.open(self.source) as image:
                    self._check_size(image.size)
                    opened: Image = image.convert("RGB")
            else:
                self._check_size(self.source.size)
                opened = self.source.convert("RGB")
        except (OSError, SyntaxError, ValueError, Pictures.DecompressionBombError) as error:
            raise AttnevalError(f"image {self.image_id}: {self.source} cannot be read ({error})") from error
        return opened

    def measure(self) -> tuple[int, int]:
        """Read the image's width and height alone.

        Raises:
            AttnevalError: As for `open`.
        """
        from PIL import Image as Pictures

        if not isinstance(self.source, (str, Path)):
            self._check_size(self.source.size)
            return self.source.width, self.source.height
        try:
            with Pictures.open(self.source) as image:
                self._check_size(image.size)
                width, height = image.size
                return width, height
        except (OSError, SyntaxError, ValueError, Pictures.DecompressionBombError) as error:
            raise AttnevalError(f"image {self.image_id}: {self.source} cannot be read ({error})") from error

    def named(self, error: AttnevalError, number: int) -> AttnevalError:
        """Say which caption an error is about."""
        return AttnevalError(f"{self.image_id}#{number}: {error.message}", hint=error.hint)

    def _check_size(self, size: tuple[int, int]) -> None:
        if self.size is not None and tuple(size) != self.size:
            raise AttnevalError(
                f"image {self.image_id}: {self.source} has {size[0]} x {size[1]} pixels, its annotations "
                f"{self.size[0]} x {self.size[1]}",
                hint="boxes would lie elsewhere; use the images that were annotated",
            )


class Pairs(Sequence[Pair]):
    """Images with captions, in order, each image once.

    Args:
        items: The images.
        source: Where they come from, for the header.

    Raises:
        AttnevalError: There is none, an image is there twice, or one has no caption.
    """

    def __init__(self, items: Iterable[Pair], source: str = "") -> None:
        self._items = list(items)
        self.source = source
        if not self._items:
            raise AttnevalError("there is no image to export")
        ids = [pair.image_id for pair in self._items]
        if len(set(ids)) < len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise AttnevalError(f"{len(twice)} images are given twice: {first_of(twice)}")
        if bare := [pair.image_id for pair in self._items if not pair.captions]:
            raise AttnevalError(f"{len(bare)} images have no caption: {first_of(bare)}")

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._items)

    def phrases(self) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
        """Return the spans of annotated phrases by image id and caption."""
        return {
            (pair.image_id, text): spans
            for pair in self._items
            for (_, text), spans in zip(pair.captions, pair.phrases, strict=False)
        }


def pairs(
    images: str | os.PathLike[str],
    gt: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    split: str | os.PathLike[str] | Iterable[str] | None = None,
    limit: int | None = None,
    gt_format: str = "auto",
) -> Pairs:
    """Put the images of a folder and the captions of annotations together.

    Args:
        images: A folder; files are found by the image's id with any usual suffix, also one folder down, and by COCO's
            padded names.
        gt: Annotations, as `attneval score` takes them; several files that belong together, such as captions and
            instances of COCO.
        split: A file of image ids, one a line, or the ids: only these.
        limit: The first so many images alone.
        gt_format: The format of the annotations, `auto` to look.

    Raises:
        AttnevalError: An image or its annotation is missing; all are looked for before anything is computed.
    """
    given = [Path(gt)] if isinstance(gt, (str, os.PathLike)) else [Path(path) for path in gt]
    source = open_ground_truth(given, gt_format)
    names = ", ".join(map(str, given))
    wanted = source.image_ids() if split is None else _ids(split)
    wanted = list(dict.fromkeys(wanted))[:limit]
    if unknown := source.missing(wanted):
        raise AttnevalError(f"{names}: {len(unknown)} images of the split are not annotated: {first_of(unknown)}")
    folder = Path(images)
    files = _files(folder)
    if lacking := [name for name in wanted if name not in files]:
        raise AttnevalError(
            f"{folder}: {len(lacking)} of {len(wanted)} annotated images are missing: {first_of(lacking)}",
            hint="name those that are there with --split FILE, one id a line",
        )
    if double := [name for name in wanted if len(files[name]) > 1]:
        name = double[0]
        raise AttnevalError(f"{folder}: image {name} could be {first_of(files[name])} ({len(double)} such images)")
    truth = source.read(wanted)
    made = []
    for row, name in enumerate(truth.image_id):
        first, last = truth.caption_offset[row : row + 2].tolist()
        captions = tuple((int(truth.caption_index[k]), str(truth.text[k])) for k in range(first, last))
        width, height = truth.image_size[row].tolist()
        size = (width, height) if width > 0 and height > 0 else None
        spans = tuple(_spans(truth, k) for k in range(first, last))
        words = {int(truth.caption_index[k]): annotated_words(truth, k) for k in range(first, last)}
        made.append(Pair(name, files[name][0], captions, size, spans, words))
    return Pairs([pair for pair in made if pair.captions], names)


def _spans(truth: GroundTruth, caption: int) -> tuple[tuple[int, int], ...]:
    """The spans of a caption's phrases, in the order of the text."""
    first, last = truth.phrase_offset[caption : caption + 2].tolist()
    spans = truth.span[truth.span_offset[first] : truth.span_offset[last]].tolist()
    return tuple(sorted({(int(start), int(stop)) for start, stop in spans}))


def _ids(split: Any) -> list[str]:
    if isinstance(split, (str, os.PathLike)):
        try:
            lines = Path(split).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise AttnevalError(f"{split} cannot be read as a list of image ids ({error})") from error
    else:
        lines = [str(name) for name in split]
    ids = [line.strip() for line in lines if line.strip()]
    return [name[: -len(suffix)] if (suffix := Path(name).suffix).lower() in SUFFIXES else name for name in ids]


def _files(folder: Path) -> dict[str, list[Path]]:
    """Image files by the ids that they may have."""
    by_id: dict[str, list[Path]] = {}
    try:
        places = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
        listed = [entry for place in places for entry in sorted(place.iterdir())]
    except OSError as error:
        raise AttnevalError(f"{folder}: cannot be read as a folder of images ({error.strerror})") from error
    for path in listed:
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        names = {path.stem}
        if padded := _PADDED.fullmatch(path.stem):
            names.add(padded[1])
        for name in names:
            by_id.setdefault(name, []).append(path)
    # A file that has the id for its whole name comes before one that has it padded.
    return {name: [path for path in paths if path.stem == name] or paths for name, paths in by_id.items()}
