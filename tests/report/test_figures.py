"""Figures: what is drawn is what was measured, text is text, and the same numbers give the same bytes."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from results import FIXTURES, image_sums, made, of_f1, scored

import attneval
from attneval.config.protocol import Protocol
from attneval.errors import ConfigError, MetricError, NothingToScoreError
from attneval.metrics.registry import metric_named
from attneval.report import figures
from attneval.report.figures import draw
from attneval.report.heads import SHOWN
from attneval.report.table import MINUS, interval, number, typeset
from attneval.results.heads import Head, HeadRanking, rank_heads
from attneval.results.scores import Curve, Measured

pytest.importorskip("matplotlib")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attneval.report.figures.style import Drawing
    from attneval.results.comparison import Comparison
    from attneval.results.result import Result

HOSTILE = r"$\frac{1}{2}$ \input{x} <b>&amp; _^~ %s {}"
KINDS = ("png", "svg", "pdf")


@pytest.fixture(scope="module")
def good() -> Result:
    """A result with intervals."""
    return attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", options=attneval.Options(resamples=100))


@pytest.fixture(scope="module")
def noisy() -> Result:
    return attneval.score(FIXTURES / "noisy.npz", FIXTURES / "entities", options=attneval.Options(resamples=100))


@pytest.fixture(scope="module")
def comparison(good: Result, noisy: Result) -> Comparison:
    return attneval.compare([good, noisy], resamples=200, trials=500)


@pytest.fixture(scope="module")
def ranking() -> HeadRanking:
    options = attneval.Options(resamples=50)
    return rank_heads(attneval.score(FIXTURES / "heads.npz", FIXTURES / "entities", options=options))


def texts(figure: Drawing) -> list[str]:
    """Every text that is drawn."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    found = (text.get_text() for text in figure.findobj(Text) if text.get_visible())
    return [text for text in found if text]


def saved(figure: Drawing, kind: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind)
    return file.getvalue()


def lines(axes: Any) -> list[tuple[list[float], list[float]]]:
    """The lines and marks of axes, as places."""
    return [(list(map(float, one.get_xdata())), list(map(float, one.get_ydata()))) for one in axes.get_lines()]


def drawn_at(axes: Any, x: float, y: float | None = None) -> bool:
    """Tell whether a single mark stands at a place."""
    return any(
        len(xs) == 1 and xs[0] == pytest.approx(x) and (y is None or ys[0] == pytest.approx(y))
        for xs, ys in lines(axes)
    )


def bar(axes: Any, low: float, high: float, *, up: bool = False) -> bool:
    """Tell whether an interval is drawn."""
    wanted = pytest.approx([low, high])
    return any((ys if up else xs) == wanted for xs, ys in lines(axes) if len(xs) == 2)


# ---------------------------------------------------------------- what is drawn


def test_the_score_holds_every_number(good: Result) -> None:
    figure = draw("score", good)
    (axes,) = figure.axes
    said = texts(figure)
    for name in ("precision", "f1", "ap", "pointing", "r@1", "mass", "auc", "i2t_r@1", "t2i_r@10"):
        measured = good.metrics[name]
        assert measured.value is not None
        assert measured.ci is not None
        assert metric_named(name).title in said
        assert typeset(number(measured.value)) in said
        assert typeset(interval(measured.ci)) in said
        assert drawn_at(axes, 100 * measured.value)
        assert bar(axes, *(100 * end for end in measured.ci))
    for base in ("uniform", "center", "shuffled", "oracle"):
        value = good.baselines[base]["ap"].value
        assert value is not None
        assert bar(axes, 100 * value, 100 * value)
    gap = good.metrics["f1"].above_floor
    assert gap is not None
    assert f"+{number(gap.difference)}" in said
    # What is no share, has another direction or is tuned, has no row.
    for name in ("entropy", "coverage", "rsum", "t2i_medr", "best_f1", "micro_f1", "f1_lift"):
        assert metric_named(name).title not in said


