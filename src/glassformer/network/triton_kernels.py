"""Triton kernels of the edge convolution on a GPU; `fused_gpu` launches them and says what they compute together.

A program works on `ROWS` particles and goes through their K slots one after the other: the s-th neighbours of all of
them make a tile (ROWS, channels), so that no edge is padded and a maximum over neighbours stays in registers.

| symbol | argument |
|---|---|
| z of the layer below, (M, K, W_IN); of the first layer a_i + b_j + c_ij | below; FIRST: below = a, b, c, neighbors |
| h = ReLU(scale z + offset), its input to the next product | scale, offset, mean (W_IN,) |
| z = h W^T of the layer | weight (W_OUT, W_IN), z (M, K, W_OUT) |
| dL/dz = scale (g - level - slope (z - mean)), g at the output of the norm | up_scale, up_mean, level, slope (W_OUT,) |
| g of the last layer: `pulled` at the winning slot, else 0 | pulled, slot (M, W_OUT) |

PRODUCTS: 'ieee', 'tf32x3', 'tf32' or 'bf16'; sums are in float32.
"""

import triton
import triton.language as tl


@triton.jit
def _dot(left, right, total, PRODUCTS: tl.constexpr):
    if PRODUCTS == "bf16":
        found = tl.dot(left.to(tl.bfloat16), right.to(tl.bfloat16), total)
    else:
        found = tl.dot(left, right, total, input_precision=PRODUCTS)
    return found


@triton.jit
def _z(below, b, c, neighbors, rows, s, channels, M, K, WIDTH, FIRST: tl.constexpr, HAS_C: tl.constexpr):
    """z of the layer below, of slot s; 0 outside."""
    edges = rows.to(tl.int64) * K + s
    there = (rows < M)[:, None] & (channels < WIDTH)[None, :]
    if FIRST:
        other = tl.load(neighbors + edges, mask=rows < M, other=0)
        z = tl.load(below + rows.to(tl.int64)[:, None] * WIDTH + channels[None, :], mask=there, other=0.0)
        z += tl.load(b + other[:, None] * WIDTH + channels[None, :], mask=there, other=0.0)
        if HAS_C:
            z += tl.load(c + edges[:, None] * WIDTH + channels[None, :], mask=there, other=0.0)
    else:
        z = tl.load(below + edges[:, None] * WIDTH + channels[None, :], mask=there, other=0.0)
    return z


@triton.jit
def _channelwise(values, channels, WIDTH):
    return tl.load(values + channels, mask=channels < WIDTH, other=0.0)[None, :]


@triton.jit
def _hidden(
    below, b, c, neighbors, scale, offset, rows, s, channels, M, K, W_IN, FIRST: tl.constexpr, HAS_C: tl.constexpr
):
    """h of slot s; 0 outside."""
    z = _z(below, b, c, neighbors, rows, s, channels, M, K, W_IN, FIRST, HAS_C)
    y = z * _channelwise(scale, channels, W_IN) + _channelwise(offset, channels, W_IN)
    # What is no number stays so.
    return tl.where((y <= 0) | (rows >= M)[:, None], 0.0, y)


@triton.jit
def _product(
    below, b, c, neighbors, scale, offset, weight, rows, s, columns, M, K, W_IN, W_OUT,
    FIRST: tl.constexpr, HAS_C: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
    PRODUCTS: tl.constexpr,
):  # fmt: skip
    """z = h W^T of slot s at `columns`."""
    z = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, W_IN, INNER):
        channels = start + tl.arange(0, INNER)
        h = _hidden(below, b, c, neighbors, scale, offset, rows, s, channels, M, K, W_IN, FIRST, HAS_C)
        there = (columns < W_OUT)[None, :] & (channels < W_IN)[:, None]
        transposed = tl.load(weight + columns[None, :] * W_IN + channels[:, None], mask=there, other=0.0)
        z = _dot(h, transposed, z, PRODUCTS)
    return z


