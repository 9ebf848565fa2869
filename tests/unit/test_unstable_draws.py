"""A draw that blows up is marked and repeated with its next seed; the others are kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.core.seeds import named_seed
from glassformer.core.settings import check_settings
from glassformer.dataset.sample import read_sample
from glassformer.physics.configuration import Configuration
from glassformer.simulate import isoconfigurational
from glassformer.simulate.campaign import tasks
from glassformer.simulate.draws import run_draws, seeds_used
from glassformer.simulate.lockstep import ensemble
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN, rattled_lattice

SEEDS = [3, 4, 5, 6]


def campaign(engine: str) -> Campaign:
    return check_settings(TINY_CAMPAIGN | {"engine": engine, "configurations": 1, "draws": 4}, Campaign, "test")


@pytest.fixture
def exploding(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The seeds whose draws start with one particle that flies too fast for the time step."""
    seeds: set[int] = set()
    original = isoconfigurational.draw_velocities

    def drawn(campaign: Campaign, configuration: Configuration, temperature: float, seed: int) -> Any:
        velocities = original(campaign, configuration, temperature, seed)
        if seed in seeds:
            velocities[7] = 1e5
        return velocities

    for module in (isoconfigurational, ensemble):
        monkeypatch.setattr(module, "draw_velocities", drawn)
    return seeds


def ignore(done: float, more: float = 0) -> None:
    pass


@pytest.mark.parametrize("engine", ["lammps", "lockstep"])
def test_it_is_repeated_with_its_next_seed(engine: str, exploding: set[int], tmp_path: Path) -> None:
    settings, structure = campaign(engine), rattled_lattice(6)
    wanted = [3, named_seed(named_seed(4, "again"), "again"), 5, 6]
    expected, _ = run_draws(structure, 0.7, wanted, settings, ignore, Unfinished(tmp_path / "d" / "a.h5", "k"))
    exploding |= {4, named_seed(4, "again")}
    unfinished = Unfinished(tmp_path / "d" / "b.h5", "k")
    found, _ = run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)
    assert seeds_used(SEEDS, settings, unfinished) == wanted
    # Again, as after an interruption: nothing is followed twice.
    again, _ = run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)
    for name, array in vars(expected).items():
        assert np.array_equal(array, getattr(found, name)), name
        assert np.array_equal(array, getattr(again, name)), name


@pytest.mark.parametrize("engine", ["lammps", "lockstep"])
def test_an_interrupted_repetition_continues_with_its_seeds(
    engine: str, exploding: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, structure = campaign(engine), rattled_lattice(6)
    wanted = [3, named_seed(4, "again"), 5, 6]
    expected, _ = run_draws(structure, 0.7, wanted, settings, ignore, Unfinished(tmp_path / "d" / "a.h5", "k"))
    exploding.add(4)
    unfinished, save = Unfinished(tmp_path / "d" / "b.h5", "k"), Unfinished.save

    def interrupted(self: Unfinished, name: str, arrays: Any) -> None:
        save(self, name, arrays)
        if name.startswith("seeds"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Unfinished, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)
    monkeypatch.setattr(Unfinished, "save", save)
    found, _ = run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)
    assert np.array_equal(expected.msd, found.msd)


@pytest.mark.parametrize("engine", ["lammps", "lockstep"])
def test_draws_that_all_blow_up_are_an_error(engine: str, exploding: set[int], tmp_path: Path) -> None:
    seed = 3
    for _ in range(5):
        exploding.add(seed)
        seed = named_seed(seed, "again")
    exploding |= {4, 5}
    with pytest.raises(EngineError, match=r"unstable|LAMMPS stopped"):
        run_draws(rattled_lattice(6), 0.7, SEEDS, campaign(engine), ignore, Unfinished(tmp_path / "d" / "a.h5", "k"))


def test_the_sample_says_which(exploding: set[int], tmp_path: Path) -> None:
    task = tasks(campaign("lammps"), tmp_path)[0]
    first = named_seed(task.campaign.seed, task.point.label, 0, "draw", 2)
    exploding.add(first)
    simulate_sample(task)
    sample = read_sample(task.path)
    assert sample.facts.repeated_draws == "2"
    assert sample.ensemble is not None
    assert sample.ensemble.seeds is not None
    assert sample.ensemble.seeds[2] == named_seed(first, "again")


def test_a_repeated_vector_starts_anew_and_not_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, structure = campaign("lockstep"), rattled_lattice(6)
    wanted = [3, named_seed(4, "again"), 5, 6]
    monkeypatch.setattr(ensemble, "CHECKPOINT_STEPS", 50)
    expected, _ = run_draws(structure, 0.7, wanted, settings, ignore, Unfinished(tmp_path / "d" / "a.h5", "k"))
    unfinished, record, failed = Unfinished(tmp_path / "d" / "b.h5", "k"), isoconfigurational.record, []

    def late(displacements: Any, seen: Any, *more: Any) -> None:
        if more[2] > 200 and not failed:
            assert unfinished.names() == ["draws-0-3-running"]
            failed.append(True)
            displacements[1] = np.nan
        record(displacements, seen, *more)

    monkeypatch.setattr(isoconfigurational, "record", late)
    found, _ = run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)
    assert failed
    assert np.array_equal(expected.msd, found.msd)
