"""A SIMD vector as a numba type: 64 bytes, that is 16 lanes of float32 or 8 of float64, or half of that.

LLVM lowers it to what the host has: one AVX-512 register, two of AVX2, four of Arm's NEON. In compiled code a vector is
a value like any other:

    r2 = dx * dx + dy * dy + dz * dz          # vector and vector, vector and scalar
    store(forces, index, load(forces, index) + g * dx)

Vectors are read and written by `load` and `store` at element `index` of the flat data of a contiguous array, aligned to
64 bytes (`aligned_zeros`); its size and the indices are multiples of the lanes. Neither is checked, as in C. An array
of one dimension holds whole vectors; one of two dimensions, a vector in each row, halves.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import DTypeLike, NDArray

from glassformer.core.errors import EngineError

VECTOR_BYTES = 64
# Fused multiply-add, and division by a refined reciprocal estimate. Not LLVM's "fast", which also lets sums be taken in
# any order (compensated ones would vanish) and promises that no number is infinite or NaN.
_FLAGS = ("contract", "arcp", "nsz")


class Vector(types.Type):
    """Numba type of a vector of `lanes` values of `scalar` type."""

    def __init__(self, scalar: types.Float, size: int) -> None:
        self.scalar = scalar
        self.lanes = size // (scalar.bitwidth // 8)
        super().__init__(name=f"{scalar.name}x{self.lanes}")

    @property
    def llvm(self) -> ir.VectorType:
        """The vector's type in LLVM."""
        return ir.VectorType(ir.FloatType() if self.scalar == types.float32 else ir.DoubleType(), self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


# By scalar and by the dimensions of the array that holds them.
_VECTORS = {
    (scalar, dimensions): Vector(scalar, VECTOR_BYTES // dimensions)
    for scalar in (types.float32, types.float64)
    for dimensions in (1, 2)
}


def lanes(dtype: DTypeLike) -> int:
    """Return how many values of `dtype` a whole vector holds: 16 of float32, 8 of float64."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def aligned_zeros(size: int, dtype: DTypeLike, half: bool = False) -> NDArray[Any]:
    """Return `size` zeros whose data starts at a multiple of 64 bytes, for whole vectors or, in rows, for halves."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(size * itemsize + VECTOR_BYTES, np.uint8)
    start = -raw.ctypes.data % VECTOR_BYTES
    flat = raw[start : start + size * itemsize].view(dtype)
    return flat.reshape(-1, lanes(dtype) // 2) if half else flat


def check_host(features: dict[str, bool] | None = None) -> None:
    """Raise `EngineError` where the processor has no vectors wide enough to be worth it (AVX2 with FMA, or NEON)."""
    has = _host_features() if features is None else features
    if (has.get("avx2") and has.get("fma")) or has.get("neon"):
        return
    raise EngineError(
        "lockstep needs a processor with AVX2 and FMA (x86-64) or NEON (Arm); this one has neither",
        'Set engine = "lammps" in the campaign.',
    )


@functools.cache
def _host_features() -> dict[str, bool]:
    try:
        return dict(binding.get_host_cpu_features())
    except RuntimeError:
        # LLVM cannot tell on every platform.
        return {}


def host_description() -> str:
    """Return the processor's name as LLVM knows it, and the widest vectors it has."""
    has = _host_features()
    widest = next((name for name in ("avx512f", "avx2", "neon") if has.get(name)), "no vectors")
    return f"{binding.get_host_cpu_name()} ({widest})"


def _splat(builder: ir.IRBuilder, vector: Vector, scalar: ir.Value) -> ir.Value:
    undefined = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    all_first = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(first, undefined, all_first)


def _arithmetic(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    """Let `symbol` take vector and vector, vector and scalar, scalar and vector."""

    @infer_global(symbol)
    class _Typing(AbstractTemplate):
        def generic(self, args: tuple[types.Type, ...], kws: Any) -> Any:
            vectors = [arg for arg in args if isinstance(arg, Vector)]
            if len(args) == 2 and vectors and all(arg in (vectors[0], vectors[0].scalar) for arg in args):
                return signature(vectors[0], *args)
            return None

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        operands = (
            value if isinstance(kind, Vector) else _splat(builder, sig.return_type, value)
            for kind, value in zip(sig.args, args, strict=True)
        )
        return getattr(builder, instruction)(*operands, flags=_FLAGS)

    for (scalar, _), vector in _VECTORS.items():
        for pair in ((vector, vector), (vector, scalar), (scalar, vector)):
            lower_builtin(symbol, *pair)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


def _vector_of(array: types.Type) -> Vector:
    if not (isinstance(array, types.Array) and array.layout == "C" and (array.dtype, array.ndim) in _VECTORS):
        raise TypeError(f"vectors live in C-contiguous arrays of float32 or float64, not in {array}")
    return _VECTORS[array.dtype, array.ndim]


def _bytes(array: types.Array) -> int:
    return VECTOR_BYTES // int(array.ndim)


def _pointer(context: Any, builder: ir.IRBuilder, array_type: types.Array, array: ir.Value, index: ir.Value) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), _vector_of(array_type).llvm.as_pointer())


@intrinsic
def width(typing_context: Any, array: Any) -> Any:
    """Return the lanes of the vectors in `array`, a constant to the compiler."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return context.get_constant(types.intp, _vector_of(sig.args[0]).lanes)

    return types.intp(array), codegen


@intrinsic
def fetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Return element `index` of the flat data of a contiguous `array`, without numba's care for negative indices."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write `value` at element `index` of the flat data of a contiguous `array`, as `fetch` reads."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the vector that starts at element `index` of `array`."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.load(_pointer(context, builder, sig.args[0], *args), align=_bytes(sig.args[0]))

    return _vector_of(array)(array, types.intp), codegen


@intrinsic
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the vector `value` at element `index` of `array`."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        builder.store(args[2], _pointer(context, builder, sig.args[0], *args[:2]), align=_bytes(sig.args[0]))
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector_of(array)), codegen


@intrinsic
def broadcast(typing_context: Any, array: Any, scalar: Any) -> Any:
    """Return a vector, such as those in `array`, with `scalar` in every lane."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return _splat(builder, sig.return_type, args[1])

    return _vector_of(array)(array, array.dtype), codegen


@intrinsic
def zero_unless_less(typing_context: Any, value: Any, left: Any, right: Any) -> Any:
    """Return `value` in the lanes where the vector `left` is less than the scalar `right`, else 0."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        mask = builder.fcmp_ordered("<", args[1], _splat(builder, sig.args[0], args[2]))
        return builder.select(mask, args[0], ir.Constant(sig.args[0].llvm, None))

    return value(value, value, value.scalar), codegen


@intrinsic
def which_less(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the lanes where the vector `left` is less than the scalar `right` as the bits of an integer."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        mask = builder.fcmp_ordered("<", args[0], _splat(builder, sig.args[0], args[1]))
        return builder.zext(builder.bitcast(mask, ir.IntType(sig.args[0].lanes)), ir.IntType(64))

    return types.int64(left, left.scalar), codegen


@intrinsic
def lowest_bit(typing_context: Any, bits: Any) -> Any:
    """Return the place of the lowest set bit of `bits`, which must not be 0."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def minimum(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the lesser of two vectors, lane by lane; `right` where either is NaN."""
    return _choose("<", left, right)


@intrinsic
def maximum(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the greater of two vectors, lane by lane; `right` where either is NaN."""
    return _choose(">", left, right)


@intrinsic
def square_root(typing_context: Any, vector: Any) -> Any:
    """Return the square root of a vector, lane by lane."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        kind = sig.args[0].llvm
        symbol = f"llvm.sqrt.v{kind.count}f{sig.args[0].scalar.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), symbol)
        return builder.call(function, args)

    return vector(vector), codegen


def _choose(comparison: str, left: Any, right: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.select(builder.fcmp_ordered(comparison, *args), *args)

    return left(left, right), codegen


@intrinsic
def horizontal_minimum(typing_context: Any, vector: Any) -> Any:
    """Return the least of a vector's lanes."""
    return _reduce("fmin", vector)


@intrinsic
def horizontal_maximum(typing_context: Any, vector: Any) -> Any:
    """Return the greatest of a vector's lanes."""
    return _reduce("fmax", vector)


def _reduce(name: str, vector: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        kind = sig.args[0].llvm
        symbol = f"llvm.vector.reduce.{name}.v{kind.count}f{sig.return_type.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind.element, [kind]), symbol)
        return builder.call(function, args)

    return vector.scalar(vector), codegen
