"""What the page says of a result, on numbers worked by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from attneval import Protocol
from attneval.groundtruth.registry import FORMATS, title_of
from attneval.report.html.model import Source, pointer
from attneval.report.html.number import Number, bounds, sentence, shown
from attneval.report.html.rows import heat_map, ranked
from attneval.report.html.sections import breakdowns, heads, retrieval
from attneval.report.html.strip import described, strip
from attneval.report.html.systems import systems
from attneval.report.html.verdict import verdict


def metric(value: float | None, low: float | None = None, high: float | None = None, n: int = 500) -> dict[str, Any]:
    return {"value": value, "ci": None if low is None else [low, high], "n": n, "higher_is_better": True}


@dataclasses.dataclass
class Stored:
    """A result as far as the page reads it."""

    data: dict[str, Any]
    protocol: Protocol = dataclasses.field(default_factory=Protocol)

    def to_dict(self) -> dict[str, Any]:
        return self.data


def source(protocol: Protocol | None = None, **changes: Any) -> Source:
    values: dict[str, Any] = {
        "name": "x",
        "signature": "attneval:2|unit:word",
        "partial": False,
        "notes": [],
        "counts": {"images": 285, "items": 100, "unreachable": 0},
        "metrics": {
            "precision": metric(0.5, 0.4, 0.6),
            "recall": metric(0.5, 0.4, 0.6),
            "f1": metric(0.45, 0.44, 0.46),
            "f1_lift": metric(0.013, -0.005, 0.03),
            "ap": metric(0.59, 0.58, 0.61),
            "mass": metric(0.3, 0.29, 0.31),
            "specificity": metric(0.13, 0.12, 0.14),
            "coverage": metric(0.97),
            "r@1": metric(0.6, 0.59, 0.61),
            "entropy": metric(0.5),
        },
        "baselines": {
            "uniform": {"f1": metric(0.437), "precision": metric(0.33), "recall": metric(1.0), "ap": metric(0.33)},
            "center": {"f1": metric(0.08), "ap": metric(0.36), "mass": metric(0.4), "r@1": metric(0.56)},
            "shuffled": {"f1": metric(0.32), "ap": metric(0.43)},
            "oracle": {"f1": metric(1.0), "ap": metric(1.0), "mass": metric(1.0)},
        },
        "by": {},
        "channels": {},
        "curve": None,
        "per_image": {"image_id": [str(k) for k in range(285)]},
    }
    values.update(changes)
    return Source(Stored(values, protocol or Protocol()))  # type: ignore[arg-type]  # what is read of one


def text(parts: Any) -> str:
    return "".join(str(getattr(part, "text", part)) for part in parts)


def test_a_paired_difference_decides_and_not_two_intervals() -> None:
    f1 = source().measure("f1")
    assert f1 is not None
    assert f1.best_floor is not None
    assert f1.best_floor.title == "everything"
    assert f1.state == "at"  # though its own interval clears the floor
    assert f1.lift is not None
    assert (f1.lift.value.value, f1.lift.paired) == (0.013, True)
    assert f1.way is not None
    assert f1.way.value == pytest.approx((0.45 - 0.437) / (1 - 0.437))


def test_without_a_paired_one_the_interval_is_held_against_the_floor() -> None:
    ap = source().measure("ap")
    assert ap is not None
    assert ap.best_floor is not None
    assert ap.best_floor.name == "shuffled"
    assert ap.lift is not None
    assert not ap.lift.paired
    assert ap.lift.low is not None
    assert (ap.lift.value.value, ap.lift.low.value) == pytest.approx((0.16, 0.15))
    assert (ap.lift.low.source, ap.lift.low.minus) == ("/metrics/ap/ci/0", "/baselines/shuffled/ap/value")
    assert ap.state == "above"
    mass = source().measure("mass")
    assert mass is not None
    assert mass.state == "below"


def test_a_stored_difference_to_the_highest_floor_is_taken() -> None:
    metrics = source().data["metrics"]
    metrics["ap"]["above_floor"] = {"floor": "shuffled", "difference": 0.2, "ci": [-0.1, 0.5]}
    ap = source(metrics=metrics).measure("ap")
    assert ap is not None
    assert ap.lift is not None
    assert (ap.lift.value.value, ap.lift.paired, ap.state) == (0.2, True, "at")
    assert ap.lift.value.source == "/metrics/ap/above_floor/difference"
    metrics["ap"]["above_floor"]["floor"] = "center"
    ap = source(metrics=metrics).measure("ap")
    assert ap is not None
    assert ap.best_floor is not None
    assert ap.best_floor.name == "center"  # the result says which one it is
    only = source(metrics=metrics).measure("ap", floors=("uniform",))
    assert only is not None
    assert only.lift is not None
    assert not only.lift.paired


def test_what_is_better_when_lower_is_held_against_nothing() -> None:
    baselines = {"uniform": {"entropy": metric(1.0), "recall": metric(1.0)}}
    entropy = source(baselines=baselines).measure("entropy")
    assert entropy is not None
    assert (entropy.lift, entropy.state) == (None, "none")


def test_the_verdict() -> None:
    found = verdict(source(), None, ())
    assert found is not None
    assert text(found.sentence).strip() == (
        "Partly. 3 of 5 metrics lie above every floor. F1 is not one of them. At 45.0 % it is 1.3 points above "
        "attending to everything, with an interval from \u22120.5 to +3.0. Attention mass is worse than looking at "
        "the centre."
    )
    assert (found.paired, found.unpaired) == (True, True)
    some = source().data["metrics"]
    every = verdict(
        source(metrics={k: some[k] for k in ("f1", "ap", "specificity")} | {"f1_lift": metric(0.1, 0.05, 0.2)}),
        None,
        (),
    )
    assert every is not None
    assert text(every.sentence) == "Yes. 3 of 3 metrics lie above every floor. "
    none = verdict(source(metrics={"f1": metric(0.3, 0.29, 0.31), "f1_lift": metric(-0.1, -0.2, -0.05)}), None, ())
    assert none is not None
    assert text(none.sentence).startswith(
        "No. 0 of 1 metrics lie above every floor. Nor does F1. At 30.0 % it is 10.0 points below"
    )
    assert verdict(source(metrics={}), None, ()) is None


def notes(of: Source, groups: Any = ()) -> list[str]:
    found = verdict(of, of.curve(), groups)
    assert found is not None
    return [text(note) for note in found.notes]


def test_notes_have_their_triggers() -> None:
    curve = {
        "rule": "uniform",
        "parameter": [0.1, 1.0, 10.0],
        "precision": [0.4, 0.5, 0.6],
        "recall": [0.9, 0.5, 0.1],
        "f1": [0.52, 0.45, 0.1],
    }
    found = notes(source(curve=curve))
    assert found[0] == (
        "The order is better than the set. AP closes 28 % of the way from its best floor to the ceiling, F1 2 %: the "
        "threshold loses what the ranking holds. At c = 0.1 F1 would be 52.0 %, tuned on these data."
    )
    assert (
        found[1]
        == "32.0 of the 45.0 points of F1 would also be scored on other things in the image: specificity is 13.0."
    )
    assert found[-1].startswith("One run")
    assert not [note for note in found if "entropy" in note or "relevant region" in note]
    metrics = source().data["metrics"] | {"entropy": metric(0.8)}
    counts = {"images": 285, "items": 9144, "unreachable": 224}
    found = notes(source(metrics=metrics, counts=counts))
    assert "The maps are diffuse: entropy is 80.0 % of that of even weights." in found
    assert (
        "224 of 9,144 items have nothing relevant and are left out; coverage, the ceiling of R@k, is 97.0 %." in found
    )
    assert "The maps are peaked" in " ".join(notes(source(metrics=metrics | {"entropy": metric(0.1)})))


def test_what_must_be_said_is_never_dropped() -> None:
    metrics = source().data["metrics"] | {"entropy": metric(0.8)}
    many = [f"note {k}" for k in range(9)]
    per_image = {"image_id": ["a", "b"]}
    found = notes(source(metrics=metrics, notes=many, partial=True, per_image=per_image))
    assert found[:2] == ["2 images are few; intervals may be too narrow.", "PARTIAL: only some images were scored."]
    assert found[2:-1] == many
    assert found[-1].startswith("One run")


def test_an_early_result_is_not_held_against_a_floor_it_does_not_have() -> None:
    """Nothing was attended where weights are even: neither F1 nor recall of everything was told."""
    nothing = {"f1": metric(0.0), "precision": metric(0.0), "recall": metric(0.0), "ap": metric(0.33)}
    old = source(baselines=source().data["baselines"] | {"uniform": nothing})
    for of in (old, source(baselines={"center": {"f1": metric(0.08)}})):
        f1 = of.measure("f1")
        assert f1 is not None
        assert f1.state == "none"
        assert "uniform" not in [floor.name for floor in f1.floors]
        assert any("What attending to everything scores is not in this result" in note for note in notes(of))
    ap = old.measure("ap")
    assert ap is not None
    assert ap.state == "above"


def test_groups_are_held_against_their_own_floor() -> None:
    groups = {
        "small": {"f1": metric(0.13, 0.12, 0.14), "f1_lift": metric(0.08, 0.07, 0.09), "coverage": metric(1, n=1459)},
        "large": {"f1": metric(0.53, 0.5, 0.55), "f1_lift": metric(-0.13, -0.15, -0.1), "coverage": metric(1, n=4781)},
        "medium": {"f1": metric(0.5, 0.1, 0.9), "pointing": metric(0.6, 0.55, 0.65), "coverage": metric(1, n=200)},
    }
    floors = {
        "small": {"uniform": {"f1": metric(0.05)}, "shuffled": {"f1": metric(0.9)}},
        "large": {"uniform": {"f1": metric(0.66)}},
        "medium": {"uniform": {"f1": metric(0.5), "pointing": metric(0.9)}, "center": {"pointing": metric(0.5)}},
    }
    given = source(
        by={"area": groups},
        by_baselines={"area": floors},
        by_images={"area": {"small": 178, "large": 270, "medium": 4}},
    )
    (found,) = breakdowns(given)
    assert [row.name for row in found.rows] == ["small, < 5 %", "large, \u2265 25 %", "medium"]
    assert [row.few for row in found.rows] == [False, False, True]
    f1s = [row.measures[0] for row in found.rows]
    assert [m.state for m in f1s] == ["above", "below", "at"]
    assert [m.best_floor.name for m in f1s if m.best_floor] == ["uniform"] * 3
    assert [m.lift.paired for m in f1s if m.lift] == [True, True, False]
    assert [m.lift.value.value for m in f1s if m.lift] == pytest.approx([0.08, -0.13, 0.0])
    pointing = found.rows[2].measures[1]
    assert pointing.best_floor is not None
    assert (pointing.best_floor.title, pointing.state) == ("centre", "above")
    assert "Box area, share of the image decides. On large, \u2265 25 % F1 is \u221213.0 points" in " ".join(
        notes(given, (found,))
    )
    (plain,) = breakdowns(source(by={"area": groups}))
    assert [m.state for row in plain.rows for m in row.measures] == ["none"] * 4


def channel(f1: float, low: float, high: float) -> dict[str, Any]:
    return {
        "metrics": {"f1": metric(f1, low, high)},
        "baselines": {"uniform": {"f1": metric(0.4), "recall": metric(1.0)}, "center": {"f1": metric(0.1)}},
    }


def test_channels() -> None:
    channels = {
        "all/t2i": channel(0.45, 0.4, 0.5),
        "L0H0/t2i": channel(0.5, 0.45, 0.55),
        "L0H1/t2i": channel(0.3, 0.25, 0.35),
        "L2H0/t2i": channel(0.4, 0.35, 0.45),
        "L0H0/i2t": channel(0.9, 0.8, 1.0),
    }
    found = heads(source(channels=channels))
    assert found is not None
    assert [(c.layer, c.head, c.measures["f1"].state) for c in found.channels] == [
        (0, 0, "above"),
        (0, 1, "below"),
        (2, 0, "at"),
    ]
    assert found.floors["f1"].value.value == 0.4
    heat = heat_map(found)
    assert heat is not None
    assert heat.heads == (0, 1)
    assert [layer for layer, _, _ in heat.rows] == [0, 2]
    assert heat.rows[1][1][1] is None
    strongest, weakest = heat.rows[0][1][0], heat.rows[1][1][0]
    assert strongest is not None
    assert weakest is not None
    assert (strongest.side, strongest.alpha, strongest.best) == ("above", 0.48, True)
    assert (weakest.side, weakest.alpha) == ("above", 0.06)
    assert heat.above == 1
    assert [n.value for n in (heat.rows[0][2], *heat.means, heat.mean)] == pytest.approx([0.4, 0.45, 0.3, 0.4])
    rows, scale = ranked(found)
    assert [c.name for c, _ in rows if c is not None] == ["L0H0", "L2H0", "L0H1"]
    assert scale == pytest.approx((0.25, 0.55))
    assert heads(source(channels={"all/t2i": channel(0.45, 0.4, 0.5)})) is None
    one_layer = heads(source(channels={"H0/t2i": channel(0.5, 0.4, 0.6), "H1/t2i": channel(0.3, 0.2, 0.4)}))
    assert one_layer is not None
    heat = heat_map(one_layer)
    assert heat is not None
    assert [layer for layer, _, _ in heat.rows] == [None]
    named = heads(
        source(channels={"decoder.cross.3/t2i": channel(0.5, 0.4, 0.6), "step 10/t2i": channel(0.3, 0.2, 0.4)})
    )
    assert named is not None
    assert heat_map(named) is None


def test_many_channels_are_ranked_at_both_ends() -> None:
    channels = {f"L{k}H0/t2i": channel(0.4 + k / 1000, 0.4, 0.5) for k in range(70)}
    found = heads(source(channels=channels))
    assert found is not None
    rows, _ = ranked(found)
    assert len(rows) == 33
    assert rows[16] == (None, None)
    assert [c.name for c, _ in rows if c is not None][:2] == ["L69H0", "L68H0"]


def test_chance_of_retrieval() -> None:
    per_image = {"image_id": ["a", "b", "c"], "t2i_ranks": [[1.0, 2.0], [1.0], [3.0]]}
    metrics = {"i2t_r@1": metric(0.5, 0.2, 0.8), "t2i_r@1": metric(0.5, 0.1, 0.9), "t2i_r@5": metric(1.0, 1.0, 1.0)}
    counts = {"retrieval_images": 3, "retrieval_captions": 4}
    found = retrieval(source(metrics=metrics, per_image=per_image, counts=counts))
    assert found is not None
    (to_text, to_image) = found.directions
    assert to_text.measures[0].floors[0].value.value == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)
    assert [m.floors[0].value.value for m in to_image.measures] == [pytest.approx(1 / 3), 1.0]
    assert [m.state for m in to_image.measures] == ["at", "at"]
    folded = source(metrics=metrics, per_image=per_image, counts=counts, protocol=Protocol(folds=3))
    shown_ = retrieval(folded)
    assert shown_ is not None
    assert shown_.directions[0].measures[0].floors == ()
    assert retrieval(source()) is None


def test_systems() -> None:
    line = {
        "higher_is_better": True,
        "value": {"base": 0.5, "a<b": 0.6, "c": None},
        "ci": {},
        "best": ["a<b"],
        "better_than": {"base": [], "a<b": ["base"], "c": []},
        "difference": {
            "a<b": {"delta": 0.1, "ci": [0.05, 0.17], "p": 0.001, "p_holm": 0.002, "wins": 3, "ties": 0, "losses": 1},
            "c": None,
        },
    }
    raw = dict(line, difference={"a<b": {**line["difference"]["a<b"], "delta": -0.1, "p_holm": None}, "c": None})  # type: ignore[index]
    comparison = {"systems": ["base", "a<b", "c"], "alpha": 0.05, "notes": [], "metrics": {"f1": line, "mass": raw}}
    found = systems(comparison)
    assert found.names == (("a", "base"), ("b", "a<b"), ("c", "c"))
    assert [(cell.value.text, cell.marks, cell.best) for cell in (row[0] for row in found.rows)] == [
        ("50.0", "", False),
        ("60.0", "a", True),
        ("\u2013", "", False),
    ]
    assert [change.state for change in found.changes[0]] == ["above", "none"]  # no adjusted p, no verdict
    assert found.changes[1] == ()
    assert found.limit == pytest.approx(0.2)
    assert text(found.sentences[0]) == "b a<b is significantly better on 1 (F1 +10.0) of 2 metrics."
    assert text(found.sentences[1]) == "c c is told apart from the first system by none of 0 metrics."
    worse = systems({**comparison, "metrics": {"f1": dict(line, higher_is_better=False)}})
    assert [change.state for change in worse.changes[0]] == ["below"]


@pytest.mark.parametrize(
    ("value", "style", "expected"),
    [
        (0.45108, "share", "45.1"),
        (None, "share", "\u2013"),
        (0.0123, "signed", "+1.2"),
        (-0.0123, "signed", "\u22121.2"),
        (-0.0001, "signed", "0.0"),
        (0.0001, "signed", "0.0"),
        (0.2812, "way", "28"),
        (9144, "count", "9,144"),
        (2.0, "rank", "2"),
        (2.51, "rank", "2.5"),
        (0.0001, "p", "<0.001"),
        (0.0456, "p", "0.046"),
        (0.1905460717, "plain", "0.1905"),
    ],
)
def test_numbers_as_they_are_read(value: float | None, style: str, expected: str) -> None:
    assert shown(value, style) == expected


def test_numbers_name_their_place() -> None:
    number = Number(0.25, pointer("channels", "L0/x~y", "metrics"), minus="/b", style="signed")
    assert number.__html__() == (
        '<data value="0.25" data-from="/channels/L0~1x~0y/metrics" data-minus="/b" data-style="signed">+25.0</data>'
    )
    assert Number(0.5, '"><script>').__html__().count("<") == 2
    assert sentence(["a <b> ", Number(0.5, "/x"), " % & more"]) == (
        'a &lt;b&gt; <data value="0.5" data-from="/x">50.0</data>\u00a0% &amp; more'
    )
    assert bounds(None, Number(1.0)) == ""


def test_a_strip_in_words() -> None:
    f1 = source().measure("f1")
    assert f1 is not None
    assert described(f1) == (
        "F1 45.0 %, interval 44.0 to 46.0; floors: everything 43.7, centre 8.0, shuffled 32.0; ceiling 100.0"
    )
    drawn = strip(f1)
    assert 'class="pt at"' in drawn
    assert drawn.count('class="hollow"') == 1
    # Letters stand over their ticks; those that would touch are one word.
    assert ">u</text>" in drawn
    close = source(baselines={"uniform": {"ap": metric(0.33)}, "center": {"ap": metric(0.36)}}).measure("ap")
    assert close is not None
    assert ">uc</text>" in strip(close)


def test_use_of_regions_is_held_against_a_random_order() -> None:
    metrics = source().data["metrics"] | {
        "deletion_gap": metric(0.05, 0.01, 0.09),
        "insertion_gap": metric(-0.1, -0.2, -0.05),
    }
    found = verdict(source(metrics=metrics), None, ())
    assert found is not None
    states = {m.name: m.state for group in found.groups for m in group.measures}
    assert (states["deletion_gap"], states["insertion_gap"]) == ("above", "below")
    assert "than regions in a random order" in text(found.sentence)


def test_formats_of_annotations_have_titles() -> None:
    assert title_of("mdetr") == "grounding JSON (MDETR, GLIP)"
    assert title_of("of tomorrow") == "of tomorrow"
    titles = [title_of(name) for name in FORMATS]
    assert not set(titles) & set(FORMATS)
    assert len(set(titles)) == len(titles)
