"""Seeds, provenance and atomic files."""

import errno
import multiprocessing
import os
import subprocess
from pathlib import Path
from socket import gethostname

import numpy as np
import pytest

from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.files import read_whole, write_atomically
from glassformer.core.provenance import fingerprint, parameter_hash
from glassformer.core.runs import exclusive
from glassformer.core.seeds import generator, named_seed
from glassformer.core.temporaries import remove_temporaries, temporary


def test_named_seeds_never_change() -> None:
    # Pinned: another value would silently change every data set ever made.
    assert named_seed(2021, "T0.50_P1.55", 0, "draw", 3) == 6388062522432794959
    assert generator(7).standard_normal() == pytest.approx(0.0012301533574825742, abs=0)


def test_named_seeds_differ_by_name_and_type() -> None:
    names = [("a", 1), ("a", 2), ("b", 1), ("a", "1"), ("a1",)]
    assert len({named_seed(0, *name) for name in names} | {named_seed(1, "a", 1)}) == 6


def test_parameter_hash_ignores_order_but_not_values() -> None:
    assert parameter_hash({"a": 1, "b": 2}) == parameter_hash({"b": 2, "a": 1}) != parameter_hash({"a": 1, "b": 3})


def test_fingerprint_depends_on_contents_shape_and_type() -> None:
    x = np.arange(6.0)
    assert fingerprint(x) == fingerprint(x.copy())
    assert (
        len({fingerprint(x), fingerprint(x.reshape(2, 3)), fingerprint(x.astype(np.float32)), fingerprint(x + 1)}) == 4
    )


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.h5"
    write_atomically(target, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_atomically(target, b"new")
    assert "free some space" in caught.value.remedy
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_fsync_is_written_to(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(descriptor: int) -> None:
        raise OSError(number, "no such call")

    monkeypatch.setattr("os.fsync", unknown)
    write_atomically(tmp_path / "a.h5", b"new")
    assert (tmp_path / "a.h5").read_bytes() == b"new"


def test_a_file_is_replaced_whole_and_never_written_in_place(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    write_atomically(target, b"old")
    with target.open("rb") as reader:
        write_atomically(target, b"new and longer")
        assert reader.read() == b"old"
    assert target.read_bytes() == b"new and longer"
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create the folder"):
        write_atomically(tmp_path / "file" / "below" / "a.h5", b"")


# Of this boot and container.
TAG = temporary(Path("x")).name.split("-")[-1].removesuffix(".tmp")


def dead_process() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


def test_remove_temporaries_keeps_whole_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    dead, running = dead_process(), os.getppid()
    (tmp_path / "a" / f".c0000.h5.glassformer-{gethostname()}-{dead}-{TAG}.tmp").write_text("half")
    # Of a process that is still at it, of other programs and of a person.
    kept = [
        f".c0000.h5.glassformer-{gethostname()}-{running}-{TAG}.tmp",
        ".c0000.h5.77.tmp",
        ".editor.tmp",
        ".notes.glassformer-x.tmp",
        f".c.glassformer-elsewhere-{dead}-{TAG}.tmp",
        # In another container, or from before a restart: its processes cannot be seen from here.
        f".c.glassformer-{gethostname()}-{dead}-t0000000.tmp",
    ]
    for name in (*kept, "c0000.h5"):
        (tmp_path / "a" / name).write_text("whole")
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*kept, "c0000.h5"])


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    left = tmp_path / f".report[1].html.glassformer-{gethostname()}-{dead_process()}-{TAG}.tmp"
    left.write_text("half")
    other = tmp_path / f".other.html.glassformer-{gethostname()}-{dead_process()}-{TAG}.tmp"
    other.write_text("half")
    write_atomically(tmp_path / "report[1].html", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([other, tmp_path / "report[1].html"])


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_regular_file_is_neither_read_nor_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null")
    before = path.stat().st_mode
    with pytest.raises(StorageError, match="it is not a regular file"):
        read_whole(path, DatasetError, "")
    if kind != "device":
        with pytest.raises(StorageError, match="it is not a regular file"):
            write_atomically(path, b"data")
    assert path.stat().st_mode == before


def test_a_file_larger_than_memory_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "sparse.h5").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(StorageError, match="bytes do not fit into memory"):
        read_whole(tmp_path / "sparse.h5", DatasetError, "")


def test_a_name_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    for action in (lambda path: write_atomically(path, b""), lambda path: read_whole(path, DatasetError, "")):
        with pytest.raises(StorageError) as caught:
            action(tmp_path / ("x" * 300))
        assert "File name too long" in caught.value.problem
        assert "255 bytes" in caught.value.remedy


def _hold(folder: Path, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with exclusive(folder):
        held.set()
        done.wait(20)


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, done))
    process.start()
    assert held.wait(20)
    with pytest.raises(StorageError, match="another run is writing"), exclusive(tmp_path):
        pass
    process.kill()
    process.join()
    with exclusive(tmp_path):
        assert (tmp_path / ".lock").exists()
