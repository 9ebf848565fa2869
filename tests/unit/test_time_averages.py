"""Averages over time origins, against walks with known answers and slow, obvious loops; the size of their errors."""

from dataclasses import replace

import numpy as np
import pytest

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.blocks import LEAST_BLOCKS, block_error, blocks_of_time
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.time_averages import (
    MOST_WAVE_VECTORS,
    Track,
    collective_averages,
    distinct_van_hove_average,
    relaxation_time_and_error,
    self_van_hove_average,
    time_averages,
)
from glassformer.observables.time_origins import Lag, at_rest, lags_of, spread_in_time
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from tests.liquids import mixture

BOX = np.array([4.0, 5.0, 6.5])
# Of a walk: <|r(t) - r(0)|^2> = 6 D t.
DIFFUSION = 0.25


def walk(seed: int, times: FloatArray, particles: int = 40, dimension: int = 3) -> Track:
    """Particles that diffuse independently."""
    random = np.random.default_rng(seed)
    steps = np.sqrt(2 * DIFFUSION * np.diff(times, prepend=times[0]))[:, None, None]
    box = BOX.copy()
    places = random.uniform(0, 1, (particles, 3)) * box + np.cumsum(
        steps * random.normal(size=(len(times), particles, 3)), 0
    )
    if dimension == 2:
        box[2], places[:, :, 2] = 1, 0
    return Track(places / box, np.tile(box, (len(times), 1)), mixture(particles), np.array([2.0, 3.0]), dimension)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_walk_has_its_known_msd_scattering_and_relaxation_time(dimension: int) -> None:
    times = 0.05 * np.arange(1500.0)
    track = walk(1, times, 60, dimension)
    found = time_averages(track, lags_of(times))
    sure = np.isfinite(found.msd_error[:, 0])
    assert found.times[sure].max() > 9
    exact = {
        "msd": np.outer(found.times, [2 * dimension * DIFFUSION] * 2),
        "self_scattering": np.exp(-DIFFUSION * np.outer(found.times, track.wave_numbers**2)),
        "alpha_2": np.zeros((len(found.times), 2)),
    }
    for name, expected in exact.items():
        sigmas = ((getattr(found, name) - expected) / getattr(found, f"{name}_error"))[sure]
        # Of six blocks at the longest times, errors are uncertain themselves.
        assert np.mean(np.abs(sigmas) < 2) > 0.85, name
        assert np.abs(sigmas).max() < 6, name
    for kind, wave_number in enumerate(track.wave_numbers):
        time, error = relaxation_time_and_error(
            found.times, found.self_scattering[:, kind], found.self_scattering_error[:, kind]
        )
        exactly = 1 / (wave_number**2 * DIFFUSION)
        # The curve is interpolated between lags.
        assert time == pytest.approx(exactly, abs=3 * error + 0.02 * exactly)
        assert 0.001 < error / exactly < 0.1


def test_independent_walkers_have_the_fluctuation_of_the_overlap_of_a_coin() -> None:
    times = 0.02 * np.arange(3000.0)
    track = walk(2, times)
    found = time_averages(track, lags_of(times))
    stayed, sure = found.overlap, np.isfinite(found.chi_4_error[:, 0])
    sigmas = ((found.chi_4 - stayed * (1 - stayed)) / found.chi_4_error)[sure]
    assert np.mean(np.abs(sigmas) < 2) > 0.85
    assert np.abs(sigmas).max() < 6
    assert np.isnan(found.chi_4[~sure]).all()


def test_errors_have_the_size_of_the_spread_between_runs() -> None:
    times = 0.05 * np.arange(160.0)
    lags = lags_of(times)
    runs = [time_averages(walk(seed, times, 10), lags) for seed in range(120)]
    for name in ("msd", "self_scattering", "overlap", "alpha_2"):
        values = np.array([getattr(run, name) for run in runs])
        errors = np.array([getattr(run, f"{name}_error") for run in runs])
        sure = np.isfinite(errors).all((0, 2))
        assert sure.sum() >= 8
        ratio = np.sqrt((errors[:, sure] ** 2).mean(0)) / values[:, sure].std(0)
        # 120 runs determine a spread to 6 %.
        assert ratio.min() > 0.75, name
        assert ratio.max() < 1.4, name


def test_errors_see_fluctuations_that_last_longer_than_the_lag() -> None:
    random = np.random.default_rng(3)
    times = np.arange(400.0)
    spread, estimated = [], []
    for _ in range(200):
        # Correlated over 25 frames.
        series = np.convolve(random.normal(size=499), np.ones(25), "same")[50:450]
        spread.append(series.mean())
        estimated.append(block_error(series, blocks_of_time(times, 400.0, 1.0)))
    assert np.sqrt(np.mean(np.square(estimated))) == pytest.approx(np.std(spread), rel=0.25)


