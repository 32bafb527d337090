"""A batch of captured maps as the members of a file, all but its weights, which stay where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.errors import ExportError, first_of
from attneval.export.problems import FileProblems
from attneval.export.read.caption_ids import split_id
from attneval.export.read.reader import open_members
from attneval.storage.archive import Arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

BATCH = Path("batch")
"""What stands for the file in messages."""
MASSLESS = np.zeros((), np.float16)
"""What stands for weights that are not read from the members."""


@record
class CapturedBatch:
    """N captions of I images, as a loop has them.

    Attributes:
        caption_ids: `<image id>#<k>` for the image's caption k, or `<image id>` to find it by its text.
        tokens: Of each caption its tokens: texts, or i[T, 2] or something with such a `span`, half-open code points in
            the caption's text.
        texts: The captions; needed where tokens are spans.
        regions: Of each caption the regions of its image: a grid with `rows`, `cols` and `affine`, several of them, or
            boxes f[R, 4], x1, y1, x2, y2 in pixels of the original image.
        channels: (layer, head) of each channel, -1 where reduced over.
        header: What a file would say of the maps: at least `kind` and `normalised_over`.
        masses: f4[N, A, T], what rows sum to on the regions; None where they are not normalised.
    """

    caption_ids: Sequence[str]
    tokens: Sequence[Any]
    texts: Sequence[str] | None
    regions: Sequence[Any]
    channels: Sequence[tuple[int, int]]
    header: Mapping[str, Any]
    masses: NDArray[np.float32] | None

    @property
    def image_ids(self) -> list[str]:
        """The images, each once."""
        return list(dict.fromkeys(name for name, _ in self._named()))

    def opened(self, image_size: NDArray[np.int64], columns: int) -> AttentionExport:
        """Open the batch as an export whose weights are not there.

        Args:
            image_size: i8[I, 2], width and height of each image by the annotations, 0 where they do not say.
            columns: How many regions the maps have.

        Raises:
            ExportError: The parts do not fit together, or break the format.
        """
        images = {name: row for row, name in enumerate(self.image_ids)}
        named = self._named()
        count = np.array(token_counts(self.tokens), np.int64)
        caption_image = np.array([images[name] for name, _ in named], np.int64)
        members: dict[str, Any] = {
            "format": np.frombuffer(
                json.dumps({"format": "attneval", "version": [1, 1], **self.header}).encode(), np.uint8
            ),
            "image_id": np.array(list(images), np.str_),
            "caption_image": caption_image,
            "caption_index": np.array([number for _, number in named], np.int64),
            "token_offset": offsets_of(count),
            "channel": np.array(self.channels, np.int64).reshape(-1, 2),
            **self._token_members(),
            **self._region_members(caption_image, image_size, columns),
        }
        if (image_size > 0).all():
            members["image_size"] = image_size
        size = count * len(self.channels) * columns
        members["attention_offset"] = offsets_of(size)
        members["attention"] = np.broadcast_to(MASSLESS, (int(size.sum()),))
        if self.masses is not None:
            rows = [of_caption[:, :tokens].reshape(-1) for of_caption, tokens in zip(self.masses, count, strict=True)]
            members["row_mass"] = np.concatenate(rows)
        return open_members(Arrays(BATCH, members), FileProblems(BATCH))

    def _named(self) -> list[tuple[str, int]]:
        """The image of each caption, and the caption's number within it, -1 where it is not said."""
        return named_captions(self.caption_ids)

    def _token_members(self) -> dict[str, Any]:
        by_span = [_has_span(tokens) for tokens in self.tokens]
        if not all(by_span):
            if any(by_span):
                raise ExportError("tokens are texts for some captions and spans for others")
            return {"token_text": np.array([str(token) for tokens in self.tokens for token in tokens], np.str_)}
        if self.texts is None or len(self.texts) != len(self.tokens):
            raise ExportError(
                "tokens are spans, and the captions that they point into are not given", hint="pass texts"
            )
        spans = [np.asarray(_span_of(tokens), np.int64).reshape(-1, 2) for tokens in self.tokens]
        return {"caption_text": np.array(list(map(str, self.texts)), np.str_), "token_span": np.concatenate(spans)}

    def _region_members(
        self, caption_image: NDArray[np.int64], image_size: NDArray[np.int64], columns: int
    ) -> dict[str, Any]:
        """The regions of each image, those of its first caption."""
        first = np.unique(caption_image, return_index=True)[1].tolist()
        chosen = [self.regions[row] for row in first]
        for row, image in enumerate(caption_image.tolist()):
            if not _same(self.regions[row], chosen[image]):
                raise ExportError(
                    f"captions of image {self.image_ids[image]} have different regions",
                    hint="update with one at a time",
                )
        if all(_is_grid(regions) for regions in chosen):
            members: dict[str, Any] = {
                "grid_shape": np.array([(grid.rows, grid.cols) for grid in chosen], np.int64),
                "grid_affine": np.array([grid.affine for grid in chosen], np.float64),
            }
            counts = members["grid_shape"].prod(axis=1)
        else:
            boxes = [_boxes_of(regions, size) for regions, size in zip(chosen, image_size, strict=True)]
            counts = np.array([len(of_image) for of_image in boxes], np.int64)
            members = {"region_box": np.concatenate(boxes), "region_offset": offsets_of(counts)}
        if (counts != columns).any():
            image = int(np.argmax(counts != columns))
            raise ExportError(
                f"image {self.image_ids[image]} has {counts[image]} regions, and the maps have {columns} columns"
            )
        return members


