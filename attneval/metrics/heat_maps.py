"""The metrics of heat maps enlarged to images, declared; they are measured where the protocol asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.metrics.declaration import BOX, PIXELS, Column, Metric, Sums
from attneval.metrics.populations import ITEMS
from attneval.metrics.registry import registrar
from attneval.metrics.set_scores import set_precision, set_recall
from attneval.metrics.values import divided, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.hits import Hits

register = registrar(__name__)

TAM = "Li et al., Token Activation Map to Visually Explain Multimodal LLMs, ICCV 2025 (TAM)"
MAP_N = "map_n"
"""The column that counts items whose shapes have a pixel."""
FUNCTION, FUNCTION_N = "function_specificity", "function_words"
"""The columns of function words: the sum over them, and how many there are."""


def _iou(hits: Hits) -> NDArray[np.float64]:
    counts = hits.pixel_counts
    return quotient(counts.both, counts.attended + hits.shape_pixels - counts.both)


def _over_pixels(name: str, title: str, definition: str, values: Column) -> Metric:
    """A mean over the items whose shapes have a pixel."""
    return Metric(
        name=name,
        title=title,
        group="companion",
        higher_is_better=True,
        oracle=None,
        definition=definition,
        citation=TAM,
        columns={
            name: values,
            MAP_N: Column(
                lambda hits: (hits.shape_pixels > 0).astype(np.float64), over=ITEMS, of_set_alone=True, needs=PIXELS
            ),
        },
        value=ratio(name, MAP_N),
        per=MAP_N,
    )


_BOUNDS = (ITEMS, MAP_N)
register(
    _over_pixels(
        "map_iou",
        "IoU of map and shapes",
        "The pixels of the map, enlarged to the image as enlarge says, that are attended by the protocol's threshold, "
        "and the pixels of the phrase's shapes: those in both over those in either; mean over items whose shapes have "
        "a pixel.",
        Column(_iou, over=ITEMS, at_most=_BOUNDS, needs=PIXELS),
    )
)
register(
    _over_pixels(
        "map_precision",
        "Precision of pixels",
        "The share of the attended pixels of the enlarged map that lie in the phrase's shapes, 0 if no pixel is "
        "attended; mean over items whose shapes have a pixel.",
        Column(
            lambda hits: set_precision(hits.pixel_counts.both, hits.pixel_counts.attended),
            over=ITEMS,
            at_most=_BOUNDS,
            needs=PIXELS,
        ),
    )
)
register(
    _over_pixels(
        "map_recall",
        "Recall of pixels",
        "The share of the pixels of the phrase's shapes that are attended in the enlarged map; mean over items whose "
        "shapes have a pixel.",
        Column(
            lambda hits: set_recall(hits.pixel_counts.both, hits.shape_pixels),
            over=ITEMS,
            at_most=_BOUNDS,
            needs=PIXELS,
        ),
    )
)
register(
    Metric(
        name="box_accuracy",
        title="Accuracy of boxes",
        short="box acc.",
        group="companion",
        higher_is_better=True,
        oracle=None,
        definition="Acc@0.5 of referring expressions: whether the box that box_from takes from the enlarged map has an "
        "IoU of at least iou with an annotated box of the phrase, as boxes and extent have it; of equally good boxes "
        "the share that has. Masks are not asked. Over all items.",
        citation="Li et al., Align before Fuse, NeurIPS 2021 (ALBEF); Zhou et al., Learning Deep Features for "
        "Discriminative Localization, CVPR 2016",
        columns={"box_accuracy": Column(lambda hits: hits.box_hits(), over=ITEMS, needs=BOX)},
        value=ratio("box_accuracy", ITEMS),
        per=ITEMS,
    )
)
register(
    Metric(
        name=FUNCTION,
        title="Function words kept faint",
        short="function",
        group="companion",
        higher_is_better=True,
        oracle=None,
        definition="Of the map of an article, pronoun, conjunction or the like, the share of cells below what pixels "
        "of annotated words of its caption have to be above to be attended, their mean; mean over such words, in "
        "captions with an annotated word. Measured where function_words names a list.",
        citation=TAM,
        beside={FUNCTION: (FUNCTION_N,), FUNCTION_N: ()},
        value=ratio(FUNCTION, FUNCTION_N),
        per=FUNCTION_N,
        baseline=False,
    )
)


def _harmonic(sums: Sums) -> NDArray[np.float64]:
    objects, functions = divided(sums["map_iou"], sums[MAP_N]), divided(sums[FUNCTION], sums[FUNCTION_N])
    both = objects + functions
    return np.where(both == 0, 0.0, 2 * divided(objects * functions, both))


register(
    Metric(
        name="map_function_f1",
        title="F1 of map IoU and function words",
        short="F1-IoU",
        group="companion",
        higher_is_better=True,
        oracle=None,
        definition="The harmonic mean of map_iou and function_specificity, TAM's F1-IoU: maps of things lie on the "
        "things, and words that name none have faint maps.",
        citation=TAM,
        value=_harmonic,
        per=FUNCTION_N,
        baseline=False,
    )
)
