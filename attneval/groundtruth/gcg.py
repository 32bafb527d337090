"""Captions with phrases and their masks, as GLaMM writes them (GranD-f, OpenPSG; and RefCOCOg's layout)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attneval.groundtruth.entry import Entry, entries
from attneval.groundtruth.image_names import image_name
from attneval.groundtruth.image_sizes import Sizes, sizes_for
from attneval.groundtruth.outlines import outline_size, rasterised
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_gcg(files: Files, reading: Reading) -> RecordSource:
    """Open captions with masks; a box is that which encloses its mask."""
    return RecordSource("gcg", CaptionMasks(only(files, "captions"), sizes_for(files, reading)), reading)


class CaptionMasks:
    """The images of captions with masks."""

    categories = Categories()
    warnings = ()

    def __init__(self, document: Document, sizes: Sizes) -> None:
        self.documents = (document,)
        self._sizes = sizes
        self._captions: dict[str, list[Entry]] = {}
        for entry in entries(document, "caption", document.data, ""):
            name = "file_name" if "file_name" in entry else "img_file_name"
            self._captions.setdefault(image_name(entry.text(name)), []).append(entry)

    def image_ids(self) -> Iterable[str]:
        """All images with captions."""
        return self._captions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._size(image_id)
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = []
        for number, entry in enumerate(self._captions[image_id]):
            text = entry.text("caption").strip('"').strip()
            phrases = []
            for key, (part, field, masks) in enumerate(_grounded(entry)):
                shapes = [shape for mask in masks if (shape := _shape(part, field, mask, size)) is not None]
                name = (number, key)
                if shapes:
                    entities[name] = shapes
                phrases.append(Phrase(_span(part, text), name if shapes else None))
            captions.append(Caption(number, text, phrases))
        return Picture(size, captions, entities)

    def _size(self, image_id: str) -> Size:
        """The size that the run lengths of an image give, or else a file of sizes."""
        for entry in self._captions[image_id]:
            for part, field, masks in _grounded(entry):
                for mask in masks:
                    if isinstance(mask, dict) and "size" in mask:
                        return outline_size(part, field, mask)
        self._sizes.require([image_id], self.documents[0])
        return self._sizes.get(image_id)


def _grounded(entry: Entry) -> list[tuple[Entry, str, list[Any]]]:
    """The phrases of a caption, each with the field of its masks, and these."""
    if "groundings" in entry:
        values = Entry(entry.place, str(entry), "groundings", entry.value("groundings")).values
        parts = [Entry(entry.place, f"{entry}: phrase", phrase, value) for phrase, value in values.items()]
        return [(part, "rle_masks", part.items("rle_masks")) for part in parts]
    parts = entries(entry.place, f"{entry}: reference", entry.value("refs"), "sentence")
    return [(part, "segmentation", [part.value("segmentation")]) for part in parts]


def _span(part: Entry, text: str) -> list[tuple[int, int]]:
    """The words of a phrase; of a reference without marks, where its sentence first stands."""
    if "token_positives" in part:
        return part.spans(part.value("token_positives"), "token_positives", text)
    sentence = part.text("sentence").strip().lower()
    start = text.lower().find(sentence) if sentence else -1
    if start < 0 or len(text.lower()) != len(text):
        part.fail(f"its sentence {sentence[:40]!r} is not in the caption")
    return [(start, start + len(sentence))]


def _shape(part: Entry, field: str, mask: Any, size: Size) -> Shape | None:
    """A mask and the box that encloses it; None if it has no pixel."""
    from attneval.geometry.strips import Strips

    counts = rasterised(part, field, mask, size)
    box = Strips.from_mask(counts, size[1]).bounds
    return None if box is None else Shape(box, partial(_kept, counts))


def _kept(counts: bytes, size: Size) -> bytes:  # noqa: ARG001 - the mask was made for its image
    return counts
