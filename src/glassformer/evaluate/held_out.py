"""Scores of held-out propensities, configuration by configuration, beside baselines that read one descriptor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.dataset.held_out import HeldOut
from glassformer.evaluate.propensity_scores import PropensityScore, correlation, score_propensities


@dataclass(frozen=True, eq=False)
class HeldOutRow:
    """Scores at one state point and time, over the particles of one species.

    `score` of the model; `pearson` (C,): its correlation in every configuration; `baselines`: (C,) of each baseline.
    """

    state_point: str
    temperature: float
    time: float
    species: str
    configurations: tuple[str, ...]
    score: PropensityScore
    pearson: FloatArray
    baselines: Mapping[str, FloatArray]

    @property
    def best(self) -> str:
        """The baseline with the largest mean correlation."""
        return max(self.baselines, key=lambda name: float(self.baselines[name].mean()))

    @property
    def wins(self) -> int:
        """In how many configurations the model's correlation is positive and above that of every baseline."""
        most = np.max([*self.baselines.values(), np.zeros(len(self.pearson))], axis=0)
        return int((self.pearson > most).sum())

    def as_json(self) -> dict[str, Any]:
        """Return plain values: the scores, and the correlations of every configuration by its name."""
        every = {"ridge": self.pearson, **self.baselines}
        return {
            "state_point": self.state_point,
            "temperature": self.temperature,
            "time": self.time,
            "species": self.species,
            "ridge": self.score.as_json(),
            "baselines": {name: float(values.mean()) for name, values in self.baselines.items()},
            "by_configuration": {
                name: {model: float(values[place]) for model, values in every.items()}
                for place, name in enumerate(self.configurations)
            },
        }


def held_out_rows(parts: Sequence[HeldOut]) -> list[HeldOutRow]:
    """Return the scores of `parts`, one row per state point, species and time, coldest first."""
    return [
        _row(part, kind, place)
        for part in sorted(parts, key=lambda part: (part.temperature, part.state_point))
        for kind in range(len(part.species_names))
        for place in range(len(part.times))
        if (part.species == kind).any()
    ]


def _row(part: HeldOut, kind: int, place: int) -> HeldOutRow:
    labels, predictions = _of(part, part.label[:, place], kind), _of(part, part.prediction[:, place], kind)
    baselines = {
        name: _correlations(_of(part, part.baselines[:, place, number], kind), labels)
        for number, name in enumerate(part.baseline_names)
    }
    return HeldOutRow(
        part.state_point,
        part.temperature,
        float(part.times[place]),
        part.species_names[kind],
        part.configurations,
        score_propensities(predictions, labels, part.ceilings[:, kind, place].tolist()),
        _correlations(predictions, labels),
        baselines,
    )


def _of(part: HeldOut, values: Any, kind: int) -> list[FloatArray]:
    """Return `values` (P,) of the particles of species number `kind`, (n,) per configuration."""
    places = [part.of_particles(number) for number in range(len(part.configurations))]
    return [values[place][part.species[place] == kind].astype(np.float64) for place in places]


def _correlations(predictions: Sequence[FloatArray], labels: Sequence[FloatArray]) -> FloatArray:
    return np.array([correlation(one, label) for one, label in zip(predictions, labels, strict=True)])
