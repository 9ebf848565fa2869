"""Campaigns: the same data for any number of workers, after any kill, and never on top of other data."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, EngineError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset, sample_paths
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.lammps import Lammps
from tests.conftest import TINY_CAMPAIGN
from tests.liquids import kob_andersen, unit_masses

SMALL = TINY_CAMPAIGN | {"configurations": 3}


def contents(dataset: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sample_paths(dataset)}


def test_every_sample_is_there_and_valid(tiny_dataset: Path) -> None:
    samples = read_dataset(tiny_dataset)
    assert len(samples) == 8
    for sample in samples:
        assert sample.ensemble.msd.shape == (2, 20, 2)
        assert len(set(sample.ensemble.seeds.tolist())) == 2
        assert sample.facts.energy_drift < 1e-2
    assert len({sample.configuration.fingerprint for sample in samples}) == 8


def test_propensities_agree_with_the_msd(tiny_dataset: Path) -> None:
    for sample in read_dataset(tiny_dataset):
        ensemble, species = sample.ensemble, sample.configuration.species
        index = int(np.argmin(np.abs(ensemble.times - ensemble.particle_times[0])))
        for kind in (0, 1):
            mean = ensemble.displacement_sq_mean[0][species == kind].mean()
            assert mean == pytest.approx(ensemble.msd[:, index, kind].mean(), rel=1e-6)
        assert (ensemble.displacement_mean**2 <= ensemble.displacement_sq_mean * (1 + 1e-6)).all()


def test_a_draw_can_be_repeated_from_its_file(tiny_dataset: Path) -> None:
    sample = read_dataset(tiny_dataset)[0]
    seed = int(sample.ensemble.seeds[1])
    velocities = unit_masses(seed, sample.configuration.particles, sample.facts.temperature)
    steps = round(sample.ensemble.times[9] / sample.facts.time_step)
    with Lammps(sample.configuration, kob_andersen("uniform"), sample.facts.time_step, velocities) as engine:
        engine.begin_nve(steps)
        start = engine.positions()
        engine.advance(steps)
        squared = ((engine.positions() - start) ** 2).sum(1)
    assert squared[sample.configuration.species == 0].mean() == pytest.approx(sample.ensemble.msd[1, 9, 0], rel=1e-9)


@pytest.mark.long
def test_one_worker_makes_the_same_bytes_as_two(tiny_dataset: Path, tmp_path: Path) -> None:
    run_campaign(check_settings(SMALL, Campaign, "small"), tmp_path / "data", Silent(), workers=1)
    made, expected = contents(tmp_path / "data"), contents(tiny_dataset)
    assert len(made) == 6
    assert all(expected[name] == value for name, value in made.items())


@pytest.mark.long
def test_more_configurations_extend_a_dataset(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    few = check_settings(TINY_CAMPAIGN | {"configurations": 1}, Campaign, "few")
    assert run_campaign(few, tmp_path / "data", Silent(), workers=2) == 2
    assert run_campaign(tiny_campaign, tmp_path / "data", Silent(), workers=2) == 6
    assert contents(tmp_path / "data") == contents(tiny_dataset)
    assert run_campaign(tiny_campaign, tmp_path / "data", Silent(), workers=2) == 0


def test_other_parameters_are_refused_and_nothing_is_written(tiny_dataset: Path) -> None:
    before = contents(tiny_dataset)
    other = check_settings(TINY_CAMPAIGN | {"seed": 12, "configurations": 6}, Campaign, "other")
    with pytest.raises(DatasetError, match="was made with other parameters"):
        run_campaign(other, tiny_dataset, Silent(), workers=2)
    assert contents(tiny_dataset) == before


def test_particle_times_between_steps_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    wrong = check_settings(TINY_CAMPAIGN | {"particle_times": [1.0025]}, Campaign, "wrong")
    with pytest.raises(SettingsError, match=r"t = 1.0025 is not a multiple of time_step"):
        run_campaign(wrong, tmp_path / "data", Silent(), workers=1)
    assert not (tmp_path / "data").exists()


HOT = {"temperature": 1e8, "pressure": 0.5, "duration": 0.5}


def test_an_engine_failure_in_a_worker_is_told(tmp_path: Path) -> None:
    unstable = check_settings(TINY_CAMPAIGN | {"equilibration": {"stages": [HOT]}}, Campaign, "unstable")
    with pytest.raises(EngineError, match=r"T0\.5._P.*/c000.: LAMMPS stopped at"):
        run_campaign(unstable, tmp_path / "data", Silent(), workers=2)
    assert list((tmp_path / "data").glob("*/*.h5")) == []


ROOT = Path(__file__).parents[2]
RUN = """
import sys
from pathlib import Path
from glassformer.core.campaign import Campaign
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.simulate.campaign import run_campaign
from tests.liquids import kob_andersen, unit_masses
from tests.conftest import TINY_CAMPAIGN
from tests.liquids import kob_andersen, unit_masses
if __name__ == "__main__":
    run_campaign(check_settings(TINY_CAMPAIGN, Campaign, "tiny"), Path(sys.argv[1]), Silent(), 2)
