"""LAMMPS's text dumps: `dump custom` and `dump atom`, one frame or many, plain or .gz.

https://docs.lammps.org/dump.html. Columns may have any order, and lines any order of particles. With L the edges of
the box and lo its corner, positions from the corner are

| columns | positions | unwrapped |
|---|---|---|
| xu yu zu | xu - lo | yes |
| xsu ysu zsu | xsu L | yes |
| x y z ix iy iz | x - lo + ix L | yes |
| xs ys zs ix iy iz | (xs + ix) L | yes |
| x y z | x - lo | no |
| xs ys zs | xs L | no |
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Origin
from glassformer.dataset.readers.frames import Frame, Frames, check_box, is_flat, whole_numbers
from glassformer.dataset.readers.text import Lines, open_lines, shortened

FORMAT = "LAMMPS dump"
_EXPECTED = "Expected a text dump of LAMMPS: dump custom with id type x y z ix iy iz, or xu yu zu."
# Names of the columns of x, and whether they are parts of the box's edge, and unwrapped; the best ones first.
_COORDINATES = (("xu", False, True), ("xsu", True, True), ("x", False, False), ("xs", True, False))
_IMAGES = ("ix", "iy", "iz")
# A frame's header never names more.
_MOST_SECTIONS = 10


@dataclass(frozen=True)
class _Columns:
    """Where the columns stand in a line: `axes` of x, y and perhaps z, `images`, the number, and the type."""

    axes: tuple[int, ...]
    scaled: bool
    unwrapped: bool
    images: tuple[int, ...]
    number: int | None
    type: int
    named: bool

    @property
    def numeric(self) -> tuple[int, ...]:
        return (
            *self.axes, *self.images,
            *(() if self.number is None else (self.number,)), *(() if self.named else (self.type,)),
        )  # fmt: skip


@dataclass(eq=False)
class _Header:
    """What stands above the lines of a frame."""

    step: int | None = None
    time: float | None = None
    particles: int | None = None
    low: FloatArray | None = None
    box: FloatArray | None = None
    walls: tuple[str, ...] = ()
    units: str | None = None
    columns: list[str] = field(default_factory=list)


def read_lammps_dump(path: Path, incomplete: bool = False) -> Contents:
    """Return the frames of the dump `path`, its particles in the order of their numbers.

    `incomplete`: take the whole frames of a file whose last one is cut off. Raises `DatasetError`,
    `ConfigurationError` or `StorageError`, naming the file and the line or frame.
    """
    frames, units = Frames(path, FORMAT, ordered=False), set[str]()
    with open_lines(path) as lines:
        while (header := _header(lines, frames, incomplete)) is not None:
            frame = _frame(lines, header, f"{path}: frame {len(frames)}")
            if frame is None:
                frames.refuse_cut(incomplete)
                break
            frames.add(frame)
            units |= {header.units} if header.units else set()
    notes = [f"The dump is in units '{unit}'; lengths and times are taken as they stand." for unit in units - {"lj"}]
    return frames.contents(Origin(source="LAMMPS"), tuple(sorted(notes)))


def _header(lines: Lines, frames: Frames, incomplete: bool) -> _Header | None:
    """Return the next frame's header, or None at the end of the file."""
    header = _Header()
    for _ in range(_MOST_SECTIONS):
        title = lines.content()
        if title is None:
            if header.particles is not None or header.step is not None:
                frames.refuse_cut(incomplete)
            elif not len(frames):
                raise DatasetError(f"{lines.path} is empty", _EXPECTED)
            return None
        if not title.startswith("ITEM:"):
            if lines.cut and "ITEM:".startswith(title):
                frames.refuse_cut(incomplete)
                return None
            raise lines.error(f"line {lines.number}: got '{shortened(title)}' where a frame begins", _EXPECTED)
        name = title.removeprefix("ITEM:").strip()
        if name.startswith("ATOMS"):
            if lines.cut:
                frames.refuse_cut(incomplete)
                return None
            header.columns = name.split()[1:]
            return header
        if not _section(lines, name, header):
            frames.refuse_cut(incomplete)
            return None
    raise lines.error(f"line {lines.number}: got a frame without ITEM: ATOMS", _EXPECTED)


