"""The metrics of attention as sets and as rankings, declared: the headline numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.declaration import ORDER, SET, WORD, Column, Metric, Sums
from attneval.metrics.floors import UNIFORM, floor_column
from attneval.metrics.populations import SCORED, SHUFFLED, SHUFFLED_F1
from attneval.metrics.registry import registrar
from attneval.metrics.set_scores import set_f1, set_precision, set_recall
from attneval.metrics.values import divided, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.hits import Hits

register = registrar(__name__)

CHEN = "Chen et al., More Than Just Attention: Improving Cross-Modal Attentions with Contrastive Constraints, WACV 2023"


def _attended(hits: Hits) -> NDArray[np.float64]:
    return hits.attended.astype(np.float64)


def _relevant(hits: Hits) -> NDArray[np.float64]:
    return hits.relevant.astype(np.float64)


_TP = Column(lambda hits: hits.true_positives, at_most=("attended", "relevant"), oracle="relevant")
_ATTENDED = Column(_attended, at_most=(), oracle="relevant", zero_if_unreached=False)
_RELEVANT = Column(_relevant, at_most=(), oracle="relevant", of_set_alone=True)

register(
    Metric(
        name="precision",
        floored=True,
        title="Attention Precision",
        paper="Precision",
        page="Precision",
        mark="P",
        headline="macro",
        tables={"breakdown": 10, "channels": 10, "heads": 30, "page channels": 80, SET: 20},
        compared=True,
        group="attention",
        higher_is_better=True,
        definition="Of the keys an item attends to, the share that is relevant; mean over items. An item that attends "
        "to nothing scores 0.",
        citation=CHEN,
        columns={"precision": Column(lambda hits: set_precision(hits.true_positives, hits.attended))},
        value=ratio("precision", SCORED),
    )
)
register(
    Metric(
        name="recall",
        floored=True,
        title="Attention Recall",
        paper="Recall",
        page="Recall",
        mark="R",
        headline="macro",
        tables={"breakdown": 20, "channels": 20, "heads": 40, "page channels": 90, SET: 30},
        compared=True,
        group="attention",
        higher_is_better=True,
        definition="Of the keys relevant to an item, the share that it attends to; mean over items.",
        citation=CHEN,
        columns={"recall": Column(lambda hits: set_recall(hits.true_positives, hits.relevant))},
        value=ratio("recall", SCORED),
    )
)
register(
    Metric(
        name="f1",
        floored=True,
        title="Attention F1",
        paper="F1",
        page="F1",
        short="F1",
        mark="F",
        headline="macro",
        main=True,
        tables={"breakdown": 30, "channels": 30, "heads": 20, "page breakdown": 10, "page channels": 10, SET: 10},
        compared=True,
        family=True,
        group="attention",
        higher_is_better=True,
        definition="The harmonic mean of an item's precision and recall, 0 if both are 0; mean over items, not the "
        "harmonic mean of the mean precision and recall.",
        citation=CHEN,
        columns={"f1": Column(lambda hits: set_f1(hits.true_positives, hits.attended, hits.relevant))},
        value=ratio("f1", SCORED),
    )
)
register(
    Metric(
        name="f1_lift",
        title="F1 above even attention",
        paper="F1 lift",
        page="F1 lift",
        short="F1 lift",
        lift_of="f1",
        difference_to="even attention",
        tables={"breakdown": 35, "channels": 35, "heads": 10, "page channels": 20},
        compared=True,
        group="attention",
        higher_is_better=True,
        definition="An item's F1 minus that of even attention, which as a set is all keys, on the same item; mean over "
        "items. The number to look at first: an F1 says little without what attending to everything scores.",
        value=lambda sums: divided(sums["f1"] - sums[floor_column(UNIFORM, "f1")], sums[SCORED]),
        lower=-1.0,
    )
)
register(
    Metric(
        name="micro_precision",
        floored=True,
        title="micro Precision",
        headline="micro",
        tables={SET: 20},
        group="attention",
        higher_is_better=True,
        definition="Attended and relevant keys of all items together, over attended keys of all items together; 0 if "
        "nothing is attended.",
        citation=CHEN,
        columns={"tp": _TP, "attended": _ATTENDED},
        value=lambda sums: _zero_if_scored(sums, divided(sums["tp"], sums["attended"])),
    )
)
register(
    Metric(
        name="micro_recall",
        floored=True,
        title="micro Recall",
        headline="micro",
        tables={SET: 30},
        group="attention",
        higher_is_better=True,
        definition="Attended and relevant keys of all items together, over relevant keys of all items together.",
        citation=CHEN,
        columns={"tp": _TP, "relevant": _RELEVANT},
        value=lambda sums: _zero_if_scored(sums, divided(sums["tp"], sums["relevant"])),
    )
)
register(
    Metric(
        name="micro_f1",
        floored=True,
        floor_noted=True,
        title="micro F1",
        headline="micro",
        tables={SET: 10},
        group="attention",
        higher_is_better=True,
        definition="The harmonic mean of micro_precision and micro_recall.",
        citation=CHEN,
        columns={"tp": _TP, "attended": _ATTENDED, "relevant": _RELEVANT},
        value=lambda sums: _zero_if_scored(sums, divided(2 * sums["tp"], sums["attended"] + sums["relevant"])),
    )
)
register(
    Metric(
        name="ap",
        floored=True,
        title="Average precision",
        paper="AP",
        short="AP",
        tables={"breakdown": 40, "channels": 40, "page breakdown": 20, "page channels": 30, ORDER: 10},
        compared=True,
        family=True,
        group="attention",
        higher_is_better=True,
        definition="Threshold-free: the keys of an item are ranked by weight, and the precision at each relevant key "
        "is averaged over the relevant keys. Tied weights are one step of the ranking. Mean over items.",
        citation="the non-interpolated average precision of information retrieval, as scikit-learn defines it",
        columns={"ap": Column(lambda hits: hits.precision_at_hits() / np.maximum(hits.relevant, 1))},
        value=ratio("ap", SCORED),
    )
)
register(
    Metric(
        name="ap_lift",
        title="AP above even attention",
        paper="AP lift",
        page="AP lift",
        short="AP lift",
        lift_of="ap",
        difference_to="even attention",
        compared=True,
        group="attention",
        higher_is_better=True,
        definition="An item's average precision minus that of even attention, whose ranking is one tie, on the same "
        "item; mean over items.",
        value=lambda sums: divided(sums["ap"] - sums[floor_column(UNIFORM, "ap")], sums[SCORED]),
        lower=-1.0,
    )
)
register(
    Metric(
        name="best_f1",
        title="best F1 (tuned)",
        tuned="f1",
        group="attention",
        higher_is_better=True,
        definition="The largest f1 over a sweep of the threshold. The threshold is tuned on the data it is reported "
        "on, so this is an upper bound for comparing maps whose scales differ, not a score; it has no interval.",
        value=lambda sums: np.max(divided(sums["sweep_f1"], sums[SCORED]), axis=-1),
        resampled=False,
        baseline=False,
    )
)
register(
    Metric(
        name="specificity",
        title="Specificity",
        tables={"channels": 60, "page channels": 70, WORD: 10},
        difference_to="other things",
        compared=True,
        group="attention",
        higher_is_better=True,
        definition="f1 minus what f1 would be if each item were held against the other entities of its image "
        "(the shuffled baseline): near 0 if attention does not depend on the word, less if it prefers other words' "
        "regions.",
        value=lambda sums: divided(sums["f1"], sums[SCORED]) - divided(sums[SHUFFLED_F1], sums[SHUFFLED]),
        lower=-1.0,
        baseline=False,
    )
)


def _zero_if_scored(sums: Sums, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take a precision of 0 where nothing is attended, but none where nothing is scored."""
    return np.where(sums[SCORED] > 0, np.nan_to_num(value), np.nan)
