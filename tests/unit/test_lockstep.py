"""Lockstep against the plain reference, LAMMPS and exact laws, also where draws have drifted far apart."""

from dataclasses import replace

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import interactions
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep import engine as engine_module
from glassformer.simulate.lockstep.engine import INNER_SKIN, Lockstep
from glassformer.simulate.lockstep.simd import lanes
from tests.conftest import rattled_lattice
from tests.liquids import kob_andersen, unit_masses
from tests.unit.test_lammps import equilibrium

CONVENTIONS = pytest.mark.parametrize("convention", ["uniform", "scaled"])


def velocities(structure: Configuration, draws: int, temperature: float = 0.7) -> np.ndarray:
    return np.stack([unit_masses(seed, structure.particles, temperature) for seed in range(draws)])


def present(structure: Configuration, displacement: np.ndarray) -> Configuration:
    return Configuration(wrap(structure.positions + displacement, structure.box), structure.species, structure.box)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(((found - expected) ** 2).sum() / (expected**2).sum()))


@pytest.mark.long
@CONVENTIONS
@pytest.mark.parametrize("draws", [3, 8, 16])
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_forces_energy_and_virial_equal_the_reference(convention: str, dtype: type, bound: float, draws: int) -> None:
    structure, potential = equilibrium()[0], kob_andersen(convention)
    expected = interactions(structure, potential)
    engine = Lockstep(structure, potential, 0.005, velocities(structure, min(draws, lanes(dtype))), dtype)
    for force in engine.forces():
        assert relative(force, expected.force) < bound
    np.testing.assert_allclose(engine.potential_energy(), expected.energy.sum(), rtol=bound)
    np.testing.assert_allclose(engine.virial(), expected.virial.sum(), rtol=bound)


@CONVENTIONS
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_forces_equal_those_of_lammps(convention: str, dtype: type, bound: float) -> None:
    structure, potential = equilibrium()[0], kob_andersen(convention)
    with Lammps(structure, potential, 0.005, velocities(structure, 1)[0]) as lammps:
        lammps.begin_nve(1)
        expected = lammps.forces()
    engine = Lockstep(structure, potential, 0.005, velocities(structure, 1), dtype)
    assert relative(engine.forces()[0], expected) < bound


def test_other_potentials_need_no_other_code() -> None:
    structure = equilibrium()[0]
    potential = replace(
        kob_andersen("scaled"),
        epsilon=np.array([[0.7, 1.1], [1.1, 1.3]]),
        sigma=np.array([[0.9, 0.95], [0.95, 0.8]]),
        cutoff=np.array([[2.1, 2.6], [2.6, 1.7]]),
    )
    engine = Lockstep(structure, potential, 0.005, velocities(structure, 2), np.float64)
    expected = interactions(structure, potential)
    assert relative(engine.forces()[0], expected.force) < 1e-12
    assert engine.potential_energy()[0] == pytest.approx(expected.energy.sum(), rel=1e-12)


def missing_pairs(engine: Lockstep, structure: Configuration, potential: Mixture) -> set[tuple[int, int]]:
    """Pairs within the cutoff in some draw, by brute force, that the list in use does not hold."""
    first, second = np.triu_indices(structure.particles, 1)
    cutoff = potential.cutoff[structure.species[first], structure.species[second]]
    near = np.zeros(len(first), bool)
    for displacement in engine.displacements():
        positions = structure.positions + displacement
        separation = minimum_image(positions[first] - positions[second], structure.box)
        near |= (separation**2).sum(1) < cutoff**2
    listed = {tuple(sorted(pair)) for pair in engine.pairs().tolist()}
    return set(zip(first[near].tolist(), second[near].tolist(), strict=True)) - listed


@pytest.mark.long
@CONVENTIONS
def test_no_pair_is_ever_missed(convention: str) -> None:
    structure, potential, random = equilibrium()[0], kob_andersen(convention), np.random.default_rng(0)
    engine = Lockstep(structure, potential, 0.005, velocities(structure, 16, 1.0))
    for _ in range(25):
        engine.advance(int(random.integers(1, 40)))
        assert missing_pairs(engine, structure, potential) == set()
    assert engine.builds > 5
    assert engine.prunes > 30


@pytest.mark.long
def test_lists_hold_no_more_than_they_must() -> None:
    structure, potential = equilibrium()[0], kob_andersen("uniform")
    engine = Lockstep(structure, potential, 0.005, velocities(structure, 16))
    first, second = engine.pairs().T
    separation = minimum_image(structure.positions[first] - structure.positions[second], structure.box)
    assert (np.sqrt((separation**2).sum(1)) < 2.5 + INNER_SKIN + 1e-5).all()
    assert len(engine.pairs()) == len({tuple(sorted(pair)) for pair in engine.pairs().tolist()})