@triton.jit
def forward(
    below, b, c, neighbors, scale, offset, weight, sign, z_out, best, slot, sums, M, K,
    W_IN: tl.constexpr, W_OUT: tl.constexpr, FIRST: tl.constexpr, HAS_C: tl.constexpr, PRODUCT: tl.constexpr,
    STORE: tl.constexpr, EXTREME: tl.constexpr, STATISTICS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    INNER: tl.constexpr, PRODUCTS: tl.constexpr,
):  # fmt: skip
    """z of a layer: kept (STORE), its extreme over the slots (EXTREME), its sums for the norm (STATISTICS).

    Without PRODUCT, z of the layer below. best: the z of the greatest sign * z, and its slot. sums (tiles, 3, W_OUT): a
    shift near the tile's mean, and the sums of z - shift and of its square.
    """
    tile = tl.program_id(0)
    rows = tile * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = (rows < M)[:, None] & (columns < W_OUT)[None, :]
    signs = _channelwise(sign, columns, W_OUT)
    extreme = tl.full([ROWS, COLUMNS], float("-inf"), tl.float32)
    winner = tl.zeros([ROWS, COLUMNS], tl.int32)
    shift = tl.zeros([COLUMNS], tl.float32)
    total = tl.zeros([COLUMNS], tl.float32)
    squares = tl.zeros([COLUMNS], tl.float32)
    for s in range(K):
        if PRODUCT:
            z = _product(
                below, b, c, neighbors, scale, offset, weight, rows, s, columns, M, K, W_IN, W_OUT, FIRST, HAS_C,
                ROWS, COLUMNS, INNER, PRODUCTS,
            )  # fmt: skip
        else:
            z = _z(below, b, c, neighbors, rows, s, columns, M, K, W_OUT, FIRST, HAS_C)
        if STORE:
            edges = rows.to(tl.int64) * K + s
            tl.store(z_out + edges[:, None] * W_OUT + columns[None, :], z, mask=there)
        if EXTREME:
            signed = z * signs
            better = (signed > extreme) | (signed != signed)
            extreme = tl.where(better, signed, extreme)
            winner = tl.where(better, s, winner)
        if STATISTICS:
            if s == 0:
                shift = tl.sum(z, 0) / tl.minimum(ROWS, M - tile * ROWS)
            apart = tl.where(there, z - shift[None, :], 0.0)
            total += tl.sum(apart, 0)
            squares += tl.sum(apart * apart, 0)
    if EXTREME:
        places = rows.to(tl.int64)[:, None] * W_OUT + columns[None, :]
        tl.store(best + places, extreme * signs, mask=there)
        tl.store(slot + places, winner, mask=there)
    if STATISTICS:
        at = sums + tile * 3 * W_OUT + columns
        tl.store(at, shift, mask=columns < W_OUT)
        tl.store(at + W_OUT, total, mask=columns < W_OUT)
        tl.store(at + 2 * W_OUT, squares, mask=columns < W_OUT)


@triton.jit
def _gradient(
    below, b, c, neighbors, scale, offset, weight, z_kept, given, pulled, slot, up_scale, up_mean, level, slope,
    rows, s, columns, M, K, W_IN, W_OUT, FIRST: tl.constexpr, HAS_C: tl.constexpr, LAST: tl.constexpr,
    STATISTICS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr, PRODUCTS: tl.constexpr,
):  # fmt: skip
    """dL/dz of slot s at `columns`; 0 outside. The z of the last layer, which is not kept, is computed again."""
    there = (rows < M)[:, None] & (columns < W_OUT)[None, :]
    edges = rows.to(tl.int64) * K + s
    at_edges = edges[:, None] * W_OUT + columns[None, :]
    factor = _channelwise(up_scale, columns, W_OUT)
    if LAST:
        places = rows.to(tl.int64)[:, None] * W_OUT + columns[None, :]
        wins = tl.load(slot + places, mask=there, other=-1) == s
        gradient = tl.load(pulled + places, mask=there & wins, other=0.0)
    else:
        gradient = tl.load(given + at_edges, mask=there, other=0.0) * factor
    if STATISTICS:
        if LAST:
            z = _product(
                below, b, c, neighbors, scale, offset, weight, rows, s, columns, M, K, W_IN, W_OUT, FIRST, HAS_C,
                ROWS, COLUMNS, INNER, PRODUCTS,
            )  # fmt: skip
        else:
            z = tl.load(z_kept + at_edges, mask=there, other=0.0)
        bent = _channelwise(slope, columns, W_OUT) * (z - _channelwise(up_mean, columns, W_OUT))
        gradient -= factor * (_channelwise(level, columns, W_OUT) + bent)
    return tl.where(there, gradient, 0.0)


@triton.jit
def backward(
    below, b, c, neighbors, scale, offset, mean, weight, z_kept, given, pulled, slot, up_scale, up_mean, level, slope,
    down, sums, M, K, W_IN: tl.constexpr, W_OUT: tl.constexpr,
    FIRST: tl.constexpr, HAS_C: tl.constexpr, LAST: tl.constexpr,
    STATISTICS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr, WIDE: tl.constexpr,
    PRODUCTS: tl.constexpr,
):  # fmt: skip
    """down (M, K, W_IN): g of the layer below. sums (tiles, 2, W_IN): of g and of g (z - mean) there."""
    tile = tl.program_id(0)
    rows = tile * ROWS + tl.arange(0, ROWS)
    wide = tl.arange(0, WIDE)
    there = (rows < M)[:, None] & (wide < W_IN)[None, :]
    total = tl.zeros([WIDE], tl.float32)
    with_z = tl.zeros([WIDE], tl.float32)
    for s in range(K):
        at_hidden = tl.zeros([ROWS, WIDE], tl.float32)
        for start in range(0, W_OUT, COLUMNS):
            columns = start + tl.arange(0, COLUMNS)
            gradient = _gradient(
                below, b, c, neighbors, scale, offset, weight, z_kept, given, pulled, slot, up_scale, up_mean, level,
                slope, rows, s, columns, M, K, W_IN, W_OUT, FIRST, HAS_C, LAST, STATISTICS, ROWS, COLUMNS, INNER,
                PRODUCTS,
            )  # fmt: skip
            inside = (columns < W_OUT)[:, None] & (wide < W_IN)[None, :]
            part = tl.load(weight + columns[:, None] * W_IN + wide[None, :], mask=inside, other=0.0)
            at_hidden = _dot(gradient, part, at_hidden, PRODUCTS)
        z = _z(below, b, c, neighbors, rows, s, wide, M, K, W_IN, FIRST, HAS_C)
        y = z * _channelwise(scale, wide, W_IN) + _channelwise(offset, wide, W_IN)
        passed = tl.where(there & (y > 0), at_hidden, 0.0)
        edges = rows.to(tl.int64) * K + s
        tl.store(down + edges[:, None] * W_IN + wide[None, :], passed, mask=there)
        total += tl.sum(passed, 0)
        with_z += tl.sum(passed * (z - _channelwise(mean, wide, W_IN)), 0)
    at = sums + tile * 2 * W_IN + wide
    tl.store(at, total, mask=wide < W_IN)
    tl.store(at + W_IN, with_z, mask=wide < W_IN)


