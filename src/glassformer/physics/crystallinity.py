"""Bond order of degree 6, Steinhardt's and, in two dimensions, hexatic: has a configuration begun to crystallise?"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.special import sph_harm_y

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import holds, minimum_image
from glassformer.physics.checks import check_positions
from glassformer.physics.configuration import Configuration

# First minimum of g_AA of the Kob-Andersen mixture at density 1.2 (1.42 at T = 0.45), in sigma_AA.
BOND_CUTOFF = 1.4
# Between liquid and crystal, by dimension, measured with this cutoff. Three: in the equilibrium liquid at density 1.2,
# T = 0.44 and 0.45, qbar_6 has median 0.125 and exceeds 0.35 for at most 1 particle in 1000. In crystals at T = 0.44,
# 99 % of particles exceed 0.35 (CsCl of A and B, density 1.45) and 0.51 (fcc of A, density 1.15).
# Two: in the ternary Kob-Andersen liquid psibar_6 exceeds 0.85 for 0.5 % of the particles at T = 0.23 and for 0.8 % at
# T = 0.4; in one of a single species, density 0.8, T = 0.7, for 2 %. In triangular crystals of a single species it does
# for 97 % (density 0.9, T = 0.3) to 74 % (density 0.92, T = 0.6, close to melting).
CRYSTALLINE = {2: 0.85, 3: 0.35}
_DEGREE = 6


@dataclass(frozen=True, eq=False)
class BondOrder:
    """Global Q_6 of all bonds, and the averaged local bond order qbar_6 of every particle, (N,).

    In two `dimension`s they are |Psi_6| and psibar_6.
    """

    overall: float
    local: FloatArray
    dimension: int = 3


def bond_order(configuration: Configuration, cutoff: float = BOND_CUTOFF) -> BondOrder:
    """Return the bond order of `configuration`; bonds join particles, of any species, closer than `cutoff` (sigma_AA).

    q_6m(i) is the mean of Y_6m over the bonds of i, and qbar_6m(i) the mean of q_6m over i and its neighbours; then
    qbar_6(i) = [4 pi / 13 sum_m |qbar_6m(i)|^2]^(1/2) (W. Lechner and C. Dellago, J. Chem. Phys. 129, 114707 (2008)).
    Q_6 is the same of the mean of Y_6m over all bonds (P. J. Steinhardt, D. R. Nelson and M. Ronchetti, Phys. Rev. B
    28, 784 (1983)): of order 1 / sqrt(bonds) in a liquid. A particle without bonds has q_6m = 0.

    In two dimensions exp(6 i theta) takes the place of Y_6m, theta being the angle of a bond with the x axis: psi_6(i)
    is its mean over the bonds of i (D. R. Nelson and B. I. Halperin, Phys. Rev. B 19, 2457 (1979)), psibar_6(i) the
    modulus of the mean of psi_6 over i and its neighbours, and |Psi_6| that of the mean over all bonds. A triangular
    lattice has 1.

    Raises `ConfigurationError` for a bad configuration, or a box shorter than two cutoffs.
    """
    check_positions(configuration.positions, configuration.species, configuration.box)
    box, dimension = configuration.box, configuration.dimension
    if not holds(float(configuration.edges.min()), 2 * cutoff):
        raise ConfigurationError(
            f"got box edges {configuration.edges.round(3).tolist()}; expected at least two bond cutoffs,"
            f" {2 * cutoff:g}",
            "Use more particles.",
        )
    bonds = cKDTree(configuration.positions, boxsize=box).query_pairs(cutoff, output_type="ndarray")
    first, second = bonds.T
    harmonics_of, invariant = (_hexatic, _modulus) if dimension == 2 else (_harmonics, _invariant)
    harmonics = harmonics_of(minimum_image(configuration.positions[second] - configuration.positions[first], box))
    averaged = _averaged(bonds, harmonics, configuration.particles)
    overall = harmonics.sum(0, keepdims=True) / max(len(bonds), 1)
    return BondOrder(float(invariant(overall)[0]), invariant(averaged), dimension)


def _averaged(bonds: np.ndarray, harmonics: np.ndarray, particles: int) -> np.ndarray:
    """Return the means over every particle and its neighbours of its means over bonds (P, 2) of `harmonics` (P, M)."""
    first, second = bonds.T
    # Y_6m(-r) = Y_6m(r), likewise exp(6 i theta): a bond counts alike for both its ends.
    ends, numbers = np.concatenate([first, second]), np.tile(np.arange(len(bonds)), 2)
    ones = np.ones(2 * len(bonds))
    bonds_of = csr_array((ones, (ends, numbers)), (particles, len(bonds)))
    neighbors_of = csr_array((ones, (ends, np.concatenate([second, first]))), (particles, particles))
    counts = np.bincount(ends, minlength=particles)[:, None]
    order = bonds_of @ harmonics / np.maximum(counts, 1)
    averaged: np.ndarray = (order + neighbors_of @ order) / (counts + 1)
    return averaged


def crystalline_fraction(order: BondOrder, threshold: float | None = None) -> float:
    """Return the share of particles whose averaged local bond order exceeds `threshold`, by default `CRYSTALLINE`."""
    least = CRYSTALLINE[order.dimension] if threshold is None else threshold
    return float((order.local > least).mean())


def _harmonics(separations: FloatArray) -> np.ndarray:
    """Return Y_6m of bonds (P, 3) for m = 0 ... 6, (P, 7): those of negative m have the same modulus in every mean."""
    x, y, z = separations.T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    harmonics: np.ndarray = sph_harm_y(_DEGREE, np.arange(_DEGREE + 1), polar[:, None], azimuth[:, None])
    return harmonics


def _invariant(means: np.ndarray) -> FloatArray:
    squared = np.abs(means) ** 2
    total = squared[:, 0] + 2 * squared[:, 1:].sum(1)
    invariant: FloatArray = np.sqrt(4 * np.pi / (2 * _DEGREE + 1) * total)
    return invariant


def _hexatic(separations: FloatArray) -> np.ndarray:
    """Return exp(6 i theta) of bonds (P, 3) in the plane, (P, 1)."""
    x, y, _ = separations.T
    hexatic: np.ndarray = np.exp(1j * _DEGREE * np.arctan2(y, x))[:, None]
    return hexatic


def _modulus(means: np.ndarray) -> FloatArray:
    modulus: FloatArray = np.abs(means[:, 0])
    return modulus
