"""Cross-validation by configuration: every draw of a configuration stays on one side, unless the leak is wanted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from glassformer.core.arrays import ISOCONFIGURATIONAL
from glassformer.core.errors import DatasetError
from glassformer.core.layout import Draw
from glassformer.core.run import Split
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.sample import Ensemble, Sample


@dataclass(frozen=True)
class Fold:
    """Indices into the list of samples: disjoint and, unless only a share is trained on, together all of them."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def folds(samples: Sequence[Sample], split: Split, seed: int) -> list[Fold]:
    """Return `split.folds` folds, or the first `split.trained_folds` of them; a configuration is tested at most once.

    Configurations are shuffled within their state point and dealt to the folds in turn, so that every fold tests every
    state point. From the rest, `validation_per_state_point` a state point choose the best epoch; the others train.
    Raises `DatasetError` if a state point has too few configurations.
    """
    by_state_point: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        by_state_point.setdefault(sample.facts.state_point, []).append(index)
    parts: list[tuple[list[int], list[int], list[int]]] = [([], [], []) for _ in range(split.folds)]
    for label, members in sorted(by_state_point.items()):
        most_tested = -(-len(members) // split.folds)
        if len(members) < split.folds or len(members) - most_tested - split.validation_per_state_point < 1:
            raise DatasetError(
                f"state point {label} has {len(members)} configurations: too few for {split.folds} folds with"
                f" {split.validation_per_state_point} for validation",
                "Simulate more configurations, or ask for fewer folds.",
            )
        shuffled = generator(named_seed(seed, "folds", label)).permutation(members)
        for number, (train, validation, test) in enumerate(parts):
            tested = shuffled[number :: split.folds]
            # Start after the tested ones, so that validation, too, falls on different configurations in every fold.
            rest = np.roll(shuffled, -number - 1)
            rest = rest[~np.isin(rest, tested)]
            test.extend(map(int, tested))
            validation.extend(map(int, rest[: split.validation_per_state_point]))
            trained = rest[split.validation_per_state_point :]
            train.extend(map(int, trained[: math.ceil(split.training_share * len(trained))]))
    return [Fold(tuple(train), tuple(validation), tuple(test)) for train, validation, test in parts][
        : split.trained_folds
    ]


def draws_of(samples: Sequence[Sample]) -> list[Draw]:
    """Return every draw of `samples`, in the order of `single_draws`."""
    return [Draw(sample.identifier, draw) for sample in samples for draw in range(len(sample.observed("seeds")))]


def single_draws(samples: Sequence[Sample], counts: Sequence[int] | None = None) -> Sequence[Sample]:
    """Return every draw as a sample of its own, without what is only known of them together.

    Their configurations are those of `samples`, each several times: a split of these leaks. With `counts`, the numbers
    of their draws, `samples` are not looked at before a draw is asked for.
    """
    if counts is None:
        counts = [len(sample.observed("seeds")) for sample in samples]
    return SingleDraws(samples, [(place, draw) for place, count in enumerate(counts) for draw in range(count)])


class SingleDraws(Sequence[Sample]):
    """Draws of `samples` as samples of their own, made when they are asked for: `places` are sample and draw."""

    def __init__(self, samples: Sequence[Sample], places: Sequence[tuple[int, int]]) -> None:
        self._samples, self._places = samples, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return SingleDraws(self._samples, self._places[index])
        place, draw = self._places[index]
        sample = self._samples[place]
        return replace(sample, ensemble=_one_draw(sample.dynamics, draw))


def _one_draw(ensemble: Ensemble, draw: int) -> Ensemble:
    """Return draw number `draw` alone, without particle times: of these, means over draws are known."""
    chosen: dict[str, Any] = {}
    for spec in ISOCONFIGURATIONAL:
        array = getattr(ensemble, spec.name)
        if array is not None and spec.kind == "draw":
            array = array[draw : draw + 1]
        if array is not None and "S" in spec.shape:
            array = None if spec.optional else array.take([], spec.shape.index("S"))
        chosen[spec.name] = array
    return Ensemble(**chosen)
