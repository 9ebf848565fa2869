"""The Kob-Andersen 80:20 Lennard-Jones mixture and its two cutoff conventions.

V_ab(r) = 4 eps_ab [(sigma_ab / r)^12 - (sigma_ab / r)^6] - V_ab(r_c), for r < r_c, else 0.

W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995), eq. (1) and the parameters below it.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.campaign import COMPOSITION, check_composition
from glassformer.core.errors import ConfigurationError, InputError

CutoffConvention = Literal["uniform", "scaled"]

EPSILON = np.array([[1.0, 1.5], [1.5, 0.5]])
SIGMA = np.array([[1.0, 0.8], [0.8, 0.88]])
MASS = 1.0
CUTOFF = 2.5


@dataclass(frozen=True, eq=False)
class PairPotential:
    """Lennard-Jones parameters by species pair, each (2, 2), truncated at `cutoff` and shifted to zero there."""

    epsilon: FloatArray
    sigma: FloatArray
    cutoff: FloatArray


def kob_andersen(convention: CutoffConvention) -> PairPotential:
    """Return the Kob-Andersen potential, cut at 2.5 for every pair ('uniform') or at 2.5 sigma_ab ('scaled').

    'uniform' is the convention of the thesis's simulations; 'scaled' is that of the literature. The two differ in
    pressure and dynamics: a sample records which one made it. Raises `ConfigurationError` for any other name.
    """
    if convention not in get_args(CutoffConvention):
        raise ConfigurationError(
            f"got the cutoff convention {convention!r}; expected one of {', '.join(get_args(CutoffConvention))}",
            "Without the potential neither energies nor forces are known.",
        )
    cutoff = np.full((2, 2), CUTOFF) if convention == "uniform" else CUTOFF * SIGMA
    return PairPotential(EPSILON, SIGMA, cutoff)


def check_mixture(species: ByteArray, where: str, error: type[InputError] = ConfigurationError) -> None:
    """Raise `error`, naming `where`, unless `species` (N,) are those of the 80:20 mixture.

    The nearest whole number of A is as close as a mixture of N particles can come.
    """
    number_a = int((species == 0).sum())
    if abs(number_a - COMPOSITION * len(species)) >= 1:
        raise error(
            f"{where}: got {number_a} A particles of {len(species)}, {number_a / len(species):.1%}; expected"
            f" {COMPOSITION:.0%}: the Kob-Andersen 80:20 mixture",
            "Other mixtures are not supported.",
        )


def mixture(particles: int) -> ByteArray:
    """Return the species (N,) of an 80:20 mixture, A first. Raises `ConfigurationError` if N does not allow it."""
    try:
        check_composition(particles)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    species = np.ones(particles, np.uint8)
    species[: round(COMPOSITION * particles)] = 0
    return species
