"""Scores of single particles beyond correlations, on cases whose answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions, join, write_predictions
from glassformer.dataset.sample import write_sample
from glassformer.evaluate.evaluation import evaluate
from glassformer.evaluate.heterogeneity import correlation_lengths, jackknife, susceptibilities
from glassformer.evaluate.uncertainty import uncertainty_scores
from glassformer.physics.configuration import Configuration
from tests.conftest import synthetic_sample
from tests.unit.test_dataset import synthetic_predictions
from tests.unit.test_mobility_correlation import BOX, EDGE, field
from tests.unit.test_predictions import ARRAYS

PARTICLES, EVERY = 1000, [0, 1, 2, 3]


def many_particles(configurations: int = 4, particles: int = PARTICLES) -> Predictions:
    """Predictions whose errors are Gaussian with the stated uncertainty, other for each particle; one time, all A."""
    random = np.random.default_rng(11)
    rows = configurations * particles
    label = random.normal(5, 1, (rows, 1))
    stated = random.uniform(0.2, 1.0, (rows, 1))
    plain = synthetic_predictions(("test",) * configurations)
    arrays = {name: getattr(plain, name)[:, :1] for name in ("prediction", "state_point_mean", "density_fit")}
    return replace(
        plain, **arrays, times=np.array([4.0]), msd_draws=plain.msd_draws[:, :, :1],
        particles=np.full(configurations, particles), particle_species=np.zeros(rows, np.uint8),
        particle_label=label.astype(np.float32), particle_ceiling=np.full((configurations, 2, 1), 0.9),
        particle_prediction=(label + stated * random.normal(size=(rows, 1))).astype(np.float32),
        particle_uncertainty=stated.astype(np.float32), fingerprints=tuple("abcdefgh"[:configurations]),
    )  # fmt: skip


def test_uncertainties_that_are_right() -> None:
    score = uncertainty_scores(many_particles(), EVERY, 0)["A"]
    # 4000 particles: standard errors of the shares 0.007 and 0.003, of <z^2> 0.022.
    assert score.within_1_sigma == pytest.approx(0.683, abs=0.03)
    assert score.within_2_sigma == pytest.approx(0.954, abs=0.013)
    assert score.mean_squared_z == pytest.approx(1, abs=0.09)
    assert 0.3 < score.rank_correlation < 0.6
    assert score.n_configurations == 4


def test_uncertainties_that_are_too_small_by_a_factor_of_two() -> None:
    right = many_particles()
    half = replace(right, particle_uncertainty=right.particle_uncertainty / 2)
    score, whole = (uncertainty_scores(one, EVERY, 0)["A"] for one in (half, right))
    assert score.within_2_sigma == pytest.approx(whole.within_1_sigma, abs=1e-3)
    assert score.mean_squared_z == pytest.approx(4 * whole.mean_squared_z, rel=1e-5)
    assert score.rank_correlation == pytest.approx(whole.rank_correlation, abs=1e-3)


def test_uncertainties_that_know_everything_or_nothing() -> None:
    known = many_particles()
    errors = np.abs(known.particle_prediction - known.particle_label)
    exact = uncertainty_scores(replace(known, particle_uncertainty=2 * errors), EVERY, 0)["A"]
    assert (exact.within_1_sigma, exact.within_2_sigma) == (1, 1)
    assert exact.mean_squared_z == pytest.approx(0.25)
    assert exact.rank_correlation == pytest.approx(1)
    constant = replace(known, particle_uncertainty=np.ones_like(errors))
    assert uncertainty_scores(constant, EVERY, 0)["A"].rank_correlation == 0


def test_uncertainties_are_scored_only_where_they_are_stated() -> None:
    known = many_particles()
    unstated = np.arange(4000)[:, None] < 1500
    partly = replace(known, particle_uncertainty=np.where(unstated, np.float32(np.nan), known.particle_uncertainty))
    assert uncertainty_scores(partly, EVERY, 0)["A"].n_configurations == 2
    without = replace(known, particle_uncertainty=None)
    assert evaluate(without).rows[0].uncertainty == {}
    both = join([without, known], [[0], [1]])
    assert both.particle_uncertainty is not None
    assert np.isnan(both.particle_uncertainty[:PARTICLES]).all()
    np.testing.assert_array_equal(both.particle_uncertainty[PARTICLES:], known.particle_uncertainty[PARTICLES:2000])


def test_chi_4_of_configurations_that_differ_by_known_amounts() -> None:
    known = many_particles()
    shifts = np.repeat([-3.0, -1.0, 1.0, 3.0], PARTICLES)[:, None]
    level = np.full((4 * PARTICLES, 1), 7.0)
    shifted = replace(
        known, particle_label=(level + shifts).astype("f4"), particle_prediction=(level + shifts / 2).astype("f4")
    )
    score = susceptibilities(shifted, EVERY, 0)["A"]
    # Variance of -3, -1, 1, 3 with n - 1: 20 / 3. Half the shifts: a quarter of it.
    assert score.label == pytest.approx(PARTICLES * 20 / 3)
    assert score.prediction == pytest.approx(PARTICLES * 20 / 12)
    assert score.prediction_error == pytest.approx(score.label_error / 4)
    # The draws are of the file's species: var / D of each configuration, times N.
    expected = PARTICLES * np.mean(known.msd_draws[:, :, 0].var(1, ddof=1) / 3)
    assert score.noise == pytest.approx(expected)
    assert np.isnan(susceptibilities(replace(shifted, species="B"), EVERY, 0)["A"].noise)
    assert susceptibilities(shifted, [0], 0) == {}


def test_a_perfect_prediction_has_the_chi_4_of_the_labels_less_the_noise() -> None:
    """Two hundred configurations, whose labels are means over four draws: 10 % of their own scatter."""
    random = np.random.default_rng(5)
    configurations, particles, draws = 200, 10, 4
    truth = 5 + random.normal(0, 0.3, configurations)
    each = truth[:, None] + random.normal(0, 0.6, (configurations, draws))
    rows = np.ones((1, particles))
    known = many_particles(4, particles)
    columns = {name: np.ones((configurations, 1)) for name in ("prediction", "state_point_mean", "density_fit")}
    many = replace(
        known, **columns, configurations=("c",) * configurations, state_points=("p",) * configurations,
        roles=("test",) * configurations, fingerprints=(), density=np.ones(configurations), msd_draws=each[:, :, None],
        particles=np.full(configurations, particles), particle_species=np.zeros(configurations * particles, np.uint8),
        particle_label=(each.mean(1)[:, None] * rows).reshape(-1, 1).astype("f4"),
        particle_prediction=(truth[:, None] * rows).reshape(-1, 1).astype("f4"), particle_uncertainty=None,
        particle_ceiling=np.ones((configurations, 2, 1)),
    )  # fmt: skip
    score = susceptibilities(many, np.arange(configurations), 0)["A"]
    assert score.prediction == pytest.approx(particles * 0.09, rel=0.3)
    assert score.noise == pytest.approx(particles * 0.36 / 4, rel=0.15)
    assert score.label - score.noise == pytest.approx(score.prediction, rel=0.4)
    assert score.label > 1.5 * score.prediction


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(6).normal(size=30)
    assert jackknife(lambda some: float(np.mean(some)), values) == pytest.approx(values.std(ddof=1) / np.sqrt(30))
    assert np.isnan(jackknife(lambda some: float(np.mean(some)), values[:1]))


def structures_and_predictions() -> tuple[dict[str, Configuration], Predictions]:
    """Six boxes with mobilities of length 1.5 and predictions of length 2.5, and B particles that know nothing."""
    random = np.random.default_rng(8)
    positions = random.random((6, PARTICLES, 3)) * EDGE
    kinds = (np.arange(PARTICLES) % 5 == 0).astype(np.uint8)
    fields = np.array([[field(one, length, random) for length in (1.5, 2.5)] for one in positions])
    fields[:, :, kinds == 1] = random.normal(size=(6, 2, kinds.sum()))
    label, said = (fields[:, field].reshape(-1, 1).astype(np.float32) for field in (0, 1))
    predictions = replace(
        many_particles(6), particle_label=label, particle_prediction=said, particle_species=np.tile(kinds, 6)
    )
    names = predictions.fingerprints
    return {name: Configuration(one, kinds, BOX) for name, one in zip(names, positions, strict=True)}, predictions


def test_the_lengths_of_predictions_and_labels() -> None:
    structures, predictions = structures_and_predictions()
    (found,) = correlation_lengths(predictions, np.arange(6), structures)
    assert found["A"].label == pytest.approx(1.5, rel=0.25)
    assert found["A"].prediction == pytest.approx(2.5, rel=0.25)
    assert 0.02 < found["A"].label_error < 0.4
    assert np.isnan(found["B"].label)
    assert found["A"].n_configurations == 6
    one = correlation_lengths(predictions, [2], structures)[0]["A"]
    assert np.isfinite(one.label)
    assert np.isnan(one.label_error)


def test_lengths_are_there_only_with_structures_and_of_single_state_points() -> None:
    structures, predictions = structures_and_predictions()
    assert [row.lengths for row in evaluate(predictions).rows] == [{}]
    two = replace(predictions, state_points=("one",) * 3 + ("two",) * 3)
    rows = evaluate(two, structures).rows
    assert [row.state_point for row in rows] == ["one", "two", "all"]
    assert [row.state_point for row in rows if row.lengths] == ["one", "two"]
    assert [row.state_point for row in rows if row.chi_4] == ["one", "two"]
    assert all(row.particles for row in rows)


def test_structures_that_are_missing_are_named() -> None:
    structures, predictions = structures_and_predictions()
    del structures["b"]
    with pytest.raises(PredictionError, match="of 1 of 6 scored configurations are not in the dataset, first"):
        evaluate(predictions, structures)
    with pytest.raises(PredictionError, match="holds no fingerprints"):
        evaluate(replace(predictions, fingerprints=()), structures)


def test_the_summary_is_of_the_first_species_at_the_last_time_over_all_state_points() -> None:
    _, predictions = structures_and_predictions()
    twice = {
        name: np.concatenate([getattr(predictions, name), getattr(predictions, name)[:, ::-1]], 1)
        for name in ("prediction", "state_point_mean", "density_fit", "particle_label", "particle_uncertainty")
    }
    exact = np.concatenate([predictions.particle_label, predictions.particle_prediction], 1)
    two = replace(
        predictions, **twice, particle_prediction=exact, times=np.array([8.0, 4.0]),
        particle_ceiling=np.ones((6, 2, 2)),
        msd_draws=np.repeat(predictions.msd_draws, 2, 2), state_points=("one",) * 3 + ("two",) * 3,
    )  # fmt: skip
    found = evaluate(two).as_json()
    # At t = 8, the later one, labels were predicted exactly.
    assert found["pcc_mean"] == pytest.approx(1)
    assert found["pcc_pooled"] == pytest.approx(1)
    assert (found["ceiling"], found["n_configurations"]) == (1, 6)
    assert found["summary_of"] == {"state_point": "all", "time": 8.0, "species": "A"}
    only_b = np.where(two.particle_species[:, None] == 0, np.float32(np.nan), two.particle_prediction)
    assert evaluate(replace(two, particle_prediction=only_b)).as_json()["summary_of"]["species"] == "B"
    assert "pcc_mean" not in evaluate(synthetic_predictions()).as_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"particle_uncertainty": np.zeros((4000, 1), np.float32)}, "has 4000 values that are not positive"),
        ({"particle_uncertainty": np.ones((4000, 2), np.float32)}, r"has shape \(4000, 2\); expected \(4000, 1\)"),
        (dict.fromkeys(ARRAYS), "'particles' is missing beside 'particle_uncertainty'"),
    ],
)
def test_uncertainties_that_are_none_are_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=message):
        write_predictions(tmp_path / "p.h5", replace(many_particles(), **changes))  # type: ignore[arg-type]


def test_evaluate_finds_the_structures_of_a_dataset(tmp_path: Path) -> None:
    """Mobilities are fields of the positions: they are correlated only if the right structures are found."""
    random = np.random.default_rng(9)
    samples = [synthetic_sample(index, particles=500) for index in (0, 1)]
    for number, sample in enumerate(reversed(samples)):
        write_sample(tmp_path / "data" / sample.facts.state_point / f"other{number}.h5", sample)
    structures = [sample.configuration for sample in samples]
    label = np.concatenate([field(one.positions * EDGE / one.box, 3.0, random) for one in structures])[:, None]
    write_predictions(
        tmp_path / "p.h5",
        replace(
            many_particles(2, 500),
            particle_label=label.astype("f4"), particle_prediction=(2 * label + 3).astype("f4"),
            particle_species=np.concatenate([one.species for one in structures]),
            fingerprints=tuple(one.fingerprint for one in structures),
        ),
    )  # fmt: skip
    words = ["evaluate", str(tmp_path / "p.h5")]
    result = CliRunner().invoke(app, [*words, "--data", str(tmp_path / "data"), "--json"], catch_exceptions=False)
    (row,) = json.loads(result.output)["rows"]
    assert row["lengths"]["A"]["label"] > 0.5
    assert row["lengths"]["A"]["prediction"] == pytest.approx(row["lengths"]["A"]["label"], rel=1e-3)
    assert row["chi_4"]["A"]["prediction"] == pytest.approx(4 * row["chi_4"]["A"]["label"], rel=1e-3)
    assert row["particles"]["A"]["spearman"] == pytest.approx(1)
    without = CliRunner().invoke(app, words, catch_exceptions=False).output
    text = CliRunner().invoke(app, [*words, "--data", str(tmp_path / "data")], catch_exceptions=False).output
    assert "within" in without
    assert "chi_4 = N var(q)" in without
    assert ("xi: correlation" in without, "xi: correlation" in text) == (False, True)
