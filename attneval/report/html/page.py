"""The page put together: from results to one HTML file."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.config.extras import to_install
from attneval.errors import MissingPackageError
from attneval.groundtruth.registry import title_of
from attneval.report.html.joint import joint
from attneval.report.html.model import Source
from attneval.report.html.sections import breakdowns, errors, faithfulness, heads, retrieval
from attneval.report.html.systems import systems
from attneval.report.html.verdict import verdict

if TYPE_CHECKING:
    from attneval.report.html.gallery import Gallery
    from attneval.report.html.joint import JointRow
    from attneval.report.html.number import Number, Sentence
    from attneval.report.html.sections import Breakdown, Errors, Heads, Retrieval
    from attneval.report.html.systems import Systems
    from attneval.report.html.verdict import Verdict
    from attneval.report.html.view import CurveView, Measure
    from attneval.results.items import ItemTable
    from attneval.results.result import Result

LARGEST = 3_000_000
"""Bytes that no page exceeds."""
COUNTED = ("images", "captions", "phrases", "items", "unreachable")


@record
class Page:
    """The whole page; a section that has no data is None and left out.

    Attributes:
        title: The system's name.
        version: The attneval that made the result.
        model: What the export says of its model.
        facts: Counts with what they count.
        setting: What the export and annotations are, and protocol fields that are not the default.
        protocol: Field, value, and whether it differs from the default.
        signature: The protocol on one line.
        inputs: Role, path and digest of each file.
        bootstrap: How intervals were computed.
        counts: All counts by name.
    """

    title: str
    version: str
    model: str
    facts: tuple[tuple[Number, str], ...]
    setting: tuple[tuple[str, str], ...]
    protocol: tuple[tuple[str, str, bool], ...]
    signature: str
    inputs: tuple[tuple[str, str, str], ...]
    bootstrap: Sentence
    counts: tuple[tuple[str, Number], ...]
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()
    curve: CurveView | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    errors: Errors | None = None
    heads: Heads | None = None
    systems: Systems | None = None
    retrieval: Retrieval | None = None
    joint: tuple[JointRow, ...] = ()
    faithfulness: tuple[tuple[Measure, Number], ...] = ()
    gallery: Gallery | None = None


def page_of(
    result: Result,
    *,
    comparison: dict[str, Any] | None = None,
    table: ItemTable | None = None,
    gallery: Gallery | None = None,
) -> Page:
    """Lay out a result.

    Args:
        result: The result.
        comparison: Several results side by side, this one first, as `attneval compare -f json` writes it.
        table: The result's items.
        gallery: Those of them that are shown.
    """
    source = Source(result)
    curve = source.curve()
    groups = breakdowns(source)
    unit = {"word": "items (words)"}.get(source.protocol.unit, "items (phrases)")
    if source.protocol.directions[0] == "i2t":
        unit = "items (regions)"
    facts = [(source.number("counts", name, style="count"), unit if name == "items" else name) for name in COUNTED]
    model = source.at("model") or {}
    about = [str(model[key]) for key in ("model", "checkpoint") if isinstance(model.get(key), str) and model[key]]
    resamples = source.number("bootstrap", "resamples", style="count") or "no"
    seed = str(source.at("bootstrap", "seed"))
    sampled = ("Intervals: percentile bootstrap over images, ", resamples, " resamples, seed ", seed, ", 95 %.")
    return Page(
        title=source.name or "attention",
        version=str(source.at("attneval")),
        model=", ".join(about),
        facts=tuple((number, _counted(number, what)) for number, what in facts if number is not None),
        setting=tuple(_setting(source)),
        protocol=tuple(source.protocol_fields()),
        signature=str(source.at("signature")),
        inputs=tuple((str(i["role"]), str(i["path"]), str(i["sha256"])) for i in source.at("inputs") or ()),
        bootstrap=sampled,
        counts=tuple(
            (name.replace("_", " "), number)
            for name in source.at("counts") or {}
            if (number := source.number("counts", name, style="count")) is not None
        ),
        verdict=verdict(source, curve, groups),
        notes=tuple(str(note) for note in source.at("notes") or ()),
        curve=curve,
        breakdowns=groups,
        errors=None if table is None else errors(table),
        heads=heads(source),
        systems=None if comparison is None else systems(comparison),
        retrieval=retrieval(source),
        joint=joint(source),
        faithfulness=faithfulness(source),
        gallery=gallery,
    )


def _counted(number: Number, what: str) -> str:
    """What is counted, one or many."""
    if number.value != 1:
        return what
    return {"images": "image", "captions": "caption", "phrases": "phrase"}.get(what, what.replace("items (", "item ("))


def _setting(source: Source) -> list[tuple[str, str]]:
    settings = [("scored", "PARTIAL, only some images")] if source.at("partial") else []
    annotations = str(source.at("ground_truth") or "")
    if annotations:
        settings.append(("annotations", title_of(annotations)))
    changed = [f"{name} = {value}" for name, value, differs in source.protocol_fields() if differs]
    settings.append(("protocol", f"default but {', '.join(changed)}" if changed else "default"))
    return settings


def render(page: Page) -> str:
    """The page as HTML, the same for the same input to the byte.

    Raises:
        MissingPackageError: Jinja2 is missing.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingPackageError("the page needs Jinja2, which is not installed", hint=to_install("report")) from error
    from attneval.report.html import charts, number, rows, strip
    from attneval.report.markup import Markup

    environment = Environment(
        loader=PackageLoader("attneval.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sentence": number.sentence, "count": lambda value: f"{value:,}", "zip": zip}
    environment.globals |= {"charts": charts, "strip": strip, "rows": rows, "bounds": number.bounds}
    static = resources.files("attneval.report.html") / "static"
    scripts = [(static / name).read_text(encoding="utf-8") for name in ("page.js", "gallery.js")]
    text = environment.get_template("page.html").render(
        page=page,
        css=Markup((static / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of the package
        script=Markup("\n".join(scripts)),  # noqa: S704 - files of the package
        data=Markup(as_json(_data(page))),  # noqa: S704 - nothing in it can end its element
    )
    return text if text.endswith("\n") else text + "\n"


def _data(page: Page) -> dict[str, Any]:
    """What the script reads."""
    return {
        "curve": None if page.curve is None else _curve(page.curve),
        "channels": None if page.heads is None else _channels(page.heads),
        "gallery": None if page.gallery is None else page.gallery.data,
    }


def _curve(curve: CurveView) -> dict[str, Any]:
    return {
        "name": curve.rule.parameter,
        "parameter": curve.parameter,
        "precision": curve.precision,
        "recall": curve.recall,
        "f1": curve.f1,
        "lo": curve.low,
        "hi": curve.high,
        "at": curve.at.place,
    }


def _channels(heads: Heads) -> dict[str, Any]:
    def three(value: Number, low: Number | None, high: Number | None) -> list[float | None]:
        return [value.value, None if low is None else low.value, None if high is None else high.value]

    cells = {
        channel.name: {name: [*three(m.value, m.low, m.high), m.state] for name, m in channel.measures.items()}
        for channel in heads.channels
    }
    return {
        "cells": cells,
        "all": {name: three(m.value, m.low, m.high) for name, m in heads.headline.items()},
        "floors": {name: floor.value.value for name, floor in heads.floors.items()},
        "titles": dict(heads.metrics),
    }


def as_json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # Lone surrogates cannot be written in UTF-8.
    return "".join(f"\\u{ord(c):04x}" if 0xD800 <= ord(c) < 0xE000 else c for c in text)
