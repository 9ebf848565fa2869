"""Cage positions against exact limits, Monte Carlo and plain averages; and what a file may say of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy.integrate import quad

from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.core.seeds import named_seed
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.cage import Cage
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import inherent_structure
from glassformer.simulate.cage import CageSampling, sample_cages
from glassformer.simulate.lockstep.engine import Lockstep
from glassformer.simulate.lockstep.wall import STIFFNESS, Wall
from tests.conftest import rattled_lattice, synthetic_sample
from tests.liquids import kob_andersen, unit_masses, with_cutoff
from tests.unit.test_lammps import equilibrium
from tests.unit.test_lockstep import relative, velocities


def quenched(temperature_seed: int = 0) -> Configuration:
    structure = equilibrium(temperature_seed)[0]
    return replace(structure, inherent_positions=inherent_structure(structure, kob_andersen("uniform")).positions)


@pytest.mark.long
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-11)])
def test_the_wall_pushes_back_what_is_beyond_it(dtype: type, bound: float) -> None:
    structure, liquid = equilibrium()[0], kob_andersen("uniform")
    centers = np.random.default_rng(1).normal(0, 0.3, (structure.particles, 3))
    # Particles on their centers have no direction to be pushed in.
    centers[:3] = 0
    free = Lockstep(structure, liquid, 0.005, velocities(structure, 2), dtype)
    walled = Lockstep(structure, liquid, 0.005, velocities(structure, 2), dtype, Wall(centers, 0.4))
    distance = np.sqrt((centers**2).sum(1))
    beyond = np.maximum(distance - 0.4, 0)
    assert 0.2 < (beyond > 0).mean() < 0.9
    expected = STIFFNESS * (beyond / np.maximum(distance, 1e-9))[:, None] * centers
    np.testing.assert_allclose(walled.forces()[0] - free.forces()[0], expected, atol=bound * np.abs(expected).max())
    np.testing.assert_allclose(walled.wall_energy(), STIFFNESS / 2 * (beyond**2).sum(), rtol=bound)


@pytest.mark.long
def test_energy_is_conserved_with_the_walls_part_of_it() -> None:
    structure, liquid = equilibrium()[0], kob_andersen("uniform")
    wall = Wall(np.zeros((structure.particles, 3)), 0.2)
    errors = []
    for time_step in (0.002, 0.001):
        engine = Lockstep(structure, liquid, time_step, velocities(structure, 8), np.float64, wall)
        start, found = engine.total_energy() + engine.wall_energy(), []
        for _ in range(20):
            engine.advance(round(0.05 / time_step))
            found.append(engine.total_energy() + engine.wall_energy() - start)
        errors.append(np.sqrt(np.mean(np.square(found))))
        assert engine.wall_energy()[0] > 1
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.35)


def test_particles_that_do_not_interact_fill_their_cages() -> None:
    # Within a sphere with a soft wall <u^2> is a ratio of integrals; with a hard one it is 3 R^2 / 5.
    lattice = rattled_lattice(6, 0)
    structure = replace(lattice, positions=wrap(lattice.positions, lattice.box), inherent_positions=lattice.positions)
    temperature, radius = 0.7, 0.3
    sampling = CageSampling(draws=16, begin=2.0, end=40.0, redraw=0.5, radius=radius)
    cage = sample_cages(structure, with_cutoff(0.2), temperature, 3, "restricted", sampling)

    def weight(r: float, power: int) -> float:
        return r**power * math.exp(-STIFFNESS * max(r - radius, 0) ** 2 / 2 / temperature)

    exact = quad(weight, 0, 0.6, (4,), points=[radius])[0] / quad(weight, 0, 0.6, (2,), points=[radius])[0]
    assert 1 < exact / (0.6 * radius**2) < 1.3
    error = cage.square_displacement.std(ddof=1) / np.sqrt(structure.particles)
    assert error < 0.01 * exact
    assert cage.square_displacement.mean() == pytest.approx(exact, abs=4 * error)
    # A free particle crosses its cage in 0.4: 16 draws of 38 give a mean from some 1500 independent places.
    shift = minimum_image(cage.positions - structure.positions, structure.box)
    assert np.sqrt((shift**2).mean()) < 2 * np.sqrt(exact / 3 / 700)


def test_a_window_is_the_mean_over_free_draws() -> None:
    structure, liquid = equilibrium()[0], kob_andersen("uniform")
    sampling = CageSampling(draws=3, begin=0.2, end=0.5, every=0.1)
    cage = sample_cages(structure, liquid, 0.7, 5, "window", sampling)
    start = np.stack([unit_masses(named_seed(5, "cage", draw, 0), structure.particles, 0.7) for draw in range(3)])
    engine, seen = Lockstep(structure, liquid, 0.005, start), []
    for step in range(20, 101, 20):
        engine.advance(20)
        if step > 40:
            seen.append(engine.displacements())
    mean = np.concatenate(seen).mean(0)
    np.testing.assert_allclose(
        minimum_image(cage.positions - wrap(structure.positions + mean, structure.box), structure.box), 0, atol=1e-12
    )
    np.testing.assert_allclose(
        cage.square_displacement, ((np.concatenate(seen) - mean) ** 2).sum(2).mean(0), atol=1e-12
    )
    assert (cage.kind, cage.radius, cage.first_target) == ("window", None, 5.0)


def test_work_is_reported_after_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reported before the first step is compiled would tell a rate that it does not have."""
    done, told = list[int](), list[tuple[float, int]]()
    advance = Lockstep.advance
    monkeypatch.setattr(Lockstep, "advance", lambda self, steps: (advance(self, steps), done.append(steps)))
    sampling = CageSampling(draws=16, begin=0.1, end=0.4)
    sample_cages(
        rattled_lattice(6), kob_andersen("uniform"), 0.7, 5, "window", sampling,
        report=lambda share: told.append((share, sum(done))),
    )  # fmt: skip
    assert sum(share for share, _ in told) == pytest.approx(1)
    assert [round(80 * share) for share, _ in told] == [20] * 4
    assert [steps for _, steps in told] == [20, 40, 60, 80]


