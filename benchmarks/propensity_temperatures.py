"""One propensity model for all temperatures, one for each, and one trained without the temperature it is tested at.

    python -m benchmarks.propensity_temperatures DATASET... [--recipe ka-isochore] [--json] [--threads 1]

DATASETs hold configurations at the temperatures of the recipe's targets, with inherent structures and cage positions
(`glassformer quench`, `glassformer cage`); samples of one configuration count once, with the times of all. The folds
are those of `glassformer train`. Scores are Pearson's correlations over the first species, averaged over the
configurations; differences are paired by configuration, to the model of one temperature alone.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.cli.console import progress
from glassformer.core.arrays import FloatArray
from glassformer.core.presets import load_recipe
from glassformer.dataset.folder import read_dataset
from glassformer.evaluate.propensity_scores import correlation, paired
from glassformer.train.propensity import Item, describe_samples, fit_items, left_out_together

KIND = 0


def correlations(fit: TemperatureRidge, item: Item) -> FloatArray:
    """Return Pearson's correlation of prediction and propensity at each time, (K,)."""
    rows = item.species == KIND
    predicted, labels = fit.mean(item.table.values[rows], item.temperature), item.labels[rows]
    return np.array([correlation(p, y) for p, y in zip(predicted.T, labels.T, strict=True)])


def scores(items: Sequence[Item], folds: Sequence[Sequence[int]]) -> dict[str, FloatArray]:
    """Return the correlations (C, K) of every item with the three kinds of models, none of which has seen it."""
    found = {name: np.empty((len(items), items[0].labels.shape[1])) for name in ("alone", "all", "without")}
    known = sorted({item.temperature for item in items})
    for left_out in folds:
        training = [item for index, item in enumerate(items) if index not in left_out]
        fits = {"all": dict.fromkeys(known, fit_items(training, KIND))}
        of = {at: [item for item in training if item.temperature == at] for at in known}
        fits["alone"] = {at: fit_items(of[at], KIND) for at in known}
        fits["without"] = {at: fit_items([item for item in training if item.temperature != at], KIND) for at in known}
        for index in left_out:
            for name, by_temperature in fits.items():
                found[name][index] = correlations(by_temperature[items[index].temperature], items[index])
    return found


def rows_of(
    items: Sequence[Item], found: dict[str, FloatArray], times: Mapping[float, Sequence[float]]
) -> list[dict[str, Any]]:
    """Return one row per temperature and time."""
    rows = []
    for temperature, own in times.items():
        there = [index for index, item in enumerate(items) if item.temperature == temperature]
        for place, time in enumerate(own):
            row: dict[str, Any] = {"temperature": temperature, "time": time, "n_configurations": len(there)}
            row["ceiling"] = float(np.mean([items[index].ceilings[KIND, place] for index in there]))
            alone = found["alone"][there, place]
            row["alone"] = float(alone.mean())
            row["alone_error"] = float(alone.std(ddof=1) / np.sqrt(len(alone)))
            for name in ("all", "without"):
                each = found[name][there, place]
                row[name] = float(each.mean())
                row[f"{name}_difference"], row[f"{name}_difference_error"] = paired(each, alone)
            rows.append(row)
    return rows


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--recipe", default="ka-isochore")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    samples = [sample for folder in arguments.datasets for sample in read_dataset(folder)]
    # JSON has standard output for itself.
    with redirect_stdout(sys.stderr), progress() as stages:
        items = describe_samples(samples, recipe, stages, arguments.threads)
    times = {target.temperature: target.times for target in recipe.targets}
    few = [at for at in times if sum(item.temperature == at for item in items) < recipe.left_out + 2]
    if few:
        parser.error(f"too few configurations at T = {few[0]:g}: expected {recipe.left_out + 2} or more")
    rows = rows_of(items, scores(items, left_out_together(items, recipe)), times)
    for row in rows:
        print(
            f"T = {row['temperature']:g}  t = {row['time']:<6g} alone {row['alone']:.4f} +- {row['alone_error']:.4f}"
            f"  all {row['all_difference']:+.4f} +- {row['all_difference_error']:.4f}"
            f"  without {row['without_difference']:+.4f} +- {row['without_difference_error']:.4f}"
            f"  ceiling {row['ceiling']:.3f}",
            file=sys.stderr if arguments.json else sys.stdout,
        )
    if arguments.json:
        print(json.dumps({"benchmark": "propensity-temperatures", "recipe": recipe.name, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
