"""The fit across temperatures, its errors, and the limits of training, on data whose truth is known."""

import numpy as np
import pytest

from glassformer.baselines.novelty import FAR, Novelty
from glassformer.baselines.temperature_ridge import BINS, Level, Response, TemperatureRidge
from glassformer.core.errors import ConfigurationError

WEIGHTS = np.array([[1.0, 0.5], [-2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


def data(temperature: float, seed: int, noise: float = 0.0, particles: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Columns whose mean and spread depend on temperature, and positive targets linear in them."""
    random = np.random.default_rng(seed)
    standard = random.standard_normal((particles, 4))
    standard[:, 3] = 0
    level = np.array([1.0, 10.0]) * temperature**2
    target = level * (
        1 + 0.1 * (standard @ WEIGHTS) * (1 + temperature) + noise * random.standard_normal((particles, 2))
    )
    columns = (5 * temperature + standard * (1 + temperature)).astype(np.float32)
    return columns, target


def fitted(temperatures: list[float], noise: float = 0.0) -> TemperatureRidge:
    sets = [data(temperature, seed, noise) for seed, temperature in enumerate(temperatures)]
    return TemperatureRidge.fit(temperatures, [x for x, _ in sets], [y for _, y in sets], np.ones(4), penalties=[1e-8])


def test_a_linear_truth_is_found_at_one_temperature() -> None:
    fit = fitted([0.5, 0.5, 0.5])
    columns, target = data(0.5, 9)
    np.testing.assert_allclose(fit.mean(columns, 0.5), np.maximum(target, 0.1 * fit.level.target_mean), rtol=1e-4)
    assert not fit.tilt.any()


def test_weights_may_change_with_temperature() -> None:
    fit = fitted([0.4, 0.4, 0.5, 0.5, 0.6, 0.6])
    for temperature in (0.4, 0.5, 0.6):
        columns, target = data(temperature, 9)
        assert np.corrcoef(fit.mean(columns, temperature)[:, 1], target[:, 1])[0, 1] > 0.999
        np.testing.assert_allclose(fit.mean(columns, temperature).mean(0), target.mean(0), rtol=0.03)


def test_which_columns_matter_may_change_with_temperature() -> None:
    def turning(temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        columns = np.random.default_rng(seed).standard_normal((400, 2)).astype(np.float32)
        share = (temperature - 0.4) / 0.2
        return columns, 1 + 0.1 * (columns @ np.array([[1 - share], [share]]))

    temperatures = [0.4, 0.4, 0.5, 0.5, 0.6, 0.6]
    sets = [turning(temperature, seed) for seed, temperature in enumerate(temperatures)]
    fit = TemperatureRidge.fit(temperatures, [x for x, _ in sets], [y for _, y in sets], np.ones(2), penalties=[1e-8])
    for temperature in (0.4, 0.45, 0.5, 0.6):
        columns, target = turning(temperature, 9)
        # The same weights for all temperatures would give 0.71 at the ends.
        assert np.corrcoef(fit.mean(columns, temperature)[:, 0], target[:, 0])[0, 1] > 0.98


def test_between_temperatures_levels_are_interpolated() -> None:
    level = Level.of([0.4, 0.6], *zip(data(0.4, 0), data(0.6, 1), strict=True))
    mean, scale, target_mean, target_spread = level.at(0.5)
    np.testing.assert_allclose(mean, level.mean.mean(0))
    np.testing.assert_allclose(scale, level.scale.mean(0))
    assert scale[3] == 0
    np.testing.assert_allclose(target_mean, np.sqrt(level.target_mean.prod(0)))
    np.testing.assert_allclose(target_spread, np.sqrt(level.target_spread.prod(0)))
    np.testing.assert_allclose(level.at(0.3)[0], level.mean[0])
    np.testing.assert_allclose(level.at(0.9)[2], level.target_mean[1])
    # A temperature that was left out: nearly as good as its own.
    fit = fitted([0.4, 0.4, 0.6, 0.6])
    columns, target = data(0.5, 9)
    assert np.corrcoef(fit.mean(columns, 0.5)[:, 0], target[:, 0])[0, 1] > 0.999


def test_nothing_is_taken_from_the_configuration_that_is_predicted() -> None:
    fit = fitted([0.4, 0.4, 0.6, 0.6])
    columns, _ = data(0.4, 9)
    together, alone = fit.mean(columns, 0.4), fit.mean(columns[:1], 0.4)
    np.testing.assert_allclose(together[:1], alone, rtol=1e-12)


def test_columns_that_do_not_vary_have_no_say() -> None:
    fit = fitted([0.5, 0.5, 0.5])
    columns, _ = data(0.5, 9)
    changed = columns.copy()
    changed[:, 3] += 100
    np.testing.assert_array_equal(fit.mean(changed, 0.5), fit.mean(columns, 0.5))


def test_errors_are_those_of_unseen_predictions() -> None:
    noise = 0.05
    fit = fitted([0.5] * 4, noise)
    sets = [data(0.5, seed, noise, 4000) for seed in range(10, 14)]
    predicted = np.concatenate([fit.level.units(fit.mean(x, 0.5), 0.5) for x, _ in sets])
    truth = np.concatenate([fit.level.units(y, 0.5) for _, y in sets])
    known = fit.with_errors(predicted, truth)
    assert known.knots.shape == known.error.shape == (BINS, 2)
    columns, target = data(0.5, 20, noise, 4000)
    mean, error = known.predict(columns, 0.5)
    level = np.array([1.0, 10.0]) * 0.25
    np.testing.assert_allclose(np.sqrt((error**2).mean(0)), noise * level, rtol=0.05)
    inside = (np.abs(target - mean) < error).mean(0)
    # Of a Gaussian; +- four standard errors of 4000 particles, and bins of finite width.
    np.testing.assert_allclose(inside, 0.683, atol=0.04)
    with pytest.raises(ConfigurationError, match="do not vary"):
        fit.with_errors(np.zeros_like(truth), truth)


def test_the_response_is_monotone_and_found_on_configurations_left_out() -> None:
    def bent(seed: int) -> tuple[np.ndarray, np.ndarray]:
        columns = np.random.default_rng(seed).standard_normal((3000, 3)).astype(np.float32)
        return columns, 5 + np.tanh(2 * columns @ np.array([[1.0], [-1.0], [0.0]]))

    sets = [bent(seed) for seed in range(6)]
    fit = TemperatureRidge.fit([0.5] * 6, [x for x, _ in sets], [y for _, y in sets], np.ones(3), penalties=[1e-6])
    columns, target = bent(9)
    linear = fit.level.standardised(columns, 0.5) @ fit.weights
    assert np.corrcoef(linear[:, 0], target[:, 0])[0, 1] < 0.95
    assert np.corrcoef(fit.mean(columns, 0.5)[:, 0], target[:, 0])[0, 1] > 0.995
    line = np.linspace(-5, 5, 400)[:, None]
    assert (np.diff(fit.response(line), axis=0) >= 0).all()


def test_a_response_where_nothing_is_related() -> None:
    random = np.random.default_rng(4)
    response = Response.of(random.standard_normal((20_000, 1)), random.standard_normal((20_000, 1)))
    assert np.ptp(response(np.linspace(-3, 3, 50)[:, None])) < 1
    # No two predictions tie, so that particles can be ranked everywhere.
    assert (np.diff(response(np.linspace(-9, 9, 50)[:, None]), axis=0) > 0).all()
    # Of predictions that do not vary, or too few, nothing can be learned.
    line = np.linspace(-3, 3, 7)[:, None]
    for number, size in ((20_000, 0.0), (5_000, 1.0)):
        same = Response.of(size * random.standard_normal((number, 1)), random.standard_normal((number, 1)))
        np.testing.assert_allclose(same(line), line, atol=1e-12)


def test_one_configuration_at_each_temperature() -> None:
    # Whoever is left out is then at a temperature that the others do not know.
    fit = fitted([0.5, 0.6])
    columns, target = data(0.5, 9)
    assert np.corrcoef(fit.mean(columns, 0.5)[:, 1], target[:, 1])[0, 1] > 0.99
    assert np.abs(fit.mean(columns, 0.5)).max() < 3 * np.abs(target).max()


def gaussian(seed: int, particles: int = 2000, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    columns = random.standard_normal((particles, 3)) + shift
    columns[:, 2] = 0.9 * columns[:, 1] + np.sqrt(1 - 0.81) * columns[:, 2]
    return columns


def test_training_itself_is_within_its_limits() -> None:
    limit = Novelty.of([gaussian(seed) for seed in range(8)])
    unseen = gaussian(99, 20_000)
    # One in a thousand, +- four standard errors, and those of the threshold.
    assert (limit.distances(unseen) > 1).mean() == pytest.approx(FAR, abs=1.2e-3)
    assert limit.deviations(gaussian(98)).max() < 1
    # Few particles deviate further.
    assert limit.deviations(gaussian(97, 50)).max() < 1


def test_what_is_strange_is_seen() -> None:
    limit = Novelty.of([gaussian(seed) for seed in range(8)])
    one = gaussian(99)
    # Within each column's range, against their correlation.
    one[0] = [0.0, 2.5, -2.5]
    assert limit.distances(one)[0] > 1
    assert limit.deviations(gaussian(96, 2000, shift=0.4)).max() > 1
    assert (limit.distances(3 * gaussian(95)) > 1).mean() > 0.05