def test_cages_need_an_inherent_structure_and_a_box_of_two_cutoffs() -> None:
    structure = equilibrium()[0]
    with pytest.raises(ConfigurationError, match="inherent structure"):
        sample_cages(structure, kob_andersen("uniform"), 0.7, 1)
    with pytest.raises(ConfigurationError, match="3 cages"):
        Lockstep(structure, kob_andersen("uniform"), 0.005, velocities(structure, 1), wall=Wall(np.zeros((3, 3)), 0.4))
    for radius in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ConfigurationError, match="radius"):
            Wall(np.zeros((3, 3)), radius)


@njit
def _sweeps(
    positions, centers, species, box, a, b, cutoff2, temperature, radius, stiffness, step, number, skip, random
):  # type: ignore[no-untyped-def]
    """Metropolis Monte Carlo, particle by particle, of all pairs within the wall; return mean and mean square."""
    count, mean, square, seen, accepted = len(positions), np.zeros_like(positions), np.zeros(len(positions)), 0, 0
    for sweep in range(number):
        for _ in range(count):
            i = random.integers(0, count)
            trial = positions[i] + (random.random(3) - 0.5) * step
            change = 0.0
            for new in range(2):
                here = trial if new else positions[i]
                energy = 0.0
                for j in range(count):
                    if j != i:
                        r2 = 0.0
                        for axis in range(3):
                            d = here[axis] - positions[j, axis]
                            d -= box[axis] * np.rint(d / box[axis])
                            r2 += d * d
                        if r2 < cutoff2[species[i], species[j]]:
                            r6 = 1 / r2**3
                            energy += a[species[i], species[j]] * r6 * r6 / 12 - b[species[i], species[j]] * r6 / 6
                            c6 = 1 / cutoff2[species[i], species[j]] ** 3
                            energy -= a[species[i], species[j]] * c6 * c6 / 12 - b[species[i], species[j]] * c6 / 6
                beyond = max(np.sqrt(((here - centers[i]) ** 2).sum()) - radius, 0.0)
                energy += stiffness / 2 * beyond * beyond
                change += energy if new else -energy
            if change <= 0 or random.random() < np.exp(-change / temperature):
                positions[i] = trial
                accepted += 1
        if sweep >= skip:
            mean += positions - centers
            square += ((positions - centers) ** 2).sum(1)
            seen += 1
    return mean / seen, square / seen, accepted / number / count


