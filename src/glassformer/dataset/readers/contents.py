"""What a file of another code holds, whatever its format: frames of one set of particles, and draws where it has them.

Every reader converts at the border: the corner of the box is the origin, edges are (Lx, Ly, Lz), particles are in the
order of their numbers, and a two-dimensional system has z = 0 and Lz = 1. The types keep the names that the file gives
them until `species.assign_species` says which species of a mixture each is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray, IntArray
from glassformer.core.mixture import shipped_mixtures
from glassformer.physics.box import wrap
from glassformer.physics.configuration import THICKNESS, Configuration

# What files that the package writes say of their numbers; only then mixture and temperature are believed.
UNITS = "LJ"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """F frames of N particles: `positions` (F, N, 3) from the corner of each frame's box, `boxes` (F, 3).

    `unwrapped`: whether positions move continuously, as where the file has image flags or unwrapped columns; otherwise
    they lie in [0, L) and whole periods may be missing between frames. `followed`: whether a row is the same particle
    in every frame; not so in a dump of several frames without numbers of particles. `steps` (F,) and `times` (F,) are
    None where the file does not have them, and increase where it does.
    """

    positions: FloatArray
    boxes: FloatArray
    unwrapped: bool
    followed: bool = True
    steps: IntArray | None = None
    times: FloatArray | None = None

    @property
    def frames(self) -> int:
        """Number of frames F."""
        return len(self.positions)

    @property
    def dimension(self) -> int:
        """Number of dimensions: 2 where z = 0 for every particle and Lz = 1, else 3."""
        return 2 if (self.boxes[:, 2] == THICKNESS).all() and not self.positions[:, :, 2].any() else 3


@dataclass(frozen=True, eq=False)
class Draws:
    """What D draws of the first frame did: `displacements` (D, S, N, 3), unwrapped, at `times` (S,).

    `times` is None where the file does not have them, S is then 1 or in the file's order.
    """

    displacements: NDArray[np.float32] | FloatArray
    times: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Propensities:
    """Means over `draws` draws, for each particle at S times: the propensity, (S, N); NaN where the file has none."""

    mean: FloatArray
    times: FloatArray | None = None
    draws: int | None = None


@dataclass(frozen=True)
class Origin:
    """What a file, or the publication of its format, says of its structures; None where nothing is said.

    `mixture`: name of one that ships with the package. `source`: publication or program; `licence` of the data.
    """

    mixture: str | None = None
    temperature: float | None = None
    source: str | None = None
    licence: str | None = None

    @classmethod
    def stated(cls, facts: Mapping[str, str]) -> "Origin":
        """Return what the `facts` of a file say that the package wrote, or nothing: others have other units."""
        if facts.get("units") != UNITS:
            return cls()
        try:
            temperature = float(facts.get("temperature", "nan"))
        except ValueError:
            temperature = math.nan
        mixture = facts.get("mixture", "")
        return cls(mixture if mixture in shipped_mixtures() else None, temperature if 0 < temperature < 1e9 else None)


@dataclass(frozen=True, eq=False)
class Contents:
    """What the file `path` holds. `types`: the names of its types; `species` (N,) counts in their order.

    `inherent_positions` and `cage_positions` (N, 3), wrapped, belong to the only frame, and so do `columns`, (N,) each,
    where the reader keeps them. `notes`: what a user should know of how the file was read, a sentence each. `labels`:
    what the file called the species that `types` name since `assign_species`.
    """

    path: Path
    format: str
    types: tuple[str, ...]
    species: ByteArray
    trajectory: Trajectory
    draws: Draws | None = None
    propensities: Propensities | None = None
    inherent_positions: FloatArray | None = None
    cage_positions: FloatArray | None = None
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return len(self.species)

    @property
    def structures(self) -> Iterator[Configuration]:
        """Every frame as a configuration, wrapped, one after the other."""
        for positions, box in zip(self.trajectory.positions, self.trajectory.boxes, strict=True):
            yield Configuration(wrap(positions, box), self.species, box, self.inherent_positions)

    @property
    def first(self) -> Configuration:
        """The first frame as a configuration, wrapped."""
        return next(self.structures)