def test_block_errors_of_equal_blocks_are_those_of_their_means() -> None:
    values = np.random.default_rng(4).normal(size=(80, 3))
    block = np.repeat(np.arange(8), 10)
    means = values.reshape(8, 10, 3).mean(1)
    pairs = values.reshape(4, 20, 3).mean(1)
    expected = np.maximum(means.std(0, ddof=1) / np.sqrt(8), pairs.std(0, ddof=1) / np.sqrt(4))
    np.testing.assert_allclose(block_error(values, block), expected)
    assert np.isnan(block_error(values[:30], block[:30])).all()
    # What all blocks share is no fluctuation, whatever their sizes.
    assert block_error(np.full(9, 2.0), np.array([0, 0, 0, 1, 2, 2, 3, 4, 5])) == 0


@pytest.mark.parametrize(("longest", "blocks"), [(1.0, 16), (7.0, 14), (20.0, 4), (40.0, 2), (80.0, 1)])
def test_blocks_are_no_shorter_than_the_lag(longest: float, blocks: int) -> None:
    times = np.linspace(0, 100, 1001)
    assert np.unique(blocks_of_time(times, 100.0, longest)).tolist() == list(range(blocks))


def spacing(kind: str) -> FloatArray:
    linear, doubling = np.arange(60.0), np.concatenate([[0.0], 2.0 ** np.arange(6)])
    return {
        "linear": linear,
        "logarithmic": doubling,
        "blocks": np.concatenate([doubling[:-1] + 32 * number for number in range(12)]),
        "decimals": np.concatenate([0.005 * doubling[:-1] + 0.16 * number for number in range(12)]),
        "irregular": np.sort(np.random.default_rng(0).choice(500, 40, replace=False)).astype(float),
    }[kind]


@pytest.mark.parametrize("kind", ["linear", "logarithmic", "blocks", "decimals", "irregular"])
def test_lags_and_origins_of_any_spacing(kind: str) -> None:
    times = spacing(kind)
    lags = lags_of(times)
    found = [lag.time for lag in lags]
    assert found == sorted(found)
    assert len(lags) <= 12 * np.log10(times[-1] / np.diff(times).min()) + 2
    for lag in lags:
        everything = [
            (i, j) for i in range(len(times)) for j in range(len(times)) if abs(times[j] - times[i] - lag.time) < 1e-9
        ]
        assert list(zip(lag.first.tolist(), lag.second.tolist(), strict=True)) == everything
    number = {round(lag.time / found[0], 6): len(lag.first) for lag in lags}
    if kind in ("blocks", "decimals"):
        # 16 from the start of a block, and between it and the next; 64 is two blocks.
        assert number[1] == 24
        assert number[64] >= 60
    if kind == "logarithmic":
        assert {1.0, 2.0, 4.0, 8.0, 16.0, 32.0} <= set(number)


def test_lags_of_a_long_trajectory_are_found_from_some_origins() -> None:
    doubling = np.concatenate([[0.0], 2.0 ** np.arange(6)])
    times = np.concatenate([doubling[:-1] + 32 * number for number in range(700)])
    lags = lags_of(times)
    assert len(times) ** 2 > 4_000_000
    assert lags[0].time == 1
    assert len(lags[0].first) == 1400
    assert max(lag.time for lag in lags) > 10_000


@pytest.mark.parametrize("times", [[0.0, 1.0, 1.0], [0.0, 2.0, 1.0], [0.0, np.nan, 2.0]])
def test_times_that_do_not_increase_are_refused(times: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="expected increasing times"):
        lags_of(np.array(times))


def test_one_frame_has_no_lags() -> None:
    assert lags_of(np.zeros(1)) == []
    assert at_rest(np.zeros(1)).block.tolist() == [0]


def test_frames_are_spread_in_time() -> None:
    times = np.concatenate([np.geomspace(0.01, 1, 50), np.arange(2.0, 100)])
    frames = spread_in_time(times, 10)
    assert len(frames.first) == 10
    assert np.diff(times[frames.first]).max() < 13
    assert len(np.unique(frames.block)) >= LEAST_BLOCKS
    np.testing.assert_array_equal(frames.first, frames.second)


@pytest.mark.parametrize("kind", ["linear", "blocks"])
def test_averages_equal_a_slow_loop(kind: str) -> None:
    times = spacing(kind) / 20
    track = walk(5, times, 25)
    found = time_averages(track, lags_of(times))
    places, a = track.fractions * BOX, track.species == 0
    for row in range(0, len(found.times), 3):
        squares, stayed, cosines = [], [], []
        for i in range(len(times)):
            for j in range(len(times)):
                if abs(times[j] - times[i] - found.times[row]) < 1e-9:
                    moved = (places[j] - places[i])[a]
                    squares.append((moved**2).sum(1))
                    stayed.append(np.mean((moved**2).sum(1) < 0.09))
                    cosines.append(np.mean(np.cos(2.0 * moved)))
        assert found.origins[row] == len(squares)
        assert found.msd[row, 0] == pytest.approx(np.mean(squares), rel=1e-12)
        assert found.self_scattering[row, 0] == pytest.approx(np.mean(cosines), abs=1e-12)
        moments = np.mean(np.square(squares)), np.mean(squares)
        assert found.alpha_2[row, 0] == pytest.approx(3 * moments[0] / (5 * moments[1] ** 2) - 1, abs=1e-12)
        assert found.overlap[row, 0] == pytest.approx(np.mean(stayed), abs=1e-12)
        if np.isfinite(found.chi_4[row, 0]):
            expected = a.sum() * (np.mean(np.square(stayed)) - np.mean(stayed) ** 2)
            assert found.chi_4[row, 0] == pytest.approx(expected, abs=1e-12)


