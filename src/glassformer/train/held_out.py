"""What cross-validation predicted of the particles of a state point, beside baselines that read one descriptor."""

from collections.abc import Sequence

import numpy as np

from glassformer.baselines.propensity import SINGLE
from glassformer.core.arrays import FloatArray
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.recipe import Recipe
from glassformer.dataset.folder import data_hash
from glassformer.dataset.held_out import HeldOut
from glassformer.dataset.sample import Sample
from glassformer.train.propensity import Trained, fit_items


def held_out_identity(recipe: Recipe, samples: Sequence[Sample]) -> str:
    """Return the hash of what decides the held-out predictions of `samples`: the recipe and the data."""
    return parameter_hash({"recipe": recipe.model_dump(mode="json"), "data": data_hash(samples)})


def held_out_predictions(trained: Trained, samples: Sequence[Sample], recipe: Recipe) -> HeldOut:
    """Return the held-out predictions of a model that was `trained` on `samples`, all at one state point.

    Each baseline is a straight line in one descriptor, fitted to the training configurations of the same fold.
    """
    items, card = trained.items, trained.predictor.card
    ordered = [item.sample_in(samples) for item in items]
    prediction = [np.empty(item.labels.shape, np.float32) for item in items]
    for kind, unseen in enumerate(trained.unseen):
        for item, found, of_kind in zip(items, prediction, unseen, strict=True):
            found[item.species == kind] = of_kind
    first = ordered[0].facts
    return HeldOut(
        state_point=first.state_point,
        identity=held_out_identity(recipe, samples),
        code_version=code_version(),
        temperature=first.temperature,
        draws=card.draws,
        left_out=recipe.left_out,
        configurations=tuple(item.name for item in items),
        fingerprints=tuple(sample.configuration.fingerprint for sample in ordered),
        baseline_names=tuple(SINGLE),
        species_names=tuple(card.mixture.species),
        times=np.array(card.times[0]),
        particles=np.array([len(item.species) for item in items], np.int64),
        box=np.stack([sample.configuration.box for sample in ordered]),
        positions=np.concatenate([sample.configuration.positions for sample in ordered]).astype(np.float32),
        species=np.concatenate([item.species for item in items]),
        label=np.concatenate([item.labels for item in items]).astype(np.float32),
        prediction=np.concatenate(prediction),
        baselines=np.stack([one_number(trained, name) for name in SINGLE.values()], -1).astype(np.float32),
        ceilings=np.stack([item.ceilings for item in items]),
    )


def one_number(trained: Trained, column: str) -> FloatArray:
    """Return the propensities (P, K) that the descriptor `column` predicts of configurations left out."""
    items = trained.items
    found = [np.empty(item.labels.shape) for item in items]
    for kind in range(len(trained.unseen)):
        for left_out in trained.folds:
            fit = fit_items([item for index, item in enumerate(items) if index not in left_out], kind, [column])
            for index in left_out:
                rows = items[index].species == kind
                values = items[index].table.select([column]).values[rows]
                found[index][rows] = fit.mean(values, items[index].temperature)
    return np.concatenate(found)
