"""`glassformer train` where the run is the recipe of a propensity model, and the scores of such models."""

import json
from pathlib import Path
from typing import Any

from glassformer.cli.console import console, print_columns, progress
from glassformer.core.recipe import Recipe


def train_and_print(recipe: Recipe, datasets: list[Path], out: Path, threads: int, as_json: bool) -> None:
    """Derive what the recipe reads, train, and print the scores and the path of the model."""
    from glassformer.api.training import train_propensity

    with progress(on_stderr=as_json) as stages:
        made = train_propensity(recipe, datasets, out, threads, stages)
    scores, predictions = made.predictor.card.scores, [str(path) for path in made.predictions]
    if as_json:
        print(json.dumps({"models": [str(made.model)], "predictions": predictions, "scores": scores}, indent=1))
        return
    print_scores(scores)
    console.print(f"model: {made.model}", soft_wrap=True)
    for path in predictions:
        console.print(f"predictions of configurations left out: {path}", soft_wrap=True)


def print_scores(scores: tuple[dict[str, Any], ...]) -> None:
    """Print the scores of a card: Pearson correlations on configurations that were left out."""
    headings = ["T", "t", "species", "Pearson", "ceiling", "ratio", "pooled", "mean error", "configs"]
    rows = [
        [
            f"{one['temperature']:g}", f"{one['time']:g}", one["species"],
            _with_error(one["pcc_mean"], one["pcc_error"]),
            _number(one["ceiling"]), _number(one["ratio"]), _number(one["pcc_pooled"]), _number(one.get("mean_error")),
            str(one["n_configurations"]),
        ]
        for one in scores
    ]  # fmt: skip
    print_columns(headings, rows, names=3)
    console.print(
        "Pearson: correlation over the particles of a species. ceiling: that of perfect predictions, given the noise of"
        " few draws; ratio: Pearson / ceiling. pooled: over all particles together. mean error: root mean square"
        " error of the mean propensity of a configuration, in sigma_AA. configs: number of configurations.",
        style="dim",
    )


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
