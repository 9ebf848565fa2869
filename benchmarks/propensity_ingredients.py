"""What each ingredient of a propensity model is worth: structure read, descriptors, number of configurations.

    python -m benchmarks.propensity_ingredients DATASET [--json] [--rows TEXT...]

DATASET: configurations of one state point with inherent structures and cage positions (`glassformer quench` and
`glassformer cage`). Two are left out at a time; the propensity is that of the last particle time, and scores are
Pearson's correlations over the first species. Differences are paired by configuration, to the linear fit.
Nothing is chosen by what is left out.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.baselines.perceptron import fit_perceptron
from glassformer.baselines.propensity import LabelledParticles, Method, PropensityModel
from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.labels import particle_labels, pearson_ceilings
from glassformer.dataset.sample import Sample
from glassformer.evaluate.propensity_baselines import left_out_groups
from glassformer.evaluate.propensity_scores import correlation, paired, score_propensities
from glassformer.observables.descriptors import cage_descriptors, collect_descriptors, join

LEFT_OUT = 2
FINE = ("radial", "bond_order")


def quantity(name: str) -> str:
    """Return the quantity in a descriptor's name."""
    return name.split("@")[0].split(".")[1]


@dataclass(frozen=True)
class Row:
    """A variant: what it reads, told by names, how it is fitted, and to how many configurations (0: all there are)."""

    name: str
    reads: Callable[[str], bool]
    configurations: int = 0
    method: Method | None = None


@dataclass(frozen=True)
class Bent:
    """The fit of the models that ship: linear, with a monotone response."""

    fit: TemperatureRidge

    @classmethod
    def of(
        cls, columns: Sequence[NDArray[np.floating[Any]]], targets: Sequence[FloatArray], scales: FloatArray
    ) -> "Bent":
        """Fit configurations of one temperature, which does not matter."""
        return cls(TemperatureRidge.fit([1.0] * len(columns), columns, targets, scales))

    def predict(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the propensities (N, K)."""
        return self.fit.mean(columns, 1.0)


def of_cage(name: str) -> bool:
    """Return whether a descriptor is one of the cage positions."""
    return name.startswith("cage")


LINEAR = Row("ridge, cage positions", of_cage)
ROWS = (
    LINEAR,
    Row("the same with a monotone response (ships)", of_cage, method=Bent.of),
    Row("a perceptron in place of the ridge", of_cage, method=fit_perceptron),
    *(Row(f"the same, {number} configurations", of_cage, configurations=number) for number in (2, 4, 6)),
    Row("inherent structure in place of cage positions", lambda name: not of_cage(name)),
    Row("both", lambda name: True),
    Row("without radial densities, bond orders", lambda name: of_cage(name) and quantity(name) not in FINE),
    Row("without averages over neighbors", lambda name: of_cage(name) and "@" not in name),
    Row("without mobility in the cage", lambda name: of_cage(name) and quantity(name) != "mobility"),
)  # fmt: skip


def labelled(sample: Sample) -> tuple[LabelledParticles, float]:
    """Return descriptors and labels of the first species of `sample`, and their ceiling."""
    configuration, cage = sample.configuration, sample.cage
    if cage is None or configuration.inherent_positions is None:
        sys.exit(f"{sample.identifier} lacks cages or an inherent structure: glassformer quench, glassformer cage")
    time = sample.dynamics.particle_times[-1:]
    inherent = collect_descriptors(configuration, sample.mixture)
    table = join(inherent, cage_descriptors(configuration, cage, sample.mixture))
    rows = configuration.species == 0
    table = type(table)(table.names, table.values[rows])
    labels = particle_labels(sample, time, "propensity")[rows]
    ceiling = float(pearson_ceilings(sample, time, "propensity")[0, 0])
    return LabelledParticles(table, configuration.species[rows], labels), ceiling


def predictions(row: Row, items: Sequence[LabelledParticles]) -> list[FloatArray]:
    """Return what the variant predicts of every configuration, learned from others."""
    names = [name for name in items[0].table.names if row.reads(name)]
    found: dict[int, FloatArray] = {}
    for number, left_out in enumerate(left_out_groups(len(items), len(items) // LEFT_OUT)):
        known = [index for index in range(len(items)) if index not in left_out]
        if row.configurations:
            known = generator(named_seed(number, "known")).permutation(known)[: row.configurations].tolist()
        model = PropensityModel.fit([items[index] for index in known], names, method=row.method)
        found |= {index: model.predict(items[index].table, items[index].species)[:, 0] for index in left_out}
    return [found[index] for index in range(len(items))]


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="only rows whose names hold one of these")
    arguments = parser.parse_args()
    loaded = [labelled(sample) for sample in read_dataset(arguments.dataset)]
    items, ceilings = [item for item, _ in loaded], [ceiling for _, ceiling in loaded]
    labels = [item.propensity[:, 0] for item in items]
    result: dict[str, Any] = {"benchmark": "propensity-ingredients", "rows": []}
    linear = None
    chosen = [
        row for row in ROWS if row is LINEAR or not arguments.rows or any(text in row.name for text in arguments.rows)
    ]
    for row in chosen:
        predicted = predictions(row, items)
        each = np.array([correlation(p, y) for p, y in zip(predicted, labels, strict=True)])
        linear = each if linear is None else linear
        difference, error = paired(each, linear)
        score = score_propensities(predicted, labels, ceilings).as_json()
        result["rows"].append({"name": row.name, "difference": difference, "difference_error": error} | score)
        print(
            f"{row.name:55s} {score['pcc_mean']:.4f} +- {score['pcc_error']:.4f}"
            f"  difference {difference:+.4f} +- {error:.4f}",
            file=sys.stderr if arguments.json else sys.stdout,
            flush=True,
        )
    if arguments.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
