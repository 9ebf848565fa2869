"""RUMD's and gamdpy's configurations: `*.xyz.gz`, a line of numbers per particle under a header that names the columns.

N. P. Bailey et al., SciPost Phys. 3, 038 (2017); http://rumd.org. The box is centred at the origin; types count from
0. Images `imx`, `imy`, `imz` are counted where a file has several frames.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames, whole_numbers
from glassformer.dataset.readers.text import Lines, open_lines, shortened
from glassformer.dataset.readers.types import species_of

FORMAT = "RUMD xyz"
SOURCE = "RUMD"
_EXPECTED = "Expected .xyz.gz with a header of columns=type,x,y,z,... and sim_box=RectangularSimulationBox,..."
_IMAGES = ("imx", "imy", "imz")


@dataclass(frozen=True, eq=False)
class _Block:
    """One frame: its box (3,), its columns by name, each (N,), the number of types, and its step."""

    box: FloatArray
    columns: dict[str, FloatArray]
    types: int
    step: int | None


def read_rumd(path: Path) -> Contents:
    """Return what the file `path` holds, with all `columns` of a file of one frame as they stand.

    After a leap-frog step the positions are one move ahead of the forces, energies and virials of the same file, which
    belong to x - v dt.
    Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming `path`.
    """
    blocks = []
    with open_lines(path) as lines:
        try:
            while (number := lines.content()) is not None:
                blocks.append(_block(lines, number))
            if lines.cut and not blocks:
                raise ValueError("it ends in its first line")
        except (ValueError, KeyError, DatasetError) as error:
            problem = str(error).splitlines()[0].removeprefix(f"{path}: ")
            raise DatasetError(f"{path} is not a RUMD configuration: {shortened(problem, 200)}", _EXPECTED) from error
    frames = Frames(path, FORMAT)
    for block in blocks:
        species = species_of(block.columns["type"], path, block.types)
        frames.add(_frame(block, species, images=len(blocks) > 1))
    contents = frames.contents(Origin(source=SOURCE))
    return replace(contents, columns=blocks[0].columns) if len(blocks) == 1 else contents


def _block(lines: Lines, number: str) -> _Block:
    """Return the frame that begins with the line `number`. Raises `ValueError`, `KeyError` or `DatasetError`."""
    if not re.fullmatch(r"\d{1,12}", number):
        raise ValueError(f"got '{shortened(number)}' in the place of the number of particles")
    header = lines.next() or ""
    names = _setting(header, "columns").split(",")
    kind, *edges = _setting(header, "sim_box").split(",")
    box = np.array(edges, np.float64)
    table, _ = lines.table(int(number), range(len(names)))
    if kind != "RectangularSimulationBox" or box.shape != (3,) or len(table) != int(number):
        raise ValueError(f"a {kind} of {len(box)} edges and {len(table)} of {number} particles")
    if not (np.isfinite(box) & (box > 0)).all():
        raise ValueError(f"box edges {box.tolist()}")
    columns = dict(zip(names, table.T, strict=True))
    missing = [name for name in ("type", "x", "y", "z") if name not in columns]
    if missing:
        raise KeyError(missing[0])
    kinds = re.search(r"(?:^|\s)numTypes=(\d{1,3})(?:\s|$)", header)
    step = re.search(r"(?:^|\s)timeStepIndex=(\d{1,18})(?:\s|$)", header)
    return _Block(box, columns, int(kinds[1]) if kinds else 8, int(step[1]) if step else None)


def _frame(block: _Block, species: np.ndarray, images: bool) -> Frame:
    columns, box = block.columns, block.box
    positions = np.stack([columns[axis] for axis in "xyz"], 1) + box / 2
    unwrapped = images and all(name in columns for name in _IMAGES)
    if unwrapped:
        flags = np.stack([columns[name] for name in _IMAGES], 1)
        positions += whole_numbers(flags, "image", "RUMD file") * box
    return Frame(positions, box, species, unwrapped, None, block.step)


def _setting(header: str, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}=(\S+)", header)
    if found is None:
        raise ValueError(f"the header names no {name}")
    return found.group(1)