def token_counts(tokens: Sequence[Any]) -> list[int]:
    """Count the tokens of each caption, texts or spans."""
    return [len(_span_of(of_caption)) if _has_span(of_caption) else len(of_caption) for of_caption in tokens]


def named_captions(caption_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Split caption ids `<image id>#<k>` into image and number, -1 where it is not said.

    Raises:
        ExportError: What stands behind the mark is no number.
    """
    split = [split_id(str(name)) for name in caption_ids]
    if bad := [name for name, (_, _, numbered) in zip(caption_ids, split, strict=True) if not numbered]:
        raise ExportError(f"{first_of(bad)} does not end in a caption's number", hint="write '<image id>#<k>'")
    return [(image, number) for image, number, _ in split]


def regions_of(regions: Any, image_ids: Sequence[str]) -> list[Any]:
    """The regions of each caption's image.

    Args:
        regions: Those of the one image, or a sequence or boxes float[B, R, 4] with those of each caption.
        image_ids: The image of each caption.

    Raises:
        ExportError: There are several images, and regions of another number of captions.
    """
    each = list(regions) if isinstance(regions, (list, tuple)) or getattr(regions, "ndim", 0) == 3 else []
    several = len(set(image_ids)) > 1
    # Grids of one image may be its tiles, of which no two are the same.
    if each and len(each) == len(image_ids) and (several or all(_same(one, each[0]) for one in each)):
        return each
    if several:
        raise ExportError(f"regions are given for {len(each)} captions, and there are {len(image_ids)}")
    return [regions] * len(image_ids)


def _has_span(tokens: Any) -> bool:
    return hasattr(tokens, "span") or getattr(tokens, "ndim", 1) == 2


def _span_of(tokens: Any) -> Any:
    return getattr(tokens, "span", tokens)


def _is_grid(regions: Any) -> bool:
    return hasattr(regions, "affine")


def _same(regions: Any, other: Any) -> bool:
    if regions is other:
        return True
    if _is_grid(regions) != _is_grid(other):
        return False
    if _is_grid(regions) and _is_grid(other):
        return all(getattr(regions, name) == getattr(other, name) for name in ("rows", "cols", "affine"))
    return np.array_equal(_edges_of(regions), _edges_of(other))


def _edges_of(regions: Any) -> NDArray[np.float64]:
    """The edges f8[R, 4] of regions, which may lie outside the image."""
    if hasattr(regions, "edges"):
        return np.asarray(regions.edges(), np.float64)
    if isinstance(regions, (list, tuple)) and all(hasattr(grid, "edges") for grid in regions) and regions:
        return np.concatenate([np.asarray(grid.edges(), np.float64) for grid in regions])
    if hasattr(regions, "detach"):
        regions = regions.detach().cpu().double().numpy()
    boxes = np.asarray(regions, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ExportError(f"regions have the shape {boxes.shape}", hint="give a grid, grids, or boxes of shape (R, 4)")
    return boxes


def _boxes_of(regions: Any, size: NDArray[np.int64]) -> NDArray[np.float32]:
    """The boxes f4[R, 4] of regions; cells are clipped to their image, as they are when they are written."""
    edges = _edges_of(regions)
    if isinstance(regions, (list, tuple)) or hasattr(regions, "edges"):
        if not (size > 0).all():
            raise ExportError("the sizes of images are not annotated, and cells cannot be clipped", hint="give boxes")
        edges = np.clip(edges, 0.0, np.tile(size, 2).astype(np.float64))
    return edges.astype(np.float32)
