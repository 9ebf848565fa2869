"""Dynamics of one trajectory: averages over time origins, with standard errors from blocks of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray, IntArray
from glassformer.observables.blocks import LEAST_BLOCKS, block_error
from glassformer.observables.displacements import non_gaussian
from glassformer.observables.overlap import OVERLAP_LENGTH
from glassformer.observables.relaxation import relaxation_time
from glassformer.observables.time_origins import Lag
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from glassformer.observables.wave_vectors import wave_vectors

# Displacement vectors, and pairs of frames, that enter the averages at a lag.
MOST_VECTORS, MOST_ORIGINS = 1_000_000, 1000
# Displacement vectors held at one time.
_BLOCK = 2**16
# Phases that enter F(k, t), wave vectors, and origins at a lag.
MOST_PHASES, MOST_WAVE_VECTORS, COLLECTIVE_ORIGINS = 1_000_000_000, 128, 64
# Origins of the distribution of pairs, at a lag.
DISTINCT_ORIGINS = 16


@dataclass(frozen=True, eq=False)
class Track:
    """F frames of N particles that are followed: `fractions` (F, N, 3) of the box edges `boxes` (F, 3), unwrapped.

    `species` (N,) count from 0; `wave_numbers` (S,) are |k| at which each is observed.
    """

    fractions: FloatArray
    boxes: FloatArray
    species: ByteArray
    wave_numbers: FloatArray
    dimension: int = 3

    @property
    def kinds(self) -> int:
        """Number of species S."""
        return len(self.wave_numbers)

    @property
    def members(self) -> FloatArray:
        """Number of particles of each species, (S,)."""
        return np.bincount(self.species, minlength=self.kinds).astype(np.float64)

    def displacements(self, first: int, second: int) -> FloatArray:
        """Return the ways (N, 3) from one frame to another, in the mean box of both: where it breathes, that is no way.

        (s_2 - s_1) (L_1 + L_2) / 2 with the unwrapped fractions s.
        """
        ways: FloatArray = (self.fractions[second] - self.fractions[first]) * self._mean_box(first, second)
        return ways

    def positions(self, frame: int) -> FloatArray:
        """Return the unwrapped positions (N, 3) in a frame."""
        found: FloatArray = self.fractions[frame] * self.boxes[frame]
        return found

    def without_drift(self) -> "Track":
        """Return the track in the frame of its centre, the mean of all particles."""
        centre = self.fractions.mean(1, keepdims=True)
        moved = self.fractions - (centre - centre[:1])
        return Track(moved, self.boxes, self.species, self.wave_numbers, self.dimension)

    def _mean_box(self, first: int, second: int) -> FloatArray:
        mean: FloatArray = (self.boxes[first] + self.boxes[second]) / 2
        return mean


@dataclass(frozen=True, eq=False)
class TimeAverages:
    """Means over the origins of L lags, `times` (L,), for each species, (L, S), and their standard errors.

    `origins` (L,): how many pairs of frames entered. An error is NaN where fewer than six blocks, each as long as the
    lag, fit into the trajectory, and so is chi_4, which is a fluctuation between them.
    """

    times: FloatArray
    origins: FloatArray
    msd: FloatArray
    msd_error: FloatArray
    self_scattering: FloatArray
    self_scattering_error: FloatArray
    alpha_2: FloatArray
    alpha_2_error: FloatArray
    overlap: FloatArray
    overlap_error: FloatArray
    chi_4: FloatArray
    chi_4_error: FloatArray


def time_averages(track: Track, lags: Sequence[Lag], advance: Callable[[float], None] = lambda _: None) -> TimeAverages:
    """Return the averages over time origins at each of `lags`; `advance` is called with 1 after each.

    MSD, F_s, alpha_2 and overlap as for draws. chi_4(t) = N_a [<Q^2> - <Q>^2] with the self overlap Q of a species of
    N_a particles and means over origins: a run of length T misses the part of the fluctuation that is slower than T.
    alpha_2 is made of the mean moments; its error is that of (1 + alpha_2) (r^4 / <r^4> - 2 r^2 / <r^2>).
    """
    rows = []
    for lag in lags:
        chosen = lag.thinned(int(np.clip(MOST_VECTORS // len(track.species), 20, MOST_ORIGINS)))
        rows.append(_averages(track, chosen))
        advance(1)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return TimeAverages(np.array([lag.time for lag in lags]), *columns)


def _averages(track: Track, lag: Lag) -> tuple[float | FloatArray, ...]:
    """Return the fields of `TimeAverages` at one lag, but for its time."""
    values = _moments(track, lag.first, lag.second)
    msd, quartic, scattering, stayed = values.mean(0)
    errors = block_error(values, lag.block)
    alpha_2 = non_gaussian(msd, quartic, track.dimension)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = (1 + alpha_2) * (values[:, 1] / quartic - 2 * values[:, 0] / msd)
    fluctuation = track.members * (values[:, 3] - stayed) ** 2
    known = len(np.unique(lag.block)) >= LEAST_BLOCKS
    chi_4 = fluctuation.mean(0) if known else np.full(track.kinds, np.nan)
    return (
        float(len(lag.first)), msd, errors[0], scattering, errors[2], alpha_2, block_error(change, lag.block),
        stayed, errors[3], chi_4, block_error(fluctuation, lag.block),
    )  # fmt: skip


def _moments(track: Track, first: IntArray, second: IntArray) -> FloatArray:
    """Return r^2, r^4, F_s and overlap of each species between P pairs of frames, (P, 4, S).

    The quantities of `observables.displacements` and `observables.overlap`, for many pairs at once.
    """
    members = track.members
    share = np.divide(1, members, out=np.full(track.kinds, np.nan), where=members > 0)
    weights = np.where(track.species[:, None] == np.arange(track.kinds), share, 0 * share)
    wave_numbers = track.wave_numbers[track.species]
    found = np.empty((len(first), 4, track.kinds))
    step = max(1, _BLOCK // len(track.species))
    for start in range(0, len(first), step):
        pairs = slice(start, start + step)
        mean_box = (track.boxes[first[pairs]] + track.boxes[second[pairs]]) / 2
        moved = (track.fractions[second[pairs]] - track.fractions[first[pairs]]) * mean_box[:, None]
        squares = (moved**2).sum(2)
        cosines = np.cos(wave_numbers[:, None] * moved[:, :, : track.dimension]).mean(2)
        found[pairs] = np.stack([squares, squares**2, cosines, squares < OVERLAP_LENGTH**2], 1) @ weights
    return found


def relaxation_time_and_error(times: FloatArray, scattering: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Return tau_alpha and its standard error: that of F_s over the slope of F_s in ln t, both at 1/e.

    `times`, `scattering` and `errors` (T,). NaN if F_s does not come down to 1/e, and for an error that is not known.
    """
    time = relaxation_time(times, scattering)
    if np.isnan(time):
        return time, time
    after = int(np.flatnonzero(scattering < np.exp(-1))[0])
    pair = slice(after - 1, after + 1)
    slope = np.diff(scattering[pair])[0] / np.diff(np.log(times[pair]))[0]
    error = float(np.interp(np.log(time), np.log(times[pair]), errors[pair]))
    return time, abs(error / slope) * time


