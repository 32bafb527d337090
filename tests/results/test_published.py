"""A result and its items belong together, whenever whoever writes them is stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import attneval
from exports import assert_says

from attneval import Options, Result, gate, score
from attneval.errors import DataError
from attneval.results.item_choice import belong
from attneval.results.items import ItemTable
from attneval.results.result import items_path
from attneval.storage import drafts
from attneval.storage.whole_files import replacing_all, write_together

FIXTURES = Path(__file__).parents[2] / "fixtures"
ENTITIES = FIXTURES / "entities"
ITEMS = Options(resamples=0, items=True)


def run(name: str, folder: Path, *flags: str) -> Path:
    path = folder / "r.json"
    done = attneval("score", FIXTURES / f"{name}.npz", "--gt", ENTITIES, "-q", "--resamples", "0", "-o", path, *flags)
    assert done.code == 0, done.err
    return path


def test_the_file_holds_the_digest_of_its_items(tmp_path: Path) -> None:
    path = run("good", tmp_path, "--items")
    values, table = json.loads(path.read_text()), ItemTable.load(items_path(path))
    assert values["items_sha256"] == table.sha256()
    assert belong(table, Result.load(path))
    # Written again without the items, the result still says which they are.
    Result.load(path).save(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["items_sha256"] == table.sha256()


def test_the_digest_is_of_columns_and_not_of_the_archive(tmp_path: Path) -> None:
    table = score(FIXTURES / "good.npz", ENTITIES, options=ITEMS).items
    assert table is not None
    table.save(tmp_path / "a.items.npz")
    assert ItemTable.load(tmp_path / "a.items.npz").sha256() == table.sha256()
    other = score(FIXTURES / "noisy.npz", ENTITIES, options=ITEMS).items
    assert other is not None
    assert other.sha256() != table.sha256()


@pytest.mark.parametrize("command", ["inspect", "report"])
def test_items_of_another_run_are_told(tmp_path: Path, command: str) -> None:
    """As after a run that was killed between the two files."""
    run("good", tmp_path, "--items")
    shutil.copy(tmp_path / "r.items.npz", tmp_path / "old.npz")
    path = run("noisy", tmp_path, "--items")
    assert attneval(command, path, cwd=tmp_path).code == 0
    shutil.copy(tmp_path / "old.npz", tmp_path / "r.items.npz")
    done = attneval(command, path, cwd=tmp_path)
    assert done.code == 2
    assert_says(done.err, "r.items.npz holds the items of another result")


def test_a_result_without_items_takes_the_old_ones_with_it(tmp_path: Path) -> None:
    run("good", tmp_path, "--items")
    path = run("good", tmp_path)
    assert not items_path(path).exists()
    assert json.loads(path.read_text())["items_sha256"] is None


def test_a_new_baseline_takes_the_old_ones_items_with_it(tmp_path: Path) -> None:
    path = run("good", tmp_path, "--items")
    baseline = tmp_path / "base.json"
    shutil.copy(items_path(path), items_path(baseline))
    for target in (baseline, path):
        done = attneval("gate", path, "--baseline", target, "--update-baseline", cwd=tmp_path)
        assert done.code == 0, done.err
    assert not items_path(baseline).exists()
    assert items_path(path).exists()


def test_a_result_that_does_not_say_is_held_by_its_numbers(tmp_path: Path) -> None:
    result = score(FIXTURES / "good.npz", ENTITIES, options=ITEMS)
    values = json.loads(result.to_json())
    del values["items_sha256"]
    (tmp_path / "old.json").write_text(json.dumps(values))
    old = Result.load(tmp_path / "old.json")
    assert old.items_sha256 is None
    assert "items_sha256" not in old.to_dict()
    assert result.items is not None
    assert belong(result.items, old)


def test_json_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from attneval.__main__ import main

    placed: list[str] = []
    publish = drafts.Draft.publish

    def published(draft: drafts.Draft) -> None:
        placed.append(draft._path.name)
        publish(draft)

    monkeypatch.setattr(drafts.Draft, "publish", published)
    names = ("r.json", "r.csv", "r.md")
    outputs = [part for name in names for part in ("-o", str(tmp_path / name))]
    flags = ["--gt", str(ENTITIES), "-q", "--items", "--resamples", "0"]
    assert main(["score", str(FIXTURES / "good.npz"), *flags, *outputs]) == 0
    capsys.readouterr()
    assert placed[-4:] == ["r.items.npz", "r.csv", "r.md", "r.json"]


def test_what_cannot_be_written_replaces_nothing(tmp_path: Path) -> None:
    """A disk that is full while the last file is written leaves all of the old ones."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text("old")

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"c cannot be written \(No space left on device\)"):
        write_together([(paths[0], lambda f: f.write(b"x")), (paths[1], lambda f: f.write(b"y")), (paths[2], full)])
    assert [path.read_text() for path in paths] == ["old"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    with replacing_all(paths) as files:
        for file in files:
            file.write(b"new")
        assert [path.read_text() for path in paths] == ["old"] * 3
    assert [path.read_text() for path in paths] == ["new"] * 3


# ---------------------------------------------------------------- the short signature


def test_the_short_signature_parses_back_and_is_shown() -> None:
    from attneval import Protocol
    from attneval.report.score import score_page

    result = score(FIXTURES / "good.npz", ENTITIES, protocol=Protocol(iou=0.4), options=Options(resamples=7, seed=5))
    short = result.short_signature
    assert short == f"attneval:2|iou:0.4|overlap:iou|version:{result.version}|resamples:7|seed:5"
    assert Protocol.parse(short) == result.protocol
    assert f"short: {short}" in score_page(result).lines
    assert short in repr(result)


def test_comparison_never_looks_at_the_bootstrap() -> None:
    from attneval import compare

    a = score(FIXTURES / "good.npz", ENTITIES, options=Options(resamples=7, seed=5))
    b = score(FIXTURES / "noisy.npz", ENTITIES, options=Options(resamples=0, seed=6))
    assert compare([a, b], resamples=0, trials=999).notes == ()
    assert gate(b, "f1 drops by at most 0.5", a).passed


# ---------------------------------------------------------------- few images


def test_few_images_are_images_with_items() -> None:
    import numpy as np
    from results import image_sums, made

    from attneval import compare
    from attneval.report.compare import compare_page
    from attneval.report.score import lines_under

    items = [1.0] * 5 + [0.0] * 280
    columns = {"f1": items, "scored": items, "items": items, "reached": items}
    result = made("few", image_sums(columns))
    (note,) = (line for line in lines_under(result) if "are few" in line)
    assert note.startswith("note: 5 of 285 images have items, which are few")
    comparison = compare([result, result], resamples=0, trials=9)
    assert (comparison.images, comparison.images_with_items) == (285, 5)
    assert any("5 of 285 images have items" in line for line in compare_page(comparison).lines)
    # Of similarities alone every image with queries counts.
    ranked = made("ranks", image_sums({"i2t_n": [1.0] * 40, "t2i_n": [1.0] * 40, "i2t_r@1": [1.0] * 40}))
    assert int(np.sum(ranked.scores.sums.counted())) == 40
    assert not any("are few" in line for line in lines_under(ranked))
