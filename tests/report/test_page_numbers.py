"""Every number on the page is the result's."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import (
    FIXTURES,
    GT,
    Node,
    at,
    both_ways,
    chance,
    data_of,
    many_headed,
    photographs,
    read_page,
    relevance_set,
    rounded,
    sizes_of,
)

from attneval.__main__ import main

HEADS = [(layer, head) for layer in range(2) for head in range(3)]
KINDS = ("right", "narrow", "spilled", "wrong entity", "wrong instance", "missed", "unreachable")


@functools.cache
def made(case: str) -> tuple[Path, Path]:
    """A page with everything on it, and the result that it is of."""
    folder = Path(tempfile.mkdtemp())
    export = (
        FIXTURES / "noisy.npz" if case == "alone" else many_headed(folder / "heads.npz", FIXTURES / "good.npz", HEADS)
    )
    result, page = folder / "result.json", folder / "page.html"
    sets = relevance_set(folder, FIXTURES / "noisy.npz") if case == "alone" else []
    scored = ["score", str(export), "--gt", str(GT), *sets, "--items", "-o", str(result), "-q", "-f", "json"]
    assert main(scored) == 0
    others = []
    if case == "everything":
        for name in ("twin", "noisy"):
            others.append(folder / f"{name}.json")
            assert main(["score", str(FIXTURES / f"{name}.npz"), "--gt", str(GT), "-o", str(others[-1]), "-q"]) == 0
        comparison = folder / "comparison.json"
        assert main(["compare", str(result), *map(str, others), "-o", str(comparison), "-q"]) == 0
    photos = photographs(folder / "photos", sizes_of(FIXTURES / "good.npz"))
    drawn = ["--attn", str(export), "--gt", str(GT), "--images", str(photos)]
    assert main(["report", str(result), *map(str, others), *drawn, "-o", str(page), "-q"]) == 0
    return page, result


@pytest.fixture(params=["alone", "everything"])
def case(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    found = made(request.param)
    capsys.readouterr()
    return found


class Truth:
    """What a number on the page must be, from the files alone."""

    def __init__(self, page: Node, result: Path) -> None:
        self.page = page
        self.result = json.loads(result.read_text())
        comparison = result.with_name("comparison.json")
        self.comparison = json.loads(comparison.read_text()) if comparison.exists() else None
        items = result.with_name("result.items.npz")
        self.items: dict[str, Any] = {}
        if items.exists():
            with np.load(items) as stored:
                self.items = {name: stored[name] for name in stored.files}

    def of(self, place: str) -> float | None:
        kind, _, pointer = place.rpartition(":")
        if not kind:
            value = at(self.result, pointer)
        elif kind == "compare":
            value = at(self.comparison, pointer)
        elif kind == "chance":
            value = chance(self.result, pointer[1:])
        elif kind == "items":
            value = self._items(pointer[1:].split("/"))
        else:
            assert place == "zero:"
            value = 0.0
        assert value is None or isinstance(value, int | float)
        return value

    def _items(self, keys: list[str]) -> float | None:
        kind, scored = self.items["item_kind"], self.items["scored"].astype(bool)
        recall, f1 = self.items["item_scores"][:, 1].astype(float), self.items["item_scores"][:, 2].astype(float)
        if keys[0] == "scored":
            return int(scored.sum())
        if keys[0] == "f1":
            return float(f1[scored].sum() / scored.sum())
        assert keys[0] == "kinds"
        rows = np.flatnonzero(kind == KINDS.index(keys[1]))
        if keys[2] == "items":
            return len(rows)
        if keys[2] == "share":
            return len(rows) / len(kind)
        counted = rows[scored[rows]]
        if keys[1] == "unreachable" and not len(counted):
            return None
        fixed = [2 * recall[row] / (1 + recall[row]) if keys[1] == "spilled" else 1.0 for row in counted]
        return float((np.array(fixed) - f1[counted]).sum() / scored.sum())


def held(page: Node, truth: Truth) -> set[str]:
    """The places in the result of all numbers on a page, each held against it."""
    seen = set()
    for element in page.all("data"):
        style = element.attributes.get("data-style", "share")
        place = element.attributes["data-from"]
        if place.startswith(("page:", "items:/items")):
            continue  # tests below
        value = truth.of(place)
        assert value is not None, place
        if "data-minus" in element.attributes:
            floor = truth.of(element.attributes["data-minus"])
            assert floor is not None
            value -= floor
            if "data-toward" in element.attributes:
                ceiling = truth.of(element.attributes["data-toward"])
                assert ceiling is not None
                value /= ceiling - floor
        value = abs(value) if style == "size" else value
        assert float(element.attributes["value"]) == pytest.approx(value, rel=1e-12, abs=1e-12), element.attributes
        assert element.text == rounded(float(element.attributes["value"]), style), element.attributes
        seen.add(place)
    return seen


def test_numbers_are_those_of_the_result(case: tuple[Path, Path]) -> None:
    page = read_page(case[0])
    truth = Truth(page, case[1])
    seen = held(page, truth)
    metrics = truth.result["metrics"]
    shown = {name for name in metrics if f"/metrics/{name.replace('/', '~1')}/value" in seen}
    assert shown == {name for name, metric in metrics.items() if metric["value"] is not None}
    for name in shown:
        assert (metrics[name]["ci"] is None) == (f"/metrics/{name}/ci/0" not in seen)
    for base, table in truth.result["baselines"].items():
        for name, metric in table.items():
            # A floor of version 1 that was not so is left out, and some metrics are no floor's or are not there.
            if metric["value"] is not None and name in {"ap", "pointing", "mass", "r@5"}:
                assert f"/baselines/{base}/{name}/value" in seen or (base, name) == ("oracle", "r@5")
    for kind, groups in truth.result["by"].items():
        assert {f"/by/{kind}/{group}/f1/value" for group in groups} <= seen
    if truth.comparison:
        assert {
            f"compare:/metrics/{n}/value/{s}" for n in truth.comparison["metrics"] for s in ("twin", "noisy")
        } <= seen
        assert {f"/channels/L{a}H{b}~1t2i/metrics/ap/value" for a, b in HEADS} <= seen


@pytest.mark.parametrize(
    "flags",
    [
        ["--unit", "phrase"],
        ["--average", "micro"],
        ["--threshold", "top:3"],
        ["--threshold", "mass:0.5"],
        ["--threshold", "max:0.5"],
        ["--threshold", "abs:0.1"],
        ["--direction", "i2t", "--missing", "skip"],
        ["--direction", "t2i,i2t", "--missing", "skip"],
        ["--folds", "5"],
        ["--limit", "7"],
        ["--limit", "1"],
        ["--resamples", "0"],
        ["--unreachable", "zero"],
    ],
    ids=" ".join,
)
def test_numbers_under_other_protocols(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = both_ways(tmp_path / "both.npz", FIXTURES / "noisy.npz")
    result, page = tmp_path / "result.json", tmp_path / "page.html"
    items = ["--items"] if "i2t" not in flags else []
    assert main(["score", str(export), "--gt", str(GT), *items, *flags, "-o", str(result), "-q"]) == 0
    drawn = ["--attn", str(export), "--gt", str(GT)] if items else []
    assert main(["report", str(result), *drawn, "-o", str(page), "-q"]) == 0
    root = read_page(page)
    seen = held(root, Truth(root, result))
    assert len(seen) > 40
    names = [section.attributes["id"] for section in root.all("section")]
    assert ("items" in names) == bool(items)
    capsys.readouterr()


ALLOWED = re.compile(
    r"95[ \u00a0]%|in[ \u00a0]%|R@\d+|F1|p < 0\.05|3 MB|\bL\d+H\d+|\bL\d+\b|\bH\d+\b|steps of 5 points"
    r"|fewer than (?:30|100)"
    r"|small, < 5[ \u00a0]%|large, \u2265 25[ \u00a0]%|version \d|SHA-256|axis \d+ to \d+[ \u00a0]%"
    r"|\d of \d+ channels|Flickr30k|seed 12345|of [\d,]+ images"
)
"""What holds digits and is no number of a result."""
NOT_READ = {"data", "script", "style", "svg", "details", "code", "option", "article", "h1", "form"}


def test_no_number_stands_alone(case: tuple[Path, Path]) -> None:
    page, stored = read_page(case[0]), json.loads(case[1].read_text())["notes"]

    def told(node: Node) -> str:
        if node.name in NOT_READ or "sig" in node.attributes.get("class", "").split():
            return " "
        return "".join(child if isinstance(child, str) else told(child) for child in node.children)

    for area in page.all("section"):
        if area.attributes["id"] == "items":
            continue
        for row in (*area.all("p"), *area.all("td"), *area.all("li"), *area.all("th")):
            own = [group.text for group in area.all("th", scope="row")]
            text = told(row).strip()
            if text not in own and text not in stored:
                assert not re.search(r"\d", ALLOWED.sub("", text)), text


def test_counts_of_the_verdict(case: tuple[Path, Path]) -> None:
    section = read_page(case[0]).one("section", id="verdict")
    rows = section.one("table", class_="head").all("tr")
    states = [
        row.attributes["class"].split()[0] for row in rows if row.attributes.get("class") and not row.has(class_="q")
    ]
    judged = [state for state in states if state != "none"]
    numbers = {n.attributes["data-from"]: float(n.attributes["value"]) for n in section.all("data")}
    assert numbers["page:above"] == judged.count("above")
    assert numbers["page:compared"] == len(judged)
    first = section.one("p", class_="verdict").text.split(".")[0]
    assert first == ("Yes" if set(judged) == {"above"} else "Partly" if "above" in judged else "No")


def _percent(text: str) -> float:
    assert text.endswith("%")
    return float(text[:-1]) / 100


def test_marks_stand_where_their_numbers_say(case: tuple[Path, Path]) -> None:
    page = read_page(case[0])
    drawn = 0
    for row in page.one("table", class_="head").all("tr"):
        strip = [svg for svg in row.all("svg", class_="strip") if "axis" not in svg.attributes["class"]]
        if not strip:
            continue
        value, *ends = (
            float(n.attributes["value"])
            for n in [*row.one("td", class_="big").all("data"), *row.one("td", class_="iv").all("data")]
        )
        mark = next(node for node in strip[0].walk() if node.has(class_="pt"))
        line = mark.all("line")
        assert [_percent(line[0].attributes["x1"]), _percent(line[0].attributes["x2"])] == pytest.approx(ends, abs=6e-5)
        (spot,) = [n.attributes.get("cx") or n.attributes["x"] for n in mark.walk() if n.name in {"circle", "svg"}]
        assert _percent(spot) == pytest.approx(value, abs=6e-5)
        # What the picture says in words is what it shows.
        words = strip[0].attributes["aria-label"]
        assert rounded(value, "share") in words
        assert all(rounded(end, "share") in words for end in ends)
        floors = [_percent(n.attributes["x1"]) for n in strip[0].all("line", class_="floor")]
        listed = re.search(r"floors: ([^;]*)", words)
        numbers = sorted(float(n) / 100 for n in re.findall(r"(\d+\.\d)", listed[1])) if listed else []
        if "zero:" not in str([n.attributes for n in row.all("data")]):
            assert sorted(floors) == pytest.approx(numbers, abs=6e-4)
        drawn += 1
    assert drawn >= 9


def test_the_script_reads_the_same_curve_and_channels(case: tuple[Path, Path]) -> None:
    page, result = read_page(case[0]), json.loads(case[1].read_text())
    data = data_of(page)
    for name in ("parameter", "precision", "recall", "f1"):
        assert data["curve"][name] == result["curve"][name]
    assert data["curve"]["parameter"][data["curve"]["at"]] == 1
    if data["channels"] is None:
        assert len(result["channels"]) < 2
        return
    for name, cell in data["channels"]["cells"].items():
        stored = result["channels"][f"{name}/t2i"]["metrics"]
        for metric, (value, low, high, state) in cell.items():
            assert [value, low, high] == [stored[metric]["value"], *(stored[metric]["ci"] or (None, None))]
            assert state in {"above", "at", "below", "none"}
    for metric, floor in data["channels"]["floors"].items():
        bases = [
            result["baselines"][base][metric]["value"]
            for base in ("uniform", "center")
            if metric in result["baselines"][base]
        ]
        assert floor == (max(bases) if bases else 0.0)
    assert [data["channels"]["all"][m][0] for m in ("f1", "ap")] == [
        result["metrics"][m]["value"] for m in ("f1", "ap")
    ]


def test_the_heat_map_and_its_means(case: tuple[Path, Path]) -> None:
    page = read_page(case[0])
    data = data_of(page)["channels"]
    if data is None:
        assert not page.all("table", class_="heat")
        return
    heat = page.one("table", class_="heat")
    metric = page.one("select", id="heads-metric").all("option")[0].attributes["value"]
    values = {name: cell[metric][0] for name, cell in data["cells"].items()}
    shown = {td.attributes["data-cell"]: td for td in heat.all("td") if "data-cell" in td.attributes}
    assert {name: float(td.one("b").one("data").attributes["value"]) for name, td in shown.items()} == values
    assert [name for name, td in shown.items() if td.has(class_="best")] == [max(values, key=lambda name: values[name])]
    rows = heat.all("tr")
    for layer in range(2):
        mean = np.mean([values[f"L{layer}H{head}"] for head in range(3)])
        assert float(rows[1 + layer].one("td", class_="mean").one("data").attributes["value"]) == pytest.approx(mean)
    last = [float(n.attributes["value"]) for n in rows[3].all("data")]
    by_head = [np.mean([values[f"L{layer}H{head}"] for layer in range(2)]) for head in range(3)]
    assert last == pytest.approx([*by_head, np.mean(list(values.values()))])
    ranked = [row.one("th").text for row in page.one("table", id="ranked").all("tr")]
    assert ranked == sorted(values, key=lambda name: -values[name])


def unpacked(text: str, count: int) -> list[bool]:
    return [bool(bit) for bit in np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count)]


def test_items_are_those_of_the_items_file(case: tuple[Path, Path]) -> None:
    page = read_page(case[0])
    gallery: Any = data_of(page)["gallery"]
    with np.load(case[1].with_name("result.items.npz")) as stored:
        items = {name: stored[name] for name in stored.files}

    def strings(name: str) -> list[str]:
        raw, offset = items[name].tobytes(), items[f"{name}_offset"]
        return [raw[a:b].decode() for a, b in itertools.pairwise(offset.tolist())]

    images, texts = strings("image_id"), strings("caption_text")
    bytes_of = [
        (int(np.diff(items["region_offset"])[i]) + 7) // 8 for i in items["caption_image"][items["item_caption"]]
    ]
    start = np.concatenate(([0], np.cumsum(bytes_of)))
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, caption in enumerate(items["item_caption"].tolist()):
        key = (
            images[items["caption_image"][caption]],
            int(items["caption_index"][caption]),
            *items["item_span"][row].tolist(),
        )
        rows.setdefault(key, []).append(row)
    assert len(gallery["items"]) > 50
    for item in gallery["items"]:
        image, index, text, _ = gallery["captions"][item["c"]]
        own = gallery["images"][image]
        key = (own["id"], index, *item["w"])  # no character of the fixtures takes two units
        row = rows[key].pop(0)
        assert text == texts[items["item_caption"][row]]
        assert item["v"][:3] == pytest.approx(items["item_scores"][row].tolist(), abs=1e-6)
        assert gallery["kinds"][item["k"]] == KINDS[items["item_kind"][row]]
        n = len(own["boxes"])
        attended, relevant = unpacked(item["a"], n), unpacked(item["r"], n)
        for bits, name in ((attended, "attended"), (relevant, "relevant")):
            assert bits == unpacked(base64.b64encode(items[name][start[row] : start[row + 1]].tobytes()).decode(), n)
        assert (item["na"], item["nr"], item["s"]) == (sum(attended), sum(relevant), bool(items["scored"][row]))
        share = sum(relevant) / n
        assert item["e"] == (pytest.approx(2 * share / (1 + share), abs=1e-6) if share else None)
        # The largest weight and its region are in the items file too.
        weights = np.frombuffer(base64.b64decode(item["q"]), np.uint8)
        region, largest = items["item_top"][row].tolist()
        assert weights[int(region)] == 255
        assert item["mx"] == pytest.approx(largest, rel=1e-5)
    counts = {
        box.attributes["value"]: int(box.parent.text.split()[-1].replace(",", ""))
        for box in page.all("input", name="kind")
        if box.parent
    }
    for kind, count in counts.items():
        assert count == sum(item["k"] == int(kind) for item in gallery["items"])


def test_cards_without_a_script_show_the_same_numbers(case: tuple[Path, Path]) -> None:
    page = read_page(case[0])
    gallery: Any = data_of(page)["gallery"]
    cards = page.all("article")
    assert len(cards) == 6
    for card in cards:
        caption_id = card.one("p", class_="top").text.rpartition(" ")[2].strip("\u00b7 ")
        marked = "".join(
            s.text for s in card.one("p", class_="cap").all("span") if "word" in s.attributes["class"].split()
        )
        numbers = {
            span.text.split()[0]: float(span.one("data").attributes["value"])
            for span in card.one("p", class_="nums").all("span")
        }
        for span in card.one("p", class_="nums").all("span"):
            assert span.one("data").text == rounded(float(span.one("data").attributes["value"]), "share")

        def fits(item: Any, wanted: str = caption_id, word: str = marked, f1: float = numbers["F1"]) -> bool:
            image, index, text, _ = gallery["captions"][item["c"]]
            same = f"{gallery['images'][image]['id']}#{index}" == wanted and text[slice(*item["w"])] == word
            return same and abs(item["v"][2] - f1) < 1e-6

        found = [item for item in gallery["items"] if fits(item)]
        assert found
        assert any(
            [item["v"][k] for k in (0, 1, 3)]
            == pytest.approx([numbers["precision"], numbers["recall"], numbers["AP"]], abs=1e-6)
            for item in found
            if item["v"][3] is not None
        )
