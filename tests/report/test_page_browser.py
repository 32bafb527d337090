"""The page in a browser: nothing is said on the console, and filters, orders and keys do what they say."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import hostile
import pytest
from browsers import run
from pages import FIXTURES, GT, data_of, many_headed, photographs, read_page, sizes_of

from attneval.__main__ import main

pytestmark = pytest.mark.browser
HEADS = [(layer, head) for layer in range(3) for head in range(4)]


@functools.cache
def page() -> Path:
    folder = Path(tempfile.mkdtemp())
    export = many_headed(folder / "heads.npz", FIXTURES / "good.npz", HEADS)
    result = folder / "result.json"
    assert main(["score", str(export), "--gt", str(GT), "--items", "-o", str(result), "-q"]) == 0
    photos = photographs(folder / "photos", sizes_of(FIXTURES / "good.npz"))
    drawn = ["--attn", str(export), "--gt", str(GT), "--images", str(photos), "--cards", "300"]
    assert main(["report", str(result), *drawn, "-o", str(folder / "page.html"), "-q"]) == 0
    return folder / "page.html"


@functools.cache
def data() -> Any:
    return data_of(read_page(page()))


@pytest.fixture
def gallery() -> Any:
    return data()["gallery"]


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str]) -> None:
    page()
    capsys.readouterr()


def f1(item: Any) -> float:
    return float(item["v"][2])


def phrase(gallery: Any, item: Any) -> str:
    return str(gallery["captions"][item["c"]][2][slice(*item["p"])])


def test_the_first_cards_are_the_worst_of_each_image(gallery: Any) -> None:
    items = gallery["items"]
    worst: dict[int, int] = {}
    for item in sorted(range(len(items)), key=lambda i: (not items[i]["s"], f1(items[i]), i)):
        worst.setdefault(gallery["captions"][items[item]["c"]][0], item)
    first, shown = run(page(), "return [$$('#cards .card').length, all()];")
    assert shown == list(worst.values())
    assert first == 12
    assert run(page(), "return $$('#cards .card').length;", width=500) == 6


def test_filters(gallery: Any) -> None:
    items = gallery["items"]
    spilled, people = gallery["kinds"].index("spilled"), gallery["types"].index("people")
    word = phrase(gallery, items[0]).upper()
    script = """
        const every = () => by("f-one").click();
        const only = (kind) => $$("#filters input[name=kind]").forEach((box) => { box.checked = box.value === kind; });
        return after(
          () => { every(); return all(); },
          () => { every(); only("%d"); choose("f-sort", "image"); return all(); },
          () => { every(); choose("f-type", "people"); return all(); },
          () => { every(); choose("f-image", "2"); return all(); },
          () => { every(); choose("f-word", "%s"); return all(); },
          () => { every(); choose("f-rank", "1"); return all(); },
          () => { every(); choose("f-word", "no such words"); return [all(), by("shown").textContent]; },
          () => { every(); only("%d"); by("all-kinds").click(); return all(); },
        );"""
    everything, kind, type_, image, found, ranked, nothing, again = run(page(), script % (spilled, word, spilled))

    def fitting(wanted: Any) -> set[int]:
        return {i for i, item in enumerate(items) if wanted(item)}

    assert sorted(everything) == sorted(again) == list(range(len(items)))
    assert set(kind) == fitting(lambda item: item["k"] == spilled)
    assert set(type_) == fitting(lambda item: people in item["t"])
    assert set(image) == fitting(lambda item: gallery["captions"][item["c"]][0] == 2)
    assert set(found) == fitting(lambda item: word.lower() in phrase(gallery, item).lower())
    assert set(ranked) == fitting(lambda item: gallery["captions"][item["c"]][3] <= 1)
    assert nothing == [[], "no item fits these filters"]
    for some in (kind, type_, image, found, ranked):
        assert 0 < len(some) < len(items)


def test_orders(gallery: Any) -> None:
    items = gallery["items"]
    names = ("f1", "-f1", "lift", "-mx", "random", "image")
    script = (
        """return after(...%s.map((name) => () => { by("f-one").click(); choose("f-sort", name); return all(); }));"""
    )
    orders = dict(zip(names, run(page(), script % list(names)), strict=True))
    scored = {name: [items[i] for i in order if items[i]["s"]] for name, order in orders.items()}
    assert [f1(i) for i in scored["f1"]] == sorted(f1(i) for i in scored["f1"])
    assert [f1(i) for i in scored["-f1"]] == sorted((f1(i) for i in scored["f1"]), reverse=True)
    lifts = [f1(i) - i["e"] for i in scored["lift"]]
    assert lifts == sorted(lifts)
    weights = [i["mx"] for i in scored["-mx"]]
    assert weights == sorted(weights, reverse=True)
    assert [items[i]["c"] for i in orders["image"]] == sorted(item["c"] for item in items)
    assert len({tuple(order) for order in orders.values()}) == len(names)
    assert all(sorted(order) == list(range(len(items))) for order in orders.values())


def test_presets(gallery: Any) -> None:
    items = gallery["items"]
    script = """
        const preset = (name) => () => { document.querySelector(`[data-preset=${name}]`).click(); return all(); };
        const pressed = () => $$("[data-preset]").map((button) => button.getAttribute("aria-pressed"));
        const shown = after(...["best", "random", "random", "torn"].map(preset));
        return [...shown, pressed(), location.hash];"""
    best, random, again, torn, pressed, address = run(page(), script)
    scored = [f1(items[i]) for i in best if items[i]["s"]]
    assert scored == sorted(scored, reverse=True)
    assert len({items[i]["c"] for i in best}) == len(best)
    assert random == again
    assert random not in (best, sorted(random))
    wrong = {gallery["kinds"].index(name) for name in ("wrong entity", "wrong instance", "missed")}
    ranks = [gallery["captions"][item["c"]][3] for item in items]
    assert set(torn) == {i for i, item in enumerate(items) if item["k"] in wrong and ranks[i] <= 1}
    assert pressed == ["false", "false", "false", "true"]
    assert "rank=1" in address


def test_the_address_keeps_the_filters(gallery: Any) -> None:
    number = gallery["kinds"].index("spilled")
    expected = {i for i, item in enumerate(gallery["items"]) if item["k"] == number}
    assert set(run(page(), "return all();", fragment=f"#items?kind={number}&one=0&sort=image")) == expected
    link = f"""document.querySelector('a[data-kind="{number}"]').click();"""
    assert run(page(), link + "return [location.hash, all()];") == [
        f"#items?kind={number}&one=0",
        sorted(expected, key=lambda i: (not gallery["items"][i]["s"], f1(gallery["items"][i]), i)),
    ]
    plain = run(page(), "return all();")
    unknown = "#items?kind=99&type=no&sort=no&image=no&junk=1"
    assert run(page(), "return all();", fragment=unknown) == plain


def test_numbers_on_cards_are_those_of_the_data(gallery: Any) -> None:
    script = """
        const texts = (card) => $$(".nums b", card).map((number) => number.textContent);
        return $$("#cards .card").map((card) => [Number(card.dataset.item), ...texts(card)]);"""
    for number, *texts in run(page(), script):
        precision, recall, own, ap, _ = gallery["items"][number]["v"]
        values = [own, precision, recall, *([ap] if ap is not None else [])]
        assert [float(text) for text in texts] == pytest.approx([100 * value for value in values], abs=0.0500001)


def test_weights_are_read_with_keys_and_pointer(gallery: Any) -> None:
    script = """
        const card = document.querySelector("#cards .card"), button = card.querySelector(".stagebutton");
        const said = () => card.querySelector(".ro").textContent;
        const steps = ["ArrowRight", "ArrowDown", "Escape"].map((key) => { press(button, key); return said(); });
        const frame = card.querySelector(".stage").getBoundingClientRect();
        const over = { clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2, bubbles: true };
        button.dispatchEvent(new PointerEvent("pointermove", over));
        return [Number(card.dataset.item), ...steps, said()];"""
    number, first, second, after, pointed = run(page(), script)
    item = gallery["items"][number]
    own = gallery["images"][gallery["captions"][item["c"]][0]]
    assert first.startswith("Region ")
    assert f"weight {item['mx']:.3g}"[:10] in first
    assert second != first
    assert after.startswith(f"{item['na']} attended, {item['nr']} relevant")
    if pointed.startswith("Region"):
        x1, y1, x2, y2 = own["boxes"][int(pointed.removeprefix("Region ").partition(":")[0])]
        assert x1 <= own["w"] / 2 <= x2
        assert y1 <= own["h"] / 2 <= y2


def test_another_word_brings_its_own_map(gallery: Any) -> None:
    script = """
        const card = $$("#cards .card").find((own) => own.querySelector(".cap button"));
        const word = card.querySelector(".cap button"), map = () => card.querySelector(".map").getAttribute("href");
        const first = [Number(card.dataset.item), word.textContent, map()];
        word.click();
        const focus = document.activeElement.className;
        return [first, [Number(card.dataset.item), card.querySelector(".word").textContent, map()], focus];"""
    before, after, focus = run(page(), script)
    items = gallery["items"]
    assert before[0] != after[0]
    assert items[before[0]]["c"] == items[after[0]]["c"]
    assert before[1] == after[1]
    assert before[2] != after[2]
    assert focus == "stagebutton"


def test_layers_of_the_drawing_can_be_taken_away() -> None:
    script = """
        const marks = () => [".map", ".at", ".an", ".rel"].map((mark) => $$("#cards " + mark).length > 0);
        const maps = () => $$("#cards .map").map((map) => map.getAttribute("href")).join();
        const first = [marks(), maps()];
        choose("d-style", "colour");
        const colour = maps();
        choose("d-opacity", "20");
        const faint = maps();
        for (const id of ["d-map", "d-at", "d-an", "d-rel"]) by(id).click();
        return [first[0], new Set([first[1], colour, faint]).size, marks()];"""
    assert run(page(), script) == [[True, True, True, False], 3, [False, False, False, True]]


def test_breakdowns_are_sorted() -> None:
    script = """
        const sorted = (order, key) => {
          document.querySelector(`[data-order=${order}]`).click();
          return $$("tbody.sorted").map((body) => $$("tr[data-place]", body).map((row) => Number(row.dataset[key])));
        };
        return [sorted("value", "value"), sorted("items", "items"), sorted("given", "place")];"""
    by_value, by_items, given = run(page(), script)
    for values in (*by_value, *by_items):
        assert values == sorted(values, reverse=True)
    assert all(places == list(range(len(places))) for places in given)


def mean(names: list[str], metric: str) -> float:
    return float(sum(data()["channels"]["cells"][name][metric][0] for name in names) / len(names))


def test_heads_are_sorted_and_change_their_metric() -> None:
    cells = data()["channels"]["cells"]
    script = """
        const rows = $$("#heat tbody tr:not(.mean)");
        const names = () => rows.map((row) => $$("td[data-cell]", row).map((cell) => cell.dataset.cell));
        const order = (metric, how) => { choose("heads-metric", metric); choose("heads-order", how); return names(); };
        const told = () => [$$("#ranked th").map((th) => th.textContent), by("heads-best").textContent,
          $$("#heat td[data-cell] b").map((number) => number.textContent)];
        return [["f1", "ap"].map((m) => ["both", "within", "index"].map((how) => order(m, how))), told()];"""
    orders, (ranked, best, values) = run(page(), script)
    for metric, (both, within, index) in zip(("f1", "ap"), orders, strict=True):
        assert sorted(name for row in both for name in row) == sorted(cells)
        layers = [mean(row, metric) for row in both]
        heads = [mean([row[k] for row in both], metric) for k in range(4)]
        assert layers == sorted(layers, reverse=True)
        assert heads == sorted(heads, reverse=True)
        for layer, row in enumerate(within):
            assert {name[:2] for name in row} == {f"L{layer}"}
            own = [cells[name][metric][0] for name in row]
            assert own == sorted(own, reverse=True)
        assert [name for row in index for name in row] == list(cells)
    assert ranked == sorted(cells, key=lambda name: -cells[name]["ap"][0])
    assert best.startswith(f"Best: {ranked[0]} ")
    assert [float(v) for v in values] == pytest.approx([100 * c["ap"][0] for c in cells.values()], abs=0.0500001)


def test_the_script_and_the_page_write_numbers_alike() -> None:
    """The first metric, filled in anew, is what stood there."""
    script = """
        const alpha = (cell) => Number(cell.style.getPropertyValue("--a"));
        const heat = () => $$("#heat tbody td").map((cell) => [cell.textContent, cell.className, alpha(cell)]);
        const read = () => [heat(), $$("#ranked tr").map((row) => row.textContent), by("heads-best").textContent];
        const first = read();
        const metrics = [...by("heads-metric").options].map((option) => option.value);
        for (const metric of [metrics[1], metrics[0]]) choose("heads-metric", metric);
        return [first, read(), [0.1225, 0.1275, 0.5, -0.1225, -0.0001, null].map((value) => percent(value))];"""
    before, after, texts = run(page(), script)
    assert before == after
    assert texts == ["12.2", "12.8", "50.0", "\u221212.2", "0.0", "\u2013"]


def test_the_curves_are_read_with_keys() -> None:
    script = """
        const box = by("curve-box"), first = by("curve-readout").textContent;
        box.focus();
        const steps = ["ArrowRight", "PageDown", "End", "Home"].map((key) => {
          press(box, key);
          const value = (name) => box.getAttribute("aria-" + name);
          return [Number(value("valuenow")), value("valuetext"), by("curve-readout").textContent];
        });
        const rings = $$("#curve-ring circle").length;
        press(box, "Escape");
        return [steps, rings, $$("#curve-ring circle").length, by("curve-readout").textContent === first];"""
    steps, rings, left, restored = run(page(), script)
    curve = data()["curve"]
    last = len(curve["f1"]) - 1
    assert [place for place, _, _ in steps] == [curve["at"] + 1, curve["at"] - 9, last, 0]
    assert (rings, left, restored) == (3, 0, True)
    for place, text, said in steps:
        assert text == said
        for name, title in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            told = float(text.split(f"{title} ")[1].split()[0].rstrip(","))
            assert told == pytest.approx(100 * curve[name][place], abs=0.0500001)


@pytest.mark.parametrize("width", [380, 800, 930, 1280])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    # A window of Chromium without a head is at least 500 wide: the root is made narrower instead.
    script = f"document.documentElement.style.width = '{width}px'; return document.documentElement.scrollWidth;"
    assert run(page(), script, width=max(width, 500)) <= max(width, 500)


def test_hostile_texts_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, export, gt, photos = hostile.scored(tmp_path)
    drawn = ["--attn", str(export), "--gt", str(gt), "--images", str(photos)]
    script = """
        window.boom = () => errors.push("boom");
        by("f-one").click();
        all();
        $$("#cards .cap button").slice(0, 20).forEach((button) => button.click());
        const words = $$("#cards .word").map((word) => word.textContent);
        return [$$("img, u, #cards script").length, $$("#cards .cap")[0].textContent, words];"""
    for name, more in (("a.html", drawn), ("b.html", ["--images", str(photos)])):
        assert main(["report", str(result), *more, "-o", str(tmp_path / name), "-q"]) == 0
        elements, caption, words = run(tmp_path / name, script)
        assert elements == 0
        assert caption == hostile.CAPTION
        assert words
        assert set(words) <= set(hostile.WORDS)
    capsys.readouterr()


def test_without_its_script_the_page_has_numbers_and_cards(tmp_path: Path) -> None:
    """Servers of artefacts block scripts: the controls are hidden then, and nothing else."""
    text = page().read_text(encoding="utf-8")
    head, start, rest = text.partition('<script type="application/json" id="data">')
    still = tmp_path / "still.html"
    still.write_text(f"{head}{start}{{}}</script>{rest.rpartition('</script>')[2]}", encoding="utf-8")
    script = """
        const shown = (selector) => $$(selector).filter((node) => node.getClientRects().length > 0).length;
        return [shown(".ctl, .js-only"), shown("#cards .card"), shown("#verdict data") > 50];"""
    assert run(still, script) == [0, 6, True]
