"""Propensity of every particle, and how well the finite number of draws lets any prediction correlate with it."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.core.seeds import generator, named_seed
from glassformer.physics.checks import check_species

_HALVINGS = 20


def propensity(displacements: FloatArray) -> FloatArray:
    """Return the propensity of every particle, its mean |r(t) - r(0)| over the draws, (N,), from (D, N, 3).

    A. Widmer-Cooper, P. Harrowell and H. Fynewever, Phys. Rev. Lett. 93, 135701 (2004), who average the square.
    """
    _check(displacements)
    mean: FloatArray = _distances(displacements).mean(0)
    return mean


def split_half_ceiling(displacements: FloatArray, species: ByteArray, seed: int = 0, kind: int = 0) -> float:
    """Return the Pearson correlation that a perfect prediction would have with the propensity from D draws.

    Only the particles of species `kind`, a number, count. Their propensities from two halves of the draws correlate as
    r, the mean over 20 random halvings, fixed by `seed`. Halves of h draws, stepped up to all D (Spearman-Brown):
    r_D = n r / (1 + (n - 1) r) with n = D / h, 2 r / (1 + r) for even D; for odd D a halving leaves one draw out. The
    ceiling is sqrt(r_D), or 0 if r is not positive. `displacements` are (D, N, 3). NaN for fewer than two draws or such
    particles, or equal propensities.
    C. Spearman, Br. J. Psychol. 3, 271 (1910); W. Brown, Br. J. Psychol. 3, 296 (1910).
    """
    _check(displacements)
    check_species(species, displacements.shape[1])
    distances = _distances(displacements[:, species == kind])
    draws, particles = distances.shape
    if draws < 2 or particles < 2:
        return float("nan")
    half = draws // 2
    random = generator(named_seed(seed, "halvings"))
    orders = (random.permutation(draws) for _ in range(_HALVINGS))
    halves = [(distances[order[:half]].mean(0), distances[order[half : 2 * half]].mean(0)) for order in orders]
    if any(np.ptp(values) == 0 for pair in halves for values in pair):
        return float("nan")
    correlation = float(np.mean([np.corrcoef(*pair)[0, 1] for pair in halves]))
    longer = draws / half
    return float(np.sqrt(max(longer * correlation / (1 + (longer - 1) * correlation), 0.0)))


def moment_ceiling(displacement_mean: FloatArray, displacement_sq_mean: FloatArray, draws: int) -> float:
    """Return the Pearson correlation that a perfect prediction would have with `displacement_mean` of `draws` draws.

    The two moments of |r(t) - r(0)| over the draws are (N,), of particles of one species. A mean has the noise
    (<x^2> - <x>^2) / (D - 1); its mean over particles is the part of the variance of the means that nothing can
    predict: ceiling = sqrt(1 - noise / var), 0 if the noise exceeds var. NaN for fewer than two draws or particles, or
    if all means are equal.
    """
    if draws < 2 or len(displacement_mean) < 2 or np.ptp(displacement_mean) == 0:
        return float("nan")
    noise = (displacement_sq_mean - displacement_mean**2).mean() / (draws - 1)
    return float(np.sqrt(max(1 - noise / displacement_mean.var(ddof=1), 0.0)))


def _check(displacements: FloatArray) -> None:
    if displacements.ndim != 3 or displacements.shape[2] != 3 or not len(displacements):
        raise ConfigurationError(
            f"got displacements of shape {displacements.shape}; expected (D, N, 3), D draws of at least one",
            "Give those of all draws together.",
        )


def _distances(displacements: FloatArray) -> FloatArray:
    distances: FloatArray = np.sqrt((displacements**2).sum(-1))
    return distances
