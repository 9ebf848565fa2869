"""What a network is told of each particle, beside its neighbours."""

from dataclasses import replace

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import SettingsError
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import interactions

# A typical energy per particle, taken off so that the input is of order one.
_TYPICAL_ENERGY = -7.0


def inherent(configuration: Configuration) -> Configuration:
    """Return the inherent structure of `configuration`. Raises `SettingsError` if it was not found before."""
    if configuration.inherent_positions is None:
        raise SettingsError(
            "the network reads the inherent structure, and a configuration has no inherent structure",
            "Compute them first: glassformer quench DATASET.",
        )
    return replace(configuration, positions=configuration.inherent_positions)


def node_scalars(
    configuration: Configuration, inputs: tuple[str, ...], kinds: int = 2, mixture: Mixture | None = None
) -> FloatArray:
    """Return the scalar `inputs` side by side, (N, S).

    'species': one-hot, of `kinds` species; 'type': the number of the species; 'local-energy': half of every pair's
    energy under the potential of `mixture`, plus 7; 'inherent-energy': the same in the inherent structure.
    Raises `ConfigurationError` if the box is too short for the potential, `SettingsError` without a mixture or an
    inherent structure that is needed, or for more species than `kinds`.
    """
    columns = [np.empty((configuration.particles, 0))]
    for name in inputs:
        if name == "species":
            if (configuration.species >= kinds).any():
                raise SettingsError(
                    f"got species number {configuration.species.max()}; the network reads {kinds} species, from 0",
                    "Set network.species to the number of species of the mixture.",
                )
            columns.append(np.eye(kinds)[configuration.species])
        elif name == "type":
            columns.append(configuration.species[:, None].astype(np.float64))
        else:
            if mixture is None:
                raise SettingsError("the network reads energies, and the mixture is not known", "Name the mixture.")
            structure = inherent(configuration) if name == "inherent-energy" else configuration
            energy = interactions(structure, mixture).energy
            columns.append(energy[:, None] - _TYPICAL_ENERGY)
    return np.concatenate(columns, 1)


def node_vectors(configuration: Configuration, inputs: tuple[str, ...], velocities: FloatArray | None) -> FloatArray:
    """Return the vector `inputs` one after the other, (N, V, 3).

    'position': from the middle of the box; 'velocity': `velocities`; 'inherent-displacement': from the particle to its
    place in the inherent structure. Raises `SettingsError` if one is not there.
    """
    found = [np.empty((configuration.particles, 0, 3))]
    for name in inputs:
        if name == "position":
            # In two dimensions the plane z = 0 is the middle.
            vector = configuration.positions.copy()
            vector[:, : configuration.dimension] -= configuration.edges / 2
        elif name == "velocity":
            if velocities is None:
                raise SettingsError(
                    "the network reads velocities, but there are none", "Give those of draws, or use another network."
                )
            vector = velocities
        else:
            vector = minimum_image(inherent(configuration).positions - configuration.positions, configuration.box)
        found.append(vector[:, None])
    return np.concatenate(found, 1)
