"""What the vector from a particle to its place in a reference structure tells: inherent structure, or cage position."""

from collections.abc import Sequence

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.descriptors.averages import averaging_matrix
from glassformer.observables.descriptors.energies import pair_values
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, table_of
from glassformer.physics.box import minimum_image
from glassformer.physics.cage import plateau_mean
from glassformer.physics.mixture import Mixture


def displacement_descriptors(positions: FloatArray, neighbors: Neighbors, near: float = 1.5) -> Descriptors:
    """Return invariants of u_i, the vector from `positions` (N, 3) to the reference structure that `neighbors` lists.

    `displacement.length`: |u_i|; `.square`: |u_i|^2; and over the neighbors j closer than `near` in the reference
    structure, with r^ the unit vector to j: `.relative`: mean |u_j - u_i|^2; `.stretch`: mean (u_j - u_i) . r^, the
    local dilation; `.common`: |mean u_j|; `.along`: mean (u_i . r^)^2; `.nonaffine`: mean |u_j - u_i - e r_ij|^2 with
    the best local deformation e (D^2_min of M. L. Falk and J. S. Langer, Phys. Rev. E 57, 7192 (1998), per neighbor).
    """
    neighbors.check_reach(near, "the displacements")
    vector = _vectors(positions, neighbors)
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


def collective_displacements(
    positions: FloatArray, neighbors: Neighbors, length: float = 2.1, generations: Sequence[int] = (1, 2, 4)
) -> Descriptors:
    """Return invariants of u_i, the vector from `positions` (N, 3) to the reference structure, and of its averages.

    U_i is the n-th average of the vectors over neighbors, as in `recursive_averages`, for every n in `generations`.
    `collective.length.<n>`: |U_i|; `.along.<n>`: U_i . u_i; `.rest.<n>`: |u_i - U_i|.
    """
    vector, matrix = _vectors(positions, neighbors), averaging_matrix(neighbors, length).astype(np.float64)
    columns, mean = {}, vector
    for generation in range(1, max(generations) + 1):
        mean = matrix @ mean
        if generation in generations:
            columns[f"length.{generation}"] = np.sqrt((mean**2).sum(1))
            columns[f"along.{generation}"] = (mean * vector).sum(1)
            columns[f"rest.{generation}"] = np.sqrt(((vector - mean) ** 2).sum(1))
    return table_of([f"collective.{name}" for name in columns], list(columns.values()))


def forces_on_the_way(thermal: Neighbors, reference: Neighbors, mixture: Mixture) -> Descriptors:
    """Return invariants of F_i, the force on i at the positions of `thermal`, and u_i, the vector to `reference`.

    `force.length`: |F_i|; `.along`: F_i . u_i / |u_i|; `.work`: F_i . u_i.
    Raises `ConfigurationError` if the list `thermal` is shorter than the cutoff of the potential.
    """
    slope, vector = pair_values(thermal, mixture).slope, _vectors(thermal.positions, reference)
    parts = (slope * axis for axis in thermal.separations.T)
    force = np.stack([np.bincount(thermal.centers, part, thermal.particles) for part in parts], 1)
    work, length = (force * vector).sum(1), np.sqrt((vector**2).sum(1))
    along = np.divide(work, length, out=np.zeros_like(work), where=length > 0)
    columns = [np.sqrt((force**2).sum(1)), along, work]
    return table_of([f"force.{name}" for name in ("length", "along", "work")], columns)


def plateau_displacements(positions: FloatArray, reference: Neighbors, square_displacement: FloatArray) -> Descriptors:
    """Return how far i is expected to be from `positions` (N, 3) once it has explored its cage.

    `plateau.root`: sqrt(u^2 + <u^2>), the root mean square of |r - r(0)|, with u the distance to its place in
    `reference` and <u^2> = `square_displacement` (N,); `plateau.mean`: its mean (`physics.cage.plateau_mean`).
    """
    square = (_vectors(positions, reference) ** 2).sum(1)
    mean = plateau_mean(square, square_displacement, reference.dimension)
    return table_of(["plateau.mean", "plateau.root"], [mean, np.sqrt(square + square_displacement)])


def _vectors(positions: FloatArray, reference: Neighbors) -> FloatArray:
    """Return the vectors (N, 3) from `positions` to those of `reference`. Raises `ConfigurationError`."""
    if positions.shape != reference.positions.shape:
        raise ConfigurationError(
            f"got positions of shape {positions.shape}; expected {reference.positions.shape}",
            "Give those of the same particles.",
        )
    return np.asarray(minimum_image(reference.positions - positions, reference.box))
