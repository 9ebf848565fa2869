"""What the vector from a particle to its place in a reference structure tells: inherent structure, or cage position."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, table_of
from glassformer.physics.box import minimum_image


def displacement_descriptors(positions: FloatArray, neighbors: Neighbors, near: float = 1.5) -> Descriptors:
    """Return invariants of u_i, the vector from `positions` (N, 3) to the reference structure that `neighbors` lists.

    `displacement.length`: |u_i|; `.square`: |u_i|^2; and over the neighbors j closer than `near` in the reference
    structure, with r^ the unit vector to j: `.relative`: mean |u_j - u_i|^2; `.stretch`: mean (u_j - u_i) . r^, the
    local dilation; `.common`: |mean u_j|; `.along`: mean (u_i . r^)^2; `.nonaffine`: mean |u_j - u_i - e r_ij|^2 with
    the best local deformation e (D^2_min of M. L. Falk and J. S. Langer, Phys. Rev. E 57, 7192 (1998), per neighbor).
    """
    if positions.shape != neighbors.positions.shape:
        raise ConfigurationError(
            f"got positions of shape {positions.shape}; expected {neighbors.positions.shape}",
            "Give those of the same particles.",
        )
    neighbors.check_reach(near, "the displacements")
    vector = minimum_image(neighbors.positions - positions, neighbors.box)
    close = neighbors.distances < near
    separation, first, second = neighbors.separations[close], neighbors.centers[close], neighbors.indices[close]
    unit = separation / np.sqrt((separation**2).sum(1, keepdims=True))
    relative = vector[second] - vector[first]
    count = np.maximum(np.bincount(first, minlength=len(vector)), 1)

    def mean(values: FloatArray) -> FloatArray:
        columns = values.reshape(len(first), -1).T
        means = np.stack([np.bincount(first, column, len(vector)) / count for column in columns], 1)
        return means.reshape(len(vector), *values.shape[1:])

    outer = separation[:, :, None] * separation[:, None, :]
    crossed = relative[:, :, None] * separation[:, None, :]
    # In the plane, and where neighbors are too few, there is no deformation in some direction.
    deformation = mean(crossed) @ np.linalg.pinv(mean(outer), rcond=1e-9, hermitian=True)
    rest = relative - np.einsum("pab,pb->pa", deformation[first], separation)
    square = (vector**2).sum(1)
    columns = {
        "length": np.sqrt(square),
        "square": square,
        "relative": mean((relative**2).sum(1)),
        "stretch": mean((relative * unit).sum(1)),
        "common": np.sqrt((mean(vector[second]) ** 2).sum(1)),
        "along": mean((vector[first] * unit).sum(1) ** 2),
        "nonaffine": mean((rest**2).sum(1)),
    }
    return table_of([f"displacement.{name}" for name in columns], list(columns.values()))
