"""Protocols with a name: what published evaluators count, as far as saved maps can be counted that way."""

from __future__ import annotations

from attneval.arrays.records import record
from attneval.config.protocol import BYTES, Protocol
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
        Preset(
            "gvd",
            Protocol(
                unit="phrase",
                overlap="iou",
                boxes="merged",
                pool="last",
                unreachable="zero",
                average="class",
                edges="raw",
                extent="pixel",
            ),
            "Zhou et al., Grounded Video Description, CVPR 2019: its evaluator for Flickr30k Entities",
            "class_pointing (attention accuracy): the top region of the object word, IoU with the enclosing box in "
            "pixels, mean over classes; and pointing, over words. The object word is the phrase's last one, and its "
            "own class unless --classes says another. There the IoU has to be above 0.5, here at least.",
        ),
        Preset(
            "tam",
            Protocol(
                unit="phrase",
                threshold="otsu",
                normalize="none",
                pool="last",
                unreachable="zero",
                enlarge=BYTES,
                function_words="english",
            ),
            "Li et al., Token Activation Map to Visually Explain Multimodal LLMs, ICCV 2025",
            "map_iou (Obj-IoU), map_precision, map_recall: the map of a phrase's last token enlarged to the image, the "
            "pixels above Otsu's threshold, and those of the shapes; function_specificity (Func-IoU); map_function_f1 "
            "(F1-IoU). Pass --geometry mask where annotations have masks, as COCO's do there. Of a word's tokens the "
            "one with the best IoU is taken there, which looks at the annotation. Maps are pictures of 8 bits before "
            "and after they are enlarged, there as here.",
        ),
        Preset(
            "albef-refcoco",
            Protocol(
                unit="phrase",
                normalize="none",
                unreachable="zero",
                enlarge="bicubic",
                box_from="detections:0.5",
            ),
            "Li et al., Align before Fuse, NeurIPS 2021: its evaluator for referring expressions (grounding_eval)",
            "box_accuracy: the map enlarged bicubically, of the detected boxes (--detections, there MAttNet's) the one "
            "with the largest sum over the square root of its area, a hit with an IoU of at least 0.5. Words are "
            "averaged; there special tokens are, too, so that they have to be in the maps. Where no detection has a "
            "sum above 0 the box of the expression before is kept there.",
        ),
        Preset(
            "localization-heads",
            Protocol(
                unit="phrase",
                pool="last",
                unreachable="zero",
                enlarge="bilinear",
                box_from="component:0.5",
            ),
            "Kang et al., Your Large Vision-Language Model Only Needs A Few Attention Heads For Visual Grounding, CVPR "
            "2025 (LocalizationHeads)",
            "For attneval heads -m spatial_entropy, which also shows each head's mass on the image, by whose elbow "
            "heads are picked there; and box_accuracy of the chosen mean (--channel top:3@half). There components hold "
            "what exceeds the mean, here their weight. The box is attneval's: the released code finds heads alone.",
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
