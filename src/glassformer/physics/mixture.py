"""The liquid: species, composition, masses, and the potential of every pair of species.

| symbol | field | meaning |
|---|---|---|
| eps_ab, sigma_ab | `epsilon`, `sigma` | strength and range of the pair potential, (S, S) |
| r_c | `cutoff` | where it ends, (S, S) |
| m_a | `masses` | (S,) |
| x_a | `fractions` | number fractions, (S,) |

Forms: Lennard-Jones V = 4 eps [(sigma / r)^12 - (sigma / r)^6]; inverse power V = eps (sigma / r)^12.
Truncations, for r < r_c (zero beyond): `cut` V(r); `shifted` V(r) - V(r_c); `shifted-force`
V(r) - V(r_c) - (r - r_c) V'(r_c), S. Toxvaerd and J. C. Dyre, J. Chem. Phys. 134, 081102 (2011); `smooth`
V(r) + c_0 + c_2 r^2 + c_4 r^4, with c such that potential, force and its derivative vanish at r_c, as in A. D. S.
Parmar, M. Ozawa and L. Berthier, Phys. Rev. Lett. 125, 085505 (2020).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError, InputError

# Share of the particles by which a composition may differ from the mixture's.
SAME_COMPOSITION = 1e-3


class PairTerms(NamedTuple):
    """The potential of every pair of species in one form, each (S, S); zero beyond `cutoff`.

    V(r) = a r^-12 / 12 - b r^-6 / 6 - shift + c_1 r + c_2 r^2 + c_4 r^4, so the force is
    F(r) = (a r^-12 - b r^-6) / r - c_1 - 2 c_2 r - 4 c_4 r^3.
    """

    a: FloatArray
    b: FloatArray
    cutoff: FloatArray
    shift: FloatArray
    linear: FloatArray
    square: FloatArray
    fourth: FloatArray


@dataclass(frozen=True, eq=False)
class Mixture:
    """A liquid of S species in two or three dimensions; the module's table says what the arrays are.

    `species`: their names. `wave_numbers` (S,): |k| at which F_s of each is measured.
    """

    name: str
    species: tuple[str, ...]
    fractions: FloatArray
    masses: FloatArray
    form: str
    epsilon: FloatArray
    sigma: FloatArray
    cutoff: FloatArray
    truncation: str
    wave_numbers: FloatArray
    dimension: int = 3

    @property
    def kinds(self) -> int:
        """Number of species S."""
        return len(self.species)

    @property
    def longest_cutoff(self) -> float:
        """Greatest cutoff of any pair."""
        return float(self.cutoff.max())

    @property
    def composition(self) -> str:
        """Number fractions in words, such as '80:20'."""
        return ":".join(f"{100 * fraction:.3g}" for fraction in self.fractions)

    def numbers(self, particles: int) -> tuple[int, ...]:
        """Return how many of `particles` belong to each species, as near to the fractions as whole numbers come."""
        ends = np.rint(np.cumsum(self.fractions) * particles).astype(int)
        return tuple(int(number) for number in np.diff(ends, prepend=0))

    def assign(self, particles: int) -> ByteArray:
        """Return the species (N,) of `particles` particles, the first species first."""
        return np.repeat(np.arange(self.kinds), self.numbers(particles)).astype(np.uint8)

    def masses_of(self, species: ByteArray) -> FloatArray:
        """Return the mass of every particle, (N,)."""
        return self.masses[species]

    @cached_property
    def pair_terms(self) -> PairTerms:
        """The potential of every pair of species."""
        lennard_jones = self.form == "lennard-jones"
        a = (48 if lennard_jones else 12) * self.epsilon * self.sigma**12
        b = (24 if lennard_jones else 0) * self.epsilon * self.sigma**6
        r, zero = self.cutoff, np.zeros_like(self.cutoff)
        value = a / 12 / r**12 - b / 6 / r**6
        slope = (b / r**6 - a / r**12) / r
        curvature = (13 * a / r**12 - 7 * b / r**6) / r**2
        if self.truncation == "cut":
            return PairTerms(a, b, r, zero, zero, zero, zero)
        if self.truncation == "shifted":
            return PairTerms(a, b, r, value, zero, zero, zero)
        if self.truncation == "shifted-force":
            return PairTerms(a, b, r, value - slope * r, -slope, zero, zero)
        fourth = (slope / r - curvature) / (8 * r**2)
        square = -slope / (2 * r) - 2 * fourth * r**2
        return PairTerms(a, b, r, value + square * r**2 + fourth * r**4, zero, square, fourth)

    @property
    def plain(self) -> bool:
        """Whether the potential is its inverse powers and a constant, without further terms."""
        return self.truncation in ("cut", "shifted")

    def check(self, species: ByteArray, where: str, error: type[InputError] = ConfigurationError) -> None:
        """Raise `error`, naming `where`, unless `species` (N,) have the mixture's composition.

        The nearest whole numbers are as close as a mixture of N particles can come. Of a large box, such as a small one
        repeated, up to `SAME_COMPOSITION` of the particles may be of other species.
        """
        found = np.bincount(species, minlength=self.kinds)
        if len(found) > self.kinds:
            raise error(
                f"{where}: got {len(found)} species; expected {self.kinds}, {', '.join(self.species)}: the"
                f" {self.name} mixture",
                "Name the mixture that the file holds.",
            )
        tolerated = max(1.0, SAME_COMPOSITION * len(species))
        ideal = self.fractions * len(species)
        wrong = np.flatnonzero(np.abs(found - ideal) >= tolerated)
        if len(wrong):
            kind = int(wrong[0])
            least, most = math.floor(ideal[kind] - tolerated) + 1, math.ceil(ideal[kind] + tolerated) - 1
            raise error(
                f"{where}: got {found[kind]} {self.species[kind]} particles of {len(species)}; expected"
                f" {least if least == most else f'{least} to {most}'}, {100 * self.fractions[kind]:.3g} %: the"
                f" {self.name} {self.composition} mixture",
                "Name the mixture that the file holds, or write one of its composition (glassformer mixtures --show).",
            )


def mixture_from(values: Mapping[str, Any]) -> Mixture:
    """Return the mixture with `values`, which are those of a checked mixture table."""
    sigma = np.array(values["sigma"], np.float64)
    cutoff, scaled = values["cutoff"], values["cutoff_in_sigma"]
    parts = np.array(values["composition"], np.float64)
    return Mixture(
        name=values["name"],
        species=tuple(values["species"]),
        fractions=parts / parts.sum(),
        masses=np.array(values["masses"], np.float64),
        form=values["form"],
        epsilon=np.array(values["epsilon"], np.float64),
        sigma=sigma,
        cutoff=scaled * sigma if cutoff is None else np.broadcast_to(np.array(cutoff, np.float64), sigma.shape).copy(),
        truncation=values["truncation"],
        wave_numbers=np.array(values["wave_numbers"], np.float64),
        dimension=values["dimension"],
    )
