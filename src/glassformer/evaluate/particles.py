"""Predictions of single particles, by configuration and species, and their correlation with what the draws did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.propensity_scores import PropensityScore, score_propensities

# Which configurations: a mask or indices.
Rows = NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]


@dataclass(frozen=True, eq=False)
class Group:
    """The n particles of one species in one configuration, number `row` of a prediction file.

    `members`: which of the configuration's particles they are, a mask (N,). `prediction`, `label` and `uncertainty`
    (n, K) are at all times, the last None where the file has none; `ceiling` is (K,).
    """

    row: int
    members: NDArray[np.bool_]
    prediction: FloatArray
    label: FloatArray
    ceiling: FloatArray
    uncertainty: FloatArray | None


def groups_by_species(predictions: Predictions, rows: Rows) -> Iterator[tuple[str, list[Group]]]:
    """Yield each species that was learned, by name, with its particles in the configurations `rows` that have any."""
    if predictions.particle_prediction is None:
        return
    for species, name in enumerate(predictions.species_names):
        groups = [
            _group(predictions, row, species) for row in np.arange(len(predictions.configurations))[rows].tolist()
        ]
        learned = [group for group in groups if len(group.label) and not np.isnan(group.prediction).all()]
        if learned:
            yield name, learned


def _group(predictions: Predictions, row: int, species: int) -> Group:
    assert predictions.particle_species is not None
    assert predictions.particle_ceiling is not None
    place = predictions.of_particles(row)
    members = predictions.particle_species[place] == species

    def of_group(array: NDArray[np.float32] | None) -> FloatArray | None:
        return None if array is None else array[place][members].astype(np.float64)

    prediction, label = of_group(predictions.particle_prediction), of_group(predictions.particle_label)
    assert prediction is not None
    assert label is not None
    uncertainty = of_group(predictions.particle_uncertainty)
    return Group(row, members, prediction, label, predictions.particle_ceiling[row, species], uncertainty)


def particle_scores(predictions: Predictions, rows: Rows, target: int) -> dict[str, PropensityScore]:
    """Correlate prediction and label over the particles of each configuration in `rows`, by the names of species.

    `target` is the index of the time. The rule is GlassBench's: `evaluate.propensity_scores`. Empty for a file without
    predictions of particles.
    """
    return {
        name: score_propensities(
            [group.prediction[:, target] for group in groups],
            [group.label[:, target] for group in groups],
            [float(group.ceiling[target]) for group in groups],
        )
        for name, groups in groups_by_species(predictions, rows)
    }
