"""A configuration: the structure that is the parent of an isoconfigurational ensemble."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import CONFIGURATION, ByteArray, FloatArray, check_arrays
from glassformer.core.errors import ConfigurationError
from glassformer.core.provenance import fingerprint
from glassformer.physics.box import number_density
from glassformer.physics.signature import signature

SPECIES_A, SPECIES_B = 0, 1
# Fewer particles than this may lie in a plane by intention.
LEAST_FLAT = 10


@dataclass(frozen=True, eq=False)
class Configuration:
    """Positions (N, 3) wrapped to [0, L), species (N,) with 0 = A and 1 = B, and box edges (3,).

    `inherent_positions` (N, 3), wrapped, too: the local energy minimum reached from the positions, where it was sought.
    """

    positions: FloatArray
    species: ByteArray
    box: FloatArray
    inherent_positions: FloatArray | None = None

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return len(self.species)

    @property
    def density(self) -> float:
        """Number density rho."""
        return number_density(self.particles, self.box)

    @property
    def fingerprint(self) -> str:
        """Hash of the contents, to the last bit: it tells which arrays a result was made from."""
        return fingerprint(self.positions, self.species, self.box)

    @cached_property
    def signature(self) -> FloatArray:
        """What the structure is, whatever its origin, numbering or rounding: `glassformer.physics.signature`."""
        return signature(self.positions, self.species, self.box)


def check_configuration(configuration: Configuration, where: str) -> None:
    """Check types, shapes, finite values, species, box, and that every particle lies inside the box.

    Raises `ConfigurationError`, naming `where`.
    """
    check_arrays(CONFIGURATION, vars(configuration), ConfigurationError, where)
    if (configuration.box <= 0).any():
        raise ConfigurationError(f"{where}: got box edges {configuration.box.tolist()}; expected positive lengths")
    strange = np.setdiff1d(configuration.species, [SPECIES_A, SPECIES_B])
    if len(strange):
        raise ConfigurationError(
            f"{where}: got species {strange.tolist()}; expected 0 (A) and 1 (B)",
            "Other codes count from 1: subtract 1 on import.",
        )
    if not (configuration.species == SPECIES_A).any():
        raise ConfigurationError(f"{where}: got no particle of species 0 (A); expected a mixture")
    check_not_flat(configuration.positions, where)
    _check_inside(configuration.positions, configuration.box, where)
    if configuration.inherent_positions is not None:
        _check_inside(configuration.inherent_positions, configuration.box, f"{where}: inherent structure")


def check_not_flat(positions: NDArray[np.floating], where: str) -> None:
    """Raise `ConfigurationError`, naming `where`, if many particles all lie in one plane: a two-dimensional system."""
    if len(positions) < LEAST_FLAT:
        return
    extents = np.linalg.svd(positions - positions.mean(0), compute_uv=False)
    if extents[-1] <= 1e-9 * max(extents[0], 1e-300):
        raise ConfigurationError(
            f"{where}: all {len(positions)} particles lie in one plane; expected positions in three dimensions",
            "Two-dimensional systems are not supported.",
        )


def _check_inside(positions: FloatArray, box: FloatArray, where: str) -> None:
    outside = np.flatnonzero(((positions < 0) | (positions >= box)).any(1))
    if len(outside):
        first = int(outside[0])
        raise ConfigurationError(
            f"{where}: {len(outside)} particles lie outside the box, first number {first} at"
            f" {positions[first].round(4).tolist()}; expected 0 <= r < {box.round(4).tolist()}",
            "Wrap the positions into the box.",
        )
