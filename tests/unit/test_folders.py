"""Dataset folders that cannot be read as a whole, and samples whose draws gained energy."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glassformer.core.errors import DatasetError, StorageError
from glassformer.dataset.folder import read_dataset, refuse_unequilibrated, sample_paths
from glassformer.dataset.sample import write_sample
from glassformer.dataset.summary import summarise
from tests.conftest import synthetic_sample

NOBODY = 65534


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for point in ("T0.50_P1.55", "T0.56_P0.17"):
        write_sample(tmp_path / "data" / point / "c0000.h5", synthetic_sample(0, point))
    return tmp_path / "data"


def as_another_user(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run `script` as a user who owns nothing; the tests may run as root, who may read all."""
    drop = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n" if os.getuid() == 0 else ""
    # What is imported later may lie where only root reads.
    loads = "from glassformer.dataset.folder import sample_paths, read_dataset\n"
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{loads}{drop}{script}", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_folder_that_may_not_be_read_is_an_error(dataset: Path) -> None:
    for folder in (dataset, *dataset.parents):
        if folder.owner() == dataset.owner() and "pytest" in str(folder):
            folder.chmod(0o755)
    assert len(sample_paths(dataset)) == 2
    closed = dataset / "T0.56_P0.17"
    closed.chmod(0)
    try:
        done = as_another_user("print(sample_paths(Path(sys.argv[1])))", dataset)
    finally:
        closed.chmod(0o755)
    assert done.returncode != 0
    assert f"cannot read {closed}: Permission denied" in done.stderr


def test_a_folder_that_vanishes_while_it_is_read_is_an_error(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def iterdir(folder: Path):  # type: ignore[no-untyped-def]
        if folder.name == "T0.56_P0.17":
            raise FileNotFoundError(2, "No such file or directory", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(StorageError, match=r"cannot read .*T0.56_P0.17: No such file"):
        read_dataset(dataset)


def test_hidden_folders_hold_no_samples(dataset: Path) -> None:
    write_sample(dataset / ".trash" / "c0000.h5", synthetic_sample(7))
    assert len(sample_paths(dataset)) == 2


def test_draws_that_gained_energy_are_marked_and_not_trained_on(dataset: Path) -> None:
    samples = read_dataset(dataset)
    assert all(sample.facts.conserves_energy for sample in samples)
    refuse_unequilibrated(samples)
    drifting = replace(samples[1], facts=samples[1].facts.model_copy(update={"energy_drift": 0.042}))
    assert [row.conserving_energy for row in summarise([samples[0], drifting])] == [1, 0]
    with pytest.raises(DatasetError, match=r"1 of 2 configurations have draws that do not conserve energy, first T0"):
        refuse_unequilibrated([samples[0], drifting])
