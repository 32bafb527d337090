"""Members of the export format in other containers than `.npz`, loaded without running anything of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.extras import to_install
from attneval.errors import ExportError, first_of
from attneval.export.read.other_files import refuse_other_files
from attneval.storage.archive import Archive, Arrays
from attneval.storage.read_files import open_to_read, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.storage.archive import Members


def open_members_of(path: Path) -> Members:
    """Open a `.safetensors` or `.pt` file of tensors by member name, or an `.npz`.

    Raises:
        ExportError: It cannot be read, or the package that reads it is not installed.
    """
    if path.suffix == ".safetensors":
        return _arrays_of(path, _safetensors(path))
    if path.suffix in {".pt", ".pth"}:
        return _arrays_of(path, _torch(path))
    refuse_other_files(path)
    return Archive(path)


def _arrays_of(path: Path, arrays: dict[str, tuple[NDArray[Any], str]]) -> Arrays:
    """The members, each of which is given with the name of the type it had if numpy lacks that."""
    dtypes = {name: dtype for name, (_, dtype) in arrays.items() if dtype}
    return Arrays(path, _with_meta(path, {name: array for name, (array, _) in arrays.items()}), dtypes)


def _safetensors(path: Path) -> dict[str, tuple[NDArray[Any], str]]:
    try:
        from safetensors import deserialize
    except ImportError as error:
        raise ExportError(f"{path} needs the package safetensors", hint="pip install safetensors") from error
    data = read_bytes(path, error=ExportError)
    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except Exception as error:  # its errors share no base class but this
        raise ExportError(f"{path} is no safetensors file ({error})") from error
    unsupported = [f"{name} ({tensor['dtype']})" for name, tensor in tensors.items() if tensor["dtype"] not in _DTYPES]
    if unsupported:
        raise ExportError(f"{path}: {first_of(unsupported)} has a type that numpy lacks")
    return {
        name: (_array_of(tensor), "bfloat16" if tensor["dtype"] == "BF16" else "") for name, tensor in tensors.items()
    }


def _array_of(tensor: dict[str, Any]) -> NDArray[Any]:
    stored: NDArray[Any] = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    # A brain float is the upper half of a single-precision one.
    return (stored.astype(np.uint32) << 16).view(np.float32) if tensor["dtype"] == "BF16" else stored


_DTYPES = {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}
_DTYPES |= {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?", "BF16": "<u2"}


def _torch(path: Path) -> dict[str, tuple[NDArray[Any], str]]:
    try:
        import torch
    except ImportError as error:
        raise ExportError(f"{path} needs PyTorch", hint=to_install("train")) from error
    import pickle

    open_to_read(path, error=ExportError).close()
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # What torch says of it advises to load the file all the same.
        raise ExportError(
            f"{path} cannot be loaded without unpickling foreign objects",
            hint="save a dict of plain tensors, text as UTF-8 bytes with offsets",
        ) from error
    except Exception as error:  # whatever the bytes of some other file lead to
        raise ExportError(f"{path} is no file of torch.save, or it is cut off ({type(error).__name__})") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ExportError(f"{path} holds {type(values).__name__}, expected a dict of tensors by member name")
    unsupported = [name for name, value in values.items() if not isinstance(value, torch.Tensor | str | list)]
    if unsupported:
        raise ExportError(f"{path}: {first_of(unsupported)} is neither a tensor nor text")
    arrays = {name: _plain(f"{path}: {name}", value) for name, value in values.items()}
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ExportError(f"{path}: {first_of(objects)} is a list of unequal or foreign things")
    brain = [name for name, value in values.items() if str(getattr(value, "dtype", "")) == "torch.bfloat16"]
    return {name: (array, "bfloat16" if name in brain else "") for name, array in arrays.items()}


def _plain(where: str, value: Any) -> NDArray[Any]:
    """A tensor, or text as nested lists, as an array."""
    try:
        if isinstance(value, str | list):
            return np.array(value)
        value = value.detach().resolve_conj().resolve_neg()
        return np.asarray((value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ExportError(f"{where} is no plain array ({error})") from error


def _with_meta(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The members, `meta` as the text that containers of tensors hold as UTF-8 bytes."""
    meta = arrays.get("meta")
    if meta is None or meta.dtype != np.uint8:
        return arrays
    try:
        return arrays | {"meta": np.array(meta.tobytes().decode("utf-8"))}
    except UnicodeDecodeError as error:
        raise ExportError(f"{path}: meta is no UTF-8 text ({error})") from error
