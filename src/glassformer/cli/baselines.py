"""The command that scores baselines of propensities: what a network must beat."""

import contextlib
import json
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli.console import console, number, print_columns, progress
from glassformer.cli.options import ALL_CORES, AsJson, Dataset, Threads
from glassformer.core.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glassformer.evaluate.propensity_baselines import BaselineScore
    from glassformer.evaluate.propensity_scores import PropensityScore


def baselines(
    dataset: Dataset,
    time: Annotated[
        list[float],
        typer.Option(metavar="T", help="Only this particle time. Repeatable.", show_default="all"),
    ] = [],  # noqa: B006
    folds: Annotated[int, typer.Option(min=2, metavar="N", help="Groups of configurations, each left out once.")] = 10,
    threads: Threads = ALL_CORES,
    as_json: AsJson = False,
) -> None:
    """Score simple predictors of a dataset's propensities, with cross-validation over configurations."""
    from glassformer.dataset.folder import read_dataset
    from glassformer.evaluate.propensity_baselines import score_baselines

    samples = read_dataset(dataset)
    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        scores = score_baselines(samples, time, folds, stages, threads)
    if as_json:
        print(json.dumps([score.as_json() for score in scores], indent=1))
    else:
        _print(scores)


def _print(scores: "Sequence[BaselineScore]") -> None:
    print_columns(
        ["state point", "t", "species", "baseline", "Pearson", "std. error", "Spearman", "ceiling", "ratio"],
        [[one.state_point, f"{one.time:g}", one.species, one.baseline, *_numbers(one.score)] for one in scores],
        names=4,
    )
    least = min(one.score.n_configurations for one in scores)
    console.print(
        f"Pearson: correlation over the particles of a species, the mean over {least} or more configurations, each"
        " predicted by a model that had not seen it, with its standard error. ceiling: that of perfect predictions,"
        " given the noise of few draws; n/a where the data do not determine it. ratio: Pearson / ceiling.",
        style="dim",
    )


def _numbers(score: "PropensityScore") -> list[str]:
    return [number(value, 3) for value in (score.pcc_mean, score.pcc_error, score.spearman, score.ceiling, score.ratio)]
