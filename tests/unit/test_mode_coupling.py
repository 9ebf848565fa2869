"""The F2 model: exact limits, a slow direct solver, and the laws at and near the transition."""

import numpy as np
import pytest

from glassformer.core.errors import InputError
from glassformer.observables.mode_coupling import non_ergodicity, schematic_correlator


def direct(coupling: float, damping: float, until: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Equal steps and the trapezoidal rule for the memory, and nothing clever."""
    times = np.arange(0, until + step / 2, step)
    phi, velocity = np.ones(len(times)), np.zeros(len(times))

    def force(n: int, speed: float) -> float:
        values = coupling * phi[n::-1] ** 2 * np.append(velocity[:n], speed)
        memory = step * (values.sum() - (values[0] + values[-1]) / 2) if n else 0.0
        return float(-damping * speed - phi[n] - memory)

    for n in range(len(times) - 1):
        now = force(n, velocity[n])
        phi[n + 1] = phi[n] + step * velocity[n] + step**2 / 2 * now
        guess = velocity[n] + step * now
        for _ in range(3):
            guess = velocity[n] + step / 2 * (now + force(n + 1, guess))
        velocity[n + 1] = guess
    return times, phi


@pytest.mark.parametrize(("coupling", "damping"), [(3.0, 1.0), (3.0, 0.0), (4.5, 1.0), (1.0, 5.0)])
def test_against_the_direct_solver(coupling: float, damping: float) -> None:
    times, expected = direct(coupling, damping, 20, 0.005)
    found = np.interp(times, *schematic_correlator(coupling, 20, damping))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_without_coupling_and_damping_it_is_a_cosine() -> None:
    times, phi = schematic_correlator(0, 5, 0, frequency=2.0)
    early = times <= 5
    assert early.sum() > 1000
    np.testing.assert_allclose(phi[early], np.cos(2 * times[early]), atol=1e-3)


def test_without_coupling_it_is_the_damped_oscillator() -> None:
    times, phi = schematic_correlator(0, 30, 1.0)
    rate = np.sqrt(0.75)
    np.testing.assert_allclose(
        phi, np.exp(-times / 2) * (np.cos(rate * times) + np.sin(rate * times) / 2 / rate), atol=1e-3
    )


def test_small_times() -> None:
    times, phi = schematic_correlator(3, 0.1, frequency=3.0)
    early = (times > 1e-3) & (times < 1e-2)
    # The next term is damping Omega^2 t^3 / 6: at most 1 % of the second.
    np.testing.assert_allclose((1 - phi[early]) / (9 * times[early] ** 2 / 2), 1, atol=0.01)


def test_frequency_is_the_unit_of_time() -> None:
    slow, fast = schematic_correlator(3.5, 100, 1.0, 1.0), schematic_correlator(3.5, 10, 10.0, 10.0)
    np.testing.assert_allclose(fast[0], slow[0] / 10)
    np.testing.assert_allclose(fast[1], slow[1])


@pytest.mark.parametrize("coupling", [4.0, 4.2, 5.0, 50.0])
def test_non_ergodicity_solves_its_equation(coupling: float) -> None:
    f = non_ergodicity(coupling)
    assert f / (1 - f) == pytest.approx(coupling * f**2)
    assert f >= 0.5


def test_the_liquid_is_ergodic() -> None:
    assert non_ergodicity(3.999) == 0
    assert non_ergodicity(4.0) == 0.5


@pytest.mark.parametrize("coupling", [4.2, 5.0])
def test_the_glass_freezes_at_its_plateau(coupling: float) -> None:
    times, phi = schematic_correlator(coupling, 1e8)
    assert times[-1] >= 1e8
    np.testing.assert_allclose(phi[times > 1e6], non_ergodicity(coupling), atol=1e-4)


def test_the_liquid_decays() -> None:
    times, phi = schematic_correlator(3.9, 1e6)
    assert abs(phi[-1]) < 1e-6
    # The plateau is near 1/2 and two-step: it stays within 0.1 of it for a decade.
    near = times[np.abs(phi - 0.5) < 0.1]
    assert near.max() / near.min() > 10


def test_the_critical_decay() -> None:
    # phi - 1/2 ~ t^-a with Gamma(1 - a)^2 / Gamma(1 - 2 a) = lambda = 1/2: a = 0.39526.
    times, phi = schematic_correlator(4, 1e8)
    late = (times > 1e4) & (times < 1e8)
    assert (phi > 0.5).all()
    slope = np.polyfit(np.log(times[late]), np.log(phi[late] - 0.5), 1)[0]
    assert slope == pytest.approx(-0.3953, rel=0.01)


def test_relaxation_times_diverge_with_the_exponent_gamma() -> None:
    # gamma = 1 / 2 a + 1 / 2 b, with b = 1 of lambda = 1/2: 1.765.
    distances = np.array([4e-3, 1e-3])
    solutions = [schematic_correlator(4 * (1 - distance), 1e8) for distance in distances]
    tau = [np.exp(np.interp(-0.25, -phi, np.log(times + 1e-30))) for times, phi in solutions]
    assert np.log(tau[1] / tau[0]) / np.log(4) == pytest.approx(1.765, rel=0.05)


def test_more_points_change_little() -> None:
    coarse, fine = (schematic_correlator(3.99, 1e6, points=points) for points in (512, 2048))
    at = np.geomspace(0.1, 1e5, 200)
    np.testing.assert_allclose(np.interp(at, *coarse), np.interp(at, *fine), atol=2e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        (-1.0, 10.0),
        (1.0, 0.0),
        (1.0, 10.0, -1.0),
        (1.0, 10.0, 1.0, 0.0),
        (1.0, 10.0, 1.0, 1.0, 6),
        (1.0, 10.0, 1.0, 1.0, 9),
    ],
)
def test_impossible_arguments(arguments: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="coupling"):
        schematic_correlator(*arguments)  # type: ignore[arg-type]
