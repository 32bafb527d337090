"""Rules that a result must keep, and the verdict, which owns its exit code.

One predicate on unrounded numbers decides; the text is made from the same numbers, with enough digits to see why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from attneval.config.options import ALPHA
from attneval.errors import EXIT_GATE_FAILED, EXIT_OK, MismatchError, ProtocolError
from attneval.metrics.registry import metric_named
from attneval.results.all_items import over_all_items
from attneval.results.comparability import check_protocols, check_regions
from attneval.results.compare import compare
from attneval.results.comparison import System
from attneval.results.notes import COVERAGE, low_coverage
from attneval.results.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.results.result import Result

MIN, MAX, MAX_DROP = "min", "max", "max-drop"
_SIGNS = {">=": MIN, "<=": MAX, " drops by at most ": MAX_DROP}


@dataclass(frozen=True)
class Rule:
    """A bound on a metric.

    Attributes:
        kind: `min`, `max` or `max-drop`.
        metric: The metric's name.
        bound: The smallest or largest value, or the largest drop against the baseline, that passes.
        relative: True if a drop's bound is a share of the baseline's value.
    """

    kind: str
    metric: str
    bound: float
    relative: bool = False

    @classmethod
    def parse(cls, kind: str, text: str) -> Rule:
        """Read ``METRIC=VALUE``, and for drops also ``METRIC=VALUE%``.

        Raises:
            ProtocolError: It is no such text, or the metric does not exist.
        """
        name, _, raw = text.partition("=")
        relative = kind == MAX_DROP and raw.endswith("%")
        try:
            bound = float(raw.removesuffix("%") if relative else raw)
        except ValueError:
            bound = float("nan")
        if bound != bound or (kind == MAX_DROP and bound < 0):  # noqa: PLR0124 - NaN is not itself
            example = "f1=0.01 or f1=2%" if kind == MAX_DROP else "f1=0.3"
            raise ProtocolError(f"--{kind} {text!r} is no rule", hint=f"write METRIC=VALUE, as in {example}")
        metric = metric_named(name)
        rule = cls(kind, metric.name, bound / 100 if relative else bound, relative)
        low, high = rule.sensible
        if not low <= rule.bound <= high:
            raise ProtocolError(
                f"--{kind} {text!r} decides nothing: {name} is from {metric.lower:g} to {metric.upper:g}",
                hint="values are fractions as in the result's JSON, not percent as in tables",
            )
        return rule

    @classmethod
    def from_text(cls, text: str) -> Rule:
        """Read a rule as it is printed, ``f1 >= 0.3``, ``entropy <= 0.9``, ``f1 drops by at most 2 %``.

        Raises:
            ProtocolError: It is no such text, or the metric does not exist.
        """
        for sign, kind in _SIGNS.items():
            name, is_there, bound = text.partition(sign)
            if is_there:
                return cls.parse(kind, f"{name.strip()}={bound.replace(' ', '')}")
        raise ProtocolError(
            f"{text!r} is no rule", hint="write 'f1 >= 0.3', 'entropy <= 0.9' or 'f1 drops by at most 0.01'"
        )

    @property
    def sensible(self) -> tuple[float, float]:
        """The smallest and the largest bound that can decide anything, since the metric has a range."""
        metric = metric_named(self.metric)
        if self.kind != MAX_DROP:
            return metric.lower, metric.upper
        if not self.relative:
            return 0.0, metric.upper - metric.lower
        return 0.0, 1.0 if metric.higher_is_better and metric.lower == 0 else float("inf")

    def keeps(self, value: float, baseline: float | None = None) -> bool:
        """Tell whether a value passes, beside a baseline for drops."""
        if self.kind == MIN:
            return value >= self.bound
        if self.kind == MAX:
            return value <= self.bound
        return drop(self.metric, value, baseline or 0.0) <= self.allowed(baseline or 0.0)

    def allowed(self, baseline: float) -> float:
        """The largest drop that passes, in the metric's own units."""
        return self.bound * abs(baseline) if self.relative else self.bound

    def __str__(self) -> str:
        if self.kind == MAX_DROP:
            return (
                f"{self.metric} drops by at most {f'{100 * self.bound:.15g} %' if self.relative else repr(self.bound)}"
            )
        return f"{self.metric} {'>=' if self.kind == MIN else '<='} {self.bound!r}"


@dataclass(frozen=True)
class Outcome:
    """A rule and the values it was held against.

    Attributes:
        rule: The rule.
        value: The result's value.
        baseline: The baseline's, for drops.
        p: The p-value of the difference, adjusted over all drops, for drops that only count if they are significant.
    """

    rule: Rule
    value: float
    baseline: float | None = None
    p: float | None = None

    @property
    def passed(self) -> bool:
        """True if the rule was kept, or broken by no more than chance where chance is allowed for."""
        return self.rule.keeps(self.value, self.baseline) or (self.p is not None and self.p >= ALPHA)

    def __str__(self) -> str:
        """The rule and the numbers, with all digits that tell them apart."""
        text = f"{'passed' if self.passed else 'FAILED'}: {self.rule} (is {self.value!r}"
        if self.baseline is not None:
            dropped = drop(self.rule.metric, self.value, self.baseline)
            text += f", was {self.baseline!r}, drop {dropped!r} of {self.rule.allowed(self.baseline)!r}"
        if self.p is not None:
            text += f", p {self.p:.4g}{'' if self.p < ALPHA else ', not significant'}"
        return f"{text})"


