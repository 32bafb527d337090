"""Writing the packed layout, caption by caption or batch by batch, without holding the maps in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import ExportError
from attneval.export.write.batch import GivenCaptions, MapFormat
from attneval.export.write.captions import Captions
from attneval.export.write.channels import Channels
from attneval.export.write.description import Description
from attneval.export.write.images import Images
from attneval.export.write.numbers import numbers
from attneval.storage.npz import GrowingNpz

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from attneval.export.write.batch import Mass


class ExportWriter:
    """Write an attention export as a context manager.

    Maps are written as they come, into a file that has no name yet; leaving the context puts it in place in one step,
    and an exception leaves whatever was there before. Processes that are forked meanwhile cannot add to it.

    Args:
        path: The `.npz` to write.
        kind: `attention`, `similarity`, `relevance` or `logit`.
        normalised_over: `regions`, `tokens` or `none`: the axis over which weights sum to 1.
        channels: Layer and head of each channel, -1 where reduced over; one map per caption by default.
        channel_names: A name for each channel, where layer and head do not say it all ("decoder.cross.3", "step 10").
        weights_dtype: The type that the weights had when their rows were normalised; by default that in which they are
            given. Sums of `bfloat16` and `float16` weights are allowed to be farther from 1.
        check: Refuse weights that a reader would: NaN, infinity, negative attention, rows that do not sum to 1.
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
        channel_names: Sequence[str] | None = None,
        dtype: str = "float32",
        weights_dtype: str | None = None,
        check: bool = True,
        **about: Any,
    ) -> None:
        self.path = Path(path)
        self._description = Description(self.path, kind, normalised_over)
        self._description.add(about)
        if dtype not in {"float32", "float16"}:
            raise ExportError(f"dtype {dtype!r} cannot be stored", hint="use float32 or float16")
        self._channels = Channels(self.path, channels, channel_names)
        if self._channels.named:
            self._description.use_version_1_1()
        self._form = MapFormat(
            self.path, np.dtype(dtype), len(self._channels), kind, normalised_over, weights_dtype, check
        )
        self._images = Images(self.path)
        self._given: frozenset[str] = frozenset()
        self._keys: set[int] = set()
        self._captions: list[Captions] = []
        self._similarity: NDArray[np.float32] | None = None
        self._file = GrowingNpz(self.path)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Say more about the model: as the constructor's other arguments, under any key.

        Raises:
            ExportError: A key is one of the format's own, its value cannot be written as JSON, or the file is closed.
        """
        self._file.refuse_if_over()
        self._description.add(about)

    def add_image(
        self,
        image_id: str | int,
        *,
        size: tuple[int, int] | None = None,
        boxes: ArrayLike | None = None,
        grid: tuple[int, int] | None = None,
        affine: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Add an image and its regions; the same as `add_images` for one.

        Args:
            image_id: The annotation file's stem for Flickr30k Entities, the COCO id for COCO.
            size: Width and height of the original image; for all images or for none.
            boxes: f[R, 4], x1, y1, x2, y2 in pixels of the original image, or
            grid: rows and columns of a patch grid.
            affine: (sx, sy, tx, ty) of the grid: a cell's x edge is `sx * column + tx`. Left out, the grid covers the
                whole image.

        Raises:
            ExportError: The image is there already, or described otherwise than those before it; or the file is closed.
        """
        self.add_images(
            [image_id],
            size=None if size is None else [size],
            boxes=None if boxes is None else [boxes],
            grid=None if grid is None else [grid],
            affine=None if affine is None else [affine],
        )

    def add_images(
        self,
        image_ids: Sequence[str | int],
        *,
        size: ArrayLike | None = None,
        boxes: ArrayLike | Sequence[ArrayLike] | None = None,
        grid: ArrayLike | None = None,
        affine: ArrayLike | None = None,
    ) -> None:
        """Add a batch of images and their regions, as a file of features or a loader holds them.

        Args:
            image_ids: B of them.
            size: i[B, 2], or i[2] if all images have the same.
            boxes: f[B, R, 4], or for each image f[R, 4], or
            grid: i[B, 2], or i[2] for all.
            affine: f[B, 4], or f[4] for all.

        Raises:
            ExportError: As for `add_image`; then none of the batch is added.
        """
        self._file.refuse_if_over()
        self._images.add(image_ids, size=size, boxes=boxes, grid=grid, affine=affine)

    def add_caption(
        self,
        image_id: str | int,
        attention: ArrayLike | None = None,
        *,
        index: int = -1,
        text: str | None = None,
        spans: ArrayLike | None = None,
        tokens: Sequence[str] | None = None,
        attention_i2t: ArrayLike | None = None,
        mass: Mass | None = None,
        window: tuple[int, int] | None = None,
        perturbed: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Add a caption and its map: arrays, or tensors on any device.

        Args:
            image_id: Its image.
            attention: f[T, R], or f[T, rows, columns] of a grid; with several channels f[A, T, R] or f[A, T, rows,
                columns]: exactly as many as there are tokens and regions. None for an export of similarities alone.
            index: Which of its image's captions it is, from 0; -1 if unknown.
            text: The caption's text.
            spans: i[T, 2], each token's half-open code points in `text`, (-1, -1) for special tokens; or
            tokens: the tokens' texts.
            attention_i2t: As `attention`, region-to-word weights, normalised over tokens, not transposed.
            mass: f[T], or f[A, T]: what each row summed to on the regions before it was normalised over them; a row of
                mass 0 is undefined. With `"sum"`, `attention` is given as it was before, and normalised here.
            window: (first, count): the regions of its image, counted from its first one, that the map is over, for
                detectors whose boxes depend on the text; by default all of them.
            perturbed: f[K+1] by `deletion`, `deletion_random`, `insertion`, `insertion_random`: the model's score of
                the pair with k/K of the regions removed, or kept, the most attended first, and in random order.

        Raises:
            ExportError: As for `add_captions`, or the shape is not exact; then it is not added.
        """
        self._add(
            GivenCaptions(
                [image_id],
                attention,
                [index],
                None if text is None else [text],
                None if spans is None else [spans],
                None if tokens is None else [tokens],
                attention_i2t,
                mass,
                None if window is None else [window],
                perturbed,
                exact=True,
            )
        )

    def add_captions(
        self,
        image_ids: Sequence[str | int],
        attention: ArrayLike | None,
        *,
        indices: Sequence[int] | None = None,
        texts: Sequence[str] | None = None,
        spans: Sequence[ArrayLike] | None = None,
        tokens: Sequence[Sequence[str]] | None = None,
        attention_i2t: ArrayLike | None = None,
        mass: Mass | None = None,
        windows: ArrayLike | None = None,
        perturbed: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Add a batch of captions as a model gives them, padded.

        Args:
            image_ids: The image of each of B captions.
            attention: f[B, T, R], or f[B, A, T, R] with several channels, R as well as the rows and columns of a grid.
                What lies beyond a caption's tokens and its image's regions is padding and must be zeros.
            indices: Which of its image's captions each is.
            texts: Their texts.
            spans: Per caption i[T_c, 2].
            tokens: Per caption the texts of its T_c tokens.
            attention_i2t: As `attention`.
            mass: f[B, T], or f[B, A, T], or `"sum"`; see `add_caption`.
            windows: i[B, 2], see `add_caption`.
            perturbed: f[B, K+1] by name, see `add_caption`.

        Raises:
            ExportError: An image is unknown, a caption is there already, what is given of them does not fit together or
                is what a reader refuses, or the file is closed; then none of the batch is added.
            DataError: The disk is full; it may show only when more is added, or in the end. Or this process was forked.
        """
        self._add(
            GivenCaptions(image_ids, attention, indices, texts, spans, tokens, attention_i2t, mass, windows, perturbed)
        )

    def _add(self, given: GivenCaptions) -> None:
        if not len(given.image_ids):
            return
        given.refuse_unfit(self.path)
        alike = self._given == given.names
        batch = given.prepared(self._images, self._form) if alike or not self._captions else None
        if batch is None or (self._captions and self._captions[0].steps != batch.captions.steps):
            raise ExportError(f"{self.path}: caption {given.image_ids[0]}, ... is not described like those before it")
        keys = batch.captions.keys_beside(self._keys, lambda row: f"{self.path}: caption {given.name(row)}")
        # Nothing is kept of a batch before all of it has been looked at.
        self._file.append(batch.columns)
        for dtype in batch.dtypes:
            self._description.note_dtype(dtype)
        if given.mass is not None or given.windows is not None or given.perturbed:
            self._description.use_version_1_1()
        self._given = given.names
        self._keys |= keys
        self._captions.append(batch.captions)

    def set_similarity(self, similarity: ArrayLike) -> None:
        """Give the scores f[I, N] of all images with all captions, both in the order in which they are added.

        Raises:
            ExportError: They are no numbers, or the file is closed.
        """
        self._file.refuse_if_over()
        self._similarity = numbers(similarity, np.float32, f"{self.path}: similarity")

    def close(self) -> None:
        """Put the finished file in place, if that has not been done.

        Raises:
            ExportError: The similarity does not fit, or the file was given up.
            DataError: The file cannot be written, or this process was forked from the one that writes it.
        """
        self._file.finish(self._members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._file.discard()

    def _members(self) -> dict[str, NDArray[Any]]:
        """Everything that goes into the file beside the maps, in the order of the format's description."""
        captions = Captions.joined(self._captions)
        if not self._file.growing and self._similarity is None:
            raise ExportError(f"{self.path}: no caption with a map was added, and no similarity was set")
        expected = (len(self._images.row_of), len(captions.image))
        if self._similarity is not None and self._similarity.shape != expected:
            raise ExportError(f"{self.path}: similarity has shape {self._similarity.shape}, expected {expected}")
        members: dict[str, NDArray[Any]] = {
            "format": np.frombuffer(self._description.encoded(), np.uint8),
            **self._images.members(),
        }
        members |= captions.members()
        if self._file.growing:
            members |= captions.token_members() | self._channels.members()
            regions = self._images.regions(captions.image) if captions.window is None else captions.window[:, 1]
            members["attention_offset"] = offsets_of(captions.length * len(self._channels) * regions)
        return members if self._similarity is None else members | {"similarity": self._similarity}
