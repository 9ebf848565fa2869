"""GSD, the files of HOOMD-blue: frames with images, types by name, read by the package `gsd`.

https://gsd.readthedocs.io. Positions are of single precision, in [-L/2, L/2) with images; with two dimensions z = 0.
The package is optional: pip install 'glassformer[gsd]'.
"""

from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames
from glassformer.dataset.readers.text import open_bytes

FORMAT = "GSD"


def gsd_package() -> Any:
    """Return the package's module `gsd.hoomd`. Raises `DatasetError` with the remedy where it is not installed."""
    try:
        import gsd.hoomd
    except ImportError as error:
        raise DatasetError(
            f"GSD files need the package gsd, which cannot be loaded: {error}",
            "Install it: pip install 'glassformer[gsd]'.",
        ) from error
    return gsd.hoomd


def read_gsd(path: Path) -> Contents:
    """Return the frames of `path`. Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming the file."""
    package = gsd_package()
    with open_bytes(path):
        # A missing or unreadable file is told as with every other format.
        pass
    frames = Frames(path, FORMAT)
    try:
        with package.open(str(path), "r") as file:
            for number in range(len(file)):
                frames.add(_frame(file[number], f"{path}: frame {number + 1}"))
    except (RuntimeError, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        raise DatasetError(f"{path} is damaged, or no GSD file: {error}", "Copy the file again.") from error
    return frames.contents(Origin(source="HOOMD-blue"))


def _frame(read: Any, where: str) -> Frame:
    box = np.asarray(read.configuration.box, np.float64)
    if box[3:].any():
        tilts = box[3:].tolist()
        raise DatasetError(f"{where}: got a triclinic box with tilt factors {tilts}", "Expected an orthorhombic one.")
    edges, particles = box[:3].copy(), read.particles
    flat = int(read.configuration.dimensions) == 2 or edges[2] == 0
    positions = np.asarray(particles.position, np.float64).copy()
    if flat:
        positions[:, 2], edges[2] = 0, 1
    kinds, names = np.asarray(particles.typeid, np.int64), [str(name) for name in particles.types]
    if len(kinds) and kinds.max() >= len(names):
        remedy = "The file contradicts itself and cannot be used."
        raise DatasetError(f"{where}: got type {kinds.max()} of {len(names)}", remedy)
    positions += np.asarray(particles.image, np.float64) * edges * (1, 1, 0 if flat else 1)
    if not flat:
        positions += edges / 2
    else:
        positions[:, :2] += edges[:2] / 2
    return Frame(positions, edges, np.array(names)[kinds], True, None, int(read.configuration.step))
