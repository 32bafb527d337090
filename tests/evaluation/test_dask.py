"""Blocks on a Dask cluster: to the last bit what one process gives, whatever becomes of workers."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
from clusters import Cluster, end
from commands import attneval
from tasks import Deadly, Opened, fails, refuses_odd, slow
from worlds import make_world

from attneval import Options, Protocol, score
from attneval.errors import AlignmentError, AttnevalError, ExportError, ProtocolError
from attneval.evaluation import plan_blocks
from attneval.evaluation.block_scorer import block_scorer
from attneval.evaluation.engines import ENGINES, choose_jobs, engine
from attneval.evaluation.engines.processes import processors
from attneval.evaluation.manifest import Manifest
from attneval.evaluation.select_images import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attneval import Result

Given = TypeVar("Given")

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.extras
dask = pytest.importorskip("attneval.evaluation.engines.dask")

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOOD, ENTITIES = FIXTURES / "good.npz", FIXTURES / "entities"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that no test harms."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers of one test alone."""
    (tmp_path / "fragile").mkdir()
    with Cluster(tmp_path / "fragile") as made:
        yield made


def shared(does: Callable[[int], Given], tasks: int | list[int], scheduler: str) -> list[Given]:
    blocks = range(tasks) if isinstance(tasks, int) else tasks
    with engine("dask", 2, scheduler)(blocks, does, 2) as results:
        return list(results)


def scored(path: Path, truth: Path, scheduler: str = "", **options: Any) -> Result:
    chosen = Options(resamples=100, engine="dask" if scheduler else "serial", scheduler=scheduler, **options)
    return score(path, truth, protocol=Protocol(missing="skip"), options=chosen)


def test_results_come_in_order(cluster: Cluster) -> None:
    results = shared(slow, 40, cluster.address)
    assert [square for square, _ in results] == [task * task for task in range(40)]
    assert {owner for _, owner in results} == {worker.pid for worker in cluster.workers}


def test_nothing_to_do_takes_no_cluster() -> None:
    assert shared(slow, 0, "tcp://127.0.0.1:9") == []


@pytest.mark.parametrize("at_once", [1, 7, 1024])
def test_a_cluster_changes_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    whole = scored(GOOD, ENTITIES)
    monkeypatch.setattr(plan_blocks, "IMAGES_AT_ONCE", at_once)
    assert scored(GOOD, ENTITIES, cluster.address, jobs=2).to_json() == whole.to_json()


