"""Relevance sets of retrieval: JSON files that list, for each query, the ids of the answers that are relevant to it.

CxC and ECCV Caption are such files, two a set: `cxc_image_to_caption.json` and `cxc_caption_to_image.json`. Which of
the two a file is follows from whose ids its keys are, its name only names the set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.documents import Document
from attneval.groundtruth.entry import Entry
from attneval.metrics.relevance import FIELD, LONGEST_NAME, SET_NAME

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LAYOUT = 'a relevance set is JSON, {"QUERY ID": [ids of relevant answers], ...}'
_SIDES = "image|images|img|imgs|caption|captions|cap|text|txt"
_DIRECTION = re.compile(rf"(^|[_.-])((?:{_SIDES})[_-]?(?:to|2)[_-]?(?:{_SIDES})|i2t|t2i)(?=$|[_.-])")


@record
class ListedAnswers:
    """The relevant answers that a file lists for q queries.

    Attributes:
        path: The file.
        name: The name of the set that it is a part of.
        query: The queries' ids, each once.
        offset: i8[q+1], the first answer of each query.
        answer: The answers' ids, each once for a query.
        empty: Queries for which nothing is listed; they are not among the others.
    """

    path: Path
    name: str
    query: list[str]
    offset: NDArray[np.int64]
    answer: list[str]
    empty: tuple[str, ...] = ()

    def owners(self, captions: Container[str] | None = None) -> dict[str, str] | None:
        """Find the image of each caption, if each caption has one: as in the sets that only list an image's own.

        Args:
            captions: Ids of captions, to tell the file's direction by; without them lists of several answers do.

        Returns:
            The image's id by the caption's; None where a caption has several, or images cannot be told from captions.
        """
        size = np.diff(self.offset)
        once = len(set(self.answer)) == len(self.answer)
        single = bool((size == 1).all())
        if captions is not None:
            of_images = _share(self.answer, captions) > _share(self.query, captions)
        else:
            of_images = not single
            if single and once:
                return None
        if of_images:
            repeated = np.repeat(np.arange(len(self.query)), size).tolist()
            return {c: self.query[row] for c, row in zip(self.answer, repeated, strict=True)} if once else None
        return dict(zip(self.query, self.answer, strict=True)) if single else None


def read_relevance(path: Path) -> ListedAnswers:
    """Read a file of a relevance set.

    Raises:
        GroundTruthError: It is none, or its name names no set.
    """
    return listed_answers(Document(path), set_name(path))


def listed_answers(document: Document, name: str) -> ListedAnswers:
    """Take the relevant answers of a document.

    Args:
        document: JSON of the layout `{query id: [answer ids]}`.
        name: The name of the set.

    Raises:
        GroundTruthError: It has another layout, or lists an answer twice.
    """
    if not isinstance(document.data, dict):
        raise GroundTruthError(f"{document} holds no object with queries", hint=LAYOUT)
    entry = Entry(document, "relevance set", name, document.data)
    queries: dict[str, list[str]] = {}
    for key, values in document.data.items():
        query = entry.as_key(key, "a query")
        if query in queries:
            entry.fail(f"query {query} is there twice, in two spellings")
        field = f"query {query}"
        queries[query] = [entry.as_key(value, field) for value in entry.as_list(values, field)]
        if len(set(queries[query])) < len(queries[query]):
            twice = next(one for one in queries[query] if queries[query].count(one) > 1)
            entry.fail(f"query {query} lists {twice} twice")
    kept = {query: answers for query, answers in queries.items() if answers}
    if not kept:
        raise GroundTruthError(f"{document} lists no relevant answer for any query", hint=LAYOUT)
    return ListedAnswers(
        document.path,
        name,
        list(kept),
        np.concatenate(([0], np.cumsum([len(answers) for answers in kept.values()]))),
        [answer for answers in kept.values() for answer in answers],
        tuple(query for query, answers in queries.items() if not answers),
    )


def set_name(path: Path) -> str:
    """Name the set of a file: `cxc` for `cxc_image_to_caption.json`.

    Raises:
        GroundTruthError: Nothing is left that a metric could be named by.
    """
    stem = _DIRECTION.sub("", path.stem.lower())
    name = re.sub(r"[^a-z0-9.]+", "_", stem).strip("_.")
    if not SET_NAME.fullmatch(name) or name == FIELD:
        raise GroundTruthError(
            f"{path} gives its relevance set no name that metrics can begin with",
            hint=f"call it NAME_image_to_caption.json, NAME of up to {LONGEST_NAME} letters and digits",
        )
    return name


def direction_of(listed: ListedAnswers, image_id: Container[str], caption_id: Container[str]) -> str:
    """Tell whose ids the queries are: `i2t` for images, `t2i` for captions.

    Args:
        listed: A file; some numbers may be ids of an image and of a caption.
        image_id: The images' ids.
        caption_id: The captions' ids.

    Raises:
        GroundTruthError: Its ids are of neither, or of both alike.
    """
    i2t = _share(listed.query, image_id) + _share(listed.answer, caption_id)
    t2i = _share(listed.query, caption_id) + _share(listed.answer, image_id)
    if i2t == t2i:
        raise GroundTruthError(
            f"{listed.path}: whether its queries are images or captions cannot be told: of {len(listed.query)} queries "
            f"(first: {first_of(listed.query)}) and {len(listed.answer)} answers (first: {first_of(listed.answer)}) "
            + ("none has the id of an image or a caption" if not i2t else "as many have ids of images as of captions"),
            hint="ids of captions are those of --caption-ids, ids of images those of --image-ids or of the export",
        )
    return "i2t" if i2t > t2i else "t2i"


def _share(ids: Iterable[str], known: Container[str]) -> float:
    listed = list(ids)
    return sum(name in known for name in listed) / len(listed)
