"""The propensity models that ship, and their cards, as a terminal shows them."""

import json

from rich.text import Text

from glassformer.baselines.propensity_model import PropensityPredictor
from glassformer.baselines.shipped_models import load_model
from glassformer.cli.console import console, print_table
from glassformer.cli.propensity_training import print_scores
from glassformer.core.presets import shipped_models

READS = {
    "inherent": "inherent structure",
    "restricted": "cage positions",
    "window": "cage positions of free draws",
}


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
        rows.append([card.name, card.mixture.name, f"{low:g}" if low == high else f"{low:g} to {high:g}", span,
                     READS[card.reads]])  # fmt: skip
    print_table(["model", "mixture", "T", "t", "reads"], rows, ["left"] * 5)
    console.print(
        "Inherent structures and cage positions are static; free draws are short dynamics. Data, scores and limits of a"
        " model: glassformer propensity --card --model NAME.",
        style="dim",
    )


def print_card(model: PropensityPredictor, as_json: bool) -> None:
    """Print the card of a model."""
    card = model.card
    if as_json:
        print(json.dumps(card.model_dump(mode="json"), indent=1))
        return
    known = ", ".join(
        f"{number} at T = {one:g}" for number, one in zip(card.configurations, card.temperatures, strict=True)
    )
    ends = f", and {card.end_frames} ends of draws" if card.end_frames else ""
    fit = f"ridge regression and network, averaged {1 - card.network_share:g} to {card.network_share:g}"
    for name, text in (
        ("model", card.name), ("purpose", card.purpose), ("mixture", f"{card.mixture.name}, rho = {card.density:g}"),
        ("class", f"{card.kind}; reads {READS[card.reads]}"),
        ("configurations", f"{known}; {card.draws} draws each{ends}"),
        ("fit", fit if card.network_share else "ridge regression"),
        ("data", card.data), ("licence", card.licence), ("limits", card.limits), ("made by", card.code_version),
    ):  # fmt: skip
        if text:
            # In one piece, so that the first line is as short as the others.
            console.print(Text.assemble((f"{name}: ", "bold"), text))
    console.print("Pearson correlations with configurations left out of training:")
    print_scores(card.scores)
