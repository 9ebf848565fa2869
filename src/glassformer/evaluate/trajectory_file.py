"""From what a file of another code holds to a trajectory that can be analysed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.dataset.readers.contents import Contents
from glassformer.evaluate.trajectory import Motion
from glassformer.observables.time_averages import Track
from glassformer.physics.unwrapping import unwrapped_fractions

_STRUCTURE_ALONE = "The structure alone needs neither: --observables rdf,structure."


@dataclass(frozen=True)
class Clock:
    """How frames get their times: the time step of the run, for a file that has steps, or the time between frames."""

    time_step: float | None = None
    frame_time: float | None = None


def motion_of(
    contents: Contents,
    names: Sequence[str],
    wave_numbers: Sequence[float],
    clock: Clock,
    dynamics: bool = True,
) -> Motion:
    """Return the trajectory that `contents` hold, with species called `names` and observed at `wave_numbers` (S,).

    Species must have been assigned. Without `dynamics`, frames are structures: positions are not unwrapped, and times
    not needed.

    Raises `DatasetError` where a file does not say when its frames were taken, which particle is which, or where
    particles went between frames.
    """
    trajectory, where = contents.trajectory, contents.path.name
    if not dynamics:
        fractions: FloatArray = trajectory.positions / trajectory.boxes[:, None]
        times = np.arange(float(trajectory.frames))
    else:
        times = _times(contents, clock)
        if not trajectory.followed:
            raise DatasetError(f"{where}: no particle can be followed from frame to frame", _STRUCTURE_ALONE)
        try:
            fractions = unwrapped_fractions(trajectory.positions, trajectory.boxes, trajectory.unwrapped, where)
        except ConfigurationError as error:
            raise DatasetError(error.problem, f"{error.remedy} {_STRUCTURE_ALONE}") from None
    track = Track(
        fractions, trajectory.boxes, contents.species, np.array(wave_numbers, np.float64), trajectory.dimension
    )
    return Motion(stem(contents.path), track, times, tuple(names))


def stem(path: Path) -> str:
    """Return the name of a file without what tells its format: 'run' for run.lammpstrj.gz."""
    return Path(path.name.removesuffix(".gz")).stem or path.name


def _times(contents: Contents, clock: Clock) -> FloatArray:
    """Return the time of every frame, counted from the first. Raises `DatasetError` where it is not known."""
    trajectory, where = contents.trajectory, contents.path.name
    if trajectory.frames == 1:
        return np.zeros(1)
    if clock.frame_time is not None:
        return np.arange(float(trajectory.frames)) * clock.frame_time
    if clock.time_step is not None:
        if trajectory.steps is None:
            raise DatasetError(
                f"{where} does not hold the steps of its frames, which --time-step is for",
                "Give the time between frames: --frame-time.",
            )
        passed: FloatArray = (trajectory.steps - trajectory.steps[0]) * clock.time_step
        return passed
    if trajectory.times is not None:
        return np.asarray(trajectory.times - trajectory.times[0], np.float64)
    if trajectory.steps is not None:
        raise DatasetError(
            f"{where} has the steps of its frames, and not their times",
            "Give the time step of the run: --time-step 0.005.",
        )
    raise DatasetError(
        f"{where} holds neither times nor steps of its frames", "Give the time between frames: --frame-time."
    )