@triton.jit
def weight_gradient(
    below, b, c, neighbors, scale, offset, weight, z_kept, given, pulled, slot, up_scale, up_mean, level, slope,
    parts, M, K, W_IN: tl.constexpr, W_OUT: tl.constexpr,
    FIRST: tl.constexpr, HAS_C: tl.constexpr, LAST: tl.constexpr,
    STATISTICS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr, WIDE: tl.constexpr,
    PRODUCTS: tl.constexpr,
):  # fmt: skip
    """parts (programs, W_OUT, W_IN): each program's sum of (dL/dz)^T h over every programs-th tile of particles."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    wide = tl.arange(0, WIDE)
    total = tl.zeros([COLUMNS, WIDE], tl.float32)
    for tile in range(tl.program_id(1), tl.cdiv(M, ROWS), tl.num_programs(1)):
        rows = tile * ROWS + tl.arange(0, ROWS)
        for s in range(K):
            gradient = _gradient(
                below, b, c, neighbors, scale, offset, weight, z_kept, given, pulled, slot, up_scale, up_mean, level,
                slope, rows, s, columns, M, K, W_IN, W_OUT, FIRST, HAS_C, LAST, STATISTICS, ROWS, COLUMNS, INNER,
                PRODUCTS,
            )  # fmt: skip
            h = _hidden(below, b, c, neighbors, scale, offset, rows, s, wide, M, K, W_IN, FIRST, HAS_C)
            total = _dot(tl.trans(gradient), h, total, PRODUCTS)
    inside = (columns < W_OUT)[:, None] & (wide < W_IN)[None, :]
    at = parts + tl.program_id(1) * W_OUT * W_IN
    tl.store(at + columns[:, None] * W_IN + wide[None, :], total, mask=inside)


@triton.jit
def close_first(
    a, b, c, neighbors, scale, mean, level, slope, gradient, at_a, M, K, WIDTH: tl.constexpr,
    HAS_C: tl.constexpr, STATISTICS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Turn g of the first layer into dL/dz, in place in `gradient` (M, K, WIDTH); at_a: its sums over the slots."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = (rows < M)[:, None] & (columns < WIDTH)[None, :]
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for s in range(K):
        edges = rows.to(tl.int64) * K + s
        places = gradient + edges[:, None] * WIDTH + columns[None, :]
        at_z = tl.load(places, mask=there, other=0.0)
        if STATISTICS:
            z = _z(a, b, c, neighbors, rows, s, columns, M, K, WIDTH, True, HAS_C)
            bent = _channelwise(slope, columns, WIDTH) * (z - _channelwise(mean, columns, WIDTH))
            at_z -= _channelwise(level, columns, WIDTH) + bent
        at_z *= _channelwise(scale, columns, WIDTH)
        tl.store(places, at_z, mask=there)
        total += at_z
    tl.store(at_a + rows.to(tl.int64)[:, None] * WIDTH + columns[None, :], total, mask=there)


@triton.jit
def sum_ends(gradient, order, starts, at_b, M, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """at_b (M, WIDTH): sums over the edges that end at each particle, order[starts[j] : starts[j + 1]], in order."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.load(starts + rows, mask=rows < M, other=0)
    number = tl.load(starts + rows + 1, mask=rows < M, other=0) - first
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for place in range(tl.max(number, 0)):
        left = place < number
        edges = tl.load(order + first + place, mask=left, other=0)
        there = left[:, None] & (columns < WIDTH)[None, :]
        total += tl.load(gradient + edges[:, None] * WIDTH + columns[None, :], mask=there, other=0.0)
    inside = (rows < M)[:, None] & (columns < WIDTH)[None, :]
    tl.store(at_b + rows.to(tl.int64)[:, None] * WIDTH + columns[None, :], total, mask=inside)
