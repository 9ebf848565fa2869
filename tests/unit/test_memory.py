"""Files that do not fit into memory are refused while they are read."""

from pathlib import Path

import numpy as np
import pytest

from glassformer.core import memory
from glassformer.core.errors import DatasetError
from glassformer.core.memory import available_memory
from glassformer.dataset.readers import frames
from glassformer.dataset.readers.frames import Frame, Frames


def system(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", folder / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", folder)


def test_what_is_left_is_the_least_of_machine_and_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system(tmp_path, monkeypatch)
    assert available_memory() is None
    system(tmp_path, monkeypatch, meminfo="MemTotal: 9000 kB\nMemAvailable:    2000 kB\n")
    assert available_memory() == 2_048_000
    # Files that the system keeps in memory give way.
    stat = "anon 500\nactive_file 100\ninactive_file 300\n"
    system(tmp_path, monkeypatch, memory_max="1000\n", memory_current="900\n", memory_stat=stat)
    assert available_memory() == 500
    system(tmp_path, monkeypatch, memory_max="max\n")
    assert available_memory() == 2_048_000


def test_the_limit_of_a_job_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM sets it in a group around that of the process; the machine has far more."""
    system(tmp_path, monkeypatch, meminfo="MemAvailable:    2000 kB\n", own="0::/job_7/step_0\n")
    monkeypatch.setattr(memory, "_OWN", tmp_path / "own")
    (tmp_path / "job_7" / "step_0").mkdir(parents=True)
    stat = "active_file 0\ninactive_file 0\n"
    for folder, limit in (("job_7", "5000"), ("job_7/step_0", "max")):
        for name, text in (("memory.max", limit), ("memory.current", "1000"), ("memory.stat", stat)):
            (tmp_path / folder / name).write_text(text)
    assert available_memory() == 4000


def test_frames_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A frame of 10 particles takes 240 bytes.
    monkeypatch.setattr(frames, "CHECKED_BYTES", 1000)
    monkeypatch.setattr(frames, "available_memory", lambda: 2500)
    found = Frames(Path("run.xyz"), "extended XYZ")
    frame = Frame(np.random.default_rng(0).uniform(0, 1, (10, 3)), np.ones(3), np.ones(10, np.int64), False)
    for _ in range(12):
        found.add(frame)
    with pytest.raises(DatasetError, match=r"run\.xyz: frame 12: positions take 0\.0 GB so far") as caught:
        found.add(frame)
    assert "Split the file" in caught.value.remedy
