"""Which results may be compared, and on which images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exports import assert_says
from results import image_sums, of_f1

from attneval import Protocol, Result, compare
from attneval.errors import MismatchError, NothingToScoreError
from attneval.results.comparability import check_protocols, common_images, distinct, notes_on_exports, restricted

BASE = of_f1("base", [0.5, 0.5])


def refusal(*systems: tuple[str, object]) -> MismatchError:
    with pytest.raises(MismatchError) as caught:
        check_protocols(systems, way_out="pass --allow-mismatch")  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("names", "otherwise", "found"),
    [
        (["a", "b"], ["x", "y"], ["a", "b"]),
        (["a", "a"], ["x", "y"], ["x", "y"]),
        (["a", "b", "a"], ["x", "y", "x"], ["x", "y", "x (2)"]),
        (["a", "a", "a (2)", "a"], [], ["a", "a (2)", "a (2) (2)", "a (3)"]),
    ],
)
def test_names_that_tell_systems_apart(names: list[str], otherwise: list[str], found: list[str]) -> None:
    assert distinct(names, otherwise) == found


def test_equal_protocols_have_nothing_to_say() -> None:
    assert check_protocols([("a", BASE), ("b", of_f1("b", [0.1]))]) == []


def test_fields_that_differ_are_named_with_both_values() -> None:
    other = of_f1("other", [0.5, 0.5], protocol=Protocol(iou=0.3, threshold="max:0.5"))
    error = refusal(("a", BASE), ("c", BASE), ("b", other))
    assert_says(str(error), "a and b", "iou 0.5 against 0.3", "threshold uniform against max:0.5", "--allow-mismatch")
    assert "pool" not in str(error)
    notes = check_protocols([("a", BASE), ("b", other)], allow_mismatch=True)
    assert notes == ["different protocols, a against b: iou 0.5 against 0.3, threshold uniform against max:0.5"]


def test_annotations_of_another_kind_are_another_protocol() -> None:
    entities, mdetr = (of_f1("x", [0.5], ground_truth=kind) for kind in ("entities", "mdetr"))
    assert_says(str(refusal(("a", entities), ("b", mdetr))), "ground_truth entities against mdetr")
    # A result of retrieval alone has no annotations, and no quarrel with any.
    assert check_protocols([("a", entities), ("b", of_f1("b", [0.5]))]) == []


def test_prompts_and_rows_that_differ_are_noted() -> None:
    def of_export(**model: str) -> Result:
        return dataclasses.replace(BASE, model=model)

    base = of_export(prompt="<image>\nDescribe it. {caption}", rows="token")
    other = of_export(prompt="x" * 200 + "\x1b[31m", rows="predict")
    assert notes_on_exports([("a", base), ("b", base), ("c", BASE)]) == []
    prompts, rows = notes_on_exports([("a", base), ("b", other), ("c", BASE)])
    assert rows == "a and b were exported with different rows of attention: 'token' against 'predict'"
    assert prompts.startswith(
        r"a and b were exported with different prompts: '<image>\nDescribe it. {caption}' against 'xx"
    )
    assert len(prompts) < 200
    assert "\x1b" not in prompts
    # A system that says nothing has no base to differ from.
    assert notes_on_exports([("c", BASE), ("a", base), ("b", other)])[1].startswith("a and b")
    assert any("different rows of attention" in note for note in compare([base, other], trials=99).notes)


def test_partial_results_are_noted_once() -> None:
    part = dataclasses.replace(BASE, partial=True)
    notes = check_protocols([("a", part), ("b", BASE), ("b", part), ("b", part)])
    assert notes == [f"{name} is PARTIAL: only some images were scored" for name in "ab"]


def test_the_same_images() -> None:
    assert common_images([["x", "y"], ["x", "y"]], intersect=False) == (["x", "y"], [])
    assert common_images([["x", "y"], ["x", "y"]], intersect=True) == (["x", "y"], [])


def test_different_images_are_refused_or_dropped() -> None:
    lists = [["a", "b", "c", "d"], ["b", "c", "d", "e"], ["b", "d"]]
    with pytest.raises(MismatchError) as caught:
        common_images(lists, intersect=False)
    # a, c and e are missing somewhere.
    assert_says(str(caught.value), "3 of 5", "(first: a, c, e)", "--intersect")
    kept, notes = common_images(lists, intersect=True)
    assert kept == ["b", "d"]
    assert notes == ["compared on the 2 images that all have; 3 were left out"]
    with pytest.raises(NothingToScoreError, match="no image in common"):
        common_images([["a"], ["b"]], intersect=True)


def test_many_images_are_counted_not_listed() -> None:
    with pytest.raises(MismatchError) as caught:
        common_images([[f"{i:03d}" for i in range(100)], ["000"]], intersect=False)
    assert_says(str(caught.value), "99 of 100", "001, 002, 003, 004, 005 and 94 more")


def test_restriction_takes_columns_and_ranks_along() -> None:
    sums = image_sums(
        {"f1": [1, 2, 3, 4]}, {"i2t": [[10.0], [20.0], [30.0, 31.0], []], "t2i": [[], [7.0], [], [8.0]]}, list("abcd")
    )
    some = restricted(sums, ["d", "c"])
    assert some.image_id == ["d", "c"]
    assert some.columns["f1"].tolist() == [4, 3]
    assert some.ranks["i2t"].image.tolist() == [1, 1]
    assert some.ranks["i2t"].rank.tolist() == [30, 31]
    assert some.ranks["t2i"].image.tolist() == [0]
    assert some.ranks["t2i"].rank.tolist() == [8]
    assert restricted(sums, list("abcd")) is sums
    assert float(np.median(restricted(sums, ["b", "c"]).ranks["i2t"].rank)) == 30