def test_a_hot_structure_has_cages() -> None:
    structure = quenched()
    assert structure.inherent_positions is not None
    moved = minimum_image(structure.inherent_positions - structure.positions, structure.box)
    # Some of its particles lie far outside of their cages: trajectories cannot start there.
    assert np.sqrt((moved**2).sum(1)).max() > 1
    short = CageSampling(draws=2, begin=0.5, end=1.0)
    cage = sample_cages(structure, kob_andersen("uniform"), 0.7, 1, "restricted", short)
    apart = minimum_image(cage.positions - structure.inherent_positions, structure.box)
    assert 0 < np.sqrt((apart**2).sum(1)).max() < 0.5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_monte_carlo_samples_the_same_ensemble() -> None:
    structure, liquid, temperature = quenched(), kob_andersen("uniform"), 0.6
    assert structure.inherent_positions is not None
    centers, terms = structure.inherent_positions, liquid.pair_terms
    means = []
    for seed in range(2):
        mean, square, accepted = _sweeps(
            centers.copy(), centers, structure.species.astype(np.int64), structure.box, terms.a, terms.b,
            terms.cutoff**2, temperature, 0.4, STIFFNESS, 0.15, 30_000, 3_000, np.random.default_rng(seed),
        )  # fmt: skip
        assert 0.1 < accepted < 0.8
        means.append((mean, square - (mean**2).sum(1)))
    cages = [
        sample_cages(structure, liquid, temperature, seed, "restricted", CageSampling(end=45.0)) for seed in (1, 2)
    ]
    found = [(minimum_image(cage.positions - centers, structure.box), cage.square_displacement) for cage in cages]

    def apart(one: Any, other: Any) -> float:
        return float(np.sqrt(((one[0] - other[0]) ** 2).sum(1).mean()))

    noise = np.hypot(apart(*means), apart(*found)) / 2
    both = [tuple(np.mean(parts, axis=0) for parts in zip(*pairs, strict=True)) for pairs in (means, found)]
    # The difference of two means of two has the noise of half the squares of the differences within them.
    assert apart(*both) < 1.3 * noise
    assert np.corrcoef(both[0][0].ravel(), both[1][0].ravel())[0, 1] > 0.95
    assert both[0][1].mean() == pytest.approx(both[1][1].mean(), rel=0.02)


def caged_sample(**changes: Any) -> Any:
    sample = synthetic_sample()
    cage = Cage(
        sample.configuration.positions.copy(), np.full(sample.configuration.particles, 0.01), "restricted",
        sample.facts.temperature, 32, 5.0, 25.0, 0.4,
    )  # fmt: skip
    return replace(sample, cage=replace(cage, **changes))


def test_a_sample_keeps_its_cages(tmp_path: Path) -> None:
    for sample in (caged_sample(), caged_sample(kind="window", radius=None)):
        path = tmp_path / sample.facts.state_point / "c0000.h5"
        path.parent.mkdir(exist_ok=True)
        write_sample(path, sample)
        found = read_sample(path).cage
        assert found is not None
        np.testing.assert_array_equal(found.positions, sample.cage.positions)
        np.testing.assert_array_equal(found.square_displacement, sample.cage.square_displacement)
        assert (found.kind, found.draws, found.begin, found.end, found.radius) == (
            sample.cage.kind, 32, 5.0, 25.0, sample.cage.radius,
        )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "guessed"},
        {"radius": None},
        {"kind": "window"},
        {"draws": 0},
        {"end": 5.0},
        {"begin": -1.0},
        {"radius": math.nan},
        {"temperature": 0.9},
        {"temperature": -1.0},
        {"kind": 3},
        {"draws": "many"},
    ],
)
def test_cages_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, DatasetError), match="cage"):
        write_sample(tmp_path / "c0000.h5", caged_sample(**changes))


def test_cages_of_another_structure_are_refused(tmp_path: Path) -> None:
    sample = caged_sample()
    box, number = sample.configuration.box, sample.configuration.particles
    elsewhere = np.random.default_rng(0).random((number, 3)) * box
    for wrong in (
        {"positions": elsewhere},
        {"positions": sample.cage.positions + 2 * box},
        {"positions": sample.cage.positions[:-1], "square_displacement": sample.cage.square_displacement[:-1]},
        {"square_displacement": -sample.cage.square_displacement},
        {"square_displacement": sample.cage.square_displacement[:-1]},
        {"square_displacement": sample.cage.square_displacement * np.nan},
    ):
        with pytest.raises((ConfigurationError, DatasetError), match=r"cage|square_displacement"):
            write_sample(tmp_path / "c0000.h5", replace(sample, cage=replace(sample.cage, **wrong)))


def test_forces_without_a_wall_are_as_before() -> None:
    structure, liquid = equilibrium()[0], kob_andersen("uniform")
    free = Lockstep(structure, liquid, 0.005, velocities(structure, 2))
    far = Lockstep(structure, liquid, 0.005, velocities(structure, 2), wall=Wall(np.zeros((structure.particles, 3)), 9))
    free.advance(50)
    far.advance(50)
    assert relative(far.displacements(), free.displacements()) < 1e-12
