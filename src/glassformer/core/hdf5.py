"""HDF5 files in memory: written with a checksum, and read with suspicion.

What HDF5 allows goes far beyond arrays in a file: data in other files, links, virtual arrays, filters that run code.
Only plain arrays that lie in the file itself are read, and nothing is allocated that the file could not hold.
"""

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import OLDEST_VERSION, SCHEMA_VERSION, ArraySpec
from glassformer.core.checksum import BLOCK, Checksum, check_user_block, warn_of_older_files, with_user_block
from glassformer.core.errors import InputError, NoFileError
from glassformer.core.files import read_whole, write_atomically

# What h5py raises on damaged contents, depending on where the damage lies.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, OverflowError)
# gzip, shuffle and checksums: those that HDF5 itself brings and that only pack.
PLAIN_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
# Packed data may be so many times larger than the file: gzip cannot pack further.
MOST_PACKED = 1100


class ContentsError(Exception):
    """Contents that are refused before they are read; `open_hdf5` names the file."""


_REFUSED = {
    Checksum.WRONG: "its checksum does not fit its contents",
    Checksum.FOREIGN: "it is no HDF5 file",
}
_OTHER = (
    "Give a {kind} that glassformer wrote; if it should be one, copy it again. Structures of other codes go to"
    " `glassformer propensity` or `glassformer import`."
)
_DAMAGED = "It is truncated or damaged: delete it and run the command that wrote it again, or copy it again."


def write_hdf5(path: Path, fill: Callable[[Any], None]) -> None:
    """Write the HDF5 file that `fill` fills to `path`, whole or not at all, with a checksum. Raises `StorageError`.

    HDF5 writes into memory, so that a full disk meets plain file writing, where it can be told.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=BLOCK) as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        fill(file)
    write_atomically(path, with_user_block(buffer.getvalue()))


@contextmanager
def open_hdf5(path: Path, error: type[InputError], kind: str, remedy: str = _DAMAGED) -> Iterator[tuple[Any, int]]:
    """Open the HDF5 file `path`, verified, and yield it with its size in bytes.

    Whatever goes wrong while it is read is raised as `error`, naming `path` and `kind`; `remedy`: of damage, or of
    something in its place that is no file, which is raised as `NoFileError`.

    A file of an older version, without a checksum, is read with an `OlderFileWarning`.
    """
    try:
        whole = read_whole(path, error, "Check the path.")
    except NoFileError as problem:
        raise NoFileError(problem.problem, problem.remedy if remedy == _DAMAGED else remedy) from None
    found = check_user_block(whole)
    if found in _REFUSED:
        if found is Checksum.FOREIGN and remedy == _DAMAGED:
            # A file of another format may well be the user's own: nobody should delete it.
            remedy = _OTHER.format(kind=kind)
        raise error(f"{path} is not a whole {kind}: {_REFUSED[found]}", remedy)
    try:
        with h5py.File(io.BytesIO(whole), "r") as file:
            _check_version(path, file, found, error, remedy)
            yield file, len(whole)
    except ContentsError as problem:
        raise error(f"{path}: {problem}", "The file cannot be used.") from None
    except HDF5_ERRORS as problem:
        raise error(f"{path} is not a whole {kind}: {problem}", remedy) from problem


def _check_version(path: Path, file: Any, found: Checksum, error: type[InputError], remedy: str) -> None:
    version = file.attrs.get("schema_version")
    version = version.item() if isinstance(version, np.generic) else version
    if not isinstance(version, int) or not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        raise error(
            f"{path}: got schema version {version}; expected {OLDEST_VERSION} to {SCHEMA_VERSION}",
            "The file was not written by this version of glassformer.",
        )
    if found is Checksum.RIGHT:
        return
    if version > OLDEST_VERSION:
        raise error(f"{path}: the checksum is missing", remedy)
    warn_of_older_files(path)


def format_of_hdf5(whole: bytes) -> str:
    """Return the format that a whole HDF5 file of this package names, or '' for any other file."""
    if check_user_block(whole) not in (Checksum.RIGHT, Checksum.NONE):
        return ""
    try:
        with h5py.File(io.BytesIO(whole), "r") as file:
            return str(file.attrs.get("format", "HDF5 file"))
    except HDF5_ERRORS:
        return ""


def group(file: Any, name: str) -> Any:
    """Return the group `name` of `file`. Raises `ContentsError` if it is a link or no group."""
    _refuse_link(file, name)
    found = file[name]
    if not isinstance(found, h5py.Group):
        raise ContentsError(f"'{name}' is not a group")
    return found


def read_arrays(parent: Any, specs: tuple[ArraySpec, ...], size: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of `specs` that `parent` holds, by name; `size` is that of the file in bytes.

    Raises `ContentsError` for arrays of another type or number of dimensions, and for all but plain data in the file.
    """
    return {spec.name: _read(parent, spec, size) for spec in specs if spec.name in parent}


def read_texts(parent: Any, name: str, size: int) -> tuple[str, ...]:
    """Return the texts of the array `name`. Raises as `read_arrays` does."""
    _refuse_link(parent, name)
    dataset = parent[name]
    if not isinstance(dataset, h5py.Dataset) or h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1:
        raise ContentsError(f"'{name}' is not a list of strings")
    _refuse_foreign_storage(dataset, name, size)
    return tuple(dataset.asstr()[()])


def _read(parent: Any, spec: ArraySpec, size: int) -> NDArray[Any]:
    name = spec.name
    _refuse_link(parent, name)
    dataset = parent[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ContentsError(f"'{name}' is not an array")
    if dataset.dtype != np.dtype(spec.dtype):
        raise ContentsError(f"'{name}' has type {dataset.dtype}; expected {np.dtype(spec.dtype)}")
    if dataset.shape is None or dataset.ndim != len(spec.shape):
        raise ContentsError(f"'{name}' has shape {dataset.shape}; expected {len(spec.shape)} dimensions")
    _refuse_foreign_storage(dataset, name, size)
    array: NDArray[Any] = dataset[()]
    return array


def _refuse_link(parent: Any, name: str) -> None:
    link = parent.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ContentsError(f"'{name}' is a link to another place; expected data in the file itself")


def _refuse_foreign_storage(dataset: Any, name: str, size: int) -> None:
    made_by = dataset.id.get_create_plist()
    if dataset.external is not None or made_by.get_external_count() or dataset.is_virtual:
        raise ContentsError(f"'{name}' is stored in another file; expected data in the file itself")
    filters = [made_by.get_filter(number)[0] for number in range(made_by.get_nfilters())]
    if not set(filters) <= set(PLAIN_FILTERS):
        raise ContentsError(
            f"'{name}' is compressed with filters {filters}; expected none but gzip, shuffle and fletcher32"
        )
    if dataset.chunks is not None:
        wanted = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        if dataset.id.get_num_chunks() != wanted:
            raise ContentsError(f"'{name}' was written in part: {dataset.id.get_num_chunks()} of {wanted} pieces")
    stored = dataset.id.get_storage_size()
    if stored > size or dataset.nbytes > (MOST_PACKED * stored if filters else stored):
        raise ContentsError(
            f"'{name}' has {dataset.nbytes} bytes, of which {stored} were written, in a file of {size}: not all of it"
            " was written"
        )
