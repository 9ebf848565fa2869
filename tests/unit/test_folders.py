"""Dataset folders that cannot be read as a whole, and samples whose draws gained energy."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glassformer.cli.tables import print_summary
from glassformer.core.errors import DatasetError, StorageError
from glassformer.dataset.folder import read_dataset, refuse_unequilibrated, sample_paths
from glassformer.dataset.sample import write_sample
from glassformer.dataset.summary import summarise
from tests.conftest import synthetic_sample

pytestmark = pytest.mark.long


@pytest.fixture
def dataset() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for point in ("T0.50_P1.55", "T0.56_P0.17"):
            write_sample(Path(folder) / "data" / point / "c0000.h5", synthetic_sample(0, point))
        yield Path(folder) / "data"


def bounded(*command: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user whom permissions bind: root is stripped of what lets it pass."""
    start = [sys.executable, "-m", "glassformer", *map(str, command)]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv (util-linux) where the tests run as root")
        start = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *start]
    return subprocess.run(start, capture_output=True, text=True, check=False)


def test_a_folder_that_may_not_be_read_is_an_error(dataset: Path) -> None:
    closed = dataset / "T0.56_P0.17"
    closed.chmod(0)
    try:
        for command in (["info", dataset], ["train", "demo", dataset, "--out", dataset.parent / "out"]):
            done = bounded(*command)
            assert done.returncode == 2, done.stdout
            assert f"cannot read {closed}: Permission denied" in done.stderr
            assert "You may not read it" in done.stderr
    finally:
        closed.chmod(0o755)
    assert len(sample_paths(dataset)) == 2


def test_a_place_that_may_not_be_entered_is_one_error_for_every_command(dataset: Path) -> None:
    dataset.parent.chmod(0)
    commands = (
        ["info", dataset], ["simulate", dataset / "c.toml", "--out", dataset], ["status", dataset], ["quench", dataset],
        ["simulate", "demo", "--out", dataset], ["train", "demo", dataset, "--out", dataset], ["evaluate", dataset],
        ["report", dataset], ["analyse", dataset], ["networks", dataset / "n.toml"],
        ["predict", dataset / "model.safetensors", dataset, "--out", dataset / "p.h5"],
    )  # fmt: skip
    try:
        for command in commands:
            done = bounded(*command)
            assert done.returncode == 2, (command, done.stderr)
            assert done.stderr.startswith("error: cannot "), (command, done.stderr)
            assert "Permission denied" in done.stderr
    finally:
        dataset.parent.chmod(0o755)


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


def test_draws_that_gained_energy_are_marked_and_not_trained_on(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = read_dataset(dataset)
    assert all(sample.facts.conserves_energy for sample in samples)
    refuse_unequilibrated(samples)
    print_summary(summarise(samples))
    assert "conserve" not in capsys.readouterr().out
    drifting = replace(samples[1], facts=samples[1].facts.model_copy(update={"energy_drift": 0.042}))
    print_summary(summarise([samples[0], drifting]))
    assert "T0.56_P0.17: in 1 of 1 configuration draws do not conserve energy" in capsys.readouterr().out
    assert [row.conserving_energy for row in summarise([samples[0], drifting])] == [1, 0]
    with pytest.raises(DatasetError, match=r"1 of 2 configurations have draws that do not conserve energy, first T0"):
        refuse_unequilibrated([samples[0], drifting])
