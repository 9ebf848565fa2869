"""Train a propensity model on samples: descriptors, cross-validation by configuration, fit, limits and card."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glassformer.baselines.novelty import Novelty
from glassformer.baselines.propensity import scales_of
from glassformer.baselines.propensity_model import ModelCard, PropensityPredictor, describe, telling_columns
from glassformer.baselines.ridge import Moments
from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.core.recipe import Recipe
from glassformer.core.seeds import generator, named_seed
from glassformer.core.words import counted
from glassformer.dataset.labels import nearest_time, particle_labels, pearson_ceilings
from glassformer.dataset.sample import Sample
from glassformer.observables.descriptors import Descriptors, DescriptorSettings
from glassformer.physics.cage import Cage
from glassformer.physics.signature import first_of_each, together

# Measured with BOTAN's data: docs/results/propensity.md.
EQUAL_DRAWS = 32


@dataclass(frozen=True, eq=False)
class Item:
    """A training configuration: its temperature, descriptors, species (N,), labels (N, K) and ceilings (S, K).

    `further`: for each species moments of the particles at the end of its draws.
    """

    name: str
    temperature: float
    table: Descriptors
    species: ByteArray
    labels: FloatArray
    ceilings: FloatArray
    further: tuple[Moments | None, ...]


@dataclass(frozen=True, eq=False)
class Structures:
    """The samples of one configuration: the first has the structure, any of them the labels of a time.

    `ends`: configurations at the end of its draws (`glassformer.dataset.ends`).
    """

    samples: tuple[Sample, ...]
    ends: tuple[Sample, ...] = ()

    @property
    def first(self) -> Sample:
        """The sample whose structure is described."""
        return self.samples[0]

    def labels(self, times: Sequence[float]) -> tuple[FloatArray, FloatArray]:
        """Return the propensities (N, K) at `times` and their ceilings (S, K). Raises `DatasetError`."""
        found = []
        for time in times:
            having = [one for one in self.samples if nearest_time(one.dynamics.particle_times, time) is not None]
            # `particle_labels` says of the first which times there are.
            sample, at = (having or self.samples)[0], np.array([time])
            found.append((particle_labels(sample, at, "propensity"), pearson_ceilings(sample, at, "propensity")))
        return np.concatenate([one for one, _ in found], 1), np.concatenate([other for _, other in found], 1)


@dataclass(frozen=True, eq=False)
class Trained:
    """A model, and by species what the fits of cross-validation predicted of each item they had not seen, (n, K).

    `folds`: numbers of the items that were left out together.
    """

    predictor: PropensityPredictor
    items: tuple[Item, ...]
    unseen: tuple[list[FloatArray], ...]
    folds: tuple[tuple[int, ...], ...]

    def answers(
        self, temperature: float, place: int, kind: int
    ) -> tuple[list[FloatArray], list[FloatArray], list[float]]:
        """Return predictions and labels, (n,) per configuration at `temperature`, and ceilings.

        `place`: number of the time. `kind`: number of the species.
        """
        there = [index for index, item in enumerate(self.items) if item.temperature == temperature]
        return (
            [self.unseen[kind][index][:, place] for index in there],
            [self.items[index].labels[self.items[index].species == kind, place] for index in there],
            [float(self.items[index].ceilings[kind, place]) for index in there],
        )


def train_predictor(samples: Sequence[Sample], recipe: Recipe, progress: Progress, threads: int = 1) -> Trained:
    """Return a model trained by `recipe` on all `samples`, with errors from cross-validation.

    Samples of one configuration, such as imported ones and further draws of them, count once, with the times of all.
    Raises `DatasetError` for samples without what the recipe reads or names, `SettingsError`.
    """
    structures, targets = _structures(samples, recipe), _targets(samples, recipe)
    items = _items(structures, targets, recipe, progress, threads)
    kinds, columns = structures[0].first.mixture.kinds, items[0].table.names
    folds = left_out_together(items, recipe)
    progress.start("fit", kinds * (len(folds) + 1), "fits")
    fits, limits, unseen = [], [], []
    for kind in range(kinds):
        predicted: dict[int, FloatArray] = {}
        for left_out in folds:
            fit = fit_items([item for index, item in enumerate(items) if index not in left_out], kind)
            predicted |= {index: fit.mean(*_of(items[index], kind)) for index in left_out}
            progress.advance(1)
        fit = fit_items(items, kind)
        progress.advance(1)
        found = [predicted[index] for index in range(len(items))]
        fits.append(
            fit.with_errors(
                np.concatenate(
                    [fit.level.units(one, item.temperature) for one, item in zip(found, items, strict=True)]
                ),
                np.concatenate(
                    [fit.level.units(item.labels[item.species == kind], item.temperature) for item in items]
                ),
            )
        )
        limits.append(Novelty.of([telling_columns(fit, columns, *_of(item, kind)) for item in items]))
        unseen.append(found)
    card = _card(structures, items, targets, recipe)
    seen = together([sample.configuration.signature for one in structures for sample in (one.first, *one.ends)])
    predictor = PropensityPredictor(card, columns, tuple(fits), tuple(limits), seen)
    return Trained(predictor, tuple(items), tuple(unseen), tuple(map(tuple, folds)))


def describe_samples(samples: Sequence[Sample], recipe: Recipe, progress: Progress, threads: int = 1) -> list[Item]:
    """Return the configurations of `samples` with descriptors and labels. Raises as `train_predictor`."""
    return _items(_structures(samples, recipe), _targets(samples, recipe), recipe, progress, threads)


def _items(
    structures: Sequence[Structures],
    targets: dict[float, tuple[float, ...]],
    recipe: Recipe,
    progress: Progress,
    threads: int,
) -> list[Item]:
    settings = DescriptorSettings.of(recipe.descriptors)
    progress.start("describe", sum(1 + len(one.ends) for one in structures), "configurations")
    return [_item(one, targets, recipe, settings, threads, progress) for one in structures]


def _structures(samples: Sequence[Sample], recipe: Recipe) -> list[Structures]:
    """Return the samples by configuration. Raises `DatasetError` if they do not fit together or lack what is read."""
    groups: dict[str, list[Sample]] = {}
    ends: dict[str, list[Sample]] = {}
    for sample in samples:
        kept, of = (groups, sample.configuration.fingerprint) if sample.origin is None else (ends, sample.origin)
        kept.setdefault(of, []).append(sample)
    if lost := [sample.identifier for origin in ends.keys() - groups.keys() for sample in ends[origin]]:
        raise DatasetError(
            f"{lost[0]} is the end of a draw of a configuration that is not in the data",
            "Give the dataset whose draws it ends, too: both must be left out of training together.",
        )
    # The one with most that was derived comes first.
    found = [
        Structures(
            tuple(sorted(ones, key=lambda one: (one.cage is None, one.configuration.inherent_positions is None))),
            tuple(ends.get(fingerprint, ())),
        )
        for fingerprint, ones in groups.items()
    ]
    _refuse_near_copies([one.first for one in found])
    liquids = {one.first.facts.mixture.identity for one in found}
    densities = [one.first.configuration.density for one in found]
    if len(liquids) > 1 or max(densities) > min(densities) * (1 + recipe.density_spread):
        raise DatasetError(
            f"got configurations of {counted(len(liquids), 'mixture')} at densities {min(densities):.4g} to"
            f" {max(densities):.4g}; a propensity model is trained on one mixture at one density",
            "Train one for each.",
        )
    read = [sample for one in found for sample in (one.first, *one.ends)]
    for sample in read:
        if sample.configuration.inherent_positions is None:
            raise DatasetError(f"{sample.identifier} has no inherent structure", "glassformer quench DATASET finds it.")
        if recipe.reads != "inherent" and (sample.cage is None or sample.cage.kind != recipe.reads):
            raise DatasetError(
                f"{sample.identifier} has no cage positions of the kind '{recipe.reads}'",
                f"Sample them: glassformer cage DATASET --kind {recipe.reads}.",
            )
    sampled = {tuple(one.cage.sampling.items()) for one in read if one.cage and recipe.reads != "inherent"}
    if len(sampled) > 1:
        raise DatasetError(
            f"the cages were sampled in {len(sampled)} ways: {'; '.join(str(dict(one)) for one in sorted(sampled))}",
            "Sample all in one way: glassformer cage DATASET, with the options that you want, replaces the others.",
        )
    return found


def _refuse_near_copies(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` for a structure that is there twice: one fold would be tested on what it was trained on.

    Exact copies are taken together before; a copy that was rounded, shifted or renumbered has labels in another order.
    """
    for number, first in enumerate(first_of_each([sample.configuration.signature for sample in samples])):
        if first != number:
            raise DatasetError(
                f"{samples[number].identifier} is a copy of {samples[first].identifier}: rounded, shifted or"
                " renumbered",
                "Leave one of them out; further draws must start from the same numbers: equilibration.as_given.",
            )


