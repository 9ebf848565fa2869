"""The mixture table of a campaign or of a file of its own: which species, how many of each, and how they interact."""

import hashlib
import itertools
import json
import math
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from glassformer.core.bounds import Energy, Length, Mass, WaveNumber
from glassformer.core.settings import Settings

MOST_SPECIES = 8
# Difference between the fraction of a species and the nearest that N particles can have: never rounded silently.
COMPOSITION_TOLERANCE = 1e-4
# First peak of the structure factor of Lennard-Jones liquids, in units of 1 / sigma.
PEAK = 7.25
# How samples and campaigns of version 2 and before name the two conventions of the 80:20 mixture.
CUTOFF_CONVENTIONS = {"scaled": "kob-andersen", "uniform": "kob-andersen-uniform"}

SpeciesName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,7}$")]
Matrix = tuple[tuple[float, ...], ...]
Form = Literal["lennard-jones", "inverse-power"]
Truncation = Literal["cut", "shifted", "shifted-force", "smooth"]


class MixtureSettings(Settings):
    """A liquid of up to eight species that interact in pairs, in LJ units. `physics.mixture` has the equations.

    `species` names them; `composition` are their parts, in numbers of particles or in any other measure. Matrices are
    symmetric, in the order of `species`. The pair potential ends at `cutoff`, one length for every pair or a matrix, or
    at `cutoff_in_sigma` times sigma_ab. `wave_numbers`: where F_s of each species is measured; 7.25 / sigma_aa without
    them.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)] = "own"
    species: Annotated[tuple[SpeciesName, ...], Field(min_length=1, max_length=MOST_SPECIES)]
    composition: tuple[Annotated[float, Field(gt=0, le=1e9)], ...]
    masses: tuple[Mass, ...] = ()
    form: Form = "lennard-jones"
    epsilon: tuple[tuple[Energy, ...], ...]
    sigma: tuple[tuple[Length, ...], ...]
    cutoff: Length | tuple[tuple[Length, ...], ...] | None = None
    cutoff_in_sigma: Annotated[float, Field(ge=1, le=100)] | None = None
    truncation: Truncation = "shifted"
    wave_numbers: tuple[WaveNumber, ...] = ()
    dimension: Literal[2, 3] = 3

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name is one line of printable characters")
        return name

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Give every species a mass and a wave number."""
        if not isinstance(values, dict):
            return values
        species, sigma = values.get("species"), values.get("sigma")
        filled = dict(values)
        if isinstance(species, list | tuple) and not values.get("masses"):
            filled["masses"] = [1.0] * len(species)
        if not values.get("wave_numbers"):
            try:
                filled["wave_numbers"] = [PEAK / row[number] for number, row in enumerate(sigma or ())]
            except (TypeError, IndexError, ZeroDivisionError, KeyError):
                # The checks of sigma itself say more.
                filled.pop("wave_numbers", None)
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> "MixtureSettings":
        kinds = len(self.species)
        # Columns and files are called by them in lower case.
        if len({name.lower() for name in self.species}) < kinds:
            raise ValueError(f"species: got {', '.join(self.species)}; expected different names")
        if (self.cutoff is None) == (self.cutoff_in_sigma is None):
            raise ValueError("give either cutoff or cutoff_in_sigma, and not both")
        for name in ("epsilon", "sigma", "cutoff"):
            matrix = getattr(self, name)
            if isinstance(matrix, tuple):
                _check_matrix(name, matrix, kinds)
        for name in ("composition", "masses", "wave_numbers"):
            values = getattr(self, name)
            if len(values) != kinds:
                raise ValueError(f"{name}: got {len(values)} values for {kinds} species; expected one for each")
        return self

    @property
    def fractions(self) -> tuple[float, ...]:
        """Number fraction of each species."""
        return tuple(part / math.fsum(self.composition) for part in self.composition)

    @property
    def physics(self) -> dict[str, Any]:
        """What decides the dynamics: everything but the names and the wave numbers, in one form."""
        labels = {"name", "species", "composition", "wave_numbers", "cutoff", "cutoff_in_sigma"}
        values = self.model_dump(mode="json", exclude=labels)
        return values | {"fractions": self.fractions, "cutoff": self.cutoffs}

    @property
    def cutoffs(self) -> Matrix:
        """Cutoff of every pair of species."""
        if isinstance(self.cutoff, tuple):
            return self.cutoff
        return tuple(
            tuple(self.cutoff if self.cutoff is not None else (self.cutoff_in_sigma or 0) * sigma for sigma in row)
            for row in self.sigma
        )

    @property
    def stated(self) -> str:
        """What a file calls it: the name under which it ships, or its `identity`, which is the name of no other."""
        for name in shipped_mixtures():
            known = shipped_mixture(name)
            if (self.physics, self.species) == (known.physics, known.species):
                return name
        return self.identity

    def same_liquid(self, other: "MixtureSettings") -> bool:
        """Tell whether `other` has the same dynamics, whatever it is called."""
        return self.physics == other.physics

    @property
    def identity(self) -> str:
        """What tells this liquid from every other: the convention of an 80:20 mixture, or a name with a hash."""
        for convention, name in CUTOFF_CONVENTIONS.items():
            if self.physics == shipped_mixture(name).physics:
                return convention
        text = json.dumps(self.physics, sort_keys=True)
        return f"{self.name} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_matrix(name: str, matrix: Matrix, kinds: int) -> None:
    if len(matrix) != kinds or any(len(row) != kinds for row in matrix):
        raise ValueError(f"{name}: got rows of {[len(row) for row in matrix]} values; expected {kinds} rows of {kinds}")
    for a in range(kinds):
        for b in range(a):
            if matrix[a][b] != matrix[b][a]:
                raise ValueError(
                    f"{name}: got {matrix[a][b]:g} and {matrix[b][a]:g} for one pair of species; expected a symmetric"
                    " matrix"
                )


