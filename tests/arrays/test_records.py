"""Records: what a frozen dataclass is for a reader and for the type checker, but for comparison."""

from __future__ import annotations

import pickle
from dataclasses import field, replace
from functools import cached_property

import pytest

from attneval.arrays.records import record


@record
class Span:
    """Two places and a name."""

    start: int
    stop: int = 3
    name: list[str] = field(default_factory=list, repr=False)

    @cached_property
    def length(self) -> int:
        return self.stop - self.start


def test_a_record_has_the_fields_and_defaults_of_a_dataclass() -> None:
    span = Span(1)
    assert (span.start, span.stop, span.name, span.length) == (1, 3, [], 2)
    assert replace(span, stop=9).length == 8
    with pytest.raises(TypeError):
        Span()  # type: ignore[call-arg]


def test_a_record_is_shown_without_what_is_left_out() -> None:
    assert repr(Span(1, 2, ["x"])) == "Span(start=1, stop=2)"


def test_records_are_compared_by_identity_and_pickled() -> None:
    span = Span(1)
    assert span != Span(1)
    assert {span: 1}[span] == 1
    assert pickle.loads(pickle.dumps(span)).stop == 3  # noqa: S301 - made one line above
