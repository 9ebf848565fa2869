"""Neighbors within a cutoff, as rows of one list, and loops over particles in several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration

# Particles per call of a compiled loop.
_BLOCK = 512


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

    @property
    def centers(self) -> NDArray[np.int64]:
        """The particle that each entry of `indices` is a neighbor of, (P,)."""
        return np.repeat(np.arange(self.particles), np.diff(self.rows))

    def check_reach(self, reach: float, what: str) -> None:
        """Raise `ConfigurationError` if `what` needs neighbors up to `reach` and the list is shorter."""
        if reach > self.cutoff * (1 + 1e-12):
            raise ConfigurationError(
                f"{what} reach to {reach:g}; the neighbors are listed up to {self.cutoff:g}", "List them further."
            )


def find_neighbors(configuration: Configuration, cutoff: float, threads: int = 1) -> Neighbors:
    """Return all neighbors closer than `cutoff` in the periodic box, found in a grid of cells.

    Raises `ConfigurationError` if the cutoff exceeds half the shortest box edge.
    """
    shortest = float(configuration.edges.min())
    if not 0 < cutoff <= shortest / 2 * (1 + 1e-12):
        raise ConfigurationError(
            f"got a cutoff of {cutoff:g} for neighbors; expected at most half the shortest box edge,"
            f" {shortest / 2:.4g}",
            "Use more particles, or descriptors of shorter reach.",
        )
    positions = np.ascontiguousarray(configuration.positions, np.float64)
    box = np.ascontiguousarray(configuration.box, np.float64)
    grid = np.maximum(np.floor(box / cutoff).astype(np.int64), 1)
    place = np.minimum((positions / box * grid).astype(np.int64), grid - 1)
    cell = (place[:, 0] * grid[1] + place[:, 1]) * grid[2] + place[:, 2]
    order = np.argsort(cell, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=int(grid.prod())))]).astype(np.int64)
    counts = np.zeros(len(cell), np.int64)
    nowhere = np.empty(0, np.int32)
    arguments = (positions, box, grid, place, order, starts, float(cutoff))
    in_blocks(lambda a, b: _search(a, b, *arguments, counts, counts, nowhere), len(cell), threads)
    rows = np.concatenate([[0], np.cumsum(counts)])
    indices = np.empty(rows[-1], np.int32)
    in_blocks(lambda a, b: _search(a, b, *arguments, counts, rows, indices), len(cell), threads)
    return Neighbors(
        float(cutoff), rows, indices, positions, configuration.species.astype(np.int64), box, configuration.dimension
    )


def distances(neighbors: Neighbors) -> FloatArray:
    """Return the distance of every listed pair, (P,)."""
    separation = minimum_image(
        neighbors.positions[neighbors.indices] - neighbors.positions[neighbors.centers], neighbors.box
    )
    return np.asarray(np.sqrt((separation**2).sum(1)))


def in_blocks(loop: Callable[[int, int], Any], particles: int, threads: int) -> None:
    """Call `loop(first, last)` for consecutive blocks of particles, in `threads` threads; it must release the GIL."""
    starts = range(0, particles, _BLOCK)
    if threads <= 1:
        for start in starts:
            loop(start, min(start + _BLOCK, particles))
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(loop, start, min(start + _BLOCK, particles)) for start in starts]:
            future.result()


@cached_njit(nogil=True, error_model="numpy")
def _search(
    first: int,
    last: int,
    positions: Any,
    box: Any,
    grid: Any,
    place: Any,
    order: Any,
    starts: Any,
    cutoff: float,
    counts: Any,
    rows: Any,
    indices: Any,
) -> None:
    """Count the neighbors of particles `first` to `last` - 1 if `indices` is empty, else write and sort them."""
    fill = len(indices) > 0
    # Of fewer than three cells along an edge each is looked into once.
    low = np.where(grid >= 3, -1, 0)
    high = np.where(grid >= 3, 1, grid - 1)
    for i in range(first, last):
        found = 0
        for a in range(low[0], high[0] + 1):
            x = (place[i, 0] + a) % grid[0]
            for b in range(low[1], high[1] + 1):
                y = (place[i, 1] + b) % grid[1]
                for c in range(low[2], high[2] + 1):
                    z = (place[i, 2] + c) % grid[2]
                    cell = (x * grid[1] + y) * grid[2] + z
                    for entry in range(starts[cell], starts[cell + 1]):
                        j = order[entry]
                        distance2 = 0.0
                        for axis in range(3):
                            d = positions[j, axis] - positions[i, axis]
                            d -= box[axis] * np.rint(d / box[axis])
                            distance2 += d * d
                        if distance2 < cutoff * cutoff and j != i:
                            if fill:
                                indices[rows[i] + found] = j
                            found += 1
        if fill:
            # The order, and with it the rounding of sums, should not depend on the grid.
            indices[rows[i] : rows[i] + found] = np.sort(indices[rows[i] : rows[i] + found])
        else:
            counts[i] = found
