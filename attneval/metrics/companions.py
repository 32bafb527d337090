"""The companions of the headline metrics, declared: pointing game, recall of boxes, mass, the ceiling of regions."""

from __future__ import annotations

import numpy as np

from attneval.metrics.declaration import AMOUNT, ORDER, PEAK, SPREAD, Column, Metric
from attneval.metrics.populations import ITEMS, REACHED, SCORED
from attneval.metrics.registry import registrar
from attneval.metrics.values import ratio

register = registrar(__name__)

_EXPECTED = "Tied weights count by their expected value over all orders of the tie."

register(
    Metric(
        name="pointing",
        floored=True,
        title="Pointing game",
        paper="Pointing",
        tables={"breakdown": 50, "channels": 50, "heads": 50, "page breakdown": 30, "page channels": 40, PEAK: 10},
        group_floor="center",
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
        page=f"R@{k}",
        tables={PEAK: 10 + k},
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
        tables={"heads": 60, "page channels": 50, AMOUNT: 10},
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
        tables={"heads": 70, "page channels": 60, AMOUNT: 20},
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
        tables={ORDER: 20},
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
        tables={ORDER: 30},
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
        tables={SPREAD: 10},
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
