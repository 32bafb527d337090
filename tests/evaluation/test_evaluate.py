"""From files to a result: what is chosen, what is missing, what is left out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from worlds import make_world

import attneval
from attneval import Options, Protocol
from attneval.cli import cli
from attneval.errors import AlignmentError, DataError, ExportError, NothingToScoreError
from attneval.report.curve import curve_text

FIXTURES = Path(__file__).parents[2] / "fixtures"
ENTITIES = FIXTURES / "entities"
QUICK = Options(resamples=0)


def score(attn: Path | None = FIXTURES / "good.npz", gt: Path | None = ENTITIES, **given: Any) -> attneval.Result:
    given.setdefault("options", QUICK)
    return attneval.score(attn, gt, **given)


def members(name: str = "good.npz") -> dict[str, Any]:
    with np.load(FIXTURES / name) as data:
        return dict(data)


def without_caption(path: Path, row: int) -> Path:
    """The padded fixture without one of its captions."""
    kept = {name: np.delete(values, row, axis=0) for name, values in members("uniform.npz").items()}
    np.savez(path, **kept)
    return path


def test_attention_without_similarity_and_the_other_way_round(tmp_path: Path) -> None:
    both = score()
    attention = score(FIXTURES / "uniform.npz")
    assert "rsum" in both.metrics
    assert "rsum" not in attention.metrics
    assert "retrieval was not scored: there are no similarities" in attention.notes
    retrieval = score(FIXTURES / "good.npz", None)
    assert "f1" not in retrieval.metrics
    assert "attention was not scored: no annotations were given (--gt)" in retrieval.notes
    assert retrieval.metrics["rsum"] == both.metrics["rsum"]
    assert not retrieval.scores.baselines
    assert retrieval.scores.curve is None


def test_similarity_from_bare_matrices(tmp_path: Path) -> None:
    matrix = members()["similarity"]
    np.save(tmp_path / "a.npy", matrix)
    np.save(tmp_path / "b.npy", 3 * matrix + 1)
    alone = score(None, None, similarity=[tmp_path / "a.npy"])
    assert alone["rsum"] == score()["rsum"]
    assert any("5 consecutive captions per image" in note for note in alone.notes)
    ensemble = score(None, None, similarity=[tmp_path / "a.npy", tmp_path / "b.npy"])
    assert ensemble["rsum"] == alone["rsum"]  # a mean of increasing functions of one matrix ranks alike
    beside = score(similarity=[tmp_path / "a.npy"])
    assert beside["rsum"] == score()["rsum"]


def test_an_ensemble_is_the_mean_of_its_matrices(tmp_path: Path) -> None:
    a, b = members("good.npz")["similarity"], members("twin.npz")["similarity"]
    np.save(tmp_path / "mean.npy", (a.astype(np.float64) + b) / 2)
    mean = score(None, None, similarity=[tmp_path / "mean.npy"])
    ensemble = score(None, None, similarity=[FIXTURES / "good.npz", FIXTURES / "twin.npz"])
    assert ensemble["rsum"] == mean["rsum"]
    assert ensemble["t2i_meanr"] == mean["t2i_meanr"]


@pytest.mark.parametrize("shape", [(59, 300), (60, 299), (60,)])
def test_matrices_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    with pytest.raises(ExportError, match=r"a\.npy"):
        score(similarity=[tmp_path / "a.npy"])


def test_an_ensemble_of_other_captions_is_refused(tmp_path: Path) -> None:
    data = members("twin.npz")
    data["caption_image"][:5] = 1
    data["caption_index"][:] = -1
    np.savez(tmp_path / "other.npz", **data)
    with pytest.raises(ExportError, match="different images or captions"):
        score(None, None, similarity=[FIXTURES / "good.npz", tmp_path / "other.npz"])


def small_world(folder: Path, maps: Any, tokens: list[str], **about: Any) -> tuple[Path, Path]:
    """An image of two halves, the left one being a hat."""
    (folder / "Annotations").mkdir()
    (folder / "Sentences").mkdir()
    edges = "<xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>80</ymax>"
    size = "<size><width>100</width><height>80</height></size>"
    thing = f"<object><name>1</name><bndbox>{edges}</bndbox></object>"
    (folder / "Annotations/20.xml").write_text(f"<annotation>{size}{thing}</annotation>", "utf-8")
    (folder / "Sentences/20.txt").write_text("[/EN#1/clothing hat] .\n", "utf-8")
    channels = [(layer, -1) for layer in range(np.shape(maps)[0])]
    with attneval.ExportWriter(folder / "maps.npz", channels=channels, **about) as out:
        out.add_image("20", size=(100, 80), boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
        out.add_caption("20", maps, index=0, tokens=tokens)
    return folder / "maps.npz", folder


def test_channels_and_tokens_are_added_before_they_are_divided(tmp_path: Path) -> None:
    # Of three channels and two tokens, both regions get 13 in all: neither is ahead, whatever thirds round to.
    maps = [[[4, 4], [2, 3]], [[0, 2], [4, 0]], [[0, 4], [3, 0]]]
    attn, gt = small_world(tmp_path, maps, ["h", "##at"], kind="relevance")
    result = score(attn, gt)
    assert (result["pointing"], result["rank_accuracy"], result["ap"]) == (0.5, 0.5, 0.5)
    assert result["mass"] == 0.5
    first = result.channels["L0/t2i"].metrics
    assert first["pointing"].value == 0.0  # 6 against 7


def test_where_nothing_can_be_reached_it_is_said(tmp_path: Path) -> None:
    attn, gt = small_world(tmp_path, [[[1, 0]]], ["hat"])
    reached = score(attn, gt)
    assert not any("relevant region" in note for note in reached.notes)
    result = score(attn, gt, protocol=Protocol(iou=1.0, edges="corner"))
    assert result.counts["unreachable"] == 1
    (note,) = (note for note in result.notes if "relevant region" in note)
    assert note.startswith("none of the 1 items has a relevant region under overlap=iou and iou=1")
    with pytest.raises(NothingToScoreError, match="none of its items has a relevant region"):
        curve_text([result])


def test_regions_that_cover_no_phrase(tmp_path: Path) -> None:
    attn, gt = small_world(tmp_path, [[[1, 1]]], ["hat"], normalised_over="tokens")
    protocol = Protocol(direction="i2t", iou=1.0, edges="corner")
    with pytest.raises(NothingToScoreError, match="no region covers an annotated phrase"):
        score(attn, gt, protocol=protocol)


def test_non_finite_similarities_are_refused(tmp_path: Path) -> None:
    data = members()
    data["similarity"][3, 7] = np.nan
    np.savez(tmp_path / "nan.npz", **data)
    with pytest.raises(ExportError, match=r"nan\.npz: similarity\[3, 7\] of image 700148 is nan"):
        score(tmp_path / "nan.npz")


def test_nothing_to_score() -> None:
    with pytest.raises(NothingToScoreError, match="nothing to score"):
        score(FIXTURES / "uniform.npz", None)


def test_images_without_annotations(tmp_path: Path) -> None:
    data = members("uniform.npz")
    data["caption_ids"] = np.char.replace(data["caption_ids"], "700037", "nobody")
    np.savez(tmp_path / "odd.npz", **data)
    with pytest.raises(AlignmentError, match=r"1 of 60 images of .*odd\.npz are not annotated .*nobody"):
        score(tmp_path / "odd.npz")
    result = score(tmp_path / "odd.npz", protocol=Protocol(missing="skip"))
    assert result.counts["images"] == 59
    assert any("nobody" in note and "left out" in note for note in result.notes)


def test_missing_captions_never_raise_the_mean(tmp_path: Path) -> None:
    full = score(FIXTURES / "uniform.npz", protocol=Protocol(threshold="top:1"))
    path = without_caption(tmp_path / "less.npz", 2)
    with pytest.raises(AlignmentError, match=r"1 of 290 captions have no attention .*700037#2.*--missing skip"):
        score(path)
    skipped = score(path, protocol=Protocol(threshold="top:1", missing="skip"))
    zero = score(path, protocol=Protocol(threshold="top:1", missing="zero"))
    assert skipped.counts["items"] < full.counts["items"] == zero.counts["items"]
    assert zero["f1"] is not None
    assert full["f1"] is not None
    assert zero["f1"] < full["f1"]
    # "an acoustic guitar" and "some kids"
    assert full.counts["items"] - skipped.counts["items"] == 5
    assert zero.metrics["f1"].n == full.metrics["f1"].n


def test_split_restricts_and_requires(tmp_path: Path) -> None:
    ids = json.loads(score().to_json())["per_image"]["image_id"]
    (tmp_path / "some.txt").write_text("\n".join(ids[10:20]) + "\n")
    result = score(split=tmp_path / "some.txt")
    assert result.scores.sums.image_id == ids[10:20]
    assert result.counts["retrieval_captions"] == 50
    assert [item.role for item in result.inputs] == ["attn", "split", "gt"]
    (tmp_path / "more.txt").write_text(f"{ids[0]} 123 456")
    with pytest.raises(AlignmentError, match=r"2 of 3 images of the split .*123, 456"):
        score(split=tmp_path / "more.txt")
    assert score(split=tmp_path / "more.txt", protocol=Protocol(missing="skip")).counts["images"] == 1
    (tmp_path / "none.txt").write_text("123")
    with pytest.raises(NothingToScoreError, match="none of the 1 images"):
        score(split=tmp_path / "none.txt")


def test_images_that_an_export_lacks_score_zero_if_asked(tmp_path: Path) -> None:
    data = members("uniform.npz")
    some = {name: values[:150] for name, values in data.items()}
    np.savez(tmp_path / "half.npz", **some)
    ids = list(dict.fromkeys(name.split("#")[0] for name in data["caption_ids"].tolist()))
    (tmp_path / "all.txt").write_text("\n".join(ids))
    protocol = Protocol(threshold="top:1", missing="zero", unreachable="zero")
    whole = score(FIXTURES / "uniform.npz", protocol=protocol)
    half = score(tmp_path / "half.npz", split=tmp_path / "all.txt", protocol=protocol)
    alone = score(tmp_path / "half.npz", protocol=protocol)
    assert half.counts["items"] == whole.counts["items"]
    assert math.fsum(half.scores.sums.columns["f1"]) == math.fsum(alone.scores.sums.columns["f1"])
    assert half.counts["images"] == 60


def test_images_that_an_export_lacks_score_zero_in_every_channel(tmp_path: Path) -> None:
    world = make_world(3, images=4, captions=2, channels=2, back=True)
    truth = world.entities(tmp_path / "entities")
    ids = list(world.scenes)
    export = world.with_images(ids[::2].__contains__).packed(tmp_path / "half.npz")
    (tmp_path / "all.txt").write_text("\n".join(ids))
    protocol = Protocol(missing="zero", unreachable="zero", direction="t2i,i2t")
    alone = score(export, truth, protocol=protocol)
    half = score(export, truth, split=tmp_path / "all.txt", protocol=protocol)
    assert set(half.channels) == {f"{c}/{d}" for c in ("all", "L0H0", "L0H1") for d in ("t2i", "i2t")}
    for name, channel in half.channels.items():
        assert channel.sums.image_id == sorted(ids)
        assert channel.sums.columns["f1"].sum() == alone.channels[name].sums.columns["f1"].sum() > 0
        assert channel.metrics["f1"].n == half.channels[f"all/{name[-3:]}"].metrics["f1"].n


def test_limit_marks_the_result() -> None:
    result = score(options=Options(resamples=0, limit=10))
    assert result.partial
    assert result.counts["images"] == 10
    assert result.counts["retrieval_captions"] == 50
    assert not score(options=Options(resamples=0, limit=60)).partial


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    score(options=Options(resamples=0, progress=lambda done, total: seen.append((done, total))))
    assert seen[-1] == (60, 60)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score()
    monkeypatch.setattr("attneval.evaluation.plan_blocks.IMAGES_AT_ONCE", 7)
    monkeypatch.setattr("attneval.evaluation.item_hits.CHUNK", 100)
    blocks = score()
    assert blocks.to_json() == whole.to_json()


def test_both_directions_and_channels(tmp_path: Path) -> None:
    data = members()
    count = np.diff(data["token_offset"]) * 12
    pieces = np.split(data["attention"], np.cumsum(count)[:-1])
    rng = np.random.default_rng(0)
    noise = [rng.dirichlet(np.ones(12), len(p) // 12).ravel().astype(np.float32) for p in pieces]
    data["attention"] = np.concatenate([half for pair in zip(pieces, noise, strict=True) for half in pair])
    data["attention_offset"] = 2 * data["attention_offset"]
    data["channel"] = np.array([[3, 5], [-1, 1]], np.int16)
    swapped = [np.concatenate((p, n)).reshape(2, -1, 12) for p, n in zip(pieces, noise, strict=True)]
    data["attention_i2t"] = np.concatenate([(w / w.sum(axis=1, keepdims=True)).ravel() for w in swapped])
    np.savez(tmp_path / "two.npz", **data)
    result = score(tmp_path / "two.npz", protocol=Protocol(direction="t2i,i2t"))
    names = ["all/t2i", "L3H5/t2i", "H1/t2i", "all/i2t", "L3H5/i2t", "H1/i2t"]
    assert list(result.channels) == names
    assert result.channels["L3H5/t2i"].metrics["f1"] == score().metrics["f1"]
    assert result.metrics["f1"] == result.channels["all/t2i"].metrics["f1"]
    mean = data | {
        "attention": np.concatenate([(p + n) / 2 for p, n in zip(pieces, noise, strict=True)]),
        "attention_offset": data["attention_offset"] // 2,
    }
    del mean["channel"], mean["attention_i2t"]
    np.savez(tmp_path / "mean.npz", **mean)
    assert score(tmp_path / "mean.npz")["f1"] == pytest.approx(result["f1"], abs=1e-9)
    assert "center" not in result.channels["all/i2t"].baselines


def test_a_direction_that_was_not_exported_is_refused() -> None:
    with pytest.raises(ExportError, match=r"no region-to-word maps.*attention_i2t"):
        score(protocol=Protocol(direction="i2t"))


def test_negative_similarities_need_a_normalisation(tmp_path: Path) -> None:
    data = members()
    header = json.loads(bytes(data["format"])) | {"kind": "similarity", "normalised_over": "none"}
    data["format"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    data["attention"] = np.log(data["attention"])
    np.savez(tmp_path / "cosine.npz", **data)
    with pytest.raises(attneval.AttnevalError, match=r"700037#0 has negative weights.*softmax"):
        score(tmp_path / "cosine.npz")
    softmax = score(tmp_path / "cosine.npz", protocol=Protocol(normalize="softmax"))
    assert softmax["f1"] == pytest.approx(score()["f1"], abs=1e-3)


def test_sizes_that_are_not_the_annotated_ones(tmp_path: Path) -> None:
    data = members()
    data["image_size"][4] = [1000, 1000]
    np.savez(tmp_path / "size.npz", **data)
    with pytest.raises(ExportError, match=r"image_size.*700185 \[1000, 1000\], annotated"):
        score(tmp_path / "size.npz")


def test_inputs_are_hashed_reproducibly(tmp_path: Path) -> None:
    import hashlib

    result = score()
    by_role = {item.role: item for item in result.inputs}
    assert by_role["attn"].sha256 == hashlib.sha256((FIXTURES / "good.npz").read_bytes()).hexdigest()
    names = sorted(path.relative_to(ENTITIES).as_posix() for path in ENTITIES.rglob("*") if path.is_file())
    lines = "".join(f"{hashlib.sha256((ENTITIES / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    assert by_role["gt"].sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_files_that_are_not_read_whole_are_known_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score()
    monkeypatch.setattr("attneval.storage.digests.sha256_of", lambda path: pytest.fail(f"{path} is read whole"))
    known = score(options=Options(resamples=0, digests=False))
    assert [one.is_partial for one in known.inputs] == [one.role != "gt" for one in known.inputs]
    assert [(one.role, one.path) for one in known.inputs] == [(one.role, one.path) for one in whole.inputs]
    assert known.metrics == whole.metrics
    # A table shows no digest, and JSON has one of each file.
    assert CliRunner().invoke(cli, ["score", str(FIXTURES / "good.npz"), "--gt", str(ENTITIES)]).exit_code == 0


@pytest.mark.parametrize("flags", [["-f", "json"], ["-o", "result.json"]])
def test_a_result_that_is_kept_has_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["score", str(FIXTURES / "good.npz"), "--gt", str(ENTITIES), *flags])
    assert done.exit_code == 0
    text = done.stdout if flags[0] == "-f" else Path("result.json").read_text(encoding="utf-8")
    assert [item["sha256"] for item in json.loads(text)["inputs"]] == [one.sha256 for one in score().inputs]


def test_a_split_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "split.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"split\.txt"):
        score(split=tmp_path / "split.txt")


def test_two_lines_of_python() -> None:
    result = attneval.score(FIXTURES / "good.npz", ENTITIES)
    assert result["f1"] == pytest.approx(0.707, abs=1e-3)
    ci = result.metrics["f1"].ci
    assert ci is not None
    assert ci[0] < 0.707 < ci[1]
