"""From a propensity model's predictions of samples to a prediction file, beside what draws did."""

from collections.abc import Sequence

import numpy as np

from glassformer.baselines.propensity_model import Prediction, PropensityPredictor
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.dataset.folder import refuse_ends
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.train.prediction import answers_of
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
    names, times = predictor.card.mixture.species, np.array([time])
    target = Target("propensity", tuple(range(len(names))), names, times, True, False, False)
    configurations = [sample.configuration for sample in samples]
    means = [
        np.log(one.propensity[configuration.species == 0].mean())
        for one, configuration in zip(found, configurations, strict=True)
    ]
    unknown = np.full((len(samples), 1), np.nan)
    return Predictions(
        network=predictor.card.name,
        parameter_hash=parameter_hash(predictor.card.model_dump(mode="json")),
        code_version=code_version(),
        configurations=tuple(sample.identifier for sample in samples),
        state_points=tuple(sample.facts.state_point for sample in samples),
        roles=tuple("train" if predictor.has_seen(one) else "test" for one in configurations),
        times=times,
        density=np.array([one.density for one in configurations]),
        temperature=np.array([sample.facts.temperature for sample in samples]),
        prediction=np.array(means)[:, None],
        state_point_mean=unknown,
        density_fit=unknown,
        quantity="propensity",
        species=names[0],
        species_names=names,
        notices=tuple(
            f"{s.identifier}: {text}" for s, one in zip(samples, found, strict=True) for text in one.warnings
        ),
        fingerprints=tuple(one.fingerprint for one in configurations),
        particles=np.array([one.particles for one in configurations], np.int64),
        particle_species=np.concatenate([one.species for one in configurations]),
        particle_prediction=np.concatenate([one.propensity for one in found])[:, None].astype(np.float32),
        particle_uncertainty=np.concatenate([one.uncertainty for one in found])[:, None].astype(np.float32),
        **answers_of(target, samples),
    )
