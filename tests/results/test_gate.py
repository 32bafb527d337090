"""Rules and verdicts."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from exports import assert_says
from results import image_sums, made, of_f1

import attneval
from attneval.errors import AttnevalError, MismatchError, ProtocolError
from attneval.results.gate import MAX_DROP, Outcome, Rule, Verdict, drop, gate
from attneval.statistics.holm import holm

if TYPE_CHECKING:
    from attneval.results.result import Result

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def result() -> attneval.Result:
    return attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", options=attneval.Options(resamples=0))


def test_the_bound_itself_passes() -> None:
    assert Rule("min", "f1", 0.5).keeps(0.5)
    assert not Rule("min", "f1", 0.5).keeps(0.49999999999999994)
    assert Rule("max", "entropy", 0.5).keeps(0.5)
    assert not Rule("max", "entropy", 0.5).keeps(0.5000000000000001)


def test_the_text_shows_why_a_hair_is_enough() -> None:
    outcome = Outcome(Rule("min", "f1", 0.5), 0.49999999999999994)
    assert str(outcome) == "FAILED: f1 >= 0.5 (is 0.49999999999999994)"


def test_the_verdict_owns_its_exit_code() -> None:
    passed, failed = Outcome(Rule("min", "f1", 0.1), 0.2), Outcome(Rule("min", "f1", 0.3), 0.2)
    codes = [Verdict("x", outcomes).exit_code for outcomes in ((passed,), (passed, failed), (failed,), ())]
    assert codes == [0, 1, 1, 0]


def test_rules_are_judged_on_unrounded_values(result: attneval.Result) -> None:
    value = result["f1"]
    assert value is not None
    exact = gate(result, [Rule("min", "f1", value)])
    assert exact.passed
    assert not gate(result, [Rule("min", "f1", value + 1e-15)]).passed


def test_what_cannot_be_decided_is_no_pass(result: attneval.Result) -> None:
    with pytest.raises(MismatchError, match="PARTIAL"):
        gate(dataclasses.replace(result, partial=True), [Rule("min", "f1", 0.0)])
    scores = dataclasses.replace(result.scores, metrics={})
    with pytest.raises(MismatchError, match="was not measured"):
        gate(dataclasses.replace(result, scores=scores), [Rule("min", "f1", 0.0)])


@pytest.mark.parametrize("text", ["f1", "f1=", "f1=high", "=0.3", "f2=0.3", "f1=nan", "f1=1%", "f1=0.3=0.4", ""])
def test_texts_that_are_no_rules(text: str) -> None:
    with pytest.raises(ProtocolError):
        Rule.parse("min", text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("min", "f1=70"),
        ("min", "f1=-0.1"),
        ("max", "entropy=90"),
        ("max", "rsum=400"),
        ("min", "specificity=-2"),
        ("max-drop", "f1=2"),
        ("max-drop", "f1=200%"),
        ("max-drop", "entropy=1.5"),
    ],
)
def test_bounds_that_decide_nothing_are_refused(kind: str, text: str) -> None:
    with pytest.raises(ProtocolError, match=r"decides nothing.*fractions.*not percent"):
        Rule.parse(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("min", "f1=0"),
        ("max", "f1=1"),
        ("max", "i2t_medr=500"),
        ("max-drop", "i2t_meanr=200"),
        ("max-drop", "i2t_meanr=300%"),
        ("max-drop", "specificity=150%"),
        ("max-drop", "specificity=2"),
        ("max-drop", "f1=100%"),
    ],
)
def test_bounds_at_the_end_of_a_range(kind: str, text: str) -> None:
    assert Rule.parse(kind, text).kind == kind


# ---------------------------------------------------------------- reading rules


@pytest.mark.parametrize(
    ("kind", "text", "rule"),
    [
        ("min", "f1=0.45", Rule("min", "f1", 0.45)),
        ("min", "specificity=-0.1", Rule("min", "specificity", -0.1)),
        ("max", "i2t_medr=3", Rule("max", "i2t_medr", 3)),
        ("max-drop", "f1=0.01", Rule("max-drop", "f1", 0.01)),
        ("max-drop", "f1=0", Rule("max-drop", "f1", 0)),
        ("max-drop", "i2t_r@1=2%", Rule("max-drop", "i2t_r@1", 0.02, relative=True)),
    ],
)
def test_reading_rules(kind: str, text: str, rule: Rule) -> None:
    assert Rule.parse(kind, text) == rule


@pytest.mark.parametrize("text", ["f1=-0.01", "f1=-1%", "f1=%", "f1=nan%", "f1=1%%"])
def test_texts_that_are_no_drops(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Rule.parse(MAX_DROP, text)
    assert_says(str(caught.value), f"--max-drop {text!r} is no rule", "f1=0.01 or f1=2%")


def test_a_metric_that_is_nearly_one() -> None:
    with pytest.raises(ProtocolError, match=r"'f11' does not exist; did you mean f1\?"):
        Rule.parse("min", "f11=0.3")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("min", "f1", 0.1), "f1 >= 0.1"),
        (Rule("max", "entropy", 0.9), "entropy <= 0.9"),
        (Rule("max-drop", "f1", 0.01), "f1 drops by at most 0.01"),
        (Rule("max-drop", "f1", 0.02, relative=True), "f1 drops by at most 2 %"),
        (Rule("max-drop", "f1", 0.07, relative=True), "f1 drops by at most 7 %"),
        (Rule("max-drop", "f1", 0.0125, relative=True), "f1 drops by at most 1.25 %"),
    ],
)
def test_rules_as_text(rule: Rule, text: str) -> None:
    assert str(rule) == text


# ---------------------------------------------------------------- drops

# Fractions of two, so that nothing is rounded.
DROPS = [
    ("max-drop", "f1=0.125", 0.5, 0.375, True),  # exactly the bound
    ("max-drop", "f1=0.125", 0.5, 0.37499999999999994, False),
    ("max-drop", "f1=0", 0.5, 0.5, True),
    ("max-drop", "f1=0", 0.5, 0.49999999999999994, False),
    ("max-drop", "f1=0", 0.5, 0.75, True),  # better is no drop
    ("max-drop", "f1=25%", 0.5, 0.375, True),
    ("max-drop", "f1=25%", 0.5, 0.37499999999999994, False),
    ("max-drop", "f1=25%", 0.0, 0.0, True),  # a share of nothing is nothing
    ("max-drop", "specificity=50%", -0.25, -0.375, True),  # the share is of the size
    ("max-drop", "specificity=50%", -0.25, -0.5, False),
    # Where lower is better a rise is a drop.
    ("max-drop", "i2t_medr=1", 3.0, 4.0, True),
    ("max-drop", "i2t_medr=1", 3.0, 4.000000000000001, False),
    ("max-drop", "i2t_medr=1", 3.0, 1.0, True),
    ("max-drop", "i2t_meanr=50%", 2.0, 3.0, True),
    ("max-drop", "i2t_meanr=50%", 2.0, 3.5, False),
    ("max-drop", "entropy=0.25", 0.5, 0.875, False),
    ("max-drop", "entropy=0.25", 0.5, 0.125, True),
]


@pytest.mark.parametrize(("kind", "text", "baseline", "value", "passes"), DROPS)
def test_drops(kind: str, text: str, baseline: float, value: float, passes: bool) -> None:
    rule = Rule.parse(kind, text)
    assert rule.keeps(value, baseline) is passes
    assert Outcome(rule, value, baseline).passed is passes


def test_drops_have_a_direction() -> None:
    assert drop("f1", 0.25, 0.5) == 0.25
    assert drop("entropy", 0.25, 0.5) == -0.25


def test_the_text_of_a_drop_has_all_digits() -> None:
    outcome = Outcome(Rule.parse(MAX_DROP, "f1=25%"), 0.37499999999999994, 0.5)
    assert str(outcome) == (
        "FAILED: f1 drops by at most 25 % (is 0.37499999999999994, was 0.5, drop 0.12500000000000006 of 0.125)"
    )


def flat(name: str, f1: float, images: int = 40, **fields: Any) -> Result:
    return of_f1(name, [f1] * images, **fields)


def test_a_drop_against_a_baseline() -> None:
    rules = [Rule.parse(MAX_DROP, "f1=0.125"), Rule.parse("min", "f1=0.25"), Rule.parse(MAX_DROP, "f1=10%")]
    verdict = gate(flat("now", 0.375), rules, flat("then", 0.5))
    assert [outcome.passed for outcome in verdict.outcomes] == [True, True, False]
    assert [outcome.baseline for outcome in verdict.outcomes] == [0.5, None, 0.5]
    assert verdict.name == "now"
    assert verdict.exit_code == 1


def test_a_baseline_is_not_looked_at_without_a_drop() -> None:
    foreign = flat("then", 0.5, 7, protocol=attneval.Protocol(iou=0.3))
    assert gate(flat("now", 0.375), [Rule("min", "f1", 0.25)], foreign).passed


# ---------------------------------------------------------------- only significant drops

STEADY = of_f1("then", [0.5] * 40)


def noisy(mean: float) -> Result:
    """A result whose images scatter by far more than its mean differs from the baseline's."""
    return of_f1("now", [mean + (0.4 if row % 2 else -0.4) for row in range(40)])


