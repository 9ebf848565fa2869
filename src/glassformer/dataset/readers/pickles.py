"""Pickles that hold numpy arrays and plain containers, read without running anything that they name.

A pickle is a program: `pickle.load` imports and calls what it names. Here it may name the constructors of numpy's
arrays, data types and numbers and nothing else, and in their place it gets those of this module, which check what they
are given. An array is then a `PickledArray` in the containers.
"""

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

# Kinds of numbers that an array may have, and its most dimensions.
_KINDS, _MOST_DIMENSIONS = "biuf", 8
# The unpickler allots memory for every place up to the largest that a pickle names.
_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")


class RefusedError(Exception):
    """A pickle names what it may not. The message is the name."""


class _DataType:
    """A data type of numbers: numpy's code, such as 'f8', and from the state its order of bytes."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        text = code.decode("ascii", "replace") if isinstance(code, bytes) else code
        if not isinstance(text, str) or len(text) > 4 or text[:1] not in _KINDS:
            raise RefusedError(f"an array of type {text!r}"[:80])
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        version, order, subtype, names, fields, *_ = state
        if version not in (3, 4) or order not in ("<", ">", "=", "|") or (subtype, names, fields) != (None, None, None):
            raise RefusedError("an array of composed type")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray:
    """An array of numbers: `value`, None until its state was read."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class _ArrayClass:
    """Stands for `numpy.ndarray`, which a pickle hands to the constructor of arrays."""


def _reconstruct(kind: Any, shape: Any, code: Any) -> PickledArray:
    if kind is not _ArrayClass:
        raise RefusedError("an array of a class of its own")
    return PickledArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    made = PickledArray()
    made.value = _array(data, dtype, shape, "F" if order == "F" else "C")
    return made


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    contents = data.encode("latin1") if isinstance(data, str) else data
    lengths = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if not isinstance(dtype, _DataType) or not isinstance(contents, bytes | bytearray) or not lengths:
        raise RefusedError("an array that holds objects")
    if len(shape) > _MOST_DIMENSIONS or math.prod(shape) * dtype.dtype.itemsize != len(contents):
        raise ValueError(f"an array of shape {shape} in {len(contents)} bytes")
    made: np.ndarray = np.frombuffer(contents, dtype.dtype).reshape(shape, order=order)
    return made


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C")[()]


def _latin(text: Any, encoding: Any) -> bytes:
    """Return the bytes that protocols before 3 write as `_codecs.encode(text, 'latin1')`."""
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedError("_codecs.encode")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Return what protocols before 3 write as `bytes()`."""
    return b""


# numpy.core is called numpy._core since numpy 2.
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _latin,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for the name, or refuse it."""
        known = _KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise RefusedError(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies elsewhere."""
        raise RefusedError("an object that lies elsewhere")


def load_arrays(contents: bytes) -> Any:
    """Return what the pickle `contents` holds: `PickledArray`s, numbers, texts, lists, tuples, sets, dictionaries.

    Raises `RefusedError` for a name of anything else, before it is imported, and `ValueError` for what is damaged.
    """
    try:
        for count, (code, place, _) in enumerate(pickletools.genops(contents)):
            if code.name in _PLACES and isinstance(place, int) and place > count:
                raise ValueError(f"place {place} in its memory")
        return _Unpickler(io.BytesIO(contents), encoding="latin1").load()
    except RefusedError:
        raise
    except Exception as error:
        # Whatever a damaged program of this machine does wrong: attributes, types, stacks, memory.
        raise ValueError(f"{type(error).__name__}: {error}") from error
