"""Disordered configurations without overlaps, at no cost: for tests of what reads structures."""

import numpy as np

from glassformer.physics.configuration import Configuration


def rattled_lattice(side: int, seed: int = 0, spacing: float = 1.05, amplitude: float = 0.08) -> Configuration:
    """Return a simple cubic lattice of `side`^3 particles, each moved by up to `amplitude` along every axis.

    20 % of the particles, in random places, are of species 1.
    """
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    edge = side * spacing
    positions = (grid * spacing + random.uniform(-amplitude, amplitude, (side**3, 3))) % edge
    species = (random.permutation(side**3) >= 0.8 * side**3).astype(np.uint8)
    return Configuration(positions, species, np.full(3, edge))
