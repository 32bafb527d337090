"""A `gh` that knows what the action asks of it, and answers from the folder HUB.

Filters of `--jq` are recognised by what they have to do and done in Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

HUB = Path(os.environ["HUB"])


def main(arguments: list[str]) -> int:
    """Answer one call."""
    if os.environ["GH_TOKEN"] != os.environ["STUB_TOKEN"]:
        print("gh: Resource not accessible by integration (HTTP 403)", file=sys.stderr)  # noqa: T201
        return 1
    if arguments[:2] == ["run", "download"]:
        return download(arguments[2], flags(arguments[3:]))
    assert arguments[0] == "api", arguments
    rest = [argument for argument in arguments[1:] if argument != "--paginate"]
    url = next(argument for argument in rest if argument.startswith("repos/people/model/"))
    given = flags([argument for argument in rest if argument != url])
    if "actions/artifacts?" in url:
        return artifacts(url, given["--jq"])
    return comments(url, given)


def flags(arguments: list[str]) -> dict[str, str]:
    """Flags and their values."""
    return dict(zip(arguments[::2], arguments[1::2], strict=True))


def artifacts(url: str, query: str) -> int:
    """List the runs of an artifact, filtered as the query says."""
    name = re.search(r"name=([^&]+)", url)
    assert name
    for needed in (".expired | not", ".head_branch == env.BRANCH", ".head_repository_id == .repository_id", "first"):
        assert needed in query, query
    listed = json.loads((HUB / "artifacts.json").read_text())
    runs = [entry["workflow_run"] for entry in listed if entry["name"] == name[1] and not entry["expired"]]
    chosen = [
        run
        for run in runs
        if run["head_branch"] == os.environ["BRANCH"] and run["head_repository_id"] == run["repository_id"]
    ]
    if chosen:
        print(chosen[0]["id"])  # noqa: T201
    return 0


def download(run: str, given: dict[str, str]) -> int:
    """Copy the artifact of a run."""
    assert (given["--repo"], given["--name"]) == ("people/model", "attneval-baseline")
    shutil.copytree(HUB / "runs" / run, given["--dir"], dirs_exist_ok=True)
    return 0


def comments(url: str, given: dict[str, str]) -> int:
    """List, write or change comments."""
    path = HUB / "comments.json"
    listed = json.loads(path.read_text())
    if "--jq" in given:
        assert url.endswith("/issues/12/comments")
        assert '.user.type == "Bot" and (.body | startswith(env.MARK))' in given["--jq"]
        for comment in listed:
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(os.environ["MARK"]):
                print(comment["id"])  # noqa: T201
        return 0
    key, _, value = given["-F"].partition("=@")
    body = {key: Path(value).read_text(encoding="utf-8")}
    if given.get("--method") == "PATCH":
        number = int(url.rpartition("/")[2])
        listed = [comment | body if comment["id"] == number else comment for comment in listed]
    else:
        assert url.endswith("/issues/12/comments")
        listed.append({"id": 100 + len(listed), "user": {"type": "Bot"}, **body})
    path.write_text(json.dumps(listed))
    print("{}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
