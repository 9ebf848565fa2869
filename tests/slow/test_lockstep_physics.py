"""Lockstep against LAMMPS and RUMD where only statistics can tell: ensembles, drift, a long run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.settings import check_settings
from glassformer.dataset.readers.rumd import read_rumd
from glassformer.observables.displacements import mean_squared_displacement, self_scattering
from glassformer.physics.configuration import Configuration
from glassformer.simulate.draws import run_draws
from glassformer.simulate.isoconfigurational import Observations
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep.engine import Lockstep
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN
from tests.liquids import kob_andersen, mixture, unit_masses

TEMPERATURE, POTENTIAL = 0.5, kob_andersen("scaled")


@pytest.fixture(scope="module")
def structure() -> Configuration:
    """1000 particles at rho = 1.2, held at T = 0.5 for 60: past the cage, if not in equilibrium (tau_alpha is 217)."""
    box = np.full(3, (1000 / 1.2) ** (1 / 3))
    start = Configuration(np.random.default_rng(5).uniform(0, box, (1000, 3)), mixture(1000), box)
    with Lammps(start, POTENTIAL, 0.005) as engine:
        engine.minimise()
        start = engine.configuration()
    with Lammps(start, POTENTIAL, 0.005, unit_masses(5, 1000, 1.0)) as engine:
        engine.begin_nvt((1.0, TEMPERATURE), 6_000, 0.5)
        engine.advance(6_000)
        engine.begin_nvt((TEMPERATURE, TEMPERATURE), 12_000, 0.5)
        engine.advance(12_000)
        return engine.configuration()


def ensemble(structure: Configuration, engine: str, seeds: list[int], folder: Path) -> Observations:
    changes: dict[str, Any] = {
        "particles": 1000, "cutoff": "scaled", "engine": engine, "draws": len(seeds), "particle_times": [13.0],
        "schedule": {"count": 80, "last": 2600},
    }  # fmt: skip
    campaign = check_settings(TINY_CAMPAIGN | changes, Campaign, engine)
    unfinished = Unfinished(folder / f"{engine}.h5", "key")
    return run_draws(structure, TEMPERATURE, seeds, campaign, lambda done, more=0: None, unfinished)[0]


@pytest.fixture(scope="module")
def ensembles(structure: Configuration, tmp_path_factory: pytest.TempPathFactory) -> tuple[Observations, Observations]:
    """64 draws by either engine; no draw of the one is a draw of the other."""
    folder = tmp_path_factory.mktemp("ensembles")
    lockstep = ensemble(structure, "lockstep", list(range(64)), folder)
    return lockstep, ensemble(structure, "lammps", list(range(1000, 1064)), folder)


@pytest.mark.parametrize("name", ["msd", "self_scattering"])
def test_both_engines_make_the_same_ensemble(name: str, ensembles: tuple[Observations, Observations]) -> None:
    """Welch's t at each of 80 times, A and B: 160 tests, of which neighbours in time are nearly the same."""
    first, second = (getattr(seen, name) for seen in ensembles)
    error = np.sqrt(first.var(0, ddof=1) / len(first) + second.var(0, ddof=1) / len(second))
    score = (first.mean(0) - second.mean(0)) / error
    # Chance of |t| > 4 with 126 degrees of freedom: 1.1e-4 a test, 2 % for all if they were independent.
    assert np.abs(score).max() < 4
    # No shift that is too small for any one time: the mean square of t is 1, give or take the few independent times.
    assert (score**2).mean() < 3


