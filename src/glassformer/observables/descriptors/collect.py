"""The default set of descriptors: of an inherent structure, and of the vectors that lead to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, SettingsError
from glassformer.observables.descriptors.angular import bond_orders, default_angular_shells
from glassformer.observables.descriptors.averages import recursive_averages
from glassformer.observables.descriptors.displacements import (
    collective_displacements,
    displacement_descriptors,
    forces_on_the_way,
    plateau_displacements,
)
from glassformer.observables.descriptors.energies import local_energies
from glassformer.observables.descriptors.harmonic import harmonic_amplitudes
from glassformer.observables.descriptors.neighbors import Neighbors, check_cutoff, find_neighbors
from glassformer.observables.descriptors.radial import (
    coarse_shells,
    default_shells,
    local_density,
    radial_densities,
)
from glassformer.observables.descriptors.table import Descriptors, join, table_of
from glassformer.observables.descriptors.voronoi import voronoi_cells
from glassformer.physics.cage import Cage
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture


@dataclass(frozen=True)
class DescriptorSettings:
    """Which descriptors are computed, and how often they are averaged over neighbors.

    `reach`: of the radial densities; `degrees`: of the bond orders; `harmonic`: radii of harmonic amplitudes;
    `voronoi`: also the Voronoi cells. `fine_generations` of averages are those of radial densities and bond orders,
    `generations` those of all else, with the weights of `averaging_length`.
    """

    reach: float = 5.0
    degrees: tuple[int, ...] = tuple(range(1, 13))
    harmonic: tuple[float, ...] = (0.0, 1.5)
    voronoi: bool = False
    fine_generations: int = 2
    generations: int = 8
    averaging_length: float = 2.1

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "DescriptorSettings":
        """Return the settings with `values` by name, where lists stand for tuples. Raises `SettingsError`."""
        changes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        try:
            return cls(**changes)
        except TypeError as error:
            raise SettingsError(f"descriptors: {error}", "Use the names of DescriptorSettings.") from None


def check_reach(configuration: Configuration, mixture: Mixture, settings: DescriptorSettings) -> None:
    """Raise `ConfigurationError` if the box is shorter than twice the reach of the descriptors."""
    check_cutoff(configuration, reach_of(mixture, settings))


def reach_of(mixture: Mixture, settings: DescriptorSettings) -> float:
    """Return how far from a particle its descriptors reach; averages over neighbors not counted."""
    return max(default_shells(settings.reach).reach, _near(mixture, settings))


def collect_descriptors(
    configuration: Configuration,
    mixture: Mixture,
    settings: DescriptorSettings | None = None,
    threads: int = 1,
) -> Descriptors:
    """Return the descriptors of the inherent structure of `configuration`, and of the vectors that lead to it.

    All names start with `inherent.`. Raises `ConfigurationError` if there is no inherent structure, or if the box is
    shorter than twice the reach of the descriptors.
    """
    if configuration.inherent_positions is None:
        raise ConfigurationError(
            "the descriptors read the inherent structure, and the configuration has none",
            "Compute it first: glassformer quench DATASET.",
        )
    chosen = DescriptorSettings() if settings is None else settings
    inherent = replace(configuration, positions=configuration.inherent_positions, inherent_positions=None)
    return _of_structure(inherent, configuration.positions, mixture, chosen, threads).prefixed("inherent")


def cage_descriptors(
    configuration: Configuration,
    cage: Cage,
    mixture: Mixture,
    settings: DescriptorSettings | None = None,
    threads: int = 1,
) -> Descriptors:
    """Return the descriptors of the positions of `cage`, and of the vectors that lead to them from `configuration`.

    All names start with `cage.`; `cage.mobility` is the mean squared displacement around them. Harmonic amplitudes
    are left out: they belong to an energy minimum. Raises `ConfigurationError` for a box shorter than twice the reach.
    """
    chosen = replace(DescriptorSettings() if settings is None else settings, harmonic=())
    caged = replace(configuration, positions=cage.positions, inherent_positions=None)
    return _of_structure(caged, configuration.positions, mixture, chosen, threads, cage).prefixed("cage")


def _of_structure(
    structure: Configuration,
    thermal: FloatArray,
    mixture: Mixture,
    chosen: DescriptorSettings,
    threads: int,
    cage: Cage | None = None,
) -> Descriptors:
    """Return the descriptors of `structure`, of the vectors to it from the positions `thermal`, and of `cage`."""
    shells, coarse = default_shells(chosen.reach), coarse_shells(chosen.reach)
    far = find_neighbors(structure, shells.reach, threads)
    radial = radial_densities(far, shells, mixture.species, threads=threads)
    wide = radial_densities(far, coarse, mixture.species, "shell", threads)
    del far
    near = find_neighbors(structure, _near(mixture, chosen), threads)
    fine = join(radial, bond_orders(near, default_angular_shells(), chosen.degrees, threads=threads))
    local = [wide, *_local(structure, thermal, near, mixture, chosen, threads)]
    at_start = find_neighbors(replace(structure, positions=thermal), mixture.longest_cutoff, threads)
    # What matters at short times. Averages of these over neighbors add nothing: docs/results/propensity.md.
    own = [collective_displacements(thermal, near, chosen.averaging_length), forces_on_the_way(at_start, near, mixture)]
    if cage is not None:
        local.append(_mobility(cage))
        own.append(plateau_displacements(thermal, near, cage.square_displacement))
    return join(
        *own,
        recursive_averages(join(*local), near, chosen.averaging_length, chosen.generations),
        recursive_averages(fine, near, chosen.averaging_length, chosen.fine_generations),
    )


def _near(mixture: Mixture, chosen: DescriptorSettings) -> float:
    """Return how far everything but the radial densities reaches."""
    return max(default_angular_shells().reach, mixture.longest_cutoff, chosen.averaging_length, *chosen.harmonic)


def _local(
    structure: Configuration,
    thermal: FloatArray,
    near: Neighbors,
    mixture: Mixture,
    chosen: DescriptorSettings,
    threads: int,
) -> list[Descriptors]:
    tables = [local_density(near), local_energies(near, mixture)]
    if chosen.harmonic:
        tables.append(harmonic_amplitudes(near, mixture, chosen.harmonic, threads))
    if chosen.voronoi:
        tables.append(voronoi_cells(structure))
    return [*tables, displacement_descriptors(thermal, near)]


def _mobility(cage: Cage) -> Descriptors:
    """Return <u^2> in the cage, its root and its logarithm: propensities are far from Gaussian in it."""
    square = cage.square_displacement
    floor = 1e-3 * float(square.mean()) + 1e-300
    columns = {"square": square, "root": np.sqrt(square), "log": np.log(np.maximum(square, floor))}
    return table_of([f"mobility.{name}" for name in columns], list(columns.values()))
