"""Captions and their maps as they are given to the writer, looked at before anything of them is kept."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.errors import ExportError
from attneval.export.read.tokens import spans_of_tokens
from attneval.export.weight_checks import WeightRules
from attneval.export.write.captions import Captions, caption_name
from attneval.export.write.maps import MapBatch, normalised
from attneval.export.write.numbers import dtype_of, id_texts, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from attneval.export.write.images import Images

    Mass = ArrayLike | Literal["sum"]


@record
class MapFormat:
    """Storage of the maps of an export, and the rules for them.

    Attributes:
        path: The file, for messages.
        dtype: f4 or f2.
        channels: A.
        kind: Of the maps.
        normalised_over: The axis over which they sum to 1.
        weights_dtype: The type that they had when they were normalised; None for that in which they are given.
        check: Whether they are checked.
    """

    path: Path
    dtype: np.dtype[Any]
    channels: int
    kind: str
    normalised_over: str
    weights_dtype: str | None
    check: bool

    @cached_property
    def stored_as(self) -> str:
        """The name of the type that the maps are stored in."""
        return str(self.dtype.name)


@record
class Batch:
    """A batch that is fit to be written.

    Attributes:
        captions: The captions.
        columns: What is appended to members that grow.
        dtypes: The types that weights had, where they are stored in others.
    """

    captions: Captions
    columns: dict[str, NDArray[Any]]
    dtypes: tuple[str, ...]


@record
class GivenCaptions:
    """Arguments of `ExportWriter.add_captions`, or of `add_caption`, whose maps are `exact`: of one caption alone."""

    image_ids: Sequence[str | int]
    attention: ArrayLike | None
    indices: Sequence[int] | None
    texts: Sequence[str] | None
    spans: Sequence[ArrayLike] | None
    tokens: Sequence[Sequence[str]] | None
    attention_i2t: ArrayLike | None
    mass: Mass | None
    windows: ArrayLike | None
    exact: bool

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the arguments that are given."""
        return frozenset(name for name in _DESCRIBING if getattr(self, name) is not None)

    def name(self, row: int) -> str:
        """The name of a caption in messages."""
        return caption_name(self.image_ids, self.indices, row)

    def prepared(self, images: Images, form: MapFormat) -> Batch:
        """Look at the captions and their maps.

        Raises:
            ExportError: An image is unknown, what is given does not fit together, or a reader would refuse it.
        """
        path, ids = form.path, id_texts(self.image_ids)
        try:
            rows = np.fromiter(map(images.row_of.__getitem__, ids), np.int64, len(ids))
        except (KeyError, TypeError):
            unknown = next(name for name in ids if not isinstance(name, str) or name not in images.row_of)
            raise ExportError(f"{path}: image {unknown} is unknown", hint="call add_image first") from None
        window = self._window(images, rows, path)
        captions = Captions.from_arguments(
            rows,
            lambda row: f"{path}: caption {self.name(row)}",
            indices=self.indices,
            texts=self.texts,
            spans=self.spans,
            tokens=self.tokens,
            window=window,
        )
        if self.attention is None:
            return Batch(captions, {}, ())
        first = np.zeros(len(rows), np.int64) if window is None else window[:, 0]
        count = images.regions(rows) if window is None else window[:, 1]
        maps = MapBatch(
            path=path,
            channels=form.channels,
            tokens=captions.length,
            regions=count,
            grid=images.grid(rows),
            exact=self.exact,
            called=self.name,
            special=partial(_special_tokens, captions),
            real=partial(images.real, rows, first, count),
        )
        return self._with_maps(captions, maps, form)

    def _with_maps(self, captions: Captions, maps: MapBatch, form: MapFormat) -> Batch:
        columns: dict[str, NDArray[Any]] = {}
        dtypes = []
        for name, values in (("attention", self.attention), ("attention_i2t", self.attention_i2t)):
            if values is None:
                continue
            dtype = form.weights_dtype or dtype_of(values)
            what = f"{form.path}: {name} of {self.name(0)}" + ", ..." * (len(captions.image) > 1)
            weights, mass = self._weights(values, maps, name, what)
            rows = maps.rows_of(numbers(weights, form.dtype, what), name)
            if mass is not None:
                columns["row_mass"] = mass = maps.masses_of(mass)
                # The rows of mass 0 have no weights; NaN is what dividing by it gives.
                undefined = np.flatnonzero(mass == 0)
                rows[undefined] = np.where(np.isnan(rows[undefined]), 0, rows[undefined])
            columns[name] = maps.cut(rows, name)
            dtypes += [dtype] if dtype != form.stored_as else []
            if form.check:
                direction = "t2i" if name == "attention" else "i2t"
                rules = WeightRules.from_header(form.kind, form.normalised_over, direction, dtype, form.stored_as)
                masses = None if mass is None else np.asarray(mass, np.float64)
                maps.check(rows, columns[name], name, rules, masses)
        # The first member that grows needs no copy in the end, so the largest comes first.
        order = [name for name in ("attention", "attention_i2t", "row_mass") if name in columns]
        return Batch(captions, {name: columns[name] for name in order}, tuple(dtypes))

    def _weights(
        self, values: ArrayLike, maps: MapBatch, name: str, what: str
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The weights as they are stored, and what their rows summed to before, if that is known."""
        weights = self._batched(numbers(values, None, what))
        if self.mass is None or name != "attention":
            return weights, None
        if isinstance(self.mass, str):
            if self.mass != "sum":
                raise ExportError(f"{what}: mass {self.mass!r} is neither numbers nor 'sum'")
            weights, mass = normalised(numbers(weights, np.float64, what), maps.grid)
            return weights, mass.astype(np.float32)
        return weights, self._batched(numbers(self.mass, np.float32, f"{what}: mass"))

    def _batched(self, values: NDArray[Any]) -> NDArray[Any]:
        return values[None] if self.exact else values

    def _window(self, images: Images, rows: NDArray[np.int64], path: Path) -> NDArray[np.int64] | None:
        if self.windows is None:
            return None
        window = numbers(self.windows, np.int64, f"{path}: windows")
        if window.shape != (len(rows), 2):
            raise ExportError(f"{path}: windows have shape {window.shape}, expected ({len(rows)}, 2): (first, count)")
        if not images.has_boxes:
            raise ExportError(f"{path}: caption {self.name(0)} has a window, but its image has a grid, and no boxes")
        stored = images.regions(rows)
        bad = (window < 0).any(axis=1) | (window > stored[:, None]).any(axis=1) | (window.sum(axis=1) > stored)
        if bad.any():
            row = int(np.argmax(bad))
            raise ExportError(
                f"{path}: caption {self.name(row)}: window {window[row].tolist()} is no (first, count) of the "
                f"{stored[row]} regions of its image"
            )
        return window

    def refuse_unfit(self, path: Path) -> None:
        """Refuse arguments that do not fit together.

        Raises:
            ExportError: They are of unlike numbers of captions, or one needs another.
        """
        count = len(self.image_ids)
        for name in ("indices", "texts", "spans", "tokens"):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise ExportError(f"{path}: {len(values)} {name} for {count} captions")
        with_maps = self.attention is not None or self.attention_i2t is not None
        if self.tokens is not None and self.spans is not None:
            raise ExportError(f"{path}: captions need tokens or spans, and not both")
        if with_maps and self.tokens is None and (self.spans is None or self.texts is None):
            raise ExportError(f"{path}: captions with maps need tokens, or texts and spans into them")
        if self.attention is None and self.attention_i2t is not None:
            raise ExportError(f"{path}: attention_i2t of {self.image_ids[0]}, ... stands without attention")
        if self.attention is None and (self.mass is not None or self.windows is not None):
            raise ExportError(f"{path}: mass and windows of {self.image_ids[0]}, ... stand without attention")


_DESCRIBING = ("attention", "indices", "texts", "spans", "tokens", "attention_i2t", "mass", "windows")


def _special_tokens(captions: Captions) -> NDArray[np.bool_]:
    """b[sum T], the tokens of captions that stand for no text."""
    if captions.span is not None:
        return np.asarray(captions.span[:, 1] <= captions.span[:, 0])
    if captions.token is None:
        return np.zeros(int(captions.length.sum()), np.bool_)
    data = np.frombuffer(captions.token.data, np.uint8)
    tokens = Strings.from_utf8(data, offsets_of(captions.token.size))
    _, _, span, unknown = spans_of_tokens(tokens, offsets_of(captions.length))
    return np.asarray((span[:, 1] <= span[:, 0]) & ~unknown)
