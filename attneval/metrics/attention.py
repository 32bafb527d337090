"""The metrics of attention, declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.registry import Column, Metric, Sums, divided, ratio, register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.hits import Judged

CHEN = "Chen et al., More Than Just Attention: Improving Cross-Modal Attentions with Contrastive Constraints, WACV 2023"
_EXPECTED = "Tied weights count by their expected value over all orders of the tie."


def _precision(items: Judged) -> NDArray[np.float64]:
    return items.true_positives / np.maximum(items.attended, 1)


def _recall(items: Judged) -> NDArray[np.float64]:
    return items.true_positives / np.maximum(items.relevant, 1)


def _f1(items: Judged) -> NDArray[np.float64]:
    return np.asarray(2 * items.true_positives / np.maximum(items.attended + items.relevant, 1))


def _attended(items: Judged) -> NDArray[np.float64]:
    return items.attended.astype(np.float64)


def _relevant(items: Judged) -> NDArray[np.float64]:
    return items.relevant.astype(np.float64)


_TP = Column(lambda items: items.true_positives, counts_keys=True)
_ATTENDED = Column(_attended, counts_keys=True)
_RELEVANT = Column(_relevant, counts_keys=True, of_set_alone=True)

register(
    Metric(
        name="precision",
        title="Attention Precision",
        group="attention",
        higher_is_better=True,
        definition="Of the keys an item attends to, the share that is relevant; mean over items. An item that attends "
        "to nothing scores 0.",
        citation=CHEN,
        columns={"precision": Column(_precision)},
        value=ratio("precision", "scored"),
    )
)
register(
    Metric(
        name="recall",
        title="Attention Recall",
        group="attention",
        higher_is_better=True,
        definition="Of the keys relevant to an item, the share that it attends to; mean over items.",
        citation=CHEN,
        columns={"recall": Column(_recall)},
        value=ratio("recall", "scored"),
    )
)
register(
    Metric(
        name="f1",
        title="Attention F1",
        group="attention",
        higher_is_better=True,
        definition="The harmonic mean of an item's precision and recall, 0 if both are 0; mean over items, not the "
        "harmonic mean of the mean precision and recall.",
        citation=CHEN,
        columns={"f1": Column(_f1)},
        value=ratio("f1", "scored"),
    )
)
register(
    Metric(
        name="micro_precision",
        title="micro Precision",
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
        title="micro Recall",
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
        title="micro F1",
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
        title="Average precision",
        group="attention",
        higher_is_better=True,
        definition="Threshold-free: the keys of an item are ranked by weight, and the precision at each relevant key "
        "is averaged over the relevant keys. Tied weights are one step of the ranking. Mean over items.",
        citation="the non-interpolated average precision of information retrieval, as scikit-learn defines it",
        columns={"ap": Column(lambda items: items.precision_at_hits() / np.maximum(items.relevant, 1))},
        value=ratio("ap", "scored"),
    )
)
register(
    Metric(
        name="best_f1",
        title="best F1 (tuned)",
        group="attention",
        higher_is_better=True,
        definition="The largest f1 over a sweep of the threshold. The threshold is tuned on the data it is reported "
        "on, so this is an upper bound for comparing maps whose scales differ, not a score; it has no interval.",
        value=lambda sums: np.max(divided(sums["sweep_f1"], sums["scored"]), axis=-1),
        resampled=False,
        baseline=False,
    )
)
register(
    Metric(
        name="pointing",
        title="Pointing game",
        group="companion",
        higher_is_better=True,
        definition="Whether the key with the largest weight is relevant; under pointing=center, whether that region's "
        f"centre lies in a box of the phrase. {_EXPECTED}",
        citation="Zhang et al., Top-Down Neural Attention by Excitation Backprop, IJCV 2018",
        columns={"pointing": Column(lambda items: items.within(1), against="pointing")},
        value=ratio("pointing", "scored"),
    )
)


def _recall_at(k: int) -> Metric:
    return Metric(
        name=f"r@{k}",
        title=f"R@{k} (boxes)",
        group="companion",
        higher_is_better=True,
        definition=f"Phrase-grounding recall: whether one of the {k} keys with the largest weights is relevant. Items "
        f"that no region reaches count as misses. {_EXPECTED}",
        citation="Plummer et al., Flickr30k Entities, ICCV 2015; Kamath et al., MDETR, ICCV 2021",
        columns={f"r@{k}": Column(lambda items: items.hit(k), over="items")},
        value=ratio(f"r@{k}", "items"),
        per="items",
    )


for _k in (1, 5, 10):
    register(_recall_at(_k))
register(
    Metric(
        name="r@all",
        title="R@all (ceiling)",
        group="ceiling",
        higher_is_better=True,
        definition="The upper bound of r@k for any attention over these regions: whether any region is relevant.",
        citation="Kamath et al., MDETR, ICCV 2021",
        value=ratio("reached", "items"),
        per="items",
        baseline=False,
    )
)
register(
    Metric(
        name="mass",
        title="Attention mass",
        group="companion",
        higher_is_better=True,
        definition="Attention correctness: the share of an item's weight that lies on relevant keys; a key that "
        "several boxes make relevant counts once.",
        citation="Liu et al., Attention Correctness in Neural Image Captioning, AAAI 2017",
        columns={"mass": Column(lambda items: divided_or_zero(items.sum(items.weight), items.rows.total[items.row]))},
        value=ratio("mass", "scored"),
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
        columns={"rank_accuracy": Column(lambda items: items.within(items.relevant) / np.maximum(items.relevant, 1))},
        value=ratio("rank_accuracy", "scored"),
    )
)
register(
    Metric(
        name="entropy",
        title="Entropy",
        group="companion",
        higher_is_better=False,
        definition="The entropy of an item's weights in nats, divided by log n for n keys: 0 if all weight lies on "
        "one key, 1 if it is spread evenly. It says how focused attention is, not how right. Items with one key or "
        "no weight are left out.",
        columns={
            "entropy": Column(lambda items: np.nan_to_num(items.rows.entropy[items.row])),
            "entropy_n": Column(lambda items: np.isfinite(items.rows.entropy[items.row]).astype(np.float64)),
        },
        value=ratio("entropy", "entropy_n"),
        per="entropy_n",
    )
)
register(
    Metric(
        name="coverage",
        title="Coverage (ceiling)",
        group="ceiling",
        higher_is_better=True,
        definition="The share of items that have a relevant key at all: what perfect attention over these regions "
        "could reach.",
        value=ratio("reached", "items"),
        per="items",
        baseline=False,
    )
)
register(
    Metric(
        name="specificity",
        title="Specificity",
        group="attention",
        higher_is_better=True,
        definition="f1 minus what f1 would be if each item were judged against the other entities of its image "
        "(the shuffled baseline): near 0 if attention does not depend on the word, less if it prefers other words' "
        "regions.",
        value=lambda sums: divided(sums["f1"], sums["scored"]) - divided(sums["shuffled_f1"], sums["shuffled_n"]),
        lower=-1.0,
        baseline=False,
    )
)


def divided_or_zero(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, 0 where `whole` is."""
    return np.nan_to_num(divided(part, whole))


def _zero_if_scored(sums: Sums, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nothing attended is a precision of 0, but nothing scored is no precision."""
    return np.where(sums["scored"] > 0, np.nan_to_num(value), np.nan)
