"""Liquids that tests use."""

from dataclasses import replace

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.mixture import CUTOFF_CONVENTIONS
from glassformer.dataset.mixtures import shipped
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann


def kob_andersen(convention: str) -> Mixture:
    """Return the 80:20 mixture with the cutoff 'uniform', 2.5 for every pair, or 'scaled', 2.5 sigma_ab."""
    return shipped(CUTOFF_CONVENTIONS[convention])


def with_cutoff(cutoff: float | FloatArray) -> Mixture:
    """Return the 80:20 mixture with another cutoff, the same for every pair or (2, 2)."""
    return replace(shipped("kob-andersen"), cutoff=np.broadcast_to(cutoff, (2, 2)).astype(np.float64))


def mixture(particles: int) -> ByteArray:
    """Return the species (N,) of an 80:20 mixture, A first."""
    return shipped("kob-andersen").assign(particles)


def unit_masses(seed: int, particles: int, temperature: float) -> FloatArray:
    """Return velocities (N, 3) of particles of mass 1."""
    return maxwell_boltzmann(seed, np.ones(particles), temperature)
