"""Extended XYZ: one structure or several, with the box in the second line of each.

https://github.com/libAtoms/extxyz. Read are `Lattice`, `Origin`, `pbc`, `Time`, `Step`, and of `Properties` the
columns `pos`, `id`, `species`, `type`, `element` or `atom_types`, and `map_shift`, the periodic images. `species_names`
names the types 1, 2, ... of a file that `glassformer export` wrote; with `units=LJ`, `mixture` and `temperature` are
read, too.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.words import counted
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames, is_flat, whole_numbers
from glassformer.dataset.readers.text import Lines, open_lines, shortened

FORMAT = "extended XYZ"
PERIODIC = "Expected a periodic box."
_EXPECTED = 'Expected extended XYZ: Lattice="Lx 0 0 0 Ly 0 0 0 Lz" and Properties=species:S:1:pos:R:3 in line 2.'
_TYPES = ("species", "type", "element", "atom_types")
_PAIR = re.compile(r"""([^\s="]+)=(?:"([^"]*)"|'([^']*)'|\{([^}]*)\}|\[([^\]]*)\]|(\S*))""")


@dataclass(frozen=True)
class _Property:
    """A property of the particles: its first column, its kind S, R, I or L, and its number of columns."""

    column: int
    kind: str
    width: int


def read_extended_xyz(path: Path, incomplete: bool = False) -> Contents:
    """Return the frames of `path`.

    `incomplete`: take the whole frames of a file whose last one is cut off. Raises `DatasetError`,
    `ConfigurationError` or `StorageError`, naming the file and the line or frame.
    """
    frames, origins = Frames(path, FORMAT), set[Origin]()
    with open_lines(path) as lines:
        while (number := lines.content()) is not None:
            settings: dict[str, str] = {}
            frame = _frame(lines, number, f"{path}: frame {len(frames)}", settings)
            if frame is None:
                frames.refuse_cut(incomplete)
                break
            frames.add(frame)
            origins.add(Origin.stated(settings))
        if lines.cut and not len(frames):
            frames.refuse_cut(incomplete)
    if not len(frames):
        raise DatasetError(f"{path} is empty", _EXPECTED)
    # What frames say differently is not true of all of them.
    return frames.contents(origins.pop() if len(origins) == 1 else None)


def _frame(lines: Lines, number: str, where: str, settings: dict[str, str]) -> Frame | None:
    """Return the frame that begins with the line `number`, or None where the file ends inside it.

    `settings` receives the pairs of its second line.
    """
    if not re.fullmatch(r"\d{1,12}", number):
        raise lines.error(f"line {lines.number}: got '{shortened(number)}' where a frame begins", _EXPECTED)
    comment = lines.next()
    if comment is None:
        return None
    settings |= header_settings(comment)
    low, box, walls = _box(settings, where)
    properties = _properties(settings.get("Properties", ""), where)
    kind = properties[next(name for name in _TYPES if name in properties)]
    position, image, identity = properties["pos"], properties.get("map_shift"), properties.get("id")
    named = kind.kind == "S"
    columns = [*range(position.column, position.column + 3)]
    columns += [] if image is None else [*range(image.column, image.column + 3)]
    columns += [] if identity is None else [identity.column]
    columns += [] if named else [kind.column]
    table, words = lines.table(int(number), columns, kind.column if named else None)
    if len(table) < int(number):
        return None
    positions = table[:, :3] - low
    if walls := [axis for axis in walls if axis != "z" or not is_flat(positions)]:
        raise DatasetError(
            f"{where}: got a box that is not periodic along {', '.join(walls)}", "Expected a periodic box."
        )
    if image is not None:
        positions += whole_numbers(table[:, 3:6], "map_shift", where) * box
    ids = None if identity is None else whole_numbers(table[:, 6 if image is not None else 3], "id", where)
    types = np.array(words) if named else whole_numbers(table[:, -1], "type", where)
    if not named and "species_names" in settings:
        types = _named(types, settings["species_names"].split(","), where)
    return Frame(
        positions,
        box,
        types,
        image is not None,
        ids,
        _step(settings, where),
        _number(settings, ("Time", "time"), where),
    )


def header_settings(line: str) -> dict[str, str]:
    """Return the key=value pairs of a second line; values may be quoted."""
    return {found[1]: next(text for text in found.groups()[1:] if text is not None) for found in _PAIR.finditer(line)}


def _box(settings: dict[str, str], where: str) -> tuple[FloatArray, FloatArray, list[str]]:
    """Return the corner and the edges of the box, each (3,), and the axes along which it is not periodic."""
    try:
        lattice = np.array(settings["Lattice"].split(), np.float64).reshape(3, 3)
        low = np.array(settings.get("Origin", "0 0 0").split(), np.float64)
        if low.shape != (3,):
            raise ValueError
    except KeyError:
        raise DatasetError(f"{where} has no box: Lattice is missing in its second line", _EXPECTED) from None
    except ValueError:
        raise DatasetError(
            f"{where}: got Lattice=\"{shortened(settings['Lattice'])}\" and"
            f" Origin=\"{shortened(settings.get('Origin', '0 0 0'))}\"", _EXPECTED,
        ) from None  # fmt: skip
    if lattice[~np.eye(3, dtype=bool)].any():
        raise DatasetError(
            f'{where}: got a triclinic box, Lattice="{shortened(settings["Lattice"])}"',
            "Expected an orthorhombic one.",
        )
    flags = settings.get("pbc", "T T T").split()
    walls = [axis for axis, flag in zip("xyz", flags, strict=False) if flag.lower() not in ("t", "1", "true")]
    return low, np.diagonal(lattice).copy(), walls


def _properties(text: str, where: str) -> dict[str, _Property]:
    words = (text or "species:S:1:pos:R:3").split(":")
    found, column = dict[str, _Property](), 0
    for name, kind, width in zip(words[::3], words[1::3], words[2::3], strict=False):
        if kind not in ("S", "R", "I", "L") or not re.fullmatch(r"[1-9]\d{0,3}", width):
            break
        found.setdefault(name, _Property(column, kind, int(width)))
        column += int(width)
    else:
        widths = {"pos": 3, "map_shift": 3, "id": 1}
        fits = all(found[name].width == width for name, width in widths.items() if name in found)
        if len(words) % 3 == 0 and fits and "pos" in found and any(name in found for name in _TYPES):
            return found
    raise DatasetError(
        f"{where}: got Properties={shortened(text)}", "Expected pos:R:3 and species:S:1 or type:I:1 among them."
    )


def _named(types: np.ndarray, names: list[str], where: str) -> np.ndarray:
    """Return the names of the types 1, 2, ... Raises `DatasetError` if one has none."""
    if types.min() < 1 or types.max() > len(names):
        raise DatasetError(
            f"{where}: got types {types.min()} to {types.max()} and {counted(len(names), 'name')} of species",
            "The file contradicts itself and cannot be used.",
        )
    named: np.ndarray = np.array(names)[types - 1]
    return named


def _step(settings: dict[str, str], where: str) -> int | None:
    step = _number(settings, ("Step", "step", "Timestep", "timestep"), where)
    return None if step is None or step != int(step) else int(step)


def _number(settings: dict[str, str], names: tuple[str, ...], where: str) -> float | None:
    text = next((settings[name] for name in names if name in settings), None)
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = np.nan
    if value is not None and not abs(value) < 2**62:
        raise DatasetError(f"{where}: got {names[0]}={shortened(text or '')}", "Expected a finite number.")
    return value