@pytest.mark.long
def test_forces_are_right_after_draws_drift_apart_across_a_box_of_two_cutoffs() -> None:
    """Every draw in a flow of its own: two images of a pair are neighbours in different draws."""
    structure, potential = rattled_lattice(5, spacing=1.02), kob_andersen("uniform")
    assert structure.box[0] < 5.2
    flow = np.random.default_rng(1).uniform(-6, 6, (8, 1, 3))
    engine = Lockstep(structure, potential, 0.001, velocities(structure, 8, 1.0) + flow, np.float64)
    for _ in range(4):
        engine.advance(500)
        for displacement, force in zip(engine.displacements(), engine.forces(), strict=True):
            assert relative(force, interactions(present(structure, displacement), potential).force) < 1e-9
    moved = engine.displacements().mean(1)
    np.testing.assert_allclose(moved, 2.0 * flow[:, 0], atol=1e-9)
    assert np.ptp(moved, axis=0).max() > 2 * structure.box[0]


@pytest.mark.long
def test_forces_are_right_after_particles_diffuse_apart() -> None:
    structure, potential = equilibrium(1)[0], kob_andersen("uniform")
    engine = Lockstep(structure, potential, 0.004, velocities(structure, 8, 3.0), np.float64)
    engine.advance(3000)
    displacements = engine.displacements()
    assert displacements.std() > 0.8
    for displacement, force in zip(displacements, engine.forces(), strict=True):
        assert relative(force, interactions(present(structure, displacement), potential).force) < 1e-9


@pytest.mark.long
def test_boxes_need_not_be_cubes() -> None:
    """5 x 7 x 11 cells of a lattice: an axis taken for another would show."""
    random, spacing = np.random.default_rng(2), 1.05
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(7), np.arange(11), indexing="ij"), -1).reshape(-1, 3)
    box = np.array([5, 7, 11]) * spacing
    positions = (grid * spacing + random.uniform(-0.08, 0.08, grid.shape)) % box
    species = (random.permutation(len(grid)) >= 308).astype(np.uint8)
    structure, potential = Configuration(positions, species, box), kob_andersen("uniform")
    flow = random.uniform(-6, 6, (8, 1, 3))
    engine = Lockstep(structure, potential, 0.001, velocities(structure, 8, 1.0) + flow, np.float64)
    for _ in range(3):
        engine.advance(500)
        assert missing_pairs(engine, structure, potential) == set()
        for displacement, force in zip(engine.displacements(), engine.forces(), strict=True):
            assert relative(force, interactions(present(structure, displacement), potential).force) < 1e-9


def test_trajectories_are_those_of_lammps() -> None:
    structure, potential = equilibrium()[0], kob_andersen("scaled")
    drawn = velocities(structure, 3)
    engine = Lockstep(structure, potential, 0.005, drawn, np.float64)
    engine.advance(200)
    for draw in range(3):
        with Lammps(structure, potential, 0.005, drawn[draw]) as lammps:
            lammps.begin_nve(200)
            start, energy = lammps.positions(), lammps.total_energy()
            lammps.advance(200)
            np.testing.assert_allclose(engine.displacements()[draw], lammps.positions() - start, atol=1e-9)
            np.testing.assert_allclose(engine.velocities()[draw], lammps.velocities(), atol=1e-8)
            assert engine.total_energy()[draw] == pytest.approx(lammps.total_energy(), rel=1e-10)
            assert engine.total_energy()[draw] == pytest.approx(energy, rel=1e-3)


def test_single_precision_follows_double_until_chaos_sets_in() -> None:
    structure, potential = equilibrium()[0], kob_andersen("scaled")
    single, double = (
        Lockstep(structure, potential, 0.005, velocities(structure, 2), t) for t in (np.float32, np.float64)
    )
    single.advance(100)
    double.advance(100)
    assert np.abs(single.displacements() - double.displacements()).max() < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("draws", [1, 5, 8, 9, 16])
def test_draws_that_do_not_fill_a_vector_are_the_same_draws(draws: int) -> None:
    structure, potential = equilibrium()[0], kob_andersen("uniform")
    all_draws = velocities(structure, 16)
    engine = Lockstep(structure, potential, 0.005, all_draws[:draws])
    full = Lockstep(structure, potential, 0.005, all_draws)
    engine.advance(50)
    full.advance(50)
    assert engine.displacements().shape == (draws, structure.particles, 3)
    np.testing.assert_allclose(engine.displacements(), full.displacements()[:draws], atol=1e-5)
    assert engine.total_energy().shape == (draws,)


def test_total_energy_error_falls_as_the_square_of_the_time_step() -> None:
    structure, start = equilibrium()
    errors = []
    for time_step in (0.004, 0.002, 0.001):
        engine = Lockstep(structure, kob_andersen("uniform"), time_step, start[None], np.float64)
        first, energies = engine.total_energy(), []
        for _ in range(50):
            engine.advance(round(1.0 / time_step) // 50)
            energies.append(engine.total_energy() - first)
        errors.append(np.sqrt(np.mean(np.square(energies))))
    # Velocity Verlet is of second order; the kink of the force at the cutoff blurs it a little.
    np.testing.assert_allclose(np.diff(np.log(errors)) / np.log(0.5), 2, atol=0.25)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-3), (np.float64, 1e-9)])