def test_propensities_agree_as_two_halves_of_one_engine_do(
    ensembles: tuple[Observations, Observations], structure: Configuration
) -> None:
    lockstep, lammps = (
        np.linalg.norm(seen.displacements[:, 0], axis=-1)[:, structure.species == 0] for seen in ensembles
    )

    def correlation(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.corrcoef(first.mean(0), second.mean(0))[0, 1])

    within = np.mean([correlation(half[0::2], half[1::2]) for half in (lockstep, lammps)])
    # 32 draws against 32 of the other engine, the four ways.
    across = np.mean([correlation(lockstep[i::2], lammps[j::2]) for i in (0, 1) for j in (0, 1)])
    # A correlation r of 800 particles is known to (1 - r^2) / sqrt(800).
    assert across == pytest.approx(within, abs=4 * (1 - within**2) / np.sqrt(lockstep.shape[1]))
    assert within > 0.6


def test_no_energy_drift_beyond_that_of_lammps(structure: Configuration) -> None:
    """Total energy per particle over 20 000 steps at dt = 0.005: slope of a line times the length, for every draw."""
    drawn = np.stack([unit_masses(seed, 1000, TEMPERATURE) for seed in range(16)])
    single = Lockstep(structure, POTENTIAL, 0.005, drawn)
    times = np.arange(100)

    def drift(energies: np.ndarray) -> np.ndarray:
        return np.polyfit(times, energies, 1)[0] * len(times) / 1000

    energies = np.empty((100, 16))
    for index in range(100):
        single.advance(200)
        energies[index] = single.total_energy()
    ours = drift(energies)
    theirs = []
    for draw in range(8):
        with Lammps(structure, POTENTIAL, 0.005, drawn[draw]) as lammps:
            lammps.begin_nve(20_000)
            values = []
            for _ in range(100):
                lammps.advance(200)
                values.append(lammps.total_energy())
        theirs.append(drift(np.array(values)))
    # A systematic drift would show in the mean over draws; the scatter is that of velocity Verlet at this step.
    error = np.sqrt(ours.var(ddof=1) / 16 + np.var(theirs, ddof=1) / 8)
    assert abs(ours.mean() - np.mean(theirs)) < 4 * error
    assert np.std(ours, ddof=1) < 2.5 * np.std(theirs, ddof=1)
    # What the comparison can see: a few 1e-4 of the kinetic energy, 0.75 a particle.
    assert error < 2e-4


@pytest.fixture(scope="module")
def rumd(reference_data: Path) -> tuple[Configuration, np.ndarray, np.ndarray]:
    folder = reference_data / "kablj_t045"
    structure = read_rumd(folder / "end.xyz.gz").first
    return structure, np.loadtxt(folder / "msd.dat"), np.loadtxt(folder / "Fs.dat")


def relative_to_rumd(
    rumd: tuple[Configuration, np.ndarray, np.ndarray], temperature: float, powers: range
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Times, and MSD and F_s of A and B over RUMD's, less 1: means over 16 draws."""
    structure, msd, scattering = rumd
    drawn = np.stack([unit_masses(seed, 10_000, temperature) for seed in range(16)])
    engine = Lockstep(structure, POTENTIAL, 0.004, drawn)
    for power in powers:
        engine.advance(2**power - engine.steps)
        displacements = engine.displacements()
        squared = np.mean([mean_squared_displacement(one, structure.species) for one in displacements], 0)
        cosine = np.mean([self_scattering(one, structure.species) for one in displacements], 0)
        assert msd[power, 0] == pytest.approx(engine.steps * 0.004, rel=1e-5)
        yield msd[power, 0], squared / msd[power, 1:3] - 1, cosine / scattering[power, 1:3] - 1


def test_the_first_motion_of_rumd(rumd: tuple[Configuration, np.ndarray, np.ndarray]) -> None:
    """16 draws at T = 0.45 of RUMD's configuration of 10 000 particles, rho = 1.2, against its time averages."""
    for time, msd, scattering in relative_to_rumd(rumd, 0.45, range(5)):
        # MSD_B: 2000 particles, 16 draws, 3 directions: 0.5 % at first.
        np.testing.assert_allclose(msd, 0, atol=0.015, err_msg=f"t = {time}")
        np.testing.assert_allclose(scattering, 0, atol=1e-3)
