"""Dataset folders that cannot be read as a whole, and samples whose draws gained energy."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glassformer.cli.tables import print_summary
from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset, read_samples, refuse_unequilibrated, sample_paths
from glassformer.dataset.outline import stream_dataset
from glassformer.dataset.sample import write_sample
from glassformer.dataset.summary import summarise
from glassformer.simulate.campaign import missing_work, tasks
from glassformer.simulate.sample_task import Task
from tests.conftest import TINY_CAMPAIGN, TINY_RUN, synthetic_sample

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


def read_all(dataset: Path) -> None:
    read_dataset(dataset)


def stream(dataset: Path) -> None:
    stream_dataset(dataset, 0, check_settings(TINY_RUN, Run, "run"))


def look_for_missing(dataset: Path) -> None:
    campaign = check_settings(TINY_CAMPAIGN | {"configurations": 15}, Campaign, "tiny")
    missing_work([task for task in tasks(campaign, dataset) if task.point.temperature == 0.5], dataset)


@pytest.mark.parametrize("use", [read_all, read_samples, stream, look_for_missing])
def test_all_damaged_samples_are_counted_at_once(
    use: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "T0.50_P1.55" / f"c{number:04d}.h5" for number in range(14)]
    for number, path in enumerate(paths):
        write_sample(path, synthetic_sample(number))
    monkeypatch.setattr(Task, "accepts", lambda task, parameters: True)
    use(tmp_path)
    for path in paths[:12]:
        os.truncate(path, 3000)
    with pytest.raises(DatasetError) as caught:
        use(tmp_path)
    first, *named, last = caught.value.problem.splitlines()
    assert first == f"12 of 14 samples of {tmp_path} cannot be used:"
    assert [line.split()[0] for line in named] == [str(path) for path in paths[:10]]
    assert last == "and 2 more"
    assert caught.value.remedy.count(f"glassformer repair {tmp_path} --recompute") == 1
    assert f"glassformer verify {tmp_path}" in caught.value.remedy
    # One alone needs no list.
    for number, path in enumerate(paths[1:12], 1):
        write_sample(path, synthetic_sample(number))
    with pytest.raises(DatasetError, match=f"^{re.escape(str(paths[0]))} ") as caught:
        use(tmp_path)
    assert "verify" not in caught.value.remedy


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