def test_a_drop_within_chance_passes_only_if_asked_for() -> None:
    rules = [Rule.parse(MAX_DROP, "f1=0.01")]
    now = noisy(0.46)
    assert not gate(now, rules, STEADY).passed
    lenient = gate(now, rules, STEADY, only_significant=True)
    assert lenient.passed
    (outcome,) = lenient.outcomes
    assert outcome.p is not None
    assert outcome.p > 0.05
    assert re.fullmatch(r"passed: f1 drops .*, p 0\.\d+, not significant\)", str(outcome))


def test_a_significant_drop_fails() -> None:
    verdict = gate(of_f1("now", [0.46] * 40), [Rule.parse(MAX_DROP, "f1=0.01")], STEADY, only_significant=True)
    assert not verdict.passed
    assert re.search(r", p \d\.\d+e-05\)$|, p 0\.0001\)$|, p 9\.999e-05\)$", str(verdict.outcomes[0]))


def test_a_significant_drop_within_the_bound_passes() -> None:
    verdict = gate(of_f1("now", [0.46] * 40), [Rule.parse(MAX_DROP, "f1=0.05")], STEADY, only_significant=True)
    assert verdict.passed


def test_significance_excuses_no_other_rule() -> None:
    verdict = gate(noisy(0.46), [Rule.parse("min", "f1=0.49")], STEADY, only_significant=True)
    assert not verdict.passed
    assert verdict.outcomes[0].p is None


