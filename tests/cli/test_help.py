"""Help: short, grouped, with examples that the commands take; the tables behind it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest
from commands import ROOT, attneval

from attneval.cli import COMMANDS, EXTRAS, cli
from attneval.cli.command import GROUPS, OTHER_NAMES, Command, GroupedOption
from attneval.config.protocol import Protocol
from attneval.report.formats import ALL, FORMATS, by_suffix, printed_by

if TYPE_CHECKING:
    from attneval.report.formats import ReportFormat

HEADING = re.compile(r"^(\w[\w ]*):$", re.MULTILINE)


def command(name: str) -> Command:
    """A command of the table."""
    made = COMMANDS[name].load()
    assert isinstance(made, Command)
    return made


def help_of(name: str, flag: str = "--help") -> str:
    done = attneval(name, flag)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_the_help_of_score_is_short() -> None:
    brief, full = help_of("score"), help_of("score", "--help-all")
    assert len(brief.splitlines()) <= 60
    shown = set(re.findall(r"--[\w-]+", full))
    assert set(re.findall(r"--[\w-]+", brief)) < shown
    assert {f"--{field.name.replace('_', '-')}" for field in Protocol.choices()} <= shown
    assert all(max(map(len, text.splitlines())) <= 80 for text in (brief, full))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_groups_options_and_ends_with_two_examples(name: str) -> None:
    made = command(name)
    text = made.get_help(click.Context(made, info_name=f"attneval {name}"))
    headings = HEADING.findall(text)
    known = [heading for heading in headings if heading in GROUPS]
    assert known == sorted(known, key=GROUPS.index)
    assert headings[-1] == "Examples"
    examples = text.partition("Examples:\n")[2]
    assert examples.count(f"attneval {name}") == 2
    assert max(map(len, examples.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_taken(name: str) -> None:
    """Each example is read by its command, file names aside."""
    made = command(name)
    for line in "\n".join(made.examples).replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        assert words[:2] == ["attneval", name]
        made.make_context(name, words[2:]).close()


def test_every_option_of_a_command_has_help_and_a_group_where_there_are_several() -> None:
    for name in COMMANDS:
        for param in command(name).params:
            if isinstance(param, click.Option):
                assert param.help, (name, param.name)
            if isinstance(param, GroupedOption) and name in ALL:
                assert param.group in GROUPS, (name, param.name)


def test_other_names_of_options_lead_to_options() -> None:
    flags = {flag for name in COMMANDS for param in command(name).params for flag in param.opts}
    assert set(OTHER_NAMES.values()) <= flags
    assert not set(OTHER_NAMES) & {flag for param in command("score").params for flag in param.opts}


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_file_and_a_line(name: str) -> None:
    row = COMMANDS[name]
    assert row.target == f"attneval.cli.{name}:{name}"
    assert row.extra in {"", *EXTRAS}
    assert cli.get_command(click.Context(cli), name) is command(name)


@pytest.mark.parametrize("line", FORMATS.values(), ids=FORMATS)
def test_a_format_is_a_function_and_a_line(line: ReportFormat) -> None:
    assert callable(line.load())
    assert line.shows in {"page", "values", "lines", "verdict", "figure"}
    assert set(line.commands) <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_commands_take_their_formats_from_the_table(name: str) -> None:
    (choice,) = [param.type for param in command(name).params if param.name == "format"]
    assert isinstance(choice, click.Choice)
    assert list(choice.choices) == list(printed_by(name))
    assert all(suffix in help_of(name) for suffix in by_suffix(name))


def test_one_more_format_takes_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """`attneval score -o x.yaml` writes with whatever function a line names."""
    from attneval.cli.output import Output

    line = dataclasses.replace(FORMATS["markdown"], name="yaml", suffix=".yaml", commands=("score",))
    monkeypatch.setitem(FORMATS, "yaml", line)
    values = {"format": "yaml", "digits": 1, "color": "auto", "quiet": False, "verbose": False, "output": ()}
    assert Output(values, "score").style == "yaml"
    assert by_suffix("score")[".yaml"] is line
    assert ".yaml" not in by_suffix("gate")


def test_documents_list_the_suffixes() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for line in FORMATS.values():
        assert f"-f {line.name}" in text or f"`{line.name}`" in text or line.suffix in text, line.name
