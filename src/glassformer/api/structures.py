"""Structures as objects: arrays by attribute, and how they are shown, drawn and handed to other packages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from glassformer.api.display import axes_for, data_frame, html_table, optional
from glassformer.api.messages import floats
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.core.mixture import MixtureSettings
from glassformer.core.words import counted
from glassformer.dataset.sample import Sample
from glassformer.dataset.writers.columns import structure_of
from glassformer.physics.cage import Cage
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Structure:
    """One structure of a liquid, with what is known of it: `sample` is what the layers below work with.

    Made by `glassformer.read` or `glassformer.structure`. What is not known, such as `inherent` before
    `glassformer.quench`, raises an error that says how to find it.
    """

    sample: Sample

    @property
    def name(self) -> str:
        """Its name: '<state point>/<name>' in a dataset, or its file, with the frame's number if there are several."""
        return self.sample.identifier

    @property
    def positions(self) -> FloatArray:
        """Positions (N, 3), in [0, L)."""
        return self.sample.configuration.positions

    @property
    def species(self) -> ByteArray:
        """Species (N,), numbers into `species_names`."""
        return self.sample.configuration.species

    @property
    def species_names(self) -> tuple[str, ...]:
        """What the mixture calls its species."""
        return self.sample.facts.mixture.species

    @property
    def box(self) -> FloatArray:
        """Edges of the periodic box (3,)."""
        return self.sample.configuration.box

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return self.sample.configuration.particles

    @property
    def density(self) -> float:
        """Number density N / V; per area in two dimensions."""
        return self.sample.configuration.density

    @property
    def temperature(self) -> float:
        """Temperature of the liquid that it was taken from."""
        return self.sample.facts.temperature

    @property
    def mixture(self) -> MixtureSettings:
        """The liquid: species, composition and potential."""
        return self.sample.facts.mixture

    @cached_property
    def energy(self) -> float:
        """Potential energy per particle. Raises `ConfigurationError` for a box shorter than two cutoffs."""
        return float(interactions(self.sample.configuration, self.sample.mixture).energy.mean())

    @property
    def inherent(self) -> "Structure":
        """Its inherent structure. Raises `ConfigurationError` before it was sought: `glassformer.quench`."""
        known, box = self.sample.configuration.inherent_positions, self.box
        if known is None:
            raise ConfigurationError(
                f"the inherent structure of {self.name} is not known", "Compute it: gf.quench(structure)."
            )
        bare = replace(self.sample.without_draws(), cage=None, equilibration=None)
        return Structure(replace(bare, configuration=Configuration(known, self.species, box, known)))

    @property
    def cage(self) -> Cage:
        """Cage positions, and the mean squared displacement around each. Raises `ConfigurationError` before
        `glassformer.cage`.
        """
        if self.sample.cage is None:
            raise ConfigurationError(f"the cages of {self.name} are not known", "Compute them: gf.cage(structure).")
        return self.sample.cage

    @property
    def draws(self) -> int:
        """Number of draws of the velocities whose dynamics are known."""
        return self.sample.draws

    @property
    def times(self) -> FloatArray:
        """Times (S,) of `propensity`. Raises `DatasetError` for a structure without draws."""
        return self.sample.dynamics.particle_times

    @property
    def propensity(self) -> NDArray[np.float32]:
        """Simulated propensity, mean |r(t) - r(0)| over the draws, (S, N). Raises `DatasetError` without draws."""
        return self.sample.dynamics.displacement_mean

    def __repr__(self) -> str:
        return f"Structure {self.name}: {', '.join(f'{value}' for _, value in self._facts())}"

    def _repr_html_(self) -> str:
        return html_table(f"Structure {self.name}", (), self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        members = np.bincount(self.species, minlength=len(self.species_names))
        names = ", ".join(f"{number} {name}" for number, name in zip(members, self.species_names, strict=True))
        configuration, sample = self.sample.configuration, self.sample
        known = {
            "inherent structure": configuration.inherent_positions is not None,
            f"{sample.cage.kind if sample.cage else ''} cages": sample.cage is not None,
            counted(sample.draws, "draw"): sample.draws > 0,
            "mean propensities": sample.ensemble is not None and not sample.draws,
        }
        return [
            ("particles", f"{self.particles} particles ({names})"),
            ("mixture", self.mixture.name),
            ("temperature", f"T = {self.temperature:g}"),
            ("density", f"rho = {self.density:.4f}"),
            ("known", "; ".join(name for name, there in known.items() if there) or "bare structure"),
        ]

    def plot(self, values: "NDArray[Any] | None" = None, axes: "Axes | None" = None) -> "Axes":
        """Draw the particles of a slab (z < 2.5), coloured by `values` (N,), or by their species; return the axes."""
        from glassformer.report.propensity_figures import draw_slab, draw_species
        from glassformer.report.style import literal

        axes = axes_for(axes)
        axes.set(ylabel=r"y  [$\sigma_{AA}$]", title=literal(self.name))
        if values is None:
            draw_species(axes, self.positions, self.species, self.box, self.species_names)
            return axes
        of_each = floats("values", values)
        if of_each.shape != (self.particles,):
            raise ConfigurationError(
                f"got values of shape {of_each.shape}; expected one for each of {self.particles} particles",
                "Give an array of that length.",
            )
        circles = draw_slab(axes, self.positions, self.species, self.box, of_each)
        axes.figure.colorbar(circles, ax=axes, extend="both")
        return axes

    def to_ase(self) -> Any:
        """Return an `ase.Atoms` with `type` (from 1) and what is known of each particle as arrays.

        Raises `MissingPackageError` without ASE.
        """
        atoms = optional("ase", "to_ase()").Atoms(
            numbers=np.zeros(self.particles, int), positions=self.positions, cell=self.box,
            pbc=[True, True, self.sample.configuration.dimension == 3],
        )  # fmt: skip
        for name, column in {"type": self.species.astype(int) + 1, **self._columns()}.items():
            atoms.set_array(name, column)
        atoms.info |= {"species_names": list(self.species_names), "temperature": self.temperature}
        return atoms

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each particle. Raises `MissingPackageError` without pandas."""
        axes = "xyz"[: self.sample.configuration.dimension]
        places = {axis: self.positions[:, number] for number, axis in enumerate(axes)}
        return data_frame({"species": np.array(self.species_names)[self.species], **places, **self._columns()})

    def _columns(self) -> dict[str, FloatArray]:
        return structure_of(self.sample).columns


@dataclass(frozen=True, eq=False, repr=False)
class Structures(Sequence[Structure]):
    """Structures of a file or dataset, one after the other. `notes`: what was guessed when they were read."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, place: int) -> Structure: ...
    @overload
    def __getitem__(self, place: slice) -> "Structures": ...
    def __getitem__(self, place: int | slice) -> "Structure | Structures":
        if isinstance(place, slice):
            return Structures(self.samples[place], self.notes)
        return Structure(self.samples[place])

    def __iter__(self) -> Iterator[Structure]:
        return map(Structure, self.samples)

    def __repr__(self) -> str:
        lines = [counted(len(self), "structure"), *(f"  {one!r}" for one in self[:_SHOWN])]
        if len(self) > _SHOWN:
            lines.append(f"  ... and {len(self) - _SHOWN} more")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        columns = self._table()
        rows = list(zip(*columns.values(), strict=True))
        shown = f", the first {_SHOWN}" if len(self) > _SHOWN else ""
        return html_table(counted(len(self), "structure") + shown, list(columns), rows[:_SHOWN])

    def _table(self) -> dict[str, list[Any]]:
        return {
            "name": [one.name for one in self],
            "mixture": [one.mixture.name for one in self],
            "temperature": [one.temperature for one in self],
            "density": [round(one.density, 4) for one in self],
            "particles": [one.particles for one in self],
            "draws": [one.draws for one in self],
        }

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each structure. Raises `MissingPackageError` without pandas."""
        return data_frame(self._table())


# Structures that a notebook lists.
_SHOWN = 10
