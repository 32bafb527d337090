"""Score an export against annotations: the main job, from files to a result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.errors import AlignmentError, DataError, ExportError, NothingToScoreError
from attneval.evaluation.run import Run
from attneval.evaluation.score_block import Inputs, open_exports
from attneval.results.notes import NO_ANNOTATIONS, NO_MAPS, NO_SIMILARITIES, Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.results.result import Result

    Pathlike = str | Path

__all__ = ["Options", "fit_problems", "score"]


def score(
    attn: Pathlike | Sequence[Pathlike] | None = None,
    gt: Pathlike | None = None,
    *,
    protocol: Protocol | None = None,
    boxes: Pathlike | None = None,
    similarity: Sequence[Pathlike] = (),
    split: Pathlike | None = None,
    gt_format: str = "auto",
    options: Options | None = None,
) -> Result:
    """Score an attention export, its similarities, or both.

    Args:
        attn: The export; several are shards of one.
        gt: The annotations; without them attention is not scored.
        protocol: How; the defaults by default.
        boxes: Region boxes for an export without any.
        similarity: Similarity files in place of the export's own matrix; several are averaged.
        split: A text file of image ids, one a line: only these count, and all of them must be there.
        gt_format: `entities` or `mdetr` to force the annotations' format.
        options: What changes no number.

    Returns:
        The result; what could not be scored is said in its notes.

    Raises:
        AttnevalError: The input cannot be read or does not fit together, or nothing in it can be scored.
    """
    run = Run(protocol or Protocol(), options or Options())
    paths = tuple(run.input("attn", path) for path in _listed(attn))
    boxes = None if boxes is None else run.input("boxes", boxes)
    wanted = None if split is None else _read_ids(run.input("split", split))
    export = open_exports(paths, boxes) if paths else None
    run.notes += map(Note, export.warnings if export is not None else ())
    attention = None
    if export is not None and export.maps and gt is not None:
        inputs = Inputs(paths, boxes, Path(gt), gt_format, run.protocol, run.options.items)
        attention = run.attention(export, inputs, wanted)
    elif gt is None:
        run.notes.append(NO_ANNOTATIONS)
    else:
        run.notes.append(NO_MAPS)
    # What comes afterwards is imported and done while other processes score the maps.
    from attneval.evaluation.assemble import rank, result_of
    from attneval.export.read.similarity import open_similarity, similarity_of

    ranked = None
    matrix = similarity_of(export) if export is not None else None
    if similarity:
        matrix, assumed = open_similarity([run.input("similarity", path) for path in similarity], export)
        run.notes += map(Note, assumed)
    run.begin_hashing()
    if matrix is not None:
        ranked = rank(run, matrix, wanted)
    else:
        run.notes.append(NO_SIMILARITIES)
    if attention is not None:
        attention()
    named = [*paths, *map(Path, similarity)]
    return result_of(run, export, ranked, default_name=named[0].stem if named else "")


def fit_problems(
    attn: Pathlike,
    gt: Pathlike,
    *,
    boxes: Pathlike | None = None,
    split: Pathlike | None = None,
    gt_format: str = "auto",
) -> list[str]:
    """Everything that keeps an export from being scored against annotations, as one list.

    Raises:
        AttnevalError: The export or the annotations cannot be read at all.
    """
    run = Run(Protocol(missing="skip"), Options(resamples=0))
    paths = (run.input("attn", attn),)
    boxes = None if boxes is None else run.input("boxes", boxes)
    wanted = None if split is None else _read_ids(run.input("split", split))
    try:
        export = open_exports(paths, boxes)
        inputs = Inputs(paths, boxes, Path(gt), gt_format, run.protocol)
        if export.maps:
            run.attention(export, inputs, wanted)()
        else:
            run.images(export, inputs.open_source(), inputs.gt, wanted)
    except (ExportError, AlignmentError, NothingToScoreError) as error:
        run.notes.append(Note(str(error)))
    return [note.problem for note in run.notes]


def _listed(attn: Pathlike | Sequence[Pathlike] | None) -> list[Pathlike]:
    if attn is None:
        return []
    return [attn] if isinstance(attn, str | Path) else list(attn)


def _read_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of image ids ({error})") from error
    return list(dict.fromkeys(lines))
