"""From a trained model and samples to a prediction file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import PredictionError
from glassformer.core.provenance import code_version
from glassformer.dataset.folder import refuse_ends
from glassformer.dataset.labels import msd_draws, particle_labels, pearson_ceilings, propensity_draws
from glassformer.dataset.predictions import Predictions, Role, join, pad
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
    return _predicted(model, [one.species for one in configurations], graphs, device)


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
    # First: what has no answer there is refused before the network runs.
    structures, answers = _looked_at(model, samples)
    device = device or choose_device()
    graphs = build_graphs(samples, network, device) if graphs is None else graphs
    species = [one.species for one in structures]
    predicted = _predicted(model, species, graphs, device)
    state_points = tuple(one.state_point for one in structures)
    density = np.array([one.density for one in structures])
    return Predictions(
        network=network.name,
        parameter_hash=model.parameter_hash,
        code_version=code_version(),
        notices=departures(model.scope, samples),
        fingerprints=tuple(one.fingerprint for one in structures),
        configurations=tuple(one.name for one in structures),
        state_points=state_points,
        roles=tuple(one.role for one in structures),
        times=target.times,
        density=density,
        temperature=np.array([one.temperature for one in structures]),
        prediction=predicted.log_means,
        state_point_mean=model.state_point_mean.predict(state_points),
        density_fit=model.density_fit.predict(density),
        quantity=target.quantity,
        species=target.names[target.kind],
        species_names=target.names,
        device=device_name(device),
        **answers,
        **_of_particles(species, predicted),
    )


@dataclass(frozen=True, eq=False)
class _Structure:
    """What is kept of a sample's structure: samples may be read from disk at each use."""

    name: str
    fingerprint: str
    state_point: str
    role: Role
    density: float
    temperature: float
    species: ByteArray

    @classmethod
    def of(cls, model: Model, sample: Sample) -> "_Structure":
        one = sample.configuration
        refuse_ends([sample])
        model.target.learned_or_refused(one.species, sample.identifier)
        role = model.role_of(one) or "test"
        facts = sample.facts
        return cls(
            sample.identifier, one.fingerprint, facts.state_point, role, one.density, facts.temperature, one.species
        )


def _looked_at(model: Model, samples: Sequence[Sample]) -> tuple[list[_Structure], dict[str, Any]]:
    """Return the structures of `samples`, and the answers of `answers_of`, in one pass. Raises `DatasetError`."""
    structures: list[_Structure] = []

    def each() -> Iterator[Sample]:
        for sample in samples:
            structures.append(_Structure.of(model, sample))
            yield sample

    answers = answers_of(model.target, each())
    return structures, answers


def _predicted(
    model: Model, species: Sequence[ByteArray], graphs: Sequence[list[GraphBatch]], device: torch.device
) -> Predicted:
    target, factors, mean = model.target, np.array(model.calibration), np.array(model.label_mean)
    mean = mean if mean.ndim == 1 else mean[target.kind]
    outputs = list(zip(network_outputs(model, graphs, device), species, strict=True))
    return Predicted(
        np.stack([target.of_configuration(output, kinds, factors, mean) for output, kinds in outputs]),
        [target.of_each_particle(output, kinds, factors) for output, kinds in outputs] if target.of_particles else None,
    )


def _of_particles(species: Sequence[ByteArray], predicted: Predicted) -> dict[str, Any]:
    """Return the arrays of `Predictions` that say what is predicted of which particles, none without such a head."""
    if predicted.particles is None:
        return {}
    return {
        "particles": np.array([len(one) for one in species], np.int64),
        "particle_species": np.concatenate(species),
        "particle_prediction": np.concatenate(predicted.particles).astype(np.float32),
    }


def answers_of(target: Target, samples: Iterable[Sample]) -> dict[str, Any]:
    """Return the arrays of `Predictions` that say what the draws of `samples` did, NaN for bare structures.

    None of them if there are no draws at all. Where means over draws alone are known, MSD is NaN if propensities are
    predicted. Raises `DatasetError` if draws were not observed at a time of the target, or the quantity is not known.
    """
    found = [_Answer.of(target, sample) for sample in samples]
    if all(one.draws is None for one in found):
        return {}
    unknown = np.full((1, len(target.times)), np.nan)
    answers: dict[str, Any] = {}
    if any(one.msd is not None for one in found):
        answers["msd_draws"] = np.stack(pad([unknown if one.msd is None else one.msd for one in found]))
    if target.quantity == "propensity":
        # With as many places as there are draws.
        most = np.full((max(one.draws or 0 for one in found), len(target.times)), np.nan)
        of_each = [unknown if one.propensity is None else one.propensity for one in found]
        answers["propensity_draws"] = np.stack(pad([most, *of_each])[1:])
    if target.of_particles:
        labels, ceilings = zip(*(one.particles for one in found), strict=True)
        answers["particle_label"] = np.concatenate(labels).astype(np.float32)
        answers["particle_ceiling"] = np.stack(ceilings)
    return answers


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the draws of one sample did: None where there are none, or it is not known.

    `particles`: with a particle head, the labels (N, K) and ceilings (S, K), NaN without draws; else nothing.
    """

    draws: int | None
    msd: FloatArray | None
    propensity: FloatArray | None
    particles: tuple[FloatArray, ...]

    @classmethod
    def of(cls, target: Target, sample: Sample) -> "_Answer":
        times, quantity, kinds = target.times, target.quantity, len(target.names)
        has = sample.ensemble is not None
        # Propensities are an answer without MSD; MSD is none without it.
        followed = has and (quantity != "propensity" or sample.dynamics.msd is not None)
        particles: tuple[FloatArray, ...] = ()
        if target.of_particles and has:
            particles = particle_labels(sample, times, quantity), pearson_ceilings(sample, times, quantity, kinds)
        elif target.of_particles:
            particles = tuple(np.full((rows, len(times)), np.nan) for rows in (sample.configuration.particles, kinds))
        return cls(
            sample.draws if has else None,
            msd_draws(sample, times, target.kind) if followed else None,
            propensity_draws(sample, times, target.kind) if has and quantity == "propensity" else None,
            particles,
        )


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
