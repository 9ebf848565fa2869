"""Fits: parameters of exact laws come back, errors cover the scatter, and what cannot be fitted is refused."""

import numpy as np
import pytest

from glassformer.observables.fits import FitError, least_squares
from glassformer.observables.glass_transition import glass_transition
from glassformer.observables.kww import fit_kww
from glassformer.observables.vft import fit_vft

TIMES = np.geomspace(0.01, 1e4, 100)
TEMPERATURES = np.linspace(0.45, 1.0, 12)
COOLING = np.linspace(0.1, 0.9, 33)


def relaxation(noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A fast decay to the plateau f = 0.8 at t of order 0.1, and the alpha decay with tau = 300 and beta = 0.75."""
    decay = 0.2 * np.exp(-TIMES / 0.05) + 0.8 * np.exp(-((TIMES / 300) ** 0.75))
    return decay + noise * np.random.default_rng(seed).normal(size=len(TIMES))


def volume(noise: float = 0.0, seed: int = 0, knee: float = 0.43) -> np.ndarray:
    below, above = np.minimum(COOLING - knee, 0), np.maximum(COOLING - knee, 0)
    return 0.8 + 0.05 * below + 0.2 * above + noise * np.random.default_rng(seed).normal(size=len(COOLING))


def test_kww_of_an_exact_decay() -> None:
    found = fit_kww(TIMES, relaxation(), 2.0)
    assert found.non_ergodicity == pytest.approx(0.8, rel=1e-6)
    assert found.time == pytest.approx(300, rel=1e-6)
    assert found.exponent == pytest.approx(0.75, rel=1e-6)
    assert found.time_error < 1e-3


def test_kww_without_its_range_takes_in_the_fast_decay() -> None:
    assert fit_kww(TIMES, relaxation(), 0.0).non_ergodicity > 0.82


def test_kww_errors_cover_the_scatter() -> None:
    fits = [fit_kww(TIMES, relaxation(0.01, seed), 2.0) for seed in range(100)]
    for name, exact in (("non_ergodicity", 0.8), ("time", 300), ("exponent", 0.75)):
        values, errors = (np.array([getattr(fit, name + end) for fit in fits]) for end in ("", "_error"))
        # The scatter of 100 is known to 7 %.
        assert values.std() == pytest.approx(errors.mean(), rel=0.3)
        assert values.mean() == pytest.approx(exact, abs=4 * values.std() / 10)


def test_kww_least_squares_against_a_grid() -> None:
    scattering = relaxation(0.01)
    found = fit_kww(TIMES, scattering, 2.0)
    late = TIMES >= 2.0

    def squares(f: float, tau: float, beta: float) -> float:
        return float(((f * np.exp(-((TIMES[late] / tau) ** beta)) - scattering[late]) ** 2).sum())

    best = squares(found.non_ergodicity, found.time, found.exponent)
    for f in np.linspace(0.98, 1.02, 9):
        for tau in np.linspace(0.98, 1.02, 9):
            for beta in np.linspace(0.98, 1.02, 9):
                assert squares(f * found.non_ergodicity, tau * found.time, beta * found.exponent) >= best * (1 - 1e-9)


@pytest.mark.parametrize(
    ("times", "scattering", "match"),
    [
        (TIMES[:4], relaxation()[:4], "4 points"),
        (TIMES[:60], relaxation()[:60], "does not decay by 1/e"),
        (TIMES, np.where(TIMES > 100, np.nan, 1.0), "not finite"),
    ],
)
def test_kww_refuses(times: np.ndarray, scattering: np.ndarray, match: str) -> None:
    with pytest.raises(FitError, match=match):
        fit_kww(times, scattering, 0.0)


def test_vft_of_exact_times_in_any_order() -> None:
    times = np.exp(-1 + 0.9 / (TEMPERATURES - 0.3))
    found = fit_vft(TEMPERATURES[::-1], times[::-1])
    assert found.log_prefactor == pytest.approx(-1, abs=1e-5)
    assert found.strength == pytest.approx(0.9, rel=1e-5)
    assert found.divergence_temperature == pytest.approx(0.3, rel=1e-5)


def test_vft_of_an_arrhenius_law() -> None:
    found = fit_vft(TEMPERATURES, np.exp(2 + 3 / TEMPERATURES))
    assert found.divergence_temperature == pytest.approx(0, abs=1e-5)
    assert found.strength == pytest.approx(3, rel=1e-4)


def test_vft_errors_cover_the_scatter() -> None:
    random = np.random.default_rng(0)
    logs = -1 + 0.9 / (TEMPERATURES - 0.3)
    fits = [fit_vft(TEMPERATURES, np.exp(logs + 0.03 * random.normal(size=12))) for _ in range(100)]
    for name, exact in (("log_prefactor", -1), ("strength", 0.9), ("divergence_temperature", 0.3)):
        values, errors = (np.array([getattr(fit, name + end) for fit in fits]) for end in ("", "_error"))
        assert values.std() == pytest.approx(errors.mean(), rel=0.3)
        assert values.mean() == pytest.approx(exact, abs=4 * values.std() / 10)


@pytest.mark.parametrize(
    ("temperatures", "times", "match"),
    [
        ([0.5, 0.6, 0.7], [3, 2, 1], "3 points"),
        ([0.5, 0.5, 0.6, 0.7], [3, 3, 2, 1], "four or more different"),
        ([0.5, 0.6, 0.7, 0.8], [3, 2, 1, 0], "positive times"),
        ([0.5, 0.6, 0.7, 0.8], [np.nan, 3, 2, 1], "not finite"),
    ],
)
def test_vft_refuses(temperatures: list[float], times: list[float], match: str) -> None:
    with pytest.raises(FitError, match=match):
        fit_vft(np.array(temperatures), np.array(times, np.float64))


def test_glass_transition_of_exact_lines() -> None:
    found = glass_transition(COOLING[::-1], volume()[::-1])
    assert found.temperature == pytest.approx(0.43, abs=1e-6)
    assert found.volume == pytest.approx(0.8, abs=1e-6)
    assert found.glass_slope == pytest.approx(0.05, abs=1e-5)
    assert found.liquid_slope == pytest.approx(0.2, abs=1e-5)
    assert found.temperature_error < 1e-5


def test_glass_transition_at_a_measured_temperature() -> None:
    assert glass_transition(COOLING, volume(knee=float(COOLING[12]))).temperature == pytest.approx(
        COOLING[12], abs=1e-6
    )


def test_glass_transition_against_a_grid() -> None:
    volumes = volume(0.002)
    grid = np.linspace(COOLING[1], COOLING[-2], 2001)
    squares = []
    for knee in grid:
        columns = np.stack([np.ones(33), np.minimum(COOLING - knee, 0), np.maximum(COOLING - knee, 0)], 1)
        squares.append(np.linalg.lstsq(columns, volumes)[1][0])
    expected = grid[np.argmin(squares)]
    assert glass_transition(COOLING, volumes).temperature == pytest.approx(expected, abs=grid[1] - grid[0])


def test_glass_transition_errors_cover_the_scatter() -> None:
    fits = [glass_transition(COOLING, volume(0.001, seed)) for seed in range(100)]
    for name, exact in (("temperature", 0.43), ("volume", 0.8), ("glass_slope", 0.05), ("liquid_slope", 0.2)):
        values, errors = (np.array([getattr(fit, name + end) for fit in fits]) for end in ("", "_error"))
        assert 0.8 < values.std() / errors.mean() < 1.5
        assert values.mean() == pytest.approx(exact, abs=4 * values.std() / 10)


def test_glass_transition_errors_against_differences() -> None:
    found = glass_transition(COOLING, volume(0.001))
    names = ("temperature", "volume", "glass_slope", "liquid_slope")
    best = np.array([getattr(found, name) for name in names])

    def law(knee: float, at_knee: float, glass: float, liquid: float) -> np.ndarray:
        return at_knee + np.where(knee > COOLING, glass, liquid) * (COOLING - knee)

    jacobian = np.stack([(law(*(best + step)) - law(*(best - step))) / 2e-6 for step in 1e-6 * np.eye(4)], 1)
    residual = volume(0.001) - law(*best)
    covariance = residual @ residual / (33 - 4) * np.linalg.inv(jacobian.T @ jacobian)
    errors = [getattr(found, f"{name}_error") for name in names]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-4)


def test_exactly_straight_volumes_have_no_glass_transition() -> None:
    for slope in np.linspace(0.05, 3, 50):
        with pytest.raises(FitError, match="does not increase"):
            glass_transition(COOLING, 1 + slope * COOLING)


@pytest.mark.parametrize(
    ("temperatures", "volumes", "match"),
    [
        (COOLING[:4], volume()[:4], "4 points"),
        (np.repeat(COOLING[:4], 2), np.repeat(volume()[:4], 2), "different temperatures"),
        (COOLING, 1 - volume(), "does not increase"),
        (COOLING, 1 + 0.01 * np.random.default_rng(0).normal(size=33), "does not increase"),
    ],
)
def test_glass_transition_refuses(temperatures: np.ndarray, volumes: np.ndarray, match: str) -> None:
    with pytest.raises(FitError, match=match):
        glass_transition(temperatures, volumes)


def test_an_undetermined_parameter_is_refused() -> None:
    with pytest.raises(FitError, match="do not determine"):
        least_squares("sum", lambda x, a, b: (a + b) * x, TIMES, TIMES**2, (1.0, 3.0))


def test_a_fit_that_does_not_converge_is_refused() -> None:
    with pytest.raises(FitError, match="no convergence"):
        least_squares("nothing", lambda x, a: np.full_like(x, np.nan) * a, TIMES, TIMES, (1.0,))


@pytest.mark.parametrize("amplitude", [1.0, 0.75])
@pytest.mark.parametrize("time", [1.0, 5.0])
@pytest.mark.parametrize("exponent", [1.0, 0.6])
def test_kww_where_a_logarithm_is_zero(amplitude: float, time: float, exponent: float) -> None:
    # F_s of a Brownian particle, in nine digits as the tables have them: ln f, ln tau or ln beta vanish.
    times = np.geomspace(0.05, 150, 60)
    exact = amplitude * np.exp(-((times / time) ** exponent))
    found = fit_kww(times, np.array([float(f"{value:.9g}") for value in exact]), times[0])
    assert found.non_ergodicity == pytest.approx(amplitude, rel=1e-7)
    assert found.time == pytest.approx(time, rel=1e-7)
    assert found.exponent == pytest.approx(exponent, rel=1e-7)
    assert 0 < found.time_error < 1e-7


def test_errors_do_not_depend_on_where_zero_is() -> None:
    x = np.linspace(0, 1, 20)
    y = 2 * x + 0.01 * np.random.default_rng(0).normal(size=20)
    for offset in (0.0, 1.0):
        (slope, level), errors = least_squares("line", lambda x, a, b: a * x + b, x, y + offset, (1.0, 0.0))
        expected, covariance = np.polyfit(x, y + offset, 1, cov=True)
        np.testing.assert_allclose((slope, level), expected, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-6)
