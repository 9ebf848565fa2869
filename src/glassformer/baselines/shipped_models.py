"""Propensity models by name: those that ship, which of them suits a liquid, and files."""

import difflib
from functools import cache
from pathlib import Path

import h5py

from glassformer.baselines.propensity_file import read_predictor
from glassformer.baselines.propensity_model import PropensityPredictor
from glassformer.core.errors import CheckpointError, PredictionError, SettingsError
from glassformer.core.layout import MODEL_SUFFIX
from glassformer.core.mixture import MixtureSettings
from glassformer.core.presets import shipped_models
from glassformer.core.words import listed

# The order in which models are tried where none is named.
PREFERRED = ("ka-t0.44-t4120", "ka-t0.44-t13", "ka-isochore")
# Part of a temperature by which it may be beyond those of a model that nobody named.
FAR_TEMPERATURE = 0.25


def load_model(name: str) -> PropensityPredictor:
    """Return the model `name`: one that ships, or a file. Raises `SettingsError` or `CheckpointError`."""
    shipped = shipped_models()
    if not name:
        raise SettingsError("no model was given", f"Name one: --model {next(iter(shipped), 'FILE')}.")
    if name not in shipped and not Path(name).exists():
        close = difflib.get_close_matches(name, shipped, n=1, cutoff=0.5)
        raise SettingsError(
            f"there is no file {name}, and no model of that name ships with glassformer"
            + (f"; did you mean '{close[0]}'?" if close else ""),
            f"These ship: {', '.join(shipped)} (glassformer propensity --list).",
        )
    path = shipped.get(name, Path(name))
    if path.suffix != MODEL_SUFFIX and not h5py.is_hdf5(path):
        raise CheckpointError(
            f"{name} is not a propensity model, a file {MODEL_SUFFIX} that glassformer train writes",
            f"These ship: {', '.join(shipped)} (glassformer propensity --list).",
        )
    return _read(path)


@cache
def _read(path: Path) -> PropensityPredictor:
    return read_predictor(path)


def model_for(
    name: str, mixture: MixtureSettings, temperature: float, time: float | None = None
) -> PropensityPredictor:
    """Return the model `name`; without a name the first that ships for `mixture` and knows `temperature` and `time`.

    Where none knows the temperature, it is the one whose range of temperatures is nearest.

    Raises `PredictionError` if no model is for the mixture, or the nearest range is further away than
    `FAR_TEMPERATURE`.
    """
    if name:
        return load_model(name)
    shipped = shipped_models()
    order = [one for one in PREFERRED if one in shipped] + [one for one in shipped if one not in PREFERRED]
    suited = [one for one in map(load_model, order) if one.card.mixture.identity == mixture.identity]
    if not suited:
        raise PredictionError(
            f"no model that ships is for the mixture {mixture.name}",
            "Train one on data of this mixture: glassformer train propensity DATASET --out DIR.",
        )

    def ranked(one: PropensityPredictor) -> tuple[float, bool]:
        times = one.card.times_at(temperature)
        knows = time is None or bool(times[0] * (1 - 1e-6) <= time <= times[-1] * (1 + 1e-6))
        return one.beyond(temperature), not knows

    nearest = min(suited, key=ranked)
    if nearest.beyond(temperature) > FAR_TEMPERATURE:
        known = sorted({t for one in suited for t in one.card.temperatures})
        raise PredictionError(
            f"got T = {temperature:g}; the models that ship for {mixture.name} know T ="
            f" {listed(f'{t:g}' for t in known)}, and are used up to {100 * FAR_TEMPERATURE:g} % beyond",
            "Train one at this temperature: glassformer train propensity DATASET --out DIR. To use one that ships"
            f" nevertheless, name it: --model {nearest.card.name}.",
        )
    return nearest
