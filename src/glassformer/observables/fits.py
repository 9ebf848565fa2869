"""Least-squares fits that say why they fail."""

import warnings
from collections.abc import Callable

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import InputError

REMEDY = "Look at the points: do they follow this law?"


class FitError(InputError):
    """Points that a law cannot be fitted to."""


def check_points(what: str, least: int, *columns: FloatArray) -> None:
    """Raise `FitError` unless `columns` hold `least` or more finite points each; `what` names the fit."""
    points = len(columns[0])
    if points < least:
        raise FitError(f"{what}: got {points} points; expected at least {least}", "Give more, or a wider range.")
    if not all(np.isfinite(column).all() for column in columns):
        raise FitError(f"{what}: some points are not finite numbers", "Leave them out.")


def least_squares(
    what: str, law: Callable[..., FloatArray], x: FloatArray, y: FloatArray, guess: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Return the parameters of `law` (x, *parameters) that fit `y` best, unweighted, and their standard errors.

    The errors are those of the covariance matrix, s^2 (J^T J)^-1, with s^2 from the residuals: they hold if the
    residuals are independent and of one size. Raises `FitError` if the fit does not converge or leaves a parameter
    undetermined; `what` names it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", OptimizeWarning)
        # A step may try parameters where the law overflows; it is then rejected.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            parameters, inverse = curve_fit(law, x, y, guess, absolute_sigma=True, maxfev=10_000)
        except (RuntimeError, OptimizeWarning, ValueError) as error:
            raise FitError(f"{what}: no convergence ({error})", REMEDY) from None
    scale = np.sqrt(np.diag(inverse))
    # J is made of differences, so that a singular J^T J comes out with a condition number of 1e12 or more.
    if np.linalg.cond(inverse / np.outer(scale, scale)) > 1e11:
        raise FitError(f"{what}: the points do not determine all parameters", REMEDY)
    residual = y - law(x, *parameters)
    errors: FloatArray = scale * np.sqrt(residual @ residual / (len(x) - len(parameters)))
    return parameters, errors
