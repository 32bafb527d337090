"""Ground truth: one reader per annotation format, one set of columns."""

from __future__ import annotations

import zipfile
from pathlib import Path

from attneval.errors import GroundTruthError
from attneval.groundtruth.columns import GroundTruth, Source

__all__ = ["FORMATS", "GroundTruth", "Source", "open_ground_truth"]

FORMATS = ("entities", "mdetr")


def open_ground_truth(path: str | Path, format: str = "auto", edges: str = "pixel") -> Source:  # noqa: A002
    """Open annotations, finding out their format.

    Args:
        path: A directory with `Annotations/` and `Sentences/` (also one level down), the official `annotations.zip`
            or a directory that holds it, or a grounding JSON file.
        format: `entities` or `mdetr` to force a format, `auto` to look.
        edges: How Flickr30k Entities coordinates become edges, see `Protocol.edges`.

    Raises:
        GroundTruthError: Nothing there is known.
    """
    path = Path(path)
    if not path.exists():
        raise GroundTruthError(f"{path} does not exist", hint="--gt takes a directory, annotations.zip or a JSON file")
    if format == "mdetr" or (format == "auto" and path.is_file() and not _is_zip(path)):
        from attneval.groundtruth.mdetr import Grounding

        return Grounding(path)
    from attneval.groundtruth.entities import Entities
    from attneval.groundtruth.folders import Directory, Zip

    if path.is_file():
        archive = Zip(path)
        if archive.image_ids():
            return Entities(archive, edges)
        raise GroundTruthError(f"{path} is no zip file with Annotations/ and Sentences/")
    for folder in (path, *sorted(child for child in path.iterdir() if child.is_dir())):
        if (folder / "Annotations").is_dir() and (folder / "Sentences").is_dir():
            return Entities(Directory(folder), edges)
    if (path / "annotations.zip").is_file():
        return open_ground_truth(path / "annotations.zip", format, edges)
    raise GroundTruthError(
        f"{path} holds no ground truth of a known format",
        hint="it needs Annotations/ and Sentences/, or annotations.zip; for grounding JSON name the file",
    )


def _is_zip(path: Path) -> bool:
    """Whether a file is meant to be a zip file; one that is cut off is too, and lacks only its end."""
    with path.open("rb") as file:
        return file.read(2) == b"PK" or zipfile.is_zipfile(path)
