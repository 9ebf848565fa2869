"""The array schema: every array that a sample or prediction file holds, with its shape, type and unit.

Symbols in shapes: N particles, D draws, T times, S particle times, E moments of the equilibration, W windows of
holding, C configurations, K target times, P particles of all configurations one after the other, Q species, numbered
from 0 in the mixture's order. Positions are wrapped to [0, L); displacements are never wrapped.

An array of a sample is one of three kinds, `ArraySpec.kind`: it holds a value for every draw (D comes first in its
shape), a mean over draws of what `mean_of` names, or what holds for all draws alike. How draws are joined, selected,
recorded and counted in bytes follows from the kind, so that a new observable is one row here and one function in
`glassformer.observables.recorded`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from glassformer.core.errors import InputError

# Files of version 1 carry no checksum; those before version 3 name the cutoff of the 80:20 mixture in the place of a
# mixture, and always hold draws.
SCHEMA_VERSION, OLDEST_VERSION = 3, 1

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]


Kind = Literal["draw", "mean", "general"]


@dataclass(frozen=True)
class ArraySpec:
    """Name, shape (letters are sizes to be agreed on), dtype, unit and meaning of one array.

    `mean_of`: of what it is the mean over draws. `optional`: files may lack it; `on_request`: they do unless it is
    asked for. A new row is optional, since older files lack it. `of_draws`: ensembles of which only means over draws
    are known, such as imported propensities, lack it.
    """

    name: str
    shape: tuple[str | int, ...]
    dtype: str
    unit: str
    meaning: str
    nan_allowed: bool = False
    optional: bool = False
    mean_of: str = ""
    on_request: bool = False
    of_draws: bool = False

    @property
    def kind(self) -> Kind:
        """Whether it holds a value for every draw, a mean over draws, or what holds for all of them alike."""
        if self.mean_of:
            return "mean"
        return "draw" if self.shape[0] == "D" else "general"

    @property
    def by_particle(self) -> bool:
        """Whether it holds a value for every particle."""
        return "N" in self.shape or "P" in self.shape

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return its shape where the letters stand for `sizes`."""
        return tuple(length if isinstance(length, int) else sizes[length] for length in self.shape)

    def bytes(self, sizes: Mapping[str, int]) -> int:
        """Return how many bytes it has where the letters stand for `sizes`."""
        return math.prod(self.sized(sizes)) * np.dtype(self.dtype).itemsize


CONFIGURATION = (
    ArraySpec("positions", ("N", 3), "f8", "sigma_AA", "wrapped to [0, L)"),
    ArraySpec("species", ("N",), "u1", "", "from 0, in the mixture's order"),
    ArraySpec("box", (3,), "f8", "sigma_AA", "edge lengths of the periodic box"),
    ArraySpec("inherent_positions", ("N", 3), "f8", "sigma_AA", "of the inherent structure, wrapped",
              optional=True, on_request=True),
)  # fmt: skip

CAGE = (
    ArraySpec("positions", ("N", 3), "f8", "sigma_AA", "mean positions in the cage, wrapped to [0, L)"),
    ArraySpec("square_displacement", ("N",), "f8", "sigma_AA^2", "mean squared distance from them"),
)

ISOCONFIGURATIONAL = (
    ArraySpec("times", ("T",), "f8", "tau_LJ", "times at which the draws are observed"),
    ArraySpec("seeds", ("D",), "i8", "", "seed of the velocities of each draw; -1: not known", of_draws=True),
    ArraySpec("msd", ("D", "T", "Q"), "f8", "sigma_AA^2", "mean squared displacement of each species", of_draws=True),
    ArraySpec("self_scattering", ("D", "T", "Q"), "f8", "", "F_s(k, t) of each species", of_draws=True),
    ArraySpec("particle_times", ("S",), "f8", "tau_LJ", "times at which particles are followed one by one"),
    ArraySpec("displacement_mean", ("S", "N"), "f4", "sigma_AA", "propensity: mean over draws of |r(t) - r(0)|",
              mean_of="|r(t) - r(0)|"),
    ArraySpec("displacement_sq_mean", ("S", "N"), "f4", "sigma_AA^2", "mean over draws of |r(t) - r(0)|^2",
              mean_of="|r(t) - r(0)|^2", of_draws=True),
    ArraySpec("quartic", ("D", "T", "Q"), "f8", "sigma_AA^4", "mean of |r(t) - r(0)|^4 of each species", optional=True),
    ArraySpec("overlap", ("D", "T", "Q"), "f8", "", "share of each species closer than 0.3 to its start",
              optional=True),
    ArraySpec("displacements", ("D", "S", "N", 3), "f4", "sigma_AA", "r(t) - r(0) of every draw",
              optional=True, on_request=True),
)  # fmt: skip

EQUILIBRATION = (
    ArraySpec("time", ("E",), "f8", "tau_LJ", "time since the start"),
    ArraySpec("temperature", ("E",), "f8", "epsilon_AA", "instantaneous temperature"),
    ArraySpec("pressure", ("E",), "f8", "epsilon_AA / sigma_AA^3", "instantaneous pressure"),
    ArraySpec("density", ("E",), "f8", "sigma_AA^-3", "number density"),
    ArraySpec("potential_energy", ("E",), "f8", "epsilon_AA", "potential energy per particle"),
    ArraySpec(
        "windows",
        ("W", 8),
        "f8",
        "",
        "windows of holding: duration, density, U/N and its error, lag, F_s there and its error, tau_alpha",
        nan_allowed=True,
    ),
)

