"""The default set of descriptors: of an inherent structure, or of another reference, and the way there."""

from dataclasses import dataclass, replace

from glassformer.core.errors import ConfigurationError
from glassformer.observables.descriptors.angular import bond_orders, default_angular_shells
from glassformer.observables.descriptors.averages import recursive_averages
from glassformer.observables.descriptors.displacements import displacement_descriptors
from glassformer.observables.descriptors.energies import local_energies
from glassformer.observables.descriptors.harmonic import harmonic_amplitudes
from glassformer.observables.descriptors.neighbors import find_neighbors
from glassformer.observables.descriptors.radial import default_shells, radial_densities
from glassformer.observables.descriptors.table import Descriptors, join
from glassformer.observables.descriptors.voronoi import voronoi_cells
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture

# The longest length of the averages.
_AVERAGING_LENGTH = 2.1


@dataclass(frozen=True)
class DescriptorSettings:
    """What is computed: radial densities up to `reach` and bond orders of `degrees`, of the parts named; how averaged.

    `harmonic`: radii of harmonic amplitudes, in an energy minimum only. `generations` of averages over neighbors.
    """

    reach: float = 5.0
    degrees: tuple[int, ...] = tuple(range(1, 13))
    harmonic: tuple[float, ...] = (0.0, 1.5)
    voronoi: bool = True
    generations: int = 2


def collect_descriptors(
    configuration: Configuration,
    mixture: Mixture,
    settings: DescriptorSettings | None = None,
    threads: int = 1,
) -> Descriptors:
    """Return the descriptors of the inherent structure of `configuration`, and of the vectors that lead to it.

    Columns of the structure are named `inherent. ...`. Raises `ConfigurationError` if there is no inherent structure,
    or the box is too short.
    """
    if configuration.inherent_positions is None:
        raise ConfigurationError(
            "the descriptors read the inherent structure, and the configuration has none",
            "Find it first: glassformer quench DATASET.",
        )
    chosen = DescriptorSettings() if settings is None else settings
    inherent = replace(configuration, positions=configuration.inherent_positions, inherent_positions=None)
    shells, angular = default_shells(chosen.reach), default_angular_shells()
    far = find_neighbors(inherent, shells.reach, threads)
    tables = [radial_densities(far, shells, mixture.species, threads)]
    del far
    needed = (angular.reach, mixture.longest_cutoff, _AVERAGING_LENGTH, *chosen.harmonic)
    near = find_neighbors(inherent, max(needed), threads)
    tables.append(bond_orders(near, angular, chosen.degrees, threads=threads))
    tables.append(local_energies(near, mixture))
    if chosen.harmonic:
        tables.append(harmonic_amplitudes(near, mixture, chosen.harmonic, threads))
    if chosen.voronoi:
        tables.append(voronoi_cells(inherent))
    tables.append(displacement_descriptors(configuration.positions, near))
    table = join(*tables).prefixed("inherent")
    return recursive_averages(table, near, _AVERAGING_LENGTH, chosen.generations)
