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


def gallery() -> Any:
    return data()["gallery"]


def image_of(item: Any) -> str:
    image = gallery()["captions"][item["c"]][0]
    return str(gallery()["images"][image]["id"])


CARDS = "return $$('#cards .card').map((card) => Number(card.dataset.item));"
ALL = "for (;;) { const more = document.getElementById('more'); if (more.hidden) break; more.click(); } " + CARDS


def test_the_first_cards_are_the_worst_of_each_image() -> None:
    items = gallery()["items"]
    shown = run(page(), ALL)
    worst: dict[str, int] = {}
    for item in sorted(range(len(items)), key=lambda i: (not items[i]["s"], items[i]["v"][2], i)):
        worst.setdefault(image_of(items[item]), item)
    assert shown == list(worst.values())
    assert len(run(page(), CARDS)) == 12
    assert len(run(page(), CARDS, width=500)) == 6


@pytest.mark.parametrize("kind", ["spilled", "narrow"])
def test_a_kind_filters(kind: str) -> None:
    items, number = gallery()["items"], gallery()["kinds"].index(kind)
    script = (
        "$$('#filters input[name=kind]').forEach((box) => { box.checked = box.value === '%d'; });"
        "choose('f-sort', 'image'); document.getElementById('f-one').click();"
    )
    shown = run(page(), script % number + ALL)
    assert sorted(shown) == [i for i, item in enumerate(items) if item["k"] == number]
    assert shown


def test_type_word_image_and_sort() -> None:
    items = gallery()["items"]
    kinds = gallery()["types"]
    people = kinds.index("people")
    script = "document.getElementById('f-one').click(); choose('f-type', 'people'); choose('f-sort', '-f1');"
    shown = run(page(), script + ALL)
    assert set(shown) == {i for i, item in enumerate(items) if people in item["t"]}
    scored = [items[i]["v"][2] for i in shown if items[i]["s"]]
    assert scored == sorted(scored, reverse=True)
    word = gallery()["captions"][items[0]["c"]][2][slice(*items[0]["p"])].upper()
    script = f"document.getElementById('f-one').click(); choose('f-word', {word!r});"
    found = run(page(), script + ALL)
    texts = [gallery()["captions"][item["c"]][2][slice(*item["p"])] for item in items]
    assert set(found) == {i for i, text in enumerate(texts) if word.lower() in text.lower()}
    shown = run(page(), "document.getElementById('f-one').click(); choose('f-image', '2');" + ALL)
    assert set(shown) == {i for i, item in enumerate(items) if gallery()["captions"][item["c"]][0] == 2}
    shown = run(page(), "document.getElementById('f-one').click(); choose('f-sort', 'lift');" + ALL)
    lifts = [items[i]["v"][2] - items[i]["e"] for i in shown if items[i]["s"]]
    assert lifts == sorted(lifts)


def test_presets() -> None:
    items = gallery()["items"]

    def preset(name: str) -> list[int]:
        shown: list[int] = run(page(), f"document.querySelector('[data-preset={name}]').click();" + ALL)
        return shown

    best = preset("best")
    assert [items[i]["v"][2] for i in best if items[i]["s"]] == sorted((items[i]["v"][2] for i in best if items[i]["s"]), reverse=True)
    random = preset("random")
    assert random == preset("random")
    assert random not in (best, sorted(random))
    torn = preset("torn")
    wrong = {gallery()["kinds"].index(name) for name in ("wrong entity", "wrong instance", "missed")}
    ranks = [gallery()["captions"][item["c"]][3] for item in items]
    assert set(torn) == {i for i, item in enumerate(items) if item["k"] in wrong and ranks[i] is not None and ranks[i] <= 1}
    pressed = run(page(), "document.querySelector('[data-preset=best]').click(); return $$('[data-preset]').map((b) => b.getAttribute('aria-pressed'));")
    assert pressed == ["false", "true", "false", "false"]


def test_the_address_keeps_the_filters() -> None:
    number = gallery()["kinds"].index("spilled")
    expected = [i for i, item in enumerate(gallery()["items"]) if item["k"] == number]
    shown = run(page(), ALL, fragment=f"#items?kind={number}&one=0&sort=image")
    assert sorted(shown) == expected
    script = f"document.querySelector('a[data-kind=\"{number}\"]').click(); return location.hash;"
    assert run(page(), script) == f"#items?kind={number}&one=0"
    # What is unknown is ignored.
    plain = run(page(), CARDS)
    assert run(page(), CARDS, fragment="#items?kind=99&type=no&sort=no&image=no&junk=1") == plain


