"""What each ingredient of a propensity model is worth: structure read, descriptors, number of configurations.

    python -m benchmarks.propensity_ingredients DATASET [FURTHER...] [--times T...] [--json] [--rows TEXT...]

DATASET: configurations of one state point with inherent structures and cage positions (`glassformer quench` and
`glassformer cage`). FURTHER: datasets with further draws of them, for other times. Two are left out at a time; the
propensity is that of the last particle time of DATASET, or of those named, and scores are Pearson's correlations over
the first species. Differences are paired by configuration, to the linear fit. Nothing is chosen by what is left out.
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
from glassformer.dataset.sample import Sample
from glassformer.evaluate.propensity_baselines import left_out_groups
from glassformer.evaluate.propensity_scores import correlation, paired, score_propensities
from glassformer.observables.descriptors import cage_descriptors, collect_descriptors, join
from glassformer.train.labelled_structures import Structures

LEFT_OUT = 2
FINE = ("radial", "bond_order")
# Descriptors that compare the start with the cage position.
OF_THE_START = {
    "expected displacement in the plateau": ("plateau",),
    "forces": ("force",),
    "collective displacements": ("collective",),
    "any of these three": ("plateau", "force", "collective"),
}


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


def of_cage_without(*quantities: str) -> Callable[[str], bool]:
    """Return what tells whether a descriptor is one of the cage positions, and not of one of `quantities`."""
    return lambda name: of_cage(name) and quantity(name) not in quantities


LINEAR = Row("ridge, cage positions", of_cage)
ROWS = (
    LINEAR,
    Row("the same with a monotone response (ships)", of_cage, method=Bent.of),
    Row("a perceptron in place of the ridge", of_cage, method=fit_perceptron),
    *(Row(f"the same, {number} configurations", of_cage, configurations=number) for number in (2, 4, 6)),
    Row("inherent structure in place of cage positions", lambda name: not of_cage(name)),
    Row("both", lambda name: True),
    Row("without radial densities, bond orders", of_cage_without(*FINE)),
    Row("without averages over neighbors", lambda name: of_cage(name) and "@" not in name),
    Row("without mobility in the cage", of_cage_without("mobility", "plateau")),
    *(Row(f"without {words}", of_cage_without(*left)) for words, left in OF_THE_START.items()),
    Row("inherent structure without forces, collective displacements",
        lambda name: not of_cage(name) and quantity(name) not in ("force", "collective")),
)  # fmt: skip


def labelled(samples: Sequence[Sample], times: Sequence[float]) -> tuple[LabelledParticles, FloatArray]:
    """Return descriptors and labels (n, K) of the first species of a configuration, and their ceilings (K,).

    `samples`: of this configuration; the first has what is described.
    """
    sample, same = samples[0], Structures(tuple(samples))
    configuration, cage = sample.configuration, sample.cage
    if cage is None or configuration.inherent_positions is None:
        sys.exit(f"{sample.identifier} lacks cages or an inherent structure: glassformer quench, glassformer cage")
    inherent = collect_descriptors(configuration, sample.mixture)
    table = join(inherent, cage_descriptors(configuration, cage, sample.mixture))
    rows = configuration.species == 0
    table = type(table)(table.names, table.values[rows])
    return LabelledParticles(table, configuration.species[rows], same.labels(times)[rows]), same.ceilings(times)[0]


def of_configurations(datasets: Sequence[Path]) -> list[list[Sample]]:
    """Return the samples of every configuration of the first dataset, with further draws of it in the others."""
    found = {sample.configuration.fingerprint: [sample] for sample in read_dataset(datasets[0])}
    for sample in (sample for folder in datasets[1:] for sample in read_dataset(folder)):
        found.get(sample.configuration.fingerprint, []).append(sample)
    return list(found.values())


def predictions(row: Row, items: Sequence[LabelledParticles]) -> list[FloatArray]:
    """Return what the variant predicts of every configuration, (n, K), learned from others."""
    names = [name for name in items[0].table.names if row.reads(name)]
    found: dict[int, FloatArray] = {}
    for number, left_out in enumerate(left_out_groups(len(items), len(items) // LEFT_OUT)):
        known = [index for index in range(len(items)) if index not in left_out]
        if row.configurations:
            known = generator(named_seed(number, "known")).permutation(known)[: row.configurations].tolist()
        model = PropensityModel.fit([items[index] for index in known], names, method=row.method)
        found |= {index: model.predict(items[index].table, items[index].species) for index in left_out}
    return [found[index] for index in range(len(items))]


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--times", type=float, nargs="*", default=[], metavar="T")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="only rows whose names hold one of these")
    arguments = parser.parse_args()
    configurations = of_configurations(arguments.datasets)
    times = arguments.times or configurations[0][0].dynamics.particle_times[-1:].tolist()
    loaded = [labelled(samples, times) for samples in configurations]
    items = [item for item, _ in loaded]
    result: dict[str, Any] = {"benchmark": "propensity-ingredients", "rows": []}
    linear: dict[float, FloatArray] = {}
    chosen = [
        row for row in ROWS if row is LINEAR or not arguments.rows or any(text in row.name for text in arguments.rows)
    ]
    for row in chosen:
        predicted = predictions(row, items)
        for place, time in enumerate(times):
            answers = [one[:, place] for one in predicted], [item.propensity[:, place] for item in items]
            each = np.array([correlation(p, y) for p, y in zip(*answers, strict=True)])
            difference, error = paired(each, linear.setdefault(time, each))
            score = score_propensities(*answers, [float(ceilings[place]) for _, ceilings in loaded]).as_json()
            told = {"name": row.name, "time": time, "difference": difference, "difference_error": error}
            result["rows"].append(told | score)
            print(
                f"{row.name:60s} t = {time:<6g} {score['pcc_mean']:.4f} +- {score['pcc_error']:.4f}"
                f"  difference {difference:+.4f} +- {error:.4f}",
                file=sys.stderr if arguments.json else sys.stdout,
                flush=True,
            )
    if arguments.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
