"""A verdict for people and for CI servers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from attneval.config.options import ALPHA
from attneval.report.compare import p_text
from attneval.report.table import Cell, Page, Row, Table, safe
from attneval.report.tones import OF_RULES, of_rule

if TYPE_CHECKING:
    from attneval.report.delimited import Lines
    from attneval.results.gate import Outcome, Verdict


HEADER = ("rule", "value", "baseline", "p", "verdict")
VERDICT = HEADER.index("verdict")


def gate_page(verdict: Verdict) -> Page:
    """Show the rules and their outcomes, with as many digits as it takes to see why."""
    texts = [_texts(outcome) for outcome in verdict.outcomes]
    names = list(HEADER)
    shown = [i for i in range(len(names)) if any(row[i] for row in texts)]
    rows = [
        Row(
            [
                Cell(row[i], strong=not outcome.passed, tone=of_rule(passed=outcome.passed) if i == VERDICT else "")
                for i in shown
            ]
        )
        for row, outcome in zip(texts, verdict.outcomes, strict=True)
    ]
    title = f"Gate of {verdict.name}: {'passed' if verdict.passed else 'FAILED'}"
    table = Table(title, [names[i] for i in shown], rows)
    return Page([table], [f"note: {note}" for note in verdict.notes], tones=OF_RULES)


def _texts(outcome: Outcome) -> list[str]:
    value, baseline = _telling(outcome)
    p = "" if outcome.p is None else f"{p_text(outcome.p)}{'' if outcome.p < ALPHA else ' (chance)'}"
    return [str(outcome.rule), value, baseline, p, "passed" if outcome.passed else "FAILED"]


def _telling(outcome: Outcome) -> tuple[str, str]:
    """Value and baseline with the fewest digits, four at least, of which the rule says the same."""
    value, baseline = outcome.value, outcome.baseline
    kept = outcome.rule.keeps(value, baseline)
    for digits in range(4, 17):
        rounded = round(value, digits), None if baseline is None else round(baseline, digits)
        if outcome.rule.keeps(*rounded) == kept:
            value, baseline = rounded
            break
    return repr(value), "" if baseline is None else repr(baseline)


def gate_dict(verdict: Verdict) -> dict[str, Any]:
    """Give the verdict as JSON values."""
    return {
        "schema": 1,
        "name": verdict.name,
        "passed": verdict.passed,
        "notes": list(verdict.notes),
        "rules": [
            dataclasses.asdict(outcome.rule)
            | {"value": outcome.value, "baseline": outcome.baseline, "p": outcome.p, "passed": outcome.passed}
            for outcome in verdict.outcomes
        ],
    }


def gate_lines(verdict: Verdict) -> Lines:
    """Lines of a table: one per rule, unrounded."""
    header = ("system", "rule", "kind", "metric", "bound", "relative", "value", "baseline", "p", "passed")
    rows = [
        (
            verdict.name,
            str(outcome.rule),
            *dataclasses.astuple(outcome.rule),
            outcome.value,
            outcome.baseline,
            outcome.p,
            outcome.passed,
        )
        for outcome in verdict.outcomes
    ]
    return header, rows


def gate_junit(verdict: Verdict) -> str:
    """Write the verdict as JUnit XML, a test case a rule."""
    failed = sum(not outcome.passed for outcome in verdict.outcomes)
    counts = f'tests="{len(verdict.outcomes)}" failures="{failed}" errors="0"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>"]
    lines.append(f"  <testsuite name={_quoted(f'attneval gate {verdict.name}')} {counts}>")
    for outcome in verdict.outcomes:
        case = f"    <testcase classname={_quoted(f'attneval.{verdict.name}')} name={_quoted(str(outcome.rule))}"
        lines += (
            [f"{case}/>"]
            if outcome.passed
            else [
                f"{case}>",
                f"      <failure message={_quoted(str(outcome))}/>",
                "    </testcase>",
            ]
        )
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _quoted(text: str) -> str:
    return quoteattr(safe(text))
