"""Cage positions: where every particle sits on average while no rearrangement happens."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gamma, hyp1f1

from glassformer.core.arrays import CAGE, FloatArray, check_arrays
from glassformer.core.errors import ConfigurationError
from glassformer.physics.configuration import check_inside

# How they are found, and with it what may be predicted from them.
Kind = Literal["restricted", "window"]
# Half the squared ratio of distance and spread from which a mean distance is taken from its expansion.
_FAR = 300.0


@dataclass(frozen=True, eq=False)
class Cage:
    """Mean positions (N, 3), wrapped, and the mean squared distance <u^2> from them, (N,), in one of two ensembles.

    `kind` 'restricted': the canonical ensemble at `temperature` in which every particle stays within `radius` of its
    place in the inherent structure, a static property of the configuration (R. M. Alkemade, F. Smallenburg and L.
    Filion, J. Chem. Phys. 158, 134512 (2023)). 'window': free draws of the velocities between the times `begin` and
    `end`, short dynamics; <u^2> is then the Debye-Waller factor of the isoconfigurational ensemble (A. Widmer-Cooper
    and P. Harrowell, Phys. Rev. Lett. 96, 185701 (2006)). In the restricted ensemble `begin` and `end` are the times,
    since the start of each of the `draws` trajectories, between which they were sampled.
    """

    positions: FloatArray
    square_displacement: FloatArray
    kind: Kind
    temperature: float
    draws: int
    begin: float
    end: float
    radius: float | None = None

    @property
    def sampling(self) -> dict[str, float]:
        """Times and radius of the sampling. Configurations that are scored must share them."""
        window = {"begin": self.begin, "end": self.end}
        return window if self.radius is None else window | {"radius": self.radius}

    @property
    def averaged_over(self) -> dict[str, float]:
        """What the mean is over, however long it was sampled: the radius of the wall, or the window of free draws."""
        return self.sampling if self.radius is None else {"radius": self.radius}

    @property
    def first_target(self) -> float:
        """The earliest time at which propensities may be predicted from these positions.

        Dynamics until t tell the propensities at times near t; ten times later they are a prediction.
        """
        return 10 * self.end if self.kind == "window" else 0.0


def plateau_mean(square_distance: FloatArray, square_displacement: FloatArray, dimension: int) -> FloatArray:
    """Return the mean of |r - r(0)|, (N,), once a particle has explored its cage, without memory of where it was.

    r is taken as Gaussian around the cage position in d = `dimension` dimensions, with <u^2> = d s^2 =
    `square_displacement` (N,). With the distance u of r(0) from there, u^2 = `square_distance` (N,), the mean is
    s sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2) 1F1(-1/2; d / 2; -u^2 / 2 s^2).
    """
    variance = np.maximum(square_displacement / dimension, 1e-12)
    ratio = square_distance / (2 * variance)
    factor = np.sqrt(2) * gamma((dimension + 1) / 2) / gamma(dimension / 2)
    near = np.sqrt(variance) * factor * hyp1f1(-0.5, dimension / 2, -np.minimum(ratio, _FAR))
    distance = np.sqrt(np.maximum(square_distance, variance))
    far = distance + (dimension - 1) * variance / (2 * distance)
    return np.asarray(np.where(ratio < _FAR, near, far))


def check_cage(cage: Cage, particles: int, box: FloatArray, where: str) -> None:
    """Check types, shapes and values. Raises `ConfigurationError`, naming `where`."""
    sizes = check_arrays(CAGE, vars(cage), ConfigurationError, where)
    if sizes["N"] != particles:
        raise ConfigurationError(f"{where}: got cages of {sizes['N']} particles; expected {particles}")
    check_inside(cage.positions, box, f"{where}: cage positions")
    if (cage.square_displacement < 0).any():
        raise ConfigurationError(f"{where}: got a negative mean squared displacement in a cage")
    numbers = [cage.temperature, cage.draws, cage.end - cage.begin, 1.0 if cage.radius is None else cage.radius]
    if not (np.isfinite(numbers).all() and min(numbers) > 0 and cage.begin >= 0):
        raise ConfigurationError(
            f"{where}: got cages at T = {cage.temperature:g} from {cage.draws} draws between t = {cage.begin:g} and"
            f" {cage.end:g}, radius {cage.radius}; expected positive numbers, and an end after the begin"
        )
    if cage.kind not in ("restricted", "window") or (cage.kind == "restricted") == (cage.radius is None):
        raise ConfigurationError(
            f"{where}: got cages of kind {cage.kind!r} with radius {cage.radius}; expected 'restricted' with a radius,"
            " or 'window' without"
        )
