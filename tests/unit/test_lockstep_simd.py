"""The vector type against numpy, in both precisions, and compiled for other processors."""

import os
import subprocess
import sys

import numpy as np
import pytest
from llvmlite import binding
from numba import njit

from glassformer.core.errors import EngineError
from glassformer.simulate.lockstep.simd import (
    aligned_zeros,
    broadcast,
    check_host,
    fetch,
    horizontal_maximum,
    horizontal_minimum,
    lanes,
    load,
    lowest_bit,
    maximum,
    minimum,
    put,
    store,
    which_less,
    width,
    zero_unless_less,
)

PRECISIONS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
HALVES = pytest.mark.parametrize("half", [False, True])


def vectors(dtype: type, count: int, seed: int = 0, half: bool = False) -> np.ndarray:
    values = aligned_zeros(count * lanes(dtype) // (1 + half), dtype, half)
    values.ravel()[:] = np.random.default_rng(seed).uniform(0.5, 2.0, values.size)
    values.ravel()[::3] *= -1
    return values


@njit
def arithmetic(a, b, scalar, out):
    n = width(a)
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, n, x - scalar)
    store(out, 2 * n, scalar * y)
    store(out, 3 * n, x / y)
    store(out, 4 * n, scalar - x * y)
    store(out, 5 * n, broadcast(out, scalar))
    store(out, 6 * n, minimum(x, y))
    store(out, 7 * n, maximum(x, y))
    store(out, 8 * n, zero_unless_less(x, y, scalar))
    return horizontal_minimum(x), horizontal_maximum(x), which_less(x, scalar)


@PRECISIONS
@HALVES
def test_every_operation_is_that_of_numpy(dtype: type, half: bool) -> None:
    a, b, scalar = vectors(dtype, 1, half=half), vectors(dtype, 1, seed=1, half=half), dtype(0.75)
    out = aligned_zeros(9 * a.size, dtype, half)
    least, greatest, bits = arithmetic(a, b, scalar, out)
    a, b = a.ravel(), b.ravel()
    expected = [
        a + b, a - scalar, scalar * b, a / b, scalar - a * b, np.full_like(a, scalar),
        np.minimum(a, b), np.maximum(a, b), np.where(b < scalar, a, 0),
    ]  # fmt: skip
    # Fused multiply-add and the division by a reciprocal may differ by some units in the last place.
    np.testing.assert_allclose(out.reshape(9, -1), expected, rtol=8 * np.finfo(dtype).eps)
    assert (least, greatest) == (a.min(), a.max())
    assert bits == sum(1 << lane for lane in range(a.size) if a[lane] < scalar)
    assert 0 < bits < (1 << a.size) - 1


@PRECISIONS
def test_a_vector_fills_64_bytes_and_starts_at_a_multiple_of_them(dtype: type) -> None:
    values = aligned_zeros(5 * lanes(dtype), dtype)
    assert lanes(dtype) * values.itemsize == 64
    assert values.ctypes.data % 64 == 0
    assert values.dtype == dtype
    assert not values.any()


@njit
def strided(values, out):
    n = width(values)
    for k in range(values.size // n):
        store(out, k * n, load(values, k * n) * values.dtype.type(2))


@PRECISIONS
@HALVES
def test_indices_are_elements(dtype: type, half: bool) -> None:
    values = vectors(dtype, 7, half=half)
    out = aligned_zeros(values.size, dtype, half)
    strided(values, out)
    assert np.array_equal(out, values * 2)


@njit
def bits_of(number):
    found = []
    while number:
        found.append(lowest_bit(number))
        number &= number - 1
    return found


def test_lowest_bit_walks_over_a_mask() -> None:
    assert bits_of(0b1000_0000_0010_0101) == [0, 2, 5, 15]


@njit
def copy(source, target):
    for k in range(source.size):
        put(target, k, fetch(source, k))


def test_fetch_and_put_take_flat_indices() -> None:
    source, target = np.arange(12.0).reshape(4, 3), np.zeros((4, 3))
    copy(source, target)
    assert np.array_equal(source, target)


@njit
def compensated(start, step, count):
    n = width(start)
    total, low = load(start, 0), broadcast(start, start.dtype.type(0))
    for _ in range(count):
        before = total
        addend = broadcast(start, step) + low
        total = before + addend
        low = addend - (total - before)
    store(start, 0, total)
    store(start, n, low)


def test_compensated_sums_survive_the_compiler() -> None:
    values = aligned_zeros(32, np.float32)
    values[:16] = 1
    compensated(values, np.float32(1e-8), 1_000_000)
    total = values[:16].astype(np.float64) + values[16:]
    # Each addend is less than half a unit in the last place of 1: a plain float32 sum would stay at 1.
    np.testing.assert_allclose(total, 1 + 1_000_000 * np.float64(np.float32(1e-8)), rtol=1e-9)


@njit
def ratio(values):
    store(values, 0, load(values, 0) / (load(values, 0) - load(values, 0)))


def test_infinity_stays_visible() -> None:
    values = aligned_zeros(16, np.float32)
    values[:] = 1
    ratio(values)
    assert np.isinf(values).all()


@pytest.mark.parametrize("cpu", ["haswell", "x86-64-v4"])
def test_it_runs_on_processors_with_other_vectors(cpu: str) -> None:
    host = binding.get_host_cpu_features()
    if not host.get("avx512vl" if cpu == "x86-64-v4" else "avx2"):
        pytest.skip(f"this host cannot run code for {cpu}")
    features = "+avx2,+fma" if cpu == "haswell" else "+avx512f,+avx512vl,+avx512dq,+avx512bw,+fma"
    code = (
        "import numpy as np; from tests.unit.test_lockstep_simd import *\n"
        "for dtype in (np.float32, np.float64):\n"
        "    for half in (False, True): test_every_operation_is_that_of_numpy(dtype, half)\n"
        "assembly = next(iter(arithmetic.inspect_asm().values())); print('zmm' in assembly)"
    )
    environment = os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if cpu == "haswell":
        assert done.stdout.strip() == "False"


@pytest.mark.parametrize("features", [{"avx2": True, "fma": True}, {"neon": True}])
def test_hosts_with_vectors_are_taken(features: dict[str, bool]) -> None:
    check_host(features)


@pytest.mark.parametrize("features", [{}, {"avx": True, "sse4.2": True}, {"avx2": True, "fma": False}])
def test_hosts_without_are_refused(features: dict[str, bool]) -> None:
    with pytest.raises(EngineError, match="AVX2 and FMA") as caught:
        check_host(features)
    assert 'engine = "lammps"' in caught.value.remedy
