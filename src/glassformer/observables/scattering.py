"""Coherent part of the intermediate scattering function."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.species import number_of_species
from glassformer.observables.wave_vectors import wave_vectors
from glassformer.physics.checks import check_dimension, check_positions, check_vectors

# Phases held at one time.
_BLOCK = 2**21


def collective_scattering(
    start: FloatArray,
    displacements: FloatArray,
    species: ByteArray,
    box: FloatArray,
    wave_number: float,
    width: float,
    kinds: int | None = None,
    dimension: int = 3,
) -> FloatArray:
    """Return the coherent F(k, t) = (1/N_a) <rho_a(k, t) rho_a(-k, 0)> of each species, (S,).

    The mean over all wave vectors of the box with ||k| - `wave_number`| <= `width`. `start` (N, 3) are the positions at
    time 0, `displacements` (N, 3) the unwrapped ways since then. At t = 0 it is the partial structure factor,
    normalised by N_a. `kinds`: S, as in `number_of_species`; in two dimensions n_z = 0. NaN for a species that is
    absent.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.

    Raises `ConfigurationError` if there is no such wave vector, or for arrays of another form or dimension.
    """
    check_positions(start, species, box)
    check_vectors("displacements", displacements, species)
    check_dimension("positions", start, dimension, box)
    check_dimension("displacements", displacements, dimension)
    vectors = wave_vectors(box, wave_number, width, dimension)
    found = np.full(number_of_species(species, kinds), np.nan)
    for kind in np.unique(species):
        members = species == kind
        before, after = start[members], (start + displacements)[members]
        step = max(1, _BLOCK // len(before))
        products = [
            _density(after, chosen) * _density(before, chosen).conj()
            for chosen in (vectors[first : first + step] for first in range(0, len(vectors), step))
        ]
        found[kind] = np.concatenate(products).real.mean() / len(before)
    return found


def _density(positions: FloatArray, vectors: FloatArray) -> np.ndarray:
    """Return rho(k) = sum_j exp(i k . r_j), (K,)."""
    phases = positions @ vectors.T
    # Five times as fast as the complex exponential.
    modes: np.ndarray = np.cos(phases).sum(0) + 1j * np.sin(phases).sum(0)
    return modes
