"""Fits of a dataset's observables: the alpha relaxation, the glass transition, relaxation times against temperature."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import summarise
from glassformer.evaluate.columns import Columns
from glassformer.observables.fits import FitError
from glassformer.observables.glass_transition import GlassTransition, glass_transition
from glassformer.observables.kww import StretchedExponential, fit_kww
from glassformer.observables.vft import fit_vft

# On the plateau, where the alpha relaxation begins.
PLATEAU_TIME = 2.0
# F_s at that time that leaves a decay to be fitted.
LEAST_PLATEAU = 0.5
# Change of the pressure along a cooling run that counts as none.
PRESSURE_CHANGE = 0.1


def fits_of(name: str, tables: dict[str, Columns], first: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the fits that belong to an observable; those that cannot be made are left out, with the reason.

    `first`: the name of the first species at every state point of `tables`.
    """
    fits: list[dict[str, Any]] = []
    for label, columns in tables.items():
        try:
            if name == "scattering":
                start = _start_of(columns)
                fit = _fit_alpha_relaxation(columns, f"f_s_{first[label].lower()}", start)
                what = f"KWW of F_s of {first[label]} from t = {start:g}"
                fits.append({"fit": what, "state_point": label} | asdict(fit))
            if name == "volume":
                fits.append({"fit": "T_g from V(T)", "state_point": label} | asdict(fit_transition(columns)))
        except FitError as error:
            fits.append({"fit": name, "state_point": label, "failed": error.problem})
    return fits


def _start_of(columns: Columns) -> float:
    """Return the time from which F_s is fitted: on the plateau, or later if the first frame is."""
    return max((PLATEAU_TIME, *map(float, columns["time"][:1])))


def _fit_alpha_relaxation(columns: Columns, f_s: str, start: float) -> StretchedExponential:
    """Fit the column `f_s`, F_s of one species, from the time `start`; raise `FitError` if there is no plateau then.

    F_s decays: if it is large at a later `start`, it is at the beginning of the plateau.
    """
    if len(columns["time"]) and (value := float(np.interp(start, columns["time"], columns[f_s]))) < LEAST_PLATEAU:
        raise FitError(
            f"no plateau: F_s is {value:.2f} at t = {start:g}; expected at least {LEAST_PLATEAU:g}",
            "A colder liquid is needed, or frames at shorter times.",
        )
    return fit_kww(columns["time"], columns[f_s], start)


def fit_relaxation_times(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return the VFT fit of tau_alpha against temperature, or why it cannot be made."""
    rows = [row for row in summarise(samples) if np.isfinite(row.tau_alpha)]
    try:
        fit = fit_vft(np.array([row.temperature for row in rows]), np.array([row.tau_alpha for row in rows]))
    except FitError as error:
        return [{"fit": "VFT of tau_alpha", "state_point": "all", "failed": error.problem}]
    return [{"fit": "VFT of tau_alpha", "state_point": "all"} | asdict(fit)]


def fit_transition(columns: Columns) -> GlassTransition:
    """Fit T_g; raise `FitError` if the pressure changes along the way: V(T) then bends for another reason."""
    pressure, temperature = columns["pressure"], columns["temperature"]
    if len(pressure) > 4:
        (slope, _), covariance = np.polyfit(temperature, pressure, 1, cov=True)
        change, error = slope * np.ptp(temperature), np.sqrt(covariance[0, 0]) * np.ptp(temperature)
        if abs(change) > max(PRESSURE_CHANGE, 4 * error):
            raise FitError(f"the pressure changes by {change:.2g} along the way", "Cool at constant pressure.")
    return glass_transition(temperature, columns["volume"])
