"""`glassformer train` where the run is the recipe of a propensity model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from glassformer.baselines.propensity_file import write_predictor
from glassformer.baselines.propensity_model import PropensityPredictor
from glassformer.cli.console import console, print_table, progress
from glassformer.core.layout import MODEL_SUFFIX
from glassformer.core.recipe import Recipe
from glassformer.dataset.folder import read_dataset
from glassformer.evaluate.propensity_scores import score_propensities
from glassformer.simulate.cage import cage_dataset
from glassformer.simulate.quench import quench_dataset
from glassformer.train.propensity import Trained, train_predictor


def train_propensity(recipe: Recipe, datasets: list[Path], out: Path, threads: int) -> Path:
    """Derive what the recipe reads, train, print the scores and return the path of the model."""
    with progress() as stages:
        # The first dataset has the structures that are described; others may add times.
        quench_dataset(datasets[0], stages, threads)
        if recipe.reads != "inherent":
            cage_dataset(datasets[0], recipe.reads, None, stages, threads)
        samples = [sample for dataset in datasets for sample in read_dataset(dataset)]
        trained = train_predictor(samples, recipe, stages, threads)
    scored = with_scores(trained)
    path = out / f"{recipe.name}{MODEL_SUFFIX}"
    write_predictor(path, scored)
    print_scores(scored.card.scores)
    console.print(f"model: {path}", soft_wrap=True)
    return path


def with_scores(trained: Trained) -> PropensityPredictor:
    """Return the model with the scores of cross-validation on its card."""
    card, scores = trained.predictor.card, []
    for temperature, times in zip(card.temperatures, card.times, strict=True):
        for place, time in enumerate(times):
            for kind, name in enumerate(card.mixture.species):
                score = score_propensities(*trained.answers(temperature, place, kind))
                scores.append({"temperature": temperature, "time": time, "species": name} | score.as_json())
    return replace(trained.predictor, card=card.model_copy(update={"scores": tuple(scores)}))


def print_scores(scores: tuple[dict[str, Any], ...]) -> None:
    """Print the scores of a card: Pearson correlations on configurations that were left out."""
    headings = ["T", "t", "species", "Pearson", "ceiling", "of it", "pooled", "configurations"]
    rows = [
        [
            f"{one['temperature']:g}", f"{one['time']:g}", one["species"],
            _with_error(one["pcc_mean"], one["pcc_error"]),
            _number(one["ceiling"]), _number(one["ratio"]), _number(one["pcc_pooled"]), str(one["n_configurations"]),
        ]
        for one in scores
    ]  # fmt: skip
    print_table(headings, rows)


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
