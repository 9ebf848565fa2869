"""Windows of holding: what they measure on motions that are known, and when two of them agree."""

from dataclasses import replace

import numpy as np
import pytest

from glassformer.simulate.hold import AGREEMENT, SEGMENTS, Hold, Window, agree, blocked_error
from tests.liquids import kob_andersen

BOX = np.full(3, 10.0)
PARTICLES = 4000
SPECIES = np.zeros(PARTICLES, np.uint8)
WAVE_NUMBER = 7.25


def diffuse(windows: int, diffusivity: float, steps: int = 800, breathing: float = 0.0, seed: int = 0) -> Hold:
    """Free diffusion: F_s = exp(-k^2 D t), so that tau_alpha = 1 / (k^2 D)."""
    random = np.random.default_rng(seed)
    hold = Hold(steps, 0.01, SPECIES, kob_andersen("scaled"))
    positions = random.uniform(0, 10, (PARTICLES, 3))
    for _ in range(windows):
        at = 0
        for step in hold.steps().tolist():
            positions = positions + random.normal(0, np.sqrt(2 * diffusivity * 0.01 * (step - at)), positions.shape)
            at = step
            box = BOX * (1 + breathing * random.normal())
            hold.observe(step, positions / BOX, box, -7 + 0.01 * random.normal())
    return hold


def test_tau_alpha_of_free_diffusion_within_a_segment() -> None:
    expected = 1 / (WAVE_NUMBER**2 * 0.05)
    assert expected < 8 / SEGMENTS
    hold = diffuse(2, 0.05)
    for window in hold.windows:
        # Twelve thousand cosines in eight segments: F_s to 1 %, tau to 1 %, and linear interpolation in ln t.
        assert window.tau_alpha == pytest.approx(expected, rel=0.06)
        assert window.scattering == pytest.approx(np.exp(-window.lag / expected), abs=5 * window.scattering_error)
        assert window.lag == pytest.approx(expected, rel=0.3)
        assert window.duration == pytest.approx(8.0)
        assert window.density == pytest.approx(4.0, rel=1e-9)
        assert window.energy == pytest.approx(-7, abs=5 * window.energy_error)
    assert hold.in_tau_alpha() == pytest.approx(16 / hold.windows[-1].tau_alpha)


def test_tau_alpha_beyond_a_window() -> None:
    expected = 1 / (WAVE_NUMBER**2 * 0.0015)
    assert 8 < expected < 16
    hold = diffuse(3, 0.0015)
    assert np.isnan(hold.windows[0].tau_alpha)
    assert hold.windows[-1].tau_alpha == pytest.approx(expected, rel=0.06)
    assert hold.windows[-1].lag == pytest.approx(8 / SEGMENTS)


def test_a_breathing_box_does_not_move_particles() -> None:
    still = diffuse(1, 1e-12, breathing=0.01)
    assert still.windows[0].scattering == pytest.approx(1.0, abs=1e-6)


def test_equilibrium_needs_time_and_agreement() -> None:
    hold = diffuse(1, 0.05)
    assert not hold.equilibrated(0.0)
    hold = diffuse(2, 0.05)
    assert hold.equilibrated(20.0)
    assert not hold.equilibrated(1e6)
    hold.windows[-1] = replace(hold.windows[-1], tau_alpha=np.nan)
    assert not hold.equilibrated(0.0)


WINDOW = Window(
    duration=1, density=1.2, energy=-7, energy_error=0.03, lag=1, scattering=0.4, scattering_error=0.003, tau_alpha=1
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"energy": -7 + 0.05 * AGREEMENT * 0.99, "energy_error": 0.04}, True),
        ({"energy": -7 + 0.05 * AGREEMENT * 1.01, "energy_error": 0.04}, False),
        ({"energy": -7 - 0.05 * AGREEMENT * 1.01, "energy_error": 0.04}, False),
        ({"scattering": 0.4 + 0.005 * AGREEMENT * 0.99, "scattering_error": 0.004}, True),
        ({"scattering": 0.4 - 0.005 * AGREEMENT * 1.01, "scattering_error": 0.004}, False),
        ({"lag": 2.0}, False),
    ],
)
def test_windows_agree_within_their_errors(changes: dict[str, float], expected: bool) -> None:
    assert agree(WINDOW, replace(WINDOW, **changes)) is expected


def test_a_slow_drift_is_seen_over_two_windows() -> None:
    """One and a half errors of the difference from window to window: three over two."""
    step = 1.5 * np.hypot(0.03, 0.03)
    hold = Hold(800, 0.01, SPECIES, kob_andersen("scaled"))
    hold.windows = [replace(WINDOW, energy=-7 - number * step, duration=10.0) for number in range(3)]
    assert agree(*hold.windows[:2])
    assert agree(*hold.windows[1:])
    assert not hold.equilibrated(5.0)
    hold.windows = hold.windows[1:]
    assert hold.equilibrated(5.0)


def test_positions_do_not_pile_up() -> None:
    hold = diffuse(6, 0.05)
    # tau_alpha is 0.38, less than a segment of 1: two lags of one segment, and eight to average over.
    assert len(hold.state()["starts"]) == 11
    assert hold.windows[-1].tau_alpha == pytest.approx(1 / (WAVE_NUMBER**2 * 0.05), rel=0.06)


def test_an_ageing_liquid_is_not_in_equilibrium() -> None:
    """Energy falls by ten of its errors from window to window."""
    hold = diffuse(2, 0.05)
    error = hold.windows[0].energy_error
    hold.windows[0] = replace(hold.windows[0], energy=hold.windows[1].energy + 10 * error)
    assert not hold.equilibrated(5.0)


def test_blocked_error_of_independent_and_of_correlated_values() -> None:
    random = np.random.default_rng(3)
    independent = random.normal(size=(2000, 8))
    found = np.mean([blocked_error(row) for row in independent])
    # The larger of two estimates of 1 / sqrt 8, each with its own scatter: a little more.
    assert 1.0 < found * np.sqrt(8) < 1.25
    pairs = np.repeat(random.normal(size=(2000, 4)), 2, axis=1)
    assert np.mean([blocked_error(row) for row in pairs]) == pytest.approx(np.sqrt(1 / 4), rel=0.1)


def test_a_restored_hold_goes_on_the_same() -> None:
    whole = diffuse(2, 0.05)
    random = np.random.default_rng(0)
    hold = Hold(800, 0.01, SPECIES, kob_andersen("scaled"))
    positions = random.uniform(0, 10, (PARTICLES, 3))
    for _ in range(2):
        at = 0
        for step in hold.steps().tolist():
            positions = positions + random.normal(0, np.sqrt(2 * 0.05 * 0.01 * (step - at)), positions.shape)
            at = step
            box = BOX * (1 + 0.0 * random.normal())
            state = {name: array.copy() for name, array in hold.state().items()}
            hold = Hold(800, 0.01, SPECIES, kob_andersen("scaled"))
            hold.restore(state)
            hold.observe(step, positions / BOX, box, -7 + 0.01 * random.normal())
    np.testing.assert_array_equal(hold.table(), whole.table())
