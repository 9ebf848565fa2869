"""Kohlrausch-Williams-Watts fit of the alpha relaxation."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.observables.fits import FitError, check_points, least_squares


@dataclass(frozen=True)
class StretchedExponential:
    """F(t) = f exp[-(t / tau)^beta]: non-ergodicity parameter f, tau, beta, and their standard errors."""

    non_ergodicity: float
    time: float
    exponent: float
    non_ergodicity_error: float
    time_error: float
    exponent_error: float


def fit_kww(times: FloatArray, scattering: FloatArray, from_time: float) -> StretchedExponential:
    """Return f, tau and beta of F(t) = f exp[-(t / tau)^beta], fitted to the alpha relaxation of `scattering` (T,).

    The points at t >= `from_time` enter, unweighted, in F itself, with the whole tail: near F = 0 noise has little
    leverage. Choose `from_time` late enough on the plateau that the beta relaxation is over; F must then still exceed
    1/e of its value there and fall below it later. Standard errors from the covariance matrix; points of one run are
    correlated, so that they are lower bounds. R. Kohlrausch, Ann. Phys. (Leipzig) 167, 179 (1854); G. Williams and
    D. C. Watts, Trans. Faraday Soc. 66, 80 (1970).

    Raises `FitError` for fewer than five points, for no decay by 1/e among them, or if the fit does not converge.
    """
    late = times >= from_time
    times, scattering = times[late], scattering[late]
    check_points("stretched exponential", 5, times, scattering)
    decayed = np.flatnonzero(scattering < scattering[0] / np.e)
    if scattering[0] <= 0 or not len(decayed):
        raise FitError(
            f"stretched exponential: F does not decay by 1/e between t = {times[0]:g} and {times[-1]:g}",
            "Start earlier, or observe for longer.",
        )
    guess = (np.log(scattering[0]), np.log(times[decayed[0]]), np.log(0.7))
    # The logarithms keep all three positive.
    logs, errors = least_squares("stretched exponential", _law, times, scattering, guess)
    values = np.exp(logs)
    return StretchedExponential(*map(float, values), *map(float, values * errors))


def _law(times: FloatArray, log_f: float, log_tau: float, log_beta: float) -> FloatArray:
    decay: FloatArray = np.exp(log_f - (times / np.exp(log_tau)) ** np.exp(log_beta))
    return decay
