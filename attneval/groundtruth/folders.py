"""The files of a Flickr30k Entities release: two folders, in a directory or in a zip file."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Protocol

from attneval.errors import GroundTruthError
from attneval.storage.zip_files import ZipReader, reading_zip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEEDED = "each image needs Annotations/<id>.xml and Sentences/<id>.txt"


class Files(Protocol):
    """The two folders, in a directory or in a zip file."""

    path: Path

    def read(self, name: str) -> bytes:
        """The bytes of `Annotations/x.xml` or `Sentences/x.txt`."""

    def image_ids(self) -> list[str]:
        """The images that have annotations."""

    changed_ns: int
    """When a file that `state` looked at last changed; 0 where that says it by content."""

    def state(self, image_ids: Sequence[str]) -> str:
        """Give something that changes when the files of these images do, without reading them."""


class Directory:
    """`Annotations/` and `Sentences/` in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed_ns = 0
        self._prefix = f"{path}/"

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        with open(self._prefix + name, "rb", buffering=0) as file:  # noqa: PTH123 - twice as fast as Path, per file
            return file.read()

    def state(self, image_ids: Sequence[str]) -> str:
        """Names, sizes and times of change of the images' files."""
        digest = hashlib.sha256(str(self.path.resolve()).encode("utf-8", "surrogateescape"))
        for image_id in image_ids:
            for name in (f"Annotations/{image_id}.xml", f"Sentences/{image_id}.txt"):
                stat = os.stat(self._prefix + name)  # noqa: PTH116 - see read
                self.changed_ns = max(self.changed_ns, stat.st_mtime_ns, stat.st_ctime_ns)
                digest.update(b"%d %d %d %d\n" % (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
        return digest.hexdigest()

    def image_ids(self) -> list[str]:
        """The images that have annotations."""
        names = os.listdir(f"{self._prefix}Annotations")  # noqa: PTH208 - of all files of a release, see read
        return sorted(name[:-4] for name in names if name.endswith(".xml"))


class Zip:
    """`Annotations/` and `Sentences/` in a zip file, at its top or one level down.

    Raises:
        GroundTruthError: It is no zip file, or its directory is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed_ns = 0  # checksums are of the content
        hint = "it may be cut off or damaged; fetch it again"
        with reading_zip(f"{path} is no zip file with Annotations/ and Sentences/", error=GroundTruthError, hint=hint):
            self._zip = ZipReader(path)
        self._names = [name for name in self._zip.namelist() if not name.startswith("__MACOSX/")]
        first = next((name for name in self._names if re.search(r"(^|/)Annotations/[^/]+\.xml$", name)), "")
        self._prefix = first.rpartition("Annotations/")[0]

    def read(self, name: str) -> bytes:
        """The bytes of one member."""
        with reading_zip(f"{self.path} has no readable {name}", error=GroundTruthError, hint=NEEDED):
            return self._zip.read(self._prefix + name)

    def state(self, image_ids: Sequence[str]) -> str:  # noqa: ARG002 - the directory of a zip says it of all
        """Names, sizes and checksums of all members."""
        digest = hashlib.sha256()
        for info in self._zip.infolist():
            digest.update(f"{info.filename} {info.file_size} {info.CRC}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def image_ids(self) -> list[str]:
        """The images that have annotations."""
        head = f"{self._prefix}Annotations/"
        return sorted(name[len(head) : -4] for name in self._names if name.startswith(head) and name.endswith(".xml"))
