"""Which pairs can be within the cutoff in any draw: an outer list, built rarely, and an inner one pruned from it often.

A pair belongs in a list if it is closer, in any draw, than its cutoff plus the list's skin: the exact test. Candidates
for the outer list are found first: particle i is a box, the smallest that holds it in all its draws, and two boxes
further apart than that cannot hold such a pair. The boxes are sorted into cells, and those of a row of cells are tested
a vector at a time.
"""

from typing import Any, NamedTuple

import numpy as np

from glassformer.core.compiled import cached_njit
from glassformer.simulate.lockstep.simd import (
    aligned_zeros,
    broadcast,
    fetch,
    horizontal_maximum,
    horizontal_minimum,
    load,
    lowest_bit,
    maximum,
    put,
    which_less,
    width,
)

# Edge of a cell: at 1.2 particles a unit volume, about twenty of them share one search.
CELL = 2.5
# Boxes are compared in the vectors' precision; this covers its rounding.
ROUNDING = 1e-4


class PairList(NamedTuple):
    """Pairs, each once: with i and the species s of j, entries from rows[i S + s, 0] to rows[i S + s, 1] of the others.

    `neighbors` (P,): j. `separation` (P, 3): reference position of i less that of j's nearest image.
    """

    rows: np.ndarray
    neighbors: np.ndarray
    separation: np.ndarray


class Cells(NamedTuple):
    """Particles by cell (C) and species (S): entries starts[c S + s] to starts[c S + s + 1] of `order`.

    `low`, `high` (N, 3): the particles' boxes, moved by whole periodic boxes so that their centres lie in the first;
    `position` (N, 3): reference positions, moved with them. `widest` (S, 3): the greatest half-widths.
    """

    order: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    edge: np.ndarray
    low: np.ndarray
    high: np.ndarray
    position: np.ndarray
    widest: np.ndarray


class Near(NamedTuple):
    """Images of particles near one cell: rows of box bounds (low x, y, z, high x, y, z), -index, reference position."""

    bounds: np.ndarray
    minus_index: np.ndarray
    position: np.ndarray


def empty_list(particles: int, kinds: int, capacity: int, dtype: Any) -> PairList:
    """Return a list with room for `capacity` pairs."""
    rows = np.zeros((particles * kinds, 2), np.int64)
    return PairList(rows, np.zeros(capacity, np.int32), np.zeros((capacity, 3), dtype))


def empty_near(capacity: int, dtype: Any) -> Near:
    """Return room for `capacity` particles, a multiple of the lanes."""
    return Near(aligned_zeros(6 * capacity, dtype), aligned_zeros(capacity, dtype), np.zeros((capacity, 3)))


@cached_njit(nogil=True, error_model="numpy")
def bounding_boxes(u, reference):
    """Return lows (N, 3) and highs (N, 3) of the box that holds each particle in all its draws."""
    lanes = width(u)
    low, high = np.empty(reference.shape), np.empty(reference.shape)
    for i in range(reference.shape[0]):
        for axis in range(3):
            values = load(u, (3 * i + axis) * lanes)
            low[i, axis] = reference[i, axis] + np.float64(horizontal_minimum(values))
            high[i, axis] = reference[i, axis] + np.float64(horizontal_maximum(values))
    return low, high


@cached_njit(nogil=True, error_model="numpy")
def sort_into_cells(low, high, reference, species, kinds, box, counts):
    """Sort the particles by the cells of their boxes' centres; `low` and `high` move into the first periodic box."""
    particles = low.shape[0]
    group, position = np.empty(particles, np.int64), np.empty((particles, 3))
    starts = np.zeros(counts[0] * counts[1] * counts[2] * kinds + 1, np.int64)
    widest = np.zeros((kinds, 3))
    for i in range(particles):
        cell = 0
        for axis in range(3):
            center = 0.5 * (low[i, axis] + high[i, axis])
            shift = np.floor(center / box[axis]) * box[axis]
            inside = center - shift
            position[i, axis] = reference[i, axis] - shift
            low[i, axis] -= shift
            high[i, axis] -= shift
            place = np.int64(inside / box[axis] * counts[axis])
            cell = cell * counts[axis] + max(0, min(place, counts[axis] - 1))
            widest[species[i], axis] = max(widest[species[i], axis], high[i, axis] - inside)
        group[i] = cell * kinds + species[i]
        starts[group[i] + 1] += 1
    starts = np.cumsum(starts)
    order, filled = np.empty(particles, np.int64), starts[:-1].copy()
    for i in range(particles):
        order[filled[group[i]]] = i
        filled[group[i]] += 1
    return Cells(order, starts, counts, box / counts, low, high, position, widest)


