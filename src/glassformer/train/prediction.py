"""From a trained model and samples to a prediction file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.core.provenance import code_version
from glassformer.dataset.labels import msd_draws, particle_labels, pearson_ceilings, propensity_draws
from glassformer.dataset.predictions import Predictions, join, pad
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import GraphBatch
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.train.checkpoint import Model
from glassformer.train.data import of_species
from glassformer.train.device import choose_device, device_name, products_in
from glassformer.train.examples import build_graphs, configuration_graphs
from glassformer.train.scope import departures
from glassformer.train.target import Target


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a network predicts of C configurations at the K times of its target.

    `log_means` (C, K): ln of the mean of the target's quantity over the particles of its `kind`. `particles`: with a
    particle head, the quantity of every particle, an array (N, K) for each configuration, NaN where a species was not
    learned; else None.
    """

    log_means: FloatArray
    particles: list[FloatArray] | None


def predict_configurations(
    model: Model,
    configurations: Sequence[Configuration],
    mixtures: Sequence[Mixture],
    velocities: Sequence[list[FloatArray]] | None = None,
    device: torch.device | None = None,
) -> Predicted:
    """Predict bare `configurations` at the model's own times: nothing of their dynamics need be known.

    `mixtures`: the liquid of each. A network that reads velocities needs `velocities` (N, 3), one or more for each
    configuration; its prediction is the mean over them. `device`: by default a GPU if there is one. Raises
    `SettingsError` if a configuration has too few particles or lacks an input that the network reads, `DatasetError` if
    it lacks the learned species.
    """
    for number, configuration in enumerate(configurations):
        model.target.learned_or_refused(configuration.species, f"configuration number {number}")
    device = device or choose_device()
    graphs = configuration_graphs(configurations, mixtures, model.run.network, velocities, device)
    return _predicted(model, configurations, graphs, device)


def predict(
    model: Model,
    samples: Sequence[Sample],
    graphs: Sequence[list[GraphBatch]] | None = None,
    device: torch.device | None = None,
) -> Predictions:
    """Predict `samples` with `model` and its baselines, beside what their draws did, where they have draws.

    A configuration that the model has seen keeps its role, found by its structure and not by its name; all others are
    'test'. `notices` of the result say which lie outside what the model was trained on.
    Where a network reads velocities its prediction is the mean over the draws. `graphs` are those of `build_graphs`.
    `device`: by default a GPU if there is one. Raises `SettingsError` if a configuration has too few particles,
    `DatasetError` if a target time or the learned species is missing.
    """
    target, network = model.target, model.run.network
    for sample in samples:
        target.learned_or_refused(sample.configuration.species, sample.identifier)
    # First: what has no answer there is refused before the network runs.
    answers = answers_of(target, samples)
    configurations = [sample.configuration for sample in samples]
    device = device or choose_device()
    graphs = build_graphs(samples, network, device) if graphs is None else graphs
    predicted = _predicted(model, configurations, graphs, device)
    state_points = tuple(sample.facts.state_point for sample in samples)
    density = np.array([configuration.density for configuration in configurations])
    return Predictions(
        network=network.name,
        parameter_hash=model.parameter_hash,
        code_version=code_version(),
        notices=departures(model.scope, samples),
        fingerprints=tuple(configuration.fingerprint for configuration in configurations),
        configurations=tuple(sample.identifier for sample in samples),
        state_points=state_points,
        roles=tuple(model.role_of(configuration) or "test" for configuration in configurations),
        times=target.times,
        density=density,
        prediction=predicted.log_means,
        state_point_mean=model.state_point_mean.predict(state_points),
        density_fit=model.density_fit.predict(density),
        quantity=target.quantity,
        species=target.names[target.kind],
        species_names=target.names,
        device=device_name(device),
        **answers,
        **_of_particles(configurations, predicted),
    )


def _predicted(
    model: Model, configurations: Sequence[Configuration], graphs: Sequence[list[GraphBatch]], device: torch.device
) -> Predicted:
    target, factors, mean = model.target, np.array(model.calibration), np.array(model.label_mean)
    mean = mean if mean.ndim == 1 else mean[target.kind]
    species = (one.species for one in configurations)
    outputs = list(zip(network_outputs(model, graphs, device), species, strict=True))
    return Predicted(
        np.stack([target.of_configuration(output, species, factors, mean) for output, species in outputs]),
        [target.of_each_particle(output, species, factors) for output, species in outputs]
        if target.of_particles
        else None,
    )


