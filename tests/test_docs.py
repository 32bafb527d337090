"""What the documents show is what the commands print, and their code runs.

A block of text after ``<!-- output: COMMAND -->`` is what the command prints, in a folder with the fixtures and with
what the page's ``<!-- prepare: COMMAND -->`` have left there; ``terminal`` in place of ``output`` is a terminal of 80
columns. With UPDATE_DOCS=1 in the environment the blocks are rewritten instead of compared.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from commands import attneval, environment, on_terminal
from runner import path_with

from attneval.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PREPARE = re.compile(r"<!-- prepare: (attneval .*?) -->")
OUTPUT = re.compile(r"<!-- (output|terminal): (attneval .*?) -->\n```text\n(.*?)```", re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown() -> list[tuple[Path, str, str, str]]:
    return [(page, *match) for page in PAGES for match in OUTPUT.findall(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """For each page a folder that is prepared as it says."""
    made = {}
    for page in PAGES:
        made[page] = tmp_path_factory.mktemp(page.stem)
        (made[page] / "fixtures").symlink_to(ROOT / "fixtures")
        for command in PREPARE.findall(page.read_text(encoding="utf-8")):
            done = attneval(*shlex.split(command)[1:], cwd=made[page])
            assert done.code == 0, done.err
    return made


def printed(kind: str, command: str, folder: Path) -> str:
    arguments = shlex.split(command)[1:]
    escapes = re.compile(r"\x1b\[[0-9;]*m")
    done = (
        on_terminal(*arguments, columns=80, cwd=folder, NO_COLOR="1")
        if kind == "terminal"
        else attneval(*arguments, cwd=folder)
    )
    # A gate that is shown may fail; nothing that is shown may be refused.
    assert done.code == 0 or (done.code == 1 and arguments[0] == "gate"), done.err
    return re.sub(r"[ \t]+$", "", escapes.sub("", done.out), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "kind", "command", "text"), shown(), ids=[f"{page.name}: {command}" for page, _, command, _ in shown()]
)
def test_shown_output_is_what_the_command_prints(
    folders: dict[Path, Path], page: Path, kind: str, command: str, text: str
) -> None:
    now = printed(kind, command, folders[page])
    if os.environ.get("UPDATE_DOCS"):
        old = f"<!-- {kind}: {command} -->\n```text\n{text}```"
        page.write_text(
            page.read_text(encoding="utf-8").replace(old, old[: -len(text) - 3] + now + "```"), encoding="utf-8"
        )
        return
    assert text == now


def test_every_output_that_is_shown_is_held_against_its_command() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```text$", text, re.MULTILINE)
        assert len(blocks) == len(OUTPUT.findall(text)), page.name


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `attneval (\w+)", text, re.MULTILINE) == list(COMMANDS)
    for page in PAGES[1:]:
        assert f"](docs/{page.name})" in text


BLOCKS = re.compile(r"^ *```(?:console|sh|yaml)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def shown_commands() -> list[tuple[str, str]]:
    """The commands of attneval that stand in blocks for a shell, each on one line, with their pages."""
    pages = [*PAGES, *sorted((ROOT / "docs" / "experiments").glob("*.md"))]
    texts = [(page, text) for page in pages for text in BLOCKS.findall(page.read_text(encoding="utf-8"))]
    lines = [(page, line) for page, text in texts for line in text.replace("\\\n", " ").splitlines()]
    found = [(page, re.search(r"(?:^|run: |- |&& )(attneval (?!@).*)$", line.strip())) for page, line in lines]
    return [(page.name, match[1]) for page, match in found if match and "$" not in match[1]]


@pytest.mark.parametrize(("page", "command"), shown_commands())
def test_commands_of_the_documents_have_flags_that_exist(page: str, command: str) -> None:
    _, *arguments = shlex.split(command.partition(" > ")[0], comments=True)
    if arguments[0].startswith("-"):
        return
    made = COMMANDS[arguments[0]].load()
    # The parser knows flags and their numbers of values; it opens no file and loads no model.
    made.make_parser(click.Context(made)).parse_args([text for text in arguments[1:] if text != "..."])


def test_every_lint_is_told_of_where_people_look_for_it() -> None:
    page = " ".join((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").split())
    beginnings = []
    for path in sorted((ROOT / "attneval" / "export").glob("lint*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "text":
                parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
                beginnings.append(next(part.value for part in parts if isinstance(part, ast.Constant)))
    assert len(beginnings) > 10
    for beginning in beginnings:
        assert re.split(r"[:,(]", str(beginning).removeprefix(" of the "))[0].strip() in page, beginning


WORKFLOWS = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINES = {
    "GitHub Actions": re.compile(r"^ +run: (.*)$", re.MULTILINE),
    "GitLab CI": re.compile(r"^    - ((?:pip|attneval) .*)$", re.MULTILINE),
}


@pytest.mark.parametrize("server", LINES)
def test_the_shell_lines_of_the_workflows_run_as_they_are_written(tmp_path: Path, server: str) -> None:
    section = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").partition(f"## {server}\n")[2]
    workflow = next(text for text in WORKFLOWS.findall(section) if LINES[server].search(text))
    lines = LINES[server].findall(workflow)
    assert [line.split()[0] for line in lines] == ["pip", "attneval", "attneval"]
    (tmp_path / "bin").mkdir()
    # The package is here already: installing it again would change the environment of the tests.
    for name, script in (
        ("pip", 'test -f pyproject.toml && echo "pip $*" > pip.log'),
        ("attneval", f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m attneval "$@"'),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("pyproject.toml", "fixtures"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(
            ["bash", "-e", "-c", line],  # noqa: S607 - whichever bash there is
            cwd=tmp_path,
            env=environment(PATH=path, GITHUB_STEP_SUMMARY=str(tmp_path / "step_summary")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (tmp_path / "pip.log").read_text() == "pip install .\n"
    # What the workflow keeps was written.
    kept = re.findall(r"^ +(?:- |junit: )?(\w+(?:\.\w+)+)$", workflow, re.MULTILINE)
    assert "report.xml" in kept
    for name in kept:
        assert (tmp_path / name).is_file(), name


def test_gitlab_compares_with_the_default_branch_where_it_has_a_result(tmp_path: Path) -> None:
    """The last item of the script, with a `curl` that has an artefact or none."""
    section = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").partition("## GitLab CI\n")[2]
    *_, script = yaml.safe_load(WORKFLOWS.findall(section)[0])["attention"]["script"]
    fetch = 'while [ "$1" != --output ]; do shift; done; [ -f main.json ] && cp main.json "$2"'
    attneval_here = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m attneval "$@"'
    path = path_with(tmp_path / "bin", {"curl": fetch, "attneval": attneval_here})
    scored = ("--gt", ROOT / "fixtures" / "entities", "-q", "--resamples", "0")
    assert attneval("score", ROOT / "fixtures" / "noisy.npz", *scored, "-o", tmp_path / "result.json").code == 0
    variables = {"CI_JOB_TOKEN": "x", "CI_API_V4_URL": "y", "CI_PROJECT_ID": "1", "CI_DEFAULT_BRANCH": "main"}
    for code in (0, 1):
        done = subprocess.run(
            ["bash", "-e", "-c", script],  # noqa: S607
            cwd=tmp_path,
            env=environment(PATH=path, **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert (tmp_path / "compare.md").is_file() == bool(code)
        assert attneval("score", ROOT / "fixtures" / "good.npz", *scored, "-o", tmp_path / "main.json").code == 0


def test_the_workflow_of_the_documents_is_the_repository_s_own() -> None:
    section = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").partition("## GitHub Actions\n")[2]
    own = (ROOT / ".github" / "workflows" / "attention.yml").read_text(encoding="utf-8")
    assert own.partition("\n")[2] == WORKFLOWS.findall(section)[0]


def test_the_documents_name_every_input_and_output_of_the_action() -> None:
    section = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").partition("## GitHub Actions\n")[2]
    action = yaml.safe_load((ROOT / ".github/actions/attneval/action.yml").read_text(encoding="utf-8"))
    assert all(f"`{name}`" in section for name in (*action["inputs"], *action["outputs"]))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("./"):
                    assert set(step["with"]) <= set(action["inputs"])


def test_the_hooks_of_pre_commit_run(tmp_path: Path) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    path = path_with(tmp_path / "bin", {"attneval": f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m attneval "$@"'})
    (tmp_path / "broken.npz").write_bytes(b"no export")
    good = str(ROOT / "fixtures" / "good.npz")
    assert attneval("score", good, "--gt", ROOT / "fixtures/entities", "-q", "-o", tmp_path / "r.json").code == 0
    calls = [
        ("attneval-validate", [good, good], 0),
        ("attneval-validate", ["broken.npz", good], 2),
        ("attneval-gate", ["r.json", "--min", "f1=0.5"], 0),
        ("attneval-gate", ["r.json", "--min", "f1=0.9"], 1),
    ]
    for name, arguments, code in calls:
        command = [*shlex.split(hooks[name]["entry"]), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment(PATH=path), capture_output=True, check=False)
        assert done.returncode == code, done.stderr
    assert re.search(hooks["attneval-validate"]["files"], "maps.npz")
    assert re.search(hooks["attneval-validate"]["exclude"], "result.items.npz")


def test_forms_of_issues_are_sound() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.stem == "config":
            continue
        assert {"name", "description", "body"} == set(form), path.name
        for part in form["body"]:
            assert part["type"] in {"textarea", "input", "dropdown", "markdown"}
            assert part["attributes"]["label"]


def test_the_five_lines_of_the_readme_write_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    monkeypatch.chdir(tmp_path)
    weights = np.random.default_rng(0).random((2, 9, 3))
    weights /= weights.sum(axis=2, keepdims=True)
    weights[0, 7:] = weights[1] = 0
    given = {
        "attention": weights,
        "tokens": np.array([["some", "kids", "looks", "at", "an", "orange", "vest", "", ""], ["", *[""] * 8]]),
        "names": np.array(["700037#4", "700037#0"]),
        "boxes": np.tile(np.array([[0, 0, 100, 100], [50, 50, 200, 200], [0, 0, 388, 414]], float), (2, 1, 1)),
    }
    exec(compile(block, "README.md", "exec"), given)  # noqa: S102 - our own text
    done = attneval("validate", tmp_path / "maps.npz")
    assert (done.code, done.out.splitlines()[-1]) == (0, "0 problems")


def test_the_readme_names_the_python_api(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    block = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[1]
    monkeypatch.chdir(ROOT)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("0.7")


def test_the_pytorch_example_exports_what_can_be_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    block = CODE.findall((ROOT / "docs" / "export-format.md").read_text(encoding="utf-8"))[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "export-format.md", "exec"), {})  # noqa: S102
    done = attneval("score", tmp_path / "maps.npz", "--gt", ROOT / "fixtures" / "entities", "--missing", "skip")
    assert done.code == 0, done.err
    assert "L0H3/t2i" in done.out


def test_the_example_in_batches_writes_what_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = CODE.findall((ROOT / "docs" / "export-format.md").read_text(encoding="utf-8"))[1]
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "export-format.md", "exec"), {})  # noqa: S102
    done = attneval("validate", tmp_path / "batches.npz")
    assert done.code == 0, done.err
    assert "2 images" in done.out, done.out


@pytest.mark.parametrize(("number", "name"), [(2, "padded.npz"), (3, "steps.npz")])
def test_the_other_examples_write_what_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    block = CODE.findall((ROOT / "docs" / "export-format.md").read_text(encoding="utf-8"))[number]
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "export-format.md", "exec"), {})  # noqa: S102
    done = attneval("validate", tmp_path / name)
    assert done.code == 0, done.out
