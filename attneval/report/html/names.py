"""The names of metrics and floors on the page."""

from __future__ import annotations

from attneval.metrics.registry import find_metric

LETTERS = {"uniform": "u", "center": "c", "shuffled": "s"}


def metric_title(name: str) -> str:
    """A metric's title; the name itself for one that this attneval does not know."""
    metric = find_metric(name)
    return name if metric is None else metric.on_page


def floor_title(name: str, metric: str) -> str:
    """The name of a floor in a sentence."""
    if name == "uniform":
        return "everything" if is_of_sets(metric) else "even weights"
    return {"center": "centre", "shuffled": "shuffled"}.get(name, name)


def is_of_sets(name: str) -> bool:
    """Tell whether a metric is measured on attended sets, where early results lack what even attention scores."""
    metric = find_metric(name)
    return metric is not None and metric.of_sets
