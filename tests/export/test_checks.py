"""What is checked about weights, boxes and spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says, captions_of, floats, header, packed, padded, problems, saved, utf8

from attneval.errors import ExportError
from attneval.export.checks import check_maps
from attneval.export.problems import FileProblems
from attneval.export.read.reader import blocks_of_captions, find_problems, open_export

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def weights(*changes: tuple[int, float], dtype: str = "f4") -> NDArray[np.floating]:
    """The weights of `packed`, some of them replaced.

    36979#0 has elements 0-5 (3 tokens x 2 regions), 4711#3 has 6-8 (1 x 3), 36979#1 has 9-12 (2 x 2).
    """
    values = packed()["attention"].astype(dtype)
    for place, value in changes:
        values[place] = value
    return values


ALL_TEXT = np.array([[0, 1], [2, 6], [7, 10], [0, 4], [0, 1], [0, 3]], np.int32)
"""The spans of `packed`, without a special token."""


def only(path: Path) -> str:
    (problem,) = problems(path)
    return problem


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("kind", ["attention", "similarity", "relevance", "logit"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_weights_that_are_no_numbers(tmp_path: Path, kind: str, value: float, dtype: str) -> None:
    changes = {"format": header(kind=kind, normalised_over="none"), "attention": weights((3, value), dtype=dtype)}
    problem = only(saved(tmp_path / "maps.npz", packed(**changes)))
    assert_says(problem, "attention:", "NaN or infinite", f"first: 36979#0 token 1 has {value})")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (0, "36979#0 token 0"),
        (5, "36979#0 token 2"),
        (6, "4711#3 token 0"),
        (8, "4711#3 token 0"),
        (12, "36979#1 token 1"),
    ],
)
@pytest.mark.parametrize("value", [np.nan, -0.25, 3.0], ids=["NaN", "negative", "too much"])
def test_tokens_of_ragged_captions_are_named(tmp_path: Path, place: int, name: str, value: float) -> None:
    found = problems(saved(tmp_path / "maps.npz", packed(attention=weights((place, value)))))
    assert len(found) == (2 if value < 0 else 1)
    for problem in found:
        assert_says(problem, f"first: {name}")


def test_both_directions_are_checked(tmp_path: Path) -> None:
    changes = {"attention": weights((6, np.nan)), "attention_i2t": weights((11, np.inf))}
    found = problems(saved(tmp_path / "maps.npz", packed(format=header(kind="relevance"), **changes)))
    assert len(found) == 2
    assert_says(found[0], "attention:", "4711#3 token 0")
    assert_says(found[1], "attention_i2t:", "36979#1 token 1")


def test_huge_numbers_are_numbers(tmp_path: Path) -> None:
    # Their sums overflow; they do not.
    for dtype in ("f2", "f4"):
        huge = np.full(13, np.finfo(dtype).max, dtype)
        changes = {"format": header(kind="logit", normalised_over="none"), "attention": huge}
        assert problems(saved(tmp_path / "maps.npz", packed(**changes))) == []


def test_huge_weights_still_do_not_sum_to_1(tmp_path: Path) -> None:
    huge = weights((0, 3e38), (1, 3e38))
    assert_says(only(saved(tmp_path / "maps.npz", packed(attention=huge))), "sum to 1", "36979#0 token 0")


@pytest.mark.parametrize(("kind", "refused"), [("attention", True), ("similarity", False), ("logit", False)])
def test_negative_weights(tmp_path: Path, kind: str, refused: bool) -> None:
    changes = {"format": header(kind=kind, normalised_over="none"), "attention": weights((7, -1e-6), (12, -2))}
    path = saved(tmp_path / "maps.npz", packed(**changes))
    if refused:
        assert_says(
            only(path),
            "attention:",
            "negative",
            "attention",
            "first: 4711#3 token 0 has -1e-06, 36979#1 token 1 has -2)",
        )
    else:
        assert problems(path) == []


def test_negative_zero_is_not_negative(tmp_path: Path) -> None:
    assert problems(saved(tmp_path / "maps.npz", packed(attention=weights((5, -0.0))))) == []


# ---------------------------------------------------------------- sums


@pytest.mark.parametrize(
    ("dtype", "second", "refused"),
    [
        ("f4", 0.5009, False),
        ("f4", 0.5011, True),
        ("f4", 0.4991, False),
        ("f4", 0.4989, True),
        ("f8", 0.5009, False),
        ("f8", 0.5011, True),
        # the neighbours of 0.503 and 0.497 in half precision
        ("f2", 0.5029296875, False),
        ("f2", 0.50341796875, True),
        ("f2", 0.4970703125, False),
        ("f2", 0.496826171875, True),
    ],
)
def test_how_far_a_sum_may_be_from_1(tmp_path: Path, dtype: str, second: float, refused: bool) -> None:
    path = saved(tmp_path / "maps.npz", packed(attention=weights((3, second), dtype=dtype)))
    if refused:
        assert_says(only(path), "attention:", "sum to 1 over regions", f"36979#0 token 1 sums to {0.5 + second:.4g}")
    else:
        assert problems(path) == []


def test_many_small_halves_are_summed_in_full(tmp_path: Path) -> None:
    # 4096 halves of 1/4096: in half precision a running sum stops far below 1.
    members = padded(
        attn=np.full((1, 1, 64, 64), 1 / 4096, np.float16),
        words=np.array([["a"]]),
        caption_ids=np.array(["1#0"]),
        boxes=None,
        meta=np.array('{"normalised_over": "regions"}'),
    )
    assert problems(saved(tmp_path / "maps.npz", members)) == []


def test_a_transposed_map_is_found(tmp_path: Path) -> None:
    # softmax over two regions for two tokens, stored as regions x tokens
    changes = {"attention": weights((9, 0.125), (10, 0.25), (11, 0.875), (12, 0.75)), "token_span": ALL_TEXT}
    problem = only(saved(tmp_path / "maps.npz", packed(**changes)))
    assert_says(problem, "over regions", "tokens x regions", "36979#1 token 0 sums to 0.375", "token 1 sums to 1.625")


def over_tokens(*changes: tuple[int, float]) -> dict[str, Any]:
    """Changes of `packed`: weights whose columns sum to 1."""
    values = floats(0.25, 0.5, 0.5, 0.25, 0.25, 0.25, 1, 1, 1, 0.125, 0.75, 0.875, 0.25)
    for place, value in changes:
        values[place] = value
    return {"format": header(normalised_over="tokens"), "attention": values}


def test_sums_over_tokens(tmp_path: Path) -> None:
    assert problems(saved(tmp_path / "maps.npz", packed(**over_tokens()))) == []


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        (0, 0.5, "36979#0 region 0 sums to 1.25"),
        (5, 1.25, "36979#0 region 1 sums to 2"),
        (7, 0.5, "4711#3 region 1 sums to 0.5"),
        (9, 0.25, "36979#1 region 0 sums to 1.125"),
        (12, 0, "36979#1 region 1 sums to 0.75"),
    ],
)
def test_regions_are_named_where_sums_go_over_tokens(tmp_path: Path, place: int, value: float, name: str) -> None:
    problem = only(saved(tmp_path / "maps.npz", packed(**over_tokens((place, value)))))
    assert_says(problem, "attention:", "sum to 1 over tokens", f"first: {name})")


def test_rows_where_sums_go_over_tokens(tmp_path: Path) -> None:
    # The weights of `packed` sum to 1 over regions: every column with another sum is named, but for that of the third
    # region of 4711, which has no area.
    members = packed(format=header(normalised_over="tokens"), token_span=ALL_TEXT)
    problem = only(saved(tmp_path / "maps.npz", members))
    assert_says(
        problem,
        "36979#0 region 0 sums to 1.75, 36979#0 region 1 sums to 1.25",
        "4711#3 region 0 sums to 0.5, 4711#3 region 1 sums to 0.5, 36979#1 region 0 sums to 0.125 and 1 more",
    )


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_sums_over_tokens_leave_out_padding_regions(tmp_path: Path, layout: str) -> None:
    if layout == "packed":
        members = packed(**over_tokens((8, 0)))  # the third region of 4711 has no area
    else:
        columns = floats([[0.25, 0.5, 0], [0.5, 0.25, 0], [0.25, 0.25, 0]])
        members = padded(
            attn=columns,
            words=np.array([["a", "b", "c"]]),
            caption_ids=np.array(["1#0"]),
            boxes=padded()["boxes"][:1],
            meta=np.array('{"normalised_over": "tokens"}'),
        )
    assert problems(saved(tmp_path / "maps.npz", members)) == []


@pytest.mark.parametrize(("height", "refused"), [(50, False), (60, True), (None, True)])
def test_cells_of_letterbox_padding_have_no_sum_over_tokens(tmp_path: Path, height: int | None, refused: bool) -> None:
    # Cells are 25 high, the first one ends at the upper edge; the last one begins at 50.
    members = packed(
        **utf8("image_id", "36979"),
        format=header(normalised_over="tokens"),
        image_size=None if height is None else np.array([[100, height]]),
        region_offset=None,
        region_box=None,
        grid_shape=np.array([[4, 1]]),
        grid_affine=floats([100, 25, 0, -25]),
        caption_image=np.array([0]),
        caption_index=np.array([0]),
        **utf8("caption_text", "dog"),
        token_offset=np.array([0, 1]),
        token_span=np.array([[0, 3]]),
        channel=np.array([[0, 0], [0, 1]]),
        attention_offset=np.array([0, 8]),
        attention=floats(0, 1, 1, 0, 0, 1, 1, 0),
    )
    found = problems(saved(tmp_path / "maps.npz", members))
    if refused:
        first = "36979#0 region 3" if height else "36979#0 region 0"
        (problem,) = found
        assert_says(problem, "over tokens", f"first: {first} sums to 0", "36979#0 region 3 sums to 0")
    else:
        assert found == []


def test_weights_that_are_normalised_over_nothing(tmp_path: Path) -> None:
    changes = {"format": header(normalised_over="none"), "attention": weights((0, 17), (4, 0))}
    assert problems(saved(tmp_path / "maps.npz", packed(**changes))) == []


@pytest.mark.parametrize("kind", ["similarity", "relevance", "logit"])
@pytest.mark.parametrize("axis", ["regions", "tokens"])
def test_sums_of_every_kind(tmp_path: Path, kind: str, axis: str) -> None:
    changes = {"format": header(kind=kind, normalised_over=axis), "attention": weights((6, 0.75), (7, 0.75), (8, 0.75))}
    assert_says("\n".join(problems(saved(tmp_path / "maps.npz", packed(**changes)))), f"sum to 1 over {axis}", "4711#3")


@pytest.mark.parametrize("axis", ["regions", "none"])
def test_the_other_direction_sums_over_tokens(tmp_path: Path, axis: str) -> None:
    back = over_tokens((0, 0.5), (7, 0.5))["attention"]
    problem = only(saved(tmp_path / "maps.npz", packed(format=header(normalised_over=axis), attention_i2t=back)))
    assert_says(problem, "attention_i2t:", "over tokens", "36979#0 region 0 sums to 1.25, 4711#3 region 1 sums to 0.5")
    good = packed(format=header(normalised_over=axis), attention_i2t=over_tokens()["attention"])
    assert problems(saved(tmp_path / "maps.npz", good)) == []


def test_a_transposed_other_direction_is_found(tmp_path: Path) -> None:
    assert_says(only(saved(tmp_path / "maps.npz", packed(attention_i2t=weights()))), "attention_i2t", "over tokens")


# ---------------------------------------------------------------- several channels and padding


def channels(axis: str, *changes: tuple[int, float]) -> dict[str, Any]:
    """`packed` with two equal channels: elements 0-11, 12-17 and 18-25."""
    own = weights() if axis == "regions" else over_tokens()["attention"]
    values = np.concatenate([np.tile(block, 2) for block in (own[:6], own[6:9], own[9:])])
    for place, value in changes:
        values[place] = value
    return packed(
        format=header(normalised_over=axis),
        channel=np.array([[3, 0], [3, 1]]),
        attention_offset=np.array([0, 12, 18, 26]),
        attention=values,
    )


@pytest.mark.parametrize("axis", ["regions", "tokens"])
def test_every_channel_sums_to_1(tmp_path: Path, axis: str) -> None:
    assert problems(saved(tmp_path / "maps.npz", channels(axis))) == []


@pytest.mark.parametrize(
    ("axis", "place", "value", "name"),
    [
        ("regions", 0, 0, "36979#0 token 0 sums to 0.75"),
        ("regions", 6, 0, "36979#0 token 0 sums to 0.75"),  # the second channel
        ("regions", 11, 1, "36979#0 token 2 sums to 2"),
        ("regions", 17, 1, "4711#3 token 0 sums to 2"),
        ("regions", 25, 0, "36979#1 token 1 sums to 0"),
        ("tokens", 6, 1.25, "36979#0 region 0 sums to 2"),
        ("tokens", 11, 1.25, "36979#0 region 1 sums to 2"),
        ("tokens", 16, 3, "4711#3 region 1 sums to 3"),
        ("tokens", 25, 0, "36979#1 region 1 sums to 0.75"),
    ],
)
def test_a_flaw_in_any_channel(tmp_path: Path, axis: str, place: int, value: float, name: str) -> None:
    assert_says(only(saved(tmp_path / "maps.npz", channels(axis, (place, value)))), f"first: {name})")


@pytest.mark.parametrize("value", [np.nan, 0.0])
@pytest.mark.parametrize("axis", ["regions", "tokens"])
def test_padding_tokens_may_hold_nothing(tmp_path: Path, axis: str, value: float) -> None:
    columns = floats([[0.5, 0.25], [0.5, 0.75], [0, 0]], [[1, 1], [0, 0], [0, 0]])
    rows = floats([[0.5, 0.5], [0.25, 0.75], [0, 0]], [[0, 1], [0, 0], [0, 0]])
    maps = rows if axis == "regions" else columns
    maps[0, 2] = maps[1, 1:] = value
    members = {
        "attn": maps,
        "words": np.array([["a", "b", ""], ["c", "", ""]]),
        "caption_ids": np.array(["1#0", "2#0"]),
        "meta": np.array(f'{{"normalised_over": "{axis}"}}'),
    }
    assert problems(saved(tmp_path / "maps.npz", members)) == []


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        ((0, 1, 0), np.nan, ("NaN", "1#0 token 1")),
        ((1, 0, 1), -2, ("negative", "2#0 token 0")),
        ((1, 0, 0), 1, ("sum to 1 over regions", "2#0 token 0 sums to 2")),
    ],
)
def test_tokens_before_the_padding_are(tmp_path: Path, place: Any, value: float, parts: tuple[str, ...]) -> None:
    maps = floats([[0.5, 0.5], [0.25, 0.75], [0, 0]], [[0, 1], [0, 0], [0, 0]])
    maps[place] = value
    members = {
        "attn": maps,
        "words": np.array([["a", "b", ""], ["c", "", ""]]),
        "caption_ids": np.array(["1#0", "2#0"]),
        "meta": np.array('{"normalised_over": "regions"}'),
    }
    assert_says("\n".join(problems(saved(tmp_path / "maps.npz", members))), "attn:", *parts)


def test_captions_without_tokens_sum_to_nothing(tmp_path: Path) -> None:
    for axis in ("regions", "tokens"):
        changes = {
            "format": header(normalised_over=axis),
            "caption_image": np.array([0, 0, 0]),
            "caption_index": np.arange(3),
            "token_offset": np.array([0, 0, 1, 1]),
            "token_span": np.array([[0, 3]]),
            "attention_offset": np.array([0, 0, 2, 2]),
            "attention": floats(1, 0) if axis == "regions" else floats(1, 1),
        }
        assert problems(saved(tmp_path / "maps.npz", packed(**changes))) == []


def test_images_without_regions(tmp_path: Path) -> None:
    changes = {
        "region_offset": np.array([0, 2, 2]),
        "region_box": packed()["region_box"][:2],
        "attention_offset": np.array([0, 6, 6, 10]),
        "attention": np.delete(weights(), [6, 7, 8]),
    }
    assert problems(saved(tmp_path / "maps.npz", packed(**changes))) == []


# ---------------------------------------------------------------- boxes


def boxes(row: int, box: list[float]) -> NDArray[np.float32]:
    """The boxes of `packed`, 2 of 36979 (100 x 80) and 3 of 4711 (60 x 50), one of them replaced."""
    found = packed()["region_box"]
    found[row] = box
    return np.asarray(found, np.float32)


@pytest.mark.parametrize(
    ("row", "box", "parts"),
    [
        (0, [50, 0, 0, 80], ("36979 region 0", "[50.0, 0.0, 0.0, 80.0]", "100 x 80")),
        (1, [50, 80, 100, 0], ("36979 region 1",)),
        (1, [50, 0, 100.25, 80], ("36979 region 1", "100.25", "100 x 80")),
        (0, [0, 0, 50, 80.02], ("36979 region 0", "80.02")),
        (2, [0, 0, 100, 80], ("4711 region 0", "60 x 50")),
        (3, [-1, 10, 20, 30], ("4711 region 1", "-1.0")),
        (3, [10, -0.5, 20, 30], ("4711 region 1", "-0.5")),
        (4, [0, 0, np.nan, 5], ("4711 region 2", "nan")),
        (4, [0, 0, np.inf, 5], ("4711 region 2", "inf")),
        (4, [-np.inf, 0, 5, 5], ("4711 region 2", "inf")),
    ],
)
def test_boxes_that_are_none(tmp_path: Path, row: int, box: list[float], parts: tuple[str, ...]) -> None:
    problem = only(saved(tmp_path / "maps.npz", packed(region_box=boxes(row, box))))
    assert_says(problem, "region_box:", "inverted or outside", *parts)


@pytest.mark.parametrize("box", [[0, 0, 100, 80], [0, 0, 100.009, 80.009], [3, 3, 3, 3], [0, 5, 100, 5]])
def test_boxes_that_are_allowed(tmp_path: Path, box: list[float]) -> None:
    assert problems(saved(tmp_path / "maps.npz", packed(region_box=boxes(0, box)))) == []


@pytest.mark.parametrize("box", [[-0.005, 0, 100, 80], [0, -1e-6, 100, 80]])
def test_boxes_may_stand_over_every_edge_a_little(tmp_path: Path, box: list[float]) -> None:
    assert problems(saved(tmp_path / "maps.npz", packed(region_box=boxes(0, box)))) == []


def test_boxes_in_images_of_unknown_size(tmp_path: Path) -> None:
    far = packed(region_box=boxes(0, [900, 900, 901, 901]), image_size=None)
    assert problems(saved(tmp_path / "maps.npz", far)) == []
    problem = only(saved(tmp_path / "maps.npz", packed(region_box=boxes(0, [5, 0, 4, 1]), image_size=None)))
    assert_says(problem, "36979 region 0 [5.0, 0.0, 4.0, 1.0])")


def test_boxes_of_the_padded_layout(tmp_path: Path) -> None:
    members = padded()
    members["boxes"][1, 1] = [20, 10, 10, 30]
    assert_says(only(saved(tmp_path / "maps.npz", members)), "4711 region 1", "[20.0, 10.0, 10.0, 30.0]")
    sized = padded(image_size=np.array([[100, 80], [59, 50]]))
    assert_says(only(saved(tmp_path / "maps.npz", sized)), "4711 region 0", "59 x 50")


def test_boxes_of_the_padded_layout_are_called_as_there(tmp_path: Path) -> None:
    members = padded()
    members["boxes"][1, 1] = [20, 10, 10, 30]
    assert only(saved(tmp_path / "maps.npz", members)).startswith("boxes:")


# ---------------------------------------------------------------- spans


@pytest.mark.parametrize(
    ("row", "span", "name"),
    [
        (0, [0, 11], "36979#0 token 0 has [0, 11)"),
        (2, [10, 12], "36979#0 token 2 has [10, 12)"),
        (2, [7, 11], "36979#0 token 2 has [7, 11)"),  # bytes, of which é has two
        (3, [4, 0], "4711#3 token 0 has [4, 0)"),
        (4, [-1, 2], "36979#1 token 0 has [-1, 2)"),
        (4, [-2, -2], "36979#1 token 0 has [-2, -2)"),
        (5, [2, -1], "36979#1 token 1 has [2, -1)"),
        (5, [0, 2**31 - 1], "36979#1 token 1 has [0, 2147483647)"),
    ],
)
def test_spans_outside_their_text(tmp_path: Path, row: int, span: list[int], name: str) -> None:
    spans = packed()["token_span"]
    spans[row] = span
    problem = only(saved(tmp_path / "maps.npz", packed(token_span=spans)))
    assert_says(problem, "token_span:", "outside", f"first: {name})")


@pytest.mark.parametrize(("row", "span"), [(0, [0, 10]), (2, [10, 10]), (3, [0, 0]), (3, [-1, -1]), (5, [3, 3])])
def test_spans_inside_their_text(tmp_path: Path, row: int, span: list[int]) -> None:
    spans = packed()["token_span"]
    spans[row] = span
    assert problems(saved(tmp_path / "maps.npz", packed(token_span=spans))) == []


def test_spans_count_code_points(tmp_path: Path) -> None:
    texts = utf8("caption_text", "a 😀 dog e\u0301", "cats", "Two")  # ten code points
    spans = packed()["token_span"]
    spans[2] = [8, 10]
    assert problems(saved(tmp_path / "maps.npz", packed(token_span=spans, **texts))) == []
    spans[2] = [8, 11]
    assert_says(only(saved(tmp_path / "maps.npz", packed(token_span=spans, **texts))), "36979#0 token 2 has [8, 11)")


# ---------------------------------------------------------------- all at once


def everything() -> dict[str, Any]:
    spans = packed()["token_span"]
    spans[3] = [0, 9]
    return packed(
        token_span=spans,
        region_box=boxes(3, [0, 0, 61, 50]),
        similarity=floats([1, 2, 3], [4, np.nan, 6]),
        attention=weights((6, -0.5), (7, 1.0), (12, 0.25)),
        attention_i2t=over_tokens((0, np.inf))["attention"],
    )


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    found, export = find_problems(saved(tmp_path / "maps.npz", everything()))
    assert export is not None
    by_member = {problem.split(":")[0]: problem for problem in found if "sum to 1" not in problem}
    assert sorted(by_member) == ["attention", "attention_i2t", "region_box", "similarity", "token_span"]
    assert len(found) == 6
    assert_says(by_member["region_box"], "4711 region 1")
    assert_says(by_member["similarity"], "NaN", "4711")
    assert_says(by_member["token_span"], "4711#3 token 0 has [0, 9)")
    assert_says(by_member["attention"], "negative", "4711#3 token 0")
    assert_says(by_member["attention_i2t"], "infinite", "36979#0 token 0")
    (sums,) = (problem for problem in found if "sum to 1" in problem)
    assert_says(sums, "36979#1 token 1 sums to 0.25")


def test_a_nan_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    changes = {"attention": weights((0, np.nan), (6, -0.5), (12, 0.25))}
    text = "\n".join(problems(saved(tmp_path / "maps.npz", packed(**changes))))
    assert_says(text, "36979#0 token 0", "negative", "4711#3 token 0", "36979#1 token 1 sums to 0.25")


ODD: list[NDArray[Any]] = [
    np.array(5),
    np.zeros(0),
    np.zeros((0, 2), int),
    np.array("x"),
    np.array(["a", "b", "c"]),
    np.array([True, False]),
    np.array([2**63], np.uint64),
    np.array([-1, 2**62]),
    np.array([0, 1, 2, 3]),
    np.full((3, 3, 3), np.nan),
    np.zeros((3, 0, 3), np.float32),
    np.zeros((3, 3, 0), np.float32),
    np.zeros((2, 2, 2, 2, 2), np.float32),
    np.array([b"a"]),
    np.array([1 + 2j]),
    np.frombuffer(b"\xff\x00", np.uint8),
    np.array([], "U5"),
]


@pytest.mark.parametrize("layout", [packed, padded])
def test_any_array_in_place_of_any_member_is_read_or_refused(tmp_path: Path, layout: Any) -> None:
    members = layout(similarity=floats([1, 2, 3], [4, 5, 6]))
    refused = 0
    for name in members:
        for array in ODD:
            path = saved(tmp_path / "maps.npz", {**members, name: array})
            try:
                assert [caption.name for caption in captions_of(open_export(path))]
            except ExportError as error:
                refused += 1
                assert_says(str(error), str(path))
                assert problems(path)
    # Most of them are nonsense wherever they stand; a few fit somewhere.
    assert 0.8 < refused / (len(members) * len(ODD)) < 1


def turned(path: Path, array: NDArray[Any]) -> Path:
    """Reverse the bytes of a member in its file, under a checksum that was made before."""
    data = path.read_bytes()
    assert data.count(array.tobytes()) == 1
    path.write_bytes(data.replace(array.tobytes(), array.tobytes()[::-1]))
    return path


NOTES = np.random.default_rng(1).random(2000)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    problem = only(turned(saved(tmp_path / "maps.npz", packed(x_notes=NOTES)), NOTES))
    assert_says(problem, "x_notes", "damaged", "checksum")


def test_a_wrong_checksum_of_a_small_member_is_found_when_its_header_is_read(tmp_path: Path) -> None:
    path = turned(saved(tmp_path / "maps.npz", packed()), packed()["attention"])
    with pytest.raises(ExportError) as caught:
        find_problems(path)
    assert_says(str(caught.value), str(path), "attention", "CRC")


def test_a_wrong_checksum_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    members = packed(x_notes=NOTES, attention=weights((6, -0.5)))
    text = "\n".join(problems(turned(saved(tmp_path / "maps.npz", members), NOTES)))
    assert_says(text, "x_notes", "checksum", "negative", "4711#3")


def test_a_damaged_member_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    scores = np.random.default_rng(1).random((2, 3))
    np.savez_compressed(path, **packed(attention=weights((6, -0.5)), similarity=scores), x_notes=NOTES)  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    start = data.index(b"x_notes.npy") + 5000
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert_says("\n".join(problems(path)), "x_notes: is damaged", "negative", "4711#3 token 0 has -0.5")


def test_similarities_that_are_no_numbers(tmp_path: Path) -> None:
    scores = floats([np.inf, 2, 3], [4, 5, np.nan])
    problem = only(saved(tmp_path / "maps.npz", packed(similarity=scores)))
    assert_says(
        problem,
        "similarity:",
        "NaN or infinite",
        "first: 36979 with caption 36979#0 has inf, 4711 with caption 36979#1 has nan)",
    )


def test_blocks_add_up(tmp_path: Path) -> None:
    count = 9
    changes = {
        **utf8("image_id", *(f"im{k}" for k in range(count))),
        "image_size": None,
        "region_offset": np.arange(0, 2 * count + 1, 2),
        "region_box": np.tile(floats([0, 0, 1, 1]), (2 * count, 1)),
        "caption_image": np.arange(count),
        "caption_index": np.zeros(count, int),
        **utf8("caption_text", *["dog"] * count),
        "token_offset": np.arange(count + 1),
        "token_span": np.tile([0, 3], (count, 1)),
        "attention_offset": np.arange(0, 2 * count + 1, 2),
        "attention": np.full(2 * count, 0.25, np.float32),
    }
    export = open_export(saved(tmp_path / "maps.npz", packed(**changes)))
    blocks = list(blocks_of_captions(export, block_bytes=16))  # two captions of two floats each
    assert [rows.tolist() for rows in blocks[1:3]] == [[1, 2], [3, 4]]
    assert np.concatenate(blocks).tolist() == list(range(count))
    report = FileProblems(tmp_path / "maps.npz")
    for rows in blocks:
        check_maps(report, export, "t2i", rows, export.maps["t2i"].take(rows))
    names = ", ".join(f"im{k}#0 token 0 sums to 0.5" for k in range(5))
    (problem,) = report.problems
    assert problem.endswith(f"(first: {names} and 4 more)")
    assert report.problems == problems(tmp_path / "maps.npz")


def test_a_caption_larger_than_a_block_is_a_block(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed()))
    assert [rows.tolist() for rows in blocks_of_captions(export, block_bytes=4)] == [[0], [1], [2]]
    assert [rows.tolist() for rows in blocks_of_captions(export)] == [[0, 1, 2]]


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["f8k285_grid.npz", "f8k285_regions.npz"])
def test_real_exports_have_no_problems(shared: Path, name: str) -> None:
    assert problems(shared / name) == []