PREDICTIONS = (
    ArraySpec("times", ("K",), "f8", "tau_LJ", "target times"),
    ArraySpec("density", ("C",), "f8", "sigma_AA^-3", "number density of each configuration"),
    ArraySpec("temperature", ("C",), "f8", "epsilon_AA", "temperature of each", nan_allowed=True, optional=True),
    ArraySpec(
        "msd_draws",
        ("C", "D", "K"),
        "f8",
        "sigma_AA^2",
        "MSD of every draw, of the file's species; NaN is padding",
        nan_allowed=True,
        optional=True,
    ),
    ArraySpec("prediction", ("C", "K"), "f8", "", "predicted ln of the quantity's mean over particles"),
    ArraySpec("state_point_mean", ("C", "K"), "f8", "", "baseline: mean of the training labels", nan_allowed=True),
    ArraySpec("density_fit", ("C", "K"), "f8", "", "baseline: training labels against density", nan_allowed=True),
    ArraySpec(
        "propensity_draws",
        ("C", "D", "K"),
        "f8",
        "sigma_AA",
        "mean |r(t) - r(0)| of every draw, or of all in the first place; NaN is padding",
        nan_allowed=True,
        optional=True,
    ),
    ArraySpec("particles", ("C",), "i8", "", "number of particles of each configuration", optional=True),
    ArraySpec("particle_species", ("P",), "u1", "", "from 0, in the mixture's order", optional=True),
    ArraySpec(
        "particle_label",
        ("P", "K"),
        "f4",
        "",
        "the quantity of each particle; NaN without draws",
        nan_allowed=True,
        optional=True,
    ),
    ArraySpec(
        "particle_prediction",
        ("P", "K"),
        "f4",
        "",
        "predicted quantity; NaN for a species that is not learned",
        nan_allowed=True,
        optional=True,
    ),
    ArraySpec(
        "particle_ceiling",
        ("C", "Q", "K"),
        "f8",
        "",
        "Pearson correlation that perfect predictions would have, of each species; NaN if unknown",
        nan_allowed=True,
        optional=True,
    ),
    ArraySpec(
        "particle_uncertainty",
        ("P", "K"),
        "f4",
        "",
        "standard deviation of the error that is expected of each particle; NaN if not stated",
        nan_allowed=True,
        optional=True,
    ),
)


T = TypeVar("T")


def with_rows(specs: tuple[ArraySpec, ...]) -> Callable[[type[T]], type[T]]:
    """Return a decorator that gives a frozen dataclass of arrays a field for every row that it does not declare.

    Such a field is None unless it is given. What the code names is declared, with its type; the table decides what
    there is.
    """

    def extend(cls: type[T]) -> type[T]:
        declared = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        rows = [(spec.name, Any, None) for spec in specs if spec.name not in declared]
        if not rows:
            return cls
        names = {name: getattr(cls, name) for name in ("__doc__", "__module__", "__qualname__")}
        return make_dataclass(cls.__name__, rows, bases=(cls,), namespace=names, frozen=True, eq=False)

    return extend


def check_arrays(
    specs: tuple[ArraySpec, ...], arrays: Mapping[str, Any], error: type[InputError], where: str
) -> dict[str, int]:
    """Check `arrays` against `specs`: presence, unless draws alone give them, dtype, shape and finite values.

    Returns the sizes that the letters stand for. Raises `error`, naming `where` and what was got and expected.
    """
    sizes: dict[str, int] = {}
    for spec in specs:
        if spec.name not in arrays or arrays[spec.name] is None:
            if spec.optional or spec.of_draws:
                continue
            raise error(f"{where}: the array '{spec.name}' is missing", f"It holds: {spec.meaning}.")
        _check_one(spec, arrays[spec.name], sizes, error, where)
    return sizes


def _check_one(
    spec: ArraySpec, array: NDArray[np.generic], sizes: dict[str, int], error: type[InputError], where: str
) -> None:
    if array.dtype != np.dtype(spec.dtype):
        raise error(f"{where}: '{spec.name}' has type {array.dtype}; expected {np.dtype(spec.dtype)}")
    expected = tuple(size if isinstance(size, int) else sizes.get(size, size) for size in spec.shape)
    fits = len(array.shape) == len(expected) and all(
        isinstance(want, str) or got == want for got, want in zip(array.shape, expected, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in expected)
        raise error(f"{where}: '{spec.name}' has shape {array.shape}; expected ({wanted})")
    sizes.update({letter: got for got, letter in zip(array.shape, spec.shape, strict=True) if isinstance(letter, str)})
    if array.dtype.kind == "f":
        bad = np.argwhere(np.isinf(array) if spec.nan_allowed else ~np.isfinite(array))
        if len(bad):
            raise error(
                f"{where}: '{spec.name}' has {len(bad)} values that are not finite, first at index"
                f" {tuple(map(int, bad[0]))}",
                "Every value must be a finite number; the file cannot be used.",
            )
