"""What may be done to a structure without changing its dynamics."""

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from glassformer.core.arrays import FloatArray


@cache
def cubic_symmetries() -> FloatArray:
    """Return the 48 matrices (48, 3, 3) of the cube's point group O_h: the 24 rotations of O, and minus each.

    Signed permutations of the axes, ordered by the permutation, then by the signs, + before -: augmentation draws them
    by their number.
    """
    rotations = np.rint(Rotation.create_group("O").as_matrix())
    # Minus zero plus zero is zero.
    matrices = np.concatenate([rotations, -rotations]) + 0.0
    permutations, signs = np.abs(matrices).argmax(2), matrices.sum(1)
    order = np.lexsort([*-signs.T[::-1], *permutations.T[::-1]])
    symmetries: FloatArray = matrices[order]
    return symmetries


def cubic_rotations() -> FloatArray:
    """Return the 24 of them (24, 3, 3) that are rotations: determinant 1."""
    matrices = cubic_symmetries()
    rotations: FloatArray = matrices[np.linalg.det(matrices) > 0]
    return rotations


def plane_symmetries() -> FloatArray:
    """Return the 8 of them (8, 3, 3) that keep the plane z = 0 and its sides: those of a square."""
    matrices = cubic_symmetries()
    symmetries: FloatArray = matrices[matrices[:, 2, 2] == 1]
    return symmetries


def plane_rotations() -> FloatArray:
    """Return the 4 of these (4, 3, 3) that are rotations."""
    matrices = plane_symmetries()
    rotations: FloatArray = matrices[np.linalg.det(matrices) > 0]
    return rotations


def random_plane_rotations(random: np.random.Generator, number: int) -> FloatArray:
    """Return `number` rotations (B, 3, 3) about the z axis, by angles uniform on [0, 2 pi)."""
    angles = random.uniform(0, 2 * np.pi, number)
    rotations = np.zeros((number, 3, 3))
    rotations[:, 0, 0] = rotations[:, 1, 1] = np.cos(angles)
    rotations[:, 1, 0] = np.sin(angles)
    rotations[:, 0, 1] = -rotations[:, 1, 0]
    rotations[:, 2, 2] = 1
    return rotations


def augmentations(kind: str, flat: bool, random: np.random.Generator, number: int) -> FloatArray:
    """Return `number` random matrices (B, 3, 3) of an augmentation: 'symmetries', 'cubic-rotations' or 'rotations'.

    `flat`: of a structure in two dimensions, which stays in its plane.
    """
    if kind == "rotations":
        return (random_plane_rotations if flat else random_rotations)(random, number)
    if kind == "symmetries":
        matrices = plane_symmetries() if flat else cubic_symmetries()
    else:
        matrices = plane_rotations() if flat else cubic_rotations()
    chosen: FloatArray = matrices[random.integers(len(matrices), size=number)]
    return chosen


def random_rotations(random: np.random.Generator, number: int) -> FloatArray:
    """Return `number` rotations (B, 3, 3), uniform on SO(3).

    From quaternions uniform on the sphere, that is, normalised Gaussians: K. Shoemake, Graphics Gems III (1992), 124.
    """
    quaternions = random.standard_normal((number, 4))
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
