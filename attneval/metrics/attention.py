"""The metrics of attention, declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.floors import UNIFORM, floor_column
from attneval.metrics.populations import ITEMS, REACHED, SCORED, SHUFFLED, SHUFFLED_F1
from attneval.metrics.registry import Column, Metric, Sums, divided, ratio, register
from attneval.metrics.set_scores import set_f1, set_precision, set_recall

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.hits import Hits

CHEN = "Chen et al., More Than Just Attention: Improving Cross-Modal Attentions with Contrastive Constraints, WACV 2023"
_EXPECTED = "Tied weights count by their expected value over all orders of the tie."


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
        mark="P",
        headline="macro",
        tables={"breakdown": 10, "channels": 10, "heads": 30},
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
        mark="R",
        headline="macro",
        tables={"breakdown": 20, "channels": 20, "heads": 40},
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
        short="F1",
        mark="F",
        headline="macro",
        main=True,
        tables={"breakdown": 30, "channels": 30, "heads": 20},
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
        short="F1 lift",
        lift_of="f1",
        tables={"breakdown": 35, "channels": 35, "heads": 10},
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
        tables={"breakdown": 40, "channels": 40},
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
        short="AP lift",
        lift_of="ap",
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
        name="pointing",
        floored=True,
        title="Pointing game",
        paper="Pointing",
        tables={"breakdown": 50, "channels": 50, "heads": 50},
        compared=True,
        family=True,
        oracle={"pointing": "region"},
        group="companion",
        higher_is_better=True,
        definition="Whether the key with the largest weight is relevant; under pointing=center, whether that region's "
        "centre lies in a box of the phrase; under pointing=upsampled, whether the top pixel of the map does, enlarged "
        f"bilinearly to the image. {_EXPECTED}",
        citation="Zhang et al., Top-Down Neural Attention by Excitation Backprop, IJCV 2018",
        columns={"pointing": Column(lambda hits: hits.top(), against="pointing")},
        value=ratio("pointing", SCORED),
    )
)


def _recall_at(k: int) -> Metric:
    return Metric(
        name=f"r@{k}",
        title=f"R@{k} (boxes)",
        paper=f"R@{k}",
        group="companion",
        higher_is_better=True,
        definition=f"Phrase-grounding recall: whether one of the {k} keys with the largest weights is relevant. Items "
        f"that no region reaches count as misses. {_EXPECTED}",
        citation="Plummer et al., Flickr30k Entities, ICCV 2015; Kamath et al., MDETR, ICCV 2021",
        columns={f"r@{k}": Column(lambda hits: hits.hit(k), over=ITEMS)},
        value=ratio(f"r@{k}", ITEMS),
        per=ITEMS,
    )


for _k in (1, 5, 10):
    register(_recall_at(_k))
register(
    Metric(
        name="mass",
        floored=True,
        title="Attention mass",
        tables={"heads": 60},
        group="companion",
        higher_is_better=True,
        definition="Attention correctness: the share of an item's weight that lies on relevant keys; a key that "
        "several boxes make relevant counts once.",
        citation="Liu et al., Attention Correctness in Neural Image Captioning, AAAI 2017",
        columns={"mass": Column(lambda hits: hits.mass())},
        value=ratio("mass", SCORED),
    )
)
register(
    Metric(
        name="area_mass",
        title="Mass inside shapes",
        tables={"heads": 70},
        group="companion",
        higher_is_better=True,
        oracle=None,
        definition="Attention correctness of a heat map: each key's weight times the share of its area that lies "
        "inside the union of the phrase's shapes, over all weight. It takes no threshold on overlap, and is therefore "
        "over all items, also those that no region reaches.",
        citation="Liu et al., Attention Correctness in Neural Image Captioning, AAAI 2017",
        columns={"area_mass": Column(lambda hits: hits.covered_mass(), over=ITEMS, against="area")},
        value=ratio("area_mass", ITEMS),
        per=ITEMS,
    )
)
register(
    Metric(
        name="auc",
        title="Area under ROC",
        paper="AUC",
        group="companion",
        higher_is_better=True,
        definition="The probability that a relevant key weighs more than another one, ties half, which is the area "
        "under the ROC curve of the weights; mean over items that have both.",
        citation="Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 2006",
        columns={
            "auc": Column(
                lambda hits: np.nan_to_num(hits.area_under_roc),
                at_most=(SCORED, "auc_n"),
                oracle="auc_n",
                zero_if_unreached=False,
            ),
            "auc_n": Column(
                lambda hits: np.isfinite(hits.area_under_roc).astype(np.float64),
                oracle="auc_n",
                zero_if_unreached=False,
            ),
        },
        value=ratio("auc", "auc_n"),
        per="auc_n",
    )
)
register(
    Metric(
        name="rank_accuracy",
        title="Rank accuracy",
        group="companion",
        higher_is_better=True,
        definition="With R keys relevant to an item, the share of relevant keys among the R keys with the largest "
        f"weights. {_EXPECTED}",
        citation="Arras et al., CLEVR-XAI, Information Fusion 2022 (relevance rank accuracy)",
        columns={"rank_accuracy": Column(lambda hits: hits.within(hits.relevant) / np.maximum(hits.relevant, 1))},
        value=ratio("rank_accuracy", SCORED),
    )
)
register(
    Metric(
        name="entropy",
        title="Entropy",
        oracle=None,
        group="companion",
        higher_is_better=False,
        definition="The entropy of an item's weights in nats, divided by log n for n keys: 0 if all weight lies on "
        "one key, 1 if it is spread evenly. It says how focused attention is, not how right. Items with one key or "
        "no weight are left out.",
        columns={
            "entropy": Column(
                lambda hits: np.nan_to_num(hits.rows.entropy[hits.row]),
                at_most=(SCORED, "entropy_n"),
                zero_if_unreached=False,
            ),
            "entropy_n": Column(
                lambda hits: np.isfinite(hits.rows.entropy[hits.row]).astype(np.float64), zero_if_unreached=False
            ),
        },
        value=ratio("entropy", "entropy_n"),
        per="entropy_n",
    )
)
register(
    Metric(
        name="coverage",
        title="Coverage (ceiling)",
        paper="Coverage",
        aliases=("r@all",),
        tables={"breakdown": 60},
        group="ceiling",
        higher_is_better=True,
        definition="The share of items that have a relevant key at all: what perfect attention over these regions "
        "could reach, and so the upper bound of r@k.",
        value=ratio(REACHED, ITEMS),
        per=ITEMS,
        baseline=False,
    )
)
register(
    Metric(
        name="specificity",
        title="Specificity",
        tables={"channels": 60},
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
