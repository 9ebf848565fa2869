"""Ridge regression, the propensities' baselines and their scores, on data whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from glassformer.baselines import perceptron
from glassformer.baselines.perceptron import fit_perceptron
from glassformer.baselines.propensity import LabelledParticles, PropensityModel, scales_of, species_means
from glassformer.baselines.ridge import Moments, Ridge, choose_penalty, fit_ridge, together
from glassformer.baselines.softness import fit_softness
from glassformer.core.errors import ConfigurationError, PredictionError
from glassformer.evaluate.propensity_scores import correlation, paired, score_propensities
from glassformer.observables.descriptors import Descriptors

NAMES = ("s.energy", "s.radial.A.1.000", "s.shell.A.1.000@2", "s.constant")


def labelled(seed: int, particles: int = 300, noise: float = 0.05) -> LabelledParticles:
    """Particles whose propensity is linear in two of four descriptors, with other weights for each species."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(particles, 4)) * [1, 10, 0.1, 0] + [5, 0, 0, 3]
    species = (np.arange(particles) % 5 == 0).astype(np.uint8)
    slope = np.where(species == 0, 0.2, -0.1)
    truth = 3 + slope * (values[:, 0] - 5) + 0.02 * values[:, 1]
    both = np.stack([truth, 2 * truth], 1) + noise * random.normal(size=(particles, 2))
    return LabelledParticles(Descriptors(NAMES, values.astype(np.float32)), species, both)


def test_moments_of_parts_are_those_of_the_whole() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(3, 1, (50, 4)), random.normal(-2, 1, (50, 2))
    parts = together([Moments.of(x[rows], y[rows]) for rows in (slice(0, 7), slice(7, 30), slice(30, 50))])
    whole = Moments.of(x, y)
    for name in ("number", "mean", "target_mean", "products", "target_products"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scales", [None, np.array([1.0, 0.5, 2.0])])
def test_ridge_against_augmented_least_squares(scales: np.ndarray | None) -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(80, 3)) * [1, 5, 0.2] + 2, random.normal(size=(80, 2))
    penalties = np.array([0.3, 2.0])
    model = Ridge.fit(Moments.of(x, y), penalties, scales)
    z = (x - x.mean(0)) / x.std(0) * (1 if scales is None else scales)
    for target, penalty in enumerate(penalties):
        # A ridge is least squares with further rows that ask for zero weights.
        rows = np.concatenate([z, np.sqrt(penalty * len(z)) * np.eye(3)])
        right = np.concatenate([y[:, target] - y[:, target].mean(), np.zeros(3)])
        expected = z @ np.linalg.lstsq(rows, right, rcond=None)[0] + y[:, target].mean()
        np.testing.assert_allclose(model.predict(x)[:, target], expected, rtol=1e-8)


def test_the_penalty_is_chosen_for_each_target() -> None:
    random = np.random.default_rng(2)
    # Columns that hardly differ: their mean is safest with a large penalty, their differences are lost with it.
    columns = [random.normal(size=(60, 1)) + 0.3 * random.normal(size=(60, 40)) for _ in range(6)]
    targets = [np.stack([x[:, 0] - x[:, 1], x.mean(1) + 2 * random.normal(size=60)], 1) for x in columns]
    moments = [Moments.of(x, y) for x, y in zip(columns, targets, strict=True)]
    clean, noisy = choose_penalty(columns, targets, moments, penalties=(1e-3, 10.0))
    assert (clean, noisy) == (1e-3, 10.0)
    with pytest.raises(ConfigurationError, match="got 1 configurations to choose"):
        choose_penalty(columns[:1], targets[:1], moments[:1])
    assert fit_ridge(columns[:1], targets[:1], penalties=[0.1]).penalty.tolist() == [0.1, 0.1]


def test_each_species_is_learned_by_itself() -> None:
    model = PropensityModel.fit([labelled(seed) for seed in range(4)], scales={})
    test = labelled(9, noise=0.0)
    predicted = model.predict(test.table, test.species)
    np.testing.assert_allclose(predicted, test.propensity, atol=0.05)
    # The constant column tells nothing and has no weight.
    assert model.species[0].weights[3].tolist() == [0.0, 0.0]


def test_predictions_do_not_depend_on_what_else_is_predicted() -> None:
    # Standardisation with the statistics of the tested configuration would.
    model = PropensityModel.fit([labelled(seed) for seed in range(4)])
    test = labelled(9)
    some = np.arange(20)
    part = replace(test.table, values=test.table.values[some])
    np.testing.assert_allclose(
        model.predict(part, test.species[some]), model.predict(test.table, test.species)[some], rtol=1e-12
    )


def test_logarithms_are_undone() -> None:
    items = [replace(item, propensity=np.exp(item.propensity)) for item in map(labelled, range(4))]
    model = PropensityModel.fit(items, transform="log", scales={})
    test = labelled(9, noise=0.0)
    np.testing.assert_allclose(np.log(model.predict(test.table, test.species)), test.propensity, atol=0.05)


def test_only_the_named_columns_are_read() -> None:
    model = PropensityModel.fit([labelled(seed) for seed in range(3)], ["s.energy"])
    test = labelled(9)
    predicted = model.predict(test.table.select(["s.energy"]), test.species)
    of_a = test.species == 0
    assert abs(np.corrcoef(predicted[of_a, 0], test.table.values[of_a, 0])[0, 1]) == pytest.approx(1)


