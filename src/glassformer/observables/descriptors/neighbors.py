"""Neighbors within a cutoff, as rows of one list."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.core.threads import Team
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.checks import check_positions
from glassformer.physics.configuration import Configuration
from glassformer.physics.neighbors import neighbor_rows


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The neighbors of particle i are `indices[rows[i] : rows[i + 1]]`, all others closer than `cutoff`.

    `rows` (N + 1,) int64, `indices` (P,) int32; `positions` (N, 3), `species` (N,) int64 and `box` (3,) go with them.
    """

    cutoff: float
    rows: NDArray[np.int64]
    indices: NDArray[np.int32]
    positions: FloatArray
    species: NDArray[np.int64]
    box: FloatArray
    dimension: int

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return len(self.species)

    @cached_property
    def centers(self) -> NDArray[np.int64]:
        """The particle that each entry of `indices` is a neighbor of, (P,)."""
        return np.repeat(np.arange(self.particles), np.diff(self.rows))

    @cached_property
    def separations(self) -> FloatArray:
        """The vector to every neighbor, (P, 3)."""
        return minimum_image(self.positions[self.indices] - self.positions[self.centers], self.box)

    @cached_property
    def distances(self) -> FloatArray:
        """The distance of every neighbor, (P,)."""
        return np.asarray(np.sqrt((self.separations**2).sum(1)))

    def check_reach(self, reach: float, what: str) -> None:
        """Raise `ConfigurationError` if `what` needs neighbors up to `reach` and the list is shorter."""
        if reach > self.cutoff * (1 + 1e-12):
            raise ConfigurationError(
                f"{what} reach to {reach:g}; the neighbor list extends to {self.cutoff:g}", "Extend the neighbor list."
            )


def check_cutoff(configuration: Configuration, cutoff: float) -> None:
    """Raise `ConfigurationError` if the cutoff exceeds half the shortest box edge."""
    shortest = float(configuration.edges.min())
    if not 0 < cutoff <= shortest / 2 * (1 + 1e-12):
        raise ConfigurationError(
            f"got a cutoff of {cutoff:g} for neighbors; expected at most half the shortest box edge,"
            f" {shortest / 2:.4g}",
            "Use more particles, or descriptors of shorter reach. A recipe may say: descriptors = { reach ="
            f" {math.floor(10 * shortest / 2 - 3) / 10:g} }}.",
        )


def find_neighbors(configuration: Configuration, cutoff: float, threads: int = 1) -> Neighbors:
    """Return all neighbors closer than `cutoff` in the periodic box, found in a grid of cells.

    Positions are wrapped. Raises `ConfigurationError` as `check_cutoff` does, or for positions, species or a box of
    another form.
    """
    check_cutoff(configuration, cutoff)
    check_positions(configuration.positions, configuration.species, configuration.box)
    positions = wrap(np.ascontiguousarray(configuration.positions, np.float64), configuration.box)
    box = np.ascontiguousarray(configuration.box, np.float64)
    single = np.zeros(len(positions), np.int64)
    # In ascending order the rounding of sums does not depend on the grid.
    rows, indices = neighbor_rows(positions, single, box, np.array([[float(cutoff)]]), Team(threads), ascending=True)
    return Neighbors(
        float(cutoff), rows, indices, positions, configuration.species.astype(np.int64), box, configuration.dimension
    )