def collective_averages(track: Track, lags: Sequence[Lag]) -> tuple[FloatArray, FloatArray]:
    """Return the coherent F(k, t) of each species at `lags`, (L, S), and its standard error.

    F(k, t) = (1/N_a) <rho_a(k, t) rho_a(-k, 0)> over origins and wave vectors k = 2 pi n / L with ||k| - k_a| at most
    half the spacing of n along the shortest edge; where there are more than `MOST_WAVE_VECTORS`, evenly chosen ones.
    n are those of the mean box. J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.

    Raises `ConfigurationError` if there is no such wave vector.
    """
    values, errors = np.full((2, len(lags), track.kinds), np.nan)
    for kind, wave_number in enumerate(track.wave_numbers):
        members = np.flatnonzero(track.species == kind)
        if not len(members):
            continue
        numbers = _wave_numbers(track, float(wave_number))
        frames = MOST_PHASES // (len(numbers) * len(members) * track.kinds)
        origins = int(np.clip(frames // len(lags), LEAST_BLOCKS, COLLECTIVE_ORIGINS))
        density: dict[int, np.ndarray] = {}
        for row, lag in enumerate(lag.thinned(origins) for lag in lags):
            for frame in {*lag.first.tolist(), *lag.second.tolist()} - density.keys():
                density[frame] = _density(track.fractions[frame, members], numbers)
            products = np.array(
                [
                    (density[second] * density[first].conj()).real.mean() / len(members)
                    for first, second in zip(lag.first.tolist(), lag.second.tolist(), strict=True)
                ]
            )
            values[row, kind], errors[row, kind] = products.mean(), block_error(products, lag.block)
    return values, errors


def _wave_numbers(track: Track, wave_number: float) -> FloatArray:
    """Return the whole numbers n, (K, 3), of wave vectors about as long as `wave_number`."""
    box = track.boxes.mean(0)
    width = float(np.pi / box[: track.dimension].min())
    numbers: FloatArray = np.rint(wave_vectors(box, wave_number, width, track.dimension) * box / (2 * np.pi))
    if len(numbers) > MOST_WAVE_VECTORS:
        numbers = numbers[np.linspace(0, len(numbers) - 1, MOST_WAVE_VECTORS).round().astype(np.int64)]
    return numbers


def _density(fractions: FloatArray, numbers: FloatArray) -> np.ndarray:
    """Return rho(k) = sum_j exp(2 pi i n . s_j), (K,)."""
    phases = 2 * np.pi * (fractions @ numbers.T)
    modes: np.ndarray = np.cos(phases).sum(0) + 1j * np.sin(phases).sum(0)
    return modes


def self_van_hove_average(track: Track, lag: Lag, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `self_van_hove` between the frames of `lag`, averaged over origins, and its error, both (S, bins)."""
    chosen = lag.thinned(int(np.clip(MOST_VECTORS // len(track.species), 20, MOST_ORIGINS)))
    values = np.stack(
        [
            self_van_hove(track.displacements(first, second), track.species, edges, track.kinds)
            for first, second in zip(chosen.first, chosen.second, strict=True)
        ]
    )
    return values.mean(0), block_error(values, chosen.block)


def distinct_van_hove_average(track: Track, lag: Lag, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `distinct_van_hove` between the frames of `lag`, averaged over origins, and its error, (pairs, bins)."""
    chosen = lag.thinned(DISTINCT_ORIGINS)
    values = []
    for first, second in zip(chosen.first, chosen.second, strict=True):
        box, moved = (track.boxes[first] + track.boxes[second]) / 2, track.displacements(first, second)
        start = track.fractions[first] * box
        values.append(distinct_van_hove(start, moved, track.species, box, edges, track.kinds, track.dimension))
    return np.mean(values, 0), block_error(np.stack(values), chosen.block)
