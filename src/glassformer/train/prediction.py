"""From a trained model and samples to a prediction file."""

from collections.abc import Sequence

import numpy as np
import torch

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.core.provenance import code_version
from glassformer.dataset.labels import msd_a_draws, target_times
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import GraphBatch, build_graph
from glassformer.train.checkpoint import Model


@torch.no_grad()
def network_output(model: Model, graphs: Sequence[GraphBatch]) -> FloatArray:
    """Return predicted ln MSD_A (C, K) of `graphs`, one at a time, so that memory does not grow with their number."""
    network = model.network()
    outputs = [network(graph.species, graph.neighbors, graph.vectors, graph.counts)[0] for graph in graphs]
    standardised = torch.stack(outputs).double().numpy()
    predicted: FloatArray = standardised * np.array(model.label_std) + np.array(model.label_mean)
    return predicted


def predict(model: Model, samples: Sequence[Sample], graphs: Sequence[GraphBatch] | None = None) -> Predictions:
    """Predict `samples` with `model` and its baselines.

    A configuration that the model has seen keeps its role, found by content and not by name; all others are 'test'.
    Raises `SettingsError` if a configuration has too few particles, `DatasetError` if a target time is missing.
    """
    if graphs is None:
        graphs = [build_graph(sample.configuration, model.run.network.neighbors) for sample in samples]
    times = target_times(samples, model.times)
    state_points = tuple(sample.facts.state_point for sample in samples)
    density = np.array([sample.configuration.density for sample in samples])
    return Predictions(
        network=model.run.network.name,
        parameter_hash=model.parameter_hash,
        code_version=code_version(),
        configurations=tuple(sample.identifier for sample in samples),
        state_points=state_points,
        roles=tuple(model.roles.get(sample.configuration.fingerprint, "test") for sample in samples),
        times=times,
        density=density,
        msd_draws=_pad([msd_a_draws(sample, times) for sample in samples]),
        prediction=network_output(model, graphs),
        state_point_mean=model.state_point_mean.predict(state_points),
        density_fit=model.density_fit.predict(density),
    )


def only_test(predictions: Predictions) -> Predictions:
    """Return the part of `predictions` that the network had never seen."""
    keep = np.array([role == "test" for role in predictions.roles])
    return _rows([predictions], [keep])


def merge(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several folds, ordered by configuration.

    Raises `PredictionError` if a configuration is there twice.
    """
    together = _rows(parts, [np.full(len(part.roles), True) for part in parts])
    if len(set(together.configurations)) < len(together.configurations):
        raise PredictionError("a configuration is predicted by two folds", "Train again into a new folder.")
    order = np.argsort(np.array(together.configurations))
    return _rows([together], [order])


def _rows(parts: Sequence[Predictions], chosen: Sequence[np.ndarray]) -> Predictions:
    def texts(name: str) -> tuple[str, ...]:
        return tuple(
            str(x) for part, rows in zip(parts, chosen, strict=True) for x in np.array(getattr(part, name))[rows]
        )

    def arrays(name: str) -> FloatArray:
        return np.concatenate([getattr(part, name)[rows] for part, rows in zip(parts, chosen, strict=True)])

    return Predictions(
        network=parts[0].network,
        parameter_hash=parts[0].parameter_hash,
        code_version=parts[0].code_version,
        configurations=texts("configurations"),
        state_points=texts("state_points"),
        roles=texts("roles"),  # type: ignore[arg-type]
        times=parts[0].times,
        density=arrays("density"),
        msd_draws=arrays("msd_draws"),
        prediction=arrays("prediction"),
        state_point_mean=arrays("state_point_mean"),
        density_fit=arrays("density_fit"),
    )


def _pad(draws: list[FloatArray]) -> FloatArray:
    """Stack (D, K) arrays whose D may differ, with NaN for draws that are not there."""
    most = max(len(values) for values in draws)
    return np.stack([np.pad(v, ((0, most - len(v)), (0, 0)), constant_values=np.nan) for v in draws])
