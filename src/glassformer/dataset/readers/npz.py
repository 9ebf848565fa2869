"""Files of numpy arrays, .npz, read without objects and without trust in what they say of their size."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.dataset.readers.text import shortened

MAGIC = b"PK\x03\x04"
# Bytes that an array may have beyond, and how many times those of the file, before it is taken for a trap.
_LARGE, _INFLATION = 2**30, 100


def names_in(path: Path) -> set[str]:
    """Return the names of the arrays of `path`, none if it is no .npz file. Raises `DatasetError`, `StorageError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_whole(path, DatasetError, "Check the path."))) as file:
            return {name.removesuffix(".npy") for name in file.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, IndexError):
        return set()


def read_npz(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return the arrays `names` of `path`, and of `optional` those that it has.

    Raises `ValueError` for what is no such file or damaged, `DatasetError` if it does not exist, `StorageError`.
    """
    whole = read_whole(path, DatasetError, "Check the path.")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as file:
            sizes = sum(entry.file_size for entry in file.infolist())
            if sizes > _LARGE and sizes > _INFLATION * len(whole):
                raise ValueError(f"its {len(whole)} bytes would become {sizes}")
        with np.load(io.BytesIO(whole), allow_pickle=False) as arrays:
            there = [name for name in optional if name in arrays]
            return {name: np.asarray(arrays[name]) for name in (*names, *there)}
    except Exception as error:
        # Whatever a damaged archive or header makes the libraries raise.
        raise ValueError(shortened(str(error), 200) or type(error).__name__) from error


def real(array: np.ndarray, name: str) -> FloatArray:
    """Return `array` in double precision. Raises `ValueError` unless it holds real numbers."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"'{name}' has type {array.dtype}; expected real numbers")
    return array.astype(np.float64)
