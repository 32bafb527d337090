"""The composite action: its steps run in bash as on GitHub, with a `gh` that answers from a folder."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import attneval
from runner import command_lines, path_with, run_action, summary_of

if TYPE_CHECKING:
    from runner import Ran


ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "attneval"
MARK = "<!-- attneval: attneval-baseline -->"
GH = f"""
exec "{sys.executable}" "{ROOT / "tests" / "stub_gh.py"}" "$@"
"""
PUSH = {
    "event_name": "push",
    "ref": "refs/heads/main",
    "ref_name": "main",
    "repository": "people/model",
    "token": "secret-token",
    "event": {"repository": {"default_branch": "main"}},
}
PULL = PUSH | {
    "event_name": "pull_request",
    "ref": "refs/pull/12/merge",
    "ref_name": "12/merge",
    "event": {"repository": {"default_branch": "main"}, "pull_request": {"number": 12}},
}


@dataclass
class Workflow:
    """A repository in which the action runs."""

    root: Path
    runs: int = 0

    @property
    def hub(self) -> Path:
        """What GitHub keeps: artifacts and comments."""
        return self.root / "hub"

    def artifact(self, result: str, run: int, **said: Any) -> None:
        """Keep a result as the baseline of a run."""
        folder = self.hub / "runs" / str(run)
        folder.mkdir(parents=True)
        (folder / "baseline.json").write_bytes((self.root / result).read_bytes())
        listed = json.loads((self.hub / "artifacts.json").read_text())
        workflow_run = {"id": run, "head_branch": "main", "repository_id": 7, "head_repository_id": 7} | said
        entry = {"name": "attneval-baseline", "expired": bool(workflow_run.pop("expired", False))}
        listed.insert(0, entry | {"workflow_run": workflow_run})  # the newest comes first
        (self.hub / "artifacts.json").write_text(json.dumps(listed))

    def comments(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads((self.hub / "comments.json").read_text())
        return listed

    def __call__(self, github: dict[str, Any], **inputs: str) -> Ran:
        self.runs += 1
        self.temporary = self.root / f"temp {self.runs}"
        self.temporary.mkdir()
        scripts = {
            "gh": GH,
            "python": f'echo "$@" >> "{self.root}/pip.log"',
            "attneval": f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m attneval "$@"',
        }
        path = path_with(self.root / "bin", scripts)
        variables = {"HUB": str(self.hub), "STUB_TOKEN": "secret-token"}
        return run_action(
            ACTION,
            inputs=inputs,
            github=github,
            workspace=self.root,
            temporary=self.temporary,
            path=path,
            **variables,
        )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name in ("good", "noisy"):
        scored = ("score", f"fixtures/{name}.npz", "--gt", "fixtures/entities", "--resamples", "50", "-q")
        assert attneval(*scored, "-o", folder / f"{name}.json").code == 0
    again = ("score", "fixtures/good.npz", "--gt", "fixtures/entities", "--iou", "0.3", "--resamples", "0", "-q")
    assert attneval(*again, "-o", folder / "other.json").code == 0
    return folder


@pytest.fixture
def workflow(tmp_path: Path, results: Path) -> Workflow:
    root = tmp_path / "a work space"
    (root / "hub").mkdir(parents=True)
    for name in ("artifacts.json", "comments.json"):
        (root / "hub" / name).write_text("[]")
    (root / "fixtures").symlink_to(ROOT / "fixtures")
    for path in results.iterdir():
        (root / path.name).symlink_to(path)
    return Workflow(root)


EXPORT = {"export": "fixtures/noisy.npz", "annotations": "fixtures/entities\n", "arguments": "--resamples 0 -q"}
BOTH = "--min f1=0.5\n--max-drop f1=2%"


def test_a_push_to_the_default_branch_scores_judges_and_makes_the_first_baseline(workflow: Workflow) -> None:
    ran = workflow(PUSH, rules=BOTH, **EXPORT)
    assert (ran.code, ran.failed) == (0, ""), ran.err
    assert "Comment on the pull request" not in ran.steps
    assert (workflow.root / "pip.log").read_text() == f"-m pip install --quiet {ACTION}/../../..\n"
    assert (ACTION / "../../../pyproject.toml").is_file()
    assert (workflow.root / "attneval-result.json").is_file()
    # A percent sign begins an escape there.
    assert command_lines(ran.out) == ["::warning title=attneval gate::no baseline yet, left out: --max-drop f1=2%25"]
    ((uses, given),) = ran.used
    assert uses == "actions/upload-artifact@v4"
    assert given["name"] == "attneval-baseline"
    kept = json.loads((Path(given["path"]) / "baseline.json").read_text())
    assert kept == json.loads((workflow.root / "attneval-result.json").read_text())
    summary = summary_of(workflow.temporary)
    assert summary.startswith("**Attention of noisy, in %**")
    assert "**Gate of noisy: passed**" in summary
    assert ran.outputs["action"]["passed"] == "true"
    assert "<testsuites" in Path(ran.outputs["action"]["report"]).read_text()


def test_a_pull_request_that_drops_fails_and_says_by_how_much(workflow: Workflow) -> None:
    workflow.artifact("good.json", 5)
    ran = workflow(PULL, rules=BOTH, metrics="f1 ap", **EXPORT)
    assert (ran.code, ran.failed) == (1, "Verdict"), ran.err
    assert ran.used == []
    assert [line.split("(")[0] for line in command_lines(ran.out + ran.err)] == [
        "::error title=attneval gate::FAILED: f1 drops by at most 2 %25 "
    ]
    (comment,) = workflow.comments()
    assert comment["body"].startswith(f"{MARK}\n**Gate of noisy: FAILED**\n")
    assert "**b now against a baseline**" in comment["body"]
    assert "| F1 |" in comment["body"]
    assert "| rSum |" not in comment["body"]
    assert "**b now against a baseline**" in summary_of(workflow.temporary)
    assert ran.outputs["action"]["passed"] == "false"


def test_the_comment_is_one_and_is_written_again(workflow: Workflow) -> None:
    workflow.artifact("good.json", 5)
    others = [
        {"id": 1, "user": {"type": "User"}, "body": f"{MARK} of somebody"},
        {"id": 2, "user": {"type": "Bot"}, "body": "of another action"},
    ]
    (workflow.hub / "comments.json").write_text(json.dumps(others))
    assert workflow(PULL, rules="--min f1=0.9", result="good.json").code == 1
    assert workflow(PULL, rules="--min f1=0.5", result="good.json").code == 0
    first, second, ours = workflow.comments()
    assert [first, second] == others
    assert ours["body"].startswith(f"{MARK}\n**Gate of good: passed**")


def test_baselines_of_forks_of_other_branches_and_expired_ones_are_none(workflow: Workflow) -> None:
    workflow.artifact("good.json", 5)
    workflow.artifact("noisy.json", 6, head_repository_id=8)  # a fork that calls its branch main
    workflow.artifact("noisy.json", 7, head_branch="feature")
    workflow.artifact("noisy.json", 8, expired=True)
    ran = workflow(PULL, rules=BOTH, result="noisy.json", comment="false")
    assert ran.code == 1
    before = workflow.temporary / "attneval" / "before" / "baseline.json"
    assert json.loads(before.read_text())["name"] == "good"
    assert workflow.comments() == []


def test_without_a_baseline_a_drop_on_a_pull_request_is_not_passed(workflow: Workflow) -> None:
    ran = workflow(PULL, rules=BOTH, result="good.json")
    assert (ran.code, ran.failed) == (2, "Verdict")
    (comment,) = workflow.comments()
    assert (
        "**The gate could not be decided.**\n\n    error: f1 drops by at most 2 % needs a baseline" in comment["body"]
    )
    assert "There is no baseline to compare with." in comment["body"]
    # Rules that need none are decided.
    assert workflow(PULL, rules="--min=f1=0.5 --max entropy=0.9", result="good.json").code == 0


def test_a_baseline_under_another_protocol_is_said_to_be_none(workflow: Workflow) -> None:
    workflow.artifact("other.json", 5)
    ran = workflow(PULL, rules="--min f1=0.5", result="good.json")
    assert ran.code == 0
    (comment,) = workflow.comments()
    assert "Not compared with the baseline:\n\n    error: " in comment["body"]
    assert "iou" in comment["body"]


@pytest.mark.parametrize("event", [PUSH, PULL], ids=["push", "pull request"])
def test_a_baseline_may_be_a_file_of_the_repository(workflow: Workflow, event: dict[str, Any]) -> None:
    workflow.artifact("noisy.json", 5)  # is not asked for
    ran = workflow(event, rules=BOTH, result="noisy.json", baseline="good.json", comment="false")
    assert (ran.code, ran.failed) == (1, "Verdict"), ran.err
    assert "**b now against a baseline**" in summary_of(workflow.temporary)
    # A push that keeps its rules leaves the file as it is, and no artifact.
    ran = workflow(event, rules=BOTH, result="good.json", baseline="good.json", comment="false")
    assert (ran.code, ran.used) == (0, []), ran.err
    # A file that is missing decides nothing, on the default branch neither.
    ran = workflow(event, rules=BOTH, result="good.json", baseline="none.json", comment="false")
    assert (ran.code, ran.failed) == (2, "Verdict")


@pytest.mark.parametrize("change", [{"event_name": "schedule"}, {"ref_name": "feature", "ref": "refs/heads/feature"}])
def test_other_runs_make_no_baseline(workflow: Workflow, change: dict[str, Any]) -> None:
    ran = workflow(PUSH | change, rules="--min f1=0.5", result="good.json")
    assert (ran.code, ran.used) == (0, [])


def test_a_broken_rule_makes_no_baseline(workflow: Workflow) -> None:
    ran = workflow(PUSH, rules="--min f1=0.9", result="good.json")
    assert (ran.code, ran.used) == (1, [])


def test_a_token_that_may_not_comment_fails_nothing(workflow: Workflow) -> None:
    ran = workflow(PULL | {"token": "of a fork"}, rules="--min f1=0.5", result="good.json", baseline="none")
    assert ran.code == 0, ran.err
    assert [line for line in command_lines(ran.out) if line.startswith("::warning")] == [
        "::warning title=attneval::no comment: the token lacks pull-requests: write, as it does for forks"
    ]


def test_what_cannot_be_scored_ends_the_job(workflow: Workflow) -> None:
    ran = workflow(PULL, rules="--min f1=0.5", export="none.npz", annotations="fixtures/entities")
    assert (ran.code, ran.failed) == (2, "Score")
    assert workflow.comments() == []


@pytest.mark.parametrize("rules", ["--min f1=0.5 * ?", "--min f1=0.5; touch pwned", "$(touch pwned)", "`touch pwned`"])
def test_rules_are_words_and_no_script(workflow: Workflow, rules: str) -> None:
    ran = workflow(PULL, rules=rules, result="good.json", baseline="none", package="none")
    assert ran.code == 2
    assert not (workflow.root / "pwned").exists()
    assert not (workflow.root / "pip.log").exists()