def test_p_values_are_adjusted_over_all_drops() -> None:
    # Six images that all agree: p is about 2 of 64, significant alone and not among two.
    columns = {"f1": [0.5] * 6, "ap": [0.5] * 6, "scored": [1.0] * 6}
    then, now = made("then", image_sums(columns)), made("now", image_sums(columns | {"f1": [0.4] * 6}))
    f1, ap = Rule.parse(MAX_DROP, "f1=0.01"), Rule.parse(MAX_DROP, "ap=0.01")
    alone = gate(now, [f1], then, only_significant=True)
    both = gate(now, [f1, ap], then, only_significant=True)
    assert not alone.passed
    assert both.passed
    p = [outcome.p for outcome in both.outcomes]
    assert alone.outcomes[0].p is not None
    assert p == pytest.approx(holm([alone.outcomes[0].p, 1.0]))
    # A metric with two rules is one hypothesis.
    twice = gate(now, [f1, Rule.parse(MAX_DROP, "f1=1%")], then, only_significant=True)
    assert [outcome.p for outcome in twice.outcomes] == [alone.outcomes[0].p] * 2


@pytest.mark.parametrize(("p", "passes"), [(0.049999, False), (0.05, True), (0.06, True)])
def test_the_level_of_significance(p: float, passes: bool) -> None:
    assert Outcome(Rule.parse(MAX_DROP, "f1=0.01"), 0.1, 0.5, p).passed is passes


# ---------------------------------------------------------------- what cannot be decided

