"""Self overlap of two configurations, and its fluctuation, the dynamic susceptibility chi_4."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.species import mean_by_species
from glassformer.physics.checks import check_vectors

# In sigma_AA: beyond the rattling in the cage, well short of a neighbour's place.
OVERLAP_LENGTH = 0.3


def overlap(
    displacements: FloatArray, species: ByteArray, length: float = OVERLAP_LENGTH, kinds: int | None = None
) -> FloatArray:
    """Return the self overlap Q_s(t) = <theta(a - |r(t) - r(0)|)> of each species, (S,).

    `displacements` (N, 3) are unwrapped; `length` is a, in sigma_AA; `kinds` is S, as in
    `number_of_species`. NaN for a species that is absent.
    N. Lačević, F. W. Starr, T. B. Schrøder and S. C. Glotzer, J. Chem. Phys. 119, 7372 (2003).
    """
    check_vectors("displacements", displacements, species)
    stayed = (displacements**2).sum(1) < length**2
    return mean_by_species(stayed.astype(np.float64), species, kinds)


def dynamic_susceptibility(overlaps: FloatArray, particles: float) -> FloatArray:
    """Return chi_4(t) = N [<Q^2> - <Q>^2] over runs, (T,), from `overlaps` (R, T) of R independent runs.

    `particles` is the number N of particles that each Q is a mean over. The variance is the unbiased estimate, with
    R - 1 in the denominator; NaN for fewer than two runs.
    L. Berthier et al., J. Chem. Phys. 126, 184503 (2007).
    """
    runs, times = overlaps.shape
    if runs < 2:
        return np.full(times, np.nan)
    susceptibility: FloatArray = particles * overlaps.var(0, ddof=1)
    return susceptibility
