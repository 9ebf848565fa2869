"""What the draws of a sample may say: curves that some dynamics can give, and that agree with each other."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import DatasetError
from glassformer.observables.overlap import OVERLAP_LENGTH
from glassformer.observables.species import mean_by_species
from glassformer.physics.mixture import Mixture

if TYPE_CHECKING:
    from glassformer.dataset.sample import Ensemble, Sample

# How far beyond free flight at its temperature a draw may move, and rounding of what cannot exceed 1.
FARTHEST, ROUNDING = 10, 1e-6
# Relative rounding of what was computed from displacements before they were stored in single precision.
SINGLE = 1e-5
# How far the mean F_s may rise above its first value: a part, and standard errors of a mean of random cosines.
RISE, RISE_ERRORS = 0.1, 6


def check_dynamics(sample: "Sample", where: str) -> None:
    """Raise `DatasetError` for what no dynamics can do, whatever the liquid, and for arrays that contradict others."""
    ensemble, species, mixture = sample.dynamics, sample.configuration.species, sample.mixture
    problems = [_times(ensemble), _means(ensemble, sample.facts.temperature, species, mixture)]
    if ensemble.msd is not None:
        problems += [
            _flight(ensemble.times, ensemble.msd, sample.facts.temperature, mixture),
            _curves(ensemble, ensemble.msd, species, mixture),
            _moments(ensemble, ensemble.msd, species, mixture.kinds),
            _displacements(ensemble, ensemble.msd, species, mixture.kinds),
        ]
    with np.errstate(over="ignore", invalid="ignore"):
        found = next((problem for problem, there in chain.from_iterable(problems) if there), None)
    if found is not None:
        raise DatasetError(f"{where}: got {found}", "No simulation can give that: the file cannot be used.")


Problems = Iterator[tuple[str, bool]]


def _times(ensemble: "Ensemble") -> Problems:
    times, particle_times = ensemble.times, ensemble.particle_times
    yield "a first time of 0 or less", times[0] <= 0
    yield "a particle time of 0 or less", _any(particle_times <= 0)
    yield "particle times that do not increase", _any(np.diff(particle_times) <= 0)
    yield "a particle time after the last time", _any(particle_times > times[-1] * (1 + ROUNDING))
    if ensemble.seeds is not None:
        known = ensemble.seeds[ensemble.seeds >= 0]
        yield "one velocity seed for several draws", len(np.unique(known)) < len(known)


def _farthest(times: FloatArray, temperature: float, mixture: Mixture) -> FloatArray:
    """Return the mean squared displacement (T, Q) beyond which no draw gets.

    By the Cauchy-Schwarz inequality <|r(t) - r(0)|^2> <= d T t^2 / m for the mean over time of T, which is not exact.
    """
    farthest: FloatArray = FARTHEST * mixture.dimension * temperature / mixture.masses * times[:, None] ** 2
    return farthest


def _flight(times: FloatArray, msd: FloatArray, temperature: float, mixture: Mixture) -> Problems:
    yield (
        f"a mean squared displacement beyond {FARTHEST} times that of free flight",
        _any(msd > _farthest(times, temperature, mixture)),
    )


def _means(ensemble: "Ensemble", temperature: float, species: ByteArray, mixture: Mixture) -> Problems:
    mean = ensemble.displacement_mean.astype(np.float64)
    yield "a negative displacement", _any(mean < 0)
    if ensemble.displacement_sq_mean is not None:
        square = ensemble.displacement_sq_mean.astype(np.float64)
        yield "a negative displacement", _any(square < 0)
        yield "a mean squared displacement below the square of the mean", _any(mean**2 > square * (1 + SINGLE))
    # The square of a mean over particles is at most the mean square.
    by_species = [mean_by_species(one, species, mixture.kinds) for one in mean] if mean.size else []
    far = _farthest(ensemble.particle_times, temperature, mixture)
    yield (
        f"propensities beyond {np.sqrt(FARTHEST):.2g} times those of free flight",
        bool(by_species) and _any(np.array(by_species) ** 2 > far * (1 + SINGLE)),
    )


def _curves(ensemble: "Ensemble", msd: FloatArray, species: ByteArray, mixture: Mixture) -> Problems:
    scattering = np.asarray(ensemble.self_scattering)
    yield "a self scattering function beyond 1", _any(np.abs(scattering) > 1 + ROUNDING)
    # cos x >= 1 - x^2 / 2, and the mean over the d axes of (k . r)^2 is k^2 r^2 / d.
    least = 1 - mixture.wave_numbers**2 * msd / (2 * mixture.dimension)
    yield f"a self scattering function below 1 - k^2 MSD / {2 * mixture.dimension}", _any(scattering < least - ROUNDING)
    mean = scattering.mean(0)
    error = np.sqrt(0.5 / (len(scattering) * np.bincount(species, minlength=mixture.kinds)))
    yield "a self scattering function that rises", _any(mean > mean[0] + RISE + RISE_ERRORS * error)
    if ensemble.overlap is None:
        return
    yield "an overlap that is no share", _any((ensemble.overlap < 0) | (ensemble.overlap > 1 + ROUNDING))
    # Markov's inequality for the squared displacement.
    yield (
        f"an overlap below 1 - MSD / {OVERLAP_LENGTH:g}^2",
        _any(ensemble.overlap < 1 - msd / OVERLAP_LENGTH**2 - ROUNDING),
    )


def _moments(ensemble: "Ensemble", msd: FloatArray, species: ByteArray, kinds: int) -> Problems:
    if ensemble.quartic is None:
        return
    quartic, squared = np.maximum(ensemble.quartic, 0), msd**2
    yield (
        "a mean fourth power of the displacement below the square of the mean second",
        _any(np.sqrt(quartic) < msd * (1 - ROUNDING)),
    )
    # All of it in one particle.
    yield (
        "a mean fourth power of the displacement that the mean second does not allow",
        _any(quartic > np.bincount(species, minlength=kinds) * squared * (1 + ROUNDING)),
    )


def _displacements(ensemble: "Ensemble", of_draws: FloatArray, species: ByteArray, kinds: int) -> Problems:
    """Compare the particles' displacements with their means, and these with the curves at the same times."""
    square = np.asarray(ensemble.displacement_sq_mean, np.float64)
    found = None if ensemble.displacements is None else _squares(ensemble, species, kinds)
    if found is not None:
        yield "propensities that are not the means of the displacements", _differ(ensemble.displacement_mean, found[0])
        yield "mean squared displacements of particles that are not those of the draws", _differ(square, found[1])
    for number, time in enumerate(ensemble.particle_times):
        at = int(np.argmin(np.abs(ensemble.times - time)))
        if abs(ensemble.times[at] - time) > ROUNDING * time:
            continue
        mean, msd = mean_by_species(square[number], species, kinds), of_draws[:, at]
        yield "a mean squared displacement that is not that of the particles", _differ(msd.mean(0), mean)
        if found is not None:
            yield (
                "a draw's mean squared displacement that is not that of its particles",
                _differ(msd, found[2][:, number]),
            )


def _squares(ensemble: "Ensemble", species: ByteArray, kinds: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the means over draws of |r(t) - r(0)| and its square, (S, N), and each draw's MSD, (D, S, Q)."""
    assert ensemble.displacements is not None
    draws, times = ensemble.displacements.shape[:2]
    mean, square = np.zeros((2, times, len(species)))
    msd = np.zeros((draws, times, kinds))
    # One draw at a time, for the sake of memory.
    for draw, displacements in enumerate(ensemble.displacements):
        squared = (displacements.astype(np.float64) ** 2).sum(-1)
        mean += np.sqrt(squared) / draws
        square += squared / draws
        for time in range(times):
            msd[draw, time] = mean_by_species(squared[time], species, kinds)
    return mean, square, msd


def _differ(one: FloatArray | np.ndarray, other: FloatArray) -> bool:
    return not np.allclose(one, other, rtol=SINGLE, atol=0)


def _any(condition: np.ndarray) -> bool:
    return bool(condition.any())
