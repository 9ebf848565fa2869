"""Frames of any format, checked and put together into one trajectory."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray, IntArray
from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.core.memory import available_memory
from glassformer.core.words import counted
from glassformer.dataset.readers.contents import Contents, Origin, Trajectory
from glassformer.dataset.readers.text import shortened
from glassformer.physics.box import wrap
from glassformer.physics.configuration import MOST_SPECIES, THICKNESS

# Box edges that can mean something, and how many of them a particle may be away from the box.
LEAST_EDGE, MOST_EDGE, FARTHEST = 1e-6, 1e9, 1e7
# Bytes of positions after which the memory that is left is looked at again.
CHECKED_BYTES = 2**27
# Characters of the name of a type.
MOST_NAME = 32


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as a file has it: `positions` (N, 3) from the corner of the box, `box` (3,), `types` (N,).

    `ids` (N,): numbers of the particles, by which they are sorted.
    """

    positions: FloatArray
    box: FloatArray
    types: NDArray[np.generic]
    unwrapped: bool
    ids: IntArray | None = None
    step: int | None = None
    time: float | None = None


@dataclass(eq=False)
class Frames:
    """The frames of the file `path`, added one after the other.

    `ordered`: whether the format keeps the order of the particles where it does not number them.
    """

    path: Path
    format: str
    ordered: bool = True
    _frames: list[Frame] = field(default_factory=list)
    _types: NDArray[np.generic] | None = None
    _ids: IntArray | None = None
    _unnumbered: bool = False
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame) -> None:
        """Add `frame`. Raises `DatasetError` if it is none, or not one of the same particles as those before."""
        where = f"{self.path}: frame {len(self)}"
        check_box(frame.box, where)
        _check_positions(frame, where)
        frame = _sorted(frame, where)
        if self._types is None:
            self._types, self._ids = frame.types, frame.ids
        self._compare(frame, where)
        self._check_memory(frame, where)
        self._unnumbered |= frame.ids is None
        # What is the same in all of them is kept once.
        self._frames.append(
            Frame(frame.positions, frame.box, self._types, frame.unwrapped, None, frame.step, frame.time)
        )

    def _check_memory(self, frame: Frame, where: str) -> None:
        """Raise `DatasetError` if the frames so far could not be put together: that takes their size once more."""
        before, self._bytes = self._bytes, self._bytes + frame.positions.nbytes
        if before // CHECKED_BYTES == self._bytes // CHECKED_BYTES:
            return
        left = available_memory()
        if left is not None and left < self._bytes:
            raise DatasetError(
                f"{where}: positions take {self._bytes / 1e9:.1f} GB so far, as much again is needed, but only"
                f" {left / 1e9:.1f} GB of memory are left",
                "Split the file, or write frames less often.",
            )

    def refuse_cut(self, incomplete: bool) -> None:
        """Raise `DatasetError` for a file that ends inside a frame, unless the whole ones before it are asked for."""
        whole = counted(len(self), "whole frame")
        if incomplete and len(self):
            return
        remedy = "Copy the file again, or end its last line if nothing else is missing"
        if len(self):
            remedy += f", or take the {whole} with --incomplete"
        raise DatasetError(f"{self.path} ends inside frame {len(self)}, after {whole}", f"{remedy}.")

    def _compare(self, frame: Frame, where: str) -> None:
        assert self._types is not None
        remedy = "Every frame must hold the same particles: split the file."
        if len(frame.types) != len(self._types):
            raise DatasetError(f"{where} has {len(frame.types)} particles; the first has {len(self._types)}", remedy)
        if (frame.ids is None) != (self._ids is None) or not np.array_equal(
            np.zeros(0) if frame.ids is None else frame.ids, np.zeros(0) if self._ids is None else self._ids
        ):
            raise DatasetError(f"{where} has other particle ids than the first", remedy)
        changed = int((frame.types != self._types).sum())
        if changed:
            hint = "" if frame.ids is not None else " Without numbers of particles their order must stay the same."
            raise DatasetError(
                f"{where}: {counted(changed, 'particle')} changed type since the first frame", remedy + hint
            )

    def contents(self, origin: Origin | None = None, notes: tuple[str, ...] = ()) -> Contents:
        """Return what the file holds. Raises `DatasetError` if it has no frame or too many types."""
        if not self._frames:
            raise DatasetError(f"{self.path} contains no frame", "Check that the file is complete.")
        assert self._types is not None
        names, species = type_names(self._types, self.path)
        steps, times = self._steps(), self._times()
        backwards = any(row is not None and (np.diff(row) <= 0).any() for row in (steps, times))
        followed = not backwards and (len(self) == 1 or self.ordered or not self._unnumbered)
        flat = all(is_flat(frame.positions) for frame in self._frames)
        found = list(notes)
        if backwards:
            steps = times = None
            found.append("The steps do not increase: the frames are structures of their own, and no trajectory.")
        elif not followed:
            found.append("The particles have no numbers: no particle can be followed from one frame to the next.")
        if self._ids is not None and not np.array_equal(self._ids, np.arange(1, len(self._ids) + 1)):
            found.append(f"The ids are not 1 to {len(self._ids)}: particles are numbered in the order of their ids.")
        if flat:
            found.append("All particles have the same z: two dimensions.")
        return Contents(
            self.path, self.format, names, species, self._trajectory(flat, followed, steps, times),
            origin=origin or Origin(), notes=tuple(found),
        )  # fmt: skip

    def _trajectory(self, flat: bool, followed: bool, steps: IntArray | None, times: FloatArray | None) -> Trajectory:
        unwrapped = all(frame.unwrapped for frame in self._frames)
        positions = np.stack([frame.positions for frame in self._frames])
        boxes = np.stack([frame.box for frame in self._frames])
        if flat:
            positions[:, :, 2], boxes[:, 2] = 0, THICKNESS
        if not unwrapped:
            for number, box in enumerate(boxes):
                positions[number] = wrap(positions[number], box)
        return Trajectory(positions, boxes, unwrapped, followed, steps, times)

    def _steps(self) -> IntArray | None:
        steps = [frame.step for frame in self._frames]
        return None if any(step is None for step in steps) else np.array(steps, np.int64)

    def _times(self) -> FloatArray | None:
        times = [frame.time for frame in self._frames]
        return None if any(time is None for time in times) else np.array(times, np.float64)


