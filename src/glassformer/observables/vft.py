"""Vogel-Fulcher-Tammann fit of relaxation times."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.observables.fits import REMEDY, FitError, check_points, least_squares


@dataclass(frozen=True)
class VogelFulcherTammann:
    """ln tau = ln tau_0 + B / (T - T_0): ln tau_0, B, T_0, and their standard errors."""

    log_prefactor: float
    strength: float
    divergence_temperature: float
    log_prefactor_error: float
    strength_error: float
    divergence_temperature_error: float


def fit_vft(temperatures: FloatArray, relaxation_times: FloatArray) -> VogelFulcherTammann:
    """Return ln tau_0, B and T_0 of ln tau = ln tau_0 + B / (T - T_0), fitted in ln tau to points (K,) of any order.

    Unweighted; standard errors from the covariance matrix. T_0 = 0 is the Arrhenius law.
    H. Vogel, Phys. Z. 22, 645 (1921); G. S. Fulcher, J. Am. Ceram. Soc. 8, 339 (1925); G. Tammann and W. Hesse,
    Z. Anorg. Allg. Chem. 156, 245 (1926).

    Raises `FitError` for fewer than four temperatures, for times that are not positive, if the fit does not converge,
    or if T_0 is not below all temperatures.
    """
    check_points("Vogel-Fulcher-Tammann", 4, temperatures, relaxation_times)
    if len(np.unique(temperatures)) < 4 or temperatures.min() <= 0 or relaxation_times.min() <= 0:
        raise FitError(
            "Vogel-Fulcher-Tammann: expected four or more different positive temperatures, and positive times",
            "Leave out temperatures that have no relaxation time.",
        )
    logs, coldest = np.log(relaxation_times), temperatures.min()
    # ln tau_0 and B are linear: the best T_0 of a grid starts the fit in the right valley.
    guesses = [_straight(temperatures, logs, divergence) for divergence in np.linspace(0, 0.98, 50) * coldest]
    parameters, errors = least_squares(
        "Vogel-Fulcher-Tammann", _law, temperatures, logs, min(guesses, key=lambda guess: guess[0])[1]
    )
    if not parameters[2] < coldest:
        raise FitError(
            f"Vogel-Fulcher-Tammann: T_0 = {parameters[2]:g} lies above the lowest temperature, {coldest:g}",
            REMEDY,
        )
    return VogelFulcherTammann(*map(float, parameters), *map(float, errors))


def _law(temperatures: FloatArray, log_prefactor: float, strength: float, divergence: float) -> FloatArray:
    return log_prefactor + strength / (temperatures - divergence)


def _straight(
    temperatures: FloatArray, logs: FloatArray, divergence: float
) -> tuple[float, tuple[float, float, float]]:
    """Return the residual and the parameters of the best straight line in 1 / (T - `divergence`)."""
    strength, log_prefactor = np.polyfit(1 / (temperatures - divergence), logs, 1)
    residual = logs - _law(temperatures, log_prefactor, strength, divergence)
    return float(residual @ residual), (log_prefactor, strength, divergence)
