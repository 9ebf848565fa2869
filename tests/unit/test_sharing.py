"""Several runs on one campaign: they share the work, wait for each other, inherit from the dead, and agree."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from glassformer.core import files
from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, FullDiskError, SettingsError, StorageError
from glassformer.core.files import patiently, storage_error
from glassformer.core.lock import STALE, HeldError, Lock, held
from glassformer.core.progress import Silent
from glassformer.dataset.folder import sample_paths
from glassformer.simulate.campaign import Choice, run_campaign, tasks
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.unfinished import Unfinished
from tests.unit.test_campaign_failures import Said
from tests.unit.test_lock import leave


def contents(dataset: Path) -> dict[str, bytes]:
    return {str(path.relative_to(dataset)): path.read_bytes() for path in sample_paths(dataset)}


def hidden(dataset: Path) -> list[Path]:
    return [path for path in dataset.rglob(".*") if path.is_file()]


@pytest.mark.long
def test_two_commands_make_each_sample_once(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text("")
    settings = tmp_path / "campaign.json"
    settings.write_text(tiny_campaign.model_dump_json())
    script = (
        "import sys\nfrom pathlib import Path\nfrom glassformer.core.campaign import Campaign\n"
        "from glassformer.core.progress import Silent\nfrom glassformer.simulate.campaign import run_campaign\n"
        "campaign = Campaign.model_validate_json(Path(sys.argv[1]).read_text())\n"
        "print(run_campaign(campaign, Path(sys.argv[2]), Silent(), 1))\n"
    )
    command = [sys.executable, "-c", script, settings, tmp_path / "data"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [int(run.communicate()[0]) for run in runs]
    assert sum(made) == 8
    assert min(made) > 0
    assert contents(tmp_path / "data") == contents(tiny_dataset)
    assert hidden(tmp_path / "data") == []


@pytest.mark.long
def test_parts_are_a_campaign(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = [run_campaign(tiny_campaign, data, Silent(), 1, Choice(part, 3)) for part in (3, 1, 2)]
    assert made == [2, 3, 3]
    assert contents(data) == contents(tiny_dataset)
    assert run_campaign(tiny_campaign, data, Silent(), 1) == 0


def test_a_part_that_is_none_is_told(tmp_path: Path) -> None:
    from glassformer.cli.cluster import choice

    assert choice("3/40", True) == Choice(3, 40)
    for part in ("0/4", "5/4", "3", "a/b", "1/0"):
        with pytest.raises(SettingsError, match=f"got --part {part}"):
            choice(part, True)


def test_other_settings_are_refused_while_a_run_goes_on(tiny_campaign: Campaign, tmp_path: Path) -> None:
    point = tiny_campaign.state_points[:1]
    first = tiny_campaign.model_copy(update={"configurations": 1, "state_points": point})
    (tmp_path / "campaign.json").write_text(first.model_dump_json())
    leave(tmp_path / ".run-node042-7.lock", host="node042", process=7)
    for changes, what in (({"seed": 12}, "seed"), ({"engine": "lockstep"}, "engine")):
        with pytest.raises(DatasetError, match=f"another run is writing to .* with other parameters: {what}"):
            run_campaign(first.model_copy(update=changes), tmp_path, Silent(), 1)
    # A part of the same may be added, and is.
    assert run_campaign(first.model_copy(update={"configurations": 2}), tmp_path, Silent(), 1) == 2


@pytest.mark.long
def test_what_another_run_makes_is_waited_for_and_then_made_if_it_is_not(
    tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path
) -> None:
    few = tiny_campaign.model_copy(update={"configurations": 1})
    (first, second), said = tasks(few, tmp_path), Said()
    first.path.parent.mkdir()
    leave(first.lock, host="node042", process=7)
    with pytest.raises(HeldError):
        simulate_sample(first)

    def end() -> None:
        time.sleep(5)
        assert second.path.exists()
        assert not first.path.exists()
        # It has died, long ago, in the middle of a write.
        for path in (first.path, first.path.parent / ".c0000.unfinished" / "a.npz"):
            path.parent.mkdir(exist_ok=True)
            path.with_name(f".{path.name}.glassformer-node042-7-t0123456.tmp").write_text("half")
        os.utime(first.lock, (time.time() - STALE - 10,) * 2)

    other = threading.Thread(target=end)
    other.start()
    assert run_campaign(few, tmp_path, said, 1) == 2
    other.join()
    assert "is being made by another run (process 7 on node042)" in said.lines[0]
    assert contents(tmp_path) == {name: whole for name, whole in contents(tiny_dataset).items() if "c0000" in name}
    assert hidden(tmp_path) == []


def test_who_has_lost_the_lock_writes_no_more(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with held(tmp_path / "a" / ".c0000.lock") as lock:
        unfinished = Unfinished(tmp_path / "a" / "c0000.h5", "k", lock)
        unfinished.save("x", {})
        leave(tmp_path / "a" / ".c0000.lock", host="heir")
        lock.beat()
        with pytest.raises(StorageError, match="another run has taken the sample over"):
            unfinished.save("y", {})
    assert unfinished.names() == ["x"]


def test_a_sample_of_other_parameters_is_not_extended(tiny_campaign: Campaign, tmp_path: Path) -> None:
    few = tiny_campaign.model_copy(update={"configurations": 1})
    simulate_sample(tasks(few, tmp_path)[0])
    before = contents(tmp_path)
    (task, _) = tasks(few.model_copy(update={"seed": 12, "draws": 3}), tmp_path)
    with pytest.raises(DatasetError, match="was made with other parameters"):
        simulate_sample(task)
    assert contents(tmp_path) == before


def test_a_file_system_that_is_read_only_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAUSE", 0.01)
    answers = [errno.EROFS, errno.ESTALE, 0]

    def write() -> None:
        number = answers.pop(0)
        if number:
            error = OSError(number, os.strerror(number))
            raise storage_error("write", Path("x"), error) from error

    patiently(write)
    assert answers == []
    answers[:] = [errno.ENOSPC, 0]
    with pytest.raises(FullDiskError):
        patiently(write)
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    answers[:] = [errno.EROFS] * 1000
    with pytest.raises(StorageError, match="Read-only file system"):
        patiently(write)


def test_samples_that_are_known_or_not_to_be_verified_are_not_read(
    tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    (tmp_path / "data" / "T0.50_P1.55" / "c0001.h5").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="is not a whole HDF5 file"):
        run_campaign(tiny_campaign, tmp_path / "data", Silent(), 1)
    assert run_campaign(tiny_campaign, tmp_path / "data", Silent(), 1, Choice(verify=False)) == 0


def test_a_lock_that_a_thread_holds_is_given_back_at_the_end(tmp_path: Path) -> None:
    from glassformer.core.lock import release_all

    Lock(tmp_path / "a").acquire()
    Lock(tmp_path / "b").acquire()
    release_all()
    assert list(tmp_path.iterdir()) == []
