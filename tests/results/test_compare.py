"""Comparisons: of the fixtures, of results small enough to work out by hand, and through the command."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from results import image_sums, made, of_f1, scored, spec

from attneval import Protocol
from attneval.errors import MismatchError, NothingToScoreError
from attneval.metrics.declaration import ATTENTION, RETRIEVAL
from attneval.metrics.registry import metrics
from attneval.report.compare import compare_dict, compare_lines, compare_page, letter, p_text
from attneval.report.delimited import render_csv
from attneval.report.latex import render_latex
from attneval.report.markdown import render_markdown
from attneval.report.plain import render_plain
from attneval.results.compare import compare
from attneval.results.comparison import Comparison, Line, System
from attneval.statistics.bootstrap import draw, intervals

if TYPE_CHECKING:
    from attneval.results.comparison import Difference
    from attneval.results.result import Result

Columns = dict[str, list[float]]
QUICK: dict[str, Any] = {"resamples": 50, "trials": 50}


def of(*results: Result) -> list[System]:
    return [System(result.name, (result,)) for result in results]


def line_of(comparison: Comparison, metric: str) -> Line:
    return next(line for line in comparison.lines if line.metric == metric)


def change_of(comparison: Comparison, metric: str, system: int = 1) -> Difference:
    difference = line_of(comparison, metric).differences[system]
    assert difference is not None
    return difference


@pytest.fixture(scope="module")
def three() -> Comparison:
    return compare(of(*(scored(name) for name in ("good", "noisy", "twin"))))


# ---------------------------------------------------------------- of the fixtures


def test_a_worse_checkpoint_differs_significantly(three: Comparison) -> None:
    line, change = line_of(three, "f1"), change_of(three, "f1", 1)
    assert change.delta < -0.05
    assert change.ci is not None
    assert change.ci[0] < change.delta < change.ci[1] < 0
    # The smallest p that 10,000 trials can give, and Holm over three pairs times six headline metrics at most.
    assert change.p == 1 / 10_001
    assert change.p_holm is not None
    assert change.p < change.p_holm <= 18 / 10_001 * (1 + 1e-12)
    assert line.better_than == ((1,), (), (1,))


def test_checkpoints_of_equal_quality_do_not(three: Comparison) -> None:
    for metric in ("f1", "ap", "precision", "recall", "pointing", "rsum"):
        change = change_of(three, metric, 2)
        assert (change.p if change.p_holm is None else change.p_holm) > 0.05, metric
        assert change.ci is not None
        assert change.ci[0] < 0 < change.ci[1], metric
        assert 2 not in line_of(three, metric).better_than[0]
        assert 0 not in line_of(three, metric).better_than[2]


def test_what_is_compared_by_default(three: Comparison) -> None:
    # Of relevance sets other tests may have made some.
    chosen = metrics(*ATTENTION, RETRIEVAL)
    had = [metric.name for metric in chosen if metric.compared]
    assert [line.metric for line in three.lines] == had
    assert (three.images, three.trials, three.alpha) == (60, 10_000, 0.05)
    assert three.signature == Protocol(overlap="iou").signature()
    assert three.signatures == (three.signature,) * 3
    assert three.family == ("f1", "ap", "pointing", "i2t_r@1", "t2i_r@1", "rsum")
    assert three.notes == ()


def test_values_and_intervals_are_those_of_the_results(three: Comparison) -> None:
    for system, name in enumerate(three.names):
        result = scored(name)
        bounds = intervals([spec(line.metric) for line in three.lines], draw(result.scores.sums))
        for line in three.lines:
            assert line.values[system] == result[line.metric]
            assert line.intervals[system] == pytest.approx(bounds[line.metric])


def test_holm_is_taken_over_all_pairs_and_metrics(three: Comparison) -> None:
    alone = compare(of(scored("good"), scored("noisy")), names=["f1"])
    assert change_of(alone, "f1").p == change_of(alone, "f1").p_holm
    assert change_of(three, "f1", 1).p == change_of(alone, "f1").p
    # Of a family of 18 whose smallest values tie, the smallest is multiplied by 18.
    assert change_of(three, "f1", 1).p_holm == pytest.approx(18 / 10_001)


# ---------------------------------------------------------------- by hand


def test_values_changes_wins_and_best_by_hand() -> None:
    base = of_f1("base", [0.2, 0.6, 1.0, 0.0], [1, 2, 1, 0])
    other = of_f1("other", [0.5, 0.6, 0.0, 0.0], [1, 2, 1, 0])
    better = of_f1("better", [1.0, 2.0, 1.0, 0.0], [1, 2, 1, 0])
    comparison = compare(of(base, other, better), **QUICK)
    (line,) = comparison.lines
    assert line.values == pytest.approx((1.8 / 4, 1.1 / 4, 1.0))
    assert line.best == (2,)
    found = [
        (round(d.delta, 12), d.wins, d.ties, d.losses) for d in line.differences if d is not None
    ]  # the fourth image has no item, and counts for nobody
    assert found == [(-0.175, 1, 1, 1), (0.55, 2, 1, 0)]
    assert line.differences[0] is None


def test_the_interval_of_a_change_is_paired() -> None:
    # The systems differ by 0.1 on every image, however different the images are.
    base = of_f1("base", [0.1, 0.5, 0.9, 0.3])
    other = of_f1("other", [0.2, 0.6, 1.0, 0.4])
    comparison = compare(of(base, other))
    change = change_of(comparison, "f1")
    assert change.ci == pytest.approx((0.1, 0.1))
    own = line_of(comparison, "f1").intervals[0]
    assert own is not None
    assert own[1] - own[0] > 0.3


def test_the_interval_of_a_change_by_a_loop() -> None:
    random = np.random.default_rng(8)
    items = random.integers(1, 5, 20).astype(float)
    values = [(random.random(20) * items).tolist() for _ in range(2)]
    comparison = compare(of(*(of_f1(n, v, items.tolist()) for n, v in zip("ab", values, strict=True))), resamples=300)
    changes = []
    for drawn in np.random.default_rng(12345).integers(0, 20, (300, 20)).tolist():
        below = sum(items[i] for i in drawn)
        changes.append(sum(values[1][i] for i in drawn) / below - sum(values[0][i] for i in drawn) / below)
    assert change_of(comparison, "f1").ci == pytest.approx(tuple(np.quantile(changes, [0.025, 0.975])))


def test_shared_best() -> None:
    results = [of_f1(name, [0.5, value]) for name, value in (("a", 0.5), ("b", 0.25), ("c", 0.5))]
    assert compare(of(*results), **QUICK).lines[0].best == (0, 2)


def test_lower_is_better_for_ranks_and_entropy() -> None:
    many = 30
    columns = {"scored": [1.0] * many, "entropy_n": [1.0] * many, "i2t_n": [1.0] * many}
    low = made("low", image_sums(columns | {"entropy": [0.2] * many, "i2t_rank": [1.0] * many}))
    high = made("high", image_sums(columns | {"entropy": [0.4] * many, "i2t_rank": [3.0] * many}))
    comparison = compare(of(high, low), names=["entropy", "i2t_meanr"])
    for metric, delta in (("entropy", -0.2), ("i2t_meanr", -2.0)):
        line, change = line_of(comparison, metric), change_of(comparison, metric)
        assert change.delta == pytest.approx(delta)
        assert (change.wins, change.ties, change.losses) == (many, 0, 0)
        assert line.best == (1,)
        assert line.better_than == ((), (0,))


def test_median_ranks_beside_other_metrics() -> None:
    ones = {"f1": [0.5] * 3, "scored": [1.0] * 3}
    base = made("base", image_sums(ones, {"i2t": [[1.0], [5.0], [9.0]], "t2i": [[1.0], [5.0], [9.0]]}))
    other = made("other", image_sums(ones, {"i2t": [[1.0], [2.0], [9.0]], "t2i": [[1.0], [2.0], [9.0]]}))
    comparison = compare(of(base, other), names=["f1", "i2t_medr"])
    line = line_of(comparison, "i2t_medr")
    assert line.values == (5, 2)
    assert line.best == (1,)
    text = render_plain(compare_page(comparison))
    # A median is no sum over images, so no image wins it.
    assert re.search(r"^i2t_medr +5\.0 +2\.0 +-3\.0 .*\d$", text, re.MULTILINE)
    assert "0/0/0" not in text


def test_median_ranks_alone() -> None:
    comparison = compare(of(scored("good"), scored("noisy")), names=["i2t_medr", "t2i_medr"], **QUICK)
    assert change_of(comparison, "t2i_medr").delta > 0


def test_letters_ask_for_significance_at_the_level_asked_for() -> None:
    # All five images agree: of 32 swaps only two are as large, so p is about 1/16.
    results = of(of_f1("a", [0.1] * 5), of_f1("b", [0.2] * 5))
    assert compare(results).lines[0].better_than == ((), ())
    assert compare(results, alpha=0.1).lines[0].better_than == ((), (0,))


def test_identical_systems() -> None:
    comparison = compare([System("a", (scored("good"),)), System("b", (scored("good"),))], **QUICK)
    for line in comparison.lines:
        change = line.differences[1]
        assert change is not None
        assert (change.delta, change.ci, change.p) == (0, (0, 0), 1)
        assert change.p_holm == (1 if line.metric in comparison.family else None)
        assert (change.wins, change.losses) == (0, 0)
        assert line.best == (0, 1)
        assert line.better_than == ((), ())


def test_one_image() -> None:
    comparison = compare(of(of_f1("a", [0.0]), of_f1("b", [1.0])))
    change = change_of(comparison, "f1")
    assert (change.delta, change.ci, change.p) == (1, None, 1)
    assert comparison.lines[0].intervals == (None, None)
    text = render_plain(compare_page(comparison))
    assert "note: 1 image is few" in text
    assert "[" not in text.split("\n\n")[1]


def test_metrics_undefined_for_some_images_and_for_all() -> None:
    # Only the first image has something to compare with, and nothing has a relevant region in the second system.
    base: Columns = {"f1": [0.5, 0.5], "scored": [1, 1], "shuffled_f1": [0.25, 0], "shuffled_n": [1, 0]}
    comparison = compare(
        of(made("a", image_sums(base)), made("b", image_sums(base | {"f1": [0.75, 0.5]}))),
        names=["specificity"],
        **QUICK,
    )
    change = change_of(comparison, "specificity")
    assert change.delta == pytest.approx(0.125)
    assert (change.wins, change.ties, change.losses) == (1, 0, 0)
    shared: Columns = {"entropy": [0.5, 0.5], "entropy_n": [1, 1]}
    nothing = made("c", image_sums(shared | {name: [0, 0] for name in base}))
    whole = made("a", image_sums(shared | base))
    comparison = compare(of(whole, nothing), names=["f1", "specificity", "entropy"], **QUICK)
    for line in comparison.lines[:2]:
        assert line.values[1] is None
        assert line.differences == (None, None)
        assert line.best == (0,)
    assert re.search(r"^f1 +50\.0 +-$", render_plain(compare_page(comparison)), re.MULTILINE)


def test_a_metric_that_only_one_has() -> None:
    ones: Columns = {"f1": [0.5] * 4, "scored": [1.0] * 4}
    whole = made("whole", image_sums(ones | {"ap": [0.2, 0.4, 0.6, 0.8]}))
    comparison = compare(of(of_f1("bare", [0.25] * 4), whole), **QUICK)
    line = line_of(comparison, "ap")
    assert line.values[0] is None
    assert line.values[1] == pytest.approx(0.5)
    assert line.differences == (None, None)
    assert line.intervals[0] is None
    assert change_of(comparison, "f1").delta == 0.25
    assert change_of(comparison, "f1").p == change_of(comparison, "f1").p_holm


def test_systems_that_share_no_metric() -> None:
    retrieval = made("r", image_sums({"i2t_n": [1.0, 1.0], "i2t_r@1": [1.0, 0.0]}))
    comparison = compare(of(of_f1("f", [0.5, 0.5]), retrieval), **QUICK)
    assert line_of(comparison, "f1").values == (0.5, None)
    assert line_of(comparison, "i2t_r@1").values == (None, 0.5)


def test_retrieval_resamples_queries_and_leaves_the_gallery() -> None:
    # Ranks are fixed numbers of the queries: leaving an image out changes no other image's rank.
    columns = {"i2t_n": [1.0, 1, 1], "i2t_rank": [1.0, 3.0, 8.0]}
    a = made("a", image_sums(columns))
    b = made("b", image_sums(columns | {"i2t_rank": [1.0, 3.0, 2.0]}))
    comparison = compare(of(a, b), names=["i2t_meanr"])
    assert line_of(comparison, "i2t_meanr").values == (4, 2)
    bounds = line_of(comparison, "i2t_meanr").intervals[0]
    assert bounds == (1, 8)
    assert change_of(comparison, "i2t_meanr").ci == (-6, 0)


# ---------------------------------------------------------------- what is refused, what is noted


def test_what_cannot_be_compared() -> None:
    good = scored("good")
    with pytest.raises(NothingToScoreError, match=r"nothing to compare.*a base and at least one candidate"):
        compare(of(good))
    with pytest.raises(NothingToScoreError, match="no result has f2"):
        compare(of(good, good), names=["f1", "f2"])
    with pytest.raises(MismatchError, match="best_f1 is tuned on the data"):
        compare(of(good, good), names=["best_f1"])
    with pytest.raises(NothingToScoreError, match="no result has precision"):
        compare(of(made("a", image_sums({"scored": [1.0]})), made("b", image_sums({"scored": [1.0]}))))


def test_differing_protocols() -> None:
    systems = [System("a", (scored("good"),)), System("b", (scored("good", "max:0.5"),))]
    with pytest.raises(MismatchError, match=r"a and b .*threshold uniform against max:0\.5"):
        compare(systems)
    comparison = compare(systems, allow_mismatch=True, names=["f1", "ap"], **QUICK)
    assert comparison.notes == ("different protocols, a against b: threshold uniform against max:0.5",)
    assert change_of(comparison, "f1").delta != 0
    assert change_of(comparison, "ap").delta == 0  # needs no threshold
    assert "note: different protocols" in render_plain(compare_page(comparison))


def test_differing_images() -> None:
    a = of_f1("a", [0.1, 0.2, 0.3], names=["x", "y", "z"])
    b = of_f1("b", [0.5, 0.6, 0.9], names=["w", "y", "z"])
    with pytest.raises(MismatchError, match=r"2 of 4 .*first: w, x"):
        compare(of(a, b))
    comparison = compare(of(a, b), intersect=True, **QUICK)
    assert comparison.images == 2
    assert comparison.lines[0].values == (0.25, 0.75)
    assert comparison.notes == ("compared on the 2 images that all have; 2 were left out",)


def test_partial_results_are_noted() -> None:
    part = dataclasses.replace(of_f1("part", [0.5, 0.4]), partial=True)
    comparison = compare(of(of_f1("whole", [0.5, 0.5]), part), **QUICK)
    assert comparison.notes == ("part is PARTIAL: only some images were scored",)


def test_ranks_follow_when_images_are_dropped() -> None:
    names = ["x", "y", "z"]
    a = made("a", image_sums({"f1": [0, 0, 0], "scored": [1, 1, 1]}, {"i2t": [[1.0], [2.0], [9.0]]}, names))
    b = of_f1("b", [0.5, 0.5], names=["y", "z"])
    comparison = compare(of(a, b), intersect=True, names=["f1", "i2t_medr"], **QUICK)
    assert line_of(comparison, "i2t_medr").values == (5.5, None)


# ---------------------------------------------------------------- as text


@pytest.mark.parametrize(
    ("system", "name"), [(0, "a"), (25, "z"), (26, "aa"), (29, "ad"), (51, "az"), (52, "ba"), (701, "zz"), (702, "aaa")]
)
def test_letters(system: int, name: str) -> None:
    assert letter(system) == name


@pytest.fixture(scope="module")
def thirty() -> Comparison:
    """Thirty systems, each better than all before it on all of 25 images."""
    return compare(of(*(of_f1(f"model {k}", [k / 40] * 25) for k in range(30))), trials=20_000, resamples=10)


def test_thirty_systems_get_letters_up_to_ad(thirty: Comparison) -> None:
    text = render_plain(compare_page(thirty))
    rows = re.findall(r"^([a-z]+)  (model \d+)", text, re.MULTILINE)
    assert rows == [(letter(k), f"model {k}") for k in range(30)]
    assert rows[-1][0] == "ad"
    assert "ad model 29 against a model 0" in text
    assert thirty.lines[0].better_than[29] == tuple(range(29))


def test_marks_of_many_systems_can_be_told_apart(thirty: Comparison) -> None:
    marks = [row.cells[1].mark for row in compare_page(thirty).tables[0].rows]  # type: ignore[union-attr]
    assert re.split(r"[^a-z]+", marks[29]) == [letter(k) for k in range(29)]


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.000"), (0.0495, "0.050"), (0.001, "0.001"), (0.00099, "<0.001"), (1e-9, "<0.001")]
)
def test_p_values_are_never_shown_as_zero(p: float, text: str) -> None:
    assert p_text(p) == text


def braces_are_balanced(text: str) -> bool:
    depth = 0
    for character in re.sub(r"\\[\\{}]", "", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("hostile", ["plain", r"50% & more_#1 {x} \input{y} ~^$<>|", "new\nline [b]"])
def test_latex_is_balanced_and_escaped(hostile: str) -> None:
    comparison = compare(of(of_f1("base", [0.5] * 8), of_f1(hostile, [0.75] * 8)), **QUICK)
    text = render_latex(compare_page(comparison))
    body = "".join(line + "\n" for line in text.splitlines() if not line.startswith("%"))
    assert braces_are_balanced(body)
    opened = re.findall(r"\\(begin|end)\{(\w+)\}", body)
    stack: list[str] = []
    for what, name in opened:
        if what == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert [name for what, name in opened if what == "begin"] == ["table", "tabular"] * 2
    for tabular in re.findall(r"\\begin\{tabular\}\{(l?r*)\}(.*?)\\end\{tabular\}", body, re.DOTALL):
        rows = [line for line in tabular[1].splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(tabular[0]) - 1}
        assert tabular[1].count(r"\toprule") == tabular[1].count(r"\midrule") == tabular[1].count(r"\bottomrule") == 1
    # No special character is left alone: all are behind a backslash or part of a command of ours.
    assert not re.search(r"(?<!\\)[%#$_]", re.sub(r"%.*", "", body.replace(r"\%", "")))
    assert r"\input" not in body
    assert "\nline" not in body
    if hostile == "plain":
        assert "\\textbf{75.0}" in body
        assert "50.0" in body


def test_latex_escapes_by_hand() -> None:
    comparison = compare(of(of_f1("a_b", [0.5] * 8), of_f1("90%", [0.75] * 8)), **QUICK)
    text = render_latex(compare_page(comparison))
    assert r"a  a\_b & 50.0 \\" in text
    assert r"b  90\% & \textbf{75.0}\rlap{\textsuperscript{a}} \\" in text
    assert r"\caption{b 90\% against a a\_b.}" in text
    assert "\n% 8 images\n" in text


def test_names_from_files_move_no_cursor_and_break_no_table() -> None:
    name = "x\x1b[2J\n| evil | **b**"
    page = compare_page(compare(of(of_f1("base", [0.5] * 3), of_f1(name, [0.75] * 3)), **QUICK))
    for text in (render_plain(page), render_markdown(page), render_latex(page)):
        assert "\x1b" not in text
        assert "\n| evil" not in text
    rows = [line for line in render_markdown(page).splitlines() if line.startswith("| b  x")]
    assert len(rows) == 1
    assert re.findall(r"(?<!\\)\|", rows[0]) == ["|"] * 3


def test_json_is_unrounded_and_whole(three: Comparison) -> None:
    values = json.loads(json.dumps(compare_dict(three), allow_nan=False))
    assert values["systems"] == ["good", "noisy", "twin"]
    assert values["schema"] == 1
    f1 = values["metrics"]["f1"]
    assert f1["value"] == {name: scored(name)["f1"] for name in values["systems"]}
    assert f1["better_than"] == {"good": ["noisy"], "noisy": [], "twin": ["noisy"]}
    assert set(f1["difference"]) == {"noisy", "twin"}
    assert f1["difference"]["noisy"] == {
        **{k: v for k, v in dataclasses.asdict(change_of(three, "f1", 1)).items() if k != "ci"},
        "ci": list(change_of(three, "f1", 1).ci or ()),
    }
    assert f1["higher_is_better"] is True


def test_csv_parses_back(three: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(compare_lines(three)))))
    assert len(rows) == 3 * len(three.lines)
    for row in rows:
        line, system = line_of(three, row["metric"]), three.names.index(row["system"])
        assert float(row["value"]) == line.values[system]
        assert (float(row["ci_low"]), float(row["ci_high"])) == line.intervals[system]
        change = line.differences[system]
        if change is None:
            assert [row[key] for key in ("delta", "delta_low", "p", "p_holm", "wins")] == [""] * 5
            continue
        assert float(row["delta"]) == change.delta
        assert (float(row["delta_low"]), float(row["delta_high"])) == change.ci
        assert float(row["p"]) == change.p
        assert row["p_holm"] == ("" if change.p_holm is None else repr(change.p_holm))
        assert [int(row[key]) for key in ("wins", "ties", "losses")] == [change.wins, change.ties, change.losses]


def test_signs_in_tables() -> None:
    base = of_f1("base", [0.5, 0.5])
    comparison = compare(
        of(base, of_f1("up", [0.6, 0.5]), of_f1("down", [0.4, 0.5]), of_f1("same", [0.50001, 0.5])), **QUICK
    )
    text = render_plain(compare_page(comparison))
    changes = re.findall(r"^f1 +50\.0 +\S+ +(\S+)", text, re.MULTILINE)
    assert changes == ["+5.0", "-5.0", "0.0"]


def test_the_page_says_what_letters_mean(three: Comparison) -> None:
    page = compare_page(three, digits=2)
    overview = page.tables[0]
    cells = overview.rows[0].cells  # type: ignore[union-attr]
    f1 = 1 + [line.metric for line in three.lines].index("f1")
    assert (cells[f1].text, cells[f1].mark) == ("70.70", "b")
    assert overview.notes == [  # type: ignore[union-attr]
        "Letters: significantly better than that system (p < 0.05 after Holm).",
        "Holm's family: f1, ap, pointing, i2t_r@1, t2i_r@1, rsum; other p-values are raw and give no letters.",
    ]
    assert ("Best in bold." in render_plain(page), "Best in bold." in render_markdown(page)) == (False, True)
    assert page.lines == ["60 images", f"signature: {three.signature}"]


def test_ten_systems_on_many_images() -> None:
    """All at once is what each pair alone gives, on as many images as a test split has."""
    random = np.random.default_rng(0)
    items = random.integers(1, 9, 1000).astype(float)
    results = [
        made(str(k), image_sums({"scored": items.tolist(), "f1": (items * random.random(1000)).tolist()}))
        for k in range(10)
    ]
    together = compare(of(*results), trials=500, resamples=100)
    for k in (1, 5, 9):
        alone = compare(of(results[0], results[k]), trials=500, resamples=100)
        mine, theirs = change_of(together, "f1", k), change_of(alone, "f1", 1)
        assert dataclasses.replace(mine, p_holm=0) == dataclasses.replace(theirs, p_holm=0)
