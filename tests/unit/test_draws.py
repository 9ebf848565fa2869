"""Draws by either engine: the same physics, checkpoints that lose nothing, the hand-over to LAMMPS."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, EngineError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.sample import read_sample
from glassformer.physics.configuration import Configuration
from glassformer.simulate import draws as draws_module
from glassformer.simulate import lammps
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.draws import engine_used, run_draws
from glassformer.simulate.isoconfigurational import Observations, Report, run_lammps_draw
from glassformer.simulate.lockstep import ensemble
from glassformer.simulate.lockstep.ensemble import run_lockstep_draws
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN
from tests.unit.test_lammps import equilibrium

SEEDS = [101, 102, 103]


class KilledError(Exception):
    """Stands for the end of the process."""


def campaign(**changes: Any) -> Campaign:
    return check_settings(TINY_CAMPAIGN | {"engine": "lockstep"} | changes, Campaign, "tiny")


@pytest.fixture(scope="module")
def structure() -> Configuration:
    return equilibrium()[0]


@pytest.fixture(autouse=True)
def many_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "CHECKPOINT_STEPS", 60)


def ignore(done: int, more: int = 0) -> None:
    pass


def count(reported: list[int]) -> Report:
    """Collect the steps done, and those found to be there."""
    return lambda done, more=0: reported.append(done - more)


def same(first: Observations, second: Observations) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))


def by_lammps(
    structure: Configuration, seed: int, settings: Campaign, folder: Path, report: Report = ignore
) -> Observations:
    return run_lammps_draw(structure, 0.7, seed, settings, report, Unfinished(folder / "c0000.h5", "k"), f"draw-{seed}")


def test_both_engines_follow_the_same_draws(structure: Configuration, tmp_path: Path) -> None:
    settings = campaign()
    seen, handover = run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore)
    expected = Observations.together([by_lammps(structure, seed, settings, tmp_path) for seed in SEEDS])
    assert handover is None
    np.testing.assert_allclose(seen.first_energy, expected.first_energy, rtol=1e-6)
    np.testing.assert_allclose(seen.last_energy, expected.last_energy, rtol=1e-5)
    # Up to t = 1 chaos has not yet made single precision visible.
    early = slice(0, 15)
    np.testing.assert_allclose(seen.msd[:, early], expected.msd[:, early], rtol=1e-4)
    np.testing.assert_allclose(seen.self_scattering[:, early], expected.self_scattering[:, early], rtol=1e-4)
    np.testing.assert_allclose(seen.displacements, expected.displacements, atol=1e-3)
    assert len({float(value) for value in seen.msd[:, 14, 0]}) == 3


def test_steps_are_reported_once(structure: Configuration) -> None:
    settings, reported = campaign(), []
    run_lockstep_draws(structure, 0.7, SEEDS, settings, count(reported))
    assert sum(reported) == 3 * 400


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_killed_vector_goes_on_to_the_last_bit(after: int, structure: Configuration) -> None:
    settings, saved = campaign(), []
    expected, _ = run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore)

    def save(arrays: dict[str, np.ndarray]) -> None:
        saved.append({name: array.copy() for name, array in arrays.items()})
        if len(saved) == after:
            raise KilledError

    with pytest.raises(KilledError):
        run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore, None, save)
    reported: list[int] = []
    resumed, _ = run_lockstep_draws(structure, 0.7, SEEDS, settings, count(reported), saved[-1])
    assert same(resumed, expected)
    assert sum(reported) == 3 * 400


def test_hand_over_goes_on_where_lockstep_was(structure: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, reported = campaign(engine="auto"), []
    alone, never = run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore)
    monkeypatch.setattr(ensemble, "HANDOVER_PAIRS", 0.0)
    seen, time = run_lockstep_draws(structure, 0.7, SEEDS, settings, count(reported))
    assert never is None
    assert time == pytest.approx(60 * 0.005)
    early = slice(0, 15)
    np.testing.assert_allclose(seen.msd[:, early], alone.msd[:, early], rtol=1e-3)
    np.testing.assert_allclose(seen.displacements, alone.displacements, atol=5e-3)
    np.testing.assert_allclose(seen.last_energy, seen.first_energy, rtol=2e-3)
    assert not np.isnan(seen.msd).any()
    assert sum(reported) == 3 * 400
    forced, none = run_lockstep_draws(structure, 0.7, SEEDS, campaign(engine="lockstep"), ignore)
    assert none is None
    assert same(forced, alone)


def test_a_vector_killed_after_the_hand_over_hands_over_again(
    structure: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "HANDOVER_PAIRS", 0.0)
    settings, saved = campaign(engine="auto"), []
    kept: list[dict[str, np.ndarray]] = []

    def save(arrays: dict[str, np.ndarray]) -> None:
        saved.append(arrays)
        kept.append({name: array.copy() for name, array in arrays.items()})

    expected, time = run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore, None, save)
    # At the hand-over, and after each of the three draws.
    assert [int(arrays["in_lammps"]) for arrays in saved] == [0, 1, 2, 3]
    for arrays in kept:
        reported: list[int] = []
        resumed, again = run_lockstep_draws(structure, 0.7, SEEDS, settings, count(reported), arrays)
        assert again == time
        assert same(resumed, expected)
        assert sum(reported) == 3 * 400


def test_a_draw_killed_within_lammps_goes_on_from_there(
    structure: Configuration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ensemble, "HANDOVER_PAIRS", 0.0)
    monkeypatch.setattr(lammps, "CHECKPOINT_STEPS", 150)
    settings, kept = campaign(engine="auto"), []

    def save(arrays: dict[str, np.ndarray]) -> None:
        kept.append({name: array.copy() for name, array in arrays.items()})

    expected, _ = run_lockstep_draws(structure, 0.7, SEEDS, settings, ignore, None, save)
    within = [arrays for arrays in kept if "restart" in arrays]
    # Handed over at step 60; each of three draws is saved at 150 and 300 on its way to 400.
    assert [(int(a["in_lammps"]), int(a["lammps_steps"])) for a in within] == [
        (draw, step) for draw in range(3) for step in (150, 300)
    ]
    for arrays in within:
        reported: list[int] = []
        resumed, _ = run_lockstep_draws(structure, 0.7, SEEDS, settings, count(reported), arrays)
        assert same(resumed, expected)
        assert sum(reported) == 3 * 400


def test_groups_and_threads_change_nothing(structure: Configuration, tmp_path: Path) -> None:
    settings, seeds = campaign(), list(range(18))
    one, _ = run_draws(structure, 0.7, seeds, settings, ignore, Unfinished(tmp_path / "a.h5", "k"), threads=1)
    two, _ = run_draws(structure, 0.7, seeds, settings, ignore, Unfinished(tmp_path / "b.h5", "k"), threads=2)
    assert one.msd.shape[0] == 18
    assert same(one, two)
    last, _ = run_lockstep_draws(structure, 0.7, seeds[16:], settings, ignore)
    assert same(last, Observations(*(array[16:] for array in vars(one).values())))


def test_finished_draws_are_kept(structure: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = campaign(engine="lammps")
    unfinished = Unfinished(tmp_path / "c0000.h5", "key")
    expected, _ = run_draws(structure, 0.7, SEEDS, settings, ignore, unfinished)

    def forbidden(*args: Any) -> None:
        raise AssertionError("ran again")

    monkeypatch.setattr(draws_module, "run_lammps_draw", forbidden)
    reported: list[int] = []
    again, handover = run_draws(structure, 0.7, SEEDS, settings, count(reported), unfinished)
    assert handover is None
    assert same(again, expected)
    assert sum(reported) == 3 * 400
    with pytest.raises(AssertionError, match="ran again"):
        run_draws(structure, 0.7, SEEDS, settings, ignore, Unfinished(tmp_path / "c0000.h5", "other key"))


def test_a_killed_lammps_draw_goes_on_to_the_same_bits(
    structure: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lammps, "CHECKPOINT_STEPS", 90)
    settings = campaign(engine="lammps")
    whole = by_lammps(structure, 3, settings, tmp_path / "whole")
    save, calls, reported = Unfinished.save, [], []

    def dying(self: Unfinished, name: str, arrays: dict[str, np.ndarray]) -> None:
        save(self, name, arrays)
        calls.append(int(arrays["done"]))
        raise KilledError

    monkeypatch.setattr(Unfinished, "save", dying)
    while True:
        reported.clear()
        try:
            resumed = by_lammps(structure, 3, settings, tmp_path / "broken", count(reported))
        except KilledError:
            continue
        break
    assert calls == [90, 180, 270, 360]
    assert same(resumed, whole)
    assert sum(reported) == 400
    assert not list(tmp_path.rglob("*.tmp"))


def test_draws_are_kept_by_their_numbers(structure: Configuration, tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "c0000.h5", "key")
    run_draws(structure, 0.7, SEEDS, campaign(engine="lammps"), ignore, unfinished, first_draw=5)
    assert unfinished.names() == ["draws-5-5", "draws-6-6", "draws-7-7"]


def test_what_is_damaged_or_of_another_campaign_counts_as_not_there(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "c0001.h5", "key")
    assert unfinished.load("x") is None
    unfinished.save("x", {"a": np.arange(3)})
    found = unfinished.load("x")
    assert found is not None
    assert list(found) == ["a"]
    assert Unfinished(tmp_path / "c0001.h5", "other").load("x") is None
    assert Unfinished(tmp_path / "c0002.h5", "key").load("x") is None
    file = next((tmp_path / ".c0001.unfinished").iterdir())
    whole = file.read_bytes()
    for damaged in (b"", b"PK\x03\x04", whole[:100], whole[:-30], b"x" * 50):
        file.write_bytes(damaged)
        assert unfinished.load("x") is None
    unfinished.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_lockstep_campaign_makes_whole_samples(tiny_dataset: Path, tmp_path: Path) -> None:
    settings = campaign(configurations=1)
    assert run_campaign(settings, tmp_path / "data", Silent(), workers=2) == 2
    for sample in read_dataset(tmp_path / "data"):
        expected = read_sample(tiny_dataset / f"{sample.identifier}.h5")
        assert sample.configuration.fingerprint == expected.configuration.fingerprint
        np.testing.assert_allclose(sample.ensemble.msd[:, :12], expected.ensemble.msd[:, :12], rtol=1e-3)
        np.testing.assert_allclose(sample.ensemble.displacement_mean, expected.ensemble.displacement_mean, atol=1e-3)
        assert re.fullmatch(r"lockstep \d+; equilibrated by LAMMPS .*", sample.facts.engine)
        assert sample.facts.energy_drift < 1e-2
    assert list((tmp_path / "data").glob("*/.*")) == []


def test_an_interrupted_sample_is_the_same_to_the_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = campaign(configurations=1)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole, broken = tasks(settings, tmp_path / "whole")[0], tasks(settings, tmp_path / "broken")[0]
    simulate_sample(whole)
    save, calls = Unfinished.save, []

    def dying(self: Unfinished, name: str, arrays: dict[str, np.ndarray]) -> None:
        save(self, name, arrays)
        calls.append(name)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "save", dying)
        while True:
            try:
                simulate_sample(broken)
            except KilledError:
                continue
            break
    assert calls[0] == "equilibration"
    assert "configuration" in calls
    assert any(name.startswith("draws-0-") and name.endswith("-running") for name in calls)
    assert len(calls) > 5
    assert broken.path.read_bytes() == whole.path.read_bytes()
    assert list(broken.path.parent.iterdir()) == [broken.path]


def test_what_a_kill_left_after_the_last_byte_is_cleared(tmp_path: Path) -> None:
    settings = campaign(configurations=1)
    run_campaign(settings, tmp_path / "data", Silent(), workers=2)
    task = tasks(settings, tmp_path / "data")[0]
    before = task.path.read_bytes()
    Unfinished(task.path, task.parameter_hash).save("configuration", {"a": np.arange(3)})
    assert run_campaign(settings, tmp_path / "data", Silent(), workers=2) == 0
    assert list(task.path.parent.iterdir()) == [task.path]
    assert task.path.read_bytes() == before


def test_data_of_another_engine_are_named_as_such(tmp_path: Path) -> None:
    simulate_sample(tasks(campaign(configurations=1, engine="lammps"), tmp_path)[0])
    with pytest.raises(DatasetError, match=r"engine: LAMMPS .* in the dataset, lockstep .* in this campaign") as caught:
        run_campaign(campaign(configurations=1), tmp_path, Silent(), workers=1)
    assert 'set engine = "lammps"' in caught.value.remedy


def test_a_hand_over_is_remembered(structure: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "HANDOVER_PAIRS", 0.0)
    settings, unfinished = campaign(engine="auto"), Unfinished(tmp_path / "c0000.h5", "key")
    first = run_draws(structure, 0.7, list(range(17)), settings, ignore, unfinished, threads=2)
    again = run_draws(structure, 0.7, list(range(17)), settings, ignore, unfinished)
    assert first[1] == again[1] == pytest.approx(0.3)
    assert same(first[0], again[0])


def test_the_engine_is_chosen_by_what_the_processor_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_used(campaign(engine="lammps")).startswith("LAMMPS")
    assert engine_used(campaign(engine="lockstep")).startswith(f"lockstep {ensemble.VERSION}; ")
    assert engine_used(campaign(engine="auto"), 35.0).startswith(f"lockstep {ensemble.VERSION} and LAMMPS")
    assert "took over some draws from t = 35 on;" in engine_used(campaign(engine="auto"), 35.0)

    def refuse() -> None:
        raise EngineError("no vectors")

    monkeypatch.setattr("glassformer.simulate.lockstep.simd.check_host", refuse)
    assert engine_used(campaign(engine="auto")).startswith("LAMMPS")
    with pytest.raises(EngineError, match="no vectors"):
        engine_used(campaign(engine="lockstep"))
