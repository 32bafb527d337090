"""Files that are no `.npz`: what they are, and how their content becomes an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import ExportError
from attneval.storage.read_files import open_to_read

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 64
"""Bytes by which a file is recognised."""
_OWN_WRITER = "open it with its own library and write it with attneval.ExportWriter, or with np.savez"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n", "an HDF5 file", "read it with h5py and write it with attneval.ExportWriter, or with np.savez"),
    (
        b"\x93NUMPY",
        "a single array (.npy)",
        (
            "an export also says what its tokens and regions are: np.savez('maps.npz', attn=np.load(FILE), words=..., "
            "caption_ids=..., boxes=...); a matrix of image x caption scores goes to --similarity"
        ),
    ),
    (b"version https://git-lfs", "a Git LFS pointer and not the file itself", "fetch the file: git lfs pull"),
    (b"\x1f\x8b", "a gzip file", "unpack it first: gunzip, or tar -xzf"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it first: zstd -d"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"PAR1", "a Parquet file", _OWN_WRITER),
    (b"ARROW1", "an Arrow file", _OWN_WRITER),
    (b"MATLAB 5", "a MATLAB file", "read it with scipy.io.loadmat and write it with attneval.ExportWriter"),
    (b"SQLite format", "an SQLite database", _OWN_WRITER),
    (b"<", "a page of markup, perhaps the error page of a download", "download the file again"),
)
_PICKLE_HINT = (
    "pickles are never loaded, since that can run any code: load it where you trust it, and write it with "
    "attneval.ExportWriter, or with np.savez"
)


def refuse_other_files(path: Path) -> None:
    """Refuse what is another kind of file than an `.npz`, and say what leads to one.

    Raises:
        ExportError: It is, or it cannot be opened.
    """
    with open_to_read(path, error=ExportError) as file:
        head = file.read(_HEAD)
    kind, hint = _kind(path, head)
    if kind:
        raise ExportError(f"{path} is {kind}, and no .npz file", hint=hint)


def _kind(path: Path, head: bytes) -> tuple[str, str]:
    """The kind of a file and the way from it to an export; empty for a zip file, or if nobody knows."""
    tensors = f"turn it into an export first: attneval pack {path.name} -o {path.stem}.npz"
    if head.startswith(b"PK"):
        return ("a PyTorch file", tensors) if path.suffix in {".pt", ".pth"} and _is_torch_zip(path) else ("", "")
    if not head:
        return "empty", "write it again"
    if head[:1] == b"\x80" and len(head) > 1 and head[1] in range(2, 6):
        return ("a PyTorch file", tensors) if path.suffix in {".pt", ".pth"} else ("a pickle", _PICKLE_HINT)
    if path.suffix == ".safetensors" or (head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**27):
        return "a safetensors file", tensors
    for magic, kind, hint in _KINDS:
        if head.lstrip().startswith(magic):
            return kind, hint
    if head.lstrip()[:1] in {b"{", b"["}:
        return "JSON", "a result of attneval is given to compare, gate or report; annotations to --gt"
    return "", ""


def _is_torch_zip(path: Path) -> bool:
    from attneval.storage.zip_files import ZipReader, reading_zip

    with open_to_read(path, error=ExportError) as file, reading_zip(path, error=ExportError):
        return any(name.endswith("data.pkl") for name in ZipReader(file).namelist())
