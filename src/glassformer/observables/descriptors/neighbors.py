"""Neighbors within a cutoff, as rows of one list, and loops over particles in several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.checks import check_positions
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
                f"{what} reach to {reach:g}; the neighbors are listed up to {self.cutoff:g}", "List them further."
            )


def find_neighbors(configuration: Configuration, cutoff: float, threads: int = 1) -> Neighbors:
    """Return all neighbors closer than `cutoff` in the periodic box, found in a grid of cells.

    Positions are wrapped. Raises `ConfigurationError` if the cutoff exceeds half the shortest box edge, or for
    positions, species or a box of another form.
    """
    shortest = float(configuration.edges.min())
    if not 0 < cutoff <= shortest / 2 * (1 + 1e-12):
        raise ConfigurationError(
            f"got a cutoff of {cutoff:g} for neighbors; expected at most half the shortest box edge,"
            f" {shortest / 2:.4g}",
            "Use more particles, or descriptors of shorter reach.",
        )
    check_positions(configuration.positions, configuration.species, configuration.box)
    positions = wrap(np.ascontiguousarray(configuration.positions, np.float64), configuration.box)
    box = np.ascontiguousarray(configuration.box, np.float64)
    grid = np.maximum(np.floor(box / cutoff).astype(np.int64), 1)
    place = np.minimum((positions / box * grid).astype(np.int64), grid - 1)
    cell = (place[:, 0] * grid[1] + place[:, 1]) * grid[2] + place[:, 2]
    order = np.argsort(cell, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=int(grid.prod())))]).astype(np.int64)
    counts = np.zeros(len(cell), np.int64)
    nowhere = np.empty(0, np.int32)
    sorted_positions = np.ascontiguousarray(positions[order].T)
    arguments = (positions, box, grid, place, order, sorted_positions, starts, float(cutoff))
    in_blocks(lambda a, b: _search(a, b, *arguments, counts, counts, nowhere), len(cell), threads)
    rows = np.concatenate([[0], np.cumsum(counts)])
    indices = np.empty(rows[-1], np.int32)
    in_blocks(lambda a, b: _search(a, b, *arguments, counts, rows, indices), len(cell), threads)
    return Neighbors(
        float(cutoff), rows, indices, positions, configuration.species.astype(np.int64), box, configuration.dimension
    )


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


@cached_njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _search(
    first: int,
    last: int,
    positions: Any,
    box: Any,
    grid: Any,
    place: Any,
    order: Any,
    sorted_positions: Any,
    starts: Any,
    cutoff: float,
    counts: Any,
    rows: Any,
    indices: Any,
) -> None:
    """Count the neighbors of particles `first` to `last` - 1 if `indices` is empty, else write and sort them."""
    fill, cutoff2 = len(indices) > 0, cutoff * cutoff
    # Of fewer than three cells along an edge each is looked into once.
    low = np.where(grid >= 3, -1, 0)
    high = np.where(grid >= 3, 1, grid - 1)
    edge_x, edge_y, edge_z = box[0], box[1], box[2]
    for i in range(first, last):
        found, here_x, here_y, here_z = 0, positions[i, 0], positions[i, 1], positions[i, 2]
        for a in range(low[0], high[0] + 1):
            x = (place[i, 0] + a) % grid[0]
            for b in range(low[1], high[1] + 1):
                y = (place[i, 1] + b) % grid[1]
                for c in range(low[2], high[2] + 1):
                    z = (place[i, 2] + c) % grid[2]
                    cell = (x * grid[1] + y) * grid[2] + z
                    inside = 0
                    # Both positions lie in the box: the nearest image is the nearer of two.
                    for entry in range(starts[cell], starts[cell + 1]):
                        dx = abs(sorted_positions[0, entry] - here_x)
                        dy = abs(sorted_positions[1, entry] - here_y)
                        dz = abs(sorted_positions[2, entry] - here_z)
                        dx, dy, dz = min(dx, edge_x - dx), min(dy, edge_y - dy), min(dz, edge_z - dz)
                        inside += 1 if dx * dx + dy * dy + dz * dz < cutoff2 else 0
                    if not fill or not inside:
                        found += inside
                        continue
                    for entry in range(starts[cell], starts[cell + 1]):
                        dx = abs(sorted_positions[0, entry] - here_x)
                        dy = abs(sorted_positions[1, entry] - here_y)
                        dz = abs(sorted_positions[2, entry] - here_z)
                        dx, dy, dz = min(dx, edge_x - dx), min(dy, edge_y - dy), min(dz, edge_z - dz)
                        if dx * dx + dy * dy + dz * dz < cutoff2 and order[entry] != i:
                            indices[rows[i] + found] = order[entry]
                            found += 1
        if fill:
            # The order, and with it the rounding of sums, should not depend on the grid.
            indices[rows[i] : rows[i] + found] = np.sort(indices[rows[i] : rows[i] + found])
        else:
            # The particle itself was counted.
            counts[i] = found - 1
