"""Trajectories: from files of any format that the package reads, and from arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from glassformer.api.display import html_table
from glassformer.api.messages import floats, positive, positives
from glassformer.api.reading import (
    ARRAYS,
    AnyMixture,
    AnySpecies,
    assignment,
    edges_of,
    frame_of,
    mixture_settings,
    named_species,
)
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.core.words import counted
from glassformer.dataset.readers.frames import Frames
from glassformer.evaluate.trajectory import Motion, drift
from glassformer.evaluate.trajectory_file import Clock, Followed, followed, motion_of, read_followed


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """F frames of N particles that are followed. Made by `glassformer.read_trajectory` or `glassformer.trajectory`.

    `motion` is what the layers below work with; averages over time origins are computed once, for all observables.
    """

    motion: Motion
    notes: tuple[str, ...] = ()

    @property
    def times(self) -> FloatArray:
        """Times (F,) of the frames, from the first."""
        return self.motion.times

    @property
    def frames(self) -> int:
        """Number of frames F."""
        return len(self.motion.times)

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return len(self.motion.track.species)

    @property
    def species(self) -> ByteArray:
        """Species (N,), numbers into `species_names`."""
        return self.motion.track.species

    @property
    def species_names(self) -> tuple[str, ...]:
        """What the species are called."""
        return self.motion.names

    @property
    def boxes(self) -> FloatArray:
        """Edges of the periodic box in every frame, (F, 3)."""
        return self.motion.track.boxes

    def positions(self, frame: int) -> FloatArray:
        """Return the unwrapped positions (N, 3) in a frame."""
        return self.motion.track.positions(frame)

    @property
    def drift(self) -> float:
        """Square displacement of the centre over the mean squared displacement, from the first frame to the last."""
        return drift(self.motion)

    def without_drift(self) -> "Trajectory":
        """Return the trajectory as seen from the centre of all particles."""
        return Trajectory(replace(self.motion, track=self.motion.track.without_drift()), self.notes)

    def __repr__(self) -> str:
        return f"Trajectory {self.motion.name}: {', '.join(text for _, text in self._facts())}"

    def _repr_html_(self) -> str:
        return html_table(f"Trajectory {self.motion.name}", (), self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        members = np.bincount(self.species, minlength=len(self.species_names))
        names = ", ".join(f"{number} {name}" for number, name in zip(members, self.species_names, strict=True))
        return [
            ("frames", counted(self.frames, "frame")),
            ("times", f"t = {self.times[0]:g} to {self.times[-1]:g}"),
            ("particles", f"{self.particles} particles ({names})"),
        ]


def read_trajectory(
    path: str | Path,
    *,
    mixture: AnyMixture | None = None,
    time_step: float | None = None,
    frame_time: float | None = None,
    species: AnySpecies = "",
    wave_numbers: Sequence[float] = (),
    incomplete: bool = False,
) -> Trajectory:
    """Return the trajectory of a file: LAMMPS dump, extended XYZ, GSD and others.

    `time_step` of the run, where the file holds steps; `frame_time` between frames, where it holds neither steps nor
    times. `mixture` names the species and the wave numbers of F_s; `wave_numbers` are one for each species.
    `species`, `incomplete`: as for `glassformer.read`.

    Raises `DatasetError` where the file does not say when its frames were taken, or where particles went between them;
    `SettingsError`.
    """
    liquid = None if mixture is None else mixture_settings(mixture)
    clock = Clock(positive("time_step", time_step), positive("frame_time", frame_time))
    waves = positives("wave_numbers", wave_numbers)
    return _trajectory(read_followed(Path(path), liquid, assignment(species), waves, incomplete), clock)


def trajectory(
    positions: ArrayLike,
    species: ArrayLike,
    box: ArrayLike,
    times: ArrayLike,
    *,
    mixture: AnyMixture = "kob-andersen",
    wave_numbers: Sequence[float] = (),
    unwrapped: bool = False,
) -> Trajectory:
    """Return a trajectory made of arrays.

    `positions`: (F, N, 3), or (F, N, 2) in two dimensions; `species`: (N,), names of the mixture's species or their
    numbers from 0; `box`: edges of all frames, (3,), or of each, (F, 3); `times`: (F,), increasing. `unwrapped`:
    whether the positions move continuously; else particles are followed across the box's edges, which takes frames
    close enough in time.

    Raises `ConfigurationError` for other shapes, `DatasetError` for frames too far apart.
    """
    settings = mixture_settings(mixture)
    places, clock = floats("positions", positions), np.atleast_1d(floats("times", times))
    if places.ndim != 3 or clock.shape != places.shape[:1] or not (np.diff(clock) > 0).all():
        raise ConfigurationError(
            f"got positions of shape {places.shape} at times of shape {clock.shape}; expected (F, N, 3) at F increasing"
            " times",
            "Give one frame for each time.",
        )
    edges = edges_of(box)
    boxes = edges if edges.ndim == 2 else [edges] * len(places)
    if len(boxes) != len(places):
        raise ConfigurationError(f"got {len(boxes)} boxes of {len(places)} frames", "Give one box, or one for each.")
    types, frames = named_species(species, settings.species), Frames(Path(ARRAYS), "Python")
    for place, one, time in zip(places, boxes, clock, strict=True):
        frames.add(replace(frame_of(place, one, types, unwrapped), time=float(time)))
    return _trajectory(
        followed(frames.contents(), settings, wave_numbers=positives("wave_numbers", wave_numbers)), Clock()
    )


def _trajectory(found: Followed, clock: Clock) -> Trajectory:
    motion = motion_of(found.contents, found.names, found.wave_numbers, clock)
    return Trajectory(motion, found.contents.notes)
