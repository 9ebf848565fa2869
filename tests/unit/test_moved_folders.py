"""A folder that is moved or deleted while it is written to: the run stops, says why, and does not make it again."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from glassformer.core import files
from glassformer.core.errors import StorageError
from glassformer.core.files import watched, write_atomically
from glassformer.core.runs import exclusive
from glassformer.simulate.unfinished import Unfinished
from tests.unit.test_cli import CAMPAIGN, RUN
from tests.unit.test_signals import members, start, wait_until

pytestmark = pytest.mark.long


def test_writing_into_a_folder_that_was_moved(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with exclusive(folder):
        write_atomically(folder / "a" / "x.h5", b"1")
        folder.rename(tmp_path / "moved")
        with pytest.raises(StorageError, match=r"data was moved or deleted during the run"):
            write_atomically(folder / "a" / "y.h5", b"2")
        # Another one in its place is another one.
        folder.mkdir()
        with pytest.raises(StorageError, match="was moved"):
            write_atomically(folder / "y.h5", b"2")
        # Other folders are none of its business.
        write_atomically(tmp_path / "z", b"3")
    write_atomically(folder / "y.h5", b"2")


@pytest.mark.parametrize("moment", ["mkdir", "open", "_to_disk", "replace"])
def test_a_folder_moved_at_any_moment_of_a_write(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, moved = tmp_path / "data", tmp_path / "moved"

    def moves(original: Callable[..., Any]) -> Callable[..., Any]:
        def move_and_go_on(*arguments: Any, **options: Any) -> Any:
            if folder.exists():
                folder.rename(moved)
            return original(*arguments, **options)

        return move_and_go_on

    with exclusive(folder):
        (folder / "a").mkdir()
        where = files if moment == "_to_disk" else Path
        monkeypatch.setattr(where, moment, moves(getattr(where, moment)))
        with pytest.raises(StorageError, match=r"data was moved or deleted during the run"):
            write_atomically(folder / "a" / "x.h5", b"1")
    assert moved.exists()
    assert not folder.exists()


def test_a_folder_out_of_reach_is_not_taken_for_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    with exclusive(folder):
        for number, moved in ((errno.ESTALE, False), (errno.EIO, False), (errno.ENOENT, True)):
            with monkeypatch.context() as patch:
                patch.setattr(files, "_identity", fail_with(number))
                if moved:
                    with pytest.raises(StorageError, match="was moved"):
                        files.refuse_if_moved(folder / "x")
                else:
                    files.refuse_if_moved(folder / "x")


def fail_with(number: int) -> Callable[[Path], NoReturn]:
    def fail(path: Path) -> NoReturn:
        raise OSError(number, os.strerror(number), str(path))

    return fail


def test_what_is_unfinished_stays_with_its_dataset(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    unfinished = Unfinished(tmp_path / "data" / "T0.50" / "c0000.h5", "key")
    with watched(tmp_path / "data"):
        unfinished.save("a", {})
        (tmp_path / "data").rename(tmp_path / "moved")
        with pytest.raises(StorageError, match="was moved or deleted"):
            unfinished.save("b", {})
    assert not (tmp_path / "data").exists()
    # Damaged, it counts as not there.
    saved = next((tmp_path / "moved").rglob("a.npz"))
    moved = Unfinished(tmp_path / "moved" / "T0.50" / "c0000.h5", "key")
    assert moved.load("a") == {}
    saved.write_bytes(saved.read_bytes()[:-1] + b"x")
    assert moved.load("a") is None


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_simulation_stops(how: str, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(CAMPAIGN.replace("hold_time = 0.5", "hold_time = 500.0"))
    data = tmp_path / "data"
    process = start("simulate", tmp_path / "long.toml", "--out", data, "--workers", "2")
    wait_until(lambda: (data / "campaign.json").exists(), process)
    time.sleep(2)
    if how == "moved":
        data.rename(tmp_path / "moved")
    else:
        shutil.rmtree(data)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "data was moved or deleted during the run" in errors
    assert not data.exists()
    wait_until(lambda: not members(process.pid), process)
    assert not members(process.pid)


def test_a_training_stops(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(RUN.replace("epochs = 3", "epochs = 100000"))
    out = tmp_path / "out"
    process = start("train", tmp_path / "long.toml", tiny_dataset, "--out", out, "--threads", "1")
    wait_until(lambda: (out / "fold-0" / "last.ckpt").exists(), process)
    out.rename(tmp_path / "moved")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "out was moved or deleted during the run" in errors
    assert not out.exists()


def test_a_read_only_folder_and_a_long_name_are_named(tmp_path: Path) -> None:
    for out, reason in ((Path("/proc/glassformer"), "cannot create the folder"), (tmp_path / ("x" * 300), "too long")):
        done = subprocess.run(
            [sys.executable, "-m", "glassformer", "simulate", "demo", "--out", str(out)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_ctrl_z_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CAMPAIGN)
    process = start("simulate", tmp_path / "c.toml", "--out", tmp_path / "data", "--only", "T0.56")
    wait_until(lambda: (tmp_path / "data" / "campaign.json").exists(), process)
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGCONT)
    assert process.wait(timeout=120) == 0
