"""The protocol: what is refused, and that its signature reads back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.config.protocol import Protocol
from attneval.config.signature import SIGNATURE_VERSION
from attneval.config.thresholds import Threshold
from attneval.errors import ProtocolError

DEFAULT = (
    "attneval:2|unit:word|direction:t2i|iou:0.5|overlap:auto|boxes:any|threshold:uniform|normalize:sum|pool:mean|"
    "unreachable:skip|average:macro|pointing:region|undefined:skip|ties:expected|folds:1|missing:error|min_area:0|"
    "edges:pixel|extent:edge|border:inside|geometry:box|crowd:include|expression:whole|mentions:present|"
    "category_words:list|enlarge:none|box_from:none|function_words:none"
)
FIRST = (
    "attneval:1|unit:word|direction:t2i|iou:0.5|overlap:iou|boxes:any|threshold:uniform|normalize:sum|pool:mean|"
    "unreachable:skip|average:macro|pointing:region|ties:expected|folds:1|missing:error|min_area:0|edges:pixel"
)
"""The default signature of version 1, as it was written."""
CHOICES = {spec.name: spec.metadata["choices"] for spec in Protocol.choices() if "choices" in spec.metadata}
THRESHOLDS = st.one_of(
    st.just("uniform"),
    st.builds("uniform:{}".format, st.floats(0, 1e6)),
    st.builds("abs:{}".format, st.floats(0, 1e6)),
    st.builds("max:{}".format, st.floats(0, 1)),
    st.builds("top:{}".format, st.integers(1, 10**6)),
    st.builds("mass:{}".format, st.floats(0, 1, exclude_min=True)),
    st.builds("otsu:{}".format, st.floats(0, 1e6)),
)
BOXES = st.one_of(
    st.just("none"),
    st.builds("component:{}".format, st.floats(0, 1, exclude_min=True)),
    st.builds("detections:{}".format, st.floats(0, 1e6)),
)
PROTOCOLS = st.builds(
    Protocol,
    direction=st.sampled_from(["t2i", "i2t", "t2i,i2t", "i2t,t2i"]),
    iou=st.floats(0, 1, exclude_min=True),
    threshold=THRESHOLDS,
    folds=st.integers(1, 10**9),
    min_area=st.floats(0, 1, exclude_max=True),
    box_from=BOXES,
    **{name: st.sampled_from(values) for name, values in CHOICES.items()},
)


def test_the_default_signature_spells_out_every_field() -> None:
    assert Protocol().signature() == DEFAULT
    assert Protocol.parse(DEFAULT) == Protocol()
    assert [part.split(":")[0] for part in DEFAULT.split("|")[1:]] == [spec.name for spec in Protocol.choices()]


def test_the_strategy_covers_every_field() -> None:
    """A field added to the protocol has to be added to the round trip."""
    free = {"direction", "iou", "threshold", "folds", "min_area", "box_from"}
    assert free | set(CHOICES) == {spec.name for spec in Protocol.choices()}


@given(PROTOCOLS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_round_trips(protocol: Protocol) -> None:
    assert Protocol.parse(protocol.signature()) == protocol
    assert Protocol.parse(f" {protocol.signature()}\n") == protocol
    assert Protocol.from_dict(protocol.to_dict()) == protocol
    # As text, the way values come from a command line or a configuration file.
    assert Protocol.from_dict({name: str(value) for name, value in protocol.to_dict().items()}) == protocol
    assert Threshold.parse(str(protocol.rule)) == protocol.rule


@given(PROTOCOLS, PROTOCOLS)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_signatures_agree_exactly_when_protocols_do(one: Protocol, other: Protocol) -> None:
    differences = one.differences(other)
    assert (one.signature() == other.signature()) == (one == other) == (not differences)
    for name, (mine, theirs) in differences.items():
        assert (mine, theirs) == (getattr(one, name), getattr(other, name))
        assert mine != theirs


def test_differences() -> None:
    assert Protocol().differences(Protocol()) == {}
    assert Protocol(iou=0.3).differences(Protocol(threshold="top:3")) == {
        "iou": (0.3, 0.5),
        "threshold": ("uniform", "top:3"),
    }


@pytest.mark.parametrize(
    ("text", "rule", "value", "again"),
    [
        ("uniform", "uniform", 1, "uniform"),
        ("uniform:1", "uniform", 1, "uniform"),
        ("uniform:1.0", "uniform", 1, "uniform"),
        ("uniform:0.5", "uniform", 0.5, "uniform:0.5"),
        ("abs:0", "abs", 0, "abs:0"),
        ("abs:.25", "abs", 0.25, "abs:0.25"),
        ("abs:1e-05", "abs", 0.00001, "abs:1e-05"),
        ("max:1", "max", 1, "max:1"),
        ("max:0", "max", 0, "max:0"),
        ("top:5", "top", 5, "top:5"),
        ("top:5.0", "top", 5, "top:5"),
        ("top:1e3", "top", 1000, "top:1000"),
        ("mass:1", "mass", 1, "mass:1"),
        ("mass:0.8", "mass", 0.8, "mass:0.8"),
    ],
)
def test_thresholds(text: str, rule: str, value: float, again: str) -> None:
    assert Threshold.parse(text) == Threshold(rule, value)
    protocol = Protocol(threshold=text)
    assert protocol.threshold == again
    assert protocol.rule == Threshold(rule, value)
    assert f"|threshold:{again}|" in protocol.signature()


def test_spellings_of_a_threshold_are_equal_protocols() -> None:
    assert Protocol(threshold="uniform:1.0") == Protocol()
    assert Protocol(threshold="abs:0.50") == Protocol(threshold="abs:5e-1")
    assert Protocol(threshold="abs:-0") == Protocol(threshold="abs:0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "uniform:",
        "uniform:-1",
        "abs",
        "abs:",
        "abs:x",
        "abs:-0.1",
        "abs:nan",
        "max:1.01",
        "max:-0.01",
        "top:0",
        "top:2.5",
        "top:-3",
        "top",
        "mass:0",
        "mass:1.1",
        "mass:nan",
        "Uniform",
        "softmax:1",
        "abs:1:2",
    ],
)
def test_thresholds_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Protocol(threshold=text)
    assert caught.value.message == f"threshold {text!r} is not a rule"
    assert all(rule in caught.value.hint for rule in ("uniform", "abs:t", "max:f", "top:k", "mass:m"))


@pytest.mark.parametrize("text", ["abs:inf", "uniform:inf", "top:inf", "max:1e999"])
def test_infinite_thresholds_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="is not a rule"):
        Protocol(threshold=text)


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        *(({name: "nonsense"}, f"{name} 'nonsense' does not exist", values[-1]) for name, values in CHOICES.items()),
        ({"direction": ""}, "direction '' does not exist", "t2i,i2t"),
        ({"direction": "t2i,t2i"}, "direction 't2i,t2i' does not exist", "t2i,i2t"),
        ({"direction": "i2t,"}, "direction 'i2t,' does not exist", "t2i,i2t"),
        ({"direction": "both"}, "direction 'both' does not exist", "t2i,i2t"),
        ({"iou": 0.0}, "iou 0 is out of range", "(0, 1]"),
        ({"iou": 1.5}, "iou 1.5 is out of range", "(0, 1]"),
        ({"iou": math.nan}, "iou nan is out of range", "(0, 1]"),
        ({"min_area": 1.0}, "min_area 1 is out of range", "[0, 1)"),
        ({"min_area": -0.1}, "min_area -0.1 is out of range", "[0, 1)"),
        ({"min_area": math.nan}, "min_area nan is out of range", "[0, 1)"),
        ({"folds": 0}, "folds 0 is out of range", "1 or more"),
        ({"folds": -5}, "folds -5 is out of range", "1 or more"),
    ],
)
def test_values_refused(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Protocol(**values)
    assert caught.value.message == message
    assert hint in caught.value.hint
    with pytest.raises(ProtocolError) as again:
        Protocol.from_dict(values)
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"iuo": 0.5}, "'iuo' is no field of the protocol", "did you mean iou?"),
        ({"zzzzzz": 0.5}, "'zzzzzz' is no field of the protocol", "the fields are unit, direction, iou"),
        ({"iou": "half"}, "iou 'half' cannot be read", "0 < number <= 1"),
        ({"iou": None}, "iou None cannot be read", "0 < number <= 1"),
        ({"folds": "five"}, "folds 'five' cannot be read", "whole number >= 1"),
    ],
)
def test_dictionaries_refused(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_dict(values)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_fraction_of_a_fold_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"folds 2\.5 cannot be read"):
        Protocol.from_dict({"folds": 2.5})


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("", "is not a signature"),
        ("unit:word", "is not a signature"),
        ("attneval:one|unit:word", "is not a signature"),
        ("attneval:1|unit", "is not a signature"),
        ("sacrebleu:1|unit:word", "is not a signature"),
        ("attneval:1|unit:sentence", "unit 'sentence' does not exist"),
        ("attneval:1|color:red", "'color' is no field of the protocol"),
        ("attneval:1|iou:half", "iou 'half' cannot be read"),
        ("attneval:1|threshold:top:0", "threshold 'top:0' is not a rule"),
    ],
)
def test_signatures_refused(signature: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Protocol.parse(signature)
    assert message in caught.value.message
    assert caught.value.hint


def test_signatures_of_later_versions_are_refused() -> None:
    assert SIGNATURE_VERSION == 2
    other = DEFAULT.replace("attneval:2|", "attneval:3|")
    with pytest.raises(ProtocolError, match=r"signature version 3 is later than 2.*use a newer attneval"):
        Protocol.parse(other)
    for none in ("attneval:0|unit:word", "attneval:9999999999|unit:word"):
        with pytest.raises(ProtocolError, match="signature"):
            Protocol.parse(none)


def test_signatures_of_version_1_read_as_what_was_true_then() -> None:
    first = Protocol.parse(FIRST)
    assert first.definitions == 1
    assert first.signature().startswith("attneval:1|unit:word|")
    assert Protocol.parse(first.signature()) == first
    # What it does not name has the default that was true then: overlap was `iou`, and nothing was undefined.
    assert Protocol.parse("attneval:1|unit:word") == first
    assert first.to_dict() == Protocol(overlap="iou").to_dict()
    assert first != Protocol(overlap="iou")
    assert first.differences(Protocol(overlap="iou")) == {"signature version": (1, 2)}
    assert first.differences(Protocol()) == {"overlap": ("iou", "auto"), "signature version": (1, 2)}


def test_short_signatures() -> None:
    assert Protocol().short_signature() == "attneval:2"
    some = Protocol(overlap="iof", iou=0.25, unit="phrase")
    assert some.short_signature() == "attneval:2|unit:phrase|iou:0.25|overlap:iof"
    assert some.short_signature(version="1.2.3", resamples=1000, seed=12345) == (
        "attneval:2|unit:phrase|iou:0.25|overlap:iof|version:1.2.3|resamples:1000|seed:12345"
    )
    # What changes no number is not looked at.
    assert Protocol.parse(some.short_signature(version="1.2.3", seed=7)) == some


@given(PROTOCOLS, st.integers(0, 2**32))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_short_signatures_round_trip(protocol: Protocol, seed: int) -> None:
    assert Protocol.parse(protocol.short_signature(resamples=10, seed=seed)) == protocol
    assert len(protocol.short_signature()) <= len(protocol.signature())


def test_signatures_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ProtocolError, match="unit"):
        Protocol.parse(f"{DEFAULT}|unit:phrase")


def test_directions_put_the_headline_first() -> None:
    assert Protocol().directions == ("t2i",)
    assert Protocol(direction="i2t,t2i").directions == ("i2t", "t2i")


def test_protocols_are_values() -> None:
    assert hash(Protocol(threshold="top:3")) == hash(Protocol(threshold="top:3.0"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Protocol().iou = 0.3  # type: ignore[misc]
    assert dataclasses.replace(Protocol(), iou=0.3) == Protocol(iou=0.3)
