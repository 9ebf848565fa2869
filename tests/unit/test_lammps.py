"""LAMMPS against the plain reference and against exact limits."""

import subprocess
import sys

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions
from glassformer.simulate.lammps import Lammps
from tests.conftest import rattled_lattice
from tests.liquids import kob_andersen, unit_masses


def test_it_loads_in_a_clean_process() -> None:
    code = "from glassformer.simulate.lammps import load_lammps; print(load_lammps().lammps.__name__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "lammps"), done.stderr


@pytest.mark.parametrize("convention", ["uniform", "scaled"])
@pytest.mark.parametrize("kind", ["disordered", "liquid"])
def test_energy_and_forces_equal_the_reference(convention: str, kind: str) -> None:
    structure = rattled_lattice(7, amplitude=0.15) if kind == "disordered" else equilibrium()[0]
    potential = kob_andersen(convention)
    expected = interactions(structure, potential)
    with Lammps(structure, potential, 0.005, np.zeros((structure.particles, 3))) as engine:
        engine.begin_nve(1)
        volume = np.prod(structure.box)
        assert engine.potential_energy() == pytest.approx(expected.energy.sum(), rel=1e-12)
        np.testing.assert_allclose(engine.forces(), expected.force, atol=1e-9)
        assert engine.pressure() == pytest.approx(expected.virial.sum() / (3 * volume), rel=1e-10)


def equilibrium(seed: int = 0) -> tuple[Configuration, np.ndarray]:
    """A small liquid at T about 1, far from any crystal, with its velocities."""
    start = rattled_lattice(7, seed)
    with Lammps(start, kob_andersen("uniform"), 0.004, unit_masses(seed, start.particles, 1.5)) as engine:
        engine.begin_nvt((1.5, 1.0), 2000, 0.4)
        engine.advance(2000)
        return engine.configuration(), engine.velocities()


def test_total_energy_error_falls_as_the_square_of_the_time_step() -> None:
    structure, velocities = equilibrium()
    errors = []
    for time_step in (0.004, 0.002, 0.001):
        with Lammps(structure, kob_andersen("uniform"), time_step, velocities) as engine:
            steps = round(1.0 / time_step)
            engine.begin_nve(steps)
            start = engine.total_energy()
            energies = []
            for _ in range(50):
                engine.advance(steps // 50)
                energies.append(engine.total_energy() - start)
        errors.append(np.sqrt(np.mean(np.square(energies))))
    slopes = np.diff(np.log(errors)) / np.log(0.5)
    # Velocity Verlet is of second order; the kink of the force at the cutoff blurs it a little.
    np.testing.assert_allclose(slopes, 2, atol=0.25)


def test_msd_is_ballistic_at_first() -> None:
    structure, _ = equilibrium(1)
    temperature, time_step = 0.7, 1e-4
    squared = []
    for seed in range(4):
        velocities = unit_masses(seed, structure.particles, temperature)
        with Lammps(structure, kob_andersen("uniform"), time_step, velocities) as engine:
            engine.begin_nve(10)
            start = engine.positions()
            engine.advance(10)
            squared.append(((engine.positions() - start) ** 2).sum(1).mean())
    # 3 T t^2 (1 - 1/N), less a part (omega t)^2 / 12 of order 1e-4.
    expected = 3 * temperature * (10 * time_step) ** 2 * (1 - 1 / structure.particles)
    assert np.mean(squared) == pytest.approx(expected, rel=5e-4)


def test_displacements_are_continuous_across_the_boundary() -> None:
    structure, velocities = equilibrium(2)
    drift = velocities + np.array([3.0, -2.0, 1.0])
    with Lammps(structure, kob_andersen("uniform"), 0.002, drift) as engine:
        engine.begin_nve(3000)
        start = engine.positions()
        engine.advance(3000)
        moved = engine.positions() - start
    # The centre of mass moved by v t: further than the box.
    np.testing.assert_allclose(moved.mean(0), drift.mean(0) * 6.0, rtol=1e-9)
    assert abs(moved[:, 0].mean()) > structure.box[0]


def test_time_reversal_returns() -> None:
    structure, velocities = equilibrium(3)
    with Lammps(structure, kob_andersen("uniform"), 0.002, velocities) as engine:
        engine.begin_nve(200)
        engine.advance(200)
        turned, back = engine.configuration(), -engine.velocities()
    with Lammps(turned, kob_andersen("uniform"), 0.002, back) as engine:
        engine.begin_nve(200)
        engine.advance(200)
        returned = engine.configuration()
    shift = returned.positions - structure.positions
    np.testing.assert_allclose(shift - structure.box * np.rint(shift / structure.box), 0, atol=1e-8)


def test_arrays_come_back_in_the_order_of_the_particles() -> None:
    structure = rattled_lattice(6)
    with Lammps(structure, kob_andersen("uniform"), 0.005) as engine:
        engine.begin_nve(1)
        np.testing.assert_allclose(wrap(engine.positions(), structure.box), structure.positions, atol=1e-12)
        assert np.array_equal(engine.configuration().species, structure.species)


def test_npt_reaches_its_temperature_and_pressure() -> None:
    structure, velocities = equilibrium(4)
    temperatures, pressures = [], []
    with Lammps(structure, kob_andersen("uniform"), 0.004, velocities) as engine:
        engine.begin_npt((1.0, 1.0), (5.0, 5.0), 6000, 0.4)
        engine.advance(1000)
        for _ in range(500):
            engine.advance(10)
            pressures.append(engine.pressure())
            temperatures.append((engine.velocities() ** 2).sum() / (3 * structure.particles - 3))
    # Fluctuations of 343 particles: 0.044 in T and about 0.6 in P, over some 40 independent samples of this run.
    assert np.mean(temperatures) == pytest.approx(1.0, abs=4 * 0.044 / np.sqrt(40))
    assert np.mean(pressures) == pytest.approx(5.0, abs=4 * 0.6 / np.sqrt(40))


def test_a_box_shorter_than_two_cutoffs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least two cutoffs"):
        Lammps(rattled_lattice(4), kob_andersen("uniform"), 0.005)


def test_unstable_dynamics_come_back_as_our_error_with_its_message() -> None:
    structure = rattled_lattice(6)
    velocities = np.zeros((structure.particles, 3))
    velocities[0, 0] = 1e8
    with Lammps(structure, kob_andersen("uniform"), 0.05, velocities) as engine:
        engine.begin_nve(100)
        with pytest.raises(EngineError) as caught:
            engine.advance(100)
    assert "LAMMPS stopped at 'run 100" in caught.value.problem
    assert "time_step" in caught.value.remedy


@pytest.mark.parametrize("shift", [np.nan, 100.0])
def test_bad_positions_are_refused_before_lammps_sees_them(shift: float) -> None:
    structure = rattled_lattice(6)
    moved = Configuration(structure.positions + np.array([shift, 0, 0]), structure.species, structure.box)
    with pytest.raises(ConfigurationError, match="the start of a simulation"):
        Lammps(moved, kob_andersen("uniform"), 0.005)
