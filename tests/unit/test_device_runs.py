"""Equilibrations that share a device: each does what it would do alone, and one that fails costs no other."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="needs numba-cuda")

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError, StorageError, UnstableError
from glassformer.core.lock import Lock
from glassformer.core.settings import check_settings
from glassformer.physics.pair_forces import PairForces
from glassformer.simulate.equilibration import Equilibrated, equilibrate, random_configuration
from glassformer.simulate.lockstep.device_runs import Conductor, DeviceRun, DeviceStarter
from glassformer.simulate.runs import Starter
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN, rattled_lattice
from tests.liquids import unit_masses, with_cutoff
from tests.side_by_side import SideBySide

TIME_STEP = 0.005


def conductor_of(active: int, mixture: Any = None, room: int = 100) -> Conductor:
    mixture = mixture or with_cutoff(1.5)
    return Conductor(mixture, TIME_STEP, active, 1, partial(SideBySide, mixture, TIME_STEP), lambda particles: room)


def together(conductor: Conductor, runs: Sequence[Any]) -> list[Any]:
    """Call each of `runs` in a thread; return what they return or raise."""

    def one(run: Any) -> Any:
        try:
            return run()
        except Exception as error:
            return error
        finally:
            conductor.leave()

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(one, runs))


def run_of(conductor: Conductor, seed: int, segments: Sequence[tuple[str, int]], time_step: float = 1.0) -> Any:
    """Return a function that goes through `segments` of an ensemble and a length, and returns the last state."""

    def go() -> Any:
        start = rattled_lattice(4, seed, spacing=1.12)
        drawn = time_step * unit_masses(seed, start.particles, 0.8)
        run = DeviceStarter(conductor, seed).start(start, drawn)
        for kind, steps in segments:
            if kind == "NPT":
                run.begin_npt((0.8, 0.9), (1.0, 2.0), steps, 0.5)
            else:
                run.begin_nvt((0.8, 0.9), steps, 0.5)
            for part in (3, steps - 3):
                run.advance(part)
            run.renew()
        return run.fractions(), run.velocities(), run.box()

    return go


PATHS = [
    [("NPT", 40), ("NPT", 40), ("NVT", 20)],
    [("NPT", 40), ("NVT", 20)],
    [("NPT", 30), ("NPT", 50), ("NVT", 30), ("NVT", 10)],
    [("NVT", 25)],
]


@pytest.mark.parametrize("room", [100, 2])
def test_each_run_does_what_it_does_alone(room: int) -> None:
    """Segments of other lengths and ensembles, more runs than fit, and runs that end before the others."""
    conductor = conductor_of(len(PATHS), room=room)
    found = together(conductor, [run_of(conductor, seed, path) for seed, path in enumerate(PATHS)])
    for seed, path in enumerate(PATHS):
        alone = run_of(conductor_of(1), seed, path)()
        for one, other in zip(found[seed], alone, strict=True):
            np.testing.assert_array_equal(one, other)
    # They moved, and each in its own way.
    assert not np.array_equal(found[0][2], found[1][2])


def test_what_fails_costs_no_other() -> None:
    conductor = conductor_of(3)

    def fails() -> None:
        run_of(conductor, 1, [("NPT", 40)])()
        raise StorageError("the disk is full", "Free some space.")

    found = together(
        conductor,
        [run_of(conductor, 0, PATHS[0]), fails, run_of(conductor, 2, PATHS[2], time_step=300.0)],
    )
    np.testing.assert_array_equal(found[0][0], run_of(conductor_of(1), 0, PATHS[0])()[0])
    assert isinstance(found[1], StorageError)
    assert isinstance(found[2], UnstableError)


@pytest.mark.parametrize("error", [EngineError("the device's memory is full", "Follow fewer."), TypeError("a mistake")])
@pytest.mark.parametrize("when", ["begin", "advance"])
def test_whatever_goes_wrong_on_the_device_reaches_every_run(error: Exception, when: str) -> None:
    class Broken(SideBySide):
        def advance(self, steps: int) -> None:
            raise error

    def refuse(*arguments: Any) -> Any:
        if when == "begin":
            raise error
        return Broken(with_cutoff(1.5), TIME_STEP, *arguments)

    conductor = Conductor(with_cutoff(1.5), TIME_STEP, 2, 1, refuse, lambda particles: 100)
    found = together(conductor, [run_of(conductor, seed, PATHS[0]) for seed in (0, 1)])
    assert found == [error, error]


def test_without_a_device_none_waits_for_ever() -> None:
    def room(particles: int) -> int:
        raise EngineError("the device is in use", "Wait.")

    conductor = Conductor(with_cutoff(1.5), TIME_STEP, 2, 1, partial(SideBySide, with_cutoff(1.5), TIME_STEP), room)
    found = together(conductor, [run_of(conductor, seed, PATHS[0]) for seed in (0, 1)])
    assert all(isinstance(error, EngineError) for error in found)


@pytest.mark.parametrize("room", [1, 2])
def test_no_more_runs_have_a_place_than_fit(room: int) -> None:
    most = []

    class Counted(SideBySide):
        alive = 0

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            Counted.alive += len(self._starts)
            most.append(Counted.alive)

        def __del__(self) -> None:
            Counted.alive -= len(self._starts)

    mixture = with_cutoff(1.5)
    conductor = Conductor(mixture, TIME_STEP, 4, 1, partial(Counted, mixture, TIME_STEP), lambda particles: room)
    found = together(conductor, [run_of(conductor, seed, path) for seed, path in enumerate(PATHS)])
    assert max(most) <= room
    np.testing.assert_array_equal(found[2][0], run_of(conductor_of(1), 2, PATHS[2])()[0])


def test_one_that_does_not_fit_costs_no_other() -> None:
    """Together two find no room in the lists, in the midst of a segment; alone one of them does."""

    class Narrow(SideBySide):
        def advance(self, steps: int) -> None:
            if self.steps + steps > 3 and bad in self._seeds:
                raise EngineError("neighbour lists need more memory", "Follow fewer.")
            super().advance(steps)

    mixture = with_cutoff(1.5)
    conductor = Conductor(mixture, TIME_STEP, 2, 1, partial(Narrow, mixture, TIME_STEP), lambda particles: 100)
    bad = DeviceRun(conductor, rattled_lattice(4, 1), np.zeros((64, 3)), 1, 1).seed_of_segment
    found = together(conductor, [run_of(conductor, seed, PATHS[0]) for seed in (0, 1)])
    np.testing.assert_array_equal(found[0][0], run_of(conductor_of(1), 0, PATHS[0])()[0])
    assert isinstance(found[1], EngineError)


def test_unwrapped_positions_go_on_across_segments() -> None:
    """In a segment a particle may leave the box; in the next it starts inside, and has not jumped."""
    conductor = conductor_of(1)
    start = rattled_lattice(4, 3, spacing=1.12)
    drawn = unit_masses(3, start.particles, 0.8) + 4.0
    run = DeviceStarter(conductor, 3).start(start, drawn)
    before = run.fractions()
    for _ in range(3):
        run.begin_nvt((0.8, 0.8), 100, 1e9)
        run.advance(100)
        end = run.fractions()
        run.renew()
        np.testing.assert_allclose(run.fractions(), end, atol=1e-12)
        # All drift by the same way, which is no multiple of the box.
        drift = (run.fractions() - before).mean(0) * start.box
        np.testing.assert_allclose(drift, drift[0], rtol=0.1)
        assert drift[0] > 1.5
        before = run.fractions()
    assert (run.fractions() > 1).any()
    assert (run.start.positions >= 0).all()
    assert (run.start.positions < run.start.box).all()


@pytest.mark.parametrize("density", [1.0, 1.2])
def test_overlaps_of_a_random_start_are_removed(density: float) -> None:
    mixture = with_cutoff(2.5)
    start = random_configuration(mixture, 400, density, 5)
    relaxed = DeviceStarter(conductor_of(1, mixture), 5).relaxed(start)
    here = PairForces(relaxed, mixture)(relaxed.positions)
    # A dense liquid of these particles has -6 to -7; one overlap more, thousands.
    assert here.energy / 400 < -5
    assert here.greatest < 100


SETTINGS: dict[str, Any] = TINY_CAMPAIGN | {
    "particles": 100,
    "state_points": [{"temperature": 1.2, "pressure": 2.0, "hold_time": 4.0}],
    "equilibration": {
        "hold_in_tau_alpha": 0.01,
        "most_windows": 4,
        "box": "mean-density",
        "settle_time": 1.0,
        "stages": [
            {"temperature": 1.5, "pressure": 2.0, "duration": 2.0},
            {"temperature": "target", "duration": 1.0, "ramp": True},
        ],
    },
}


def equilibrated(
    folder: Path, indices: Sequence[int], killed: dict[int, int] | None = None, conductor: Conductor | None = None
) -> list[Any]:
    """Equilibrate the configurations `indices` together; `killed[index]`: after so many checkpoints."""
    campaign = check_settings(SETTINGS, Campaign, "campaign")
    conductor = conductor or conductor_of(len(indices))

    def run(index: int) -> Equilibrated:
        folder.mkdir(exist_ok=True)
        lock = Lock(folder / f".c{index:04d}.lock")
        lock.acquire()
        try:
            unfinished = Dying(folder / f"c{index:04d}.h5", "hash", lock)
            unfinished.left = (killed or {}).get(index, 1000)
            starter: Starter = DeviceStarter(conductor, 100 + index)
            return equilibrate(
                campaign, campaign.state_points[0], index, lambda done, more=0: None, unfinished, None, starter
            )
        finally:
            lock.release()

    return together(conductor, [partial(run, index) for index in indices])


class Dying(Unfinished):
    """Dies after its last checkpoint but so many."""

    left = 1000

    def save(self, name: str, arrays: Any) -> None:
        super().save(name, arrays)
        self.left -= 1
        if self.left == 0:
            raise StorageError("killed", "")


@pytest.mark.long
def test_equilibrations_together_killed_and_resumed_are_those_of_each_alone(tmp_path: Path) -> None:
    alone = [equilibrated(tmp_path / f"alone-{index}", [index])[0] for index in range(3)]
    first = equilibrated(tmp_path / "together", range(3), killed={0: 1, 1: 3})
    assert [isinstance(one, StorageError) for one in first] == [True, True, False]
    second = equilibrated(tmp_path / "together", [1, 0])
    for one, other in zip(alone, [second[1], second[0], first[2]], strict=True):
        assert isinstance(one, Equilibrated)
        for name, array in one.as_arrays().items():
            np.testing.assert_array_equal(array, other.as_arrays()[name], name)
    # The box was set to the mean density at the end, by a run of its own.
    assert len({one.configuration.density for one in alone}) == 3
    assert all(2 <= len(one.record.windows) <= 4 for one in alone)


@pytest.mark.slow
def test_density_and_energy_are_those_of_lammps(tmp_path: Path) -> None:
    campaign = check_settings(
        SETTINGS | {"particles": 250, "state_points": [{"temperature": 1.2, "pressure": 2.0, "hold_time": 60.0}]},
        Campaign,
        "campaign",
    )
    point, rows = campaign.state_points[0], []
    for starter in (DeviceStarter(conductor_of(1, shipped()), 7), None):
        name = "device" if starter else "lammps"
        (tmp_path / name).mkdir()
        lock = Lock(tmp_path / name / ".c0000.lock")
        lock.acquire()
        unfinished = Unfinished(tmp_path / name / "c0000.h5", "hash", lock)
        made = equilibrate(campaign, point, 0, lambda done, more=0: None, unfinished, None, starter)
        lock.release()
        assert made.record is not None
        rows.append(made.record.windows)
    for column in ("density", "energy"):
        place = {"density": 1, "energy": 2}[column]
        means = [windows[:, place].mean() for windows in rows]
        # Windows of 60 hold a hundred relaxation times of the liquid.
        errors = [windows[:, place].std(ddof=1) / np.sqrt(len(windows)) for windows in rows]
        assert abs(means[0] - means[1]) < 4 * np.hypot(*errors) + 1e-9, (column, means, errors)


def shipped() -> Any:
    from glassformer.dataset.mixtures import mixture_of

    return mixture_of(check_settings(SETTINGS, Campaign, "campaign").mixture)


def test_a_run_says_where_it_starts() -> None:
    start = rattled_lattice(4, 1, spacing=1.12)
    run = DeviceRun(conductor_of(1), start, np.zeros_like(start.positions), 1, 1)
    np.testing.assert_array_equal(run.configuration().positions, start.positions)
    np.testing.assert_array_equal(run.box(), start.box)
