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
    AREA_LABEL,
    DISTANCE_LABEL,
    MSD_LABEL,
    TEMPERATURE_LABEL,
    TIME_LABEL,
    VOLUME_LABEL,
    WAVE_NUMBER_LABEL,
)
from glassformer.evaluate.columns import Columns, by_pair, by_species, mean_and_error
from glassformer.observables.displacements import non_gaussian
from glassformer.observables.overlap import dynamic_susceptibility
from glassformer.observables.propensity import moment_ceiling, split_half_ceiling
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove

# Bin widths and ranges, in sigma_AA and its inverse.
BIN, FARTHEST, LARGEST_WAVE_NUMBER = 0.02, 5.0, 20.0
# Widest displacement of the van Hove functions.
FARTHEST_JUMP = 3.0
# Draws of a configuration that enter the averages over pairs, which cost seconds each.
PAIR_DRAWS = 4
# Stands in labels for the name of the first species.
FIRST = "FIRST"
# Rows of an equilibration's trace that are averaged into one point of V(T).
ROWS_A_POINT = 10


@dataclass(frozen=True)
class Observable:
    """How the columns of an observable are made and drawn.

    `x` and `lines` are names of columns; one that ends in `*` stands for all columns that begin so, but for errors.
    `x_label` and `y_label` go to the axes; `y_label_2d` in two dimensions, where it differs. In labels FIRST stands for
    the name of the first species. A `symbol` stands for a scattering function, whose wave numbers the samples know, in
    the place of `y_label`. `needs`: without what `lines` are undefined. `definition`: what the caption of the figure
    adds to its `meaning`.
    """

    name: str
    meaning: str
    definition: str
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
    y_label_2d: str = ""


def _species(samples: Sequence[Sample]) -> tuple[str, ...]:
    return samples[0].mixture.species


def _times(samples: Sequence[Sample]) -> Columns:
    return {"time": samples[0].dynamics.times}


def msd(samples: Sequence[Sample]) -> Columns:
    """Mean squared displacement of each species."""
    return _times(samples) | by_species("msd", mean_over_ensembles(samples, "msd"), _species(samples))


def self_scattering(samples: Sequence[Sample]) -> Columns:
    """F_s of each species."""
    return _times(samples) | by_species("f_s", mean_over_ensembles(samples, "self_scattering"), _species(samples))


def alpha_2(samples: Sequence[Sample]) -> Columns:
    """Non-Gaussian parameter of each species, from the moments averaged over all draws and configurations."""
    _need(samples, "quartic")
    second = mean_over_ensembles(samples, "msd").mean(0)
    fourth = mean_over_ensembles(samples, "quartic").mean(0)
    mixture = samples[0].mixture
    ratio = non_gaussian(second, fourth, mixture.dimension)
    return _times(samples) | {
        f"alpha_2_{species.lower()}": ratio[:, kind] for kind, species in enumerate(mixture.species)
    }


def overlap(samples: Sequence[Sample]) -> Columns:
    """Self overlap of the first species and its susceptibility chi_4.

    `chi_4_draws` = N <var_draws Q> is the fluctuation between the draws of a configuration, the dynamic part; `chi_4` =
    (1 - 1 / D) chi_4_draws + N var_configurations <Q>_draws that of any draw of any configuration, NaN with one of
    them. Draws have one energy each, and the box does not breathe: both are lower than in an open system.
    """
    _need(samples, "overlap")
    curves = [np.asarray(sample.dynamics.overlap)[:, :, 0] for sample in samples]
    numbers = [int((sample.configuration.species == 0).sum()) for sample in samples]
    # A single draw says nothing of the fluctuation between draws.
    several = [(curve, number) for curve, number in zip(curves, numbers, strict=True) if len(curve) > 1]
    each = [dynamic_susceptibility(curve, number) for curve, number in several]
    within = np.mean(each, 0) if each else np.full(curves[0].shape[1], np.nan)
    by_configuration = np.stack([curve.mean(0) for curve in curves])
    # The mean over D draws still holds a D-th of their own fluctuation.
    counted_twice = within * np.mean([1 / len(curve) for curve in curves])
    overall = within - counted_twice + dynamic_susceptibility(by_configuration, float(np.mean(numbers)))
    means = mean_and_error("overlap", by_configuration)
    return _times(samples) | means | {"chi_4_draws": within, "chi_4": overall}