def _targets(samples: Sequence[Sample], recipe: Recipe) -> dict[float, tuple[float, ...]]:
    """Return the times of every temperature."""
    if recipe.targets:
        return {target.temperature: target.times for target in recipe.targets}
    known = sorted({sample.facts.temperature for sample in samples})
    times = {
        one: sorted({float(t) for s in samples if s.facts.temperature == one for t in s.dynamics.particle_times})
        for one in known
    }
    if len({len(row) for row in times.values()}) != 1 or not times[known[0]]:
        raise SettingsError(
            f"the data have {', '.join(f'{len(row)} particle times at T = {one:g}' for one, row in times.items())}",
            "Name as many at every temperature: a recipe with [[targets]].",
        )
    return {one: tuple(row) for one, row in times.items()}


def _item(
    one: Structures,
    targets: dict[float, tuple[float, ...]],
    recipe: Recipe,
    settings: DescriptorSettings,
    threads: int,
    progress: Progress,
) -> Item:
    sample = one.first
    temperature = next((known for known in targets if abs(known / sample.facts.temperature - 1) < 1e-6), None)
    if temperature is None:
        known = ", ".join(f"{known:g}" for known in targets)
        raise DatasetError(
            f"{sample.identifier} is at T = {sample.facts.temperature:g}; the recipe names {known}",
            "Leave it out, or add its temperature to the recipe.",
        )
    times = targets[temperature]
    cage = None if recipe.reads == "inherent" else sample.cage
    if cage is not None and times[0] < cage.first_target * (1 - 1e-9):
        raise SettingsError(
            f"got t = {times[0]:g} from mean positions until t = {cage.end:g}; expected t = {cage.first_target:g} or"
            " later",
            "A window of free draws that lasts nearly as long holds the answer itself: choose later times.",
        )
    table = describe(sample.configuration, sample.mixture, settings, threads, cage)
    labels, ceilings = one.labels(times)
    progress.advance(1)
    further: list[Moments | None] = [None] * sample.mixture.kinds
    for end in one.ends:
        found = _moments(end, times, settings, threads, None if recipe.reads == "inherent" else end.cage)
        weight = _weight(end.draws) / _weight(sample.draws)
        for kind, (before, new) in enumerate(zip(further, found, strict=True)):
            further[kind] = new.weighted(weight) if before is None else before.with_(new.weighted(weight))
        progress.advance(1)
    return Item(sample.identifier, temperature, table, sample.configuration.species, labels, ceilings, tuple(further))


