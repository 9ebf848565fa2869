"""LAMMPS's NVT and NPT as the campaigns run them: the distributions of statistical mechanics, not only their means.

Two runs of one liquid at (beta_1, P_1) and (beta_2, P_2) must satisfy, whatever the density of states,
ln [p_2(U, V) / p_1(U, V)] = const - (beta_2 - beta_1) U - (beta_2 P_2 - beta_1 P_1) V: M. R. Shirts, J. Chem. Theory
Comput. 9, 909 (2013). The same holds with the total energy for U, and, at one pressure or one temperature, for the
enthalpy and the volume alone. The slopes are those of maximum likelihood: a logistic regression that tells the samples
of one run from those of the other. The kinetic energy has the gamma distribution of shape f / 2 and scale T, with
f = d N - d: the total momentum is zero.

Every error is a jackknife over blocks of consecutive samples. Temperatures and pressures differ by about two standard
deviations of the energy or volume, where the slopes are known best.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy import stats

from glassformer.core.arrays import FloatArray
from glassformer.dataset.mixtures import shipped
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.lammps import Lammps

# Blocks of the jackknife, each several correlation times long, and the standard errors by which a value may be off:
# with 29 degrees of freedom |t| > 4 has the chance 4e-4, and the file compares about 90 values.
BLOCKS, ERRORS = 30, 4.0
# Least probability of a Kolmogorov-Smirnov test.
SIGNIFICANCE = 1e-3
# In damping times: between samples; between samples that count as independent; before the first sample.
SAMPLED, INDEPENDENT, SETTLED = 0.4, 4, 40


class Berendsen(Lammps):
    """The weak-coupling thermostat, which brings the mean temperature right and the fluctuations wrong."""

    def begin_nvt(self, temperatures: tuple[float, float], steps: int, damping_time: float, done: int = 0) -> None:
        first, last = temperatures
        self._commands(f"fix rescaling all temp/berendsen {first} {last} {damping_time}")
        self._begin("nve", steps, done)


@dataclass(frozen=True)
class Run:
    """A liquid of `particles` at a temperature and either a density or, starting from `density`, a pressure."""

    seed: int
    temperature: float
    pressure: float | None = None
    mixture: str = "kob-andersen-uniform"
    particles: int = 200
    density: float = 1.15
    time: float = 250.0
    time_step: float = 0.005
    damping: float = 0.5
    engine: type[Lammps] = Lammps


# The campaigns' time step and damping time; the thesis's are `short`.
RUNS = {
    "nvt": Run(1, 1.0),
    "nvt, hotter": Run(2, 1.08),
    "npt": Run(3, 1.0, 10.0),
    "npt, hotter": Run(4, 1.08, 10.0),
    "npt, lighter": Run(5, 1.0, 8.7),
    "short": Run(6, 1.0, 10.0, time=50.0, time_step=0.001, damping=0.1),
    "short, hotter": Run(7, 1.08, 10.0, time=50.0, time_step=0.001, damping=0.1),
    "disks": Run(8, 1.0, mixture="kob-andersen-2d", particles=129, density=1.1921),
    "disks, npt": Run(9, 1.0, 13.7, mixture="kob-andersen-2d", particles=129, density=1.1921),
    "disks, npt, lighter": Run(10, 1.0, 12.0, mixture="kob-andersen-2d", particles=129, density=1.1921),
    "two masses": Run(11, 1.0, mixture="soft-spheres", density=0.8),
    "berendsen": Run(12, 1.0, time=100.0, engine=Berendsen),
}
CANONICAL = [name for name in RUNS if name != "berendsen"]


@dataclass(frozen=True, eq=False)
class Samples:
    """What a run went through: each (n,), `by_species` (n, S) the kinetic energies of the species."""

    potential: FloatArray
    volume: FloatArray
    temperature: FloatArray
    by_species: FloatArray

    @property
    def kinetic(self) -> FloatArray:
        return self.by_species.sum(1)

    @property
    def energy(self) -> FloatArray:
        return self.potential + self.kinetic


@cache
def sampled(name: str) -> Samples:
    """Melt random positions at the state point, and sample the run that follows."""
    run, mixture = RUNS[name], shipped(RUNS[name].mixture)
    start = random_configuration(mixture, run.particles, run.density, run.seed)
    with Lammps(start, mixture, run.time_step) as engine:
        engine.minimise()
        start = engine.configuration()
    masses = mixture.masses_of(start.species)
    velocities = maxwell_boltzmann(run.seed + 1000, masses, run.temperature, mixture.dimension)
    every = round(SAMPLED * run.damping / run.time_step)
    settling, number = round(SETTLED * run.damping / run.time_step), round(run.time / run.time_step) // every
    rows = []
    with run.engine(start, mixture, run.time_step, velocities) as engine:
        temperatures, steps = (run.temperature, run.temperature), settling + number * every
        if run.pressure is None:
            engine.begin_nvt(temperatures, steps, run.damping)
        else:
            engine.begin_npt(temperatures, (run.pressure, run.pressure), steps, run.damping)
        engine.advance(settling)
        for _ in range(number):
            engine.advance(every)
            kinetic = masses / 2 * (engine.velocities() ** 2).sum(1)
            species = np.bincount(start.species, kinetic, mixture.kinds)
            rows.append((engine.potential_energy(), np.prod(engine.box()), engine.temperature(), *species))
    table = np.array(rows)
    return Samples(table[:, 0], table[:, 1], table[:, 2], table[:, 3:])


def jackknife(estimate: Callable[..., FloatArray], *series: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `estimate` of the series, and its standard error: one block at a time is left out, the same of all."""

    def without(block: int, values: FloatArray) -> FloatArray:
        return np.concatenate([part for index, part in enumerate(np.array_split(values, BLOCKS)) if index != block])

    left_out = np.array([estimate(*(without(block, values) for values in series)) for block in range(BLOCKS)])
    return estimate(*series), np.sqrt((BLOCKS - 1) * left_out.var(0))