def test_scales_follow_the_quantity() -> None:
    assert scales_of(NAMES, {"radial": 0.1, "shell": 0.5}).tolist() == [1, 0.1, 0.5, 1]


def test_species_means_are_those_of_training() -> None:
    items = [labelled(seed) for seed in range(3)]
    values = np.concatenate([item.propensity[item.species == 1] for item in items])
    np.testing.assert_allclose(species_means(items)[1], values.mean(0))


def test_what_cannot_be_learned_or_predicted() -> None:
    item = labelled(0)
    with pytest.raises(ConfigurationError, match="no configurations to learn from"):
        PropensityModel.fit([])
    with pytest.raises(ConfigurationError, match="not positive"):
        replace(item, propensity=item.propensity * np.nan)
    with pytest.raises(ConfigurationError, match="the same particles"):
        replace(item, species=item.species[:-1])
    model = PropensityModel.fit([item, labelled(1)])
    with pytest.raises(PredictionError, match=r"not trained on species \[2\]"):
        model.predict(item.table, np.full(300, 2, np.uint8))
    with pytest.raises(ConfigurationError, match=r"the first s\.radial"):
        model.predict(item.table.select(["s.energy"]), item.species)


def test_scores_of_known_correlations() -> None:
    random = np.random.default_rng(3)
    labels = [random.normal(size=20_000) for _ in range(3)]
    exact = [0.6, 0.7, 0.8]
    noisy = [r * y + np.sqrt(1 - r**2) * random.normal(size=len(y)) for r, y in zip(exact, labels, strict=True)]
    score = score_propensities(noisy, labels, [0.9, 0.9, 0.9])
    assert score.pcc_mean == pytest.approx(0.7, abs=0.01)
    assert score.pcc_error == pytest.approx(0.1 / np.sqrt(3), abs=0.01)
    assert score.ratio == pytest.approx(score.pcc_mean / 0.9)
    assert score.pcc_pooled == pytest.approx(0.7, abs=0.01)
    # Of Gaussian variables: 6 / pi asin(r / 2).
    assert score.spearman == pytest.approx(np.mean(6 / np.pi * np.arcsin(np.array(exact) / 2)), abs=0.01)


def test_configurations_that_differ_flatter_the_pooled_correlation() -> None:
    random = np.random.default_rng(4)
    labels = [random.normal(level, 1, 1000) for level in (0, 10)]
    predictions = [np.full(1000, 0.0), np.full(1000, 10.0)]
    score = score_propensities(predictions, labels)
    assert (score.pcc_mean, score.spearman) == (0, 0)
    assert score.pcc_pooled > 0.9
    assert score.as_json()["ceiling"] is None


def test_paired_differences_and_empty_scores() -> None:
    mean, error = paired(np.array([0.5, 0.6, 0.9]), np.array([0.4, 0.5, 0.8]))
    assert mean == pytest.approx(0.1)
    assert error == pytest.approx(0, abs=1e-12)
    assert correlation(np.ones(3), np.arange(3.0)) == 0
    with pytest.raises(PredictionError, match="got no predictions"):
        score_propensities([], [])
    with pytest.raises(PredictionError, match="not one for every label"):
        score_propensities([np.ones(2)], [np.ones(3)])


def test_a_perceptron_learns_what_is_not_linear() -> None:
    def bent(seed: int) -> LabelledParticles:
        one = labelled(seed, noise=0.0)
        energy = one.table.values[:, 0] - 5
        return replace(one, propensity=(3 + np.abs(energy))[:, None])

    training, test = [bent(seed) for seed in range(4)], bent(9)
    scores = {}
    for method in (None, fit_perceptron):
        model = PropensityModel.fit(training, scales={}, method=method)
        predicted = model.predict(test.table, test.species)
        scores[method] = correlation(predicted[:, 0], test.propensity[:, 0])
    assert scores[None] < 0.3
    assert scores[fit_perceptron] > 0.9


def test_the_gradient_of_the_perceptron() -> None:
    random = np.random.default_rng(3)
    values, wanted = random.normal(size=(40, 3)).astype(np.float32), random.normal(size=(40, 2)).astype(np.float32)
    start = perceptron._start(3, 2)
    flat = np.concatenate([part.ravel() for layer in start for part in layer])
    flat = flat + 0.1 * random.normal(size=len(flat))
    _, gradient = perceptron._loss(perceptron._layers(flat, start), values, wanted)
    step = 1e-2
    for place in random.choice(len(flat), 40, replace=False):
        moved = np.zeros(len(flat))
        moved[place] = step
        up, down = (
            perceptron._loss(perceptron._layers(flat + sign * moved, start), values, wanted)[0] for sign in (1, -1)
        )
        assert gradient[place] == pytest.approx((up - down) / (2 * step), abs=2e-3)


def test_softness_tells_mobile_particles_from_others() -> None:
    training, test = [labelled(seed) for seed in range(4)], labelled(9, noise=0.0)
    model = PropensityModel.fit(training, scales={}, method=fit_softness)
    predicted = model.predict(test.table, test.species)
    for kind in range(2):
        rows = test.species == kind
        assert correlation(predicted[rows, 1], test.propensity[rows, 1]) > 0.98
        soft = model.species[kind].softness(test.table.values[rows])[:, 1]
        mobile = test.propensity[rows, 1] > np.quantile(test.propensity[rows, 1], 0.9)
        assert (soft[mobile] > 0).mean() > 0.95
        # The propensity that goes with it is a regression: right on average.
        assert predicted[rows].mean(0) == pytest.approx(test.propensity[rows].mean(0), rel=0.02)
