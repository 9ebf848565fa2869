"""GSD, the files of HOOMD-blue: frames with images, types by name, read by the package `gsd`.

https://gsd.readthedocs.io. Positions are of single precision, in [-L/2, L/2), with images in the
frames that have them; in two dimensions z = 0.
The package is optional: pip install 'glassformer[gsd]'.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames, whole_numbers
from glassformer.dataset.readers.text import open_bytes, shortened
from glassformer.physics.configuration import THICKNESS

FORMAT = "GSD"
# Of a file whose names are no names.
MOST_TYPES = 1000


def gsd_package() -> Any:
    """Return the package `gsd`. Raises `DatasetError` with the remedy where it is not installed."""
    try:
        import gsd.fl
        import gsd.hoomd
    except ImportError as error:
        raise DatasetError(
            f"GSD files need the package gsd, which cannot be loaded: {error}",
            "Install it: pip install 'glassformer[gsd]'.",
        ) from error
    return gsd


def read_gsd(path: Path) -> Contents:
    """Return the frames of `path`. Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming the file."""
    package = gsd_package()
    with open_bytes(path):
        # A missing or unreadable file is told as with every other format.
        pass
    frames = Frames(path, FORMAT)
    try:
        # Not through `gsd.hoomd`, which makes room for as many particles as a damaged file announces.
        with package.fl.open(str(path), "r") as file:
            if file.schema != "hoomd":
                raise ValueError(f"its schema is {file.schema}")
            for number in range(file.nframes):
                frames.add(_frame(_Chunks(file, number), f"{path}: frame {number}"))
    except (RuntimeError, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        problem = shortened(str(error), 200)
        raise DatasetError(f"{path} is damaged, or not a GSD file: {problem}", "Copy the file again.") from error
    return frames.contents(Origin(source="HOOMD-blue"))


@dataclass(frozen=True)
class _Chunks:
    """The arrays of frame `number`: what it does not hold is as in the first frame."""

    file: Any
    number: int

    def get(self, name: str) -> Any:
        """Return the array called `name`, or None. Raises what the package raises for damage."""
        for number in dict.fromkeys((self.number, 0)):
            if self.file.chunk_exists(number, name):
                return self.file.read_chunk(number, name)
        return None


def _frame(chunks: _Chunks, where: str) -> Frame:
    box = _array(chunks, "configuration/box", (6,), np.array([1.0, 1, 1, 0, 0, 0]))
    if box[3:].any():
        tilts = box[3:].tolist()
        raise DatasetError(f"{where}: got a triclinic box with tilt factors {tilts}", "Expected an orthorhombic one.")
    positions = chunks.get("particles/position")
    if positions is None or positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError("a frame has no positions")
    size = len(positions)
    edges = box[:3].copy()
    flat = int(_array(chunks, "configuration/dimensions", (1,), np.array([3.0]))[0]) == 2 or edges[2] == 0
    inside = np.array([1.0, 1.0, 0.0 if flat else 1.0])
    if flat:
        edges[2] = THICKNESS
    # HOOMD-blue leaves images out of later frames unless it is told otherwise: they are not those of the first.
    counted = chunks.number == 0 or chunks.file.chunk_exists(chunks.number, "particles/image")
    none = np.zeros((size, 3))
    images = whole_numbers(_array(chunks, "particles/image", (size, 3), none) if counted else none, "image", where)
    unwrapped = (positions.astype(np.float64) + images * edges + edges / 2) * inside
    kinds = whole_numbers(_array(chunks, "particles/typeid", (size,), np.zeros(size)), "typeid", where)
    names = _names(chunks.get("particles/types"))
    if size and not 0 <= kinds.min() <= kinds.max() < len(names):
        remedy = "The file contradicts itself and cannot be used."
        raise DatasetError(f"{where}: got types {kinds.min()} to {kinds.max()} of {len(names)}", remedy)
    step = int(whole_numbers(_array(chunks, "configuration/step", (1,), np.zeros(1)), "step", where)[0])
    return Frame(unwrapped, edges, np.array(names)[kinds], counted, None, step)


def _array(chunks: _Chunks, name: str, shape: tuple[int, ...], default: FloatArray) -> FloatArray:
    """Return the numbers called `name`. Raises `ValueError` if they have another shape."""
    found = chunks.get(name)
    if found is None:
        return default
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise ValueError(f"{name} has shape {found.shape}; expected {shape}")
    return found.astype(np.float64)  # type: ignore[no-any-return]


def _names(found: Any) -> list[str]:
    """Return the names of the types, which are lines of bytes that end with zeros."""
    if found is None:
        return ["A"]
    if found.ndim != 2 or found.dtype.itemsize != 1 or not 0 < len(found) <= MOST_TYPES:
        raise ValueError("got no names of types")
    return [bytes(row).split(b"\0")[0].decode("utf-8") for row in found]
