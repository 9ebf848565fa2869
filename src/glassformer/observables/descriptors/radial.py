"""Radial densities: how many particles of each species lie near each distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.errors import ConfigurationError
from glassformer.core.threads import in_blocks
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, table_of

# Gaussians end where they have fallen to exp(-5^2 / 2) = 4e-6.
TAIL = 5.0


@dataclass(frozen=True, eq=False)
class Shells:
    """Gaussian shells: rising centers r_k and widths delta_k, (K,), in sigma_AA."""

    centers: FloatArray
    widths: FloatArray

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` unless centers rise, widths are positive, and there is one for each."""
        fits = self.centers.ndim == 1 and len(self.centers) and self.widths.shape == self.centers.shape
        if not fits or (np.diff(self.centers) <= 0).any() or (self.widths <= 0).any():
            raise ConfigurationError(
                "got shells whose centers do not increase, or without a positive width for each",
                "Give increasing centers and a positive width for each.",
            )

    @property
    def reach(self) -> float:
        """Distance beyond which no shell counts a particle."""
        return float((self.centers + TAIL * self.widths).max())


def default_shells(reach: float = 5.0) -> Shells:
    """Return the shells of Boattini et al. (2021) up to `reach`.

    Centers from 0.85 with spacing and width 0.025 up to 2, then 0.05. E. Boattini, F. Smallenburg and L. Filion, Phys.
    Rev. Lett. 127, 088007 (2021).
    """
    fine, coarse = 0.85 + 0.025 * np.arange(46), 2.0 + 0.05 * np.arange(61)
    centers = np.concatenate([fine, coarse])
    widths = np.repeat([0.025, 0.05], [len(fine), len(coarse)])
    inside = centers <= reach + 1e-9
    return Shells(centers[inside], widths[inside])


def coarse_shells(reach: float = 5.0) -> Shells:
    """Return seven wide shells with centers from 0.95 to 3.1, or those that end before `reach`."""
    centers = np.array([0.95, 1.15, 1.375, 1.7, 2.2, 2.6, 3.1])
    widths = np.array([0.06, 0.06, 0.07, 0.115, 0.115, 0.115, 0.175])
    inside = centers + TAIL * widths <= reach
    return Shells(centers[inside], widths[inside])


def radial_densities(
    neighbors: Neighbors, shells: Shells, species: Sequence[str], label: str = "radial", threads: int = 1
) -> Descriptors:
    """Return G_i(r_k, s) = sum over neighbors j of species s of exp(-(r_ij - r_k)^2 / (2 delta_k^2)).

    Columns `<label>.<species>.<r_k>`: species by species, `species` being their names, and shell by shell. E. Boattini,
    F. Smallenburg and L. Filion, Phys. Rev. Lett. 127, 088007 (2021), equation 2. Terms below 4e-6 are left out.
    """
    neighbors.check_reach(shells.reach, "the radial densities")
    values = np.zeros((neighbors.particles, len(species), len(shells.centers)), np.float32)
    listed = neighbors.rows, neighbors.indices, neighbors.positions, neighbors.species, neighbors.box
    in_blocks(lambda a, b: _radial(a, b, *listed, shells.centers, shells.widths, values), neighbors.particles, threads)
    names = tuple(f"{label}.{name}.{center:.3f}" for name in species for center in shells.centers)
    return Descriptors(names, values.reshape(neighbors.particles, -1))


def local_density(neighbors: Neighbors, width: float = 0.6) -> Descriptors:
    """Return `density`: the number density about every particle, of all species and the particle itself.

    rho_i = sum_j exp(-r_ij^2 / (2 w^2)) / (2 pi w^2)^(d / 2) with w = `width`, over r_ij < 5 w.
    """
    neighbors.check_reach(TAIL * width, "the local densities")
    scaled = neighbors.distances / width
    weights = np.where(scaled < TAIL, np.exp(-0.5 * scaled**2), 0.0)
    total = 1 + np.bincount(neighbors.centers, weights, neighbors.particles)
    return table_of(["density"], [total / (2 * np.pi * width**2) ** (neighbors.dimension / 2)])


@cached_njit(nogil=True, error_model="numpy")
def _radial(
    first: int,
    last: int,
    rows: Any,
    indices: Any,
    positions: Any,
    species: Any,
    box: Any,
    centers: Any,
    widths: Any,
    values: Any,
) -> None:
    widest = widths.max() * TAIL
    sums = np.empty(values.shape[1:])
    # exp(-s^2 / 2) by linear interpolation: wrong by 2e-7 at most, and five times as fast.
    steps = 800
    table = np.exp(-0.5 * (np.arange(int(TAIL) * steps + 2) / steps) ** 2)
    for i in range(first, last):
        sums[:] = 0
        for entry in range(rows[i], rows[i + 1]):
            j = indices[entry]
            distance2 = 0.0
            for axis in range(3):
                d = positions[j, axis] - positions[i, axis]
                d -= box[axis] * np.rint(d / box[axis])
                distance2 += d * d
            distance = np.sqrt(distance2)
            k = np.searchsorted(centers, distance - widest)
            while k < len(centers) and centers[k] < distance + widest:
                scaled = abs(distance - centers[k]) / widths[k]
                if scaled < TAIL:
                    part = scaled * steps
                    entry_below = int(part)
                    part -= entry_below
                    sums[species[j], k] += table[entry_below] + part * (table[entry_below + 1] - table[entry_below])
                k += 1
        values[i] = sums
