"""What is exported of a sample: its structure, and columns of numbers for its particles."""

from dataclasses import dataclass, field

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.readers.contents import UNITS
from glassformer.dataset.sample import Sample
from glassformer.physics.configuration import Configuration


@dataclass(frozen=True, eq=False)
class Structure:
    """A configuration with the names of its species, and `columns` by name, each (N,); NaN where nothing is known.

    `facts`: numbers and texts about the whole of it, by name. `step`: its time step, where it is a frame of a run.
    """

    configuration: Configuration
    species: tuple[str, ...]
    columns: dict[str, FloatArray]
    facts: dict[str, str | float] = field(default_factory=dict)
    step: int | None = None


def structure_of(sample: Sample, predictions: Predictions | None = None) -> Structure:
    """Return what is exported of `sample`.

    Columns: `propensity_<t>` for every particle time t of its draws, and from `predictions` `predicted_propensity_<t>`
    or `predicted_squared_displacement_<t>`. Facts: mixture, temperature, units. Raises `PredictionError` if the
    predictions are not of this structure.
    """
    columns: dict[str, FloatArray] = {}
    if sample.ensemble is not None:
        for time, mean in zip(sample.ensemble.particle_times, sample.ensemble.displacement_mean, strict=True):
            columns[f"propensity_{time:g}"] = mean.astype(np.float64)
    if predictions is not None:
        columns |= _predicted(sample, predictions)
    facts: dict[str, str | float] = {
        "mixture": sample.facts.mixture.stated,
        "temperature": sample.facts.temperature,
        "units": UNITS,
    }
    return Structure(sample.configuration, sample.mixture.species, columns, facts, sample.step)


def _predicted(sample: Sample, predictions: Predictions) -> dict[str, FloatArray]:
    remedy = "Predict the dataset that is exported: glassformer predict MODEL DATASET --out FILE."
    if predictions.particle_prediction is None:
        raise PredictionError(
            "the predictions contain no values for single particles", "Train a network with a particle head."
        )
    if sample.identifier not in predictions.configurations:
        raise PredictionError(f"{sample.identifier} is not predicted", remedy)
    rows = [row for row, name in enumerate(predictions.configurations) if name == sample.identifier]
    configuration = sample.configuration
    if predictions.fingerprints:
        # Configurations of several datasets may have one name.
        rows = [row for row in rows if predictions.fingerprints[row] == configuration.fingerprint]
    row = rows[0] if rows else None
    if row is None:
        raise PredictionError(f"the predictions of {sample.identifier} belong to another structure", remedy)
    values = predictions.particle_prediction[predictions.of_particles(row)].astype(np.float64)
    if len(values) != configuration.particles:
        raise PredictionError(
            f"{sample.identifier} has {configuration.particles} particles; {len(values)} are predicted", remedy
        )
    quantity = predictions.quantity.replace("-", "_")
    return {f"predicted_{quantity}_{time:g}": values[:, number] for number, time in enumerate(predictions.times)}
