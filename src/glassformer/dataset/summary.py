"""What a dataset holds, a line per state point."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.consistency import check_state_points
from glassformer.dataset.digest import Digest
from glassformer.dataset.sample import Sample
from glassformer.observables.relaxation import relaxation_time


@dataclass(frozen=True)
class StatePointSummary:
    """One state point: its sizes, density, relaxation time and how well it was equilibrated.

    `bare` of its configurations have no draws; what only draws tell is that of the others, NaN if there are none, and
    `draws` the smallest number that one of these has, 0 where that is not known. Of `means` of its configurations
    nothing but the mean over draws of each particle's displacement is known.

    `mixture` and `composition` name the liquid. `tau_alpha` is that of the mean F_s of the first species over
    configurations and draws; NaN if the draws are too short for it. `slowest_tau_alpha` is the largest of any single
    configuration. `hold_tau_alpha` is the mean of those measured while holding, `in_equilibrium` the number of
    configurations of which equilibrium was shown, `examined` of those examined for it, `conserving_energy` of those
    whose draws conserve energy, and `crystalline_fraction` the largest of any configuration.
    `equilibration_in_tau_alpha` counts in `tau_alpha`, else in `hold_tau_alpha`.
    """

    label: str
    temperature: float
    pressure: float | None
    particles: int
    configurations: int
    draws: int
    density: float
    density_std: float
    tau_alpha: float
    slowest_tau_alpha: float
    hold_tau_alpha: float
    equilibration_time: float
    equilibration_in_tau_alpha: float
    in_equilibrium: int
    examined: int
    crystalline_fraction: float
    last_time: float
    energy_drift: float
    conserving_energy: int
    engine: str | None
    cutoff: str
    mixture: str
    species: tuple[str, ...]
    composition: str
    dimension: int
    bare: int = 0
    means: int = 0

    @property
    def shown(self) -> str:
        """Of how many configurations equilibrium was shown, in words for a table."""
        if not self.examined:
            return "not examined"
        whole = self.examined == self.configurations
        return f"{self.in_equilibrium} of {self.examined}{'' if whole else ' examined'}"

    def as_json(self) -> dict[str, Any]:
        """Return the summary with null for NaN, which JSON does not have."""
        return {name: None if _is_nan(value) else value for name, value in asdict(self).items()}


def by_state_point(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return the samples of each state point, coldest first.

    Raises `DatasetError` if those of one do not belong together: `glassformer.dataset.consistency`.
    """
    check_state_points(samples)
    ordered = sorted(samples, key=lambda sample: (sample.facts.temperature, sample.facts.state_point))
    groups: dict[str, list[Sample]] = {}
    for sample in ordered:
        groups.setdefault(sample.facts.state_point, []).append(sample)
    return groups


def mean_over_ensembles(samples: Sequence[Sample], observable: str) -> FloatArray:
    """Return a row of the schema with a value for every draw, such as 'msd', averaged over draws: (C, T, S).

    Raises `DatasetError` if a sample has no draws, lacks the row, or they were not observed at the same times.
    """
    times = samples[0].dynamics.times
    for sample in samples:
        if not np.array_equal(sample.dynamics.times, times):
            raise DatasetError(
                f"{sample.identifier} and {samples[0].identifier} were observed at different times",
                "Keep samples of different schedules in different datasets.",
            )
    return np.stack([sample.observed(observable).mean(0) for sample in samples])


def summarise(samples: Sequence[Sample]) -> list[StatePointSummary]:
    """Return one summary a state point. Raises `DatasetError` if the samples of one do not belong together."""
    check_state_points(samples)
    return summarise_digests([Digest.of(sample) for sample in samples])


def summarise_digests(digests: Sequence[Digest]) -> list[StatePointSummary]:
    """Return one summary a state point, coldest first, of samples that are known to belong together.

    Raises `DatasetError` if draws of one state point were observed at different times.
    """
    groups: dict[tuple[float, str], list[Digest]] = {}
    for one in digests:
        groups.setdefault((one.definition.temperature, one.definition.state_point), []).append(one)
    return [_summarise(label, members) for (_, label), members in sorted(groups.items())]


def _summarise(label: str, members: list[Digest]) -> StatePointSummary:
    first = members[0]
    density = np.array([one.definition.number_density for one in members])
    followed = [one for one in members if one.followed]
    curves = [one for one in followed if one.scattering is not None]
    tau_alpha = slowest = math.nan
    if curves:
        times, scattering = _together(curves)
        tau_alpha = relaxation_time(times, scattering.mean(0))
        slowest = float(np.max([one.tau_alpha for one in curves]))
    held = float(np.min([one.equilibration_time for one in members]))
    hold_tau_alpha = float(np.mean([one.hold_tau_alpha for one in members]))
    fractions = [one.crystalline_fraction for one in members if not math.isnan(one.crystalline_fraction)]
    return StatePointSummary(
        label=label,
        temperature=first.definition.temperature,
        pressure=first.definition.pressure,
        particles=first.definition.particles,
        configurations=len(members),
        draws=min((one.draws for one in followed), default=0),
        density=float(density.mean()),
        density_std=float(density.std(ddof=1)) if len(members) > 1 else 0.0,
        tau_alpha=tau_alpha,
        slowest_tau_alpha=slowest,
        hold_tau_alpha=hold_tau_alpha,
        equilibration_time=held,
        equilibration_in_tau_alpha=held / (hold_tau_alpha if math.isnan(tau_alpha) else tau_alpha),
        in_equilibrium=sum(one.equilibrated is True for one in members),
        examined=sum(one.equilibrated is not None for one in members),
        crystalline_fraction=max(fractions, default=math.nan),
        last_time=followed[0].last_time if followed else math.nan,
        energy_drift=max((one.energy_drift for one in followed), default=math.nan),
        conserving_energy=sum(one.conserves_energy for one in members),
        engine=(followed or members)[0].engine,
        cutoff=first.definition.mixture,
        bare=len(members) - len(followed),
        means=len(followed) - len(curves),
        mixture=first.liquid,
        species=first.species,
        composition=first.composition,
        dimension=first.dimension,
    )


def _together(curves: list[Digest]) -> tuple[FloatArray, FloatArray]:
    """Return the times (T,) and F_s of all `curves` (C, T). Raises `DatasetError` if their times differ."""
    times = curves[0].times
    for one in curves:
        if one.times is not times and not np.array_equal(one.times, times):  # type: ignore[arg-type]
            raise DatasetError(
                f"{one.definition.identifier} and {curves[0].definition.identifier} were observed at different times",
                "Keep samples of different schedules in different datasets.",
            )
    return np.asarray(times), np.stack([np.asarray(one.scattering) for one in curves])


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