def test_numbers_on_cards_are_those_of_the_data() -> None:
    cards = run(page(), "return $$('#cards .card').map((card) => [Number(card.dataset.item), ...$$('.nums b', card).map((b) => b.textContent)]);")
    for number, *texts in cards:
        precision, recall, f1, ap, _ = gallery()["items"][number]["v"]
        values = [f1, precision, recall, *([ap] if ap is not None else [])]
        assert [float(text) for text in texts] == pytest.approx([100 * value for value in values], abs=0.0500001)


def test_weights_are_read_with_keys() -> None:
    script = (
        "const card = document.querySelector('#cards .card'), button = card.querySelector('.stagebutton');"
        "button.focus(); press(button, 'ArrowRight'); const first = card.querySelector('.ro').textContent;"
        "press(button, 'ArrowDown'); const second = card.querySelector('.ro').textContent;"
        "press(button, 'Escape'); return [Number(card.dataset.item), first, second, card.querySelector('.ro').textContent];"
    )
    number, first, second, after = run(page(), script)
    item = gallery()["items"][number]
    assert first.startswith("Region ")
    assert f"weight {item['mx']:.3g}"[:10] in first
    assert second != first
    assert after.startswith(f"{item['na']} attended, {item['nr']} relevant")


def test_another_word_brings_its_own_map() -> None:
    script = (
        "for (const card of $$('#cards .card')) { const word = card.querySelector('.cap button'); if (!word) continue;"
        "const before = card.dataset.item, text = word.textContent, map = card.querySelector('.map').getAttribute('href'); word.click();"
        "return [Number(before), Number(card.dataset.item), text, card.querySelector('.word').textContent,"
        " map !== card.querySelector('.map').getAttribute('href'), document.activeElement.className]; }"
    )
    before, after, clicked, marked, other_map, focused = run(page(), script)
    items = gallery()["items"]
    assert before != after
    assert items[before]["c"] == items[after]["c"]
    assert clicked == marked
    assert other_map
    assert focused == "stagebutton"


def test_layers_of_the_drawing_can_be_taken_away() -> None:
    count = "return ['.map', '.at', '.an', '.rel'].map((mark) => $$('#cards ' + mark).length > 0);"
    assert run(page(), count) == [True, True, True, False]
    script = "for (const id of ['d-map', 'd-at', 'd-an', 'd-rel']) document.getElementById(id).click();"
    assert run(page(), script + count) == [False, False, False, True]
    script = "const hrefs = () => $$('#cards .map').map((map) => map.getAttribute('href')).join(); const one = hrefs(); choose('d-style', 'colour'); return one !== hrefs();"
    assert run(page(), script) is True


def test_breakdowns_are_sorted() -> None:
    script = "document.querySelector('[data-order=%s]').click(); return $$('tbody.sorted').map((body) => $$('tr[data-place]', body).map((row) => Number(row.dataset['%s'])));"
    for key in ("value", "items"):
        for values in run(page(), script % (key, key)):
            assert values == sorted(values, reverse=True)
    for values in run(page(), script % ("given", "place")):
        assert values == sorted(values)


def test_heads_are_sorted_and_change_their_metric() -> None:
    cells = data()["channels"]["cells"]
    read = "return $$('#heat tbody tr:not(.mean)').map((row) => $$('td[data-cell]', row).map((cell) => cell.dataset.cell));"
    mean = lambda names, metric: sum(cells[name][metric][0] for name in names) / len(names)  # noqa: E731
    for metric in ("f1", "ap"):
        rows = run(page(), f"choose('heads-metric', '{metric}'); choose('heads-order', 'both');" + read)
        assert sorted(name for row in rows for name in row) == sorted(cells)
        layers = [mean(row, metric) for row in rows]
        assert layers == sorted(layers, reverse=True)
        heads = [mean([row[k] for row in rows], metric) for k in range(4)]
        assert heads == sorted(heads, reverse=True)
        rows = run(page(), f"choose('heads-metric', '{metric}'); choose('heads-order', 'within');" + read)
        for layer, row in enumerate(rows):
            assert {name[:2] for name in row} == {f"L{layer}"}
            assert [cells[n][metric][0] for n in row] == sorted((cells[n][metric][0] for n in row), reverse=True)
    script = "choose('heads-metric', 'ap'); return [$$('#ranked th').map((th) => th.textContent), $$('#heat td[data-cell] b').map((b) => b.textContent), document.getElementById('heads-best').textContent];"
    ranked, values, best = run(page(), script)
    assert ranked == sorted(cells, key=lambda name: -cells[name]["ap"][0])
    assert [float(v) for v in values] == pytest.approx([100 * cell["ap"][0] for cell in cells.values()], abs=0.0500001)
    assert best.startswith(f"Best: {ranked[0]} ")