def slopes(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the slopes (p,) of ln(p_2 / p_1) in the p quantities of the samples (n, p): those of maximum likelihood.

    The number of samples of either run goes into the constant.
    """
    values = np.concatenate([first, second])
    mean, spread = values.mean(0), values.std(0)
    inputs = np.column_stack([np.ones(len(values)), (values - mean) / spread])
    labels = np.repeat([0.0, 1.0], [len(first), len(second)])
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs
        change = np.linalg.solve(curvature, inputs.T @ (labels - chance))
        weights += change
        if np.abs(change).max() < 1e-10:
            break
    slope: FloatArray = weights[1:] / spread
    return slope


def check_slopes(first: FloatArray, second: FloatArray, expected: list[float], precision: float) -> None:
    """Hold the slopes in the quantities (n, p) to `expected` (p,), which the errors must know to `precision`."""
    found, error = jackknife(slopes, first, second)
    print("slopes", found, "+-", error, "expected", expected, "errors", (found - expected) / error)
    np.testing.assert_array_less(np.abs(found - expected), ERRORS * error)
    np.testing.assert_array_less(error, precision * np.abs(expected))


def check_straight(first: FloatArray, second: FloatArray) -> None:
    """Hold ln(p_2 / p_1) of one quantity (n,) to a straight line: no square of it."""
    middle, spread = (first.mean() + second.mean()) / 2, (first.std() + second.std()) / 2

    def powers(values: FloatArray) -> FloatArray:
        scaled = (values - middle) / spread
        return np.column_stack([scaled, scaled**2])

    (slope, bend), (_, error) = jackknife(slopes, powers(first), powers(second))
    print("bend", bend, "+-", error, "slope", slope)
    assert abs(bend) < ERRORS * error
    assert error < 0.25 * abs(slope)


def inverse(name: str) -> float:
    return 1 / RUNS[name].temperature


@pytest.mark.parametrize("quantity", ["potential", "energy"])
def test_energies_at_two_temperatures_at_constant_volume(quantity: str) -> None:
    first, second = (getattr(sampled(name), quantity) for name in ("nvt", "nvt, hotter"))
    check_slopes(first[:, None], second[:, None], [inverse("nvt") - inverse("nvt, hotter")], 0.1)
    check_straight(first, second)


def pressure(name: str) -> float:
    value = RUNS[name].pressure
    assert value is not None
    return value


def push(name: str) -> float:
    """beta P."""
    return inverse(name) * pressure(name)


def enthalpy(name: str) -> FloatArray:
    return sampled(name).energy + pressure(name) * sampled(name).volume


@pytest.mark.parametrize(("prefix", "precision"), [("npt", 0.1), ("short", 0.2)])
def test_enthalpies_at_two_temperatures_at_constant_pressure(prefix: str, precision: float) -> None:
    first, second = enthalpy(prefix), enthalpy(f"{prefix}, hotter")
    expected = inverse(prefix) - inverse(f"{prefix}, hotter")
    check_slopes(first[:, None], second[:, None], [expected], precision)
    check_straight(first, second)


@pytest.mark.parametrize("prefix", ["npt", "disks, npt"])
def test_volumes_at_two_pressures(prefix: str) -> None:
    names = (prefix, f"{prefix}, lighter")
    first, second = (sampled(name).volume for name in names)
    check_slopes(first[:, None], second[:, None], [push(names[0]) - push(names[1])], 0.1)
    check_straight(first, second)


@pytest.mark.parametrize("quantity", ["potential", "energy"])
def test_energies_and_volumes_at_two_temperatures_and_pressures(quantity: str) -> None:
    """The joint distribution: a slope in the energy, and one in the volume.

    The hotter run has the higher pressure, so that the two overlap.
    """
    names = ("npt, lighter", "npt, hotter")
    first, second = (np.column_stack([getattr(sampled(name), quantity), sampled(name).volume]) for name in names)
    expected = [inverse(names[0]) - inverse(names[1]), push(names[0]) - push(names[1])]
    check_slopes(first, second, expected, 0.25)


def freedoms(run: Run, mixture: Mixture) -> int:
    return mixture.dimension * (run.particles - 1)


@pytest.mark.parametrize("name", CANONICAL)
def test_kinetic_energy_has_the_gamma_distribution(name: str) -> None:
    run = RUNS[name]
    f = freedoms(run, shipped(run.mixture))
    # In units of the expected values: 1.
    scaled = sampled(name).kinetic / (f * run.temperature / 2)

    def moments(values: FloatArray) -> FloatArray:
        return np.array([values.mean(), values.var() * f / 2])

    found, error = jackknife(moments, scaled)
    apart = scaled[:: round(INDEPENDENT / SAMPLED)]
    chance = stats.kstest(apart, stats.gamma(f / 2, scale=2 / f).cdf).pvalue
    print(name, "mean, variance", found, "+-", error, "KS", chance, len(apart))
    np.testing.assert_array_less(np.abs(found - 1), ERRORS * error)
    # Precise enough to see the variance at constant energy, which is less than half of the canonical one.
    assert error[0] < 0.006
    assert error[1] < 0.1
    assert chance > SIGNIFICANCE


def test_kinetic_energies_of_all_runs_have_the_gamma_distribution() -> None:
    """Each sample's place in the distribution that its own run must have: uniform from 0 to 1."""
    places = []
    for name in CANONICAL:
        run = RUNS[name]
        apart = sampled(name).kinetic[:: round(INDEPENDENT / SAMPLED)]
        places.append(stats.gamma(freedoms(run, shipped(run.mixture)) / 2, scale=run.temperature).cdf(apart))
    together = np.concatenate(places)
    print("KS", stats.kstest(together, "uniform"), len(together))
    assert len(together) > 1000
    assert stats.kstest(together, "uniform").pvalue > SIGNIFICANCE


def test_the_thermostat_counts_the_degrees_of_freedom_that_there_are() -> None:
    """The mean kinetic energy of all runs of 200 particles tells d N - d degrees from d N: they differ by 0.5 %."""
    names = [name for name in CANONICAL if RUNS[name].particles == 200]
    freedom = 3 * (200 - 1)
    means = [jackknife(np.mean, 2 * sampled(name).kinetic / freedom / RUNS[name].temperature) for name in names]
    values, errors = np.array(means).T
    mean, error = np.average(values, weights=errors**-2), (errors**-2).sum() ** -0.5
    print("mean", mean, "+-", error)
    assert abs(mean - 1) < ERRORS * error
    assert 5 * error < 200 / 199 - 1


@pytest.mark.parametrize("name", CANONICAL)
def test_every_species_has_its_share(name: str) -> None:
    """Equipartition. Of N_a particles with the share phi of all mass, the momentum takes d phi of d N_a degrees.

    K_a / (T / 2) is a chi-squared variable of d (N_a - 1) degrees and (1 - phi) times one of d.
    """
    run, mixture = RUNS[name], shipped(RUNS[name].mixture)
    numbers, d = np.array(mixture.numbers(run.particles)), mixture.dimension
    share = numbers * mixture.masses / (numbers * mixture.masses).sum()
    mean = d * (numbers - share) * run.temperature / 2
    variance = d * (numbers - 1 + (1 - share) ** 2) * run.temperature**2 / 2

    def moments(values: FloatArray) -> FloatArray:
        return np.array([values.mean(0) / mean, values.var(0) / variance])

    found, error = jackknife(moments, sampled(name).by_species)
    print(name, found, error)
    np.testing.assert_array_less(np.abs(found - 1), ERRORS * error)
    assert error[0].max() < 0.02
    # What LAMMPS takes for the temperature counts the same degrees of freedom.
    expected = sampled(name).kinetic / (freedoms(run, mixture) / 2)
    np.testing.assert_allclose(sampled(name).temperature, expected, rtol=1e-10)


def test_a_thermostat_with_wrong_fluctuations_is_seen() -> None:
    """Berendsen's brings the mean right, and is known for too little variance."""
    with pytest.raises(AssertionError):
        test_kinetic_energy_has_the_gamma_distribution("berendsen")
    scaled = sampled("berendsen").kinetic / RUNS["berendsen"].temperature
    f = freedoms(RUNS["berendsen"], shipped("kob-andersen-uniform"))
    found, error = jackknife(lambda values: np.array([values.mean(), values.var()]) / (f / 2), scaled)
    print("berendsen", found, error)
    assert found[0] == pytest.approx(1, abs=5e-3)
    assert found[1] < 1 - 2 * ERRORS * error[1]
