"""Equilibration: what it leaves behind, and that it goes on from a checkpoint to the same bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import StorageError
from glassformer.core.settings import check_settings
from glassformer.dataset.sample import read_sample
from glassformer.physics.configuration import Configuration
from glassformer.simulate import equilibration as module
from glassformer.simulate import lammps
from glassformer.simulate.campaign import tasks
from glassformer.simulate.equilibration import Equilibrated, at_density, equilibrate
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.stages import fewest_steps
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN, rattled_lattice

STAGES = [
    {"temperature": 1.0, "pressure": 1.0, "duration": 1.0},
    {"temperature": "target", "duration": 1.0, "ramp": True},
]


def campaign(point: dict[str, float] | None = None, **changes: object) -> Campaign:
    equilibration = {"stages": STAGES, "most_windows": 3, "hold_in_tau_alpha": 1e6} | changes
    point = point or {"temperature": 0.8, "pressure": 1.0, "hold_time": 1.0}
    values = TINY_CAMPAIGN | {"equilibration": equilibration, "state_points": [point], "configurations": 1}
    return check_settings(values, Campaign, "equilibration")


def run(settings: Campaign, folder: Path, start: Configuration | None = None, report: Any = None) -> Equilibrated:
    unfinished = Unfinished(folder / "c0000.h5", "key")
    report = report or (lambda done, more=0: None)
    return equilibrate(settings, settings.state_points[0], 0, report, unfinished, start)


def same(one: Equilibrated, other: Equilibrated) -> bool:
    first, second = one.as_arrays(), other.as_arrays()
    return all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


class KilledError(Exception):
    pass


def test_a_killed_equilibration_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after every single checkpoint: within stages, between them, within windows."""
    monkeypatch.setattr(lammps, "CHECKPOINT_STEPS", 90)
    settings = campaign(box="mean-density", settle_time=1.0)
    whole = run(settings, tmp_path / "whole")
    save, calls = Unfinished.save, []

    def dying(self: Unfinished, name: str, arrays: dict[str, np.ndarray]) -> None:
        save(self, name, arrays)
        calls.append((int(arrays["number"]), int(arrays["done"])))
        raise KilledError

    monkeypatch.setattr(Unfinished, "save", dying)
    while True:
        try:
            resumed = run(settings, tmp_path / "broken")
        except KilledError:
            continue
        break
    assert (0, 90) in calls
    assert (1, 0) in calls
    assert (4, 180) in calls
    assert len(calls) == 18
    assert same(resumed, whole)
    assert not list((tmp_path / "broken").rglob("*.tmp"))


@pytest.mark.long
def test_progress_adds_up_however_often_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lammps, "CHECKPOINT_STEPS", 90)
    settings = campaign()
    reported: list[tuple[int, int]] = []
    run(settings, tmp_path, report=lambda done, more=0: reported.append((done, more)))
    done, more = np.sum(reported, 0)
    assert done == fewest_steps(settings, settings.state_points[0]) + more
    # Three windows of 200 steps, where two had been expected.
    assert more == 200
    save = Unfinished.save
    for number in range(13):
        left = [number]

        def dying(self: Unfinished, name: str, arrays: dict[str, np.ndarray], left: list[int] = left) -> None:
            save(self, name, arrays)
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(Unfinished, "save", dying)
            with pytest.raises(KilledError):
                run(settings, tmp_path / str(number))
        again: list[tuple[int, int]] = []
        run(settings, tmp_path / str(number), report=lambda done, more=0, to=again: to.append((done, more)))
        # What was there is taken off what is expected: nothing is left to do.
        done, more = np.sum(again, 0)
        assert done == fewest_steps(settings, settings.state_points[0]) + more


def test_the_record_tells_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 20)
    made = run(campaign(), tmp_path)
    record = made.record
    np.testing.assert_allclose(np.diff(record.time), 0.1, atol=1e-9)
    assert record.time[-1] == pytest.approx(5.0)
    # 200 particles scatter by T sqrt(2 / 600) = 6 %.
    assert record.temperature[20:].mean() == pytest.approx(0.8, abs=0.06)
    assert made.held == pytest.approx(3.0)
    assert record.windows.shape == (3, 8)
    assert record.windows[:, 1] == pytest.approx([record.density[i : i + 10].mean() for i in (20, 30, 40)], rel=0.02)
    assert record.density[-1] == pytest.approx(made.configuration.density, rel=1e-9)
    assert not made.equilibrated


