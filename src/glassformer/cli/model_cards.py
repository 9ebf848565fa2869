"""The propensity models that ship: which there are, what their cards say, and which one suits a liquid."""

import json
from functools import cache
from pathlib import Path

from glassformer.baselines.propensity_file import read_predictor
from glassformer.baselines.propensity_model import SAME_TEMPERATURE, PropensityPredictor
from glassformer.cli.console import console, print_table
from glassformer.cli.propensity_training import print_scores
from glassformer.core.errors import PredictionError, SettingsError
from glassformer.core.mixture import MixtureSettings
from glassformer.core.presets import shipped_models

# The order in which models are tried where none is named.
PREFERRED = ("ka-t0.44-t4120", "ka-isochore")


def load_model(name: str) -> PropensityPredictor:
    """Return the model `name`: one that ships, or a file. Raises `SettingsError` or `CheckpointError`."""
    shipped = shipped_models()
    if not name:
        raise SettingsError("got no model", f"Name one: --model {next(iter(shipped), 'FILE')}.")
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


def print_models(as_json: bool) -> None:
    """Print which models ship."""
    models = [load_model(name) for name in shipped_models()]
    if as_json:
        print(json.dumps([model.card.model_dump(mode="json") for model in models], indent=1))
        return
    rows = []
    for model in models:
        card = model.card
        low, high = min(card.temperatures), max(card.temperatures)
        times = [time for row in card.times for time in row]
        span = f"{min(times):g}" if min(times) == max(times) else f"{min(times):g} to {max(times):g}"
        rows.append(
            [card.name, card.mixture.name, f"{low:g}" if low == high else f"{low:g} to {high:g}", span, card.kind,
             card.reads]
        )  # fmt: skip
    print_table(["model", "mixture", "T", "t", "class", "reads"], rows, ["left"] * 6)


def print_card(model: PropensityPredictor, as_json: bool) -> None:
    """Print the card of a model."""
    card = model.card
    if as_json:
        print(json.dumps(card.model_dump(mode="json"), indent=1))
        return
    known = ", ".join(
        f"{number} at T = {one:g}" for number, one in zip(card.configurations, card.temperatures, strict=True)
    )
    for name, text in (
        ("model", card.name), ("purpose", card.purpose), ("mixture", f"{card.mixture.name}, rho = {card.density:g}"),
        ("class", f"{card.kind}: reads {card.reads}"), ("configurations", f"{known}; {card.draws} draws each"),
        ("data", card.data), ("licence", card.licence), ("limits", card.limits), ("made by", card.code_version),
    ):  # fmt: skip
        if text:
            console.print(f"{name}:", style="bold", end=" ")
            console.print(text)
    console.print("Pearson correlations with configurations left out of training:")
    print_scores(card.scores)