def _section(lines: Lines, name: str, header: _Header) -> bool:
    """Read what belongs to the title `name` into `header`; False where the file ends inside it."""
    number = 3 if name.startswith("BOX BOUNDS") else 1
    values = lines.rows(number)
    if len(values) < number or lines.cut:
        return False
    where = f"line {lines.number}: ITEM: {shortened(name)}"
    try:
        if name == "TIMESTEP":
            header.step = int(values[0])
            if not 0 <= header.step < 2**62:
                raise ValueError(f"got {shortened(values[0])}")
        elif name == "NUMBER OF ATOMS":
            header.particles = int(values[0])
            if not 0 < header.particles < 2**40:
                raise ValueError(f"got {shortened(values[0])}")
        elif name == "TIME":
            header.time = float(values[0])
            if not np.isfinite(header.time):
                raise ValueError(f"got {shortened(values[0])}")
        elif name == "UNITS":
            header.units = shortened(values[0], 20)
        elif name.startswith("BOX BOUNDS"):
            header.low, header.box, header.walls = _bounds(name.removeprefix("BOX BOUNDS").split(), values)
        else:
            raise ValueError("is not known")
    except _TriclinicError as error:
        raise lines.error(f"{where}: {shortened(str(error), 200)}", "Use an orthorhombic box.") from None
    except (ValueError, OverflowError) as error:
        raise lines.error(f"{where}: {shortened(str(error), 200)}", _EXPECTED) from None
    return True


class _TriclinicError(ValueError):
    """A box that is none of ours, in a dump that is otherwise right."""


def _bounds(words: list[str], rows: list[str]) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return the box's corner and edges, each (3,), and the axes with walls. Raises `ValueError`."""
    values = [[float(value) for value in row.split()] for row in rows]
    if "abc" in words or any(len(row) not in (2, 3) for row in values):
        error = _TriclinicError if "abc" in words else ValueError
        raise error(f"got {'a general triclinic box' if 'abc' in words else shortened(rows[0])}")
    tilts = [row[2] for row in values if len(row) == 3]
    if any(tilts):
        raise _TriclinicError(f"got a triclinic box with tilt factors {tilts}; expected an orthorhombic one")
    bounded = [word for word in words if word not in ("xy", "xz", "yz")]
    walls = tuple(axis for axis, word in zip("xyz", bounded, strict=False) if word != "pp")
    array = np.array([row[:2] for row in values])
    return array[:, 0], array[:, 1] - array[:, 0], walls


def _frame(lines: Lines, header: _Header, where: str) -> Frame | None:
    """Return the frame under `header`, or None where the file ends inside it."""
    if header.particles is None or header.low is None or header.box is None:
        raise DatasetError(f"{where} lacks its number of atoms or its box", _EXPECTED)
    box = header.box
    check_box(box, where)
    columns = _columns(header.columns, where)
    table, names = lines.table(header.particles, columns.numeric, columns.type if columns.named else None)
    if len(table) < header.particles or lines.cut:
        return None
    axes = len(columns.axes)
    positions = np.zeros((len(table), 3))
    positions[:, :axes] = table[:, :axes]
    positions = positions * box if columns.scaled else positions - header.low
    flat = axes == 2 or is_flat(positions)
    if axes == 2:
        positions[:, 2] = 0
    # Along z the plane of a two-dimensional system may have walls.
    if walls := [axis for axis in header.walls if axis != "z" or not flat]:
        raise DatasetError(
            f"{where}: got a box that is not periodic along {', '.join(walls)}", "Expected a periodic box."
        )
    flags = len(columns.images)
    unwrapped = columns.unwrapped or flags == 3 or (flags == 2 and flat)
    if not columns.unwrapped and unwrapped:
        positions[:, :flags] += whole_numbers(table[:, axes : axes + flags], "image flag", where) * box[:flags]
    ids = None if columns.number is None else whole_numbers(table[:, axes + flags], "id", where)
    types = np.array(names) if columns.named else whole_numbers(table[:, -1], "type", where)
    return Frame(positions, box, types, unwrapped, ids, header.step, header.time)


def _columns(names: list[str], where: str) -> _Columns:
    """Return where the columns called `names` stand. Raises `DatasetError` if positions or types are missing."""
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    for name, scaled, unwrapped in _COORDINATES:  # noqa: B007
        wanted = [name, name.replace("x", "y"), name.replace("x", "z")]
        if all(axis in places for axis in wanted[:2]):
            break
    else:
        raise DatasetError(f"{where}: got the columns {shortened(' '.join(names))}, without positions", _EXPECTED)
    kind = next((kind for kind in ("type", "element") if kind in places), None)
    if kind is None:
        raise DatasetError(f"{where}: got the columns {shortened(' '.join(names))}, without type", _EXPECTED)
    axes = tuple(places[axis] for axis in wanted if axis in places)
    images = () if unwrapped else tuple(places[axis] for axis in _IMAGES if axis in places)
    if len(images) < 2 or (len(images) == 2 and "iz" in places):
        images = ()
    return _Columns(axes, scaled, unwrapped, images[: len(axes)], places.get("id"), places[kind], kind == "element")
