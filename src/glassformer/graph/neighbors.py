"""Periodic nearest neighbours of every particle."""

from typing import cast

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import SettingsError
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration


def periodic_neighbors(configuration: Configuration, number: int) -> tuple[IntArray, FloatArray]:
    """Return the `number` = k nearest neighbours of every particle and the vectors to them.

    Indices (N, k), nearest first, never the particle itself; vectors (N, k, 3), r_j - r_i by minimum image. Raises
    `SettingsError` if k >= N.
    """
    particles = configuration.particles
    if number >= particles:
        raise SettingsError(
            f"got k = {number} neighbours for a configuration of {particles} particles; expected k < N",
            "Lower network.neighbors.",
        )
    tree = cKDTree(configuration.positions, boxsize=configuration.box)
    _, found = tree.query(configuration.positions, k=number + 1)
    found = cast(IntArray, found).astype(np.int64)
    drop = found == np.arange(particles)[:, None]
    # More than k particles on one spot can push a particle out of its own list; then the farthest goes.
    drop[~drop.any(1), -1] = True
    indices = found[~drop].reshape(particles, number)
    vectors = configuration.positions[indices] - configuration.positions[:, None]
    return indices, minimum_image(vectors, configuration.box)