def check_composition(mixture: MixtureSettings, particles: int) -> None:
    """Raise `ValueError` if no whole numbers make `particles` the mixture to 0.01 %."""
    numbers = particle_numbers(mixture.fractions, particles)
    wrong = [
        abs(number / particles - fraction) > COMPOSITION_TOLERANCE
        for number, fraction in zip(numbers, mixture.fractions, strict=True)
    ]
    if not any(wrong):
        return
    step = composition_step(mixture)
    below = particles - particles % step
    raise ValueError(
        f"particles = {particles} gives no {ratio(mixture)} mixture (the nearest is {numbers[0]}"
        f" {mixture.species[0]}, {numbers[0] / particles:.2%}); use {max(below, step)} or {max(below, step) + step}"
    )


def ratio(mixture: MixtureSettings) -> str:
    """Return the composition in words: '80:20'."""
    return ":".join(f"{part:g}" for part in mixture.composition)


def particle_numbers(fractions: tuple[float, ...], particles: int) -> tuple[int, ...]:
    """Return how many particles of each species come nearest to `fractions` of `particles`."""
    ends = [0, *(round(math.fsum(fractions[: kind + 1]) * particles) for kind in range(len(fractions)))]
    return tuple(end - start for start, end in itertools.pairwise(ends))


def composition_step(mixture: MixtureSettings) -> int:
    """Return the least number of particles that has the composition exactly; 1000 where that is larger."""
    for particles in range(1, 1000):
        if all(abs(fraction * particles - round(fraction * particles)) < 1e-6 for fraction in mixture.fractions):
            return particles
    return 1000


@cache
def shipped_mixture(name: str) -> MixtureSettings:
    """Return the mixture called `name` that ships with the package. Raises `KeyError`."""
    path = _folder() / f"{name}.toml"
    if not path.is_file():
        raise KeyError(name)
    return MixtureSettings(name=name, **tomllib.loads(path.read_text("utf-8")))


@cache
def shipped_mixtures() -> tuple[str, ...]:
    """Return the names of the mixtures that ship with the package."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def _folder() -> Path:
    return Path(str(resources.files("glassformer").joinpath("presets", "mixtures")))
