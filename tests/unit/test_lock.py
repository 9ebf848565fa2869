"""Locks across nodes: one run writes, several share, and a dead one is in nobody's way."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from glassformer.core import lock as module
from glassformer.core import observed
from glassformer.core.errors import StorageError
from glassformer.core.lock import STALE, HeldError, Lock, Owner, clear_dead, held, living_owner, rival
from glassformer.core.runs import exclusive, shared, writing

HOLD = """
import sys, time
from pathlib import Path
from glassformer.core.runs import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
# Two that hold it at once would count wrongly.
CONTEND = """
import sys, time
from pathlib import Path
from glassformer.core.errors import StorageError
from glassformer.core.runs import exclusive
folder, got = Path(sys.argv[1]), 0
deadline = time.monotonic() + 60
while got < 10 and time.monotonic() < deadline:
    try:
        with exclusive(folder):
            count = int((folder / "count").read_text())
            time.sleep(0.002)
            (folder / "count").write_text(str(count + 1))
            got += 1
    except StorageError:
        pass
    time.sleep(0.005)
"""


def hold(folder: Path, seconds: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, str(seconds)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def leave(path: Path, age: float = 0.0, **changes: object) -> None:
    """Leave a lock whose owner differs from this process by `changes`, touched `age` seconds ago."""
    path.write_text(json.dumps(dataclasses.asdict(Owner.this(path.parent)) | changes))
    os.utime(path, (time.time() - age,) * 2)


@pytest.mark.long
def test_one_run_at_a_time(tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data)
    first = hold(data, 60)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    found = json.loads(command("status", data, "--json").stdout)
    assert (found["running"], len(found["runs"])) == (True, 1)
    for name in ("quench", "repair"):
        second = command(name, data)
        assert second.returncode == 2
        assert f"another run is writing to {data}: process {first.pid} on" in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    # However the first ended: nobody holds the folder.
    assert not json.loads(command("status", data, "--json").stdout)["running"]
    assert command("quench", data).returncode == 0
    assert [path.name for path in data.iterdir() if path.name.startswith(".")] == []


def test_a_lock_file_that_names_nobody_belongs_to_nobody(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    # It may be written at this moment, where links do not exist.
    with pytest.raises(HeldError):
        Lock(tmp_path / ".lock").acquire()
    os.utime(tmp_path / ".lock", (0, 0))
    assert hold(tmp_path).wait() == 0


def test_a_run_on_another_host_is_named_and_taken_over_without_a_heartbeat(tmp_path: Path) -> None:
    leave(tmp_path / ".lock", STALE - 20, host="node042", process=4711)
    _, text = hold(tmp_path).communicate()
    assert "process 4711 on node042" in text
    assert "free in 3 minutes at the latest" in text
    assert living_owner(tmp_path / ".lock") is not None
    leave(tmp_path / ".lock", STALE + 20, host="node042", process=4711)
    assert living_owner(tmp_path / ".lock") is None
    lock = Lock(tmp_path / ".lock")
    lock.acquire()
    assert lock.inherited is not None
    assert (lock.inherited.host, lock.inherited.process) == ("node042", 4711)
    lock.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dead", [{"started": "1"}, {"process": 2**22 + 1}], ids=lambda change: min(change))
def test_a_dead_run_on_this_host_is_no_obstacle(dead: dict[str, object], tmp_path: Path) -> None:
    leave(tmp_path / ".lock", **dead)
    assert hold(tmp_path).wait() == 0


@pytest.mark.parametrize("change", [{"boot": "before the restart"}, {"namespace": "another"}, {"folder": 1}])
def test_what_cannot_be_seen_from_here_is_judged_by_its_heartbeat(change: dict[str, object], tmp_path: Path) -> None:
    # Of a copied folder the owner may live, and yet have nothing to do with it.
    for age, free in ((1, False), (STALE + 1, True)):
        leave(tmp_path / ".lock", age, **change)
        assert (hold(tmp_path).wait() == 0) == free


def test_the_owner_shows_that_it_lives_and_sees_that_it_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)
    monkeypatch.setattr(module, "_hearts", [])
    with held(tmp_path / "a.lock") as lock:
        os.utime(tmp_path / "a.lock", (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / "a.lock").stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert time.time() - (tmp_path / "a.lock").stat().st_mtime < 5
        assert not lock.lost
        leave(tmp_path / "a.lock", host="heir")
        while not lock.lost and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lock.lost
    # It is the heir's: its old owner leaves it.
    assert (tmp_path / "a.lock").exists()


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with held(tmp_path / ".lock"), pytest.raises(HeldError) as caught:
        Lock(tmp_path / ".lock").acquire()
    assert caught.value.owner is not None
    assert caught.value.owner.process == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The monotonic clock of this host, as it is observed; `restart` begins another process."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(observed, "_seen", {})
    monkeypatch.setattr(observed, "time", SimpleNamespace(monotonic=lambda: clock.now))
    clock.restart = lambda: observed._seen.clear()
    return clock


@pytest.mark.parametrize("ahead", [3600.0, 30 * 86400.0])
def test_a_lock_from_the_future_is_believed_no_longer_than_one_from_now(
    ahead: float, tmp_path: Path, clock: SimpleNamespace
) -> None:
    path = tmp_path / ".lock"
    leave(path, -ahead, host="node042", process=4711)
    assert living_owner(path) is not None
    clock.now += STALE - 1
    assert living_owner(path) is not None
    # It lives: by whatever clock, its owner touched it.
    leave(path, -ahead - 15, host="node042", process=4711)
    clock.now += 2
    assert living_owner(path) is not None
    clock.now += STALE + 1
    assert living_owner(path) is None
    with held(path) as lock:
        assert lock.inherited is not None
        assert lock.inherited.host == "node042"
    assert list(tmp_path.iterdir()) == []


def test_commands_that_refuse_at_once_count_from_the_first_of_them(tmp_path: Path, clock: SimpleNamespace) -> None:
    for name in (".lock", ".run-node042-4711.lock"):
        leave(tmp_path / name, -3600, host="node042", process=4711)
        # One that only looks changes nothing.
        assert len(writing(tmp_path)) == 1
        assert [path.name for path in tmp_path.iterdir()] == [name]
        for wait, free in ((0.0, False), (STALE - 1, False), (2.0, True)):
            clock.restart()
            clock.now += wait
            if free:
                assert writing(tmp_path) == []
                with exclusive(tmp_path):
                    pass
            else:
                with pytest.raises(StorageError, match="process 4711 on node042") as caught, exclusive(tmp_path):
                    pass
                assert "free in 3 minutes at the latest" in caught.value.remedy
        for left in tmp_path.iterdir():
            left.unlink()


def test_what_was_noted_before_a_restart_or_on_another_host_says_nothing(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path / ".lock", -3600, host="node042", process=4711)
    assert rival(tmp_path / ".lock") is not None
    clock.restart()
    clock.now += STALE + 1
    host, _, namespace = observed.here()
    with monkeypatch.context() as patch:
        patch.setattr(observed, "here", lambda: (host, "after the restart", namespace))
        assert living_owner(tmp_path / ".lock") is not None
    clock.restart()
    assert living_owner(tmp_path / ".lock") is None
    for broken in ("", "[]", '{"observer": 1}', '{"state": 1, "since": "x"}'):
        clock.restart()
        (tmp_path / f".lock.seen-{host}").write_text(broken)
        assert living_owner(tmp_path / ".lock") is not None


def test_an_owner_whose_clock_is_ahead_lives(tmp_path: Path, clock: SimpleNamespace) -> None:
    for beat in range(20):
        leave(tmp_path / ".lock", -3600 - 15 * beat, host="node042", process=4711)
        clock.now += 15
        with pytest.raises(HeldError):
            Lock(tmp_path / ".lock").acquire()


def test_a_killed_takeover_from_the_future_is_no_obstacle(tmp_path: Path, clock: SimpleNamespace) -> None:
    leave(tmp_path / ".lock", process=2**22 + 1)
    turn = tmp_path / ".lock.takeover"
    turn.write_bytes(b"")
    os.utime(turn, (time.time() + 3600,) * 2)
    for wait in (0.0, 31.0):
        clock.now += wait
        with pytest.raises(HeldError):
            Lock(tmp_path / ".lock").acquire()
    with held(tmp_path / ".lock"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_many_contend_and_one_holds(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    # The first of them takes over from a dead one.
    leave(tmp_path / ".lock", process=2**22 + 1)
    runs = [subprocess.Popen([sys.executable, "-c", CONTEND, tmp_path]) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert (tmp_path / "count").read_text() == "40"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    holding, most = 0, 0

    def contend() -> None:
        nonlocal holding, most
        for _ in range(50):
            try:
                with held(tmp_path / ".lock"):
                    holding += 1
                    most = max(most, holding)
                    time.sleep(0.001)
                    holding -= 1
            except HeldError:
                time.sleep(0.001)

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_folder_in_which_nothing_was_written_is_gone(tmp_path: Path) -> None:
    assert hold(tmp_path / "new" / "data").wait() == 0
    with shared(tmp_path / "new" / "data"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_runs_that_share_exclude_one_that_does_not(tmp_path: Path) -> None:
    with shared(tmp_path):
        assert len(writing(tmp_path)) == 1
        # This process may not write alone beside its own shared run either; others are told whose run it is.
        leave(tmp_path / ".run-node042-7.lock", host="node042", process=7)
        with pytest.raises(StorageError, match="process 7 on node042"), exclusive(tmp_path):
            pass
    (tmp_path / ".run-node042-7.lock").unlink()
    first = hold(tmp_path, 60)
    assert first.stdout is not None
    first.stdout.readline()
    with pytest.raises(StorageError, match=f"process {first.pid}"), shared(tmp_path):
        pass
    first.kill()
    first.wait()
    leave(tmp_path / f".run-{os.uname().nodename}-{2**22 + 1}.lock", process=2**22 + 1)
    with shared(tmp_path):
        # What a killed run left is gone.
        assert len(list(tmp_path.glob(".run-*"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    clear_dead(tmp_path / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_takeover_is_no_obstacle(tmp_path: Path) -> None:
    leave(tmp_path / ".lock", process=2**22 + 1)
    turn = tmp_path / ".lock.takeover"
    turn.write_bytes(b"")
    for touched in (time.time(), 0.0):
        os.utime(turn, (touched, touched))
        with pytest.raises(HeldError):
            Lock(tmp_path / ".lock").acquire()
    with held(tmp_path / ".lock"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_in_a_folder_that_was_moved_is_not_anothers(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / ".lock", tmp_path / "a"
    second.mkdir()
    mine = Lock(first)
    mine.acquire()
    second.rename(tmp_path / "moved")
    second.mkdir()
    other = Lock(first)
    other.acquire()
    mine.release()
    assert first.exists()
    other.release()
    assert not first.exists()
