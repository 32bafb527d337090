"""Region descriptions of Visual Genome: each is a caption of its own, and all of it is the phrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.groundtruth.entry import Entry, entries
from attneval.groundtruth.heads import head_span
from attneval.groundtruth.image_sizes import Sizes, sizes_for
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import whole

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_visual_genome(files: Files, reading: Reading) -> RecordSource:
    """Open `region_descriptions.json`; sizes are in `image_data.json`, or the export's."""
    return RecordSource("visual-genome", Regions(only(files, "regions"), sizes_for(files, reading), reading), reading)


class Regions:
    """The images of region descriptions, under the numbers of Visual Genome."""

    categories = Categories()
    warnings = ()

    def __init__(self, document: Document, sizes: Sizes, reading: Reading) -> None:
        self.documents = (document,)
        self._sizes = sizes
        self._heads = reading.expression == "head"
        self._regions: dict[str, list[Entry]] = {}
        for image in entries(document, "image", document.data):
            image_id = image.key("id" if "id" in image else "image_id")
            listed = self._regions.setdefault(image_id, [])
            listed += entries(document, f"image {image_id}: region", image.value("regions"), "region_id")

    def image_ids(self) -> Iterable[str]:
        """All images with regions."""
        return self._regions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._sizes.get(image_id)
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = []
        for number, region in enumerate(self._regions[image_id]):
            text = region.text("phrase")
            values = [region.value(field) for field in ("x", "y", "width", "height")]
            box = region.corner_box(values, "x, y, width, height", size)
            if box is not None:
                entities[box] = (Shape(box),)
            spans = head_span(text) if self._heads else whole(text)
            captions.append(Caption(number, text, [Phrase(spans, box)] if spans else []))
        return Picture(size, captions, entities)
