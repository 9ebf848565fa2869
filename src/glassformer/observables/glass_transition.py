"""Glass transition temperature from the knee of the volume."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import minimize_scalar

from glassformer.core.arrays import FloatArray
from glassformer.observables.fits import FitError, check_points


@dataclass(frozen=True)
class GlassTransition:
    """T_g, the volume there, the slopes dV/dT of the glass and of the liquid, and their standard errors."""

    temperature: float
    volume: float
    glass_slope: float
    liquid_slope: float
    temperature_error: float
    volume_error: float
    glass_slope_error: float
    liquid_slope_error: float


def glass_transition(temperatures: FloatArray, volumes: FloatArray) -> GlassTransition:
    """Return T_g where the slope of `volumes` (K,) against `temperatures` (K,), of a cooling run, changes.

    Least squares of V = V_g + s_g (T - T_g) below T_g and V_g + s_l (T - T_g) above: two straight lines that meet at
    T_g, with two or more points on each side (D. J. Hudson, J. Am. Stat. Assoc. 61, 1097 (1966)). Standard errors from
    the covariance matrix of all four parameters; they come out about a fifth too small, as the sum of squares is not
    smooth in T_g. T_g depends on the cooling rate (K. Vollmayr, W. Kob and K. Binder, J. Chem. Phys. 105, 4714 (1996)),
    and on the range of temperatures as far as the two branches are curved.

    Raises `FitError` for fewer than five different temperatures, or if the slope does not rise by more than three times
    its standard error.
    """
    check_points("glass transition", 5, temperatures, volumes)
    knots = np.unique(temperatures)
    if len(knots) < 5:
        raise FitError("glass transition: expected five or more different temperatures", "Give more of them.")
    precision = 1e-7 * float(knots[-1] - knots[0])

    def squares(knee: float) -> float:
        return _branches(temperatures, volumes, knee)[0]

    # Within an interval between temperatures the sum of squares is smooth in T_g.
    candidates = [
        minimize_scalar(squares, bounds=pair, method="bounded", options={"xatol": precision})
        for pair in pairwise(knots[1:-1])
    ]
    knee = float(min(candidates, key=lambda found: found.fun).x)
    least, (volume, glass, liquid) = _branches(temperatures, volumes, knee)
    errors, rise_error = _errors(temperatures, knee, glass, liquid, least)
    # Noise on one straight line passes two standard errors in up to every tenth run: the knee is where it looks best.
    if liquid - glass > 3 * rise_error:
        return GlassTransition(knee, volume, glass, liquid, *errors)
    raise FitError(
        f"glass transition: the slope does not increase at T = {knee:g}, from {glass:g} to {liquid:g}",
        "Give temperatures well below and well above the transition.",
    )


def _branches(temperatures: FloatArray, volumes: FloatArray, knee: float) -> tuple[float, tuple[float, float, float]]:
    """Return the sum of squares and the best V_g, s_g and s_l for a knee at `knee`."""
    columns = _columns(temperatures, knee)
    parameters = np.linalg.lstsq(columns, volumes)[0]
    residual = volumes - columns @ parameters
    volume, glass, liquid = map(float, parameters)
    return float(residual @ residual), (volume, glass, liquid)


def _columns(temperatures: FloatArray, knee: float) -> FloatArray:
    above = temperatures - knee
    return np.stack([np.ones_like(above), np.minimum(above, 0), np.maximum(above, 0)], 1)


def _errors(
    temperatures: FloatArray, knee: float, glass: float, liquid: float, squares: float
) -> tuple[tuple[float, ...], float]:
    """Return the standard errors of T_g, V_g, s_g and s_l, and that of s_l - s_g."""
    by_knee = -np.where(temperatures < knee, glass, liquid)
    jacobian = np.column_stack([by_knee, _columns(temperatures, knee)])
    freedom = max(len(temperatures) - jacobian.shape[1], 1)
    covariance = squares / freedom * np.linalg.pinv(jacobian.T @ jacobian)
    rise = np.array([0.0, 0.0, -1.0, 1.0])
    return tuple(map(float, np.sqrt(np.diag(covariance)))), float(np.sqrt(rise @ covariance @ rise))
