"""Compiled loops of the fused edge convolution, each a single pass over a block of edges that lies in the cache, and
of the search for neighbours in feature space.

z_ij = a_i + b_j + c_ij is the first layer of edge convolution before its norm. Rows of arrays named `edges` are the
k = neighbours edges of particles `start` to `stop`, particle by particle. Accumulators are added to, never reset.

Every function stands alone, calling none of the others, so that numba's cache on disk (which watches this file only)
cannot hold old code.
"""

from typing import Any

import numpy as np

from glassformer.core.compiled import cached_njit

# Reordered and fused float operations, but NaN stays NaN: a diverged training must be seen.
_jit: Any = cached_njit(nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"}, error_model="numpy")
_jit_exact: Any = cached_njit(nogil=True, error_model="numpy")


@_jit
def first_layer_sums(a, b, c, neighbors, start, stop, shift, total, squares):
    """Add the sums over edges of z - shift and (z - shift)^2 to `total` and `squares` (W,)."""
    k, width = neighbors.shape[1], a.shape[1]
    for i in range(start, stop):
        for slot in range(k):
            j = neighbors[i, slot]
            if c.shape[0]:
                e = i * k + slot
                for w in range(width):
                    z = a[i, w] + b[j, w] + c[e, w] - shift[w]
                    total[w] += z
                    squares[w] += z * z
            else:
                for w in range(width):
                    z = a[i, w] + b[j, w] - shift[w]
                    total[w] += z
                    squares[w] += z * z


@_jit
def first_layer(a, b, c, neighbors, start, stop, scale, offset, out):
    """Write h = ReLU(scale z + offset) of the block's edges to `out` (edges, W)."""
    k, width = neighbors.shape[1], a.shape[1]
    row = 0
    for i in range(start, stop):
        for slot in range(k):
            j = neighbors[i, slot]
            if c.shape[0]:
                e = i * k + slot
                for w in range(width):
                    h = scale[w] * (a[i, w] + b[j, w] + c[e, w]) + offset[w]
                    out[row, w] = 0 if h < 0 else h
            else:
                for w in range(width):
                    h = scale[w] * (a[i, w] + b[j, w]) + offset[w]
                    out[row, w] = 0 if h < 0 else h
            row += 1


@_jit
def sums(z, shift, total, squares):
    """Add the sums over the rows of z - shift and (z - shift)^2 to `total` and `squares` (W,)."""
    for row in range(z.shape[0]):
        for w in range(z.shape[1]):
            value = z[row, w] - shift[w]
            total[w] += value
            squares[w] += value * value


@_jit
def affine_relu(z, scale, offset, out):
    """Write ReLU(scale z + offset) to `out`."""
    for row in range(z.shape[0]):
        for w in range(z.shape[1]):
            h = scale[w] * z[row, w] + offset[w]
            out[row, w] = 0 if h < 0 else h


@_jit
def extreme(z, k, sign, best, slot_of):
    """Write the greatest sign z over each particle's k edges to `best`, times sign, and its slot to `slot_of`."""
    width = z.shape[1]
    for i in range(best.shape[0]):
        for w in range(width):
            best[i, w] = sign[w] * z[i * k, w]
            slot_of[i, w] = 0
        for slot in range(1, k):
            row = i * k + slot
            for w in range(width):
                value = sign[w] * z[row, w]
                # Not (value <= best): true for a value that is no number, which must come through.
                greater = not (value <= best[i, w])
                best[i, w] = value if greater else best[i, w]
                slot_of[i, w] = slot if greater else slot_of[i, w]
        for w in range(width):
            best[i, w] *= sign[w]


@_jit
def mean_affine_relu(z, k, scale, offset, out):
    """Write the mean of ReLU(scale z + offset) over each particle's k edges to `out`."""
    width = z.shape[1]
    part = 1 / k
    for i in range(out.shape[0]):
        for w in range(width):
            out[i, w] = 0
        for slot in range(k):
            row = i * k + slot
            for w in range(width):
                h = scale[w] * z[row, w] + offset[w]
                out[i, w] += 0 if h < 0 else h
        for w in range(width):
            out[i, w] *= part


@_jit
def scatter_extreme(gradient, slot_of, hidden, weight, k, at_hidden, at_weight):
    """Add what flows back through a maximum: at_hidden (edges, V) and at_weight (W, V).

    gradient (n, W) stands at edge `slot_of` of its particle and nowhere else: with e that edge, row w of `weight`
    (W, V) times gradient is added to at_hidden[e], and hidden[e] times gradient to at_weight[w].
    """
    for i in range(gradient.shape[0]):
        for w in range(gradient.shape[1]):
            value = gradient[i, w]
            if value != 0:
                e = i * k + slot_of[i, w]
                for v in range(weight.shape[1]):
                    at_hidden[e, v] += value * weight[w, v]
                    at_weight[w, v] += value * hidden[e, v]


@_jit
def spread_mean(gradient, z, k, scale, offset, center, out, total, with_z):
    """Write what flows back through mean and ReLU to `out` (edges, W); sum it, and it times z - center."""
    part = 1 / k
    for i in range(gradient.shape[0]):
        for slot in range(k):
            row = i * k + slot
            for w in range(z.shape[1]):
                value = gradient[i, w] * part if scale[w] * z[row, w] + offset[w] > 0 else gradient[i, w] * 0
                out[row, w] = value
                total[w] += value
                with_z[w] += value * (z[row, w] - center[w])


@_jit
def mask_and_sum(gradient, z, scale, offset, center, total, with_z):
    """Let `gradient` (edges, W) through ReLU(scale z + offset), in place; sum it, and it times z - center."""
    for row in range(z.shape[0]):
        g, value = gradient[row], z[row]
        # Two loops: with all these arrays in one, the compiler gives up on vectors.
        for w in range(z.shape[1]):
            g[w] = g[w] if scale[w] * value[w] + offset[w] > 0 else g[w] * 0
        for w in range(z.shape[1]):
            total[w] += g[w]
            with_z[w] += g[w] * (value[w] - center[w])


@_jit
def through_norm(gradient, z, scale, center, level, slope):
    """Carry `gradient` back through a batch norm, in place: scale (g - level - slope (z - center))."""
    for row in range(z.shape[0]):
        for w in range(z.shape[1]):
            gradient[row, w] = scale[w] * (gradient[row, w] - level[w] - slope[w] * (z[row, w] - center[w]))


@_jit
def first_layer_back(gradient, hidden, neighbors, start, stop, at_a, at_b):
    """Let `gradient` (edges, W) through the first ReLU, in place, and add it up at both ends of every edge.

    Where hidden = ReLU(...) is 0 nothing flows. at_a: particles where edges start; at_b: where they end, (M, W) each.
    """
    k, width = neighbors.shape[1], gradient.shape[1]
    for i in range(start, stop):
        here = at_a[i]
        for slot in range(k):
            row = (i - start) * k + slot
            g, h, there = gradient[row], hidden[row], at_b[neighbors[i, slot]]
            for w in range(width):
                value = g[w] if h[w] > 0 else g[w] * 0
                g[w] = value
                here[w] += value
                there[w] += value


@_jit
def end_sums(a, b, neighbors, start, stop, at_a, at_b):
    """Add b_j to at_a[i] and a_i to at_b[j] for every edge, (M, W) each."""
    k, width = neighbors.shape[1], a.shape[1]
    for i in range(start, stop):
        here, center = at_a[i], a[i]
        for slot in range(k):
            there, neighbor = at_b[neighbors[i, slot]], b[neighbors[i, slot]]
            for w in range(width):
                here[w] += neighbor[w]
                there[w] += center[w]


@_jit
def edge_sums(c, neighbors, start, stop, at_a, at_b):
    """Add c of every edge (edges, W; of all particles) to both its ends, as `end_sums` does."""
    k, width = neighbors.shape[1], c.shape[1]
    for i in range(start, stop):
        here = at_a[i]
        for slot in range(k):
            there, value = at_b[neighbors[i, slot]], c[i * k + slot]
            for w in range(width):
                here[w] += value[w]
                there[w] += value[w]


@_jit_exact
def select_least(order, first, offset, found):
    """Write the columns of the k least values of every row of `order` (R, n), plus `offset`, to `found` (R, k).

    Row r never takes column `first` + r, its own. The k-th least of the minima of G groups of columns bounds the k-th
    least of all from above: only groups whose minimum is below it are looked through, and few of their values remain.
    """
    rows, columns = order.shape
    k = found.shape[1]
    groups = 64
    while groups < 4 * k:
        groups *= 2
    whole = columns // groups * groups
    minima = np.empty(groups, order.dtype)
    least = np.empty(k, order.dtype)
    for r in range(rows):
        row = order[r]
        row[first + r] = np.inf
        for g in range(groups):
            minima[g] = np.inf
        for begin in range(0, whole, groups):
            for g in range(groups):
                value = row[begin + g]
                minima[g] = value if value < minima[g] else minima[g]
        for g in range(columns - whole):
            value = row[whole + g]
            minima[g] = value if value < minima[g] else minima[g]

        least[:] = np.inf
        for g in range(groups):
            value = minima[g]
            if value < least[k - 1]:
                place = k - 1
                while place > 0 and least[place - 1] > value:
                    least[place] = least[place - 1]
                    place -= 1
                least[place] = value
        bound = least[k - 1]

        count = 0
        for g in range(groups):
            if minima[g] <= bound:
                for column in range(g, columns, groups):
                    value = row[column]
                    if value <= bound and column != first + r and (count < k or value < least[k - 1]):
                        place = count if count < k else k - 1
                        while place > 0 and least[place - 1] > value:
                            least[place] = least[place - 1]
                            found[r, place] = found[r, place - 1]
                            place -= 1
                        least[place] = value
                        found[r, place] = column + offset
                        count = min(count + 1, k)
        # Features that are no numbers have no neighbours: any will do, since what follows is no number either.
        column = 0
        while count < k:
            if column != first + r:
                found[r, count] = column + offset
                count += 1
            column += 1
