"""A slice of the damaged files and faults of the system; all of it is `python -m tests.fuzz`."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from .campaign import NAMES, Broken, Campaign
from .damage import CANARY, HARM, Maker
from .laws import Meaning, breaches, listing
from .oracles import alike_types, mean, values_follow_from_sums
from .server import Outcome
from .targets import TARGETS
from .ways import Damage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES = 4
SLOW = ("index", "models")
"""Targets of which a case takes many times as long as of others."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are forked, limited and watched as Linux has it"
)


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    with Campaign(1) as campaign:
        yield campaign


def shown(broken: list[Broken], seed: int) -> str:
    return "\n".join(
        f"python -m tests.fuzz --target {each.target} --seed {seed} --case {each.case}: {each.breach}\n"
        f"  {each.line}\n  {each.text}\n  {each.said}"
        for each in broken
    )


def skip_without_models(name: str) -> None:
    if name in TARGETS and TARGETS[name].heavy:
        pytest.importorskip("torch")


@pytest.mark.parametrize("name", NAMES)
def test_no_law_is_broken(campaign: Campaign, name: str) -> None:
    skip_without_models(name)
    cases = 1 if name in SLOW else CASES
    counts = campaign.run(name, range(cases))
    assert not counts.broken, shown(counts.broken, campaign.seed)
    assert sum(counts.outcomes.values()) == cases


@pytest.mark.parametrize("name", [name for name in TARGETS if TARGETS[name].lines])
def test_files_as_they_should_be_are_done(campaign: Campaign, name: str) -> None:
    """A command that refuses them would refuse everything, and hold every law."""
    skip_without_models(name)
    assert campaign.refused_whole(name) == {}