def check_box(box: FloatArray, where: str) -> None:
    """Raise `ConfigurationError`, naming `where`, unless `box` (3,) are lengths that a box can have."""
    if not (np.isfinite(box) & (box >= LEAST_EDGE) & (box <= MOST_EDGE)).all():
        raise ConfigurationError(f"{where}: got box edges {box.tolist()}", "Expected three positive lengths.")


def is_flat(positions: FloatArray) -> bool:
    """Tell whether `positions` (N, 3) of several particles all have the same z."""
    return len(positions) > 1 and bool((positions[:, 2] == positions[0, 2]).all())


def type_names(types: NDArray[np.generic], path: Path) -> tuple[tuple[str, ...], ByteArray]:
    """Return the names of the types in their order, and which of them each particle has, (N,).

    Raises `DatasetError` for more types than a mixture can have, or names that cannot be printed.
    """
    found, kinds = np.unique(types, return_inverse=True)
    if len(found) > MOST_SPECIES:
        raise DatasetError(
            f"{path}: got {len(found)} types of particles; expected at most {MOST_SPECIES}",
            "Check that the column of types is right.",
        )
    names = tuple(str(name) for name in found.tolist())
    for name in names:
        if not name.isprintable() or not 0 < len(name) <= MOST_NAME or "=" in name or "," in name:
            raise DatasetError(
                f"{path}: got the type '{shortened(name)}'",
                f"Expected a number, or a name of at most {MOST_NAME} letters, without commas and equals signs.",
            )
    return names, kinds.reshape(-1).astype(np.uint8)


def whole_numbers(values: FloatArray, what: str, where: str) -> IntArray:
    """Return `values`, the `what` of particles, as whole numbers. Raises `DatasetError`, naming `where`."""
    with np.errstate(invalid="ignore"):
        strange = ~((values == np.rint(values)) & (np.abs(values) < 2**53))
    if strange.any():
        raise DatasetError(
            f"{where}: got the {what} {values[strange][0]:g}; expected a whole number", "The file cannot be used."
        )
    return values.astype(np.int64)


def _check_positions(frame: Frame, where: str) -> None:
    if not len(frame.positions):
        raise ConfigurationError(f"{where} has no particles", "Expected at least one.")
    bad = ~np.isfinite(frame.positions).all(1)
    if bad.any():
        raise ConfigurationError(
            f"{where}: the positions of {counted(int(bad.sum()), 'particle')} are not finite numbers",
            "The simulation failed there: remove the frame.",
        )
    far = (np.abs(frame.positions) > FARTHEST * frame.box).any(1)
    if far.any():
        raise ConfigurationError(
            f"{where}: {counted(int(far.sum()), 'particle')} lie more than {FARTHEST:g} box lengths away from the box",
            "The simulation failed there, or these columns are not positions: remove the frame.",
        )


def _sorted(frame: Frame, where: str) -> Frame:
    """Return `frame` with its particles in the order of their numbers."""
    if frame.ids is None:
        return frame
    order = np.argsort(frame.ids, kind="stable")
    ids = frame.ids[order]
    twice = ids[1:][np.diff(ids) == 0]
    if len(twice):
        raise DatasetError(f"{where}: the number {twice[0]} belongs to several particles", "The file cannot be used.")
    return Frame(frame.positions[order], frame.box, frame.types[order], frame.unwrapped, ids, frame.step, frame.time)
