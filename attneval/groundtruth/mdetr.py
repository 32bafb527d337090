"""Phrase grounding as JSON in the COCO layout, as MDETR and GLIP write it: one "image" per caption."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings
from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.columns import GroundTruth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_Phrase = tuple[list[tuple[int, int]], tuple[tuple[float, ...], ...]]
_NUMBER_OF_COCO = re.compile(r"COCO_\w+_0*(\d+)$")


class Grounding:
    """A grounding JSON file, held in memory.

    A phrase is an entry of `tokens_positive_eval`, or, in files without it, a distinct `tokens_positive`; its boxes
    are those of the annotations with a span that overlaps it.

    Args:
        path: The file.

    Raises:
        GroundTruthError: It is no such file.
    """

    format = "mdetr"

    def __init__(self, path: Path) -> None:
        from pycocotools.coco import COCO

        if path.is_dir():
            raise GroundTruthError(
                f"{path} is a directory, and grounding JSON is a file",
                hint="name the file, or leave the format to be found out",
            )
        self._path = path
        self._digest = hashlib.sha256(path.read_bytes()).digest()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self._coco = COCO(str(path))
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            # Some errors hold all that they are about; their text does not.
            raise GroundTruthError(f"{path} is no COCO-style JSON ({type(error).__name__}: {error})") from error
        self._captions: dict[str, list[dict[str, Any]]] = {}
        self._check_ids()
        without = [image.get("id") for image in self._coco.imgs.values() if not isinstance(image.get("caption"), str)]
        if not self._coco.imgs:
            raise GroundTruthError(f"{path} holds no images, so it is no grounding JSON")
        if without:
            raise GroundTruthError(
                f"{path} has images without a caption (ids: {first_of(without)})",
                hint="grounding JSON has one image entry per caption, with 'caption' and 'tokens_positive_eval'",
            )
        for entry in self._coco.imgs.values():
            self._captions.setdefault(_image_id(entry), []).append(entry)

    def _check_ids(self) -> None:
        """Refuse entries that pycocotools would leave out without a word."""
        entries = self._coco.dataset.get("images", [])
        if len(self._coco.imgs) < len(entries):
            times = Counter(entry["id"] for entry in entries)
            twice = [image_id for image_id, count in times.items() if count > 1]
            raise GroundTruthError(f"{self._path}: {len(twice)} ids stand for several images: {first_of(twice)}")
        if None in self._coco.imgs:
            raise GroundTruthError(f"{self._path}: an image entry has the id null")
        strange = [name for name in self._coco.imgToAnns if name not in self._coco.imgs]
        if strange:
            raise GroundTruthError(
                f"{self._path}: annotations of {len(strange)} images that are not there: {first_of(strange)}"
            )

    def image_ids(self) -> list[str]:
        """All annotated images."""
        return list(self._captions)

    def state(self, image_ids: Sequence[str]) -> str | None:  # noqa: ARG002
        """Never known: the whole file is read in any case."""
        return None

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that have no caption."""
        return [image_id for image_id in image_ids if image_id not in self._captions]

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """Build the columns of some images.

        Raises:
            GroundTruthError: An entry of theirs cannot be read.
        """
        size, texts, index, captions_of, entities_of = [], [], [], [], []
        phrases_of: list[int] = []
        spans: list[list[tuple[int, int]]] = []
        entity: list[int] = []
        boxes: list[tuple[tuple[float, ...], ...]] = []
        for image_id in image_ids:
            entries = self._captions[image_id]
            known: dict[tuple[tuple[float, ...], ...], int] = {}
            sizes: list[tuple[int, int]] = []
            for number, entry in enumerate(entries):
                try:
                    phrases = _phrases(entry, self._coco.imgToAnns.get(entry["id"], []))
                    index.append(int(entry.get("sentence_id", number)))
                    sizes.append(_size(entry))
                except (KeyError, TypeError, ValueError) as error:
                    raise GroundTruthError(
                        f"{self._path}: image entry {entry.get('id')} cannot be read ({error!r})"
                    ) from error
                for phrase_spans, phrase_boxes in phrases:
                    spans.append(phrase_spans)
                    if phrase_boxes and phrase_boxes not in known:
                        known[phrase_boxes] = len(boxes)
                        boxes.append(phrase_boxes)
                    entity.append(known[phrase_boxes] if phrase_boxes else -1)
                texts.append(entry["caption"])
                phrases_of.append(len(phrases))
            size.append(sizes[0])
            captions_of.append(len(entries))
            entities_of.append(len(known))
        return GroundTruth(
            image_id=list(image_ids),
            image_size=np.array(size, np.int64).reshape(-1, 2),
            caption_offset=offsets_of(captions_of),
            caption_index=np.array(index, np.int64),
            text=Strings.from_texts(texts),
            phrase_offset=offsets_of(phrases_of),
            phrase_entity=np.array(entity, np.int64),
            phrase_types=np.zeros(len(entity), np.int64),
            span_offset=offsets_of(list(map(len, spans))),
            span=np.array([span for group in spans for span in group], np.int64).reshape(-1, 2),
            entity_offset=offsets_of(entities_of),
            box_offset=offsets_of(list(map(len, boxes))),
            box=np.array([box for group in boxes for box in group], np.float64).reshape(-1, 4),
            digests={self._path.name: self._digest},
        )


def _image_id(entry: dict[str, Any]) -> str:
    for key in ("original_img_id", "original_id"):
        if key in entry:
            return str(entry[key])
    stem = PurePosixPath(str(entry.get("file_name", entry["id"]))).stem
    match = _NUMBER_OF_COCO.match(stem)
    return match[1] if match else stem


def _size(entry: dict[str, Any]) -> tuple[int, int]:
    width, height = int(entry["width"]), int(entry["height"])
    if width <= 0 or height <= 0:
        raise ValueError(f"width {width} and height {height}")
    return width, height


def _phrases(entry: dict[str, Any], annotations: list[dict[str, Any]]) -> list[_Phrase]:
    """The phrases of a caption: their spans, and their boxes as sorted x1, y1, x2, y2."""
    marked = []
    for annotation in annotations:
        x, y, width, height = map(float, annotation["bbox"])
        if not (width >= 0 and height >= 0):
            raise ValueError(f"bbox {annotation['bbox']} has a negative width or height")
        marked.append((_spans(annotation["tokens_positive"], entry["caption"]), (x, y, x + width, y + height)))
    if "tokens_positive_eval" in entry:
        wanted = [_spans(spans, entry["caption"]) for spans in entry["tokens_positive_eval"]]
    else:
        wanted = [list(spans) for spans in dict.fromkeys(tuple(spans) for spans, _ in marked)]
    phrases: list[_Phrase] = []
    for spans in wanted:
        boxes = {box for theirs, box in marked if any(a < d and c < b for a, b in spans for c, d in theirs)}
        phrases.append((spans, tuple(sorted(boxes))))
    return phrases


def _spans(pairs: Any, caption: str) -> list[tuple[int, int]]:
    spans = [(int(start), int(stop)) for start, stop in pairs]
    for start, stop in spans:
        if not 0 <= start < stop <= len(caption):
            raise ValueError(f"span [{start}, {stop}) outside a caption of {len(caption)} characters")
    return spans
