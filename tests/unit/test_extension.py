"""A campaign that grows: more draws for configurations that are there, and nothing made twice."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.extend import join
from glassformer.dataset.folder import read_dataset, refuse_unequilibrated
from glassformer.dataset.sample import Ensemble
from glassformer.dataset.starts import read_starts
from glassformer.simulate.campaign import run_campaign, tasks
from tests.conftest import TINY_CAMPAIGN, synthetic_sample

POINT = {"temperature": 0.56, "pressure": 0.17, "hold_time": 0.5}


def campaign(**changes: object) -> Campaign:
    values = TINY_CAMPAIGN | {"configurations": 1, "state_points": [POINT], "keep_displacements": True} | changes
    return check_settings(values, Campaign, "extension")


@pytest.mark.long
def test_more_draws_are_those_of_a_campaign_that_asked_for_them_at_once(tmp_path: Path) -> None:
    run_campaign(campaign(draws=4), tmp_path / "at-once", Silent(), 1)
    run_campaign(campaign(draws=1), tmp_path / "grown", Silent(), 1)
    assert run_campaign(campaign(draws=4), tmp_path / "grown", Silent(), 1) == 1
    assert run_campaign(campaign(draws=4), tmp_path / "grown", Silent(), 1) == 0
    (expected,), (found,) = read_dataset(tmp_path / "at-once"), read_dataset(tmp_path / "grown")
    # As text: tau_alpha may be NaN.
    assert repr(found.facts) == repr(expected.facts)
    assert found.configuration.fingerprint == expected.configuration.fingerprint
    for field in fields(Ensemble):
        bound = 1e-6 if field.name.endswith("_mean") else 0.0
        one, other = getattr(found.ensemble, field.name), getattr(expected.ensemble, field.name)
        np.testing.assert_allclose(one, other, rtol=bound, err_msg=field.name)
    np.testing.assert_array_equal(vars(found.equilibration)["windows"], vars(expected.equilibration)["windows"])


def test_a_vector_of_draws_that_grows_is_followed_anew(tmp_path: Path) -> None:
    """In lockstep: three draws, then eighteen. The first three stay as they were, to the bit."""
    short = {"schedule": {"first": 1, "count": 5, "last": 20}, "particle_times": [0.05], "engine": "lockstep"}
    run_campaign(campaign(draws=3, **short), tmp_path, Silent(), 1)
    (before,) = read_dataset(tmp_path)
    run_campaign(campaign(draws=18, **short), tmp_path, Silent(), 1)
    (after,) = read_dataset(tmp_path)
    np.testing.assert_array_equal(after.ensemble.msd[:3], before.ensemble.msd)
    assert len(set(after.ensemble.seeds.tolist())) == 18
    assert after.ensemble.displacements is not None
    mean = np.sqrt((after.ensemble.displacements.astype(np.float64) ** 2).sum(-1)).mean(0)
    np.testing.assert_allclose(after.ensemble.displacement_mean, mean, rtol=1e-5)


def test_one_draw_grows_whatever_the_engine(tmp_path: Path) -> None:
    assert len({tasks(campaign(draws=draws, engine="auto"), tmp_path)[0].parameter_hash for draws in (1, 2, 40)}) == 1


def test_starts_of_several_state_points_are_refused(tiny_dataset: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds several state points: T0\.50_P1\.55, T0\.56_P0\.17"):
        read_starts(tiny_dataset)


def test_fewer_draws_than_there_are_need_nothing(tmp_path: Path) -> None:
    run_campaign(campaign(draws=2), tmp_path, Silent(), 1)
    before = next(tmp_path.glob("*/*.h5")).read_bytes()
    assert run_campaign(campaign(draws=1), tmp_path, Silent(), 1) == 0
    assert next(tmp_path.glob("*/*.h5")).read_bytes() == before


def test_joined_means_are_weighted_by_draws() -> None:
    one, other = synthetic_sample(draws=3).ensemble, synthetic_sample(draws=1).ensemble
    found = join(one, replace(other, overlap=None))
    expected = 0.75 * one.displacement_mean + 0.25 * other.displacement_mean
    np.testing.assert_allclose(found.displacement_mean, expected, rtol=1e-6)
    assert found.msd.shape == (4, 3, 2)
    assert found.overlap is None


@pytest.mark.long
def test_configurations_of_a_dataset_start_another_campaign(tmp_path: Path) -> None:
    run_campaign(campaign(configurations=2), tmp_path / "cold", Silent(), 2)
    hot = {"temperature": 0.8, "density": 1.1, "hold_time": 0.5}
    equilibration = TINY_CAMPAIGN["equilibration"] | {"start_from": str(tmp_path / "cold")}  # type: ignore[operator]
    heated = campaign(configurations=2, state_points=[hot], equilibration=equilibration)
    run_campaign(heated, tmp_path / "hot", Silent(), 1)
    starts = read_starts(tmp_path / "cold")
    for start, sample in zip(starts, read_dataset(tmp_path / "hot"), strict=True):
        assert sample.facts.start == f"configuration {start.configuration.fingerprint}"
        assert sample.configuration.density == pytest.approx(1.1)
        assert sample.facts.protocol.startswith("given configuration, NVT windows")
    with pytest.raises(DatasetError, match="holds 2 configurations; the campaign asks for 3"):
        run_campaign(heated.model_copy(update={"configurations": 3}), tmp_path / "more", Silent(), 1)
    with pytest.raises(DatasetError, match="160 A and 40 B in 3 dimensions; the campaign asks for 320 A and 80 B"):
        run_campaign(heated.model_copy(update={"particles": 400}), tmp_path / "big", Silent(), 1)
    # Other starts are other parameters, though the campaign file is the same.
    next((tmp_path / "cold").glob("*/c0000.h5")).unlink()
    with pytest.raises(DatasetError, match="was made with other parameters"):
        run_campaign(heated.model_copy(update={"configurations": 1}), tmp_path / "hot", Silent(), 1)


def test_a_state_point_may_have_its_own_times(tmp_path: Path) -> None:
    own = POINT | {"temperature": 0.6, "particle_times": [0.5, 0.7], "until": 0.8}
    run_campaign(campaign(state_points=[POINT, own]), tmp_path, Silent(), 2)
    general, special = read_dataset(tmp_path)
    assert general.ensemble.particle_times == pytest.approx([1.065])
    assert special.ensemble.particle_times == pytest.approx([0.5, 0.7])
    assert special.ensemble.times[-1] <= 0.8


def test_unequilibrated_samples_are_refused_for_training() -> None:
    good, bad = synthetic_sample(0), synthetic_sample(1)
    unknown = replace(good, facts=good.facts.model_copy(update={"equilibrated": None}))
    refuse_unequilibrated([good, unknown])
    bad = replace(bad, facts=bad.facts.model_copy(update={"equilibrated": False}))
    with pytest.raises(DatasetError, match=r"1 of 2 configurations are not in equilibrium, first T0\.50_P1\.55/c0001"):
        refuse_unequilibrated([good, bad])