def test_cases_follow_from_the_seed(campaign: Campaign, tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        target = TARGETS["packed"]
        folder = campaign.fresh("packed", campaign.whole("packed", target.build, heavy=False))
        damage = target.damage(folder, campaign.draw("packed", 7))
        texts.append((damage, listing(folder)))
    assert texts[0] == texts[1]


# ---------------------------------------------------------------- laws that can be broken

DAMAGE = Damage(("a.json",), "")


def broken(folder: Path, *, damage: Damage = DAMAGE, before: dict[str, str] | None = None, **done: Any) -> list[str]:
    values = {"arguments": ("gate", "a.json", "-f", "json"), "code": 0, "out": "", "err": "", "slow": False}
    outcome = Outcome(**{**values, "memory": 0, "seconds": 0.0, **done})
    return list(
        breaches(outcome, damage, folder, listing(folder) if before is None else before, Meaning([1.0], frozenset()))
    )


@pytest.mark.parametrize(
    ("done", "breach"),
    [
        ({"slow": True}, "hangs"),
        ({"code": 3}, "exits with 3"),
        ({"arguments": ("score", "a.npz"), "code": 1}, "exits with 1"),
        ({"code": 2, "err": "error: a.json: internal error\n"}, "says 'internal error'"),
        ({"code": 2, "err": "Traceback\nerror: a.json\n"}, "says 'Traceback'"),
        ({"err": "x.py:1: RuntimeWarning: overflow\n"}, "says 'Warning:'"),
        ({"memory": 2**31}, "takes 2048 MB"),
        ({"out": "\x1b[31m"}, "stdout holds"),
        ({"out": "a\n::error::x"}, "a command to a CI server"),
        ({"code": 2, "err": "error: something is wrong\n", "arguments": ("gate",)}, "does not name a file"),
        ({"code": 2, "err": "error: a.json\nand more\n"}, "in 2 lines"),
        ({"code": 2, "err": "error: a.json\n", "out": "x"}, "prints something"),
        ({"err": "x" * 5000}, "stderr has 5000 characters"),
    ],
)
def test_laws_see_their_breach(tmp_path: Path, done: dict[str, Any], breach: str) -> None:
    assert any(breach in each for each in broken(tmp_path, **done))


def test_laws_see_what_files_do(tmp_path: Path) -> None:
    assert broken(tmp_path) == []
    (tmp_path / "a.json").write_text("{}")
    assert broken(tmp_path, before={}) == []
    (tmp_path / "a.json").write_text('{"f1": NaN}')
    assert "is not JSON" in broken(tmp_path, before={})[0]
    assert broken(tmp_path, before={}, code=2, err="error: a.json\n") == ["refuses, and changes a.json"]
    (tmp_path / "x.npz").write_bytes(b"PK")
    (tmp_path / ".x.part").write_bytes(b"")
    (tmp_path / "x.html").write_text(f"<script>{HARM}")
    found = "; ".join(broken(tmp_path, before=listing(tmp_path / "nothing")))
    assert "x.npz, which cannot be read" in found
    assert "leaves .x.part" in found
    assert "with markup of a file" in found
    (tmp_path / CANARY).write_bytes(b"")
    assert "runs code of a file" in broken(tmp_path)


def test_numbers_that_follow_from_nonsense_are_seen(tmp_path: Path) -> None:
    nonsense = Damage(("a.json",), "", senseless=True)
    assert broken(tmp_path, damage=nonsense, out='{"f1": 1.0}') == []
    found = broken(tmp_path, damage=nonsense, out='{"f1": 0.9}')
    assert found == ["takes what can mean nothing, and other numbers follow in silence"]
    assert broken(tmp_path, damage=nonsense, out='{"f1": 0.9, "notes": ["a.json has ..."]}') == []


def test_a_file_among_the_inputs_is_no_note(tmp_path: Path) -> None:
    """Every result names its files: that says nothing of what is wrong with them."""
    nonsense = Damage(("a.json",), "", senseless=True)
    named = '{"f1": 0.9, "inputs": [{"path": "a.json"}]}'
    assert "follow in silence" in broken(tmp_path, damage=nonsense, out=named)[0]


def test_aims_and_their_oracles(campaign: Campaign) -> None:
    """Each aim hits what it is aimed at, and where a target has an oracle, whole files agree with it."""
    for name, target in TARGETS.items():
        for aim in target.aims:
            folder = campaign.fresh(name, campaign.whole(name, target.build, heavy=False))
            before = listing(folder)
            damage = aim(folder, campaign.draw(name, 1))
            assert listing(folder) != before
            assert (folder / damage.files[0]).exists()


def test_values_that_disagree_with_their_sums_are_seen(campaign: Campaign) -> None:
    folder = campaign.fresh("result", campaign.whole("result", TARGETS["result"].build, heavy=False))
    result, server = json.loads((folder / "r.json").read_text()), campaign.server(heavy=False)
    pairs = {name: mean(result, name) for name in result["metrics"]}
    compared = {name for name, pair in pairs.items() if pair is not None}
    assert compared >= {"f1", "precision", "recall", "ap", "pointing", "i2t_r@1", "entropy"}
    damage = Damage(("r.json",), "", senseless=True)
    done = Outcome(("gate", "r.json"), code=0, out="", err="", slow=False, memory=0, seconds=0.0)
    assert list(values_follow_from_sums(server, folder, damage, done)) == []
    result["metrics"]["f1"]["value"] = 0.99
    (folder / "r.json").write_text(json.dumps(result))
    assert "takes a f1 of 0.99 in silence" in next(values_follow_from_sums(server, folder, damage, done))
    for refused in (replace(done, code=2), replace(done, err="note: r.json has ..."), replace(done, arguments=("x",))):
        assert list(values_follow_from_sums(server, folder, damage, refused)) == []


def test_types_that_are_not_alike_are_seen(tmp_path: Path) -> None:
    def run(_: Path, arguments: tuple[str, ...]) -> Outcome:
        items = [{"types": ["people", "a"]}, {"types": ["other"]}, {"types": shown}]
        return Outcome(arguments, code=0, out=json.dumps(items), err="", slow=False, memory=0, seconds=0.0)

    damage = Damage(("entities",), "", alike=(("people", "a"),))
    done = Outcome(("score", "-f", "json", "--items"), code=0, out="", err="", slow=False, memory=0, seconds=0.0)
    for shown, values in ((["people", "a"], [1, 1]), (["people"], [1, 1]), (["people", "a"], [1, 2])):
        groups = dict(zip(("people", "a"), values, strict=True))
        given = replace(done, out=json.dumps({"by": {"type": groups}}))
        assert len(list(alike_types(run, tmp_path, damage, given))) == (len(shown) < 2) + (values[0] != values[1])


def test_the_canary_sings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Maker())).close()  # noqa: S301 - that is the point
    assert (tmp_path / CANARY).exists()


def test_servers_run_any_attneval(tmp_path: Path) -> None:
    """One that crashes, hangs and lies is seen to do so."""
    package = tmp_path / "attneval"
    package.mkdir()
    (package / "__init__.py").write_text("")
    lines = (
        "import os, sys, warnings",
        "def entry():",
        "    kind = sys.argv[1]",
        "    print(kind)",
        "    if kind == 'crash': os.abort()",
        "    if kind == 'warn': warnings.warn('x')",
        "    if kind == 'raise': raise ValueError",
        "    if kind == 'eat': bytearray(2**32)",
        "    sys.exit(0)",
    )
    (package / "__main__.py").write_text("\n".join(lines))
    with Campaign(1, root=tmp_path) as campaign:
        server = campaign.server(heavy=False)
        done = {kind: server(tmp_path, (kind,)) for kind in ("crash", "warn", "raise", "eat", "fine")}
        killed = server(tmp_path, ("fine",), kill_after=0.0001)
    assert done["crash"].code == -6
    assert "UserWarning" in done["warn"].err
    assert "ValueError" in done["raise"].err
    assert "MemoryError" in done["eat"].err
    assert (done["fine"].code, done["fine"].out, done["fine"].err) == (0, "fine\n", "")
    assert killed.code in {-14, 0}