THEN = flat("then", 0.5)
UNDEFINED = of_f1("now", [0.0] * 40, [0.0] * 40)
DROP = [Rule.parse(MAX_DROP, "f1=0.01")]


@pytest.mark.parametrize("only_significant", [False, True])
@pytest.mark.parametrize(
    ("now", "rules", "baseline", "parts"),
    [
        (THEN, [], THEN, ["no rule", "--min", "[gate]"]),
        (THEN, DROP, None, ["f1 drops by at most 0.01 needs a baseline", "--baseline"]),
        (THEN, DROP, flat("b", 0.5, protocol=attneval.Protocol(iou=0.3)), ["iou 0.3 against 0.5", "baseline b"]),
        (THEN, DROP, flat("b", 0.5, 39), ["different images", "40 and 39", "--update-baseline"]),
        (THEN, DROP, flat("b", 0.5, names=[f"x{i}" for i in range(40)]), ["different images", "40 and 40"]),
        (THEN, DROP, dataclasses.replace(THEN, partial=True), ["then is PARTIAL", "is no baseline"]),
        (dataclasses.replace(THEN, partial=True), DROP, THEN, ["then is PARTIAL", "passes no gate"]),
        (UNDEFINED, [Rule("min", "f1", 0.0)], None, ["f1 is undefined", "f1 >= 0.0 cannot be decided"]),
        (UNDEFINED, [Rule("max", "f1", 1.0)], None, ["f1 is undefined"]),
        (THEN, [Rule("min", "rsum", 0.0)], None, ["rsum was not measured in then"]),
        (THEN, [Rule.parse(MAX_DROP, "rsum=1")], THEN, ["rsum"]),
        # One rule that cannot be decided is enough, whatever the others say.
        (THEN, [Rule("min", "f1", 0.1), Rule("min", "rsum", 0.0)], None, ["rsum was not measured"]),
        (THEN, [Rule("min", "f1", 0.9), Rule("min", "rsum", 0.0)], None, ["rsum was not measured"]),
    ],
)
def test_what_cannot_be_decided_is_refused(
    now: Result, rules: list[Rule], baseline: Result | None, parts: list[str], only_significant: bool
) -> None:
    with pytest.raises(AttnevalError) as caught:
        gate(now, rules, baseline, only_significant=only_significant)
    assert_says(str(caught.value), *parts)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("now", "baseline"), [(THEN, UNDEFINED), (UNDEFINED, THEN)])
def test_a_drop_from_or_to_nothing_is_refused(now: Result, baseline: Result) -> None:
    with pytest.raises(MismatchError, match=r"f1 is undefined in now, so f1 drops by at most 0\.01 "):
        gate(now, DROP, baseline)


@pytest.mark.parametrize(("now", "baseline"), [(THEN, UNDEFINED), (UNDEFINED, THEN)])
def test_a_significant_drop_from_or_to_nothing_is_refused(now: Result, baseline: Result) -> None:
    with pytest.raises(MismatchError, match="f1 is undefined in now"):
        gate(now, DROP, baseline, only_significant=True)


def test_the_way_out_of_another_protocol_exists() -> None:
    with pytest.raises(MismatchError) as caught:
        gate(THEN, DROP, flat("b", 0.5, protocol=attneval.Protocol(iou=0.3)))
    assert "--allow-mismatch" not in caught.value.hint


def test_significance_of_median_ranks() -> None:
    queries = image_sums({"f1": [1.0] * 9}, {"i2t": [[1.0]] * 9, "t2i": [[1.0]] * 9})
    now, then = made("now", queries), made("then", queries)
    verdict = gate(now, [Rule.parse(MAX_DROP, "i2t_medr=0")], then, only_significant=True)
    assert verdict.passed


def test_nan_is_no_value() -> None:
    # Results cannot hold one; the predicate would not let it pass either.
    assert not Rule("min", "f1", 0.0).keeps(math.nan)
    assert not Rule("max", "f1", 1.0).keeps(math.nan)
    assert not Rule("max-drop", "f1", 1.0).keeps(math.nan, 0.5)
