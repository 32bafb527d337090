"""Numbers and ids of any library, as what is stored of them.

Tensors are recognised by what they can do, so that no library is imported for their sake.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray


def plain_array(values: ArrayLike) -> NDArray[Any]:
    """The values as an array, whether they are lists, arrays, or tensors on any device, with gradients or without.

    Values of bfloat16, which numpy lacks, become single precision.
    """
    if isinstance(values, np.ndarray):
        return _without_brain_floats(values)
    if isinstance(values, list | tuple) and len(values) and _is_tensor(values[0]):
        return np.stack([plain_array(value) for value in values])
    tensor: Any = values
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if getattr(tensor, "is_sparse", False):
            tensor = tensor.to_dense()
        if dtype_of(values) == "bfloat16":
            tensor = tensor.float()
        if hasattr(tensor, "resolve_neg"):
            tensor = tensor.resolve_conj().resolve_neg()
    elif hasattr(tensor, "__cuda_array_interface__") and hasattr(tensor, "get"):
        tensor = tensor.get()
    return _without_brain_floats(np.asarray(tensor))


def _without_brain_floats(values: NDArray[Any]) -> NDArray[Any]:
    # To numpy, the type of another package is of no kind; names are made up each time, which takes longer.
    return values.astype(np.float32) if values.dtype.kind == "V" and values.dtype.name == "bfloat16" else values


def _is_tensor(value: object) -> bool:
    return hasattr(value, "detach") or hasattr(value, "__cuda_array_interface__")


def dtype_of(values: ArrayLike) -> str:
    """The name of the type of an array or a tensor, or of the first of several; empty for plain numbers."""
    while isinstance(values, list | tuple) and len(values):
        values = values[0]
    if isinstance(values, np.ndarray) and values.dtype.char in _NAMES:
        return _NAMES[values.dtype.char]
    return str(getattr(values, "dtype", "")).rpartition(".")[2]


_NAMES = {"e": "float16", "f": "float32", "d": "float64"}
"""Of types by their characters; numpy makes up a name each time."""


def numbers(values: ArrayLike, dtype: Any, what: str) -> NDArray[Any]:
    """Numbers as an array of a type, or of the type they have if `dtype` is None.

    Raises:
        ExportError: They are none, of unequal lengths, or too large for it.
    """
    try:
        given = plain_array(values)
        wanted = given.dtype if dtype is None else np.dtype(dtype)
        if dtype is None and given.dtype.kind in "fiu":
            return given
        if given.dtype.kind in "fiu" and np.can_cast(given.dtype, wanted):
            return given.astype(wanted, copy=False)
        if dtype is None:
            raise ExportError(f"{what}: holds {given.dtype}, expected numbers")
        if given.size and given.dtype.kind not in ("iu" if wanted.kind == "i" else "fiu"):
            raise ExportError(f"{what}: holds {given.dtype}, expected {wanted}")
        if wanted.kind == "f":
            with np.errstate(over="raise"):
                return given.astype(wanted)
        array = given.astype(wanted)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        stored = "numbers" if dtype is None else np.dtype(dtype)
        raise ExportError(f"{what}: cannot be stored as {stored} ({error})") from None
    if not (given == array).all():
        raise ExportError(f"{what}: {given[given != array][0]} does not fit into {wanted}")
    return array


def id_texts(ids: Iterable[object]) -> list[Any]:
    """Ids as texts, whole numbers in decimal; what is neither is left for others to refuse."""
    listed = list(ids)
    return listed if set(map(type, listed)) <= {str} else [_id_text(value) for value in listed]


def _id_text(value: Any) -> Any:
    if isinstance(value, str):
        # numpy's strings are printed otherwise in messages.
        return str(value)
    if isinstance(value, bool):
        return value
    try:
        return str(operator.index(value))
    except (TypeError, ValueError):
        return value
