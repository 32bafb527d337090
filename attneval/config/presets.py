"""Protocols with a name: what published evaluators count, as far as saved maps can be counted that way."""

from __future__ import annotations

from attneval.arrays.records import record
from attneval.config.protocol import Protocol
from attneval.errors import ProtocolError, suggestion


@record
class Preset:
    """A named protocol.

    Attributes:
        name: Its name.
        protocol: Its fields.
        source: Whose evaluator it follows.
        reproduces: Which numbers mean the same as there, and what does not.
    """

    name: str
    protocol: Protocol
    source: str
    reproduces: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "default",
            Protocol(),
            "attneval",
            "Attention Precision, Recall and F1 of words over regions. This may change with a new major version; the "
            "signature always says what was used.",
        ),
        Preset(
            "chen2023",
            Protocol(unit="word", direction="t2i", iou=0.5, boxes="any", threshold="uniform"),
            "Chen et al., More Than Just Attention, WACV 2023 (arXiv 2105.09597)",
            "precision, recall, f1: the paper's fragments (words and regions) and set-valued target (all regions of "
            "the object). Threshold, IoU and averaging are attneval's, since the paper's values could not be checked; "
            "its tables do not compare.",
        ),
        Preset(
            "mdetr-any",
            Protocol(unit="phrase", overlap="iou", boxes="any", pool="max", unreachable="zero", edges="raw"),
            "Kamath et al., MDETR, ICCV 2021: its Flickr30k evaluator, ANY-BOX protocol",
            "r@1, r@5, r@10 and r@all: micro-average over phrase mentions, a hit when one of the top k boxes has IoU "
            ">= 0.5 with any annotated box. Boxes are ranked by attention, a phrase by the largest of its tokens; tied "
            "weights count by their expected value, where MDETR's order is whatever sorting leaves. Tokens of "
            "punctuation have no word and do not count here; 0.6 % of the validation split's phrases hold any.",
        ),
        Preset(
            "mdetr-merged",
            Protocol(unit="phrase", overlap="iou", boxes="merged", pool="max", unreachable="zero", edges="raw"),
            "Kamath et al., MDETR, ICCV 2021: its Flickr30k evaluator, MERGED-BOXES protocol",
            "As mdetr-any, with the smallest box around all annotated boxes of a phrase.",
        ),
        Preset(
            "info-ground",
            Protocol(
                unit="phrase",
                overlap="iou",
                pool="max",
                pointing="center",
                unreachable="zero",
                edges="corner",
                extent="pixel",
                border="outside",
            ),
            "Gupta et al., Contrastive Learning for Weakly Supervised Phrase Grounding, ECCV 2020",
            "pointing: every phrase occurrence with a box, the largest of its word pieces, a hit when the centre of "
            "the top region lies in any of its boxes; and r@1, r@5, r@10.",
        ),
        Preset(
            "multigrounding",
            Protocol(
                unit="phrase",
                pool="mean",
                pointing="upsampled",
                unreachable="zero",
                min_area=0.05,
                edges="raw",
                extent="pixel",
            ),
            "Akbari et al., Multi-level Multimodal Common Semantic Space for Image-Phrase Grounding, CVPR 2019",
            "pointing (the top pixel of the map enlarged to the image lies in any box) and area_mass (attention "
            "correctness) over phrases whose enclosing box covers at least 5 % of the image. Of equally large pixels "
            "the first is taken there, and here each by its share. Overlapping boxes count once here and once per box "
            "there, and weights are spread evenly over their cells instead of enlarged.",
        ),
    )
}


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ProtocolError: There is none of that name.
    """
    if name not in PRESETS:
        raise ProtocolError(
            f"preset {name!r} does not exist", hint=suggestion(name, PRESETS, f"use {', '.join(PRESETS)}")
        )
    return PRESETS[name]