"""


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def start(tmp_path: Path, changes: str = "{}") -> subprocess.Popen[bytes]:
    script = tmp_path / "run.py"
    script.write_text(RUN.replace("TINY_CAMPAIGN, Campaign", f"TINY_CAMPAIGN | {changes}, Campaign"))
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    return subprocess.Popen([sys.executable, str(script), str(tmp_path / "data")], env=environment)


def ignores(pid: int, number: int) -> bool:
    """Whether a process ignores a signal, or never receives it, as while it starts."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = dict(line.split(":", 1) for line in lines if line.startswith("Sig"))
    return any(bool(int(masks[name], 16) >> (number - 1) & 1) for name in ("SigIgn", "SigBlk"))


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.long
def test_killed_runs_resume_to_the_same_data(tiny_dataset: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        process = start(tmp_path)
        time.sleep(random.uniform(0.6, 1.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if list(tmp_path.glob("data/*/c*.h5")):
            read_dataset(tmp_path / "data")
    assert start(tmp_path).wait() == 0
    assert contents(tmp_path / "data") == contents(tiny_dataset)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    points = [{"temperature": 0.5, "pressure": 1.55, "hold_time": 5000.0}]
    process = start(tmp_path, f'{{"state_points": {points}}}')
    # The resource tracker of multiprocessing and two workers, deep in a run that would take minutes.
    deadline = time.monotonic() + 20
    while len(children(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    offspring = children(process.pid)
    deaf = [ignores(pid, signal.SIGINT) for pid in offspring]
    process.kill()
    process.wait()
    # None of them listens to Ctrl-C, which a terminal sends to all: the parent ends them, without their tracebacks.
    assert deaf == [True] * 3
    deadline = time.monotonic() + 3
    while not all(gone(pid) for pid in offspring) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(gone(pid) for pid in offspring)


def test_tasks_start_every_state_point_before_going_deep(tiny_campaign: Campaign, tmp_path: Path) -> None:
    assert [task.name for task in tasks(tiny_campaign, tmp_path)][:3] == [
        "T0.50_P1.55/c0000", "T0.56_P0.17/c0000", "T0.50_P1.55/c0001",
    ]  # fmt: skip


def test_a_density_instead_of_a_pressure_is_kept_exactly(tmp_path: Path) -> None:
    point = {"temperature": 0.6, "density": 1.2, "hold_time": 0.5}
    fixed = check_settings(TINY_CAMPAIGN | {"configurations": 1, "state_points": [point]}, Campaign, "fixed")
    run_campaign(fixed, tmp_path / "data", Silent(), workers=1)
    (sample,) = read_dataset(tmp_path / "data")
    assert sample.identifier == "T0.60_rho1.20/c0000"
    assert sample.configuration.density == pytest.approx(1.2, rel=1e-12)