def test_time_reversal_returns(dtype: type, bound: float) -> None:
    structure, potential = equilibrium(3)[0], kob_andersen("uniform")
    engine = Lockstep(structure, potential, 0.002, velocities(structure, 4), dtype)
    engine.advance(200)
    out = engine.displacements()
    for draw in range(4):
        back = Lockstep(present(structure, out[draw]), potential, 0.002, -engine.velocities()[draw][None], dtype)
        back.advance(200)
        assert np.abs(out[draw] + back.displacements()[0]).max() < bound
    assert np.abs(out).max() > 0.3


def test_momentum_is_conserved() -> None:
    structure = equilibrium()[0]
    engine = Lockstep(structure, kob_andersen("uniform"), 0.005, velocities(structure, 16))
    engine.advance(2000)
    # Rounding of 343 x 2000 kicks of about 0.1, each to 1e-8, adds up at random to 1e-5.
    assert np.abs(engine.velocities().sum(1)).max() < 1e-4


def test_displacements_accumulate_without_loss_in_single_precision() -> None:
    """Free flight far from where float32 could add up steps of 1e-4."""
    particles = 100
    random = np.random.default_rng(0)
    side = np.arange(5) * 20.0
    grid = np.stack(np.meshgrid(side, side, side[:4], indexing="ij"), -1).reshape(-1, 3)
    structure = Configuration(grid + 5, (np.arange(particles) % 5 == 0).astype(np.uint8), np.full(3, 100.0))
    start = np.repeat(random.uniform(0.5, 1.0, (2, 1, 3)), particles, axis=1)
    engine = Lockstep(structure, kob_andersen("uniform"), 1e-4, start)
    engine.advance(100_000)
    # The speed itself is rounded to float32, and the time step: 1e-7 together.
    np.testing.assert_allclose(engine.displacements(), start * 10.0, rtol=2e-7)


def test_a_restored_engine_goes_on_to_the_last_bit() -> None:
    structure, potential = equilibrium()[0], kob_andersen("uniform")
    engine = Lockstep(structure, potential, 0.005, velocities(structure, 7))
    engine.advance(123)
    engine.refresh()
    state = engine.state()
    engine.advance(200)
    other = Lockstep(structure, potential, 0.005, velocities(structure, 7))
    other.restore(state)
    other.advance(200)
    assert np.array_equal(engine.displacements(), other.displacements())
    assert np.array_equal(engine.velocities(), other.velocities())
    assert other.steps == 323


def test_lists_grow_with_the_need(monkeypatch: pytest.MonkeyPatch) -> None:
    structure, potential = equilibrium()[0], kob_andersen("uniform")
    roomy = Lockstep(structure, potential, 0.005, velocities(structure, 4))
    monkeypatch.setattr(engine_module, "FIRST_ROOM", 3)
    monkeypatch.setattr(engine_module, "FIRST_NEAR", 1)
    tight = Lockstep(structure, potential, 0.005, velocities(structure, 4))
    assert tight.pairs_per_particle == roomy.pairs_per_particle
    for engine in (roomy, tight):
        engine.advance(100)
    assert np.array_equal(roomy.displacements(), tight.displacements())


@pytest.mark.parametrize(
    ("draws", "side", "message"), [(17, 6, "expected 1 to 16 draws"), (0, 6, "1 to 16"), (2, 4, "at least two cutoffs")]
)
def test_what_cannot_run_is_refused(draws: int, side: int, message: str) -> None:
    structure = rattled_lattice(side)
    drawn = np.zeros((draws, structure.particles, 3))
    with pytest.raises(ConfigurationError, match=message):
        Lockstep(structure, kob_andersen("uniform"), 0.005, drawn)


def test_unstable_dynamics_are_an_error_with_its_remedy() -> None:
    structure = rattled_lattice(6)
    drawn = velocities(structure, 2)
    drawn[1, 0, 0] = 1e4
    engine = Lockstep(structure, kob_andersen("uniform"), 0.005, drawn)
    with pytest.raises(EngineError, match="became unstable: a particle moved 50 in one step") as caught:
        engine.advance(10)
    assert "time_step" in caught.value.remedy


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_noticed_in_the_same_step(value: float) -> None:
    structure = rattled_lattice(6)
    drawn = velocities(structure, 3)
    drawn[1, 7, 2] = value
    engine = Lockstep(structure, kob_andersen("uniform"), 0.005, drawn)
    with pytest.raises(EngineError, match="became unstable"):
        engine.advance(1)
