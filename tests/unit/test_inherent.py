"""Inherent structures: fast forces against the plain ones, the descent against a slow one, and whole datasets."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from socket import gethostname

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import ConfigurationError, DatasetError, EngineError, InputError, StorageError
from glassformer.core.mixture import shipped_mixture
from glassformer.core.progress import Silent
from glassformer.core.runs import exclusive
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset, sample_paths
from glassformer.dataset.readers.botan import read_botan
from glassformer.dataset.sample import Ensemble, EquilibrationRecord, read_sample, write_sample
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import TOLERANCE, InherentStructure, inherent_structure
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import interactions
from glassformer.physics.pair_forces import PairForces
from glassformer.simulate import quench
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.quench import quench_dataset
from tests.conftest import TINY_CAMPAIGN, edited, random_mixture, rattled_lattice, synthetic_sample
from tests.liquids import kob_andersen, unit_masses
from tests.unit.test_core import dead_process


@pytest.fixture(scope="module")
def liquid() -> Configuration:
    """A liquid at T = 0.5 and density 1.2, cooled in haste."""
    start = rattled_lattice(7, spacing=1.2 ** (-1 / 3))
    with Lammps(start, kob_andersen("scaled"), 0.004, unit_masses(0, start.particles, 1.5)) as engine:
        engine.begin_nvt((1.5, 0.5), 20_000, 0.4)
        engine.advance(20_000)
        return engine.configuration()


@pytest.fixture(scope="module")
def quenched(liquid: Configuration) -> InherentStructure:
    return inherent_structure(liquid, kob_andersen("scaled"))


def moved(one: Configuration, positions: np.ndarray) -> Configuration:
    return Configuration(wrap(positions, one.box), one.species, one.box)


def distances(one: np.ndarray, other: np.ndarray, box: np.ndarray) -> np.ndarray:
    return np.linalg.norm(minimum_image(one - other, box), axis=1)


@pytest.mark.parametrize("convention", ["uniform", "scaled"])
@pytest.mark.parametrize("side", [5, 8])
def test_fast_energy_and_forces_equal_the_reference(convention: str, side: int) -> None:
    # Side 5: the list reaches further than half the box.
    structure, potential = rattled_lattice(side, amplitude=0.15), kob_andersen(convention)
    expected = interactions(structure, potential)
    whole_boxes = structure.box * np.random.default_rng(0).integers(-3, 4, (structure.particles, 3))
    for positions in (structure.positions, structure.positions + whole_boxes):
        found = PairForces(structure, potential)(positions)
        assert found.energy == pytest.approx(expected.energy.sum(), rel=1e-12)
        np.testing.assert_allclose(found.force, expected.force, atol=1e-10)
        assert found.greatest == pytest.approx(np.linalg.norm(expected.force, axis=1).max())


def test_forces_stay_right_wherever_the_particles_go() -> None:
    structure, potential = rattled_lattice(6), kob_andersen("scaled")
    forces, positions = PairForces(structure, potential), structure.positions.copy()
    random = np.random.default_rng(0)
    for _ in range(40):
        positions += random.normal(0, 0.04, positions.shape)
        expected = interactions(moved(structure, positions), potential)
        np.testing.assert_allclose(forces(positions).force, expected.force, rtol=1e-10, atol=1e-9)
    assert forces.evaluations == 40


def test_a_stage_is_the_weighted_sum() -> None:
    structure, factors = rattled_lattice(6, amplitude=0.15), (0.3, -0.2, 0.5, -0.7, 1.1)
    for potential in (kob_andersen("scaled"), replace(kob_andersen("scaled"), truncation="smooth")):
        now = structure.positions
        start, start_force, before = np.random.default_rng(0).normal(size=(3, *now.shape))
        terms = start, start_force, now, before, interactions(structure, potential).force
        expected = sum(factor * term for factor, term in zip(factors, terms, strict=True))
        forces = PairForces(structure, potential)
        forces.advance(before, now, start, start_force, factors)
        np.testing.assert_allclose(before, expected, rtol=1e-10, atol=1e-9)
        assert forces.evaluations == 1
        forces.advance(before, np.full_like(now, np.nan), start, start_force, factors)
        assert np.isnan(before).all()


def test_threads_change_no_bit() -> None:
    # More particles than a block of `core.threads` holds.
    structure, potential = rattled_lattice(12, amplitude=0.1), kob_andersen("scaled")
    one, other = (PairForces(structure, potential, threads) for threads in (1, 3))
    positions = structure.positions.copy()
    for _ in range(20):
        fields, stages = [], []
        for forces in (one, other):
            stages.append(positions.copy())
            fields.append(forces(positions))
            forces.advance(stages[-1], positions, positions, fields[-1].force, (0.0, 0.0, 1.0, 0.0, 1e-3))
        np.testing.assert_array_equal(stages[0], stages[1])
        np.testing.assert_array_equal(fields[0].force, fields[1].force)
        assert (fields[0].energy, fields[0].stiffness) == (fields[1].energy, fields[1].stiffness)
        # Far enough for new lists now and then.
        positions = stages[0] + 0.05


def test_a_step_into_nowhere_gives_no_numbers() -> None:
    structure = rattled_lattice(6)
    forces = PairForces(structure, kob_andersen("uniform"))
    expected = forces(structure.positions)
    for value in (np.nan, np.inf, 1e100):
        positions = structure.positions.copy()
        positions[7, 1] = value
        found = forces(positions)
        assert np.isnan([found.energy, found.stiffness, found.greatest]).all()
    np.testing.assert_array_equal(forces(structure.positions).force, expected.force)


def test_fast_force_is_minus_the_gradient() -> None:
    structure = rattled_lattice(6)
    forces, step = PairForces(structure, kob_andersen("uniform")), 1e-5
    found = forces(structure.positions)
    for particle, axis in ((0, 0), (17, 1), (200, 2)):
        shift = np.zeros_like(structure.positions)
        shift[particle, axis] = step
        slope = (forces(structure.positions + shift).energy - forces(structure.positions - shift).energy) / (2 * step)
        assert found.force[particle, axis] == pytest.approx(-slope, rel=1e-6)


def hessian(structure: Configuration, potential: Mixture) -> np.ndarray:
    forces, step = PairForces(structure, potential), 1e-6
    rows = []
    for number in range(3 * structure.particles):
        shift = np.zeros((structure.particles, 3))
        shift.flat[number] = step
        change = forces(structure.positions - shift).force - forces(structure.positions + shift).force
        rows.append(change.ravel() / (2 * step))
    return np.array(rows)


def test_stiffness_bounds_the_hessian_and_not_by_much() -> None:
    structure, potential = rattled_lattice(5), kob_andersen("uniform")
    greatest = np.linalg.eigvalsh(hessian(structure, potential))[-1]
    bound = PairForces(structure, potential)(structure.positions).stiffness
    assert greatest < bound < 1.6 * greatest


@pytest.mark.parametrize(("species", "epsilon", "sigma"), [((0, 0), 1.0, 1.0), ((0, 1), 1.5, 0.8)])
def test_two_particles_end_at_the_minimum_of_their_potential(
    species: tuple[int, int], epsilon: float, sigma: float
) -> None:
    box = np.full(3, 6.0)
    pair = Configuration(np.array([[0.1, 3, 3], [4.6, 3, 3]]), np.array(species, np.uint8), box)
    found = inherent_structure(pair, kob_andersen("uniform"))
    (distance,) = distances(found.positions[:1], found.positions[1:], box)
    assert distance == pytest.approx(2 ** (1 / 6) * sigma, abs=1e-7)
    shift = 4 * epsilon * ((sigma / 2.5) ** 12 - (sigma / 2.5) ** 6)
    assert 2 * found.energy == pytest.approx(-epsilon - shift, rel=1e-12)
    # They meet in the middle.
    np.testing.assert_allclose(minimum_image(found.positions.mean(0) + box / 2 - [5.35, 3, 3], box / 2), 0, atol=1e-9)


@pytest.mark.long
def test_it_is_a_minimum(liquid: Configuration, quenched: InherentStructure) -> None:
    potential, there = kob_andersen("scaled"), moved(liquid, quenched.positions)
    found = interactions(there, potential)
    assert np.linalg.norm(found.force, axis=1).max() == pytest.approx(quenched.greatest_force, abs=1e-9)
    assert quenched.greatest_force <= TOLERANCE
    assert quenched.energy == pytest.approx(found.energy.mean(), rel=1e-12)
    assert quenched.start_energy == pytest.approx(interactions(liquid, potential).energy.mean(), rel=1e-12)
    assert quenched.energy < quenched.start_energy - 0.5
    values = np.linalg.eigvalsh(hessian(there, potential))
    # The three translations, and then nothing but rises.
    np.testing.assert_allclose(values[:3], 0, atol=1e-4)
    assert values[3] > 1e-2


def test_particles_move_within_their_cages(liquid: Configuration, quenched: InherentStructure) -> None:
    shift = minimum_image(quenched.positions - liquid.positions, liquid.box)
    assert 0.1 < np.sqrt((shift**2).sum(1).mean()) < 0.25
    np.testing.assert_allclose(shift.mean(0), 0, atol=1e-9)
    assert ((quenched.positions >= 0) & (quenched.positions < liquid.box)).all()


def test_it_is_where_the_steepest_descent_ends(liquid: Configuration, quenched: InherentStructure) -> None:
    """Small steps along the force, as slow and plain as can be, up to where only the softest motions are left."""
    forces, positions = PairForces(liquid, kob_andersen("scaled")), liquid.positions.copy()
    while (here := forces(positions)).greatest > 1e-3:
        positions += min(1.5 / here.stiffness, 0.002 / here.greatest) * here.force
    assert distances(positions, quenched.positions, liquid.box).max() < 5e-3
    assert here.energy / liquid.particles == pytest.approx(quenched.energy, abs=1e-7)


def test_neither_wrapping_nor_place_nor_order_matters(liquid: Configuration, quenched: InherentStructure) -> None:
    shift = np.array([1.7, -2.3, 40.1])
    order = np.random.default_rng(0).permutation(liquid.particles)
    shifted = moved(liquid, liquid.positions + shift)
    other = Configuration(shifted.positions[order], shifted.species[order], shifted.box)
    found = inherent_structure(other, kob_andersen("scaled"))
    assert found.energy == pytest.approx(quenched.energy, abs=1e-10)
    assert distances(found.positions, quenched.positions[order] + shift, liquid.box).max() < 1e-4


def test_the_same_numbers_every_time(liquid: Configuration, quenched: InherentStructure) -> None:
    np.testing.assert_array_equal(inherent_structure(liquid, kob_andersen("scaled")).positions, quenched.positions)


def test_an_inherent_structure_is_its_own(liquid: Configuration, quenched: InherentStructure) -> None:
    again = inherent_structure(moved(liquid, quenched.positions), kob_andersen("scaled"))
    assert distances(again.positions, quenched.positions, liquid.box).max() < TOLERANCE
    assert again.evaluations < 20


def test_lammps_finds_nothing_lower_there(liquid: Configuration, quenched: InherentStructure) -> None:
    with Lammps(moved(liquid, quenched.positions), kob_andersen("scaled"), 0.005) as engine:
        engine._commands("minimize 0 1e-8 1000 10000")
        assert engine.potential_energy() / liquid.particles == pytest.approx(quenched.energy, abs=1e-11)
        assert distances(engine.positions(), quenched.positions, liquid.box).max() < 1e-4


@pytest.mark.parametrize("convention", ["uniform", "scaled"])
def test_overlapping_particles_come_apart(convention: str) -> None:
    found = inherent_structure(random_mixture(200), kob_andersen(convention))
    assert found.start_energy > 1e3
    assert found.energy < -7
    assert found.greatest_force <= TOLERANCE


def test_particles_that_do_not_interact_are_their_own_inherent_structure() -> None:
    for separation in ([8.0, 8, 8], [2.5, 0, 0], [3.0, 0, 0]):
        positions = np.array([[1.0, 1, 1], np.add([1, 1, 1], separation)])
        apart = Configuration(positions, np.array([0, 1], np.uint8), np.full(3, 20.0))
        found = inherent_structure(apart, kob_andersen("uniform"))
        np.testing.assert_array_equal(found.positions, positions)
        assert found.energy == found.start_energy == found.greatest_force == 0


def test_a_pair_that_hardly_interacts_comes_together() -> None:
    apart = Configuration(np.array([[1.0, 1, 1], [3.49, 1, 1]]), np.array([0, 1], np.uint8), np.full(3, 20.0))
    found = inherent_structure(apart, kob_andersen("uniform"))
    assert found.positions[1, 0] - found.positions[0, 0] == pytest.approx(0.8 * 2 ** (1 / 6), abs=1e-6)


def test_what_cannot_be_quenched_is_refused() -> None:
    structure = rattled_lattice(6)
    with pytest.raises(EngineError, match=r"no energy minimum was reached: the largest force is .* after 5\d"):
        inherent_structure(structure, kob_andersen("uniform"), most_evaluations=50)
    with pytest.raises(ConfigurationError, match="at least two cutoffs"):
        inherent_structure(rattled_lattice(4), kob_andersen("uniform"))
    structure.positions[3] = structure.positions[2]
    with pytest.raises(ConfigurationError, match="two particles are at the same position"):
        inherent_structure(structure, kob_andersen("uniform"))
    structure.positions[3] = np.nan
    with pytest.raises(ConfigurationError, match="the start of a quench: 'positions' has 3 values that are not finite"):
        inherent_structure(structure, kob_andersen("uniform"))


@pytest.mark.long
def test_botan_as_lammps_minimises_it(reference_data: Path) -> None:
    """T = 0.44, density 1.2. LAMMPS, by conjugate gradients, may end in another minimum close by."""
    structure = read_botan(sorted((reference_data / "botan").glob("*.npz"))[0]).first
    began = time.process_time()
    found = inherent_structure(structure, kob_andersen("scaled"))
    assert time.process_time() - began < 60
    shift = minimum_image(found.positions - structure.positions, structure.box)
    assert np.sqrt((shift**2).sum(1).mean()) == pytest.approx(0.14, abs=0.02)
    with Lammps(structure, kob_andersen("scaled"), 0.005) as engine:
        engine._commands("minimize 0 1e-6 10000 100000")
        assert engine.potential_energy() / structure.particles == pytest.approx(found.energy, abs=1e-3)
        # Nearly all particles are at the same places.
        assert np.median(distances(engine.positions(), found.positions, structure.box)) < 0.02


def test_a_sample_keeps_its_inherent_structure_and_its_fingerprint(tmp_path: Path) -> None:
    plain = synthetic_sample()
    inherent = wrap(plain.configuration.positions + 0.1, plain.configuration.box)
    sample = replace(plain, configuration=replace(plain.configuration, inherent_positions=inherent))
    write_sample(tmp_path / "c0000.h5", sample)
    found = read_sample(tmp_path / "c0000.h5").configuration
    np.testing.assert_array_equal(found.inherent_positions, inherent)
    assert found.fingerprint == plain.configuration.fingerprint
    bad = replace(plain.configuration, inherent_positions=inherent[1:])
    with pytest.raises(ConfigurationError, match=r"'inherent_positions' has shape \(99, 3\)"):
        write_sample(tmp_path / "c0001.h5", replace(plain, configuration=bad))
    write_sample(tmp_path / "c0001.h5", plain)
    assert read_sample(tmp_path / "c0001.h5").configuration.inherent_positions is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.full((100, 3), 1e3), "inherent structure: 100 particles lie outside the box, first number 0"),
        (np.full((100, 3), -0.01), "inherent structure: 100 particles lie outside the box"),
        (np.full((100, 3), np.nan), "'inherent_positions' has 300 values that are not finite"),
        (np.zeros((99, 3)), "'inherent_positions' has shape (99, 3); expected (100, 3)"),
        (np.zeros((100, 3), np.float32), "'inherent_positions' has type float32; expected float64"),
    ],
)
def test_damaged_inherent_structures_are_refused(value: np.ndarray, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c0000.h5"
    write_sample(path, synthetic_sample())
    with edited(path) as file:
        file["configuration/inherent_positions"] = value
    with pytest.raises(InputError) as caught:
        read_sample(path)
    assert message in caught.value.problem
    assert str(path) in caught.value.problem


@pytest.fixture
def dataset(tiny_dataset: Path, tmp_path: Path) -> Path:
    """Four configurations of the tiny campaign, to be changed."""
    for path in sample_paths(tiny_dataset):
        if path.stem in ("c0000", "c0001"):
            (tmp_path / "data" / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "data" / path.parent.name)
    return tmp_path / "data"


def contents(dataset: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sample_paths(dataset)}


def same_but_for_the_structure(dataset: Path, before: Path) -> None:
    for one, other in zip(read_dataset(dataset), read_dataset(before), strict=False):
        assert repr(one.facts) == repr(other.facts)
        assert one.configuration.fingerprint == other.configuration.fingerprint
        for kind, first, second in (
            (Ensemble, one.ensemble, other.ensemble),
            (EquilibrationRecord, one.equilibration, other.equilibration),
        ):
            for field in fields(kind):
                np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_a_dataset_is_quenched_once(dataset: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(dataset, before)
    done = quench_dataset(dataset, Silent(), workers=2)
    assert (done.found, done.there) == (4, 0)
    drops = []
    for sample in read_dataset(dataset):
        potential, inherent = kob_andersen("uniform"), sample.configuration.inherent_positions
        assert inherent is not None
        found = interactions(moved(sample.configuration, inherent), potential)
        assert np.linalg.norm(found.force, axis=1).max() < 1.001 * TOLERANCE
        drops.append(interactions(sample.configuration, potential).energy.mean() - found.energy.mean())
    assert done.start_energy - done.energy == pytest.approx(np.mean(drops), rel=1e-9)
    same_but_for_the_structure(dataset, before)
    after = contents(dataset)
    again = quench_dataset(dataset, Silent(), workers=2)
    assert (again.found, again.there) == (0, 4)
    assert np.isnan(again.energy)
    assert contents(dataset) == after
    shutil.rmtree(dataset)
    shutil.copytree(before, dataset)
    quench_dataset(dataset, Silent(), workers=1)
    assert contents(dataset) == after


def test_an_interrupted_quench_goes_on(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def once(path: Path, threads: int) -> InherentStructure:
        asked.append(path)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return quench_sample(path, threads)

    quench_sample = quench.quench_sample
    monkeypatch.setattr(quench, "quench_sample", once)
    with pytest.raises(KeyboardInterrupt):
        quench_dataset(dataset, Silent(), workers=1)
    (dataset / "T0.50_P1.55" / f".c0000.h5.glassformer-{gethostname()}-{dead_process()}.tmp").write_text("half")
    there = sum(sample.configuration.inherent_positions is not None for sample in read_dataset(dataset))
    # What had begun was finished; the rest was not begun.
    assert 0 < there < 3
    done = quench_dataset(dataset, Silent(), workers=2)
    assert (done.found, done.there) == (4 - there, there)
    assert list(dataset.rglob("*.tmp")) == []


def test_one_failure_does_not_cost_the_rest(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = read_dataset(dataset)[1].configuration.fingerprint
    original = quench.inherent_structure

    def failing(configuration: Configuration, potential: Mixture, threads: int) -> InherentStructure:
        if configuration.fingerprint == bad:
            raise EngineError("no energy minimum was reached", "Leave it out.")
        return original(configuration, potential, threads=threads)

    monkeypatch.setattr(quench, "inherent_structure", failing)
    with pytest.raises(EngineError, match=r"T0\.50_P1\.55/c0001\.h5: no energy minimum was reached"):
        quench_dataset(dataset, Silent(), workers=2)
    there = [sample.configuration.inherent_positions is not None for sample in read_dataset(dataset)]
    assert there == [True, False, True, True]


def test_workers_without_a_sample_help_the_others(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, given = quench.inherent_structure, []

    def recorded(configuration: Configuration, potential: Mixture, threads: int) -> InherentStructure:
        given.append(threads)
        return original(configuration, potential, threads=threads)

    monkeypatch.setattr(quench, "inherent_structure", recorded)
    assert quench_dataset(dataset, Silent(), workers=9).found == 4
    assert given == [2, 2, 2, 2]


def test_a_dataset_that_is_not_there_or_in_use_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no dataset folder"):
        quench_dataset(tmp_path / "absent", Silent(), workers=1)
    assert not (tmp_path / "absent").exists()
    with exclusive(dataset), pytest.raises(StorageError, match="another run is writing"):
        quench_dataset(dataset, Silent(), workers=1)


def test_what_cannot_be_quenched_is_named_and_the_rest_is_quenched(dataset: Path) -> None:
    *_, foreign, damaged = sample_paths(dataset)
    whole = damaged.read_bytes()
    with edited(foreign) as file:
        file.attrs["mixture"] = shipped_mixture("wahnstrom").model_dump_json()
    damaged.write_bytes(whole[:-100])
    before = foreign.read_bytes(), damaged.read_bytes()
    with pytest.raises(DatasetError, match="2 of 4 configurations failed; the others are done") as caught:
        quench_dataset(dataset, Silent(), workers=1)
    assert f"{foreign}: got 160 A particles of 200; expected 100, 50 %: the wahnstrom" in caught.value.problem
    assert f"{damaged} is not a whole HDF5 file" in caught.value.problem
    assert before == (foreign.read_bytes(), damaged.read_bytes())
    for path in sample_paths(dataset)[:2]:
        assert read_sample(path).configuration.inherent_positions is not None
    # Again: named again, and nothing else is left to do.
    damaged.write_bytes(whole)
    write_sample(foreign, synthetic_sample())
    with pytest.raises(ConfigurationError, match=r"c0000\.h5: got box edges .* expected at least two cutoffs, 5"):
        quench_dataset(dataset, Silent(), workers=1)
    assert read_sample(damaged).configuration.inherent_positions is not None


FEW = TINY_CAMPAIGN | {"configurations": 2}


@pytest.mark.long
def test_a_campaign_goes_on_in_a_quenched_dataset(dataset: Path, tmp_path: Path) -> None:
    few = check_settings(FEW, Campaign, "few")
    quench_dataset(dataset, Silent(), workers=2)
    quenched = contents(dataset)
    # Its samples are known as finished, and kept to the byte.
    assert run_campaign(few, dataset, Silent(), workers=2) == 0
    assert contents(dataset) == quenched
    # More draws: the configurations are the same, and so are their inherent structures.
    before = [sample.configuration.inherent_positions for sample in read_dataset(dataset)]
    more = check_settings(FEW | {"draws": 3, "configurations": 3}, Campaign, "more")
    assert run_campaign(more, dataset, Silent(), workers=2) == 6
    for index, sample in enumerate(sample for sample in read_dataset(dataset) if sample.facts.index < 2):
        np.testing.assert_array_equal(sample.configuration.inherent_positions, before[index])
    assert run_campaign(more, tmp_path / "at-once", Silent(), workers=2) == 6
    done = quench_dataset(dataset, Silent(), workers=2)
    assert (done.found, done.there) == (2, 4)
    for one, other in zip(read_dataset(dataset), read_dataset(tmp_path / "at-once"), strict=True):
        np.testing.assert_array_equal(one.ensemble.msd, other.ensemble.msd)
        assert repr(one.facts) == repr(other.facts)


@pytest.mark.long
def test_starts_with_inherent_structures_give_the_same_data(dataset: Path, tmp_path: Path) -> None:
    shutil.rmtree(dataset / "T0.56_P0.17")
    hot = {"temperature": 0.8, "density": 1.1, "hold_time": 0.5}
    equilibration = TINY_CAMPAIGN["equilibration"] | {"start_from": str(dataset)}  # type: ignore[operator]
    heated = check_settings(FEW | {"state_points": [hot], "equilibration": equilibration}, Campaign, "heated")
    run_campaign(heated, tmp_path / "one", Silent(), workers=2)
    quench_dataset(dataset, Silent(), workers=2)
    assert run_campaign(heated, tmp_path / "one", Silent(), workers=2) == 0
    run_campaign(heated, tmp_path / "two", Silent(), workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def typed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip


@pytest.mark.long
def test_quench_as_typed(dataset: Path, tmp_path: Path) -> None:
    done = typed("quench", dataset, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "4 inherent structures found; 0 were in the dataset already" in done.stdout
    assert "lower" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    done = typed("quench", dataset)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 inherent structures exist already and are kept" in done.stdout
    assert "0 inherent structures found; 4 were in the dataset already" in done.stdout
    assert "lower" not in done.stdout
    done = typed("quench", tmp_path / "absent")
    assert done.returncode == 2
    assert "there is no dataset folder" in done.stderr
    assert typed("info", dataset).returncode == 0
