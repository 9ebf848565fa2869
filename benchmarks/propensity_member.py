"""What the network of a propensity model adds to its regression, on configurations that neither had seen.

    python -m benchmarks.propensity_member DATASET [ENDS] [--recipe ka-t0.44-t4120] [--networks FOLDER] [--json]
        [--threads 1]

DATASET holds configurations with draws, ENDS the ends of these (`glassformer ends`), both with what the recipe reads
(`glassformer quench`, `glassformer cage`). The folds are those of `glassformer train`. `--networks`: folder where
finished networks are kept; a benchmark that was stopped continues. Scores are Pearson's correlations over the particles
of a species at each time, averaged over the configurations; differences are paired by configuration, to the
regression alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.cli.console import progress
from glassformer.core.arrays import FloatArray
from glassformer.core.presets import load_recipe
from glassformer.dataset.folder import read_dataset
from glassformer.evaluate.propensity_scores import correlation, paired
from glassformer.train.labelled_structures import group_samples, targets_of
from glassformer.train.network_member import train_members
from glassformer.train.propensity import Item, describe_samples, fit_items, left_out_together

SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)


def scores(
    items: Sequence[Item], folds: Sequence[Sequence[int]], outputs: Sequence[FloatArray], kind: int
) -> dict[float, FloatArray]:
    """Return the correlations (C, K) of every item's particles of species `kind`, by the share of the network."""
    found = {share: np.empty((len(items), items[0].labels.shape[1])) for share in SHARES}
    for left_out in folds:
        fit = fit_items([item for index, item in enumerate(items) if index not in left_out], kind)
        for index in left_out:
            item, rows = items[index], items[index].species == kind
            given = item.table.values[rows], item.temperature, outputs[index][rows]
            for share in SHARES:
                predicted = replace(fit, share=share).standardised(*given)
                pairs = zip(predicted.T, item.labels[rows].T, strict=True)
                found[share][index] = [correlation(one, label) for one, label in pairs]
    return found


def rows_of(found: dict[float, FloatArray], species: str, times: Sequence[float]) -> list[dict[str, Any]]:
    """Return one row per time and share."""
    rows = []
    for place, time in enumerate(times):
        for share, correlations in found.items():
            each = correlations[:, place]
            row: dict[str, Any] = {"species": species, "time": time, "share": share, "mean": float(each.mean())}
            row["error"] = float(each.std(ddof=1) / np.sqrt(len(each)))
            row["difference"], row["difference_error"] = paired(each, found[0.0][:, place])
            rows.append(row | {"each": each.tolist()})
    return rows


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--recipe", default="ka-t0.44-t4120")
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    if recipe.network is None:
        parser.error(f"the recipe {recipe.name} has no network")
    samples = [sample for folder in arguments.datasets for sample in read_dataset(folder)]
    # JSON has standard output for itself.
    with redirect_stdout(sys.stderr), progress() as stages:
        items = describe_samples(samples, recipe, stages, arguments.threads)
        structures, (times,) = group_samples(samples, recipe), targets_of(samples, recipe).values()
        folds = left_out_together(items, recipe)
        given = structures, times, folds, recipe, stages, arguments.threads, arguments.networks
        outputs, _ = train_members(*given)
    names = samples[0].mixture.species
    rows = [row for kind, name in enumerate(names) for row in rows_of(scores(items, folds, outputs, kind), name, times)]
    for row in rows:
        print(
            f"{row['species']}  t = {row['time']:g}  share of the network {row['share']:.1f}"
            f"  {row['mean']:.4f} +- {row['error']:.4f}  difference"
            f" {row['difference']:+.4f} +- {row['difference_error']:.4f}",
            file=sys.stderr if arguments.json else sys.stdout,
        )
    if arguments.json:
        print(json.dumps({"benchmark": "propensity-member", "recipe": recipe.name, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
