"""Baselines of the propensities in a dataset, cross-validated by configuration: what a network must beat."""

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassformer.baselines.propensity import SINGLE, LabelledParticles, PropensityModel, species_means
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.core.progress import Progress
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.labels import particle_labels, pearson_ceilings
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.analysis import shared_particle_times
from glassformer.evaluate.propensity_scores import PropensityScore, score_propensities
from glassformer.observables.descriptors import DescriptorSettings, collect_descriptors
from glassformer.observables.descriptors.radial import TAIL

# Fewest configurations of a state point: two to choose the regularisation with, and one left out.
FEWEST = 3
MOST_FOLDS = 10
# Width of the outer radial shells, which reach beyond their centers.
_WIDEST = 0.05


@dataclass(frozen=True)
class Baseline:
    """The descriptors that a baseline reads, told by their names, and how it is fitted.

    One that reads none predicts the mean of each species. `options`: those of `PropensityModel.fit`.
    """

    name: str
    reads: Callable[[str], bool]
    options: dict[str, Any] = field(default_factory=dict)


BASELINES = (
    Baseline("species mean", lambda name: False),
    *(
        Baseline(label, functools.partial(operator.eq, column), {"penalties": [1e-6]})
        for label, column in SINGLE.items()
    ),
    Baseline("ridge on descriptors", lambda name: True),
)


@dataclass(frozen=True)
class BaselineScore:
    """The score of one baseline at a state point, for the particles of one species at one time."""

    state_point: str
    time: float
    species: str
    baseline: str
    score: PropensityScore

    def as_json(self) -> dict[str, Any]:
        """Return plain values, None for what is not known."""
        return {name: value for name, value in vars(self).items() if name != "score"} | self.score.as_json()


def left_out_groups(number: int, folds: int) -> list[list[int]]:
    """Return which of `number` configurations are left out together: `folds` groups of about equal size, shuffled."""
    order = generator(named_seed(0, "folds")).permutation(number)
    return [group.tolist() for group in np.array_split(order, min(folds, number))]


def cross_validate(
    baseline: Baseline, items: Sequence[LabelledParticles], groups: Sequence[Sequence[int]]
) -> list[FloatArray]:
    """Return the predictions (N, K) for each of `items` by the model that was trained without its group."""
    names = [name for name in items[0].table.names if baseline.reads(name)]
    predictions: dict[int, FloatArray] = {}
    for left_out in groups:
        training = [item for index, item in enumerate(items) if index not in left_out]
        if not names:
            means = species_means(training)
            predictions |= {index: means[items[index].species] for index in left_out}
            continue
        model = PropensityModel.fit(training, names, **baseline.options)
        for index in left_out:
            predictions[index] = model.predict(items[index].table, items[index].species)
    return [predictions[index] for index in range(len(items))]


def score_baselines(
    samples: Sequence[Sample], times: Sequence[float], folds: int, progress: Progress, threads: int = 1
) -> list[BaselineScore]:
    """Score every baseline at each state point, time and species, all learned from other configurations.

    `times`: without any, all particle times. `folds`: groups of configurations that are left out in turn. Bare
    structures and ends of draws are left out. Raises `DatasetError` if a state point has too few configurations,
    different particle times, no inherent structures, or boxes too small for the descriptors.
    """
    known = [sample for sample in samples if sample.ensemble is not None and not sample.is_end]
    if not known:
        raise DatasetError(
            f"none of the {len(samples)} configurations has propensities to score (ends of draws are not scored)",
            "Simulate draws of them, or import some.",
        )
    groups = by_state_point(known)
    for label, members in groups.items():
        _check(label, members)
    progress.start("describe", len(known), "")
    return [
        score
        for label, members in groups.items()
        for score in _of_state_point(label, members, times, folds, progress, threads)
    ]


def _check(label: str, members: Sequence[Sample]) -> None:
    if len(members) < FEWEST:
        raise DatasetError(
            f"state point {label} has {len(members)} configurations with propensities; expected {FEWEST} or more",
            "Add configurations, or leave the state point out.",
        )
    without = [sample.identifier for sample in members if sample.configuration.inherent_positions is None]
    if without:
        raise DatasetError(
            f"{len(without)} of {len(members)} configurations at {label} have no inherent structure, which the"
            f" baselines read; the first is {without[0]}",
            "Compute them first: glassformer quench DATASET.",
        )


def _of_state_point(
    label: str, members: Sequence[Sample], wanted: Sequence[float], folds: int, progress: Progress, threads: int
) -> list[BaselineScore]:
    times = np.array(wanted, np.float64) if wanted else shared_particle_times(members, kept=False)
    shortest = min(float(sample.configuration.edges.min()) for sample in members)
    settings = DescriptorSettings(reach=min(DescriptorSettings().reach, shortest / 2 - TAIL * _WIDEST))
    items = []
    for sample in members:
        items.append(_labelled(sample, times, settings, threads))
        progress.advance(1, sample.identifier)
    ceilings = np.stack([pearson_ceilings(sample, times, "propensity") for sample in members])
    groups = left_out_groups(len(items), folds)
    found = []
    for baseline in BASELINES:
        predictions = cross_validate(baseline, items, groups)
        for kind, species in enumerate(members[0].mixture.species):
            rows = [item.species == kind for item in items]
            for at, time in enumerate(times.tolist()):
                score = score_propensities(
                    [one[row, at] for one, row in zip(predictions, rows, strict=True)],
                    [item.propensity[row, at] for item, row in zip(items, rows, strict=True)],
                    ceilings[:, kind, at].tolist(),
                )
                found.append(BaselineScore(label, time, species, baseline.name, score))
    # By time and species first: what is compared stands together.
    return sorted(found, key=lambda one: (one.time, members[0].mixture.species.index(one.species)))


def _labelled(sample: Sample, times: FloatArray, settings: DescriptorSettings, threads: int) -> LabelledParticles:
    """Return descriptors and propensities of `sample`. Raises `DatasetError`, naming it."""
    labels = particle_labels(sample, times, "propensity")
    try:
        table = collect_descriptors(sample.configuration, sample.mixture, settings, threads)
        return LabelledParticles(table, sample.configuration.species, labels)
    except ConfigurationError as error:
        raise DatasetError(f"{sample.identifier}: {error.problem}", error.remedy) from error
