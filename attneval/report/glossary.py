"""The words that tables show, in a sentence or two each; metrics, fields and presets explain themselves.

The command line reads it before anything heavy is loaded.
"""

from __future__ import annotations

import re

from attneval.config.breakdowns import AREA_EDGES

_SMALL, _LARGE = (f"{100 * edge:g} %" for edge in AREA_EDGES)
_TYPE = "A phrase type of the annotations"

GLOSSARY = {
    # what a number stands between
    "value": "What was measured, in percent where the title says so; JSON and CSV have it unrounded, as a share.",
    "95 % interval": "Where 95 % of the values lie when images are drawn again with replacement (bootstrap by image, "
    "--resamples of them). In a comparison the same images are drawn for both systems.",
    "floor": "What attention scores that knows nothing of the word: the highest of uniform, center and shuffled. A "
    "value that is not above it says nothing.",
    "uniform": "A floor: even attention. As a set it attends to every region (precision is the share of relevant "
    "regions, recall 1), as a ranking all regions are tied.",
    "center": "A floor: all weight on the region nearest the centre of the image, where photographers put things.",
    "shuffled": "A floor: the model's own map, held against the other entities of the image. As high as the value, "
    "the map does not depend on the word.",
    "oracle": "What attention to exactly the relevant regions scores: the most that is possible over these regions.",
    "lift": "A value minus what even attention scores on the same items (f1_lift, ap_lift): what it is worth beyond "
    "attending to everything. 0 is nothing, below 0 worse than nothing.",
    # what is counted
    "images": "Images that count: those of the export, of --split and of the annotations.",
    "captions": "Captions with a phrase that is scored, whose maps the export holds. It may hold others; attneval "
    "validate counts both.",
    "phrases": "Annotated phrases with a shape; those that name nothing to be seen are none.",
    "items": "What is scored one by one: annotated words (unit=word) or phrases (unit=phrase), each with its relevant "
    "regions. Metrics are means over those that have a relevant region.",
    "unreachable": "Items without a relevant region, which no attention could get right: left out, or 0 with "
    "--unreachable zero. Coverage is the share of the others.",
    "n": "How many items, queries or captions a value is a mean over.",
    "region": "What attention falls on: a box, a cell of a grid, or a key of several.",
    "attended": "The regions that an item attends to: those whose weight the threshold rule takes.",
    "relevant": "The regions that an item should attend to: those that overlap its annotation by enough.",
    # groups of breakdowns, in the order of tables
    "phrase type": "The types that annotations give phrases; a phrase may have several.",
    "people": f"{_TYPE}.",
    "clothing": f"{_TYPE}.",
    "bodyparts": f"{_TYPE}: parts of bodies.",
    "animals": f"{_TYPE}.",
    "vehicles": f"{_TYPE}.",
    "instruments": f"{_TYPE}: musical instruments.",
    "scene": f"{_TYPE}: what is around things, such as a street or the sky.",
    "other": f"{_TYPE}: all that has no type of its own.",
    "box area": "The share of the image that the box around all shapes of a phrase covers.",
    "small": f"Phrases whose box covers less than {_SMALL} of the image.",
    "medium": f"Phrases whose box covers from {_SMALL} to {_LARGE} of the image.",
    "large": f"Phrases whose box covers at least {_LARGE} of the image: all attention has a fair chance.",
    "words": "How many words a phrase has, 4+ for four and more.",
    "category": "The category that annotations give a phrase's entity.",
    "supercategory": "The group of categories that annotations put one in.",
    "things": "Categories of what can be counted, such as dogs.",
    "stuff": "Categories of what cannot be counted, such as grass.",
    "kind": "Of categories, things or stuff; of items, what attention did with them: see right, narrow, spilled, wrong "
    "entity, wrong instance, missed, unreachable.",
    "number": "Whether the word that names the entity is singular or plural.",
    "singular": "Phrases that name one.",
    "plural": "Phrases that name several.",
    "instances": "How many shapes of its category, or of its target, a phrase has in the image: 1 or several.",
    "several": "Phrases with more than one shape in the image: which one is meant may not be annotated.",
    # directions and channels
    "channel": "One of several maps of a caption, a layer's and a head's (L14H3) or one with a name, in a direction "
    "(L14H3/t2i). `all` is the mean of all of them; --channel takes one.",
    "image to text": "Retrieval of captions by an image.",
    "text to image": "Retrieval of images by a caption.",
    "interval": "The 95 % interval of the line above.",
    "rank": "The place in an order, 1 for the best.",
    # comparisons
    "system": "What is compared: a result, or several results of one model (--group). It is called by a letter.",
    "letters": "A letter beside a value names a system that this one is significantly better than (p < 0.05 after "
    "Holm); a letter as the head of a column is that system's values.",
    "change": "The candidate's value minus the base's.",
    "p": "The p-value of paired randomization: how often swapping the two systems' scores image by image gives a "
    "difference at least as large.",
    "p (Holm)": "The p-value after Holm's adjustment for all metrics of the family and all candidates.",
    "family": "The metrics that p-values are adjusted over: the headline metrics, or those that -m names.",
    "win/tie/loss": "On how many images the candidate is better, equal and worse.",
    # gates
    "rule": "A bound that a result must keep: --min, --max or --max-drop.",
    "baseline": "The value of the result that drops are measured from.",
    "verdict": "Whether a rule was kept, decided on unrounded numbers: passed or FAILED.",
    "passed": "The rule was kept.",
    "failed": "The rule was broken; the exit code is 1.",
    "chance": "A drop beyond its bound that is not significant, and that --only-significant therefore lets pass.",
    # curves
    "area under P/R": "The area under precision over recall, over all thresholds of the rule.",
    "best F1": "The highest F1 over all thresholds. It is tuned on the data that it is reported on: never a headline.",
    "protocol's F1": "The F1 at the threshold of the protocol.",
    "at": "The threshold at which the value on its left was reached.",
    # heads
    "even half": "The value on every second image, on which channels are chosen.",
    "odd half": "The value on the other images, which had no part in the choice: the one to report.",
    "optimism": "The even half minus the odd half: how much choosing flatters the chosen.",
    "image mass": "The weight that a head puts on the image at all, before rows are normalised.",
    "mean of": "The mean of the maps of the best channels, as one system.",
    # items
    "share": "The share of all items.",
    "F1 gained": "How much higher the mean F1 would be if items of this kind alone were put right.",
    "right": "A kind of item: exactly the relevant regions are attended.",
    "narrow": "A kind of item: only relevant regions are attended, but not all of them.",
    "spilled": "A kind of item: relevant regions are attended, and others as well.",
    "wrong entity": "A kind of item: nothing relevant is attended, but another entity of the caption is.",
    "wrong instance": "A kind of item: nothing relevant is attended, but another entity of the same type is.",
    "missed": "A kind of item: nothing relevant is attended, nor any other entity.",
    # under tables
    "signature": "The whole protocol on one line. Numbers with the same signature, over the same images and regions, "
    "can be compared; give it with them.",
    "short": "The signature without what has its default, with version, resamples and seed; it parses back, too.",
    "note": "What a reader of the numbers has to know: coverage, floors, what was left out, what looks wrong.",
    # settings and the machine
    "setting": "What a flag, a variable of the environment or a configuration file may set.",
    "from": "Where a setting comes from: a variable, a file, a preset or the default.",
    "part": "The part of the machine: attneval itself, its core packages, extras, devices, cache, terminal.",
    "name": "What was looked at.",
    "attneval": "This program: its version, and the Python and the system that it runs on.",
    "core": "Packages that are always needed.",
    "extra": "Packages that some commands need: pip install '.[EXTRA]' in a clone.",
    "device": "What models can run on.",
    "cache": "Where annotations are kept parsed, so that they are read once.",
    "terminal": "What stdout is, and what it can show.",
}
"""What words mean, by the word."""

