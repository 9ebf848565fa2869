"""Least-squares fits that say why they fail."""

from collections.abc import Callable

import numpy as np
from scipy import optimize

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import InputError

REMEDY = "Plot the points and check that they follow this law."
# Of the Jacobian with columns of unit length.
MOST_CONDITION = 3e5


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

    def residuals(parameters: FloatArray) -> FloatArray:
        # A step may try parameters where the law overflows; it is then rejected.
        with np.errstate(all="ignore"):
            return law(x, *parameters) - y

    try:
        # Not curve_fit: its differences are relative to a parameter, and vanish where the parameter is 0.
        found = optimize.least_squares(residuals, guess, "3-point", xtol=1e-12, ftol=1e-12, gtol=1e-12, x_scale="jac")
    except ValueError as error:
        raise FitError(f"{what}: no convergence ({error})", REMEDY) from None
    if not found.success:
        raise FitError(f"{what}: no convergence ({found.message})", REMEDY)
    jacobian = np.asarray(found.jac)
    scale = np.sqrt((jacobian**2).sum(0))
    # J is made of differences, so that dependent columns come out with a condition number of 1e6 or more, not infinity.
    if not scale.all() or np.linalg.cond(jacobian / scale) > MOST_CONDITION:
        raise FitError(f"{what}: the points do not determine all parameters", REMEDY)
    covariance = np.linalg.inv(jacobian.T @ jacobian) * (2 * found.cost / (len(x) - len(guess)))
    errors: FloatArray = np.sqrt(np.diag(covariance))
    return found.x, errors
