"""Phrases that begin or end inside a white-space word have the tokens of their own span."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.evaluation.score import score
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.result import Result

QUICK = Options(resamples=0, cache=False, items=True)
LEFT, RIGHT, EVEN = [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]
BOXES = {"left": [0, 0, 50, 80], "right": [50, 0, 50, 80]}


def scored(
    folder: Path, text: str, phrases: dict[str, str], tokens: list[tuple[str, list[float]]], **rules: Any
) -> Result:
    """The score of one caption; phrases by their text, `_` beside it for the side of the image that they name."""
    annotations, spans = [], []
    for number, (phrase, side) in enumerate(phrases.items()):
        start = text.index(phrase)
        spans.append([[start, start + len(phrase)]])
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": BOXES[side],
                "tokens_positive": spans[-1],
            }
        )
    image = {"id": 1, "width": 100, "height": 80, "caption": text, "original_id": 1, "tokens_positive_eval": spans}
    data = {"images": [image], "annotations": annotations, "categories": []}
    (folder / "gt.json").write_text(json.dumps(data), "utf-8")
    with ExportWriter(folder / "maps.npz", normalised_over="regions") as out:
        out.add_image("1", size=(100, 80), boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
        weights = np.array([row for _, row in tokens], np.float32)
        out.add_caption("1", weights, index=0, tokens=[token for token, _ in tokens])
    return score(folder / "maps.npz", folder / "gt.json", protocol=Protocol(**rules), options=QUICK)


@pytest.mark.parametrize("unit", ["word", "phrase"])
@pytest.mark.parametrize(
    ("text", "phrases", "tokens"),
    [
        (
            "男人站在红色汽车旁边",
            {"男人": "left", "红色汽车": "right"},
            [("男人", LEFT), ("站在", EVEN), ("红色", RIGHT), ("汽车", RIGHT), ("旁边", EVEN)],
        ),
        (
            "a dog/cat runs",
            {"dog": "left", "cat": "right"},
            [("a", EVEN), ("dog", LEFT), ("/", EVEN), ("cat", RIGHT), ("runs", EVEN)],
        ),
        ("man-woman", {"man": "left", "woman": "right"}, [("man", LEFT), ("-", EVEN), ("wo", RIGHT), ("man", RIGHT)]),
        # Punctuation beside a word is no part of it, and changes nothing.
        (
            "(dog), cat!",
            {"dog": "left", "cat": "right"},
            [("(", EVEN), ("dog", LEFT), (")", LEFT), ("cat", RIGHT), ("!", RIGHT)],
        ),
    ],
)
def test_a_phrase_has_the_tokens_of_its_span(
    tmp_path: Path, unit: str, text: str, phrases: dict[str, str], tokens: list[tuple[str, list[float]]]
) -> None:
    result = scored(tmp_path, text, phrases, tokens, unit=unit)
    assert result["f1"] == 1.0
    assert result.counts["items"] == result.counts["phrases"] == len(phrases)


def test_a_token_across_the_border_belongs_to_both(tmp_path: Path) -> None:
    result = scored(tmp_path, "dogcat", {"dog": "left", "cat": "left"}, [("do", LEFT), ("gca", LEFT), ("t", LEFT)])
    assert result["f1"] == 1.0
    result = scored(tmp_path, "dogcat", {"dog": "left", "cat": "right"}, [("do", LEFT), ("gca", RIGHT), ("t", RIGHT)])
    # The mean over "do" and "gca" looks at both sides alike, which attends to both: precision 1/2, recall 1.
    assert result["f1"] == pytest.approx((2 / 3 + 1) / 2)


def test_a_whole_word_beside_its_parts(tmp_path: Path) -> None:
    tokens = [("dog", LEFT), ("/", EVEN), ("cat", RIGHT), ("x", EVEN)]
    result = scored(tmp_path, "dog/cat x", {"dog": "left", "dog/cat x": "right"}, tokens)
    # The part is an item, and so are both words of the other phrase.
    assert result.counts["items"] == 3
    assert result.items is not None
    spans = [[int(edge) for edge in span] for span in result.items.item_span]
    assert sorted(spans) == [[0, 3], [0, 7], [8, 9]]


def test_a_part_without_letters_is_no_item(tmp_path: Path) -> None:
    tokens = [("dog", LEFT), ("/", EVEN), ("cat", RIGHT)]
    result = scored(tmp_path, "dog/cat", {"/": "left", "cat": "right"}, tokens)
    assert result.counts["items"] == 1


def test_parts_that_have_no_token_are_named(tmp_path: Path) -> None:
    tokens = [("男人", LEFT), ("站在", EVEN)]
    text, phrases = "男人站在红色汽车旁边", {"男人": "left", "红色汽车": "right"}
    with pytest.raises(Exception, match=r"1 of 2 annotated words have no token in .*'红色汽车'"):
        scored(tmp_path, text, phrases, tokens)
    assert scored(tmp_path, text, phrases, tokens, missing="zero")["f1"] == 0.5
