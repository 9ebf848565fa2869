"""Thermostat and barostat: their distributions against exact forms, and the CUDA engine against a plain loop."""

import math

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("numba.cuda", reason="needs numba-cuda")

from benchmarks.gpu_ensembles import shirts_slope
from glassformer.core.arrays import FloatArray
from glassformer.simulate.lockstep.coupling import pressure_of, rescaling, strain
from tests.conftest import rattled_lattice
from tests.coupled_dynamics import run_coupled
from tests.liquids import unit_masses, with_cutoff
from tests.unit.cuda_simulator import simulated

TEMPERATURE = 0.8


def noise(random: np.random.Generator, number: int, freedoms: int, pressure: float) -> FloatArray:
    """Return what `number` couplings need, (n, 5)."""
    rest = random.chisquare(freedoms - 1, number)
    normal = random.normal(size=(2, number))
    return np.stack([*normal, rest, np.full(number, TEMPERATURE), np.full(number, pressure)], 1)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_rescaling_alone_makes_the_canonical_kinetic_energy(decay: float) -> None:
    random, freedoms, kinetic, seen = np.random.default_rng(1), 9, 20.0, []
    for _ in range(8000):
        alpha = rescaling(kinetic, TEMPERATURE, freedoms, decay, random.normal(), random.chisquare(freedoms - 1))
        kinetic *= alpha**2
        seen.append(kinetic)
    # K is gamma distributed, shape N_f / 2 and scale T. A tenth value is independent: 0.5^10 is left of the first.
    assert stats.kstest(seen[50::10], stats.gamma(freedoms / 2, scale=TEMPERATURE).cdf).pvalue > 1e-3


def test_without_relaxation_nothing_is_rescaled() -> None:
    assert rescaling(3.0, TEMPERATURE, 9, 1.0, 0.3, 8.0) == 1.0


def test_an_ideal_gas_at_constant_pressure_has_the_exact_volumes() -> None:
    # p(V) ~ V^N exp(-P V / T) for N free particles: gamma distributed, shape N + 1.
    random, number, pressure, mobility = np.random.default_rng(2), 8, 0.5, 0.05
    volume, kinetic, seen = 14.0, 9.6, []
    for _ in range(120_000):
        alpha = rescaling(kinetic, TEMPERATURE, 3 * number, 0.5, random.normal(), random.chisquare(3 * number - 1))
        kinetic *= alpha**2
        change = strain(pressure_of(kinetic, 0.0, volume, 3), pressure, TEMPERATURE, volume, mobility, random.normal())
        volume *= math.exp(change)
        kinetic *= math.exp(-2 * change / 3)
        seen.append(volume)
    assert stats.kstest(seen[1000::400], stats.gamma(number + 1, scale=TEMPERATURE / pressure).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_volumes_of_a_liquid_at_two_pressures_differ_as_they_must() -> None:
    # ln p(V | P_2) / p(V | P_1) = -(P_2 - P_1) V / T + constant: M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013).
    start, random = rattled_lattice(3, spacing=1.15), np.random.default_rng(3)
    pressures, volumes, kinetic = (1.5, 1.9), [], []
    for pressure in pressures:
        drawn = unit_masses(5, start.particles, TEMPERATURE)
        numbers = noise(random, 150_000, 3 * (start.particles - 1), pressure)
        _, _, seen = run_coupled(start, with_cutoff(1.5), drawn, 0.004, numbers, 10, 0.9, 0.004)
        kinetic.append(seen[2000::200, 0])
        volumes.append(seen[2000::100, 1])
    everything = np.concatenate(volumes)
    which = np.repeat([0.0, 1.0], [len(one) for one in volumes])
    slope, error = shirts_slope(everything, which)
    # Values a hundred couplings apart may still be correlated: the error is doubled.
    assert abs(slope + (pressures[1] - pressures[0]) / TEMPERATURE) < 4 * 2 * error
    assert error < 0.1
    canonical = stats.gamma(1.5 * (start.particles - 1), scale=TEMPERATURE)
    assert stats.kstest(np.concatenate(kinetic), canonical.cdf).pvalue > 1e-3


@pytest.mark.slow
def test_energies_of_a_liquid_at_two_temperatures_differ_as_they_must() -> None:
    # ln p(U | T_2) / p(U | T_1) = (1 / T_1 - 1 / T_2) U + constant.
    start, random = rattled_lattice(3, spacing=1.15), np.random.default_rng(4)
    temperatures, energies = (0.8, 0.95), []
    for temperature in temperatures:
        drawn = unit_masses(6, start.particles, temperature)
        numbers = noise(random, 60_000, 3 * (start.particles - 1), 0.0)
        numbers[:, 3] = temperature
        _, _, seen = run_coupled(start, with_cutoff(1.5), drawn, 0.004, numbers, 10, 0.9, 0.0)
        energies.append(seen[2000::50, 2])
    which = np.repeat([0.0, 1.0], [len(one) for one in energies])
    slope, error = shirts_slope(np.concatenate(energies), which)
    # Values fifty couplings apart may still be correlated: the error is doubled.
    assert abs(slope - (1 / temperatures[0] - 1 / temperatures[1])) < 4 * 2 * error
    assert error < 0.02


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["NVE", "NVT", "NPT"])
def test_the_device_does_what_the_plain_loop_does_step_by_step(kind: str) -> None:
    simulated(f"""
from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda
from tests.coupled_dynamics import run_coupled
module.REFRESH_STEPS, module.TOGETHER, kind = 4, 2, "{kind}"
bath = Bath((0.5, 0.9), (2.0, 40.0) if kind == "NPT" else None, 0, 8)
drawn = [v[0] for v in velocities]
engine = CoupledCuda(structures[:1], potential, 0.01, drawn[:1], [] if kind == "NVE" else [bath], [7], 0.05, np.float64)
numbers = np.zeros((2, 5))
for coupled in range(4):
    if coupled % 2 == 0 and kind != "NVE":
        engine.steps = 2 * coupled
        numbers = engine._numbers(0) if coupled == 0 else np.concatenate([numbers, engine._numbers(0)])
engine.steps = 0
numbers = numbers if kind != "NVE" else np.zeros((4, 5))
engine.advance(8)
q, v, seen = run_coupled(structures[0], potential, drawn[0], 0.01, numbers, 2, engine._decay, engine._mobility)
np.testing.assert_allclose(engine.fractions(0) * structures[0].box, q, atol=1e-12)
np.testing.assert_allclose(engine.velocities(0)[0], v, atol=1e-11)
np.testing.assert_allclose(engine.potential_energy(0)[0], seen[-1, 2], atol=1e-11)
np.testing.assert_allclose(np.prod(engine.box(0)), seen[-1, 1], rtol=1e-12)
if kind == "NPT":
    assert abs(seen[-1, 1] / seen[0, 1] - 1) > 1e-4
if kind == "NVE":
    assert engine._factor.copy_to_host()[0] == 1
""")
