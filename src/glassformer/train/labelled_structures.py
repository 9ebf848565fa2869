"""The samples that a propensity model is trained on, by configuration, with the ends of their draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.layout import names_state_point
from glassformer.core.recipe import Recipe
from glassformer.core.words import counted
from glassformer.dataset.labels import nearest_time, particle_labels, pearson_ceilings
from glassformer.dataset.sample import Sample
from glassformer.physics.signature import first_of_each

# Kob-Andersen at T = 0.44, t = tau_alpha: from ceiling and score of docs/results/propensity.md, 0.17 of the variance of
# means over 32 draws is noise, and 0.17 is what the descriptors of cages leave unexplained of the propensity.
EQUAL_DRAWS = 32


@dataclass(frozen=True, eq=False)
class Structures:
    """The samples of one configuration: the first has the structure, any of them the labels of a time.

    `ends`: configurations at the end of its draws (`glassformer.dataset.ends`), which may have further draws, too.
    """

    samples: tuple[Sample, ...]
    ends: tuple["Structures", ...] = ()

    @property
    def first(self) -> Sample:
        """The sample whose structure is described."""
        return self.samples[0]

    @property
    def structures(self) -> list[Sample]:
        """The samples whose structures are described: its own, and those of the ends."""
        return [self.first, *(end.first for end in self.ends)]

    def draws(self, times: Sequence[float]) -> int:
        """Return the fewest draws that a label at any of `times` is a mean of; 0 if that is not known."""
        return min(self._with(time).draws for time in times)

    def _with(self, time: float) -> Sample:
        """Return the sample with most draws that has labels at `time`; if none has, the first, which lacks them."""
        having = [one for one in self.samples if nearest_time(one.dynamics.particle_times, time) is not None]
        return max(having or self.samples[:1], key=lambda one: one.draws)

    def labels(self, times: Sequence[float]) -> FloatArray:
        """Return the propensities (N, K) at `times`. Raises `DatasetError` if they are not known."""
        return np.concatenate([particle_labels(self._with(time), np.array([time]), "propensity") for time in times], 1)

    def ceilings(self, times: Sequence[float]) -> FloatArray:
        """Return the ceilings (S, K) of the propensities at `times`. Raises `DatasetError`."""
        return np.concatenate([pearson_ceilings(self._with(time), np.array([time]), "propensity") for time in times], 1)


def weight_of(draws: int) -> float:
    """Return the weight of a label that is a mean over `draws`, from 0 to 1; 1 if their number is not known.

    It is proportional to the inverse of the variance that a fit leaves: that of the propensity which descriptors do
    not explain, and that of the mean, which equals it at `EQUAL_DRAWS`.
    """
    return draws / (draws + EQUAL_DRAWS) if draws else 1.0


def check_ends(samples: Sequence[Sample], recipe: Recipe) -> None:
    """Raise `DatasetError` for ends of draws among `samples` that cannot be learned from: see `glassformer ends`.

    Where they began must be among the samples, and they or further draws of them must have all times that are learned.
    """
    starts, ends = _by_configuration(samples)
    for alone in (one for same in starts.values() for one in same if one.facts.end_of is not None):
        raise DatasetError(
            f"{alone.identifier} has further draws of the end of a draw, and that end is not in the data",
            "Give the dataset of the ends, too, so that they are left out together with where their draws began.",
        )
    targets = targets_of(samples, recipe) if ends else {}
    for same in ends.values():
        end = next(one for one in same if one.origin is not None)
        if end.origin in ends:
            raise DatasetError(
                f"{end.identifier} is the end of a draw of a configuration that is an end itself", "Leave it out."
            )
        if end.origin not in starts:
            raise DatasetError(
                f"{end.identifier} is the end of a draw of a configuration that is not in the data",
                "Give the dataset whose draws it ends, too: both must be left out of training together.",
            )
        known = sorted({float(time) for one in same for time in one.dynamics.particle_times})
        wanted = targets.get(end.facts.temperature, ())
        if any(nearest_time(np.array(known), time) is None for time in wanted):
            raise DatasetError(
                f"{end.identifier}, the end of a draw, has propensities at t ="
                f" {', '.join(f'{time:g}' for time in known)}; the model learns t ="
                f" {', '.join(f'{time:g}' for time in wanted)}",
                "Leave the ends out, use a recipe of that time alone, or give further draws of them, too: glassformer"
                " simulate further-draws.",
            )


def _by_configuration(samples: Sequence[Sample]) -> tuple[dict[str, list[Sample]], dict[str, list[Sample]]]:
    """Return the samples of each configuration by its fingerprint, and apart from them those of each end of a draw."""
    of_ends = {sample.configuration.fingerprint for sample in samples if sample.origin is not None}
    starts: dict[str, list[Sample]] = {}
    ends: dict[str, list[Sample]] = {}
    for sample in samples:
        fingerprint = sample.configuration.fingerprint
        (ends if fingerprint in of_ends else starts).setdefault(fingerprint, []).append(sample)
    return starts, ends


def chosen(samples: Sequence[Sample], recipe: Recipe) -> list[Sample]:
    """Return the samples of the state points that the recipe names. Raises `DatasetError` for one that is not there."""
    labels = {sample.facts.state_point for sample in samples}
    for wanted in recipe.only:
        if not any(names_state_point(wanted, label) for label in labels):
            raise DatasetError(
                f"the data have no state point {wanted}; they have {', '.join(sorted(labels))}", "Name one of these."
            )
    return [sample for sample in samples if is_chosen(sample, recipe)]


def is_chosen(sample: Sample, recipe: Recipe) -> bool:
    """Tell whether `sample` is of a state point that the recipe names, or it names none."""
    return not recipe.only or any(names_state_point(wanted, sample.facts.state_point) for wanted in recipe.only)


def check_liquid(samples: Sequence[Sample], recipe: Recipe) -> None:
    """Raise `DatasetError` unless all samples are of one mixture, at densities that differ as far as they may."""
    liquids = {sample.facts.mixture.identity for sample in samples}
    if len(liquids) > 1:
        raise DatasetError(
            f"got configurations of {counted(len(liquids), 'mixture')}; a propensity model is trained on one",
            "Train one for each: keep their data in different folders.",
        )
    densities = {sample.configuration.density for sample in samples}
    if max(densities) > min(densities) * (1 + recipe.density_spread):
        raise DatasetError(
            f"got configurations at densities {min(densities):.4g} to {max(densities):.4g}; a propensity model is"
            f" trained on densities that differ by no more than {100 * recipe.density_spread:g} % (density_spread)",
            "Train one for each state point, in folders of their own: --only LABEL --out DIR. Or set density_spread in"
            " a recipe, at most 0.1.",
        )


def group_samples(samples: Sequence[Sample], recipe: Recipe) -> list[Structures]:
    """Return the samples by configuration. Raises `DatasetError` if they do not fit together or lack what is read."""
    check_ends(samples, recipe)
    starts, of_ends = _by_configuration(samples)
    ends: dict[str, list[Structures]] = {}
    for same in of_ends.values():
        origin = next(one.origin for one in same if one.origin is not None)
        ends.setdefault(origin, []).append(Structures(_most_derived_first(same)))
    found = [
        Structures(_most_derived_first(same), tuple(ends.get(fingerprint, ()))) for fingerprint, same in starts.items()
    ]
    read = [sample for one in found for sample in one.structures]
    _refuse_near_copies(read)
    check_liquid([one.first for one in found], recipe)
    for sample in read:
        if sample.configuration.inherent_positions is None:
            raise DatasetError(f"{sample.identifier} has no inherent structure", "glassformer quench DATASET finds it.")
        if recipe.reads != "inherent" and (sample.cage is None or sample.cage.kind != recipe.reads):
            raise DatasetError(
                f"{sample.identifier} has no cage positions of the kind '{recipe.reads}'",
                f"Sample them: glassformer cage DATASET --kind {recipe.reads}.",
            )
    if recipe.reads != "inherent":
        # Cages of ends may be sampled for a shorter time: the noise of their labels is larger.
        _refuse_mixed_cages([one.first.cage.sampling for one in found if one.first.cage])
        _refuse_mixed_cages([end.first.cage.sampling for one in found for end in one.ends if end.first.cage])
        _refuse_mixed_cages([sample.cage.averaged_over for sample in read if sample.cage])
    return found


def _most_derived_first(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda one: (one.cage is None, one.configuration.inherent_positions is None)))


def _refuse_mixed_cages(ways: Sequence[dict[str, float]]) -> None:
    """Raise `DatasetError` if cages were sampled in several `ways`."""
    different = sorted({tuple(way.items()) for way in ways})
    if len(different) > 1:
        raise DatasetError(
            f"the cages were sampled in {len(different)} ways: {'; '.join(str(dict(one)) for one in different)}",
            "Sample all in one way: glassformer cage DATASET, with the options that you want, replaces the others.",
        )


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


def targets_of(samples: Sequence[Sample], recipe: Recipe) -> dict[float, tuple[float, ...]]:
    """Return the times of every temperature."""
    if recipe.targets:
        return {target.temperature: target.times for target in recipe.targets}
    known = sorted({sample.facts.temperature for sample in samples})
    times = {
        one: sorted({float(t) for s in samples if s.facts.temperature == one for t in s.dynamics.particle_times})
        for one in known
    }
    if not any(times.values()):
        raise SettingsError(
            "the data have no particle times, at which propensities are observed",
            "Set particle_times in the campaign. For data that exist, run further draws with them: glassformer simulate"
            " further-draws.",
        )
    if len({len(row) for row in times.values()}) != 1:
        raise SettingsError(
            f"the data have {', '.join(f'{len(row)} particle times at T = {one:g}' for one, row in times.items())}",
            "Name as many at every temperature: a recipe with [[targets]].",
        )
    return {one: tuple(row) for one, row in times.items()}