def pair_correlation(samples: Sequence[Sample]) -> Columns:
    """Partial radial distribution functions of the configurations."""
    edges, mixture = _distances(samples), samples[0].mixture
    values = np.stack(
        [
            radial_distribution(c.positions, c.species, c.box, edges, mixture.kinds, mixture.dimension)
            for c in (sample.configuration for sample in samples)
        ]
    )
    return {"r": (edges[1:] + edges[:-1]) / 2} | by_pair("g", values, mixture.species)


def _distances(samples: Sequence[Sample]) -> FloatArray:
    """Return the edges of bins of distances, up to half of the shortest box edge."""
    farthest = min(FARTHEST, *(float(sample.configuration.edges.min()) / 2 for sample in samples))
    return np.arange(0, farthest, BIN)


def structure(samples: Sequence[Sample]) -> Columns:
    """Partial and total structure factors of the configurations, in shells that follow each box."""
    check_state_points(samples)
    mixture = samples[0].mixture
    found = [
        structure_factor(c.positions, c.species, c.box, LARGEST_WAVE_NUMBER, mixture.kinds, mixture.dimension)
        for c in (sample.configuration for sample in samples)
    ]
    # Boxes of NPT differ a little, and so do the shells: the shortest list has them all.
    shells = min(len(wave_numbers) for wave_numbers, _ in found)
    wave_numbers = np.mean([numbers[:shells] for numbers, _ in found], 0)
    partials = np.stack([values[:shells] for _, values in found])
    total = mean_and_error("s", total_structure_factor(partials))
    return {"k": wave_numbers} | by_pair("s", np.moveaxis(partials, 2, 1), mixture.species) | total


def van_hove(samples: Sequence[Sample]) -> Columns:
    """Self part of the van Hove function at every particle time: density of |r(t) - r(0)| of each species."""
    edges = np.arange(0, FARTHEST_JUMP + BIN / 2, BIN)
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    kinds = len(_species(samples))
    for number, time in enumerate(shared_particle_times(samples)):
        values = []
        for sample in samples:
            species = sample.configuration.species
            draws = (draw[number].astype(np.float64) for draw in _draws(sample))
            values.append(np.mean([self_van_hove(draw, species, edges, kinds) for draw in draws], 0))
        columns |= by_species(f"t{time:g}", np.moveaxis(np.stack(values), 1, 2), _species(samples))
    return columns


def distinct(samples: Sequence[Sample]) -> Columns:
    """Distinct part of the van Hove function over the density, at every particle time."""
    edges, mixture = _distances(samples), samples[0].mixture
    columns: Columns = {"r": (edges[1:] + edges[:-1]) / 2}
    for number, time in enumerate(shared_particle_times(samples)):
        values = []
        for sample in samples:
            c = sample.configuration
            draws = [draw[number].astype(np.float64) for draw in _draws(sample)[:PAIR_DRAWS]]
            found = [
                distinct_van_hove(c.positions, draw, c.species, c.box, edges, mixture.kinds, mixture.dimension)
                for draw in draws
            ]
            values.append(np.mean(found, 0))
        columns |= by_pair(f"t{time:g}", np.stack(values), mixture.species)
    return columns


def collective(samples: Sequence[Sample]) -> Columns:
    """Coherent F(k, t) of each species at t = 0 and the particle times, at the wave numbers of F_s."""
    times = np.concatenate([[0.0], shared_particle_times(samples)])
    values = np.stack([_collective(sample) for sample in samples])
    return {"time": times} | by_species("f", values, _species(samples))


def _collective(sample: Sample) -> FloatArray:
    """Return F(k, t), (1 + S, Q), of one configuration: the mean over its draws, each species at its wave number."""
    c, draws, mixture = sample.configuration, _draws(sample)[:PAIR_DRAWS], sample.mixture
    still = np.zeros((1, 1, c.particles, 3), np.float32)
    result = []
    # A shell as wide as the spacing of the wave vectors.
    width = float(np.pi / c.edges.min())
    for species, wave_number in enumerate(sample.facts.mixture.wave_numbers):

        def curve(moves: FloatArray, k: float = wave_number, kind: int = species) -> float:
            found = collective_scattering(
                c.positions, moves, c.species, c.box, k, width, mixture.kinds, mixture.dimension
            )
            return float(found[kind])

        moments = [still[0], *np.moveaxis(draws, 1, 0)]
        result.append([np.mean([curve(draw.astype(np.float64)) for draw in moment]) for moment in moments])
    return np.array(result).T


