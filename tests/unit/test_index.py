"""The index of a dataset: it spares reading, is never the truth, and harms nobody when it is damaged."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.dataset import folder, index
from glassformer.dataset.folder import list_dataset, read_dataset, read_digest
from glassformer.dataset.sample import write_sample
from glassformer.dataset.summary import summarise, summarise_digests
from tests.conftest import edited, synthetic_sample

LABELS = ("T0.50_P1.55", "T0.56_P0.17")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The samples that were read to be listed, in a package where three samples are worth an index."""
    monkeypatch.setattr(index, "LEAST", 3)
    read: list[Path] = []
    original = folder.read_sample

    def counted(path: Path) -> object:
        read.append(path)
        return original(path)

    monkeypatch.setattr(folder, "read_sample", counted)
    return read


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for number in range(8):
        path = tmp_path / "data" / LABELS[number % 2] / f"c{number:04d}.h5"
        write_sample(path, synthetic_sample(number, LABELS[number % 2]))
        settle(path)
    return tmp_path / "data"


def settle(path: Path) -> None:
    """Let `path` be an hour old."""
    os.utime(path, (time.time() - 3600,) * 2)


def listed(dataset: Path, reads: list[Path]) -> tuple[list[dict[str, Any]], int]:
    """Return what `info` shows, and how many samples were read for it."""
    reads.clear()
    return [row.as_json() for row in summarise_digests(list_dataset(dataset))], len(reads)


def test_nothing_is_read_twice_and_the_summary_is_the_same(dataset: Path, reads: list[Path]) -> None:
    expected = [row.as_json() for row in summarise(read_dataset(dataset))]
    for wanted in (8, 0):
        assert listed(dataset, reads) == (expected, wanted)
    # What is kept is what is read.
    for path in dataset.glob("*/*.h5"):
        kept, read = index.Index(dataset).known(path), read_digest(path)
        assert kept is not None
        for name, value in vars(read).items():
            # NaN is NaN.
            assert repr(getattr(kept, name)) == repr(value), name
            if isinstance(value, np.ndarray):
                assert np.array_equal(getattr(kept, name), value), name


def test_what_changed_is_read_again(dataset: Path, reads: list[Path]) -> None:
    first, _ = listed(dataset, reads)
    path = dataset / LABELS[0] / "c0000.h5"
    status = path.stat()
    with edited(path) as file:
        file.attrs["equilibrated"] = False
    # Of the same size, and with its old time.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    second, read = listed(dataset, reads)
    assert read == 1
    assert second[0]["in_equilibrium"] == first[0]["in_equilibrium"] - 1
    path.unlink()
    third, read = listed(dataset, reads)
    assert (read, third[0]["configurations"]) == (0, 3)


def test_a_file_that_was_written_just_now_is_not_kept(dataset: Path, reads: list[Path]) -> None:
    listed(dataset, reads)
    (dataset / LABELS[0] / "c0000.h5").touch()
    assert [listed(dataset, reads)[1] for _ in range(2)] == [1, 1]


def test_copies_are_found_beside_what_is_known(dataset: Path, reads: list[Path]) -> None:
    listed(dataset, reads)
    shutil.copy(dataset / LABELS[0] / "c0000.h5", dataset / LABELS[0] / "c0009.h5")
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"c0009.h5 is a copy of .*c0000.h5"):
            list_dataset(dataset)
        settle(dataset / LABELS[0] / "c0009.h5")
    write_sample(dataset / LABELS[0] / "c0009.h5", synthetic_sample(9, LABELS[0], particles=90))
    with pytest.raises(DatasetError, match="do not belong together: particles"):
        list_dataset(dataset)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "folder"])
def test_a_damaged_index_is_none(damage: str, dataset: Path, reads: list[Path]) -> None:
    expected, _ = listed(dataset, reads)
    path = dataset / ".index"
    whole = path.read_bytes()
    if damage == "flip":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif damage == "folder":
        # It can neither be read nor written.
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncate" else b"")
    assert [listed(dataset, reads) for _ in range(2)] == [(expected, 8), (expected, 8 if damage == "folder" else 0)]


def test_an_index_of_another_version_is_none(dataset: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    listed(dataset, reads)
    monkeypatch.setattr(index, "FORMAT", "another")
    assert [listed(dataset, reads)[1] for _ in range(2)] == [8, 0]


def test_few_samples_get_none(dataset: Path) -> None:
    list_dataset(dataset)
    assert not (dataset / ".index").exists()
