"""What is recorded of every draw while it runs: a function for each row of `core.arrays.ISOCONFIGURATIONAL`.

A new observable is a row there and a function here.
"""

from collections.abc import Callable

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.displacements import mean_squared_displacement, quartic_displacement, self_scattering
from glassformer.observables.overlap import overlap
from glassformer.physics.mixture import Mixture

# From the displacements (N, 3) of one draw at one time, the species (N,) and the mixture to a row's values there, such
# as (Q,) for a row of shape (D, T, Q).
BY_DRAW: dict[str, Callable[[FloatArray, ByteArray, Mixture], FloatArray]] = {
    "msd": lambda moved, species, mixture: mean_squared_displacement(moved, species, mixture.kinds),
    "self_scattering": lambda moved, species, mixture: self_scattering(
        moved, species, mixture.wave_numbers, mixture.dimension
    ),
    "quartic": lambda moved, species, mixture: quartic_displacement(moved, species, mixture.kinds),
    "overlap": lambda moved, species, mixture: overlap(moved, species, kinds=mixture.kinds),
}

# From the displacements (S, N, 3) of one draw at the particle times to what is averaged over draws, (S, N).
AVERAGED: dict[str, Callable[[FloatArray], FloatArray]] = {
    "displacement_mean": lambda moved: np.sqrt((moved**2).sum(-1)),
    "displacement_sq_mean": lambda moved: (moved**2).sum(-1),
}