def propensity(samples: Sequence[Sample]) -> Columns:
    """Mean propensity of the first species at the particle times, its spread, and the ceiling of correlations with it.

    `ceiling` is the Pearson correlation that a perfect predictor of the true propensity would reach, from the spread of
    the draws; `ceiling_halves` the same from split halves, where the displacements of the draws are kept.
    """
    times = shared_particle_times(samples, kept=False)
    means, spreads, ceilings, halves = (np.full((len(samples), len(times)), np.nan) for _ in range(4))
    for row, sample in enumerate(samples):
        of_first, ensemble = sample.configuration.species == 0, sample.dynamics
        for number in range(len(times)):
            mean = ensemble.displacement_mean[number, of_first].astype(np.float64)
            means[row, number], spreads[row, number] = mean.mean(), mean.std()
            if ensemble.displacement_sq_mean is not None and sample.draws:
                squared = ensemble.displacement_sq_mean[number, of_first].astype(np.float64)
                ceilings[row, number] = moment_ceiling(mean, squared, sample.draws)
            if ensemble.displacements is not None:
                draws = ensemble.displacements[:, number].astype(np.float64)
                halves[row, number] = split_half_ceiling(draws, sample.configuration.species)
    columns = {"time": times} | mean_and_error("propensity", means) | {"spread": spreads.mean(0)}
    return columns | mean_and_error("ceiling", ceilings) | {"ceiling_halves": halves.mean(0)}


def volume(samples: Sequence[Sample]) -> Columns:
    """Volume and potential energy per particle, and pressure, against temperature on the way to the state point."""
    points = []
    for sample in samples:
        record = sample.equilibration
        if record is None:
            raise DatasetError(
                f"{sample.identifier} has no record of its equilibration",
                "Leave it out: only samples simulated by glassformer have one.",
            )
        # Not the windows of holding, nor the start, which comes from a minimised random structure.
        way = record.time <= record.time[-1] - record.windows[:, 0].sum() + 1e-9
        rows = np.stack([record.temperature, 1 / record.density, record.potential_energy, record.pressure], 1)
        rows = rows[way][ROWS_A_POINT:]
        usable = len(rows) - len(rows) % ROWS_A_POINT
        if not usable:
            raise DatasetError(
                f"{sample.identifier} has too short an equilibration for V(T): {len(rows)} rows", "Cool it for longer."
            )
        points.append(rows[:usable].reshape(-1, ROWS_A_POINT, 4).mean(1))
    columns = np.concatenate(points)
    columns = columns[np.argsort(columns[:, 0])]
    return dict(zip(("temperature", "volume", "potential_energy", "pressure"), columns.T.copy(), strict=True))


def _need(samples: Sequence[Sample], array: str) -> None:
    for sample in samples:
        sample.observed(array)


def _draws(sample: Sample) -> np.ndarray:
    """Return the kept displacements (D, S, N, 3)."""
    return np.asarray(sample.dynamics.displacements)


