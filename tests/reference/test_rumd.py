"""The plain reference against RUMD: 10 000 particles at T = 0.45, rho = 1.2, cutoff 2.5 sigma_ab, shifted.

The file was written by a leap-frog step: forces, energies and virials belong to the positions before the last move,
x - v dt, with the velocities of the file. Taken as they stand, positions and forces disagree by 13 %.
"""

from pathlib import Path

import numpy as np
import pytest

from glassformer.dataset.readers.rumd import read_rumd
from glassformer.physics.box import number_density, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import Interactions, interactions
from glassformer.simulate.lammps import Lammps
from tests.liquids import kob_andersen

TIME_STEP = 0.00400000019


@pytest.fixture(scope="module")
def rumd(reference_data: Path) -> tuple[np.ndarray, Configuration]:
    """All columns, and the configuration one move earlier."""
    file = read_rumd(reference_data / "kablj_t045" / "end.xyz.gz")
    velocities = np.stack([file.columns[name] for name in ("vx", "vy", "vz")], 1)
    after = file.first
    before = Configuration(wrap(after.positions - TIME_STEP * velocities, after.box), after.species, after.box)
    return np.stack(list(file.columns.values()), 1), before


@pytest.fixture(scope="module")
def ours(rumd: tuple[np.ndarray, Configuration]) -> Interactions:
    return interactions(rumd[1], kob_andersen("scaled"))


def test_state_point(rumd: tuple[np.ndarray, Configuration]) -> None:
    assert number_density(10_000, rumd[1].box) == pytest.approx(1.2, rel=1e-6)


def test_forces_to_single_precision(rumd: tuple[np.ndarray, Configuration], ours: Interactions) -> None:
    expected = rumd[0][:, 10:13]
    relative = np.sqrt(((ours.force - expected) ** 2).mean() / (expected**2).mean())
    assert relative < 2e-5
    # Positions of order 10 in single precision are known to 5e-7, and pair forces change by up to 2000 a unit length.
    np.testing.assert_allclose(ours.force, expected, atol=2e-3)


def test_energies_and_virials_to_single_precision(rumd: tuple[np.ndarray, Configuration], ours: Interactions) -> None:
    np.testing.assert_allclose(ours.energy, rumd[0][:, 13], atol=5e-5)
    np.testing.assert_allclose(ours.virial, rumd[0][:, 14], atol=1e-3)


def test_mean_energy(ours: Interactions) -> None:
    # The equilibrium average of the same run is -7.012; one configuration of 10 000 scatters by about 0.01.
    assert ours.energy.mean() == pytest.approx(-7.012, abs=0.02)


def test_lammps_gives_the_same_forces(rumd: tuple[np.ndarray, Configuration], ours: Interactions) -> None:
    with Lammps(rumd[1], kob_andersen("scaled"), 0.004) as engine:
        engine.begin_nve(1)
        np.testing.assert_allclose(engine.forces(), ours.force, atol=1e-9)
        assert engine.potential_energy() == pytest.approx(ours.energy.sum(), rel=1e-12)


def test_the_other_cutoff_does_not_fit(rumd: tuple[np.ndarray, Configuration]) -> None:
    other = interactions(rumd[1], kob_andersen("uniform"))
    assert abs(other.energy.mean() - rumd[0][:, 13].mean()) > 0.05
