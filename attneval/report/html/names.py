"""The names of metrics and floors on the page."""

from __future__ import annotations

SETS = ("precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1")
"""Metrics of attended sets: what even attention scores in them is missing in early results."""
LETTERS = {"uniform": "u", "center": "c", "shuffled": "s"}
GROUP_FLOORS = {"f1": "uniform", "ap": "uniform", "pointing": "center"}
"""What groups of items are held against; other things in the image are of other groups."""
ZERO_FLOORS = {
    "specificity": "other things",
    "f1_lift": "even attention",
    "ap_lift": "even attention",
    "deletion_gap": "a random order",
    "insertion_gap": "a random order",
}
"""Metrics that are differences already, and what from: their floor is 0."""
TITLES = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "micro_f1": "F1 (micro)",
    "micro_precision": "Precision (micro)",
    "micro_recall": "Recall (micro)",
    "ap": "Average precision",
    "r@1": "R@1",
    "r@5": "R@5",
    "r@10": "R@10",
    "mass": "Attention mass",
    "area_mass": "Area mass",
    "auc": "ROC area",
    "f1_lift": "F1 lift",
    "ap_lift": "AP lift",
}
"""Short titles; other metrics are called as in all tables."""


def floor_title(name: str, metric: str) -> str:
    """The name of a floor in a sentence."""
    if name == "uniform":
        return "everything" if metric in SETS else "even weights"
    return {"center": "centre", "shuffled": "shuffled"}.get(name, name)
