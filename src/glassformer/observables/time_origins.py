"""Lags of a trajectory, and the pairs of frames that are a lag apart: averages over time origins."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.blocks import blocks_of_time

# Lags in a decade of time.
LAGS_PER_DECADE = 12
# Pairs of frames whose lags are looked at; of longer trajectories the lags from some origins only.
_MOST_PAIRS = 4_000_000
# Times are equal to this fraction of the shortest time between two frames.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Lag:
    """A time `time` and the P pairs of frames that are so far apart: `first` and `second` (P,) are their numbers.

    `block` (P,) is the block of time that each origin belongs to. Blocks are at least as long as the lag, and there are
    16 of them or as many as fit into the time in which origins lie.
    """

    time: float
    first: IntArray
    second: IntArray
    block: IntArray

    def thinned(self, most: int) -> "Lag":
        """Return the lag with at most `most` of its pairs, evenly spread."""
        if len(self.first) <= most:
            return self
        kept = np.unique(np.linspace(0, len(self.first) - 1, most).round().astype(np.int64))
        return Lag(self.time, self.first[kept], self.second[kept], self.block[kept])

    def renumbered(self, frames: IntArray) -> "Lag":
        """Return the lag with frame i called `frames`[i]."""
        return Lag(self.time, frames[self.first], frames[self.second], self.block)


def at_rest(times: FloatArray) -> Lag:
    """Return every frame with itself, for averages at one time: blocks are equal in time, no more than frames."""
    every = np.arange(len(times))
    span = float(times[-1] - times[0])
    return Lag(0.0, every, every, blocks_of_time(times - times[0], span, span / len(times)))


def spread_in_time(times: FloatArray, most: int) -> Lag:
    """Return at most `most` of the frames `at_rest`, spread evenly in time."""
    wanted = np.linspace(times[0], times[-1], min(most, len(times)))
    kept = np.unique(np.abs(times - wanted[:, None]).argmin(1))
    return at_rest(times[kept]).renumbered(kept)


def lags_of(times: FloatArray, per_decade: int = LAGS_PER_DECADE) -> list[Lag]:
    """Return lags between frames at `times` (F,), short ones first, about `per_decade` in each decade.

    Any spacing of frames will do: linear, logarithmic, or blocks of logarithmic times that repeat. In each interval of
    the logarithm of time the lag is chosen that most pairs of frames have, the longest of several. All pairs of
    frames of that lag are origins. Empty for a single frame.

    Raises `ConfigurationError` unless times are finite and increase.
    """
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        frame = int(np.flatnonzero(~(np.diff(times) > 0))[0]) if len(times) > 1 else 0
        raise ConfigurationError(
            f"got times {times[frame : frame + 2].tolist()} of frames {frame} and {frame + 1}; expected increasing"
            " times",
            "Remove frames that were written twice, as by a run that was restarted.",
        )
    if len(times) < 2:
        return []
    tolerance = _SAME * float(np.diff(times).min())
    return [_lag(times, wanted, tolerance) for wanted in _chosen(*_candidates(times, tolerance), per_decade)]


def _candidates(times: FloatArray, tolerance: float) -> tuple[FloatArray, IntArray]:
    """Return the lags between frames and how many pairs have each."""
    number = len(times)
    origins = np.arange(number)
    if number * number > _MOST_PAIRS:
        origins = np.unique(np.linspace(0, number - 1, _MOST_PAIRS // number).round().astype(np.int64))
    differences = np.sort(np.concatenate([times[origin + 1 :] - times[origin] for origin in origins]))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(differences) > tolerance]))
    counts = np.diff(np.append(starts, len(differences)))
    # The middle one of nearly equal values.
    return differences[starts + counts // 2], counts


def _chosen(lags: FloatArray, counts: IntArray, per_decade: int) -> FloatArray:
    intervals = np.floor(np.log10(lags / lags[0]) * per_decade + 0.5)
    # The last of equal keys is the lag that most pairs have, and of those the longest.
    order = np.lexsort((lags, counts, intervals))
    last = np.append(np.flatnonzero(np.diff(intervals[order]) > 0), len(order) - 1)
    return np.sort(lags[order[last]])


def _lag(times: FloatArray, wanted: float, tolerance: float) -> Lag:
    second = np.searchsorted(times, times + wanted - tolerance)
    found = second < len(times)
    found[found] = times[second[found]] <= (times + wanted + tolerance)[found]
    first = np.flatnonzero(found)
    span = float(times[-1] - times[0] - wanted)
    return Lag(
        time=float(wanted),
        first=first,
        second=second[first],
        block=blocks_of_time(times[first] - times[0], span, float(wanted)),
    )