def test_a_cluster_changes_nothing_of_channels_directions_items_and_an_index(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(3, images=220, captions=2, channels=2, back=True, ties=True, missing=True)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    protocol = Protocol(missing="zero", direction="t2i,i2t")
    monkeypatch.setattr(plan_blocks, "IMAGES_AT_ONCE", 50)
    results = [
        score(
            maps,
            truth,
            protocol=protocol,
            options=Options(resamples=20, items=True, jobs=2, cache=cache, engine=name, scheduler=scheduler),
        )
        for name, scheduler, cache in (
            ("serial", "", False),
            ("dask", cluster.address, True),  # which leaves an index
            ("dask", cluster.address, True),
        )
    ]
    assert len(list((tmp_path / "cache" / "attneval").iterdir())) == 1
    texts = [result.to_json() for result in results]
    assert texts[0] == texts[1] == texts[2]


def test_a_cluster_of_this_machine(tmp_path: Path) -> None:
    flags = ("score", GOOD, "--gt", ENTITIES, "--resamples", "100", "-q", "-f", "csv")
    files = tmp_path / "one.json", tmp_path / "cluster.json"
    for path, chosen in zip(files, (("--jobs", "1"), ("--engine", "dask", "--jobs", "2")), strict=True):
        done = attneval(*flags, *chosen, "-o", path)
        assert (done.code, done.err) == (0, "")
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    whole = scored(GOOD, ENTITIES).to_json()
    monkeypatch.setattr(plan_blocks, "IMAGES_AT_ONCE", 4)
    with Cluster(tmp_path, workers) as made:
        assert scored(GOOD, ENTITIES, made.address).to_json() == whole


def test_a_worker_that_is_killed_is_made_up_for(fragile: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    with engine("dask", 2, fragile.address)(range(60), slow, 2) as pending:
        for result in pending:
            results.append(result)
            if len(results) == 10:
                end(fragile.workers[0])
    assert [square for square, _ in results] == [task * task for task in range(60)]
    assert results[-1][1] == fragile.workers[1].pid
    monkeypatch.setattr(plan_blocks, "IMAGES_AT_ONCE", 2)
    assert scored(GOOD, ENTITIES, fragile.address).to_json() == scored(GOOD, ENTITIES).to_json()


def test_a_straggler_is_waited_for(fragile: Cluster) -> None:
    results = []
    with engine("dask", 2, fragile.address)(range(60), slow, 2) as pending:
        for result in pending:
            results.append(result)
            if len(results) == 4:
                lame = fragile.workers[0]
                lame.send_signal(signal.SIGSTOP)
                threading.Timer(2, lame.send_signal, [signal.SIGCONT]).start()
    assert [square for square, _ in results] == [task * task for task in range(60)]
    owners = [owner for _, owner in results]
    assert owners.count(fragile.workers[1].pid) > owners.count(fragile.workers[0].pid)


def test_a_block_that_kills_whoever_scores_it_is_named(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    for life in range(9):
        (lives / str(life)).touch()
    with (
        Cluster(tmp_path, 6) as made,
        pytest.raises(AttnevalError, match=r"workers were killed .* at work on 1, as happens when memory") as caught,
    ):
        shared(Deadly(lives), 2, made.address)
    assert caught.value.exit_code == 2


def test_an_error_says_where_it_came_up(cluster: Cluster) -> None:
    with pytest.raises(AlignmentError, match=r"1 is odd \(worker tcp://127.0.0.1:\d+\); take another"):
        shared(refuses_odd, 2, cluster.address)
    with pytest.raises(AlignmentError, match=r"^3 is odd"):  # the first in order
        shared(refuses_odd, [2, 4, 3, 5, 7], cluster.address)


def test_an_error_of_another_kind_is_no_riddle(cluster: Cluster) -> None:
    with pytest.raises(AttnevalError, match=r"a worker cannot score 1 \(ZeroDivisionError\('by nobody'\)\)"):
        shared(fails, 2, cluster.address)


def test_a_wrong_block_is_named_with_file_and_worker(cluster: Cluster, tmp_path: Path) -> None:
    with np.load(GOOD) as data:
        members: dict[str, Any] = dict(data)
    members["attention"] = members["attention"].copy()
    members["attention"][20_000] = np.nan
    np.savez(tmp_path / "nan.npz", **members)
    done = attneval("score", tmp_path / "nan.npz", "--gt", ENTITIES, "--engine", "dask", "--scheduler", cluster.address)
    assert (done.code, done.out) == (2, "")
    assert f"{tmp_path}/nan.npz" in done.err
    assert "NaN" in done.err
    assert "(worker tcp://127.0.0.1:" in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_a_worker_sees_otherwise_is_refused(tmp_path: Path) -> None:
    """As where a worker has an older copy under the same name."""
    copy = tmp_path / "maps.npz"
    copy.write_bytes(GOOD.read_bytes())
    manifest = Manifest.from_arguments(copy, ENTITIES)
    export = manifest.paths.open_export()
    source = manifest.paths.open_for_maps(export, Protocol())
    sent = pickle.dumps(block_scorer(manifest.paths, export, source, Protocol()))
    assert pickle.loads(sent) is not None  # noqa: S301 - made here
    copy.write_bytes((FIXTURES / "noisy.npz").read_bytes())
    with pytest.raises(ExportError, match=r"maps.npz is not the file here that it was where the work began"):
        pickle.loads(sent)  # noqa: S301


def test_workers_in_other_folders_call_files_as_they_were_given(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In notes on annotations, in indexes of them, and in what is wrong."""
    world = make_world(6, images=12, captions=3, missing=True).attention_alone()
    truth = world.entities(tmp_path / "entities")
    with (truth / "Sentences" / f"{next(iter(world.scenes))}.txt").open("a", encoding="utf-8") as file:
        file.write("[/EN#1/people never closed\n")
    for number in range(2):
        kept = {(own.image, own.index) for own in world.shown[number::2]}
        part = world.with_captions(lambda own, kept=kept: (own.image, own.index) in kept)  # type: ignore[misc]
        part.packed(tmp_path / f"maps-{number}.npz")
    monkeypatch.chdir(tmp_path)
    texts = []
    for name, address in (("serial", ""), ("dask", cluster.address)):
        options = Options(resamples=0, engine=name, scheduler=address, jobs=3)
        files = ["maps-0.npz", "maps-1.npz"]
        texts.append(score(files, "entities", protocol=Protocol(missing="skip"), options=options).to_json())
    assert "entities: Sentences/" in texts[0]
    assert texts[0] == texts[1]
    with np.load("maps-1.npz") as data:
        members: dict[str, Any] = dict(data)
    members["attention"] = np.full_like(members["attention"], np.nan)
    np.savez("maps-1.npz", **members)
    options = Options(resamples=0, engine="dask", scheduler=cluster.address)
    with pytest.raises(ExportError, match=r"NaN") as caught:
        score(["maps-0.npz", "maps-1.npz"], "entities", protocol=Protocol(missing="skip"), options=options)
    assert str(tmp_path) not in str(caught.value)


def test_files_are_opened_once_by_each_worker(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "opened"
    folder.mkdir()
    for runs in (1, 2):  # and anew for every run, since annotations may have changed
        shared(Opened(folder), 40, cluster.address)
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            str(worker.pid): "opened\n" * runs for worker in cluster.workers
        }


def test_sums_are_sent_and_no_maps(tmp_path: Path) -> None:
    """What comes back of a block does not grow with its maps."""
    sizes, weights = [], []
    for channels in (20, 200):
        world = make_world(4, images=10, captions=2, channels=channels)
        maps, truth = world.packed(tmp_path / f"{channels}.npz"), world.entities(tmp_path / str(channels))
        manifest = Manifest.from_arguments(maps, truth)
        export = manifest.paths.open_export()
        assert export is not None
        source = manifest.paths.open_for_maps(export, Protocol())
        scorer = block_scorer(manifest.paths, export, source, Protocol(missing="skip"))
        block = plan_blocks.plan_blocks(export, Selection(np.arange(10)))[0]
        sizes.append(len(pickle.dumps(scorer(block))))
        weights.append(sum(int(maps.size.sum()) for maps in export.maps.values()))
    assert weights[1] > 8 * weights[0]
    assert sizes[1] < 1.1 * sizes[0]


def test_few_blocks_are_on_their_way(cluster: Cluster) -> None:
    work = dask.start(range(200), slow, 2, cluster.address)
    most = 0
    with work as results:
        for _ in results:
            most = max(most, len(work._pending))
    assert most <= dask.AHEAD + 2 * 2


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "CONNECT", "1s")
    with pytest.raises(AttnevalError, match=r"the scheduler tcp://127.0.0.1:9 does not answer .*dask scheduler"):
        shared(slow, 2, "tcp://127.0.0.1:9")


def test_a_scheduler_without_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "PATIENCE", 1.0)
    with Cluster(tmp_path, 0) as made, pytest.raises(AttnevalError, match=r"has had no workers for 1 s; start some"):
        shared(slow, 2, made.address)


def test_a_scheduler_that_is_lost(fragile: Cluster) -> None:
    with engine("dask", 2, fragile.address)(range(200), slow, 2) as pending:
        assert [next(pending)[0] for _ in range(10)] == [task * task for task in range(10)]
        end(fragile.scheduler)
        with pytest.raises(
            AttnevalError, match=r"scheduler of tcp://.* is lost; \d+ of 200 blocks.*nothing was written"
        ):
            list(pending)


def test_a_lost_scheduler_leaves_no_result(fragile: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(5, images=400, captions=2)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    fragile.workers[1].send_signal(signal.SIGSTOP)
    fragile.workers[0].send_signal(signal.SIGSTOP)
    timer = threading.Timer(4, end, [fragile.scheduler])
    timer.start()
    out = tmp_path / "out"
    out.mkdir()
    flags = ("--missing", "skip", "--engine", "dask", "--scheduler", fragile.address, "-o", out / "result.json")
    done = attneval("score", maps, "--gt", truth, *flags)
    timer.join()
    assert (done.code, done.out, list(out.iterdir())) == (2, "", [])
    assert done.err.startswith("error: the scheduler")
    assert done.err.count("\n") == 1


def test_another_version_on_a_worker_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "__version__", "0.0.9")
    with pytest.raises(AttnevalError, match=r"and attneval 0.0.9 and numpy .* here .*install the same attneval"):
        shared(slow, 2, cluster.address)


def test_the_table_knows_what_engines_take() -> None:
    assert choose_jobs(None, 0, "dask") == processors()
    assert choose_jobs(3, 0, "dask") == 3
    assert engine("auto", 1, "tcp://127.0.0.1:9").func is dask.start  # type: ignore[attr-defined]
    with pytest.raises(ProtocolError, match=r"a scheduler \(tcp://x\) is given, and engine serial has none.*dask"):
        engine("serial", 1, "tcp://x")
    assert json.loads(json.dumps(list(ENGINES))) == ["serial", "processes", "dask"]


def test_an_interrupted_run_leaves_no_worker(tmp_path: Path) -> None:
    """The workers of a cluster of this machine end with the command, however that ends."""
    world = make_world(6, images=300, captions=3)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    command = [sys.executable, "-m", "attneval", "score", maps, "--gt", truth, "--missing", "skip"]
    for number in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(
            [*map(str, command), "--engine", "dask", "--jobs", "2", "-o", tmp_path / "r.json"]
        ) as run:
            time.sleep(2.5)
            children = _children(run.pid)
            run.send_signal(number)
            code = run.wait(30)
        assert code in {-number, 130, 0}
        end_by = time.monotonic() + 20
        while any(map(_alive, children)) and time.monotonic() < end_by:
            time.sleep(0.05)
        assert not any(map(_alive, children))


def _children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(path.parent.name))
    return found + [grandchild for child in found for grandchild in _children(child)]


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
