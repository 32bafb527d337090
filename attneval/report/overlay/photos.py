"""Photographs by the ids of images, and smaller copies of them."""

from __future__ import annotations

import base64
import io
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attneval.config.extras import to_install
from attneval.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
LONGER_SIDE, QUALITY = 420, 66
SAME_SHAPE = 0.02
"""By how much the proportions of a photograph may differ from the annotated ones: sides are whole pixels."""


@contextmanager
def pillow_needed() -> Iterator[None]:
    """Say what to install where Pillow is missing; around the imports that need it.

    Raises:
        MissingPackageError: It is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("PIL"):
            raise
        raise MissingPackageError("pictures need Pillow, which is not installed", hint=to_install("report")) from error


class Photos:
    """The photographs in a folder, by their file names.

    Args:
        folder: Where they are, in it or in folders within.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder of images", hint="pass the folder that holds the photographs")
        self.folder = folder
        self._by_stem: dict[str, Path] = {}
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                stem, suffix = os.path.splitext(name)  # noqa: PTH122 - many names
                if suffix.lower() in SUFFIXES:
                    self._by_stem.setdefault(stem, Path(parent, name))
        numbered = ((stem.rpartition("_")[2], stem) for stem in self._by_stem)
        self._by_number = {number.lstrip("0"): stem for number, stem in numbered if len(number) == 12}

    def find(self, image_id: str) -> Path | None:
        """The file of an image: named by its id, or as COCO names files (``COCO_val2014_000000000042``)."""
        stem = image_id if image_id in self._by_stem else self._by_number.get(image_id.lstrip("0"), "")
        return self._by_stem.get(stem)

    def sizes(self, image_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Width and height of those of some images that there are."""
        return {name: photo.size for name in image_ids if (photo := self.read(name, None)) is not None}

    def read(self, image_id: str, size: tuple[int, int] | None) -> Image | None:
        """A photograph in colour, the way it was annotated.

        Args:
            image_id: The image.
            size: Its annotated width and height; None if they are not known.

        Returns:
            None if there is none.

        Raises:
            DataError: It cannot be read, or has other proportions.
        """
        path = self.find(image_id)
        return None if path is None else read_photo(path, size)


def read_photo(path: Path, size: tuple[int, int] | None) -> Image:
    """A photograph in colour; turned as its file says only if it was annotated so.

    Raises:
        DataError: It cannot be read, or has other proportions than were annotated.
    """
    with pillow_needed():
        from PIL import Image, ImageOps
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(path) as file:
                stored, turned = (copy.convert("RGB") for copy in (file, ImageOps.exif_transpose(file)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} cannot be read as an image ({error})") from error
    if size is None:
        return stored
    for image in (stored, turned):
        if abs(image.width * size[1] / (image.height * size[0]) - 1) <= SAME_SHAPE:
            return image
    raise DataError(
        f"{path} has {stored.width} x {stored.height} pixels, annotated are {size[0]} x {size[1]}",
        hint="pass the photographs that were annotated, not crops of them",
    )


def shrunk(image: Image, longer: int = LONGER_SIDE) -> Image:
    """A copy whose longer side has at most so many pixels."""
    with pillow_needed():
        from PIL import Image as Images
    factor = min(longer / max(image.size), 1.0)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    return image if size == image.size else image.resize(size, Images.Resampling.LANCZOS)


def as_data_uri(image: Image, suffix: str = "jpeg") -> str:
    """An image within a page: a JPEG, or a PNG where it has see-through parts."""
    buffer = io.BytesIO()
    if suffix == "jpeg":
        image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    else:
        image.save(buffer, "PNG", optimize=True)
    return f"data:image/{suffix};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