@dataclass(frozen=True)
class Verdict(Shown):
    """The outcomes of all rules, which notebooks show as a table and `to_frame()` lists.

    Attributes:
        name: The result's name.
        outcomes: One per rule.
        notes: What a reader has to know beside them: low coverage, and what is not known of the baseline's regions.
    """

    _tables: ClassVar[str] = "attneval.report.gate:gate_page"
    _values: ClassVar[str] = "attneval.report.gate:gate_lines"

    name: str
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True if every rule was kept."""
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 if every rule was kept, else 1."""
        return EXIT_OK if self.passed else EXIT_GATE_FAILED


def drop(metric: str, value: float, baseline: float) -> float:
    """Measure by how much a value is worse than the baseline; negative if it is better."""
    return baseline - value if metric_named(metric).higher_is_better else value - baseline


def gate(
    result: Result,
    rules: Rule | str | Sequence[Rule | str],
    baseline: Result | None = None,
    *,
    only_significant: bool = False,
    across_regions: bool = False,
) -> Verdict:
    """Hold a result against rules.

    Args:
        result: The result.
        rules: At least one rule, or its text: ``"f1 >= 0.3"``, ``"entropy <= 0.9"``, ``"f1 drops by at most 0.01"``,
            ``"f1 drops by at most 2 %"``.
        baseline: The result that drops are measured from.
        only_significant: A drop beyond its bound only fails if it is also significant, by paired randomization over
            images and Holm's adjustment over all drops.
        across_regions: Measure drops over all items, so that the baseline may have attended to other regions.

    Raises:
        MismatchError: Nothing can be said: the result is partial or lacks a metric, or the baseline is missing, was
            made under another protocol, on other images or on other regions.
        ProtocolError: A text is no rule.
    """
    listed = [rules] if isinstance(rules, Rule | str) else rules
    parsed = [Rule.from_text(rule) if isinstance(rule, str) else rule for rule in listed]
    if not parsed:
        raise MismatchError(
            "there is no rule to decide by", hint="pass --min, --max or --max-drop, or configure [gate]"
        )
    _refuse_partial(result, "passes no gate")
    drops = [rule for rule in parsed if rule.kind == MAX_DROP]
    p_values: dict[str, float] = {}
    said = [note for note in result.notes if note.kind == COVERAGE]
    notes = list(map(str, said or low_coverage(result.counts, result.protocol)))
    dropped = result
    if drops:
        if baseline is None:
            raise MismatchError(f"{drops[0]} needs a baseline", hint="pass --baseline FILE")
        _refuse_partial(baseline, "is no baseline")
        way_out = "score the same images alike, or write a new baseline with --update-baseline"
        named = [(f"baseline {baseline.name}", baseline), (result.name, result)]
        notes += check_protocols(named, across_regions=across_regions, way_out=way_out)
        if baseline.scores.sums.image_id != result.scores.sums.image_id:
            raise MismatchError(
                f"{result.name} and its baseline {baseline.name} were scored on different images "
                f"({len(result.scores.sums.image_id)} and {len(baseline.scores.sums.image_id)})",
                hint=way_out,
            )
        way_out = "write a new baseline with --update-baseline, or pass --across-regions to compare on all items"
        image_id = result.scores.sums.image_id
        notes += check_regions(named, image_id, across_regions=across_regions, way_out=way_out)
        if only_significant:
            names = list(dict.fromkeys(rule.metric for rule in drops))
            both = [System("baseline", (baseline,)), System(result.name, (result,))]
            lines = compare(both, names=names, across_regions=across_regions).lines
            p_values = {
                line.metric: d.p_holm
                for line in lines
                for d in line.differences
                if d is not None and d.p_holm is not None
            }
        if across_regions:
            notes.append("drops are measured over all items, of which those that no region reaches score 0")
            dropped, baseline = over_all_items(result), over_all_items(baseline)
    outcomes = (_outcome(rule, dropped if rule in drops else result, baseline, p_values) for rule in parsed)
    return Verdict(result.name, tuple(outcomes), tuple(notes))


def _refuse_partial(result: Result, text: str) -> None:
    if result.partial:
        raise MismatchError(f"{result.name} is PARTIAL ({result.partial_by}) and {text}", hint="score all images")


def _outcome(rule: Rule, result: Result, baseline: Result | None, p_values: dict[str, float]) -> Outcome:
    value = _value(rule, result)
    if rule.kind != MAX_DROP or baseline is None:
        return Outcome(rule, value)
    return Outcome(rule, value, _value(rule, baseline), p_values.get(rule.metric))


def _value(rule: Rule, result: Result) -> float:
    measured = result.measured(rule.metric)
    if measured is None or measured.value is None:
        state = "was not measured" if measured is None else "is undefined"
        raise MismatchError(
            f"{rule.metric} {state} in {result.name}, so {rule} cannot be decided",
            hint="score what it needs, or leave the rule out",
        )
    return measured.value