@pytest.mark.parametrize("fixed", [{"pressure": 1.0}, {"density": 1.1}])
def test_a_ramp_goes_on_over_checkpoints(
    fixed: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From T = 2 to 0.5: begun anew at every checkpoint, it would end near 2."""
    monkeypatch.setattr(lammps, "CHECKPOINT_STEPS", 900)
    monkeypatch.setattr(module, "CHUNK", 20)
    stages = [
        {"temperature": 2.0, "pressure": 1.0, "duration": 3.0},
        {"temperature": "target", "duration": 30.0, "ramp": True},
    ]
    record = run(campaign({"temperature": 0.5, "hold_time": 0.5} | fixed, stages=stages), tmp_path).record
    reached = record.temperature[(record.time > 32.0) & (record.time < 33.05)]
    # 200 particles scatter by 6 %.
    assert reached.mean() == pytest.approx(0.525, abs=0.1)
    early = record.temperature[(record.time > 3.0) & (record.time < 3.6)]
    assert early.mean() == pytest.approx(1.9, abs=0.3)


def test_holding_ends_when_equilibrium_is_seen(tmp_path: Path) -> None:
    made = run(campaign(hold_in_tau_alpha=0.0, most_windows=60), tmp_path)
    assert made.equilibrated
    assert 2 <= len(made.record.windows) < 60


def test_the_box_of_mean_density(tmp_path: Path) -> None:
    fell, mean = run(campaign(), tmp_path / "fell"), run(campaign(box="mean-density"), tmp_path / "mean")
    np.testing.assert_array_equal(fell.record.windows, mean.record.windows)
    density = mean.record.windows[-2:, 1].mean()
    assert mean.configuration.density == pytest.approx(density, rel=1e-12)
    assert fell.configuration.density != pytest.approx(density, rel=1e-6)


def test_a_given_start_is_held_at_the_density(tmp_path: Path) -> None:
    start = rattled_lattice(8)
    settings = campaign({"temperature": 0.8, "density": 1.1, "hold_time": 1.0})
    settings = settings.model_copy(
        update={
            "particles": 512,
            "equilibration": settings.equilibration.model_copy(update={"start_from": "x"}),
        }
    )
    made = run(settings, tmp_path, start)
    np.testing.assert_array_equal(made.configuration.species, start.species)
    assert made.configuration.density == pytest.approx(1.1, rel=1e-12)
    assert made.record.time[-1] == pytest.approx(3.0)


def test_scaling_keeps_particles_inside() -> None:
    structure = rattled_lattice(5)
    edge = np.nextafter(structure.box, 0)
    at_edge = Configuration(np.vstack([structure.positions[1:], edge]), structure.species, structure.box)
    for density in np.linspace(0.5, 1.5, 50):
        scaled = at_density(at_edge, density)
        assert scaled.density == pytest.approx(density, rel=1e-12)
        assert (scaled.positions < scaled.box).all()


def test_a_restart_file_cut_short_by_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Lammps._commands

    def cut(self: Lammps, *commands: str) -> None:
        command(self, *commands)
        if commands[0].startswith("write_restart"):
            path = Path(commands[0].split()[1])
            path.write_bytes(path.read_bytes()[:1000])

    monkeypatch.setattr(Lammps, "_commands", cut)
    with pytest.raises(StorageError, match="could not write all of its restart file"):
        run(campaign(), tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_was_reached_stands_in_the_sample(tmp_path: Path) -> None:
    (task,) = tasks(campaign(), tmp_path)
    simulate_sample(task)
    facts = read_sample(task.path).facts
    assert facts.equilibrated is False
    assert facts.equilibration_time == pytest.approx(3.0)
    assert facts.box == "as-it-fell"
    assert facts.start == "random"
    assert facts.q6 is not None
    # A hot liquid of 200 particles: Q6 of order 1 / sqrt(number of bonds).
    assert 0 < facts.q6 < 0.15
    assert facts.crystalline_fraction == pytest.approx(0, abs=0.03)
