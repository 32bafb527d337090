"""Writing the packed layout, caption by caption or batch by batch, without holding the maps in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval._version import __version__
from attneval.errors import ExportError
from attneval.export.content import KINDS, NORMALISED_OVER
from attneval.export.npz import Spool, write_npz
from attneval.export.packed import FORMAT_VERSION
from attneval.files import replacing
from attneval.text import Strings, offsets_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self


class ExportWriter:
    """Write an attention export as a context manager.

    Maps go to a spool file beside the target as they come; leaving the context puts the finished file in place in one
    step, and an exception leaves whatever was there before.

    Args:
        path: The `.npz` to write.
        kind: `attention`, `similarity`, `relevance` or `logit`.
        normalised_over: `regions`, `tokens` or `none`: the axis over which weights sum to 1.
        channels: Layer and head of each channel, -1 where reduced over; one map per caption by default.
        dtype: `float32`, or `float16` for half the size: enough for weights that sum to 1 over few regions, too
            coarse for similarities, whose largest values then tie.
        about: Whatever else should be known: model, checkpoint, aggregation, preprocess, ...

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "maps.npz"
        >>> with ExportWriter(path, normalised_over="regions", model="scan") as out:
        ...     out.add_image("36979", size=(500, 375), boxes=[[0, 0, 250, 375], [250, 0, 500, 375]])
        ...     out.add_caption("36979", [[0.9, 0.1], [0.2, 0.8]], index=0, tokens=["a", "dog"])
        >>> sorted(np.load(path))[:3]
        ['attention', 'attention_offset', 'caption_image']
    """

    def __init__(
        self,
        path: str | Path,
        *,
        kind: str = "attention",
        normalised_over: str = "none",
        channels: Sequence[tuple[int, int]] = ((-1, -1),),
        dtype: str = "float32",
        **about: Any,
    ) -> None:
        if kind not in KINDS or normalised_over not in NORMALISED_OVER:
            raise ExportError(
                f"kind {kind!r} with normalised_over {normalised_over!r} does not exist",
                hint=f"kind is {', '.join(KINDS)}; normalised_over is {', '.join(NORMALISED_OVER)}",
            )
        if np.dtype(dtype) not in {np.dtype(np.float32), np.dtype(np.float16)}:
            raise ExportError(f"dtype {dtype!r} cannot be stored", hint="use float32 or float16")
        self.path = Path(path)
        self._dtype = np.dtype(dtype)
        self._header = {"format": "attneval", "version": list(FORMAT_VERSION), "kind": kind}
        self._header |= {"normalised_over": normalised_over, "writer": f"attneval {__version__}"} | about
        self._channels = np.array(channels, np.int16).reshape(-1, 2)
        self._images: dict[str, int] = {}
        self._sizes: list[tuple[int, int]] = []
        self._boxes: list[NDArray[np.float32]] = []
        self._grids: list[tuple[int, int]] = []
        self._affines: list[tuple[float, float, float, float] | None] = []
        self._captions: dict[str, list[Any]] = {}
        self._spools: dict[str, Spool] = {}
        self._similarity: NDArray[np.floating] | None = None

    def add_image(
        self,
        image_id: str,
        *,
        size: tuple[int, int] | None = None,
        boxes: ArrayLike | None = None,
        grid: tuple[int, int] | None = None,
        affine: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Add an image and its regions.

        Args:
            image_id: The annotation file's stem for Flickr30k Entities, the COCO id for COCO.
            size: Width and height of the original image; for all images or for none.
            boxes: f[R, 4], x1, y1, x2, y2 in pixels of the original image, or
            grid: rows and columns of a patch grid.
            affine: (sx, sy, tx, ty) of the grid: a cell's x edge is `sx * column + tx`. Left out, the grid covers the
                whole image.

        Raises:
            ExportError: The image is there already, or it is described otherwise than those before it.
        """
        if image_id in self._images:
            raise ExportError(f"{self.path}: image {image_id} is added twice")
        if (boxes is None) == (grid is None):
            raise ExportError(f"{self.path}: image {image_id} needs boxes or a grid, and not both")
        mixed = bool(self._images) and (
            (size is None) != (not self._sizes)
            or (grid is None) != (not self._grids)
            or (grid is not None and (affine is None) != (self._affines[0] is None))
        )
        if mixed:
            raise ExportError(f"{self.path}: image {image_id} is not described like the images before it")
        if grid is not None:
            self._grids.append((int(grid[0]), int(grid[1])))
            self._affines.append(affine)
        else:
            box = np.asarray(boxes, np.float32)
            if box.ndim != 2 or box.shape[1] != 4:
                raise ExportError(f"{self.path}: boxes of image {image_id} have shape {box.shape}, expected (R, 4)")
            self._boxes.append(box)
        if size is not None:
            self._sizes.append((int(size[0]), int(size[1])))
        self._images[image_id] = len(self._images)

    def add_caption(
        self,
        image_id: str,
        attention: ArrayLike | None = None,
        *,
        index: int = -1,
        text: str | None = None,
        spans: ArrayLike | None = None,
        tokens: Sequence[str] | None = None,
        attention_i2t: ArrayLike | None = None,
    ) -> None:
        """Add a caption and its map; the same as `add_captions` for one.

        Args:
            image_id: Its image.
            attention: f[T, R], or f[A, T, R] with several channels; None for an export of similarities alone.
            index: Which of its image's captions it is, from 0; -1 if unknown.
            text: The caption's text.
            spans: i[T, 2], each token's half-open code points in `text`, (-1, -1) for special tokens; or
            tokens: the tokens' texts.
            attention_i2t: As `attention`, region-to-word weights, normalised over tokens, not transposed.
        """
        if attention is None:
            self.add_captions([image_id], None, indices=[index], texts=None if text is None else [text])
            return
        weights = np.asarray(attention, self._dtype)
        back = None if attention_i2t is None else np.asarray(attention_i2t, self._dtype)[None]
        self.add_captions(
            [image_id],
            weights[None],
            indices=[index],
            texts=None if text is None else [text],
            spans=None if spans is None else [np.asarray(spans)],
            tokens=None if tokens is None else [tokens],
            attention_i2t=back,
        )

    def add_captions(
        self,
        image_ids: Sequence[str],
        attention: ArrayLike | None,
        *,
        indices: Sequence[int] | None = None,
        texts: Sequence[str] | None = None,
        spans: Sequence[NDArray[np.integer]] | None = None,
        tokens: Sequence[Sequence[str]] | None = None,
        attention_i2t: ArrayLike | None = None,
    ) -> None:
        """Add a batch of captions as a model gives them, padded.

        Args:
            image_ids: The image of each of B captions.
            attention: f[B, T, R], or f[B, A, T, R] with several channels. Tokens beyond a caption's own and regions
                beyond its image's are padding.
            indices: Which of its image's captions each is.
            texts: Their texts.
            spans: Per caption i[T_c, 2].
            tokens: Per caption the texts of its T_c tokens.
            attention_i2t: As `attention`.

        Raises:
            ExportError: An image is unknown, or shapes do not fit together.
        """
        count = len(image_ids)
        try:
            rows = np.fromiter(map(self._images.__getitem__, image_ids), np.int64, count)
        except KeyError as error:
            raise ExportError(f"{self.path}: image {error.args[0]} is unknown", hint="call add_image first") from None
        given = {"indices": indices, "texts": texts, "spans": spans, "tokens": tokens}
        columns: dict[str, Any] = {name: values for name, values in given.items() if values is not None}
        for name, values in columns.items():
            if len(values) != count:
                raise ExportError(f"{self.path}: {len(values)} {name} for {count} captions")
        maps = {"attention": attention, "attention_i2t": attention_i2t}
        present = {name for name, values in maps.items() if values is not None}
        if present and "tokens" not in columns and not {"spans", "texts"} <= set(columns):
            raise ExportError(f"{self.path}: captions with maps need tokens, or texts and spans into them")
        if self._captions and set(self._captions) != {*columns, *present, "rows", "lengths"}:
            raise ExportError(f"{self.path}: caption {image_ids[0]}, ... is not described like those before it")
        own = columns.get("tokens", columns.get("spans")) if present else None
        lengths = np.zeros(count, np.int64) if own is None else np.fromiter(map(len, own), np.int64, count)
        for name in sorted(present):
            self._spool(name, np.asarray(maps[name], self._dtype), rows, lengths, image_ids)
            self._captions.setdefault(name, [])
        for name, values in (columns | {"rows": rows, "lengths": lengths}).items():
            self._captions.setdefault(name, []).extend(values)

    def set_similarity(self, similarity: NDArray[np.floating]) -> None:
        """Give the scores f[I, N] of all images with all captions, both in the order in which they are added."""
        self._similarity = similarity

    def close(self) -> None:
        """Put the finished file in place.

        Raises:
            ExportError: The similarity does not fit, or the file cannot be written.
        """
        try:
            members = self._members()
            with replacing(self.path) as file:
                write_npz(file, members)
        finally:
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def _discard(self) -> None:
        for spool in self._spools.values():
            spool.close()

    def _regions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._grids:
            return np.asarray(np.array(self._grids, np.int64).prod(axis=1)[rows])
        return np.fromiter((len(self._boxes[row]) for row in rows.tolist()), np.int64, len(rows))

    def _spool(
        self,
        name: str,
        maps: NDArray[np.floating],
        rows: NDArray[np.int64],
        lengths: NDArray[np.int64],
        image_ids: Sequence[str],
    ) -> None:
        """Append the weights that are no padding, each caption as [A, T, R]."""
        channels = len(self._channels)
        if maps.ndim == 3 and channels == 1:
            maps = maps[:, None]
        regions = self._regions(rows)
        fits = maps.ndim == 4 and maps.shape[:2] == (len(rows), channels)
        if not fits or maps.shape[2] < lengths.max(initial=0) or maps.shape[3] < regions.max(initial=0):
            raise ExportError(
                f"{self.path}: {name} of captions of {image_ids[0]}, ... has shape {maps.shape}, expected "
                f"{len(rows)} captions x {channels} channels x {lengths.max(initial=0)} tokens x "
                f"{regions.max(initial=0)} regions"
            )
        keep = np.arange(maps.shape[2]) < lengths[:, None, None]
        data = maps[np.broadcast_to(keep, maps.shape[:3])]
        if (regions < maps.shape[3]).any():
            own = np.repeat(regions, lengths * channels)
            data = data[np.arange(maps.shape[3]) < own[:, None]]
        if name not in self._spools:
            self._spools[name] = Spool(self.path, self._dtype)
        self._spools[name].append(data)

    def _members(self) -> dict[str, NDArray[Any] | Spool]:
        """Everything that goes into the file, in the order of the format's description."""
        captions = self._captions
        rows, lengths = np.array(captions.get("rows", []), np.int64), np.array(captions.get("lengths", []), np.int64)
        members: dict[str, NDArray[Any] | Spool] = {
            "format": np.frombuffer(json.dumps(self._header).encode("utf-8"), np.uint8),
            **_strings("image_id", list(self._images)),
        }
        if self._sizes:
            members["image_size"] = np.array(self._sizes, np.int32)
        if self._grids:
            members["grid_shape"] = np.array(self._grids, np.int32)
            if self._affines[0] is not None:
                members["grid_affine"] = np.array(self._affines, np.float32)
        elif self._boxes:
            members["region_offset"] = offsets_of(list(map(len, self._boxes)))
            members["region_box"] = np.concatenate(self._boxes)
        members["caption_image"] = rows.astype(np.int32)
        members["caption_index"] = np.array(captions.get("indices", np.full(len(rows), -1)), np.int16)
        if "texts" in captions or "tokens" in captions:
            texts = captions.get("texts") or [" ".join(own) for own in captions["tokens"]]
            members |= _strings("caption_text", texts)
        if self._spools:
            members["token_offset"] = offsets_of(lengths)
            if "tokens" in captions:
                members |= _strings("token_text", [token for own in captions["tokens"] for token in own])
            else:
                members["token_span"] = np.concatenate([*captions["spans"], np.zeros((0, 2))]).astype(np.int32)
            members["channel"] = self._channels
            members["attention_offset"] = offsets_of(lengths * len(self._channels) * self._regions(rows))
            members |= self._spools
        if self._similarity is not None:
            expected = (len(self._images), len(rows))
            if self._similarity.shape != expected:
                raise ExportError(f"{self.path}: similarity has shape {self._similarity.shape}, expected {expected}")
            members["similarity"] = np.asarray(self._similarity, np.float32)
        return members


def _strings(name: str, texts: Sequence[str]) -> dict[str, NDArray[Any] | Spool]:
    data, offset = Strings.of(texts).to_utf8()
    return {name: data, f"{name}_offset": offset}
