"""From a trained model and samples to a prediction file."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import PredictionError
from glassformer.core.provenance import code_version
from glassformer.dataset.labels import msd_draws, particle_labels, pearson_ceilings, propensity_draws, target_times
from glassformer.dataset.predictions import Predictions, join, pad
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import GraphBatch
from glassformer.train.checkpoint import Model
from glassformer.train.examples import build_graphs
from glassformer.train.scope import departures


def predict(model: Model, samples: Sequence[Sample], graphs: Sequence[list[GraphBatch]] | None = None) -> Predictions:
    """Predict `samples` with `model` and its baselines.

    A configuration that the model has seen keeps its role, found by its structure and not by its name; all others are
    'test'. `notices` of the result say which lie outside what the model was trained on.
    Where a network reads velocities its prediction is the mean over the draws. `graphs` are those of `build_graphs`.
    Raises `SettingsError` if a configuration has too few particles, `DatasetError` if a target time or the
    learned species is missing.
    """
    target, network = model.target, model.run.network
    for sample in samples:
        target.learned_or_refused(sample.configuration.species, sample.identifier)
    times = target_times(samples, model.times, target.of_particles)
    graphs = build_graphs(samples, network) if graphs is None else graphs
    outputs = network_outputs(model, graphs)
    state_points = tuple(sample.facts.state_point for sample in samples)
    density = np.array([sample.configuration.density for sample in samples])
    propensity = target.quantity == "propensity"
    predictions = Predictions(
        network=network.name,
        parameter_hash=model.parameter_hash,
        code_version=code_version(),
        notices=departures(model.scope, samples),
        fingerprints=tuple(sample.configuration.fingerprint for sample in samples),
        configurations=tuple(sample.identifier for sample in samples),
        state_points=state_points,
        roles=tuple(model.role_of(sample.configuration) or "test" for sample in samples),
        times=times,
        density=density,
        msd_draws=np.stack(pad([msd_draws(sample, times, target.kind) for sample in samples])),
        prediction=np.stack(
            [_log_mean(model, output, one.configuration.species) for output, one in zip(outputs, samples, strict=True)]
        ),
        state_point_mean=model.state_point_mean.predict(state_points),
        density_fit=model.density_fit.predict(density),
        quantity=target.quantity,
        species="AB"[target.kind],  # type: ignore[arg-type]
        propensity_draws=_propensities(samples, times, target.kind) if propensity else None,
    )
    return _with_particles(model, samples, outputs, predictions) if target.of_particles else predictions


@torch.no_grad()
def network_outputs(model: Model, graphs: Sequence[list[GraphBatch]]) -> list[FloatArray]:
    """Return what the network says of every sample, (R, K) in the labels' units, the mean over its graphs.

    One graph at a time, so that memory does not grow with their number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.network().to(device)

    def mean(of_sample: list[GraphBatch]) -> FloatArray:
        standardised = [network(graph.to(device)).double().cpu().numpy() for graph in of_sample]
        output: FloatArray = np.mean(standardised, 0) * np.array(model.label_std) + np.array(model.label_mean)
        return output

    return [mean(of_sample) for of_sample in graphs]


def calibration(model: Model, samples: Sequence[Sample], graphs: Sequence[list[GraphBatch]]) -> Model:
    """Return a particle head's `model` with the factors that make its mean over `samples`, its training set, right."""
    target = model.target
    if not (target.of_particles and target.logarithm):
        return model
    # Means of the truth and of the prediction, of A and of B.
    sums = np.zeros((2, 2, len(target.times)))
    for sample, output in zip(samples, network_outputs(model, graphs), strict=True):
        truth = particle_labels(sample, target.times, target.quantity)
        for kind in target.kinds:
            of_kind = sample.configuration.species == kind
            sums[:, kind] += truth[of_kind].sum(0), np.exp(output[of_kind]).sum(0)
    learned = sums[1] > 0
    factors = np.where(learned, sums[0] / np.where(learned, sums[1], 1.0), 1.0)
    return replace(model, calibration=tuple(tuple(row) for row in factors.tolist()))


def only_test(predictions: Predictions) -> Predictions:
    """Return the part of `predictions` that the network had never seen."""
    return join([predictions], [[row for row, role in enumerate(predictions.roles) if role == "test"]])


def merge(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several folds, ordered by configuration.

    Raises `PredictionError` if a configuration is there twice.
    """
    together = join(parts, [range(len(part.roles)) for part in parts])
    if len(set(together.configurations)) < len(together.configurations):
        raise PredictionError("a configuration is predicted by two folds", "Train again into a new folder.")
    return join([together], [np.argsort(np.array(together.configurations)).tolist()])


def _log_mean(model: Model, output: FloatArray, species: ByteArray) -> FloatArray:
    return model.target.of_configuration(output, species, np.array(model.calibration), np.array(model.label_mean))


def _propensities(samples: Sequence[Sample], times: FloatArray, species: int) -> FloatArray:
    """Return the mean propensity in every draw, (C, D, K), with as many places as there are draws."""
    draws = max(len(sample.ensemble.seeds) for sample in samples)
    found = [propensity_draws(sample, times, species) for sample in samples]
    return np.stack(pad([np.full((draws, len(times)), np.nan), *found])[1:])


def _with_particles(
    model: Model, samples: Sequence[Sample], outputs: Sequence[FloatArray], predictions: Predictions
) -> Predictions:
    times, quantity = predictions.times, predictions.quantity
    species = [sample.configuration.species for sample in samples]
    factors = np.array(model.calibration)
    values = [
        model.target.of_each_particle(output, kinds, factors) for output, kinds in zip(outputs, species, strict=True)
    ]
    labels = [particle_labels(sample, times, quantity) for sample in samples]
    return replace(
        predictions,
        particles=np.array([len(kinds) for kinds in species], np.int64),
        particle_species=np.concatenate(species),
        particle_label=np.concatenate(labels).astype(np.float32),
        particle_prediction=np.concatenate(values).astype(np.float32),
        particle_ceiling=np.stack([pearson_ceilings(sample, times, quantity) for sample in samples]),
    )