def shared_particle_times(samples: Sequence[Sample], kept: bool = True) -> FloatArray:
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
        Observable("msd", "mean squared displacement",
                   "⟨|r(t) − r(0)|²⟩ of the particles of each species",
                   msd, "time", ("msd_*",), TIME_LABEL,
                   f"MSD  {MSD_LABEL}", log_y=True),
        Observable("scattering", "self intermediate scattering function",
                   "F_s(k, t) = ⟨cos k·[r(t) − r(0)]⟩ of each species, at the wave numbers on the axis",
                   self_scattering, "time",
                   ("f_s_*",), TIME_LABEL, "", symbol="F_s"),
        Observable("non-gaussian", "non-Gaussian parameter",
                   "α₂(t) of the displacements of each species; 0 if they are Gaussian",
                   alpha_2, "time", ("alpha_2_*",), TIME_LABEL,
                   r"non-Gaussian parameter  $\alpha_2(t)$"),
        Observable("overlap", "self overlap of the first species",
                   "Q(t), the share of its particles that have moved less than 0.3 σ_AA",
                   overlap, "time", ("overlap",), TIME_LABEL,
                   "self overlap  $Q(t)$ of FIRST"),
        Observable("chi4", "dynamic susceptibility of the first species",
                   "χ₄(t) = N (⟨Q²⟩ − ⟨Q⟩²), the fluctuations of its self overlap Q(t)",
                   overlap, "time", ("chi_4", "chi_4_draws"),
                   TIME_LABEL, r"dynamic susceptibility  $\chi_4(t)$ of FIRST", needs=_TWO),
        Observable("rdf", "partial radial distribution functions",
                   "g(r), the density at the distance r from a particle, divided by the mean density",
                   pair_correlation, "r", ("g_*",),
                   DISTANCE_LABEL, "radial distribution  $g(r)$", log_x=False),
        Observable("structure", "partial and total structure factors",
                   "S(k), the mean square of density fluctuations of wave number k",
                   structure, "k", ("s", "s_*"),
                   WAVE_NUMBER_LABEL, "structure factor  $S(k)$", log_x=False),
        Observable("van-hove", "self van Hove function at the particle times",
                   "distribution of the distances that particles of the first species have moved by time t",
                   van_hove, "r", (), DISTANCE_LABEL,
                   r"$4 \pi r^2 G_s(r, t)$ of FIRST  [$\sigma_{AA}^{-1}$]", log_x=False,
                   y_label_2d=r"$2 \pi r G_s(r, t)$ of FIRST  [$\sigma_{AA}^{-1}$]"),
        Observable("distinct", "distinct van Hove function at the particle times",
                   "G_d(r, t) / ρ, the relative density at time t around where another particle was at t = 0",
                   distinct, "r", (), DISTANCE_LABEL,
                   r"$G_d(r, t) / \rho$ of FIRST with FIRST", log_x=False),
        Observable("collective", "coherent scattering function at the particle times",
                   "F(k, t), the correlation of density fluctuations of wave number k at the times 0 and t",
                   collective, "time",
                   ("f_*",), TIME_LABEL, "", points=True, symbol="F"),
        Observable("propensity", "ceiling of the correlation with the propensity",
                   "Pearson’s correlation that a perfect prediction would reach, given the noise of few draws",
                   propensity, "time",
                   ("ceiling", "ceiling_halves"), TIME_LABEL, "ceiling of Pearson's $r$ with the propensity of FIRST",
                   points=True, needs=_TWO),
        Observable("volume", "volume against temperature on the way to the state point",
                   "volume per particle while the liquid was cooled to the state point",
                   volume, "temperature",
                   ("volume",), TEMPERATURE_LABEL, VOLUME_LABEL, log_x=False, points=True, y_label_2d=AREA_LABEL),
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
                        f"all values are undefined at {label}; it needs {observable.needs or 'values'}",
                        "Leave it out, or simulate more draws.",
                    )
            except DatasetError as error:
                problems.append((name, label, error))
                continue
            tables[name][label] = columns
    return tables, problems


def lines_of(observable: Observable, columns: Columns) -> tuple[str, ...]:
    """Return the columns that are drawn: without names, those of the first species, or pair of them, at every time."""
    if not observable.lines:
        at_times: dict[str, str] = {}
        for name in columns:
            time, _, species = name.partition("_")
            if time.startswith("t") and species:
                at_times.setdefault(time, name)
        return tuple(at_times.values())
    drawn: list[str] = []
    for line in observable.lines:
        drawn += [line] if not line.endswith("*") else _beginning(line.removesuffix("*"), columns)
    return tuple(drawn)


def _beginning(start: str, columns: Columns) -> list[str]:
    return [name for name in columns if name.startswith(start) and not name.endswith("_error")]


def y_label_of(observable: Observable, samples: Sequence[Sample]) -> str:
    """Return the label of the y axis for the mixture of `samples`."""
    return label_for(observable, samples[0].mixture.species[0], samples[0].mixture.dimension)


def label_for(observable: Observable, first: str, dimension: int) -> str:
    """Return the label of the y axis for a mixture in `dimension` dimensions whose `first` species has this name."""
    label = observable.y_label_2d if dimension == 2 and observable.y_label_2d else observable.y_label
    return label.replace(FIRST, first)