def _of_particles(configurations: Sequence[Configuration], predicted: Predicted) -> dict[str, Any]:
    """Return the arrays of `Predictions` that say what is predicted of which particles, none without such a head."""
    if predicted.particles is None:
        return {}
    return {
        "particles": np.array([one.particles for one in configurations], np.int64),
        "particle_species": np.concatenate([one.species for one in configurations]),
        "particle_prediction": np.concatenate(predicted.particles).astype(np.float32),
    }


def answers_of(target: Target, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the arrays of `Predictions` that say what the draws of `samples` did, NaN for bare structures.

    None of them if there are no draws at all. Where means over draws alone are known, MSD is NaN if propensities are
    predicted. Raises `DatasetError` if draws were not observed at a time of the target, or the quantity is not known.
    """
    times, quantity = target.times, target.quantity
    answers: dict[str, Any] = {}
    followed = [sample.ensemble is not None for sample in samples]
    if not any(followed):
        return answers
    # Propensities are an answer without MSD; MSD is none without it.
    known = [
        has and (quantity != "propensity" or one.dynamics.msd is not None)
        for one, has in zip(samples, followed, strict=True)
    ]

    def unknown(*lengths: int) -> FloatArray:
        return np.full((*lengths, len(times)), np.nan)

    if any(known):
        msd = [
            msd_draws(one, times, target.kind) if has else unknown(1) for one, has in zip(samples, known, strict=True)
        ]
        answers["msd_draws"] = np.stack(pad(msd))
    if quantity == "propensity":
        answers["propensity_draws"] = _propensities(samples, times, target.kind)
    if target.of_particles:
        labels = [
            particle_labels(one, times, quantity) if has else unknown(one.configuration.particles)
            for one, has in zip(samples, followed, strict=True)
        ]
        kinds = len(target.names)
        ceilings = [
            pearson_ceilings(one, times, quantity, kinds) if has else unknown(kinds)
            for one, has in zip(samples, followed, strict=True)
        ]
        answers["particle_label"] = np.concatenate(labels).astype(np.float32)
        answers["particle_ceiling"] = np.stack(ceilings)
    return answers


@torch.no_grad()
def network_outputs(model: Model, graphs: Sequence[list[GraphBatch]], device: torch.device) -> list[FloatArray]:
    """Return what the network says of every sample, (R, K) in the labels' units, the mean over its graphs.

    One graph at a time, so that memory does not grow with their number; in float32, however the network was trained.
    """
    network = model.network().to(device)

    def output(of_sample: list[GraphBatch]) -> FloatArray:
        standardised = [network(graph.to(device)).double().cpu().numpy() for graph in of_sample]
        species = of_sample[0].species.cpu().numpy()
        mean, std = (of_species(np.array(scale), species) for scale in (model.label_mean, model.label_std))
        labels: FloatArray = np.mean(standardised, 0) * std + mean
        return labels

    with products_in("float32"):
        return [output(of_sample) for of_sample in graphs]


def calibration(
    model: Model, samples: Sequence[Sample], graphs: Sequence[list[GraphBatch]], device: torch.device
) -> Model:
    """Return a particle head's `model` with the factors that make its mean over `samples`, its training set, right."""
    target = model.target
    if not (target.of_particles and target.logarithm):
        return model
    # Means of the truth and of the prediction, of each species.
    sums = np.zeros((2, len(target.names), len(target.times)))
    for sample, output in zip(samples, network_outputs(model, graphs, device), strict=True):
        truth = particle_labels(sample, target.times, target.quantity)
        for kind in target.kinds:
            of_kind = sample.configuration.species == kind
            sums[:, kind] += truth[of_kind].sum(0), np.exp(output[of_kind]).sum(0)
    learned = sums[1] > 0
    factors = np.where(learned, sums[0] / np.where(learned, sums[1], 1.0), 1.0)
    return replace(model, calibration=tuple(tuple(row) for row in factors.tolist()))


def merge(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several folds, ordered by configuration.

    Raises `PredictionError` if a configuration is there twice.
    """
    together = join(parts, [range(len(part.roles)) for part in parts])
    if len(set(together.configurations)) < len(together.configurations):
        raise PredictionError("a configuration is predicted by two folds", "Train again into a new folder.")
    return join([together], [np.argsort(np.array(together.configurations)).tolist()])


def _propensities(samples: Sequence[Sample], times: FloatArray, species: int) -> FloatArray:
    """Return the mean propensity in every draw, (C, D, K), with as many places as there are draws."""
    draws = max(sample.draws for sample in samples)
    nothing = np.full((1, len(times)), np.nan)
    found = [nothing if sample.ensemble is None else propensity_draws(sample, times, species) for sample in samples]
    return np.stack(pad([np.full((draws, len(times)), np.nan), *found])[1:])