def _moments(
    end: Sample, times: Sequence[float], settings: DescriptorSettings, threads: int, cage: Cage | None
) -> list[Moments]:
    """Return the moments of descriptors and labels of each species of the end of a draw. Raises `DatasetError`."""
    described = describe(end.configuration, end.mixture, settings, threads, cage)
    labels, species = particle_labels(end, np.array(times), "propensity"), end.configuration.species
    return [Moments.of(described.values[species == kind], labels[species == kind]) for kind in range(end.mixture.kinds)]


def _weight(draws: int) -> float:
    """Return the weight of a label that is a mean over `draws`, which is its inverse variance in some units.

    At `EQUAL_DRAWS` the variance of the mean equals that of the propensity which descriptors do not explain.
    """
    return max(draws, 1) / (max(draws, 1) + EQUAL_DRAWS)


def left_out_together(items: Sequence[Item], recipe: Recipe) -> list[list[int]]:
    """Return which items are left out together: `left_out` of each temperature, shuffled by the seed.

    Raises `DatasetError` if there are too few.
    """
    by_temperature: dict[float, list[int]] = {}
    for index, item in enumerate(items):
        by_temperature.setdefault(item.temperature, []).append(index)
    number = max(2, max(-(-len(ones) // recipe.left_out) for ones in by_temperature.values()))
    if min(len(ones) for ones in by_temperature.values()) < 2 or len(items) < 3:
        raise DatasetError(
            f"got {', '.join(f'{len(ones)} configurations at T = {one:g}' for one, ones in by_temperature.items())};"
            " expected two or more at every temperature, and three in all",
            "Errors are measured on configurations that are left out: simulate or import more.",
        )
    folds: list[list[int]] = [[] for _ in range(number)]
    for ones in by_temperature.values():
        order = generator(named_seed(recipe.seed, "folds")).permutation(len(ones))
        size = -(-len(ones) // number)
        for fold, start in enumerate(range(0, len(ones), size)):
            folds[fold] += [ones[place] for place in order[start : start + size]]
    return [fold for fold in folds if fold]


def _of(item: Item, kind: int) -> tuple[Any, float]:
    return item.table.values[item.species == kind], item.temperature


def fit_items(items: Sequence[Item], kind: int, columns: Sequence[str] | None = None) -> TemperatureRidge:
    """Return the fit of species number `kind` to `items`, with all descriptors or those named `columns`."""
    names = items[0].table.names if columns is None else tuple(columns)
    tables = [item.table if columns is None else item.table.select(names) for item in items]
    return TemperatureRidge.fit(
        [item.temperature for item in items],
        [table.values[item.species == kind] for table, item in zip(tables, items, strict=True)],
        [item.labels[item.species == kind] for item in items],
        scales_of(names),
        further=[_select(item, kind, names) for item in items],
    )


def _select(item: Item, kind: int, names: Sequence[str]) -> Moments | None:
    further = item.further[kind]
    return None if further is None else further.select(item.table.places(names))


def _card(
    structures: Sequence[Structures],
    items: Sequence[Item],
    targets: dict[float, tuple[float, ...]],
    recipe: Recipe,
) -> ModelCard:
    """Return the card; scores are added by who can score."""
    first = structures[0].first
    used = {
        temperature: times for temperature, times in targets.items() if any(i.temperature == temperature for i in items)
    }
    densities = [one.first.configuration.density for one in structures]
    low, high = min(densities), max(densities)
    cage = None if recipe.reads == "inherent" else first.cage
    sampling = {} if cage is None else {name: getattr(cage, name) for name in ("draws", "begin", "end", "radius")}
    return ModelCard(
        name=recipe.name,
        purpose=recipe.purpose,
        mixture=first.facts.mixture,
        density=round((low + high) / 2, 6),
        density_spread=round((high - low) / (high + low), 6),
        temperatures=tuple(sorted(used)),
        times=tuple(used[temperature] for temperature in sorted(used)),
        reads=recipe.reads,
        descriptors=asdict(DescriptorSettings.of(recipe.descriptors)),
        cages={name: float(value) for name, value in sampling.items() if value is not None},
        configurations=tuple(sum(item.temperature == one for item in items) for one in sorted(used)),
        draws=min(one.first.draws for one in structures),
        end_frames=sum(len(one.ends) for one in structures),
        data=recipe.data,
        licence=recipe.licence,
        limits=recipe.limits,
        code_version=code_version(),
    )
