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
MOST_SPECIES = 8
# Edge along z of the box of a two-dimensional system: volumes are then areas.
THICKNESS = 1.0
# Fewer particles than this may lie in a plane by intention.
LEAST_FLAT = 10


@dataclass(frozen=True, eq=False)
class Configuration:
    """Positions (N, 3) wrapped to [0, L), species (N,) counted from 0 in the mixture's order, and box edges (3,).

    In two dimensions z = 0 for every particle and Lz = 1, so that N / (Lx Ly Lz) is the number per area.
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
    def dimension(self) -> int:
        """Number of dimensions: 2 where z = 0 for every particle and Lz = 1, else 3."""
        return 2 if self.box[2] == THICKNESS and not self.positions[:, 2].any() else 3

    @property
    def edges(self) -> FloatArray:
        """Box edges along which the particles move, (2,) or (3,)."""
        return self.box[: self.dimension]

    @property
    def density(self) -> float:
        """Number density rho: per volume, or in two dimensions per area."""
        return number_density(self.particles, self.box)

    @property
    def fingerprint(self) -> str:
        """Hash of the contents, to the last bit: it tells which arrays a result was made from."""
        return fingerprint(self.positions, self.species, self.box)

    @cached_property
    def signature(self) -> FloatArray:
        """What the structure is, whatever its origin, numbering or rounding: `glassformer.physics.signature`."""
        return signature(self.positions, self.species, self.box, self.dimension)


def check_configuration(configuration: Configuration, where: str) -> None:
    """Check types, shapes, finite values, species, box, and that every particle lies inside the box.

    Raises `ConfigurationError`, naming `where`.
    """
    check_arrays(CONFIGURATION, vars(configuration), ConfigurationError, where)
    if (configuration.box <= 0).any():
        raise ConfigurationError(f"{where}: got box edges {configuration.box.tolist()}; expected positive lengths")
    if (configuration.species >= MOST_SPECIES).any():
        raise ConfigurationError(
            f"{where}: got species {np.unique(configuration.species)[-8:].tolist()}; expected 0 to {MOST_SPECIES - 1}",
            "Other codes count from 1 or use letters: species are counted from 0 in the mixture's order.",
        )
    if not (configuration.species == SPECIES_A).any():
        raise ConfigurationError(f"{where}: got no particle of species 0 (A); expected a mixture")
    check_not_flat(configuration.positions, configuration.box, where)
    check_inside(configuration.positions, configuration.box, where)
    if configuration.inherent_positions is not None:
        check_inside(configuration.inherent_positions, configuration.box, f"{where}: inherent structure")


def check_not_flat(positions: NDArray[np.floating], box: NDArray[np.floating], where: str) -> None:
    """Raise `ConfigurationError`, naming `where`, if many particles lie in one plane other than that of a 2D system."""
    if len(positions) < LEAST_FLAT or (box[2] == THICKNESS and not positions[:, 2].any()):
        return
    extents = np.linalg.svd(positions - positions.mean(0), compute_uv=False)
    if extents[-1] <= 1e-9 * max(extents[0], 1e-300):
        raise ConfigurationError(
            f"{where}: all {len(positions)} particles lie in one plane; expected positions in three dimensions,"
            f" or z = 0 and a box edge of {THICKNESS:g} along z in two",
            "Set z = 0 and the box edge along z to 1.",
        )


def check_inside(positions: FloatArray, box: FloatArray, where: str) -> None:
    """Raise `ConfigurationError`, naming `where`, if any of `positions` (N, 3) lies outside the box."""
    outside = np.flatnonzero(((positions < 0) | (positions >= box)).any(1))
    if len(outside):
        first = int(outside[0])
        raise ConfigurationError(
            f"{where}: {len(outside)} particles lie outside the box, first number {first} at"
            f" {positions[first].round(4).tolist()}; expected 0 <= r < {box.round(4).tolist()}",
            "Wrap the positions into the box.",
        )
