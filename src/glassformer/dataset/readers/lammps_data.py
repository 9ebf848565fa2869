"""LAMMPS's data files, as `write_data` and `read_data` have them: one structure, with image flags where it has them.

https://docs.lammps.org/read_data.html. Styles `atomic`, `charge`, `bond`, `molecular`, `full` and `sphere` are known
where the file names its style (`Atoms # atomic`); without a name it is taken to be `atomic`, of 5 or 8 columns.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames, whole_numbers
from glassformer.dataset.readers.text import Lines, open_lines, shortened

FORMAT = "LAMMPS data"
_EXPECTED = "Expected a data file of LAMMPS with an orthorhombic box and a section Atoms, such as write_data writes."
# Columns of the type and of x; number of columns without image flags.
_STYLES = {
    "atomic": (1, 2, 5), "charge": (1, 3, 6), "bond": (2, 3, 6), "molecular": (2, 3, 6), "full": (2, 4, 7),
    "sphere": (1, 4, 7),
}  # fmt: skip
_LABELS = "Atom Type Labels"


@dataclass(eq=False)
class _Header:
    atoms: int | None = None
    types: int | None = None
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)


def read_lammps_data(path: Path) -> Contents:
    """Return the structure of the data file `path`, in the order of the particles' numbers.

    Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming the file and the line.
    """
    frames, header = Frames(path, FORMAT), _Header()
    with open_lines(path) as lines:
        # A comment, whatever it holds.
        if lines.next() is None:
            raise DatasetError(f"{path} is empty", _EXPECTED)
        while (line := lines.content()) is not None:
            text, _, comment = (part.strip() for part in line.partition("#"))
            if text == "Atoms":
                frames.add(_atoms(lines, header, comment))
                break
            if text == _LABELS:
                _type_labels(lines, header)
            elif text:
                _header_line(lines, text, header)
        else:
            raise DatasetError(f"{path} ends without a section Atoms", _EXPECTED)
    return frames.contents(Origin(source="LAMMPS"))


def _header_line(lines: Lines, text: str, header: _Header) -> None:
    """Read one line above the sections, or skip a section before Atoms, line by line."""
    try:
        if found := re.fullmatch(r"(\d+)\s+atoms", text):
            header.atoms = int(found[1])
        elif found := re.fullmatch(r"(\d+)\s+atom\s+types", text):
            header.types = int(found[1])
        elif found := re.fullmatch(r"(\S+)\s+(\S+)\s+([xyz])lo\s+\3hi", text):
            header.bounds[found[3]] = float(found[1]), float(found[2])
        elif found := re.fullmatch(r"(\S+)\s+(\S+)\s+(\S+)\s+xy\s+xz\s+yz", text):
            tilts = [float(tilt) for tilt in found.groups()]
            if any(tilts):
                raise lines.error(
                    f"line {lines.number}: got a triclinic box with tilt factors {tilts}",
                    "Expected an orthorhombic one.",
                )
        elif re.search(r"[abc]vec$|abc\s+origin$", text):
            raise lines.error(f"line {lines.number}: got a general triclinic box", "Expected an orthorhombic one.")
    except (ValueError, OverflowError):
        raise lines.error(f"line {lines.number}: got '{shortened(text)}'", _EXPECTED) from None


def _type_labels(lines: Lines, header: _Header) -> None:
    for _ in range(header.types or 0):
        words = (lines.content() or "").split()
        if len(words) < 2 or not words[0].isdecimal() or len(words[0]) > 9:
            raise lines.error(
                f"line {lines.number}: got '{shortened(' '.join(words))}'", "Expected a type and its label."
            )
        header.labels[int(words[0])] = words[1]


def _atoms(lines: Lines, header: _Header, comment: str) -> Frame:
    if header.atoms is None or set(header.bounds) != set("xyz"):
        raise lines.error("the number of atoms or the box is missing above the section Atoms", _EXPECTED)
    first = lines.content()
    if first is None:
        raise lines.error("the section Atoms is empty", _EXPECTED)
    columns = len(first.partition("#")[0].split())
    lines.back(first)
    style = comment.split()[0] if comment else "atomic"
    if style not in _STYLES:
        raise lines.error(f"got atoms of the style '{shortened(style)}'", f"Expected one of {', '.join(_STYLES)}.")
    kind, x, least = _STYLES[style]
    images = columns == least + 3
    if columns not in (least, least + 3):
        raise lines.error(
            f"line {lines.number + 1}: got {columns} columns of the style {style}; expected {least} or {least + 3}",
            "Name the style behind Atoms, such as: Atoms # molecular.",
        )
    flags = range(least, least + 3) if images else ()
    labelled = bool(header.labels)
    wanted = [0, x, x + 1, x + 2, *flags, *(() if labelled else (kind,))]
    table, words = lines.table(header.atoms, wanted, kind if labelled else None)
    if len(table) < header.atoms:
        raise lines.error(f"got {len(table)} of {header.atoms} atoms", "Check that the file is complete.")
    where = str(lines.path)
    low, high = np.array([header.bounds[axis] for axis in "xyz"]).T
    positions = table[:, 1:4] - low
    if images:
        positions += whole_numbers(table[:, 4:7], "image flag", where) * (high - low)
    types = np.array(words) if labelled else whole_numbers(table[:, -1], "type", where)
    return Frame(positions, high - low, types, images, whole_numbers(table[:, 0], "id", where))