def test_the_script_and_the_page_write_numbers_alike() -> None:
    """The first metric, filled in anew, is what stood there."""
    read = "$$('#heat tbody td').map((cell) => [cell.textContent, cell.className, cell.style.getPropertyValue('--a') === '' ? null : Number(cell.style.getPropertyValue('--a'))])"
    before, after = run(page(), f"const first = {read}; choose('heads-metric', 'ap'); choose('heads-metric', 'f1'); return [first, {read}];")
    assert before == after
    ranked = "$$('#ranked tr').map((row) => row.textContent)"
    before, after = run(page(), f"const first = {ranked}; choose('heads-metric', 'ap'); choose('heads-metric', 'f1'); return [first, {ranked}];")
    assert before == after
    for value, text in ((0.1225, "12.2"), (0.1275, "12.8"), (0.5, "50.0"), (-0.1225, "\u221212.2"), (-0.0001, "0.0")):
        assert run(page(), f"return percent({value});") == text


def test_the_curves_are_read_with_keys() -> None:
    script = "const box = document.getElementById('curve-box'); box.focus(); press(box, '%s'); return [Number(box.getAttribute('aria-valuenow')), box.getAttribute('aria-valuetext'), document.getElementById('curve-readout').textContent, $$('#curve-ring circle').length];"
    curve = data()["curve"]
    for key, step in (("ArrowRight", 1), ("PageDown", -10), ("End", 1000)):
        place, text, said, rings = run(page(), script % key)
        expected = min(max(curve["at"] + step, 0), len(curve["f1"]) - 1)
        assert place == expected
        assert text == said
        assert rings == 3
        numbers = [100 * curve[name][expected] for name in ("precision", "recall", "f1")]
        for name, number in zip(("precision", "recall", "F1"), numbers, strict=True):
            told = float(text.split(f"{name} ")[1].split()[0].rstrip(","))
            assert told == pytest.approx(number, abs=0.0500001)


@pytest.mark.parametrize("width", [380, 800, 1280])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    # A window of Chromium without a head is at least 500 wide: the page stands in a frame of the width instead.
    script = f"document.documentElement.style.width = '{width}px'; const root = document.documentElement; return [root.scrollWidth, window.innerWidth];"
    wide, window = run(page(), script, width=max(width, 500))
    assert wide <= max(width, window)


def test_hostile_texts_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, export, gt, photos = hostile.scored(tmp_path)
    drawn = ["--attn", str(export), "--gt", str(gt), "--images", str(photos)]
    for name, more in (("a.html", drawn), ("b.html", ["--images", str(photos)])):
        assert main(["report", str(result), *more, "-o", str(tmp_path / name), "-q"]) == 0
        script = "window.boom = () => errors.push('boom'); document.getElementById('f-one').click(); const all = () => { " + ALL + " };"
        script += "all(); $$('#cards .cap button').slice(0, 20).forEach((button) => button.click());"
        script += "return [$$('img, u, #cards script').length, $$('#cards .cap')[0].textContent, $$('#cards .word').map((w) => w.textContent)];"
        odd, caption, words = run(tmp_path / name, script)
        assert odd == 0
        assert caption == hostile.CAPTION
        assert set(words) <= set(hostile.WORDS)
    capsys.readouterr()


def test_without_a_script_the_page_still_has_its_numbers_and_cards(tmp_path: Path) -> None:
    """Servers of artefacts block scripts: the controls are hidden then, and nothing else."""
    text = page().read_text(encoding="utf-8")
    head, start, rest = text.partition('<script type="application/json" id="data">')
    _, _, tail = rest.rpartition("</script>")
    still = tmp_path / "still.html"
    still.write_text(head + start + "{}</script>" + tail, encoding="utf-8")
    script = "const shown = (node) => node.getClientRects().length > 0; return [$$('.ctl, .js-only').filter(shown).length, $$('#cards .card').filter(shown).length, $$('#verdict data').length > 50];"
    assert run(still, script) == [0, 6, True]
