"""Observables of one trajectory: from frames to the columns that `evaluate.analysis` makes of datasets.

Columns called `_error` hold the standard error of the mean over time origins or frames, from blocks of time; NaN where
the trajectory is too short for six blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.core.progress import Progress
from glassformer.evaluate.analysis import (
    BIN,
    FARTHEST,
    FARTHEST_JUMP,
    LARGEST_WAVE_NUMBER,
    OBSERVABLES,
    Observable,
    Problem,
    lines_of,
)
from glassformer.evaluate.columns import Columns, names_of_species
from glassformer.observables.blocks import block_error
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.observables.time_averages import (
    TimeAverages,
    Track,
    collective_averages,
    distinct_van_hove_average,
    relaxation_time_and_error,
    self_van_hove_average,
    time_averages,
)
from glassformer.observables.time_origins import Lag, at_rest, lags_of, spread_in_time

# Particles, and frames, that enter averages at one time.
MOST_PARTICLES, MOST_FRAMES, LEAST_FRAMES = 200_000, 32, 8
# Wave vectors along an edge: their number grows with the cube of this.
MOST_WAVES = 64
# Times of the van Hove functions.
MOST_TIMES = 5
# The centre of the particles drifts where its square displacement is this share of the MSD, and this many times what
# N independent particles would give.
DRIFT, DRIFT_BY_CHANCE = 0.02, 20.0


@dataclass(frozen=True, eq=False)
class Motion:
    """One trajectory: its `name`, the `track` of its particles at `times` (F,), and the `names` of its species (S,)."""

    name: str
    track: Track
    times: FloatArray
    names: tuple[str, ...]

    @cached_property
    def lags(self) -> list[Lag]:
        """The lags at which it is observed, at least one. Raises `DatasetError` for a single frame."""
        found = lags_of(self.times)
        if not found:
            raise DatasetError(
                f"{self.name} holds one frame",
                "Dynamics need two or more; rdf and structure need one.",
            )
        return found

    @cached_property
    def averages(self) -> TimeAverages:
        """What is averaged over time origins at every lag."""
        return time_averages(self.track, self.lags)

    def columns(self, name: str, values: FloatArray, errors: FloatArray) -> Columns:
        """Return time, number of origins, and a column with its error for each species, from (L, S)."""
        columns: Columns = {"time": self.averages.times, "origins": self.averages.origins}
        return columns | _by_name(name, [species.lower() for species in self.names], values.T, errors.T)


def _by_name(name: str, ends: Sequence[str], values: FloatArray, errors: FloatArray) -> Columns:
    columns: Columns = {}
    for end, value, error in zip(ends, values, errors, strict=True):
        columns |= {f"{name}_{end}": value, f"{name}_{end}_error": error}
    return columns


def _pairs(motion: Motion) -> list[str]:
    return list(names_of_species(motion.names))[len(motion.names) :]


def msd(motion: Motion) -> Columns:
    """Mean squared displacement of each species."""
    return motion.columns("msd", motion.averages.msd, motion.averages.msd_error)


def self_scattering(motion: Motion) -> Columns:
    """F_s of each species."""
    return motion.columns("f_s", motion.averages.self_scattering, motion.averages.self_scattering_error)


def alpha_2(motion: Motion) -> Columns:
    """Non-Gaussian parameter of each species."""
    return motion.columns("alpha_2", motion.averages.alpha_2, motion.averages.alpha_2_error)


def overlap(motion: Motion) -> Columns:
    """Self overlap of the first species and its susceptibility chi_4 over time origins."""
    found = motion.averages
    return {
        "time": found.times,
        "origins": found.origins,
        "overlap": found.overlap[:, 0],
        "overlap_error": found.overlap_error[:, 0],
        "chi_4": found.chi_4[:, 0],
        "chi_4_error": found.chi_4_error[:, 0],
    }


def pair_correlation(motion: Motion) -> Columns:
    """Partial radial distribution functions, averaged over frames."""
    track, edges = motion.track, _distances(motion)
    frames = _frames(motion)
    values = np.stack(
        [
            radial_distribution(track.positions(i), track.species, track.boxes[i], edges, track.kinds, track.dimension)
            for i in frames.first
        ]
    )
    columns = _by_name("g", _pairs(motion), values.mean(0), block_error(values, frames.block))
    return {"r": (edges[1:] + edges[:-1]) / 2} | columns


def structure(motion: Motion) -> Columns:
    """Partial and total structure factors, averaged over frames, in shells that follow each box."""
    track, frames = motion.track, _frames(motion)
    largest = min(LARGEST_WAVE_NUMBER, float(2 * np.pi * MOST_WAVES / track.boxes[:, : track.dimension].max()))
    found = [
        structure_factor(track.positions(i), track.species, track.boxes[i], largest, track.kinds, track.dimension)
        for i in frames.first
    ]
    shells = min(len(wave_numbers) for wave_numbers, _ in found)
    partials = np.stack([values[:shells] for _, values in found])
    total = total_structure_factor(partials)
    columns = _by_name("s", _pairs(motion), partials.mean(0).T, block_error(partials, frames.block).T)
    columns |= {"s": total.mean(0), "s_error": block_error(total, frames.block)}
    return {"k": np.mean([numbers[:shells] for numbers, _ in found], 0)} | columns


def _frames(motion: Motion) -> Lag:
    """Return the frames that enter averages at one time."""
    most = int(np.clip(MOST_PARTICLES // len(motion.track.species), LEAST_FRAMES, MOST_FRAMES))
    return spread_in_time(motion.times, most)


def _distances(motion: Motion) -> FloatArray:
    farthest = min(FARTHEST, float(motion.track.boxes[:, : motion.track.dimension].min()) / 2)
    return np.arange(0, farthest, BIN)


def van_hove(motion: Motion) -> Columns:
    """Self part of the van Hove function at some times: density of |r(t) - r(0)| of each species."""
    edges = np.arange(0, FARTHEST_JUMP + BIN / 2, BIN)
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    ends = [species.lower() for species in motion.names]
    for lag in _some(motion.lags):
        columns |= _by_name(f"t{lag.time:g}", ends, *self_van_hove_average(motion.track, lag, edges))
    return columns


def distinct(motion: Motion) -> Columns:
    """Distinct part of the van Hove function over the density, at some times."""
    edges = _distances(motion)
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    for lag in _some(motion.lags):
        columns |= _by_name(f"t{lag.time:g}", _pairs(motion), *distinct_van_hove_average(motion.track, lag, edges))
    return columns


def _some(lags: Sequence[Lag]) -> list[Lag]:
    """Return the lags, evenly on a logarithmic scale, at which functions of distance are shown."""
    times = np.log([lag.time for lag in lags])
    wanted = np.linspace(times[0], times[-1], MOST_TIMES)
    return [lags[i] for i in np.unique(np.abs(times - wanted[:, None]).argmin(1))]


def collective(motion: Motion) -> Columns:
    """Coherent F(k, t) of each species at t = 0 and every lag, at the wave numbers of F_s."""
    lags = [at_rest(motion.times), *motion.lags]
    values, errors = collective_averages(motion.track, lags)
    columns: Columns = {"time": np.array([lag.time for lag in lags])}
    return columns | _by_name("f", [species.lower() for species in motion.names], values.T, errors.T)


STATIC = ("rdf", "structure")
COLUMNS: dict[str, Callable[[Motion], Columns]] = {
    "msd": msd,
    "scattering": self_scattering,
    "non-gaussian": alpha_2,
    "overlap": overlap,
    "chi4": overlap,
    "rdf": pair_correlation,
    "structure": structure,
    "van-hove": van_hove,
    "distinct": distinct,
    "collective": collective,
}
_CHANGES: dict[str, dict[str, Any]] = {
    "chi4": {"lines": ("chi_4",), "needs": "a trajectory several times as long as the shortest time between frames"},
    "van-hove": {"meaning": "self van Hove function at some times"},
    "distinct": {"meaning": "distinct van Hove function at some times"},
    "collective": {"meaning": "coherent scattering function", "points": False},
}


def observable_of(name: str) -> Observable:
    """Return how the observable called `name` is drawn."""
    return replace(OBSERVABLES[name], **_CHANGES.get(name, {}))


def make_trajectory_tables(
    motion: Motion, names: Sequence[str], progress: Progress
) -> tuple[dict[str, Columns], list[Problem]]:
    """Return the columns of every observable, and what could not be made: observable, name of the trajectory, why."""
    tables: dict[str, Columns] = {}
    problems: list[Problem] = []
    progress.start("observables", len(names), "")
    for name in names:
        try:
            tables[name] = _finite(name, motion)
        except (ConfigurationError, DatasetError) as error:
            problems.append((name, motion.name, DatasetError(error.problem, error.remedy)))
        progress.advance(1, name)
    return tables, problems


def _finite(name: str, motion: Motion) -> Columns:
    observable, columns = observable_of(name), COLUMNS[name](motion)
    if not any(np.isfinite(columns[line]).any() for line in lines_of(observable, columns)):
        raise DatasetError(f"all values are undefined; it needs {observable.needs or 'values'}", "Write more frames.")
    return columns


def relaxation_times(motion: Motion) -> list[dict[str, Any]]:
    """Return tau_alpha of each species as a row of the table of fits, or why there is none."""
    rows: list[dict[str, Any]] = []
    found = motion.averages
    for kind, species in enumerate(motion.names):
        row = {"fit": f"F_s of {species} at 1/e", "state_point": motion.name}
        scattering = found.self_scattering[:, kind]
        time, error = relaxation_time_and_error(found.times, scattering, found.self_scattering_error[:, kind])
        if np.isfinite(time):
            rows.append(row | {"tau_alpha": time, "tau_alpha_error": error})
        else:
            crossed = bool((scattering < np.exp(-1)).any())
            reason = "is below 1/e at the first time" if crossed else f"stays above 1/e until t = {found.times[-1]:g}"
            rows.append(row | {"failed": f"F_s {reason}"})
    return rows


def drift(motion: Motion) -> float:
    """Return the square displacement of the centre of all particles over their MSD, at the longest lag.

    0 where it is small, or no more than independent particles give by chance.
    """
    track, lag = motion.track, motion.lags[-1]
    moved = track.displacements(int(lag.first[0]), int(lag.second[0]))
    centre, all_ = float((moved.mean(0) ** 2).sum()), float((moved**2).sum(1).mean())
    share = centre / all_ if all_ else 0.0
    return share if share > max(DRIFT, DRIFT_BY_CHANCE / len(moved)) else 0.0