OTHER_FORMS = {
    "image": "images",
    "caption": "captions",
    "phrase": "phrases",
    "item": "items",
    "interval of 95 %": "95 % interval",
    "ci": "95 % interval",
    "confidence interval": "95 % interval",
    "holm": "p (Holm)",
    "p value": "p",
    "significant": "letters",
    "floors": "floor",
    "ceiling": "oracle",
    "channels": "channel",
    "head": "channel",
    "layer": "channel",
    "heads": "channel",
    "layers": "channel",
    "regions": "region",
    "chosen on": "even half",
    "reported on": "odd half",
    "win": "win/tie/loss",
    "length": "words",
    "4+": "words",
    "area": "box area",
    "type": "phrase type",
    "thing": "things",
    "group": "system",
    "base": "change",
}
"""Other forms of words."""


def folded(word: str) -> str:
    """A word without case, signs and what stands in parentheses after it: `small (< 5 %)` is `small`."""
    bare = re.sub(r"[^0-9a-z@+_]+", " ", word.casefold()).strip()
    return bare or word


def meaning(word: str) -> tuple[str, str] | None:
    """Find a word and what it means; None if it is none of the tables'."""
    by_form = {folded(name): name for name in GLOSSARY}
    by_form |= {folded(other): name for other, name in OTHER_FORMS.items()}
    for form in (word, re.sub(r"\s*\(.*\)$", "", word), re.sub(r"\s+\d+$", "", word)):
        if (name := by_form.get(folded(form))) is not None:
            return name, GLOSSARY[name]
    return None
