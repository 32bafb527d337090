"""A small runner of composite actions: their `run` steps in bash, under the variables that GitHub sets.

It knows what the project's action uses of expressions (`inputs`, `github`, `steps.ID.outputs`, `==`, `!=`, `&&`, `||`)
and refuses the rest. Steps with `uses` are not run but kept, with what they are given.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from commands import environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(==|!=|&&|\|\||[()!])|([\w.-]+))")
_OPERATORS = {"&&": "and", "||": "or", "!": "not"}
"""What stands for what in Python; other operators are written alike."""


@dataclass
class Ran:
    """What a run of an action left behind."""

    code: int = 0
    out: str = ""
    err: str = ""
    steps: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    failed: str = ""


class Context:
    """The values that expressions see."""

    def __init__(self, inputs: Mapping[str, str], github: Mapping[str, Any], ran: Ran) -> None:
        self._inputs, self._github, self._ran = inputs, github, ran

    def look_up(self, name: str) -> Any:
        """The value of a name such as `github.event.pull_request.number`; empty where there is none."""
        kind, _, rest = name.partition(".")
        if kind == "inputs":
            return self._inputs[rest]
        if kind == "steps":
            step, outputs, key = rest.split(".")
            assert outputs == "outputs"
            return self._ran.outputs.get(step, {}).get(key, "")
        assert kind == "github", name
        value: Any = self._github
        for key in rest.split("."):
            value = value.get(key, {})
        return "" if value == {} else value

    def evaluate(self, expression: str) -> Any:
        """The value of an expression."""
        words, place = [], 0
        expression = expression.strip()
        while place < len(expression):
            match = _TOKEN.match(expression, place)
            assert match, expression[place:]
            text, operator, name = match.groups()
            if text is not None:
                words.append(repr(text[1:-1].replace("''", "'")))
            else:
                words.append(_OPERATORS.get(operator, operator) if operator else repr(self.look_up(name)))
            place = match.end()
        return eval(" ".join(words), {"__builtins__": {}})  # noqa: S307 - literals and operators alone

    def fill(self, text: Any) -> str:
        """A text with the values of its expressions."""

        def value(match: re.Match[str]) -> str:
            made = self.evaluate(match[1])
            return str(made).lower() if isinstance(made, bool) else str(made)

        return re.sub(r"\$\{\{(.*?)\}\}", value, str(text))


def run_action(
    folder: Path,
    *,
    inputs: Mapping[str, str],
    github: Mapping[str, Any],
    workspace: Path,
    temporary: Path,
    path: str,
    **variables: str,
) -> Ran:
    """Run a composite action.

    Args:
        folder: Its folder.
        inputs: What the workflow gives it.
        github: The runner's context `github`.
        workspace: The working directory.
        temporary: The runner's folder for temporary files.
        path: The variable PATH.
        variables: Others, of the job.
    """
    action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    ran = Ran()
    declared = action["inputs"]
    unknown = set(inputs) - set(declared)
    assert not unknown, unknown
    missing = [name for name, spec in declared.items() if spec.get("required") and name not in inputs]
    assert not missing, missing
    plain = Context({}, github, ran)
    given = {name: inputs.get(name, plain.fill(spec.get("default", ""))) for name, spec in declared.items()}
    context = Context(given, github, ran)
    summary = temporary / "step_summary_0f1e"
    summary.touch()
    for number, step in enumerate(action["runs"]["steps"]):
        if ran.failed or not context.evaluate(re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(step.get("if", "'yes'")))):
            continue
        ran.steps.append(step["name"])
        if "uses" in step:
            ran.used.append((step["uses"], {key: context.fill(value) for key, value in step["with"].items()}))
            continue
        assert step["shell"] == "bash", step["name"]
        assert "${{" not in step["run"], f"{step['name']} has text from outside in its script"
        output = temporary / f"set_output_{number}"
        output.touch()
        env = environment(
            PATH=path,
            CI="true",
            GITHUB_ACTIONS="true",
            GITHUB_ACTION_PATH=str(folder),
            GITHUB_EVENT_NAME=str(github["event_name"]),
            GITHUB_OUTPUT=str(output),
            GITHUB_REF=str(github["ref"]),
            GITHUB_REF_NAME=str(github["ref_name"]),
            GITHUB_REPOSITORY=str(github["repository"]),
            GITHUB_STEP_SUMMARY=str(summary),
            GITHUB_WORKSPACE=str(workspace),
            RUNNER_TEMP=str(temporary),
            **variables,
            **{name: context.fill(value) for name, value in step.get("env", {}).items()},
        )
        script = temporary / f"{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],  # noqa: S607 - as the runner does
            cwd=workspace,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        ran.out += done.stdout
        ran.err += done.stderr
        lines = output.read_text(encoding="utf-8").splitlines()
        ran.outputs[step.get("id", step["name"])] = dict(line.split("=", 1) for line in lines)
        if done.returncode:
            ran.code, ran.failed = done.returncode, step["name"]
    ran.outputs["action"] = {name: context.fill(spec["value"]) for name, spec in action["outputs"].items()}
    return ran


def summary_of(temporary: Path) -> str:
    """What the step summaries of a run say."""
    return (temporary / "step_summary_0f1e").read_text(encoding="utf-8")


def command_lines(text: str) -> list[str]:
    """The workflow commands in a step's output."""
    return [line for line in text.splitlines() if line.lstrip().startswith("::")]


def path_with(folder: Path, scripts: Mapping[str, str]) -> str:
    """Write scripts into a folder that comes first on the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
