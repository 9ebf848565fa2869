"""Correlation of the mobilities of particles at a distance, and the length over which it decays."""

import numpy as np
from scipy.optimize import curve_fit
from scipy.special import gamma, gammainc

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.compiled import cached_njit
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import wrap

# In sigma_AA. Closer than this there are hardly any pairs.
BIN, NEAREST = 0.25, 1.0
# Part of the shortest box edge within which the correlation is fitted.
FARTHEST_PART = 1 / 3
LEAST_BINS = 4
# In standard errors: a weaker correlation of neighbors has no length.
LEAST_SIGNIFICANCE = 3.0
# Surface of the sphere, circumference of the circle, of radius 1.
_SURFACE = {2: 2 * np.pi, 3: 4 * np.pi}


def mobility_correlation(
    positions: FloatArray, mobilities: FloatArray, box: FloatArray, farthest: float, dimension: int = 3
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return distances r (bins,), G_4(r) of K mobility fields (K, bins) and the number of pairs (bins,).

    G_4(r) = <dmu_i dmu_j>_r / <dmu^2>, the mean over pairs of particles at the distance r, with dmu = mu - <mu> the
    fluctuation of the mobility from the mean over these particles. It is 1 for r = 0 and adds up to zero over all
    particles j, i included. `positions` are (N, 3), `mobilities` (N, K), of one species, at r(0); in two dimensions
    z = 0. Bins of width 0.25 sigma_AA end at most at `farthest`. NaN where there is no pair, or for a field that does
    not vary.
    N. Lačević, F. W. Starr, T. B. Schrøder and S. C. Glotzer, J. Chem. Phys. 119, 7372 (2003), with the mobility in the
    place of the overlap; normalised by the pairs, which removes the oscillations of g(r).

    Raises `ConfigurationError` for arrays of other shapes, or a distance beyond half the shortest box edge.
    """
    if mobilities.ndim != 2 or positions.shape != (len(mobilities), 3):
        raise ConfigurationError(
            f"got positions of shape {positions.shape} and mobilities of shape {mobilities.shape}; expected (N, 3) and"
            " (N, K)",
            "Give those of the same particles.",
        )
    half = float(box[:dimension].min()) / 2
    if farthest > half:
        raise ConfigurationError(
            f"got distances up to {farthest:g}; expected at most half the shortest box edge, {half:g}",
            "Ask for shorter distances.",
        )
    bins = int(farthest / BIN + 1e-9)
    fluctuations = mobilities - mobilities.mean(0)
    pairs, sums = _sum_products(wrap(positions, box), np.ascontiguousarray(fluctuations), box, BIN, bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation: FloatArray = (sums / pairs[:, None] / (fluctuations**2).mean(0)).T
    distances: FloatArray = BIN * (np.arange(bins, dtype=np.float64) + 0.5)
    return distances, correlation, pairs


def correlation_length(
    distances: FloatArray, correlation: FloatArray, pairs: IntArray, box: FloatArray, dimension: int = 3
) -> float:
    """Return xi of G_4(r) = A [exp(-r / xi) - c(xi)], in sigma_AA, fitted by least squares from r = 1 on.

    c(xi) is the mean of exp(-r / xi) over the box: the fluctuations in a box add up to zero, which lowers G_4 by it.
    For d dimensions and edges of length L, c = Omega_d Gamma(d) xi^d P(d, L / (2 xi)) / L^d, P being the regularised
    incomplete gamma function. A leaves out what is not shared with neighbors, such as the noise of few draws, which
    lowers G_4 at all distances alike. An Ornstein-Zernike form of S_4(q) cannot be fitted in boxes of L = 15: the
    Kob-Andersen mixture's S_4(q) falls as q^-4 at the few smallest q.

    `distances`, `correlation` and `pairs` are (bins,), from `mobility_correlation`. NaN if there are fewer than four
    distances beyond r = 1, the correlation of neighbors (1 < r < 2) is not three standard errors above zero, or nothing
    fits.
    """
    used = (distances > NEAREST) & (pairs > 0)
    close = used & (distances < 2 * NEAREST)
    if used.sum() < LEAST_BINS or not np.isfinite(correlation[used]).all():
        return float("nan")
    neighbors = np.average(correlation[close], weights=pairs[close])
    if neighbors < LEAST_SIGNIFICANCE / np.sqrt(pairs[close].sum()):
        return float("nan")
    edge = float(np.prod(box[:dimension]) ** (1 / dimension))

    def model(r: FloatArray, amplitude: float, length: float) -> FloatArray:
        mean = _SURFACE[dimension] * gamma(dimension) * (length / edge) ** dimension
        shifted: FloatArray = amplitude * (np.exp(-r / length) - mean * gammainc(dimension, edge / (2 * length)))
        return shifted

    try:
        (_, length), _ = curve_fit(
            model, distances[used], correlation[used], (max(neighbors, 0.1), 1.5), bounds=([0, BIN / 2], [100, edge])
        )
    except RuntimeError:
        return float("nan")
    # On a bound: no length at all, or one that the box cannot hold.
    return float(length) if BIN < length < edge / 2 else float("nan")


@cached_njit(nogil=True)
def _sum_products(
    points: FloatArray, values: FloatArray, box: FloatArray, width: float, bins: int
) -> tuple[IntArray, FloatArray]:
    """Return the number of pairs (bins,) and the sums of v_i v_j (bins, K) by distance; points lie in [0, L)."""
    pairs = np.zeros(bins, np.int64)
    sums = np.zeros((bins, values.shape[1]))
    limit = (width * bins) ** 2
    for i in range(len(points)):
        for j in range(i):
            square = 0.0
            for axis in range(3):
                apart = abs(points[i, axis] - points[j, axis])
                apart = min(apart, box[axis] - apart)
                square += apart * apart
            if square < limit:
                place = min(int(np.sqrt(square) / width), bins - 1)
                pairs[place] += 1
                for field in range(values.shape[1]):
                    sums[place, field] += values[i, field] * values[j, field]
    return pairs, sums
