"""Observables of a dataset, one table per state point: from samples to columns of numbers.

Columns called `_error` hold the standard error of the mean over configurations; with one configuration they are NaN:
draws of one configuration are not independent samples of the liquid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.consistency import check_state_points
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, mean_over_ensembles
from glassformer.evaluate.axis_labels import (
    DISTANCE_LABEL,
    MSD_LABEL,
    TEMPERATURE_LABEL,
    TIME_LABEL,
    VOLUME_LABEL,
    WAVE_NUMBER_LABEL,
)
from glassformer.observables.displacements import non_gaussian
from glassformer.observables.overlap import dynamic_susceptibility
from glassformer.observables.propensity import moment_ceiling, split_half_ceiling
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from glassformer.physics.configuration import SPECIES_A

Columns = dict[str, FloatArray]

# Bin widths and ranges, in sigma_AA and its inverse.
BIN, FARTHEST, LARGEST_WAVE_NUMBER = 0.02, 5.0, 20.0
# Widest displacement of the van Hove functions.
FARTHEST_JUMP = 3.0
# Draws of a configuration that enter the averages over pairs, which cost seconds each.
PAIR_DRAWS = 4
# Rows of an equilibration's trace that are averaged into one point of V(T).
ROWS_A_POINT = 10


@dataclass(frozen=True)
class Observable:
    """How the columns of an observable are made and drawn.

    `x` and `lines` are names of columns; `x_label` and `y_label` go to the axes. A `symbol` stands for a scattering
    function, whose wave numbers the samples know, in the place of `y_label`. `needs`: without what `lines` are
    undefined.
    """

    name: str
    meaning: str
    columns: Callable[[Sequence[Sample]], Columns]
    x: str
    lines: tuple[str, ...]
    x_label: str
    y_label: str
    log_x: bool = True
    log_y: bool = False
    points: bool = False
    symbol: str = ""
    needs: str = ""


def _mean_and_error(name: str, values: FloatArray) -> Columns:
    """Return the mean over the first axis and its standard error."""
    number = len(values)
    error = values.std(0, ddof=1) / np.sqrt(number) if number > 1 else np.full(values.shape[1:], np.nan)
    return {name: values.mean(0), f"{name}_error": error}


def _by_species(name: str, values: FloatArray) -> Columns:
    """Return mean and error over configurations of `values` (C, T, 2), for A and B."""
    return _mean_and_error(f"{name}_a", values[..., 0]) | _mean_and_error(f"{name}_b", values[..., 1])


def _times(samples: Sequence[Sample]) -> Columns:
    return {"time": samples[0].dynamics.times}


def msd(samples: Sequence[Sample]) -> Columns:
    """Mean squared displacement of A and of B."""
    return _times(samples) | _by_species("msd", mean_over_ensembles(samples, "msd"))


def self_scattering(samples: Sequence[Sample]) -> Columns:
    """F_s of A and of B."""
    return _times(samples) | _by_species("f_s", mean_over_ensembles(samples, "self_scattering"))


def alpha_2(samples: Sequence[Sample]) -> Columns:
    """Non-Gaussian parameter of A and of B, from the moments averaged over all draws and configurations."""
    _need(samples, "quartic")
    second = mean_over_ensembles(samples, "msd").mean(0)
    fourth = mean_over_ensembles(samples, "quartic").mean(0)
    ratio = non_gaussian(second, fourth)
    return _times(samples) | {"alpha_2_a": ratio[:, 0], "alpha_2_b": ratio[:, 1]}


def overlap(samples: Sequence[Sample]) -> Columns:
    """Self overlap of A and its susceptibility chi_4.

    `chi_4_draws` = N <var_draws Q> is the fluctuation between the draws of a configuration, the dynamic part; `chi_4` =
    (1 - 1 / D) chi_4_draws + N var_configurations <Q>_draws that of any draw of any configuration, NaN with one of
    them. Draws have one energy each, and the box does not breathe: both are lower than in an open system.
    """
    _need(samples, "overlap")
    curves = [np.asarray(sample.dynamics.overlap)[:, :, SPECIES_A] for sample in samples]
    numbers = [int((sample.configuration.species == SPECIES_A).sum()) for sample in samples]
    # A single draw says nothing of the fluctuation between draws.
    several = [(curve, number) for curve, number in zip(curves, numbers, strict=True) if len(curve) > 1]
    each = [dynamic_susceptibility(curve, number) for curve, number in several]
    within = np.mean(each, 0) if each else np.full(curves[0].shape[1], np.nan)
    by_configuration = np.stack([curve.mean(0) for curve in curves])
    # The mean over D draws still holds a D-th of their own fluctuation.
    counted_twice = within * np.mean([1 / len(curve) for curve in curves])
    overall = within - counted_twice + dynamic_susceptibility(by_configuration, float(np.mean(numbers)))
    means = _mean_and_error("overlap", by_configuration)
    return _times(samples) | means | {"chi_4_draws": within, "chi_4": overall}


def pair_correlation(samples: Sequence[Sample]) -> Columns:
    """Partial radial distribution functions of the configurations."""
    farthest = min(FARTHEST, *(float(sample.configuration.box.min()) / 2 for sample in samples))
    edges = np.arange(0, farthest, BIN)
    values = np.stack(
        [radial_distribution(c.positions, c.species, c.box, edges) for c in (s.configuration for s in samples)]
    )
    return {"r": (edges[1:] + edges[:-1]) / 2} | _by_pair("g", values)


def structure(samples: Sequence[Sample]) -> Columns:
    """Partial and total structure factors of the configurations, in shells that follow each box."""
    check_state_points(samples)
    found = [
        structure_factor(c.positions, c.species, c.box, LARGEST_WAVE_NUMBER) for c in (s.configuration for s in samples)
    ]
    # Boxes of NPT differ a little, and so do the shells: the shortest list has them all.
    shells = min(len(wave_numbers) for wave_numbers, _ in found)
    wave_numbers = np.mean([numbers[:shells] for numbers, _ in found], 0)
    partials = np.stack([values[:shells] for _, values in found])
    total = _mean_and_error("s", total_structure_factor(partials))
    return {"k": wave_numbers} | _by_pair("s", np.moveaxis(partials, 2, 1)) | total


def van_hove(samples: Sequence[Sample]) -> Columns:
    """Self part of the van Hove function at every particle time: density of |r(t) - r(0)| for A and for B."""
    edges = np.arange(0, FARTHEST_JUMP + BIN / 2, BIN)
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    for number, time in enumerate(_particle_times(samples)):
        values = [
            np.mean(
                [self_van_hove(draw[number].astype(np.float64), s.configuration.species, edges) for draw in _draws(s)],
                0,
            )
            for s in samples
        ]
        columns |= _by_species(f"t{time:g}", np.moveaxis(np.stack(values), 1, 2))
    return columns


def distinct(samples: Sequence[Sample]) -> Columns:
    """Distinct part of the van Hove function over the density, at every particle time."""
    farthest = min(FARTHEST, *(float(sample.configuration.box.min()) / 2 for sample in samples))
    edges = np.arange(0, farthest, BIN)
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    for number, time in enumerate(_particle_times(samples)):
        values = []
        for sample in samples:
            c = sample.configuration
            draws = [draw[number].astype(np.float64) for draw in _draws(sample)[:PAIR_DRAWS]]
            values.append(np.mean([distinct_van_hove(c.positions, draw, c.species, c.box, edges) for draw in draws], 0))
        columns |= _by_pair(f"t{time:g}", np.stack(values))
    return columns


def collective(samples: Sequence[Sample]) -> Columns:
    """Coherent F(k, t) of A and of B at t = 0 and the particle times, at the wave numbers of F_s."""
    times = np.concatenate([[0.0], _particle_times(samples)])
    values = np.stack([_collective(sample) for sample in samples])
    return {"time": times} | _by_species("f", values)


def _collective(sample: Sample) -> FloatArray:
    """Return F(k, t) (1 + S, 2) of one configuration, mean over its draws, each species at its own wave number."""
    c, draws = sample.configuration, _draws(sample)[:PAIR_DRAWS]
    still = np.zeros((1, 1, c.particles, 3), np.float32)
    result = []
    for species, wave_number in enumerate(sample.facts.mixture.wave_numbers):
        # A shell as wide as the spacing of the wave vectors.
        width = float(np.pi / c.box.min())

        def curve(moves: FloatArray, k: float = wave_number, half: float = width, kind: int = species) -> float:
            return float(collective_scattering(c.positions, moves, c.species, c.box, k, half)[kind])

        moments = [still[0], *np.moveaxis(draws, 1, 0)]
        result.append([np.mean([curve(draw.astype(np.float64)) for draw in moment]) for moment in moments])
    return np.array(result).T


def propensity(samples: Sequence[Sample]) -> Columns:
    """Mean propensity of A at the particle times, its spread, and the ceiling that the draws' noise leaves.

    `ceiling` is the Pearson correlation that a perfect predictor of the true propensity would reach, from the spread of
    the draws; `ceiling_halves` the same from split halves, where the displacements of the draws are kept.
    """
    times = _particle_times(samples, kept=False)
    means, spreads, ceilings, halves = (np.full((len(samples), len(times)), np.nan) for _ in range(4))
    for row, sample in enumerate(samples):
        of_a, ensemble = sample.configuration.species == SPECIES_A, sample.dynamics
        for number in range(len(times)):
            mean = ensemble.displacement_mean[number, of_a].astype(np.float64)
            squared = ensemble.displacement_sq_mean[number, of_a].astype(np.float64)
            means[row, number], spreads[row, number] = mean.mean(), mean.std()
            ceilings[row, number] = moment_ceiling(mean, squared, len(ensemble.seeds))
            if ensemble.displacements is not None:
                draws = ensemble.displacements[:, number].astype(np.float64)
                halves[row, number] = split_half_ceiling(draws, sample.configuration.species)
    columns = {"time": times} | _mean_and_error("propensity", means) | {"spread": spreads.mean(0)}
    return columns | _mean_and_error("ceiling", ceilings) | {"ceiling_halves": halves.mean(0)}


def volume(samples: Sequence[Sample]) -> Columns:
    """Volume and potential energy per particle, and pressure, against temperature on the way to the state point."""
    points = []
    for sample in samples:
        record = sample.equilibration
        if record is None:
            raise DatasetError(f"{sample.identifier} holds no equilibration", "It was not simulated by glassformer.")
        # Not the windows of holding, nor the start, which comes from a minimised random structure.
        way = record.time <= record.time[-1] - record.windows[:, 0].sum() + 1e-9
        rows = np.stack([record.temperature, 1 / record.density, record.potential_energy, record.pressure], 1)
        rows = rows[way][ROWS_A_POINT:]
        usable = len(rows) - len(rows) % ROWS_A_POINT
        if not usable:
            raise DatasetError(
                f"{sample.identifier} was equilibrated too shortly for V(T): {len(rows)} rows", "Cool it for longer."
            )
        points.append(rows[:usable].reshape(-1, ROWS_A_POINT, 4).mean(1))
    columns = np.concatenate(points)
    columns = columns[np.argsort(columns[:, 0])]
    return dict(zip(("temperature", "volume", "potential_energy", "pressure"), columns.T.copy(), strict=True))


def _by_pair(name: str, values: FloatArray) -> Columns:
    """Return mean and error over configurations of `values` (C, 3, bins): AA, AB, BB."""
    columns: Columns = {}
    for number, pair in enumerate(("aa", "ab", "bb")):
        columns |= _mean_and_error(f"{name}_{pair}", values[:, number])
    return columns


_REMEDIES = {"displacements": "Simulate with --set keep_displacements=true."}
_NOT_RECORDED = "It was imported, or made by a version that did not record this: simulate it with this one."


def _need(samples: Sequence[Sample], array: str) -> None:
    for sample in samples:
        if getattr(sample.dynamics, array) is None:
            raise DatasetError(f"{sample.identifier} holds no {array}", _REMEDIES.get(array, _NOT_RECORDED))


def _draws(sample: Sample) -> np.ndarray:
    """Return the kept displacements (D, S, N, 3)."""
    return np.asarray(sample.dynamics.displacements)


def _particle_times(samples: Sequence[Sample], kept: bool = True) -> FloatArray:
    """Return the particle times, which all samples must share, and check that displacements are kept if needed."""
    if kept:
        _need(samples, "displacements")
    times = samples[0].dynamics.particle_times
    for sample in samples:
        if not np.array_equal(sample.dynamics.particle_times, times):
            raise DatasetError(
                f"{sample.identifier} and {samples[0].identifier} have different particle times",
                "Keep samples of different particle times in different datasets.",
            )
    if not len(times):
        raise DatasetError(f"{samples[0].identifier} has no particle times", "Set particle_times in the campaign.")
    return times


_TWO = "two draws of each configuration"
OBSERVABLES = {
    observable.name: observable
    for observable in (
        Observable("msd", "mean squared displacement", msd, "time", ("msd_a", "msd_b"), TIME_LABEL,
                   f"MSD  {MSD_LABEL}", log_y=True),
        Observable("scattering", "self intermediate scattering function, with KWW fits", self_scattering, "time",
                   ("f_s_a", "f_s_b"), TIME_LABEL, "", symbol="F_s"),
        Observable("non-gaussian", "non-Gaussian parameter", alpha_2, "time", ("alpha_2_a", "alpha_2_b"), TIME_LABEL,
                   r"non-Gaussian parameter  $\alpha_2(t)$"),
        Observable("overlap", "self overlap of A", overlap, "time", ("overlap",), TIME_LABEL,
                   "self overlap  $Q(t)$ of A"),
        Observable("chi4", "dynamic susceptibility of A", overlap, "time", ("chi_4", "chi_4_draws"), TIME_LABEL,
                   r"dynamic susceptibility  $\chi_4(t)$ of A", needs=_TWO),
        Observable("rdf", "partial radial distribution functions", pair_correlation, "r", ("g_aa", "g_ab", "g_bb"),
                   DISTANCE_LABEL, "radial distribution  $g(r)$", log_x=False),
        Observable("structure", "partial and total structure factors", structure, "k", ("s", "s_aa", "s_ab", "s_bb"),
                   WAVE_NUMBER_LABEL, "structure factor  $S(k)$", log_x=False),
        Observable("van-hove", "self van Hove function at the particle times", van_hove, "r", (), DISTANCE_LABEL,
                   r"$4 \pi r^2 G_s(r, t)$ of A  [$\sigma_{AA}^{-1}$]", log_x=False),
        Observable("distinct", "distinct van Hove function at the particle times", distinct, "r", (), DISTANCE_LABEL,
                   r"$G_d(r, t) / \rho$ of A with A", log_x=False),
        Observable("collective", "coherent scattering function at the particle times", collective, "time",
                   ("f_a", "f_b"), TIME_LABEL, "", points=True, symbol="F"),
        Observable("propensity", "ceiling of the correlation with the propensity", propensity, "time",
                   ("ceiling", "ceiling_halves"), TIME_LABEL, "ceiling of Pearson's $r$ with the propensity of A",
                   points=True, needs=_TWO),
        Observable("volume", "volume against temperature on the way to the state point", volume, "temperature",
                   ("volume",), TEMPERATURE_LABEL, VOLUME_LABEL, log_x=False, points=True),
    )
}  # fmt: skip
# What every dataset has; the others need displacements, or a run through many temperatures.
DEFAULT = ("msd", "scattering", "non-gaussian", "overlap", "chi4", "rdf", "structure", "propensity")

Problem = tuple[str, str, DatasetError]


def make_tables(samples: Sequence[Sample], names: Sequence[str]) -> tuple[dict[str, dict[str, Columns]], list[Problem]]:
    """Return the columns of every observable and state point, and what could not be made: observable, label, why."""
    tables: dict[str, dict[str, Columns]] = {name: {} for name in names}
    problems: list[Problem] = []
    for name in names:
        observable = OBSERVABLES[name]
        for label, members in by_state_point(samples).items():
            try:
                columns = observable.columns(members)
                if not any(np.isfinite(columns[line]).any() for line in lines_of(observable, columns)):
                    raise DatasetError(
                        f"every value of it is undefined at {label}; it takes {observable.needs or 'values'}",
                        "Leave it out, or simulate more draws.",
                    )
            except DatasetError as error:
                problems.append((name, label, error))
                continue
            tables[name][label] = columns
    return tables, problems


def lines_of(observable: Observable, columns: Columns) -> tuple[str, ...]:
    """Return the columns that are drawn: without names, those of the first species, or pair of them, at every time."""
    in_time = tuple(name for name in columns if name.startswith("t") and name.endswith(("_a", "_aa")))
    return observable.lines or in_time
