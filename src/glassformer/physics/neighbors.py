"""Neighbors of all particles in a periodic box, found in a grid of cells."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.threads import Team


def neighbor_rows(
    positions: FloatArray,
    species: NDArray[np.int64],
    box: FloatArray,
    reach: FloatArray,
    team: Team,
    ascending: bool = False,
    centers: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return rows (N S + 1,) and indices (P,) of the neighbors closer than `reach` (S, S) in their nearest image.

    The neighbors of particle i that are of species s are `indices[rows[S i + s] : rows[S i + s + 1]]`, by cells of the
    grid or, for a third of the time more, in `ascending` order. Positions (N, 3) must lie in the box. With `centers`
    there are rows of the first so many particles only.
    """
    kinds, centers = len(reach), len(positions) if centers is None else centers
    grid = np.maximum(np.floor(box / reach.max()).astype(np.int64), 1)
    place = np.minimum((positions / box * grid).astype(np.int64), grid - 1)
    cell = ((place[:, 0] * grid[1] + place[:, 1]) * grid[2] + place[:, 2]) * kinds + species
    order = np.argsort(cell, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=int(grid.prod()) * kinds))]).astype(np.int64)
    counts = np.zeros(centers * kinds, np.int64)
    nowhere = np.empty(0, np.int32)
    in_cells = np.ascontiguousarray(positions[order].T)
    arguments = (positions, species, box, grid, place, order, in_cells, starts, reach**2)
    team.run(lambda first, last: _search(first, last, *arguments, counts, counts, nowhere, ascending), centers)
    rows = np.concatenate([[0], np.cumsum(counts)])
    indices = np.empty(rows[-1], np.int32)
    team.run(lambda first, last: _search(first, last, *arguments, counts, rows, indices, ascending), centers)
    return rows, indices


def copies_around(
    positions: FloatArray, box: FloatArray, margin: float, dimension: int
) -> tuple[NDArray[np.int32], FloatArray]:
    """Return which particles (M,), shifted by what (M, 3), are the particles in the box and their copies around it.

    The first N are the particles themselves. A copy is a periodic image outside the box, closer to it than `margin`
    along every axis. Positions must lie in the box; the margin must not exceed its shortest edge. In two dimensions
    there are no copies along z.
    """
    source, shift = np.arange(len(positions), dtype=np.int32), np.zeros_like(positions)
    for axis in range(dimension):
        place = positions[source, axis]
        low, high = np.flatnonzero(place < margin), np.flatnonzero(place >= box[axis] - margin)
        step = np.zeros(3)
        step[axis] = box[axis]
        shift = np.concatenate([shift, shift[low] + step, shift[high] - step])
        source = np.concatenate([source, source[low], source[high]])
    return source, shift


def cell_order(positions: FloatArray, box: FloatArray, edge: float) -> NDArray[np.int64]:
    """Return an order of particles (N,) in which neighbors in space are close in memory: by cells of about `edge`."""
    grid = np.maximum(np.floor(box / edge).astype(np.int64), 1)
    place = np.minimum((positions / box * grid).astype(np.int64), grid - 1)
    return np.lexsort(place.T[::-1])


# Without fastmath: a distance must be the same when it is counted and when it is listed.
@cached_njit(nogil=True, error_model="numpy")
def _search(
    first: int,
    last: int,
    positions: Any,
    species: Any,
    box: Any,
    grid: Any,
    place: Any,
    order: Any,
    in_cells: Any,
    starts: Any,
    reach2: Any,
    counts: Any,
    rows: Any,
    indices: Any,
    ascending: bool,
) -> None:
    """Count the neighbors of particles `first` to `last` - 1 if `indices` is empty, else write them."""
    fill, kinds = len(indices) > 0, len(reach2)
    # Of fewer than three cells along an edge each is looked into once.
    low = np.where(grid >= 3, -1, 0)
    high = np.where(grid >= 3, 1, grid - 1)
    edge_x, edge_y, edge_z = box[0], box[1], box[2]
    # One row, the particle itself, and a place for whatever is not inside.
    buffer = np.empty(np.diff(rows[kinds * first : kinds * last + 1]).max() + 2 if fill else 0, np.int32)
    for row in range(kinds * first, kinds * last):
        i, kind = row // kinds, row % kinds
        limit, found = reach2[species[i], kind], 0
        here_x, here_y, here_z = positions[i, 0], positions[i, 1], positions[i, 2]
        for a in range(low[0], high[0] + 1):
            x = (place[i, 0] + a) % grid[0]
            for b in range(low[1], high[1] + 1):
                y = (place[i, 1] + b) % grid[1]
                for c in range(low[2], high[2] + 1):
                    z = (place[i, 2] + c) % grid[2]
                    cell = ((x * grid[1] + y) * grid[2] + z) * kinds + kind
                    # Both positions lie in the box: the nearest image is the nearer of two.
                    for entry in range(starts[cell], starts[cell + 1]):
                        dx = abs(in_cells[0, entry] - here_x)
                        dy = abs(in_cells[1, entry] - here_y)
                        dz = abs(in_cells[2, entry] - here_z)
                        dx, dy, dz = min(dx, edge_x - dx), min(dy, edge_y - dy), min(dz, edge_z - dz)
                        if fill:
                            # Written in any case, and kept or overwritten: faster than a branch.
                            buffer[found] = order[entry]
                        found += 1 if dx * dx + dy * dy + dz * dz < limit else 0
        if not fill:
            # The particle itself was counted.
            counts[row] = found - (1 if kind == species[i] else 0)
            continue
        listed = buffer[:found]
        if ascending:
            listed = np.sort(listed)
        entry = rows[row]
        for j in listed:
            if j != i:
                indices[entry] = j
                entry += 1