@cached_njit(nogil=True, error_model="numpy")
def _copy_cell(cells, group, wrap, near, count):
    """Append the particles of one cell and species, moved by `wrap` boxes, to `near`, as far as there is room."""
    capacity = near.position.shape[0]
    for n in range(cells.starts[group], cells.starts[group + 1]):
        if count < capacity:
            j = cells.order[n]
            near.minus_index[count] = -j
            for axis in range(3):
                shift = wrap[axis] * cells.counts[axis] * cells.edge[axis]
                near.position[count, axis] = cells.position[j, axis] + shift
                near.bounds[axis * capacity + count] = cells.low[j, axis] + shift
                near.bounds[(3 + axis) * capacity + count] = cells.high[j, axis] + shift
        count += 1
    return count


@cached_njit(nogil=True, error_model="numpy", inline="always")
def _span(low, high, extent, edge):
    """First and last cell that a stretch from low - extent to high + extent touches."""
    return np.int64(np.floor((low - extent) / edge)), np.int64(np.floor((high + extent) / edge))


@cached_njit(nogil=True, error_model="numpy", inline="always")
def _gap(low, high, cell, edge, widest):
    """Distance along one axis between a stretch and the particles of a cell, which reach `widest` past its walls."""
    return max(cell * edge - widest - high, low - (cell + 1) * edge - widest, 0.0)


