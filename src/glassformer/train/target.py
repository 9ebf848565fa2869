"""What a network learns: which quantity, of which particles, at which times and on which scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.run import Quantity, Targets
from glassformer.dataset.labels import log_mean, msd_a_draws, particle_labels
from glassformer.dataset.sample import Sample

# What `targets.species` may be beside the name of a species.
BOTH, ALL, FIRST = "both", "all", "A"
# A mean displacement is positive, but a network that learned it on a linear scale may predict another number. Then this
# fraction of the mean training label takes its place.
FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Target:
    """The labels of a run, and what a network's outputs mean.

    `names`: of all species, by their numbers. `quantity` at `times` (K,): of every particle of the species `kinds` if
    `of_particles`, with labels (N, K); else its mean over the particles of the first species, with labels (1, K).
    `logarithm`: labels are logarithms. `each_draw`: every draw has labels of its own, else they are means over draws.
    """

    quantity: Quantity
    kinds: tuple[int, ...]
    names: tuple[str, ...]
    times: FloatArray
    of_particles: bool
    logarithm: bool
    each_draw: bool

    @classmethod
    def of(cls, targets: Targets, head: str, times: FloatArray, names: tuple[str, ...] = ("A", "B")) -> "Target":
        """Return the target of a run's `targets` and the head of its network.

        `times` (K,) and the `names` of the species, by their numbers, are those of the data. Raises `SettingsError` if
        the species that the run names is none of them.
        """
        return cls(
            quantity=targets.quantity,
            kinds=_kinds(targets.species, names) if head == "particle" else (0,),
            names=names,
            times=times,
            of_particles=head == "particle",
            logarithm=targets.scale == "log",
            each_draw=targets.draws == "each",
        )

    @property
    def kind(self) -> int:
        """The species whose mean is predicted of a configuration: the first that is learned."""
        return self.kinds[0]

    def learned(self, species: ByteArray) -> NDArray[np.bool_]:
        """Return which rows of the labels of particles of these `species` (N,) are learned, (N,) or (1,)."""
        return np.isin(species, self.kinds) if self.of_particles else np.full(1, True)

    def learned_or_refused(self, species: ByteArray, name: str) -> NDArray[np.bool_]:
        """Return what `learned` returns.

        Raises `DatasetError` if configuration `name` has no particle to learn, or a species beyond `names`.
        """
        if (species >= len(self.names)).any():
            raise DatasetError(
                f"{name} has particles of species number {species.max()}; the network knows {len(self.names)} species,"
                f" {', '.join(self.names)}, counted from 0",
                "Train a network on data of this mixture.",
            )
        learned = self.learned(species)
        if not learned.any():
            names = " or ".join(self.names[kind] for kind in self.kinds)
            raise DatasetError(f"{name} has no particle of species {names}", "Choose another targets.species.")
        return learned

    def labels(self, sample: Sample) -> list[FloatArray]:
        """Return the labels of `sample`, (N, K) or (1, K): one array, or one per draw.

        Raises `DatasetError` if no particle is learned, if one whose logarithm is learned has not moved, or if `sample`
        was not observed at one of the times.
        """
        learned = self.learned_or_refused(sample.configuration.species, sample.identifier)
        if self.of_particles:
            values = [particle_labels(sample, self.times, self.quantity)]
        else:
            draws = msd_a_draws(sample, self.times)
            values = [draw[None] for draw in draws] if self.each_draw else [draws.mean(0, keepdims=True)]
        if not self.logarithm:
            return values
        if any((value[learned] <= 0).any() for value in values):
            raise DatasetError(
                f"{sample.identifier}: a particle has not moved at all, and 0 has no logarithm",
                'Learn displacements as they are: targets.scale = "linear".',
            )
        return [np.log(np.where(learned[:, None], value, 1.0)) for value in values]

    def mean_label(self, sample: Sample) -> FloatArray:
        """Return what baselines learn of a configuration, (K,): ln of its mean; with `each_draw`, the mean ln."""
        if self.each_draw:
            return np.log(msd_a_draws(sample, self.times)).mean(0)  # type: ignore[no-any-return]
        return log_mean(sample, self.times, self.quantity, self.kind)

    def of_each_particle(self, output: FloatArray, species: ByteArray, factors: FloatArray) -> FloatArray:
        """Return the quantity of every particle, (N, K), from the `output` of a particle head in the labels' units.

        `species` (N,). Exponentials are multiplied by `factors` (S, K), of each species. NaN where a species is not
        learned.
        """
        learned = self.learned(species)
        values = np.full(output.shape, np.nan)
        values[learned] = np.exp(output[learned]) * factors[species[learned]] if self.logarithm else output[learned]
        return values

    def of_configuration(
        self, output: FloatArray, species: ByteArray, factors: FloatArray, mean_label: FloatArray
    ) -> FloatArray:
        """Return ln of the mean of the quantity over the particles of `kind`, (K,), from a head's `output` (R, K).

        On a linear scale at least ln of `FLOOR` times `mean_label` (K,); other arguments as in `of_each_particle`.
        """
        if self.logarithm and not self.of_particles:
            return np.array(output[0])
        mean: FloatArray = output[0]
        if self.of_particles:
            mean = self.of_each_particle(output, species, factors)[species == self.kind].mean(0)
        predicted: FloatArray = np.log(mean if self.logarithm else np.maximum(mean, FLOOR * mean_label))
        return predicted


def _kinds(species: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the numbers of the species that a run's `species` stands for. Raises `SettingsError`."""
    if species in names:
        return (names.index(species),)
    if species == ALL or (species == BOTH and len(names) == 2):
        return tuple(range(len(names)))
    if species == FIRST:
        return (0,)
    raise SettingsError(
        f"targets.species: got '{species}'; the species of the data are {', '.join(names)}",
        "Name one of them, or 'all'.",
    )
