"""The figure of heads: a map of layers and heads, and the best of them with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm

from attneval.metrics.floors import CENTER, UNIFORM
from attneval.metrics.registry import metric_named
from attneval.report.figures.marks import beside, beside_value, explain, percent_axis, rows_axis, span
from attneval.report.figures.style import BLUE, FAINT, INK, ORANGE, TINY, Drawing, plain, styled, written
from attneval.report.heads import SHOWN, placed_heads, system_halves
from attneval.report.table import interval, number, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attneval.metrics.declaration import Metric
    from attneval.results.heads import HeadRanking
    from attneval.results.scores import Measured

ROW, REST = 0.2, 1.0
"""Inches of a row of the list, and of what stands above and below."""
SIDES = LinearSegmentedColormap.from_list("sides", [ORANGE, "#f4ad7c", "#f7f6f3", "#85b9db", BLUE])
"""Orange below, white at and blue above what needs no model."""
SHADES = LinearSegmentedColormap.from_list("shades", ["#f7f6f3", "#85b9db", BLUE, "#00344f"])
NUMBERED, FINE = 24, 40
"""So many layers or heads leave room for numbers in cells, and for lines between them."""
LABELLED = 12
"""So many layers or heads have a number each; of more every second, fourth, ... has."""
NAME = 28


def heads_figure(ranking: HeadRanking, digits: int = 1) -> Drawing:
    """Draw channels by layer and head on the odd half, and the best ones on both halves.

    Args:
        ranking: The channels, ranked.
        digits: After the point.
    """
    metric = metric_named(ranking.metric)
    placed = placed_heads(ranking)
    values = {place: head.reported.value for place, (_, head) in placed.items() if head.reported.value is not None}
    floor = _floor(ranking, metric)
    with styled():
        rows = min(SHOWN, len(ranking.heads)) + (1.4 if ranking.system is not None else 0)
        layers = len({layer for layer, _ in placed})
        figure = Drawing.sized(REST + max(ROW * (rows + 1), min(0.12 * layers, 3.4) + 0.4 if values else 0.0))
        if values:
            left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.1, 1)})
            _map(figure, left, ranking, floor)
        else:
            right = figure.add_subplot()
        _list(right, ranking, metric, floor, digits)
        _explain(figure, ranking, floor, digits, mapped=bool(values))
    return plain(figure)


def _floor(ranking: HeadRanking, metric: Metric) -> float | None:
    """What needs no model: 0 for a difference to it, else the higher of two floors that all channels share."""
    if metric.lower < 0:
        return 0.0
    tables = [ranking.result.scores.baselines.get(base, {}) for base in (UNIFORM, CENTER)]
    known = [value for table in tables if metric.name in table and (value := table[metric.name].value) is not None]
    return max(known) if known and metric.higher_is_better else None


def _map(figure: Drawing, axes: Axes, ranking: HeadRanking, floor: float | None) -> None:
    """Layers down and heads across, with the places of the best."""
    metric, placed = metric_named(ranking.metric), placed_heads(ranking)
    scale = _scale(metric)
    ranks = {place: rank for place, (rank, _) in placed.items()}
    values = {place: head.reported.value for place, (_, head) in placed.items() if head.reported.value is not None}
    layers, heads = sorted({layer for layer, _ in ranks}), sorted({head for _, head in ranks})
    grid = [[scale * values.get((layer, head), float("nan")) for head in heads] for layer in layers]
    low, high = scale * min(values.values()), scale * max(values.values())
    if floor is None:
        norm, colors = Normalize(low, high if high > low else low + 1), SHADES
    else:
        reach = max(abs(high - scale * floor), abs(scale * floor - low), 1e-9)
        norm, colors = TwoSlopeNorm(scale * floor, scale * floor - reach, scale * floor + reach), SIDES
    # Between very many cells lines would cover the cells.
    wide = max(len(heads), len(layers))
    lines: dict[str, Any] = {"edgecolors": "face", "linewidth": 0.1}
    if wide <= FINE:
        lines = {"edgecolors": "white", "linewidth": 0.6 if wide <= NUMBERED else 0.2}
    shown = axes.pcolormesh(grid, cmap=colors, norm=norm, **lines)
    axes.set_facecolor("#e2e0da")
    axes.invert_yaxis()
    for set_ticks, numbers in ((axes.set_xticks, heads), (axes.set_yticks, layers)):
        step = next(2**power for power in range(16) if len(numbers) <= LABELLED * 2**power)
        ticks = range(0, len(numbers), step)
        names = [str(numbers[place]) if numbers[place] >= 0 else "" for place in ticks]
        set_ticks([place + 0.5 for place in ticks], names)
    axes.set_xlabel("head" if heads[-1] >= 0 else "")
    axes.set_ylabel("layer")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if wide <= NUMBERED:
        for (layer, head), rank in ranks.items():
            if rank < SHOWN and (layer, head) in values:
                rgb = colors(norm(scale * values[layer, head]))[:3]
                dark = 0.3 * rgb[0] + 0.6 * rgb[1] + 0.1 * rgb[2] < 0.55
                axes.text(
                    heads.index(head) + 0.5,
                    layers.index(layer) + 0.5,
                    str(rank + 1),
                    ha="center",
                    va="center_baseline",
                    fontsize=TINY if len(heads) > 12 or len(layers) > 12 else TINY + 1,
                    color="white" if dark else INK,
                )
    bar = figure.colorbar(shown, ax=axes, fraction=0.05, pad=0.02, aspect=25)
    bar.set_label(_unit(metric), fontsize=TINY + 1)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=TINY + 0.5, length=1.5)
    bar.ax.set_ylim(low, high) if high > low else None
    bar.ax.yaxis.set_major_formatter(lambda value, _: typeset(f"{value:.4g}"))


def _list(axes: Axes, ranking: HeadRanking, metric: Metric, floor: float | None, digits: int) -> None:
    """The best on the even half: the odd half's value with its interval, and the even half's as a ring."""
    rows: list[tuple[float, str, Measured | None, Measured | None]] = [
        (float(place), f"{place + 1}  {written(head.name, NAME)}", head.chosen, head.reported)
        for place, head in enumerate(ranking.heads[:SHOWN])
    ]
    if ranking.system is not None:
        even, odd = system_halves(ranking)
        rows.append((rows[-1][0] + 1.4, f"mean of {ranking.top}", even, odd))
    scale = _scale(metric)
    ends = [] if floor is None else [scale * floor]
    for y, _, even, odd in rows:
        if even is not None and even.value is not None:
            ends.append(scale * even.value)
            ring: dict[str, Any] = {"marker": "o", "markersize": 3.6, "color": FAINT, "markerfacecolor": "white"}
            axes.plot([scale * even.value], [y], zorder=3, **ring)
        text, bounds = number(None if odd is None else odd.value, metric.unit, digits), ""
        if odd is not None and odd.value is not None:
            ends += [scale * odd.value, *(scale * end for end in odd.ci or ())]
            if odd.ci is not None:
                axes.plot([scale * end for end in odd.ci], [y, y], color=BLUE, linewidth=1.6, solid_capstyle="butt")
                bounds = interval(odd.ci, metric.unit, digits)
            axes.plot([scale * odd.value], [y], marker="o", markersize=4.4, color=BLUE, zorder=4, clip_on=False)
        beside_value(axes, 30, y, text, bounds)
    percent_axis(axes, _unit(metric), *span(ends))
    if floor is not None:
        axes.axvline(scale * floor, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    rows_axis(axes, [row[0] for row in rows], [row[1] for row in rows], pad=0.7)
    beside(axes, 8, -0.95, "odd half, 95 % interval", fontsize=TINY + 0.5, color=FAINT)


def _explain(figure: Drawing, ranking: HeadRanking, floor: float | None, digits: int, *, mapped: bool) -> None:
    metric = metric_named(ranking.metric)
    name = written(ranking.result.name, 90)
    figure.suptitle(name, x=0.01, ha="left", fontsize=8)
    text = (
        f"{len(ranking.heads)} channels. Dots: the odd half ({ranking.reported_on} images); rings: the even half "
        f"({ranking.chosen_on} images), on which they were chosen."
    )
    if mapped:
        text += " The map is of the odd half; numbers in it are the places in the list."
    if floor is not None:
        words = "even attention" if metric.lift_of else "0"
        if metric.lower >= 0:
            words = (
                f"{number(floor, metric.unit, digits)}, the higher floor of even and centred attention on all images"
            )
        text += f" Dashed{', and white in the map' if mapped else ''}: {words}."
    explain(figure, text)


def _scale(metric: Metric) -> float:
    return 100.0 if metric.unit == "share" else 1.0


def _unit(metric: Metric) -> str:
    return f"{metric.title}, in %" if metric.unit == "share" else f"{metric.title}, in {metric.unit}"