@cached_njit(nogil=True, error_model="numpy")
def find_near(cells, kinds, s, low, high, limit, near):
    """Copy to `near` the particles of species s in cells that can hold one within `limit` of the box (low, high).

    Returns how many there are, also where there is no room for them; the last vector is filled up with none.
    """
    edge, counts, widest, count = cells.edge, cells.counts, cells.widest[s], 0
    capacity, lanes = near.position.shape[0], width(near.bounds)
    x_first, x_last = _span(low[0], high[0], limit + widest[0], edge[0])
    y_first, y_last = _span(low[1], high[1], limit + widest[1], edge[1])
    z_first, z_last = _span(low[2], high[2], limit + widest[2], edge[2])
    for x in range(x_first, x_last + 1):
        gap_x = _gap(low[0], high[0], x, edge[0], widest[0])
        for y in range(y_first, y_last + 1):
            gap_y = _gap(low[1], high[1], y, edge[1], widest[1])
            for z in range(z_first, z_last + 1):
                gap_z = _gap(low[2], high[2], z, edge[2], widest[2])
                if gap_x * gap_x + gap_y * gap_y + gap_z * gap_z < limit * limit:
                    wrap = (x // counts[0], y // counts[1], z // counts[2])
                    cell = (x - wrap[0] * counts[0]) * counts[1] + y - wrap[1] * counts[1]
                    cell = cell * counts[2] + z - wrap[2] * counts[2]
                    count = _copy_cell(cells, cell * kinds + s, wrap, near, count)
    for n in range(count, min(-(-count // lanes) * lanes, capacity)):
        near.minus_index[n] = np.inf
    return count


@cached_njit(nogil=True, error_model="numpy")
def find_candidates(i, low, high, limit, near, count, found):
    """Write the places in `near` of the particles j > i whose boxes come within `limit` of i's; return how many."""
    bounds, stride, lanes = near.bounds, near.position.shape[0], width(near.bounds)
    kind, zero = bounds.dtype.type, broadcast(bounds, bounds.dtype.type(0))
    x_low, y_low, z_low = kind(low[i, 0]), kind(low[i, 1]), kind(low[i, 2])
    x_high, y_high, z_high = kind(high[i, 0]), kind(high[i, 1]), kind(high[i, 2])
    candidates = 0
    for n in range(0, count, lanes):
        x = maximum(maximum(load(bounds, n) - x_high, x_low - load(bounds, 3 * stride + n)), zero)
        y = maximum(maximum(load(bounds, stride + n) - y_high, y_low - load(bounds, 4 * stride + n)), zero)
        z = maximum(maximum(load(bounds, 2 * stride + n) - z_high, z_low - load(bounds, 5 * stride + n)), zero)
        bits = which_less(x * x + y * y + z * z, kind(limit * limit)) & which_less(load(near.minus_index, n), kind(-i))
        while bits:
            put(found, candidates, n + lowest_bit(bits))
            bits &= bits - 1
            candidates += 1
    return candidates


@cached_njit(nogil=True, error_model="numpy")
def _list_pairs(u, i, position, reach, near, found, candidates, pairs, count):
    """Append those of i's candidates that are within `reach` in any draw to `pairs`; return how many it holds then.

    Past the room there is, only count.
    """
    lanes, kind, limit2, last = width(u), u.dtype.type, u.dtype.type(reach * reach), pairs.neighbors.shape[0] - 1
    a = i * 3 * lanes
    xi, yi, zi = load(u, a), load(u, a + lanes), load(u, a + 2 * lanes)
    x, y, z = position[i]
    for k in range(candidates):
        n = fetch(found, k)
        j = -np.int64(fetch(near.minus_index, n))
        s0 = kind(x - fetch(near.position, 3 * n))
        s1 = kind(y - fetch(near.position, 3 * n + 1))
        s2 = kind(z - fetch(near.position, 3 * n + 2))
        b = j * 3 * lanes
        dx = xi - load(u, b) + s0
        dy = yi - load(u, b + lanes) + s1
        dz = zi - load(u, b + 2 * lanes) + s2
        # Written in any case, kept only if counted: a store is cheaper than a branch that is often wrong.
        at = min(count, last)
        put(pairs.neighbors, at, j)
        put(pairs.separation, 3 * at, s0)
        put(pairs.separation, 3 * at + 1, s1)
        put(pairs.separation, 3 * at + 2, s2)
        count += which_less(dx * dx + dy * dy + dz * dz, limit2) != 0
    return count


@cached_njit(nogil=True, error_model="numpy")
def build(u, reference, species, box, counts, reach, near, pairs):
    """Write all pairs within `reach` (S, S) in any draw to `pairs`.

    Every image of a pair is a candidate of its own: where draws have drifted apart, two images of j may each be i's
    neighbour in some draw. Returns the room needed in `pairs` and in `near`; if either was too small the list is not
    whole and must be built again; `pairs` needs one place to spare.
    """
    kinds = reach.shape[0]
    low, high = bounding_boxes(u, reference)
    cells = sort_into_cells(low, high, reference, species, kinds, box, counts)
    found = np.empty(near.position.shape[0], np.int64)
    needed, count = 0, 0
    for cell in range(counts[0] * counts[1] * counts[2]):
        members = cells.order[cells.starts[cell * kinds] : cells.starts[(cell + 1) * kinds]]
        if not len(members):
            continue
        around_low, around_high = low[members[0]].copy(), high[members[0]].copy()
        for i in members:
            around_low, around_high = np.minimum(around_low, low[i]), np.maximum(around_high, high[i])
        for s in range(kinds):
            here = find_near(cells, kinds, s, around_low, around_high, reach[:, s].max() + ROUNDING, near)
            needed = max(needed, here)
            if here > near.position.shape[0]:
                continue
            for i in members:
                limit = reach[species[i], s]
                candidates = find_candidates(i, low, high, limit + ROUNDING, near, here, found)
                pairs.rows[i * kinds + s, 0] = count
                count = _list_pairs(u, i, cells.position, limit, near, found, candidates, pairs, count)
                pairs.rows[i * kinds + s, 1] = count
    return count, needed


@cached_njit(nogil=True, error_model="numpy")
def prune(u, species, reach, pairs, kept):
    """Write to `kept`, which has room, those of `pairs` that are within `reach` (S, S) in any draw; return how many."""
    kinds, lanes, count = reach.shape[0], width(u), 0
    for i in range(species.shape[0]):
        a = i * 3 * lanes
        xi, yi, zi = load(u, a), load(u, a + lanes), load(u, a + 2 * lanes)
        for s in range(kinds):
            kept.rows[i * kinds + s, 0] = count
            limit2 = u.dtype.type(reach[species[i], s] ** 2)
            for k in range(pairs.rows[i * kinds + s, 0], pairs.rows[i * kinds + s, 1]):
                j = fetch(pairs.neighbors, k)
                s0 = fetch(pairs.separation, 3 * k)
                s1 = fetch(pairs.separation, 3 * k + 1)
                s2 = fetch(pairs.separation, 3 * k + 2)
                b = j * 3 * lanes
                dx = xi - load(u, b) + s0
                dy = yi - load(u, b + lanes) + s1
                dz = zi - load(u, b + 2 * lanes) + s2
                put(kept.neighbors, count, j)
                put(kept.separation, 3 * count, s0)
                put(kept.separation, 3 * count + 1, s1)
                put(kept.separation, 3 * count + 2, s2)
                count += which_less(dx * dx + dy * dy + dz * dz, limit2) != 0
            kept.rows[i * kinds + s, 1] = count
    return count


@cached_njit(nogil=True, error_model="numpy")
def greatest_move(u, u_then):
    """Return how far the particle that moved furthest, in any draw, is from where it was at `u_then`."""
    lanes = width(u)
    greatest = broadcast(u, u.dtype.type(0))
    for i in range(u.size // (3 * lanes)):
        a = i * 3 * lanes
        dx = load(u, a) - load(u_then, a)
        dy = load(u, a + lanes) - load(u_then, a + lanes)
        dz = load(u, a + 2 * lanes) - load(u_then, a + 2 * lanes)
        greatest = maximum(greatest, dx * dx + dy * dy + dz * dz)
    return np.sqrt(np.float64(horizontal_maximum(greatest)))
