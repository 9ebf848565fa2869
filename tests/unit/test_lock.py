"""The lock on a folder, on file systems with and without flock: one run writes, and a dead one is in nobody's way."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from glassformer.core.lock import FolderLock, Owner, is_held

# What flock answers on Lustre without it, on NFS without a lock daemon, and on others; 0: it works.
ERRORS = {"works": 0, "ENOSYS": errno.ENOSYS, "ENOLCK": errno.ENOLCK, "EOPNOTSUPP": errno.EOPNOTSUPP}
NO_FLOCK = """
#include <errno.h>
#include <stdlib.h>
int flock(int fd, int operation) { errno = atoi(getenv("FLOCK_ERRNO")); return -1; }
"""
HOLD = """
import sys, time
from pathlib import Path
from glassformer.core.files import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
# Two that hold it at once would count wrongly.
CONTEND = """
import sys, time
from pathlib import Path
from glassformer.core.errors import StorageError
from glassformer.core.files import exclusive
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


@pytest.fixture(scope="session")
def no_flock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that takes the place of flock, as on a file system without it."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to build a flock that fails")
    folder = tmp_path_factory.mktemp("flock")
    (folder / "flock.c").write_text(NO_FLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "flock.so", folder / "flock.c"], check=True)
    return folder / "flock.so"


@pytest.fixture(params=ERRORS)
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    number = ERRORS[request.param]
    preload = {} if number == 0 else {"LD_PRELOAD": str(request.getfixturevalue("no_flock"))}
    return os.environ | preload | {"FLOCK_ERRNO": str(number)}


def hold(folder: Path, environment: dict[str, str], seconds: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, str(seconds)], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def command(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_one_run_at_a_time(environment: dict[str, str], tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data)
    first = hold(data, environment, 60)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    assert json.loads(command(environment, "status", data, "--json").stdout)["running"]
    second = command(environment, "quench", data)
    assert second.returncode == 2
    assert f"another run is writing to {data}" in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    # However the first ended: nobody holds the folder.
    assert not json.loads(command(environment, "status", data, "--json").stdout)["running"]
    assert command(environment, "quench", data).returncode == 0
    assert [path.name for path in data.iterdir() if path.name.startswith(".")] == []


def test_a_lock_file_that_was_copied_belongs_to_nobody(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    assert hold(tmp_path, environment).wait() == 0


def test_a_run_on_another_host_is_named_with_the_way_out(environment: dict[str, str], tmp_path: Path) -> None:
    elsewhere = dataclasses.replace(Owner.this(), host="node042", process=4711)
    (tmp_path / ".lock").write_text(json.dumps(dataclasses.asdict(elsewhere)))
    second = hold(tmp_path, environment)
    _, text = second.communicate()
    assert "process 4711 on node042" in text
    assert f"delete {tmp_path / '.lock'}" in text
    (tmp_path / ".lock").unlink()
    assert hold(tmp_path, environment).wait() == 0


@pytest.mark.parametrize(
    "dead", [{"boot": "before the restart"}, {"started": "1"}, {"process": 2**22 + 1}], ids=lambda change: min(change)
)
def test_a_dead_run_on_this_host_is_no_obstacle(dead: dict[str, object], no_flock: Path, tmp_path: Path) -> None:
    owner = dataclasses.asdict(Owner.this()) | dead
    (tmp_path / ".lock").write_text(json.dumps(owner))
    environment = os.environ | {"LD_PRELOAD": str(no_flock), "FLOCK_ERRNO": str(errno.ENOSYS)}
    assert hold(tmp_path, environment).wait() == 0


def test_many_contend_and_one_holds(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    (tmp_path / ".lock").touch()
    runs = [subprocess.Popen([sys.executable, "-c", CONTEND, tmp_path], env=environment) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert (tmp_path / "count").read_text() == "40"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_folder_in_which_nothing_was_written_is_gone(environment: dict[str, str], tmp_path: Path) -> None:
    assert hold(tmp_path / "new" / "data", environment).wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_looking_whether_it_is_held_lets_a_run_start(tmp_path: Path) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_held(tmp_path / ".lock")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(300):
            lock = FolderLock(tmp_path / ".lock")
            lock.acquire()
            assert (tmp_path / ".lock").exists()
            lock.release()
    finally:
        done.set()
        watcher.join()


def test_a_killed_takeover_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    turn = tmp_path / ".lock.takeover"
    turn.write_bytes(b"")
    lock = FolderLock(tmp_path / ".lock")
    assert not lock._replace(b"")
    os.utime(turn, (0, 0))
    assert not lock._replace(b"")
    assert lock._replace(b"")
    assert Owner.of((tmp_path / ".lock").read_bytes()) == Owner.this()
    # What has changed meanwhile is another's.
    assert not lock._replace(b"")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_in_a_folder_that_was_moved_is_not_anothers(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / ".lock", tmp_path / "a"
    second.mkdir()
    mine = FolderLock(first)
    mine.acquire()
    second.rename(tmp_path / "moved")
    second.mkdir()
    other = FolderLock(first)
    other.acquire()
    mine.release()
    assert first.exists()
    other.release()
    assert not first.exists()
