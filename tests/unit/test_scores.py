"""Baselines and scores on exact cases."""

from dataclasses import replace

import numpy as np
import pytest

from glassformer.baselines.density import DensityFit
from glassformer.baselines.state_point_mean import StatePointMean
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.evaluation import evaluate
from glassformer.evaluate.scores import (
    bias,
    bootstrap_error,
    label_noise,
    mean_absolute_error,
    pearson,
    r_squared,
    r_squared_ceiling,
)
from tests.unit.test_dataset import synthetic_predictions


def test_scores_by_hand() -> None:
    label, prediction = np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 4.0])
    assert mean_absolute_error(prediction, label) == 1.0
    assert bias(prediction, label) == pytest.approx(-1 / 3)
    assert r_squared(prediction, label) == pytest.approx(1 - 5 / 14)
    assert r_squared(label, label) == 1
    assert r_squared(np.full(3, label.mean()), label) == 0
    assert np.isnan(r_squared(prediction, np.ones(3)))


def test_bootstrap_error_of_a_mean() -> None:
    # MAE against zero labels is the mean of |p|: its standard error is known.
    values = np.abs(np.random.default_rng(0).normal(size=200))
    expected = values.std() / np.sqrt(200)
    assert bootstrap_error(mean_absolute_error, values, np.zeros(200)) == pytest.approx(expected, rel=0.1)
    assert np.isnan(bootstrap_error(mean_absolute_error, values[:1], np.zeros(1)))
    # Few values: as large as the formula with n - 1 says, whose own resampling noise is 1 / sqrt(2000).
    few = values[:4]
    assert bootstrap_error(mean_absolute_error, few, np.zeros(4)) == pytest.approx(
        np.abs(few).std(ddof=1) / 2, rel=0.09
    )


def test_label_noise_against_simulated_draws() -> None:
    random = np.random.default_rng(1)
    draws = random.normal(1.0, 0.05, (4000, 6))
    # var(ln mean) of six draws with a relative spread of 5 %; 4000 of them fix it to 2.2 %.
    assert label_noise(draws).mean() == pytest.approx(np.log(draws.mean(1)).var(), rel=4 * 0.022)


def test_label_noise_ignores_padding_and_needs_two_draws() -> None:
    draws = np.array([[1.0, 1.2, np.nan], [1.0, 1.2, 1.1], [1.0, np.nan, np.nan]])
    noise = label_noise(draws)
    assert noise[0] == pytest.approx(0.02 / (2 * 1.1**2))
    assert np.isnan(noise[2])


def test_the_ceiling_is_what_perfect_knowledge_scores() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(0, 0.3, 5000)
    draws = np.exp(truth)[:, None] * random.normal(1, 0.4, (5000, 8)).clip(0.05)
    label = np.log(draws.mean(1))
    known = truth + (label - truth).mean()
    assert r_squared_ceiling(label, label_noise(draws)) == pytest.approx(r_squared(known, label), abs=0.02)


def test_the_ceiling_belongs_to_the_r_squared_of_few_configurations() -> None:
    """Eight labels of known noise, many times over: perfect predictions score the ceiling on average."""
    random = np.random.default_rng(3)
    truth = random.normal(0, 0.3, (4000, 8))
    label = truth + random.normal(0, 0.15, (4000, 8))
    scores = [r_squared(one, other) for one, other in zip(truth, label, strict=True)]
    ceilings = [r_squared_ceiling(one, np.full(8, 0.15**2)) for one in label]
    # Not exactly: large noise also widens the spread that it is divided by, which is worth 0.018 at n = 8.
    assert np.mean(scores) == pytest.approx(np.mean(ceilings), abs=0.02)


def test_state_point_mean_knows_only_its_state_points() -> None:
    baseline = StatePointMean.fit(["a", "b", "a"], np.array([[1.0], [5.0], [3.0]]))
    np.testing.assert_array_equal(baseline.predict(["b", "a", "c"]), [[5.0], [2.0], [np.nan]])


def test_density_fit_finds_a_line() -> None:
    density = np.array([1.1, 1.2, 1.15])
    labels = np.stack([3 - 2 * density, 1 + density], 1)
    fit = DensityFit.fit(density, labels)
    np.testing.assert_allclose(fit.predict(np.array([1.3, 1.0])), [[0.4, 2.3], [1.0, 2.0]])
    flat = DensityFit.fit(np.ones(3), labels)
    np.testing.assert_allclose(flat.predict(np.array([2.0])), [labels.mean(0)])