def test_few_origins_of_many_are_spread_evenly() -> None:
    lag = lags_of(np.arange(100.0))[0].thinned(10)
    assert lag.first.tolist() == [0, 11, 22, 33, 44, 54, 65, 76, 87, 98]
    assert (lag.second - lag.first == 1).all()
    assert len(lag.block) == 10


def test_a_box_that_breathes_moves_nothing() -> None:
    times = np.arange(30.0)
    still = walk(6, np.zeros(30))
    boxes = BOX * (1 + 0.02 * np.sin(times))[:, None]
    resting = time_averages(replace(still, boxes=boxes), lags_of(times))
    np.testing.assert_allclose(resting.msd, 0, atol=1e-20)
    assert (resting.overlap == 1).all()
    moving = walk(6, 0.01 * times)
    breathing = time_averages(replace(moving, boxes=boxes), lags_of(times))
    ways = (moving.fractions[1:] - moving.fractions[:-1]) * ((boxes[1:] + boxes[:-1]) / 2)[:, None]
    assert breathing.times[0] == 1
    assert breathing.msd[0, 0] == pytest.approx((ways[:, moving.species == 0] ** 2).sum(2).mean(), rel=1e-12)


def test_coherent_scattering_equals_the_function_for_one_pair_of_frames() -> None:
    times = np.arange(6.0)
    track = walk(7, times, 30)
    lags = [at_rest(times), *lags_of(times)]
    values, _ = collective_averages(track, lags)
    for row, lag in enumerate(lags):
        for kind, wave_number in enumerate(track.wave_numbers):
            each = [
                collective_scattering(
                    track.positions(i), track.displacements(i, j), track.species, BOX, wave_number, np.pi / 4
                )[kind]
                for i, j in zip(lag.first.tolist(), lag.second.tolist(), strict=True)
            ]
            assert values[row, kind] == pytest.approx(np.mean(each), rel=1e-9)


def test_of_many_wave_vectors_some_are_taken() -> None:
    times = np.arange(6.0)
    track = replace(walk(7, times, 60), wave_numbers=np.array([15.0, 15.0]))
    lags = [at_rest(times)]
    some, _ = collective_averages(track, lags)
    # Uniform points: S(k) = 1, from 6 x 128 waves.
    assert some[0, 0] == pytest.approx(1, abs=5 / np.sqrt(6 * MOST_WAVE_VECTORS))


def test_van_hove_functions_are_means_over_origins() -> None:
    times = np.arange(12.0)
    track = walk(8, 0.05 * times, 40)
    lag = lags_of(times)[2]
    edges = np.linspace(0, 2, 9)
    pairs = list(zip(lag.first.tolist(), lag.second.tolist(), strict=True))
    of_itself = [self_van_hove(track.displacements(i, j), track.species, edges) for i, j in pairs]
    np.testing.assert_allclose(self_van_hove_average(track, lag, edges)[0], np.mean(of_itself, 0))
    of_others = [
        distinct_van_hove(track.positions(i), track.displacements(i, j), track.species, BOX, edges) for i, j in pairs
    ]
    np.testing.assert_allclose(distinct_van_hove_average(track, lag, edges)[0], np.mean(of_others, 0))


def test_a_drift_is_taken_off() -> None:
    times = np.arange(20.0)
    track = walk(9, 0.05 * times)
    centred = track.without_drift()
    drifting = replace(track, fractions=track.fractions + 0.3 * times[:, None, None])
    np.testing.assert_allclose(drifting.without_drift().fractions, centred.fractions, atol=1e-12)
    np.testing.assert_allclose(centred.fractions[0], track.fractions[0])


def test_a_relaxation_time_beyond_the_curve_is_not_known() -> None:
    times = np.arange(1.0, 5)
    assert np.isnan(relaxation_time_and_error(times, np.full(4, 0.9), np.full(4, 0.1))).all()
    time, error = relaxation_time_and_error(times, np.exp(-times / 2), np.full(4, np.nan))
    assert time == pytest.approx(2, rel=1e-6)
    assert np.isnan(error)


def test_a_lag_without_six_blocks_has_no_error() -> None:
    times = np.arange(10.0)
    found = time_averages(walk(10, times), [lag for lag in lags_of(times) if lag.time >= 2])
    assert np.isnan(found.msd_error).all()
    assert np.isnan(found.chi_4).all()
    assert np.isfinite(found.msd).all()


def test_a_lag_says_which_frames() -> None:
    lag = Lag(2.0, np.array([0, 1]), np.array([1, 2]), np.array([0, 0])).renumbered(np.array([5, 7, 9]))
    assert (lag.first.tolist(), lag.second.tolist()) == ([5, 7], [7, 9])
