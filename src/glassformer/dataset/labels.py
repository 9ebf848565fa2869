"""What a network is asked to predict at given times: the MSD of a configuration, or how far each particle goes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.run import Quantity
from glassformer.dataset.sample import Sample
from glassformer.observables.propensity import moment_ceiling

# Two times count as the same if they differ by less than this.
TIME_TOLERANCE = 1e-6


def target_times(
    samples: Sequence[Sample], wanted: Sequence[float | Literal["last"]], particles: bool = False
) -> FloatArray:
    """Return the times (K,) that `wanted` stands for.

    Raises `DatasetError` if a sample was not observed there or, with `particles`, its particles were not.
    """
    last = float(samples[0].dynamics.times[-1])
    times = np.array([last if time == "last" else time for time in wanted], dtype=np.float64)
    if len(np.unique(times)) < len(times):
        raise DatasetError(
            f"the target times {times.tolist()} contain a time twice", "'last' is the last time of the data."
        )
    for sample in samples:
        for time in times:
            _time_index(sample, float(time))
            if particles:
                _particle_time_index(sample, float(time))
    return times


def msd_a_draws(sample: Sample, times: FloatArray) -> FloatArray:
    """Return the MSD of the first species, MSD_A, in every draw at `times`, (D, K)."""
    return msd_draws(sample, times, 0)


def msd_draws(sample: Sample, times: FloatArray, species: int) -> FloatArray:
    """Return the mean squared displacement of `species` in every draw at `times`, (D, K).

    Raises `DatasetError` where means over draws alone are known.
    """
    indices = [_time_index(sample, float(time)) for time in times]
    chosen: FloatArray = sample.observed("msd")[:, indices, species]
    return chosen


def propensity_draws(sample: Sample, times: FloatArray, species: int) -> FloatArray:
    """Return the mean |r(t) - r(0)| over the particles of `species` in every draw, (D, K).

    (1, K), the mean over draws, where displacements of single draws were not kept.
    """
    of_species = sample.configuration.species == species
    if sample.dynamics.displacements is None:
        of_all: FloatArray = particle_labels(sample, times, "propensity")[of_species].mean(0, keepdims=True)
        return of_all
    chosen = sample.dynamics.displacements[:, _particle_time_indices(sample, times)][:, :, of_species]
    mean: FloatArray = np.sqrt((chosen.astype(np.float64) ** 2).sum(-1)).mean(-1)
    return mean


def log_msd_a(sample: Sample, times: FloatArray) -> FloatArray:
    """Return the label (K,): ln of the mean over draws of MSD_A at `times`."""
    label: FloatArray = np.log(msd_a_draws(sample, times).mean(0))
    return label


def log_mean(sample: Sample, times: FloatArray, quantity: Quantity, species: int) -> FloatArray:
    """Return ln of the mean of `quantity` over draws and over the particles of `species`, (K,)."""
    draws = msd_draws if quantity == "squared-displacement" else propensity_draws
    label: FloatArray = np.log(draws(sample, times, species).mean(0))
    return label


def particle_labels(sample: Sample, times: FloatArray, quantity: Quantity) -> FloatArray:
    """Return `quantity` of every particle at `times`, its mean over draws, (N, K). Raises `DatasetError`."""
    means = sample.observed("displacement_sq_mean" if quantity == "squared-displacement" else "displacement_mean")
    return means[_particle_time_indices(sample, times)].T.astype(np.float64)


def pearson_ceilings(sample: Sample, times: FloatArray, quantity: Quantity, kinds: int | None = None) -> FloatArray:
    """Return the Pearson correlation that a perfect prediction would have with `particle_labels`, (S, K).

    Of every species; `kinds`: their number S, without it that of the mixture. NaN for a species that is absent. What is
    left by the noise of few draws: `glassformer.observables.propensity.moment_ceiling`. It needs the number of draws,
    and the mean square of what is averaged over them: for |r|^2 only the displacements of single draws know it. Where
    that is not known the ceiling is NaN.
    """
    indices, ensemble = _particle_time_indices(sample, times), sample.dynamics
    number = sample.mixture.kinds if kinds is None else kinds
    unknown = np.full((number, len(times)), np.nan)
    if ensemble.displacement_sq_mean is None or not sample.draws:
        return unknown
    if quantity == "propensity":
        mean, square = (
            a[indices].astype(np.float64) for a in (ensemble.displacement_mean, ensemble.displacement_sq_mean)
        )
    elif ensemble.displacements is not None:
        squared = (ensemble.displacements[:, indices].astype(np.float64) ** 2).sum(-1)
        mean, square = squared.mean(0), (squared**2).mean(0)
    else:
        return unknown
    draws, species = sample.draws, sample.configuration.species
    return np.array(
        [
            [
                moment_ceiling(one[species == kind], two[species == kind], draws)
                for one, two in zip(mean, square, strict=True)
            ]
            for kind in range(number)
        ]
    )


def _time_index(sample: Sample, time: float) -> int:
    index = nearest_time(sample.dynamics.times, time)
    if index is None:
        near = sample.dynamics.times[int(np.argmin(np.abs(sample.dynamics.times - time)))]
        raise DatasetError(
            f"{sample.identifier} was not observed at t = {time:g}; its nearest time is {near:g}",
            "Choose target times that every sample has.",
        )
    return index


def _particle_time_indices(sample: Sample, times: FloatArray) -> list[int]:
    return [_particle_time_index(sample, float(time)) for time in times]


def _particle_time_index(sample: Sample, time: float) -> int:
    known = sample.dynamics.particle_times
    index = nearest_time(known, time)
    if index is None:
        raise DatasetError(
            f"{sample.identifier} does not say how far each particle went until t = {time:g}; it does for"
            f" {', '.join(f'{one:g}' for one in known) or 'no time'}",
            "Choose targets.times among these; or simulate with that time among the campaign's particle_times; or let"
            ' the network learn MSD_A alone: network.head = "system".',
        )
    return index


def nearest_time(times: FloatArray, time: float) -> int | None:
    """Return the index of `time` in `times`, or None if it is not there."""
    if not len(times):
        return None
    index = int(np.argmin(np.abs(times - time)))
    return index if abs(times[index] - time) <= TIME_TOLERANCE * max(1.0, time) else None