def test_only_unseen_configurations_are_scored() -> None:
    predictions = synthetic_predictions(("test", "train", "validation", "test"))
    evaluation = evaluate(predictions)
    assert evaluation.left_out == 2
    rows = [0, 3]
    for target, row in enumerate(evaluation.rows):
        assert row.configurations == 2
        expected = np.abs(predictions.prediction[rows, target] - predictions.label[rows, target]).mean()
        assert row.models["network"].mae == pytest.approx(expected)


def test_nothing_unseen_means_no_score() -> None:
    with pytest.raises(PredictionError, match="all 2 configurations were seen in training"):
        evaluate(synthetic_predictions(("train", "validation")))


def test_json_has_null_where_a_baseline_has_nothing_to_say() -> None:
    predictions = synthetic_predictions(("test", "test"))
    unknown = replace(predictions, state_point_mean=np.full((2, 2), np.nan))
    scores = evaluate(unknown).as_json()["rows"][0]["models"]
    assert scores["state_point_mean"]["mae"] is None
    assert scores["network"]["mae"] > 0


def test_pearson_by_hand_and_against_numpy() -> None:
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    assert pearson(np.array([1.0, 2.0]), np.array([5.0, 3.0])) == pytest.approx(-1)
    assert np.isnan(pearson(np.ones(4), np.arange(4.0)))
    one, two = np.random.default_rng(4).normal(size=(2, 50)).astype(np.float32)
    assert pearson(one, two) == pytest.approx(np.corrcoef(one, two)[0, 1], rel=1e-5)


def particle_predictions(roles: tuple[str, ...] = ("test", "train", "validation", "test")) -> Predictions:
    """Configurations of 9, 10, 11, ... particles, every third of them B; two target times."""
    random = np.random.default_rng(7)
    counts = np.arange(9, 9 + len(roles))
    rows = counts.sum()
    species = (np.arange(rows) % 3 == 2).astype(np.uint8)
    label = random.uniform(0.1, 1.0, (rows, 2)).astype(np.float32)
    return replace(
        synthetic_predictions(roles),
        particles=counts, particle_species=species, particle_label=label,
        particle_prediction=(label + random.normal(0, 0.2, (rows, 2))).astype(np.float32),
        particle_ceiling=random.uniform(0.5, 0.9, (len(roles), 2, 2)),
    )  # fmt: skip


def test_particles_are_correlated_within_configurations_and_then_averaged() -> None:
    predictions = particle_predictions()
    rows = evaluate(predictions).rows
    for target, row in enumerate(rows):
        for species, letter in enumerate("AB"):
            found = []
            # The first and the last configuration are the test's: particles 0 to 8 and 30 to 41.
            for place in (slice(0, 9), slice(30, 42)):
                of_species = predictions.particle_species[place] == species
                both = predictions.particle_prediction[place], predictions.particle_label[place]
                found.append(np.corrcoef(*(array[of_species, target] for array in both))[0, 1])
            score = row.particles[letter]
            assert score.pcc_mean == pytest.approx(np.mean(found), rel=1e-5)
            # The standard error of the mean of two is half their difference.
            assert score.pcc_error == pytest.approx(abs(found[0] - found[1]) / 2, rel=0.1)
            assert score.ceiling == pytest.approx(predictions.particle_ceiling[[0, 3], species, target].mean())


def test_a_species_that_is_not_predicted_has_no_score() -> None:
    predictions = particle_predictions()
    only_a = np.where(predictions.particle_species[:, None] == 0, predictions.particle_prediction, np.float32(np.nan))
    assert set(evaluate(replace(predictions, particle_prediction=only_a)).rows[0].particles) == {"A"}
    assert evaluate(synthetic_predictions()).rows[0].particles == {}


def test_particle_scores_are_in_the_json() -> None:
    predictions = particle_predictions()
    unknown = replace(predictions, particle_ceiling=np.full((4, 2, 2), np.nan))
    scores = evaluate(unknown).as_json()["rows"][0]["particles"]
    assert set(scores) == {"A", "B"}
    assert scores["A"]["ceiling"] is None
    assert scores["A"]["pcc_mean"] > 0


def test_scores_of_a_split_that_leaks_are_marked() -> None:
    evaluation = evaluate(synthetic_predictions(("leaked", "leaked", "leaked")))
    assert evaluation.leaked
    assert evaluation.as_json()["leaked"] is True
    assert evaluation.rows[0].configurations == 3
    assert evaluate(synthetic_predictions()).leaked is False


def test_the_label_is_called_what_it_is() -> None:
    predictions = synthetic_predictions()
    assert evaluate(predictions).label == "ln MSD_A"
    other = replace(predictions, quantity="propensity", species="B", propensity_draws=predictions.msd_draws * 2)
    assert evaluate(other).label == "ln propensity_B"
    np.testing.assert_allclose(other.label, predictions.label + np.log(2))
