"""Settings: which file counts, what it may say, and what wins over what."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import numpy as np
import pytest
from commands import ROOT, attneval, environment
from exports import assert_says
from here import Here
from results import FIXTURES, of_f1

from attneval.cli import COMMANDS, cli
from attneval.config.settings import GATE, NOTHING, PATHS, TOP, find, load
from attneval.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (FIXTURES / "good.npz", "--gt", FIXTURES / "entities")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


# ---------------------------------------------------------------- which file


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    far = write(tmp_path / "attneval.toml", "iou = 0.3")
    assert find(deep) == far
    near = write(tmp_path / "a" / "b" / "attneval.toml", "iou = 0.4")
    assert find(deep) == near
    assert find(tmp_path / "a") == far


def test_a_project_file_counts_if_it_speaks_of_attneval(tmp_path: Path) -> None:
    far = write(tmp_path / "attneval.toml", "iou = 0.3")
    project = write(tmp_path / "a" / "pyproject.toml", "[tool.other]\nx = 1\n")
    assert find(tmp_path / "a") == far
    project.write_text("[project]\nname = 'x'\n")
    assert find(tmp_path / "a") == far
    project.write_text("[tool.attneval]\niou = 0.4\n[tool.attneval.gate]\nmin = { f1 = 0.5 }\n")
    assert find(tmp_path / "a") == project
    assert load(project).top == {"iou": 0.4}
    assert load(project).gate == {"min": ["f1=0.5"]}
    # Of the two in one directory the one that is ours alone.
    own = write(tmp_path / "a" / "attneval.toml", "iou = 0.6")
    assert find(tmp_path / "a") == own


def test_nothing_is_merged(tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", 'iou = 0.3\nunit = "phrase"\n[gate]\nmin = { f1 = 0.5 }\n')
    near = write(tmp_path / "a" / "attneval.toml", "digits = 2\n[gate]\nmax = { f1 = 0.9 }\n")
    found = load(find(tmp_path / "a"))
    assert (found.path, found.top, found.gate) == (near, {"digits": 2}, {"max": ["f1=0.9"]})


def test_no_file() -> None:
    assert load(None) == NOTHING
    assert (NOTHING.path, NOTHING.top, NOTHING.gate) == (None, {}, {})


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "attneval.toml", 'gt = "data/e"\nsplit = "/s.txt"\nboxes-file = "../b.tsv"\n')
    path.write_text(path.read_text() + '[gate]\nbaseline = "eval/b.json"\n')
    found = load(path)
    assert found.top["gt"] == str(tmp_path / "data/e")
    assert found.top["split"] == "/s.txt"
    assert found.top["boxes-file"] == str(tmp_path / "../b.tsv")
    assert found.gate["baseline"] == str(tmp_path / "eval/b.json")
    paths = {"gt", "gt-sizes", "synonyms", "classes", "split", "boxes-file", "detections", "baseline"}
    assert set(PATHS) == paths
    several = load(write(tmp_path / "attneval.toml", 'gt = ["a.json", "/b.json"]\n'))
    assert several.top["gt"] == [str(tmp_path / "a.json"), "/b.json"]


def test_paths_work_from_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(FIXTURES)
    of_f1("then", [0.5]).save(tmp_path / "then.json")
    write(tmp_path / "attneval.toml", 'gt = "data/entities"\n[gate]\nbaseline = "then.json"\nmax-drop = { f1 = 0 }\n')
    of_f1("now", [0.5]).save(write(tmp_path / "sub" / "now.json", ""))
    here = Here(capsys, monkeypatch, tmp_path / "sub")
    done = here("score", "../data/good.npz", "-q", "--resamples", "0")
    assert done.code == 0, done.err
    assert "Attention F1" in done.out
    assert here("gate", "now.json").code == 0


def test_keys_may_be_written_with_underscores(tmp_path: Path) -> None:
    found = load(write(tmp_path / "attneval.toml", "min_area = 0.1\n[gate]\nmax_drop = { f1 = '2%' }\n"))
    assert found.top == {"min-area": 0.1}
    assert found.gate == {"max-drop": ["f1=2%"]}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("treshold = 'uniform'", ("no setting treshold", "did you mean threshold?")),
        ("qqqq = 1", ("no setting qqqq", "the settings are gt, ")),
        ("[gate]\nmni = { f1 = 0.5 }", ("no setting gate.mni", "did you mean min?")),
        ("[gate]\nqqqq = 1", ("no setting gate.qqqq", "the settings are baseline, min, max,")),
        ("[gate]\nthreshold = 'uniform'", ("no setting gate.threshold",)),  # of the top, not of the gate
        ("min = { f1 = 0.5 }", ("no setting min",)),  # of the gate, not of the top
        ("gate = 3", ("gate must be a table", "[gate]")),
        ("[gate]\nmin = 0.5", ("gate.min must be a table", "min = { f1 = 0.3 }")),
        ("[gate]\nmin = ['f1=0.5']", ("gate.min must be a table",)),
        ("[iou]\nx = 1", ("iou must be a plain value",)),
        ("[gate]\nonly-significant = { f1 = true }", ("gate.only-significant must be a plain value",)),
        ("iou = ", ("is not TOML",)),
        ("iou = 1\niou = 2", ("is not TOML",)),
        (b"\xff\xfe", ("is not TOML",)),
    ],
)
def test_what_is_refused_of_a_file(tmp_path: Path, text: str | bytes, parts: tuple[str, ...]) -> None:
    path = tmp_path / "attneval.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert_says(str(caught.value), str(path), *parts)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("command", ["score x.npz", "gate now.json", "compare a b", "curve a", "inspect a", "config"])
def test_every_command_refuses_an_unknown_setting(here: Here, tmp_path: Path, command: str) -> None:
    write(tmp_path / "attneval.toml", "treshold = 'uniform'")
    assert_says(here.refused(*command.split()), "attneval.toml", "treshold", "did you mean threshold?")


def test_a_file_that_is_not_there(here: Here) -> None:
    assert_says(here.refused("score", *GOOD, "--config", "none.toml"), "none.toml", "No such file")
    assert_says(here.refused("score", *GOOD, "--config", "."), ".", "Is a directory")


WRONG = [
    ('iou = "high"', "high"),
    ("iou = 7", "7"),
    ('digits = "many"', "many"),
    ("digits = 99", "99"),
    ('unit = "letter"', "letter"),
    ("unit = true", "True"),
    ('format = "xls"', "xls"),
    ("threshold = 3", "3"),
    ('resamples = "many"', "many"),
    ("resamples = -1", "-1"),
    ('color = "red"', "red"),
    ('preset = "mdter-any"', "did you mean mdetr-any?"),
    ("split = [1]", "[1]"),
]


@pytest.mark.parametrize(("text", "part"), WRONG)
def test_values_of_a_wrong_type_are_refused(here: Here, tmp_path: Path, text: str, part: str) -> None:
    write(tmp_path / "attneval.toml", text)
    assert part in here.refused("score", *GOOD)


@pytest.mark.parametrize("text", ['iou = "high"', "digits = 99", "threshold = 3", 'preset = "mdter-any"'])
def test_a_wrong_value_is_looked_for_where_it_stands(here: Here, tmp_path: Path, text: str) -> None:
    write(tmp_path / "attneval.toml", text)
    assert "attneval.toml" in here.refused("score", *GOOD)


@pytest.mark.parametrize("text", ["seed = 1.5", "folds = 2.7", "resamples = true", "iou = [0.5]", "gt = 5"])
def test_values_of_another_type_are_not_made_to_fit(here: Here, tmp_path: Path, text: str) -> None:
    write(tmp_path / "attneval.toml", text)
    assert_says(here.refused("score", *GOOD, "-q"), "attneval.toml", text.partition(" ")[0])


@pytest.mark.parametrize("text", ["min = { f1 = 'high' }", "min = { f11 = 0.5 }", "max-drop = { f1 = -1 }"])
def test_rules_that_are_none(here: Here, tmp_path: Path, text: str) -> None:
    of_f1("now", [0.5]).save(tmp_path / "now.json")
    write(tmp_path / "attneval.toml", f"[gate]\n{text}")
    assert "attneval.toml" in here.refused("gate", "now.json")
    # Whoever looks at the settings is told as well.
    assert "attneval.toml" in here.refused("config")


@pytest.mark.parametrize("text", ['iou = "high"', "digits = 99", "trials = 0", "cache = 1", 'metric = ["f1", 3]'])
def test_config_holds_values_against_the_flags(here: Here, tmp_path: Path, text: str) -> None:
    write(tmp_path / "attneval.toml", text)
    assert_says(here.refused("config"), "attneval.toml", text.partition(" ")[0], "cannot be used")


# ---------------------------------------------------------------- what wins


def ladder(command: str, *levels: str) -> list[tuple[str, str, str]]:
    """Flag, variable, file and default of a command, and what must be seen at each."""
    return [(command, level, seen) for level, seen in zip(("flag", "variable", "file", "default"), levels, strict=True)]


@pytest.mark.parametrize(
    ("command", "level", "seen"),
    [
        *ladder("score", "threshold:abs:0.1|", "threshold:max:0.5|", "threshold:top:3|", "threshold:uniform|"),
        *ladder("compare", '"alpha": 0.01,', '"alpha": 0.02,', '"alpha": 0.03,', '"alpha": 0.05,'),
        *ladder("gate", "f1 drops by at most 0.0 ", "0.7", "0.6", "needs a baseline"),
    ],
)
def test_flag_over_variable_over_file_over_default(tmp_path: Path, command: str, level: str, seen: str) -> None:
    changes: dict[str, str] = {}
    arguments: list[str | Path] = [command]
    flags: list[str | Path]
    if command == "score":
        arguments += [*GOOD, "-q", "--resamples", "0"]
        flags, setting = ["--threshold", "abs:0.1"], 'threshold = "top:3"'
        variable, value = "ATTNEVAL_THRESHOLD", "max:0.5"
    elif command == "compare":
        for name in ("a", "b"):
            of_f1(name, [0.5, 0.25]).save(tmp_path / f"{name}.json")
        arguments += ["a.json", "b.json", "-f", "json"]
        flags, setting, variable, value = ["--alpha", "0.01"], "alpha = 0.03", "ATTNEVAL_ALPHA", "0.02"
    else:
        for name, f1 in (("now", 0.5), ("of-flag", 0.5), ("of-variable", 0.7), ("of-file", 0.6)):
            of_f1(name, [f1]).save(tmp_path / f"{name}.json")
        arguments += ["now.json", "--max-drop", "f1=0"]
        flags, setting = ["--baseline", "of-flag.json"], '[gate]\nbaseline = "of-file.json"'
        variable, value = "ATTNEVAL_BASELINE", "of-variable.json"
    if level == "flag":
        arguments += flags
    if level in {"flag", "variable"}:
        changes[variable] = value
    if level != "default":
        write(tmp_path / "attneval.toml", setting)
    done = attneval(*arguments, cwd=tmp_path, **changes)
    assert seen in done.out + done.err
    if command == "gate":
        assert done.code == {"flag": 0, "variable": 1, "file": 1, "default": 2}[level]
    else:
        assert done.code == 0, done.err


def test_lists_and_single_values_for_flags_that_may_be_repeated(here: Here, tmp_path: Path) -> None:
    for name in ("a", "b"):
        of_f1(name, [0.5, 0.25]).save(tmp_path / f"{name}.json")
    for text in ('metric = "f1"', 'metric = ["f1"]'):
        write(tmp_path / "attneval.toml", text)
        done = here("compare", "a.json", "b.json", "-f", "json")
        assert list(json.loads(done.out)["metrics"]) == ["f1"]
    write(tmp_path / "attneval.toml", 'metric = ["f1", "ap"]')
    assert "ap" in here.refused("compare", "a.json", "b.json")
    assert here("compare", "a.json", "b.json", "-m", "f1").code == 0


def test_a_preset_from_the_file_and_a_field_from_the_flag(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", 'preset = "mdetr-any"\nmin_area = 0.05\n')
    done = here("score", *GOOD, "-q", "--resamples", "0", "--pool", "sum")
    assert_says(done.out, "unit:phrase", "pool:sum", "unreachable:zero", "min_area:0.05", "edges:raw")


def test_a_boxes_file_from_the_file(here: Here, tmp_path: Path) -> None:
    bare(tmp_path)
    write(tmp_path / "attneval.toml", 'boxes-file = "boxes.npy"\nboxes = "merged"')
    done = here("score", "bare.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0")
    assert done.code == 0, done.err
    assert "boxes:merged" in done.out


def test_a_boxes_rule_leaves_the_file_of_boxes(here: Here, tmp_path: Path) -> None:
    bare(tmp_path)
    write(tmp_path / "attneval.toml", 'boxes-file = "boxes.npy"')
    done = here("score", "bare.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0", "--boxes", "merged")
    assert done.code == 0, done.err


def test_boxes_from_the_file_are_relative_to_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(tmp_path)
    write(tmp_path / "attneval.toml", 'boxes = "boxes.npy"')
    (tmp_path / "sub").mkdir()
    here = Here(capsys, monkeypatch, tmp_path / "sub")
    done = here("score", "../bare.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0")
    assert done.code == 0, done.err


@pytest.mark.parametrize("text", ['boxes = ["merged", "boxes.npy"]', 'boxes = "boxes.npy"', "boxes-file = 'boxes.npy'"])
@pytest.mark.parametrize("flag", ["--boxes", "--boxes-file"])
def test_a_file_of_boxes_by_flag_wins(here: Here, tmp_path: Path, text: str, flag: str) -> None:
    bare(tmp_path)
    write(tmp_path / "attneval.toml", text)
    (tmp_path / "boxes.npy").rename(tmp_path / "other.npy")
    score = ("score", "bare.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0")
    assert "boxes.npy does not exist" in here.refused(*score)
    assert here(*score, flag, "other.npy").code == 0


def test_two_files_of_boxes_are_refused(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", 'boxes = "a.npy"\nboxes-file = "b.npy"')
    assert_says(here.refused("score", *GOOD), "attneval.toml", "a.npy", "name one")


def bare(folder: Path) -> None:
    """The fixture without its boxes, and the boxes by themselves."""
    with np.load(FIXTURES / "good.npz") as data:
        members = dict(data)
    np.save(folder / "boxes.npy", members.pop("region_box").reshape(60, 12, 4))
    members.pop("region_offset")
    np.savez(folder / "bare.npz", **members)


def test_a_file_by_name_and_none(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", "iou = 0.3")
    write(tmp_path / "other.toml", "iou = 0.7")
    score = ("score", *GOOD, "-q", "--resamples", "0")
    assert "|iou:0.3|" in here(*score).out
    assert "|iou:0.7|" in here(*score, "--config", "other.toml").out
    assert "|iou:0.5|" in here(*score, "--config", "none").out
    # Where the flag stands does not matter.
    assert "|iou:0.6|" in here("score", "--iou", "0.6", "--config", "other.toml", *score[1:]).out


def test_a_file_by_variable(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "attneval.toml", "iou = 0.3")
    write(tmp_path / "other.toml", "iou = 0.7")
    score = ("score", *GOOD, "-q", "--resamples", "0")
    monkeypatch.setenv("ATTNEVAL_CONFIG", "other.toml")
    assert "|iou:0.7|" in here(*score).out
    monkeypatch.setenv("ATTNEVAL_CONFIG", "none")
    assert "|iou:0.5|" in here(*score).out


# ---------------------------------------------------------------- variables


def variable_of(name: str) -> str:
    return f"ATTNEVAL_{name.replace('-', '_').upper()}"


def commands_with(flag: str) -> list[tuple[str, click.Parameter]]:
    context = click.Context(cli)
    found = []
    for command in COMMANDS:
        own = cli.get_command(context, command)
        assert own is not None
        found += [(command, param) for param in own.params if f"--{flag}" in param.opts]
    return found


@pytest.mark.parametrize("name", dict.fromkeys((*TOP, *GATE)))
def test_every_setting_is_a_flag_and_its_variable_is_named_after_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    users = commands_with(name)
    assert users
    monkeypatch.setenv(variable_of(name), "something")
    for command, param in users:
        own = cli.get_command(click.Context(cli), command)
        assert own is not None
        context = click.Context(own, auto_envvar_prefix="ATTNEVAL")
        assert param.resolve_envvar_value(context) == "something", command


TRAINING = {"train", "export"}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in TRAINING])
def test_parameters_are_named_as_their_flags(command: str) -> None:
    own = cli.get_command(click.Context(cli), command)
    assert own is not None
    for param in own.params:
        flags = [flag[2:].replace("-", "_") for flag in param.opts if flag.startswith("--")]
        assert flags in ([param.name], [])  # an argument has none


def test_several_values_in_a_variable(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_f1("now", [0.5]).save(tmp_path / "now.json")
    monkeypatch.setenv("ATTNEVAL_MIN", "f1=0.4 f1=0.6")
    done = here("gate", "now.json", "-f", "json")
    assert [rule["passed"] for rule in json.loads(done.out)["rules"]] == [True, False]


def test_variables_of_flags_that_are_no_settings(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_f1("now", [0.5]).save(tmp_path / "now.json")
    monkeypatch.setenv("ATTNEVAL_EXIT_ZERO", "1")
    assert here("gate", "now.json", "--min", "f1=0.9").code == 0


# ---------------------------------------------------------------- attneval config


def settings(out: str) -> dict[str, tuple[str, str]]:
    """Value and source of each setting; an empty value leaves a wider gap."""
    table = out.split("\n\n", maxsplit=1)[0].splitlines()[3:]
    rows = (re.split(" {2,}", line) for line in table)
    return {name: (rest[0] if len(rest) == 2 else "", rest[-1]) for name, *rest in rows}


def test_config_shows_each_setting_and_its_source(tmp_path: Path) -> None:
    path = write(
        tmp_path / "attneval.toml",
        'gt = "e"\nmetric = ["f1", "ap"]\niou = 0.3\nthreshold = "top:1"\n[gate]\nmin = { f1 = 0.5, ap = 1 }\n',
    )
    done = attneval("config", cwd=tmp_path, ATTNEVAL_THRESHOLD="max:0.5", ATTNEVAL_SEED="7")
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    rows = settings(done.out)
    assert list(rows) == [*TOP, *(f"gate.{name}" for name in GATE)]
    assert rows["gt"] == (str(tmp_path / "e"), str(path))
    assert rows["metric"] == ("f1, ap", str(path))
    assert rows["iou"] == ("0.3", str(path))
    assert rows["threshold"] == ("max:0.5", "ATTNEVAL_THRESHOLD")
    assert rows["seed"] == ("7", "ATTNEVAL_SEED")
    assert rows["pool"] == ("mean", "default")
    assert rows["gate.min"] == ("f1=0.5, ap=1", str(path))
    assert done.out.endswith(f"\nfile: {path}\n")


def test_config_without_a_file(here: Here) -> None:
    done = here("config")
    assert done.code == 0
    assert {source for _, source in settings(done.out).values()} == {"default"}
    assert "file: none (attneval.toml, or pyproject.toml with [tool.attneval])" in done.out


def test_config_of_a_file_by_name(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", "iou = 0.3")
    other = write(tmp_path / "other.toml", "iou = 0.7")
    rows = settings(here("config", "--config", "other.toml").out)
    assert rows["iou"] == ("0.7", other.name)
    assert_says(here.refused("config", "--config", "missing.toml"), "missing.toml")


def test_config_of_no_file(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", "iou = 0.3")
    done = here("config", "--config", "none")
    assert done.code == 0
    assert settings(done.out)["iou"] == ("0.5", "default")


@pytest.mark.parametrize(
    ("name", "value"),
    [("resamples", "1000"), ("seed", "12345"), ("trials", ""), ("alpha", "0.05"), ("digits", "1"), ("jobs", "")],
)
def test_config_shows_defaults(here: Here, name: str, value: str) -> None:
    assert settings(here("config").out)[name] == (value, "default")


def test_config_shows_what_a_preset_says(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", 'preset = "mdetr-any"\npool = "sum"')
    rows = settings(here("config").out)
    assert rows["preset"] == ("mdetr-any", str(tmp_path / "attneval.toml"))
    assert rows["unit"] == ("phrase", "preset mdetr-any")
    assert rows["pool"] == ("sum", str(tmp_path / "attneval.toml"))
    assert rows["iou"] == ("0.5", "preset mdetr-any")


def test_every_default_that_config_shows_is_true(here: Here) -> None:
    rows = settings(here("config").out)
    signature = here("score", *GOOD, "-q", "--resamples", "0").out.splitlines()[-2]
    assert signature.startswith("signature: attneval:")
    fields = dict(part.split(":", 1) for part in signature.partition("|")[2].split("|"))
    # The one default that the regions settle: those of the fixtures are boxes.
    assert (rows["overlap"][0], fields.pop("overlap")) == ("auto", "iou")
    for name, value in fields.items():
        shown = rows[name.replace("_", "-")][0]
        assert shown == value or float(shown) == float(value)


# ---------------------------------------------------------------- completion


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a command `attneval`, whether the package is installed or not."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "attneval"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m attneval "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("shell", "parts"),
    [
        ("bash", ("_ATTNEVAL_COMPLETE=bash_complete", "complete -o nosort -F", " attneval")),
        ("zsh", ("#compdef attneval", "_ATTNEVAL_COMPLETE=zsh_complete")),
        ("fish", ("complete --no-files --command attneval", "_ATTNEVAL_COMPLETE=fish_complete")),
    ],
)
def test_completion_scripts_come_out(tmp_path: Path, shell: str, parts: tuple[str, ...]) -> None:
    done = attneval(cwd=tmp_path, _ATTNEVAL_COMPLETE=f"{shell}_source")
    assert (done.code, done.err) == (0, "")
    assert_says(done.out, *parts)


def completed(tmp_path: Path, shell: str, *words: str) -> list[str]:
    """What a shell is told to offer for the last of some words."""
    variables = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        variables["COMP_CWORD"] = words[-1]
    done = attneval(cwd=tmp_path, _ATTNEVAL_COMPLETE=f"{shell}_complete", **variables)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    if shell == "bash":
        return [line.partition(",")[2] for line in lines]
    if shell == "fish":
        # Newer versions of click put type, value and help on lines of their own.
        return [re.split(r"[,\t]", line)[1] for line in lines] if "," in done.out else lines[1::3]
    return lines[1::3]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_flags_are_completed(tmp_path: Path, shell: str) -> None:
    assert completed(tmp_path, shell, "attneval", "sc") == ["score"]
    assert completed(tmp_path, shell, "attneval", "score", "--thr") == ["--threshold"]


def test_values_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "bash", "attneval", "score", "--overlap", "i") == ["iou", "iof"]
    assert completed(tmp_path, "bash", "attneval", "score", "--preset", "md") == ["mdetr-any", "mdetr-merged"]


def test_a_broken_configuration_does_not_break_completion(tmp_path: Path) -> None:
    write(tmp_path / "attneval.toml", "iou = ")
    assert completed(tmp_path, "bash", "attneval", "gate", "--max-d") == ["--max-drop"]


def in_bash(shim: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{shim}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--norc", "-c", script],  # noqa: S607 - whichever bash the user has
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )


def test_completion_in_a_real_shell(shim: Path) -> None:
    if in_bash(shim, "(( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404 ))").returncode:
        pytest.skip("no bash of version 4.4")
    # The line that the documents give for ~/.bashrc.
    text = (ROOT / "docs" / "deciding.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^(eval .*bash_source attneval.*)$", text, re.MULTILINE)
    done = in_bash(
        shim,
        f"set -e; {line}\ncomplete -p attneval\n"
        "COMP_WORDS=(attneval sc); COMP_CWORD=1; _attneval_completion attneval; echo ${COMPREPLY[@]}\n"
        "COMPREPLY=(); COMP_WORDS=(attneval score --thr); COMP_CWORD=2; _attneval_completion attneval\n"
        "echo ${COMPREPLY[@]}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["score", "--threshold"]