def test_marks_say_on_which_side_of_its_floors_a_value_lies(good: Result) -> None:
    def look(ci: tuple[float, float] | None) -> tuple[str, str]:
        measured = good.metrics["f1"]
        assert measured.above_floor is not None
        changed = dataclasses.replace(measured, above_floor=dataclasses.replace(measured.above_floor, ci=ci))
        scores = dataclasses.replace(good.scores, metrics=good.metrics | {"f1": changed})
        (axes,) = draw("score", dataclasses.replace(good, scores=scores), names=["f1"]).axes
        (mark,) = [line for line in axes.get_lines() if len(np.atleast_1d(line.get_xdata())) == 1]
        return str(mark.get_marker()), str(mark.get_markerfacecolor())

    above, at, below, unknown = look((0.1, 0.2)), look((-0.1, 0.2)), look((-0.2, -0.1)), look(None)
    assert len({above, at, below, unknown}) == 4
    assert (above[0], at, below) == ("o", ("o", "white"), ("D", "white"))


def test_the_average_of_the_protocol_is_the_headline() -> None:
    protocol = Protocol(average="micro")
    options = attneval.Options(resamples=0)
    said = texts(
        draw("score", attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", protocol=protocol, options=options))
    )
    assert "micro F1" in said
    assert "Attention F1" not in said


def test_metrics_of_a_score_can_be_named(noisy: Result) -> None:
    said = texts(draw("score", noisy, names=["specificity", "f1_lift"]))
    places = [said.index(title) for title in ("Specificity", "F1 above even attention")]
    assert places == sorted(places)
    assert "Average precision" not in said
    with pytest.raises(MetricError, match="has no place on an axis of percent"):
        draw("score", noisy, names=["rsum"])
    with pytest.raises(MetricError, match="f2"):
        draw("score", noisy, names=["f2"])


def test_floors_below_zero_stay_within_the_axes(noisy: Result) -> None:
    (axes,) = draw("score", noisy, names=["f1_lift"]).axes
    lowest = min(
        value
        for table in noisy.baselines.values()
        if (value := table["f1_lift"].value if "f1_lift" in table else 0) is not None
    )
    assert lowest < 0
    assert axes.get_xlim()[0] <= 100 * lowest


def test_of_many_channels_the_best_are_shown() -> None:
    result = scored("heads")
    said = texts(draw("score", result))
    assert f"The best {SHOWN} of 20 channels of heads" in said
    assert any("too high for new ones" in text for text in said)
    best = max(result.channels.values(), key=lambda s: s.metrics["f1_lift"].value or -1).metrics["f1_lift"]
    assert number(best.value) in said


def test_the_curve_holds_every_point(good: Result) -> None:
    curve = good.curve
    assert curve is not None
    left, right = draw("curve", [good]).axes
    for values in (curve.precision, curve.recall, curve.f1):
        wanted = pytest.approx([100 * value for value in values])
        assert any(xs == curve.parameter and ys == wanted for xs, ys in lines(left))
    at = good.protocol.rule.value
    for name in ("precision", "recall", "f1"):
        measured = good.metrics[name]
        assert measured.value is not None
        assert measured.ci is not None
        assert drawn_at(left, at, 100 * measured.value)
        assert bar(left, *(100 * end for end in measured.ci), up=True)
    assert drawn_at(left, curve.parameter[curve.best], 100 * max(curve.f1))
    for base in ("uniform", "center", "shuffled"):
        ends = [good.baselines[base][name].value for name in ("recall", "precision")]
        assert None not in ends
        assert drawn_at(right, *(100 * (value or 0.0) for value in ends))
    assert left.get_xscale() == "log"


@pytest.mark.parametrize(
    ("threshold", "scale"), [("top:3", "linear"), ("mass:0.9", "linear"), ("uniform:2", "log"), ("abs:0.1", "function")]
)
def test_axes_follow_the_rule(threshold: str, scale: str) -> None:
    left, _ = draw("curve", [scored("good", threshold)]).axes
    assert left.get_xscale() == scale


@pytest.mark.parametrize("threshold", ["uniform", "top:3", "mass:0.9", "max:0.5", "abs:0.1"])
@pytest.mark.parametrize("name", ["good", "noisy"])
def test_words_of_a_curve_do_not_meet(name: str, threshold: str) -> None:
    from matplotlib.text import Annotation

    figure = draw("curve", [scored(name, threshold)])
    within(figure)
    words = [word for word in figure.findobj(Annotation) if word.get_text()]
    assert len(words) >= 7
    boxes = [(word.get_text(), word.get_window_extent().padded(-1)) for word in words]
    for place, (text, box) in enumerate(boxes):
        assert not [other for other, one in boxes[place + 1 :] if box.overlaps(one)], text


def test_several_curves_are_told_apart(good: Result) -> None:
    many = [dataclasses.replace(good, name=f"system {k}") for k in range(28)]
    figure = draw("curve", many)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [result.name for result in many]
    dashes = [str(vars(line)["_unscaled_dash_pattern"]) for line in legend.get_lines()]
    looks = {
        (str(line.get_color()), dash, line.get_marker()) for line, dash in zip(legend.get_lines(), dashes, strict=True)
    }
    assert len(looks) == 28
    with pytest.raises(NothingToScoreError, match="29 curves are more than the 28"):
        draw("curve", [*many, good])


def test_a_curve_of_one_threshold() -> None:
    curve = Curve("top", [1.0], [0.5], [0.25], [1 / 3])
    sums = image_sums({"f1": [0.5], "scored": [1.0]})
    result = made("x", sums, curve=curve, protocol=Protocol(threshold="top:1"))
    assert saved(draw("curve", [result]), "png")


def test_changes_are_those_of_the_comparison(comparison: Comparison) -> None:
    left, right = draw("compare", comparison).axes
    for line in comparison.lines:
        difference = line.differences[1]
        assert difference is not None
        assert difference.ci is not None
        if line.metric == "rsum":
            continue
        for value, ci in zip(line.values, line.intervals, strict=True):
            assert value is not None
            assert ci is not None
            assert drawn_at(left, 100 * value)
            assert bar(left, *(100 * end for end in ci))
        assert drawn_at(right, 100 * difference.delta)
        assert bar(right, *(100 * end for end in difference.ci))
    low, high = right.get_xlim()
    assert low == pytest.approx(-high)
    said = texts(draw("compare", comparison))
    rsum = comparison["rsum"]
    change = rsum.differences[1]
    assert change is not None
    assert f"b  {MINUS}{number(abs(change.delta))}  {typeset(interval(change.ci))}" in said
    assert {"a  good", "b  noisy"} <= set(said)


def test_metrics_of_a_comparison_can_be_named(comparison: Comparison) -> None:
    said = texts(draw("compare", comparison, names=["ap", "f1"]))
    assert said.index("Average precision") < said.index("Attention F1")
    assert "Pointing game" not in said
    with pytest.raises(MetricError, match="did you mean f1"):
        draw("compare", comparison, names=["f2"])


def test_a_comparison_of_single_images_and_undefined_values() -> None:
    one = [of_f1("x", [0.5]), of_f1("y", [0.25]), of_f1("z", [0.0], scored=[0.0])]
    assert saved(draw("compare", attneval.compare(one)), "png")


def test_the_map_holds_every_head(ranking: HeadRanking) -> None:
    figure = draw("heads", ranking)
    left, right, _ = figure.axes
    (mesh,) = left.collections
    layers = sorted({head.layer or 0 for head in ranking.heads})
    heads = sorted({head.head or 0 for head in ranking.heads})
    grid = np.asarray(mesh.get_array()).reshape(len(layers), len(heads))
    for place, head in enumerate(ranking.heads):
        value, even, ci = head.reported.value, head.chosen.value, head.reported.ci
        assert value is not None
        assert even is not None
        assert ci is not None
        assert grid[layers.index(head.layer or 0), heads.index(head.head or 0)] == pytest.approx(100 * value)
        assert drawn_at(right, 100 * value, place) == drawn_at(right, 100 * even, place) == (place < SHOWN)
        assert not place < SHOWN or bar(right, *(100 * end for end in ci))
    # What needs no model is white.
    middle = np.asarray(mesh.cmap(mesh.norm(np.array([0.0]))))[0]
    assert min(middle[:3]) > 0.93


def heads_of(ranking: HeadRanking, layers: int, heads: int, *, named: bool = False) -> HeadRanking:
    """A ranking of as many heads as one likes."""
    draws = np.random.default_rng(2)
    made_up = []
    for layer, head in np.ndindex(layers, heads):
        value = float(draws.normal(0, 0.1))
        name = f"{HOSTILE} {layer} {head}" if named else f"L{layer}H{head}"
        at = (None, None) if named else (layer, head)
        made_up.append(Head(f"{name}/t2i", name, at[0], at[1], Measured(value, 9), Measured(value / 2, 9), {}))
    made_up.sort(key=lambda one: -(one.chosen.value or 0))
    return dataclasses.replace(ranking, heads=made_up)


@pytest.mark.parametrize(("layers", "heads"), [(1, 2), (2, 1), (12, 12), (48, 25)])
def test_maps_of_any_size(ranking: HeadRanking, layers: int, heads: int) -> None:
    figure = draw("heads", heads_of(ranking, layers, heads))
    assert len(figure.axes) == 3
    assert saved(figure, "svg")


def test_channels_that_are_no_heads_are_listed(ranking: HeadRanking) -> None:
    figure = draw("heads", heads_of(ranking, 3, 1, named=True))
    assert len(figure.axes) == 1
    assert len([text for text in texts(figure) if "frac" in text]) == 3


def test_heads_by_a_metric_that_is_no_share(ranking: HeadRanking) -> None:
    figure = draw("heads", dataclasses.replace(heads_of(ranking, 2, 2), metric="spatial_entropy"))
    assert "Spatial entropy, in nats" in texts(figure)


# ---------------------------------------------------------------- text is text


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_mathematics(good: Result, noisy: Result, ranking: HeadRanking, kind: str) -> None:
    """A formula that matplotlib cannot read would be refused while it is drawn."""
    import matplotlib.text

    evil = [dataclasses.replace(result, name=f"{HOSTILE} $\\undefined{{{k}$") for k, result in enumerate((good, noisy))]
    renamed = dataclasses.replace(heads_of(ranking, 2, 2, named=True), result=evil[0])
    compared = attneval.compare(evil, names=["f1"], resamples=50, trials=100)
    for figure in (draw("score", evil[0]), draw("curve", evil), draw("compare", compared), draw("heads", renamed)):
        assert saved(figure, kind)
        for text in figure.findobj(matplotlib.text.Text):
            assert not text.get_parse_math()
            assert not text.get_usetex()
        joined = " ".join(texts(figure)).replace("\n", " ")
        assert r"$\frac{1}{2}$ \input{x} <b>&amp; _^~ %s {}" in joined


def test_what_the_font_lacks_is_spelled_out(good: Result) -> None:
    named = dataclasses.replace(good, name="狗\u202e\n\x1b[2J é \U0001f415")
    figure = draw("score", named)
    assert r"\u72d7\u202e\n\x1b[2J é \U0001f415" in texts(figure)
    assert saved(figure, "pdf")  # a letter that is not in the font would be warned of


def test_svg_is_sound_and_runs_nothing(good: Result) -> None:
    from xml.etree import ElementTree as ET

    named = dataclasses.replace(good, name="</svg><script>boom()</script>--> <!-- & ]]>")
    text = saved(draw("score", named), "svg").decode()
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert not [element for element in root.iter() if str(element.tag).endswith(("script", "foreignObject", "text"))]
    assert not re.search(r"<script", text)


def test_long_names_stay_on_the_figure(good: Result, noisy: Result) -> None:
    long = [dataclasses.replace(r, name=f"{k} " + "a long name " * 12) for k, r in enumerate((good, noisy))]
    for figure in (
        draw("score", long[0]),
        draw("curve", long),
        draw("compare", attneval.compare(long, names=["f1"], resamples=50, trials=100)),
    ):
        within(figure)


def within(figure: Drawing) -> None:
    """No text leaves the figure."""
    from matplotlib.text import Text

    figure.canvas.draw()
    size = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            box = text.get_window_extent()
            if np.isnan(box.x0):  # a tick beyond the axis, which is not drawn
                continue
            assert box.x0 >= size.x0 - 2, text
            assert box.x1 <= size.x1 + 2, text
            assert box.y0 >= size.y0 - 2, text
            assert box.y1 <= size.y1 + 2, text


def test_nothing_is_cut_off(good: Result, comparison: Comparison, ranking: HeadRanking) -> None:
    for figure in (draw("score", good), draw("curve", [good]), draw("compare", comparison), draw("heads", ranking)):
        within(figure)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_give_the_same_bytes(
    good: Result, comparison: Comparison, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    before = [saved(draw("score", good), kind), saved(draw("compare", comparison), kind)]
    with mpl.rc_context({"font.size": 20, "text.usetex": True, "svg.hashsalt": "other", "pdf.fonttype": 3}):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        assert [saved(draw("score", good), kind), saved(draw("compare", comparison), kind)] == before
        # Nor does drawing change the settings of others.
        assert mpl.rcParams["font.size"] == 20
    for data in before:
        assert b"Matplotlib" not in data
        assert not re.search(rb"20[0-9]{2}-[01][0-9]-|CreationDate", data)


def test_pdf_has_its_fonts_in_it(good: Result) -> None:
    data = saved(draw("score", good), "pdf")
    assert data.startswith(b"%PDF")
    assert data.count(b"/FontFile2") >= 1
    assert b"/Type3" not in data


def test_png_is_fit_for_print(good: Result) -> None:
    image = Image.open(io.BytesIO(saved(draw("score", good), "png")))
    assert image.width == round(6.875 * 300)


def test_a_figure_shows_itself_and_saves_itself(good: Result, tmp_path: Path) -> None:
    figure = good.plot()
    assert vars(type(figure))["_repr_png_"](figure) == saved(draw("score", good), "png")
    for kind in KINDS:
        figure.savefig(tmp_path / f"x.{kind}")
        assert (tmp_path / f"x.{kind}").read_bytes() == saved(draw("score", good), kind)


# ---------------------------------------------------------------- the methods


def test_plot_draws_what_it_is_asked_for(good: Result, comparison: Comparison) -> None:
    assert texts(good.plot("curve")) == texts(draw("curve", [good]))  # type: ignore[arg-type]
    assert texts(good.plot(metrics=["f1"])) == texts(draw("score", good, names=["f1"]))  # type: ignore[arg-type]
    assert texts(comparison.plot()) == texts(draw("compare", comparison))  # type: ignore[arg-type]
    assert "Pointing game, in %" in texts(scored("heads").plot("heads", metrics=["pointing"]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda r: r.plot("curves"), "did you mean curve"),
        (lambda r: r.plot("curve", metrics=["f1"]), "takes no metrics"),
        (lambda r: r.plot("heads", metrics=["f1", "ap"]), "takes 1 metric"),
        (lambda r: r.plot("heads"), "one channel"),
    ],
)
def test_what_cannot_be_drawn_is_refused(good: Result, call: Callable[[Result], object], said: str) -> None:
    with pytest.raises((ConfigError, NothingToScoreError), match=said):
        call(good)


def test_without_matplotlib_the_extra_is_named(good: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"matplotlib, which is not installed.*\[plot\]"):
        good.plot()


def test_drawing_opens_no_window_and_leaves_pyplot_alone() -> None:
    script = (
        "import sys, attneval\n"
        "result = attneval.score('fixtures/good.npz', gt='fixtures/entities', options=attneval.Options(resamples=0))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "result.plot()\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=FIXTURES.parent
    )
    assert done.stdout == "False\n"
