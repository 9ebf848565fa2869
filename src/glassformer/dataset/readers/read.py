"""Any known file, told by its contents first and by its suffix second."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py

from glassformer.core.errors import DatasetError
from glassformer.dataset.readers import (
    botan,
    deepmind,
    extended_xyz,
    glassbench,
    gsd,
    lammps_data,
    lammps_dump,
    own_npz,
    rumd,
)
from glassformer.dataset.readers.contents import Contents
from glassformer.dataset.readers.npz import MAGIC, names_in
from glassformer.dataset.readers.text import head, open_bytes

# Bytes by which a file is told; a LAMMPS data file may begin with comments.
_HEAD = 8192
_GSD = b"\xdf\x65" * 4
_EXPECTED = (
    "Known are LAMMPS dumps and data files, extended XYZ, GSD, RUMD's .xyz.gz, the .npz files of BOTAN and GlassBench,"
    " DeepMind's pickles, and what glassformer export writes as npz."
)

Reader = Callable[[Path, bool], Contents]


def _whole(read: Callable[[Path], Contents]) -> Reader:
    return lambda path, incomplete: read(path)


_READERS: dict[str, Reader] = {
    lammps_dump.FORMAT: lammps_dump.read_lammps_dump,
    lammps_data.FORMAT: _whole(lammps_data.read_lammps_data),
    extended_xyz.FORMAT: extended_xyz.read_extended_xyz,
    gsd.FORMAT: _whole(gsd.read_gsd),
    rumd.FORMAT: _whole(rumd.read_rumd),
    botan.FORMAT: _whole(botan.read_botan),
    glassbench.FORMAT: _whole(glassbench.read_glassbench),
    deepmind.FORMAT: _whole(deepmind.read_deepmind),
    own_npz.FORMAT: _whole(own_npz.read_own_npz),
}
_SUFFIXES = {
    ".lammpstrj": lammps_dump.FORMAT, ".dump": lammps_dump.FORMAT, ".atom": lammps_dump.FORMAT,
    ".data": lammps_data.FORMAT, ".lmp": lammps_data.FORMAT, ".xyz": extended_xyz.FORMAT,
    ".extxyz": extended_xyz.FORMAT, ".gsd": gsd.FORMAT, ".pickle": deepmind.FORMAT, ".pkl": deepmind.FORMAT,
    ".npz": own_npz.FORMAT,
}  # fmt: skip


def read_file(path: Path, incomplete: bool = False) -> Contents:
    """Return what the file `path` holds, in whichever known format it is.

    `incomplete`: take the whole frames of a file whose last frame is cut off, which is an error otherwise.
    Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming `path` and what is wrong.
    """
    try:
        return _READERS[format_of(path)](path, incomplete)
    except MemoryError:
        raise DatasetError(f"{path} does not fit into memory", "Read fewer frames: split the file.") from None


def format_of(path: Path) -> str:
    """Return the name of the format of `path`. Raises `DatasetError` if it is not known, `StorageError`."""
    start = head(path, _HEAD)
    if not start:
        raise DatasetError(f"{path} is empty", "Copy the file again.")
    if is_hdf5(path):
        raise DatasetError(f"{path} is an HDF5 file, such as a sample of a dataset", "Name the dataset's folder.")
    found = _by_contents(path, start) or _SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    if found is None:
        raise DatasetError(f"{path} has an unknown format", _EXPECTED)
    return found


def is_hdf5(path: Path) -> bool:
    """Tell whether `path` is a file of HDF5, as samples and predictions are. Raises `DatasetError`, `StorageError`."""
    with open_bytes(path):
        # Its mark need not be the first thing in it.
        return bool(h5py.is_hdf5(path))


def _by_contents(path: Path, start: bytes) -> str | None:
    if start.startswith(_GSD):
        return gsd.FORMAT
    if start.startswith(MAGIC):
        return _npz_format(names_in(path))
    if re.match(rb"\x80[\x02-\x05][^\x00]", start):
        return deepmind.FORMAT
    text = start.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("ITEM:"):
        return lammps_dump.FORMAT
    first, _, rest = text.partition("\n")
    if first.strip().isdecimal():
        second = rest.partition("\n")[0]
        return rumd.FORMAT if "columns=" in second or "sim_box=" in second else extended_xyz.FORMAT
    if re.search(r"^\s*\d+\s+atoms\s*(#|$)", text, re.MULTILINE):
        return lammps_data.FORMAT
    return None


def _npz_format(names: set[str]) -> str | None:
    """Return the format of a .npz file that has arrays of these names."""
    if own_npz.MARK in names:
        return own_npz.FORMAT
    if not set(glassbench.ARRAYS) <= names:
        return None
    return botan.FORMAT if set(botan.ARRAYS) <= names else glassbench.FORMAT
