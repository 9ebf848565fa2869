"""From a propensity model's predictions of samples to a prediction file, beside what draws did."""

from collections.abc import Sequence

import numpy as np

from glassformer.baselines.propensity_model import Prediction, PropensityPredictor
from glassformer.core.arrays import FloatArray
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.dataset.folder import refuse_ends
from glassformer.dataset.labels import nearest_time
from glassformer.dataset.predictions import Predictions, Role
from glassformer.dataset.sample import Sample
from glassformer.train.prediction import answers_of
from glassformer.train.propensity import Trained
from glassformer.train.target import Target


def as_predictions(
    predictor: PropensityPredictor, samples: Sequence[Sample], found: Sequence[Prediction], time: float
) -> Predictions:
    """Return `found`, predictions of `samples` at `time`, with the answers of those that have draws.

    Configurations that the model was trained on have the role 'train' and are not scored. Baselines of a whole
    configuration are left out. Raises `DatasetError` if draws were not observed at `time`,
    and for ends of draws.
    """
    refuse_ends(samples)
    values = [(one.propensity[:, None], one.uncertainty[:, None]) for one in found]
    roles: list[Role] = ["train" if predictor.has_seen(sample.configuration) else "test" for sample in samples]
    notices = [f"{s.identifier}: {text}" for s, one in zip(samples, found, strict=True) for text in one.warnings]
    return _predictions(predictor, samples, values, np.array([time]), roles, notices)


def cross_validated(trained: Trained, samples: Sequence[Sample], temperature: float) -> Predictions | None:
    """Return what cross-validation predicted of the configurations at `temperature`, which were left out in turn.

    Their uncertainties are those of the model that is trained on all, which were measured on these very predictions.
    None if a sample that was described does not hold the draws of all times: they are those of another dataset.
    """
    predictor = trained.predictor
    places = [place for place, item in enumerate(trained.items) if item.temperature == temperature]
    chosen = [trained.items[place].sample_in(samples) for place in places]
    times = predictor.card.times_at(temperature)
    if any(nearest_time(sample.dynamics.particle_times, time) is None for sample in chosen for time in times):
        return None
    values = []
    for place in places:
        item = trained.items[place]
        propensity, uncertainty = np.empty(item.labels.shape), np.empty(item.labels.shape)
        for kind, (unseen, fit) in enumerate(zip(trained.unseen, predictor.fits, strict=True)):
            rows = item.species == kind
            propensity[rows], uncertainty[rows] = unseen[place], fit.errors(unseen[place], temperature)
        values.append((propensity, uncertainty))
    return _predictions(predictor, chosen, values, times, ["test"] * len(chosen), [])


def _predictions(
    predictor: PropensityPredictor,
    samples: Sequence[Sample],
    values: Sequence[tuple[FloatArray, FloatArray]],
    times: FloatArray,
    roles: Sequence[Role],
    notices: Sequence[str],
) -> Predictions:
    """Return a prediction file of `values`, of each sample the propensities and their standard errors, (N, K)."""
    names = predictor.card.mixture.species
    target = Target("propensity", tuple(range(len(names))), names, times, True, False, False)
    configurations = [sample.configuration for sample in samples]
    means = [
        np.log(propensity[configuration.species == 0].mean(0))
        for (propensity, _), configuration in zip(values, configurations, strict=True)
    ]
    unknown = np.full((len(samples), len(times)), np.nan)
    return Predictions(
        network=predictor.card.name,
        parameter_hash=parameter_hash(predictor.card.model_dump(mode="json")),
        code_version=code_version(),
        configurations=tuple(sample.identifier for sample in samples),
        state_points=tuple(sample.facts.state_point for sample in samples),
        roles=tuple(roles),
        times=times,
        density=np.array([one.density for one in configurations]),
        temperature=np.array([sample.facts.temperature for sample in samples]),
        prediction=np.stack(means),
        state_point_mean=unknown,
        density_fit=unknown,
        quantity="propensity",
        species=names[0],
        species_names=names,
        notices=tuple(notices),
        fingerprints=tuple(one.fingerprint for one in configurations),
        particles=np.array([one.particles for one in configurations], np.int64),
        particle_species=np.concatenate([one.species for one in configurations]),
        particle_prediction=np.concatenate([propensity for propensity, _ in values]).astype(np.float32),
        particle_uncertainty=np.concatenate([uncertainty for _, uncertainty in values]).astype(np.float32),
        **answers_of(target, samples),
    )
