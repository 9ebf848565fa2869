"""Train a propensity model on samples: descriptors, cross-validation by configuration, fit, limits and card."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.baselines.novelty import Novelty
from glassformer.baselines.propensity import scales_of
from glassformer.baselines.propensity_model import (
    ModelCard,
    NetworkMember,
    PropensityPredictor,
    describe,
    telling_columns,
)
from glassformer.baselines.ridge import Moments
from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.core.recipe import Recipe
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.sample import Sample
from glassformer.observables.descriptors import Descriptors, DescriptorSettings
from glassformer.physics.cage import Cage
from glassformer.physics.signature import together
from glassformer.train.labelled_structures import Structures, group_samples, targets_of, weight_of


@dataclass(frozen=True, eq=False)
class Item:
    """A training configuration: its temperature, descriptors, species (N,), labels (N, K) and ceilings (S, K).

    `further`: for each species moments of the particles at the end of its draws. `fingerprint` of its structure:
    configurations of several datasets may have one name.
    """

    name: str
    temperature: float
    table: Descriptors
    species: ByteArray
    labels: FloatArray
    ceilings: FloatArray
    further: tuple[Moments | None, ...] = ()
    fingerprint: str = ""

    def sample_in(self, samples: Sequence[Sample]) -> Sample:
        """Return the last of `samples` that has its name and its structure."""
        found = [one for one in samples if one.identifier == self.name]
        return next(one for one in reversed(found) if one.configuration.fingerprint == self.fingerprint)


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


def train_predictor(
    samples: Sequence[Sample], recipe: Recipe, progress: Progress, threads: int = 1, kept: Path | None = None
) -> Trained:
    """Return a model trained by `recipe` on all `samples`, with errors from cross-validation.

    Samples of one configuration, such as imported ones and further draws of them, count once, with the times of all.
    `kept`: folder for networks that are finished, from which a killed training continues.
    Raises `DatasetError` for samples without what the recipe reads or names, `SettingsError`.
    """
    structures, targets = group_samples(samples, recipe), targets_of(samples, recipe)
    items = _items(structures, targets, recipe, progress, threads)
    kinds, columns = structures[0].first.mixture.kinds, items[0].table.names
    folds = left_out_together(items, recipe)
    outputs, network = _network(structures, items, targets, folds, recipe, progress, threads, kept)
    progress.start("fit", kinds * (len(folds) + 1), "fits")
    fits, limits, unseen = [], [], []
    for kind in range(kinds):
        predicted: dict[int, FloatArray] = {}
        for left_out in folds:
            fit = _shared(fit_items([item for index, item in enumerate(items) if index not in left_out], kind), recipe)
            predicted |= {
                index: fit.mean(*_of(items[index], kind), _rows(outputs, items, index, kind)) for index in left_out
            }
            progress.advance(1)
        fit = _shared(fit_items(items, kind), recipe)
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
    seen = together([sample.configuration.signature for one in structures for sample in one.structures])
    predictor = PropensityPredictor(card, columns, tuple(fits), tuple(limits), seen, network)
    return Trained(predictor, tuple(items), tuple(unseen), tuple(map(tuple, folds)))


def _network(
    structures: Sequence[Structures],
    items: Sequence[Item],
    targets: dict[float, tuple[float, ...]],
    folds: Sequence[Sequence[int]],
    recipe: Recipe,
    progress: Progress,
    threads: int,
    kept: Path | None,
) -> tuple[list[FloatArray] | None, NetworkMember | None]:
    """Return the outputs (N, K) for each item of a network that had not seen it, and one trained on all; if any."""
    if recipe.network is None:
        return None, None
    temperatures = sorted({item.temperature for item in items})
    if len(temperatures) > 1:
        raise SettingsError(
            f"got a recipe with a network, and data at T = {', '.join(f'{one:g}' for one in temperatures)}",
            "Name one temperature in the recipe, or leave [network] out.",
        )
    # Torch takes seconds to load, and most recipes do without.
    from glassformer.train.network_member import train_members

    return train_members(structures, targets[temperatures[0]], folds, recipe, progress, threads, kept)


def _shared(fit: TemperatureRidge, recipe: Recipe) -> TemperatureRidge:
    return fit if recipe.network is None else replace(fit, share=recipe.network.share)


def _rows(outputs: Sequence[FloatArray] | None, items: Sequence[Item], index: int, kind: int) -> FloatArray | None:
    return None if outputs is None else outputs[index][items[index].species == kind]


def describe_samples(samples: Sequence[Sample], recipe: Recipe, progress: Progress, threads: int = 1) -> list[Item]:
    """Return the configurations of `samples` with descriptors and labels. Raises as `train_predictor`."""
    return _items(group_samples(samples, recipe), targets_of(samples, recipe), recipe, progress, threads)


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
    labels, ceilings = one.labels(times), one.ceilings(times)
    progress.advance(1)
    further: list[Moments | None] = [None] * sample.mixture.kinds
    for end in one.ends:
        found = _moments(end, times, settings, threads, None if recipe.reads == "inherent" else end.first.cage)
        weight = weight_of(end.draws(times)) / weight_of(one.draws(times))
        for kind, (before, new) in enumerate(zip(further, found, strict=True)):
            further[kind] = new.weighted(weight) if before is None else before.with_(new.weighted(weight))
        progress.advance(1)
    configuration = sample.configuration
    return Item(
        sample.identifier,
        temperature,
        table,
        configuration.species,
        labels,
        ceilings,
        tuple(further),
        configuration.fingerprint,
    )


def _moments(
    end: Structures, times: Sequence[float], settings: DescriptorSettings, threads: int, cage: Cage | None
) -> list[Moments]:
    """Return the moments of descriptors and labels of each species of the end of a draw. Raises `DatasetError`."""
    sample = end.first
    described = describe(sample.configuration, sample.mixture, settings, threads, cage)
    labels, species = end.labels(times), sample.configuration.species
    kinds = range(sample.mixture.kinds)
    return [Moments.of(described.values[species == kind], labels[species == kind]) for kind in kinds]


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
    further = item.further[kind] if item.further else None
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
        draws=min(one.draws(used[item.temperature]) for one, item in zip(structures, items, strict=True)),
        end_frames=sum(len(one.ends) for one in structures),
        network_share=0.0 if recipe.network is None else recipe.network.share,
        data=recipe.data,
        licence=recipe.licence,
        limits=recipe.limits,
        code_version=code_version(),
    )
