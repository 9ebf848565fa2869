"""What a network is told of each particle, beside its neighbours."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import SettingsError
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from glassformer.physics.kob_andersen import CutoffConvention, kob_andersen
from glassformer.physics.pair import interactions

# A typical energy per particle, taken off so that the input is of order one.
_TYPICAL_ENERGY = -7.0


def node_scalars(configuration: Configuration, inputs: tuple[str, ...], cutoff: CutoffConvention) -> FloatArray:
    """Return the scalar `inputs` side by side, (N, S).

    'species': one-hot, A then B; 'type': 0 for A and 1 for B; 'local-energy': half of every pair's energy, plus 7.
    Raises `ConfigurationError` if the box is too short for the potential.
    """
    columns = [np.empty((configuration.particles, 0))]
    for name in inputs:
        if name == "species":
            columns.append(np.eye(2)[configuration.species])
        elif name == "type":
            columns.append(configuration.species[:, None].astype(np.float64))
        else:
            energy = interactions(configuration, kob_andersen(cutoff)).energy
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
            vector = configuration.positions - configuration.box / 2
        elif name == "velocity":
            if velocities is None:
                raise SettingsError(
                    "the network reads velocities, and there are none", "Give those of draws, or take another network."
                )
            vector = velocities
        else:
            if configuration.inherent_positions is None:
                raise SettingsError(
                    "the network reads inherent displacements, and a configuration has no inherent structure",
                    "Find them first: glassformer quench DATASET.",
                )
            vector = minimum_image(configuration.inherent_positions - configuration.positions, configuration.box)
        found.append(vector[:, None])
    return np.concatenate(found, 1)
