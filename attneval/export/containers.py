"""Members of the export format in other containers than `.npz`, loaded without running anything of theirs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError, first_of
from attneval.export.archive import Archive, Arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.archive import Members


def open_members_of(path: Path) -> Members:
    """Open a `.safetensors` or `.pt` file of tensors by member name, or an `.npz`.

    Raises:
        ExportError: It cannot be read, or the package that reads it is not installed.
    """
    if path.suffix == ".safetensors":
        return Arrays(path, _safetensors(path))
    if path.suffix in {".pt", ".pth"}:
        return Arrays(path, _torch(path))
    return Archive(path)


def _safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ExportError(f"{path} needs the package safetensors", hint="pip install safetensors") from error
    try:
        return _with_text(dict(load_file(str(path))))
    except Exception as error:  # its errors share no base class but this
        raise ExportError(f"{path} is no safetensors file ({error})") from error


def _torch(path: Path) -> dict[str, NDArray[Any]]:
    try:
        import torch
    except ImportError as error:
        raise ExportError(f"{path} needs PyTorch", hint="pip install 'attneval[train]'") from error
    import pickle

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ExportError(
            f"{path} cannot be loaded without unpickling foreign objects ({str(error).splitlines()[0]})",
            hint="save a dict of plain tensors, text as UTF-8 bytes with offsets",
        ) from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ExportError(f"{path} holds {type(values).__name__}, expected a dict of tensors by member name")
    strange = [name for name, value in values.items() if not isinstance(value, torch.Tensor | str | list)]
    if strange:
        raise ExportError(f"{path}: {first_of(strange)} is neither a tensor nor text")
    arrays = {
        name: np.array(value)
        if isinstance(value, str | list)
        else (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        for name, value in values.items()
    }
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ExportError(f"{path}: {first_of(objects)} is a list of unequal or foreign things")
    return _with_text(arrays)


def _with_text(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The text members of the padded layout, which containers of tensors hold as UTF-8 bytes and offsets."""
    for name in ("caption_ids", "image_ids", "words", "meta"):
        if name in arrays and arrays[name].dtype == np.uint8:
            data = arrays[name].tobytes()
            offset = arrays.pop(f"{name}_offset", None)
            if offset is None:
                arrays[name] = np.array(data.decode("utf-8"))
            else:
                arrays[name] = np.array([data[a:b].decode("utf-8") for a, b in itertools.pairwise(offset.tolist())])
    if "words" in arrays and "attn" in arrays and arrays["words"].ndim == 1:
        arrays["words"] = arrays["words"].reshape(arrays["attn"].shape[:2])
    return arrays
