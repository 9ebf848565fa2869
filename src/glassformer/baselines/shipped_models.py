"""Propensity models by name: those that ship, which of them suits a liquid, and files."""

from functools import cache
from pathlib import Path

from glassformer.baselines.propensity_file import read_predictor
from glassformer.baselines.propensity_model import SAME_TEMPERATURE, PropensityPredictor
from glassformer.core.errors import PredictionError, SettingsError
from glassformer.core.mixture import MixtureSettings
from glassformer.core.presets import shipped_models

# The order in which models are tried where none is named.
PREFERRED = ("ka-t0.44-t4120", "ka-isochore")


def load_model(name: str) -> PropensityPredictor:
    """Return the model `name`: one that ships, or a file. Raises `SettingsError` or `CheckpointError`."""
    shipped = shipped_models()
    if not name:
        raise SettingsError("no model was given", f"Name one: --model {next(iter(shipped), 'FILE')}.")
    if name not in shipped and not Path(name).exists():
        raise SettingsError(
            f"there is no file {name}, and no model of that name ships with glassformer",
            f"These ship: {', '.join(shipped)} (glassformer propensity --list).",
        )
    return _read(shipped.get(name, Path(name)))


@cache
def _read(path: Path) -> PropensityPredictor:
    return read_predictor(path)


def model_for(
    name: str, mixture: MixtureSettings, temperature: float, time: float | None = None
) -> PropensityPredictor:
    """Return the model `name`; without a name the first that ships for `mixture`, and if any is for the others, too.

    Raises `PredictionError` if none does.
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

    def covers(one: PropensityPredictor) -> bool:
        low, high = min(one.card.temperatures), max(one.card.temperatures)
        if not low * (1 - SAME_TEMPERATURE) <= temperature <= high * (1 + SAME_TEMPERATURE):
            return False
        times = one.card.times_at(temperature)
        return time is None or bool(times[0] * (1 - 1e-6) <= time <= times[-1] * (1 + 1e-6))

    return next(filter(covers, suited), suited[0])
