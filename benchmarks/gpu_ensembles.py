"""Whether trajectories on a GPU have the distributions that their temperature and pressure ask for.

For two temperatures, or two pressures, the ratio of the distributions is known whatever the liquid:

    ln p(U | T_2) / p(U | T_1) = (1 / T_1 - 1 / T_2) U + constant,
    ln p(V | P_2) / p(V | P_1) = -(P_2 - P_1) V / T + constant.

M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013), eqs. 5 and 8. The kinetic energy is gamma distributed.
"""

from typing import Any

import numpy as np
from scipy import stats

from benchmarks.gpu import drawn, lattice
from benchmarks.isoconfigurational import POTENTIAL
from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import named_seed
from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda

# Trajectories of EDGE^3 particles, their samples, and steps before the first and between two of them.
TRAJECTORIES, EDGE, SAMPLES, BEFORE, BETWEEN = 128, 6, 20, 8000, 800
TIME_STEP, RELAXATION = 0.002, 0.1
TEMPERATURES, PRESSURES = (0.95, 1.0), (4.0, 4.4)


def shirts_slope(values: FloatArray, which: FloatArray) -> tuple[float, float]:
    """Return the maximum likelihood slope in `values` of the ln odds that `which` is 1 rather than 0, and its error."""
    design, parameters = np.stack([np.ones_like(values), values - values.mean()], 1), np.zeros(2)
    for _ in range(30):
        odds = 1 / (1 + np.exp(-design @ parameters))
        information = (design * (odds * (1 - odds))[:, None]).T @ design
        parameters += np.linalg.solve(information, design.T @ (which - odds))
    return float(parameters[1]), float(np.sqrt(np.linalg.inv(information)[1, 1]))


def check_ensembles() -> dict[str, Any]:
    """Return measured and exact slopes with their errors, and the p-value of the kinetic energies."""
    found: dict[str, Any] = {"passed": True}
    cold, hot = (sample(temperature, None) for temperature in TEMPERATURES)
    low, high = (sample(TEMPERATURES[1], pressure) for pressure in PRESSURES)
    exact = 1 / TEMPERATURES[0] - 1 / TEMPERATURES[1], -(PRESSURES[1] - PRESSURES[0]) / TEMPERATURES[1]
    for name, first, second, slope in (("U", cold, hot, exact[0]), ("V", low, high, exact[1])):
        both = np.concatenate([first[name], second[name]])
        measured, error = shirts_slope(both, np.repeat([0.0, 1.0], [len(first[name]), len(second[name])]))
        # Samples one after the other are somewhat correlated: the error is doubled.
        passed = abs(measured - slope) < 4 * 2 * error < abs(slope)
        found[f"slope_{name}"] = {"measured": measured, "exact": slope, "error": 2 * error}
        found["passed"] &= passed
    shape = 1.5 * (EDGE**3 - 1)
    found["kinetic_p"] = float(stats.kstest(hot["K"], stats.gamma(shape, scale=TEMPERATURES[1]).cdf).pvalue)
    found["passed"] &= found["kinetic_p"] > 1e-3
    return found


def sample(temperature: float, pressure: float | None) -> dict[str, FloatArray]:
    """Return potential energies U, kinetic energies K and volumes V of all trajectories, one after the other."""
    starts = [lattice(named_seed(5, "ensembles", n), EDGE) for n in range(TRAJECTORIES)]
    velocities = [drawn(named_seed(6, "ensembles", n), EDGE**3, temperature) for n in range(TRAJECTORIES)]
    bath = Bath((temperature, temperature), None if pressure is None else (pressure, pressure))
    numbers = range(TRAJECTORIES)
    engine = CoupledCuda(starts, POTENTIAL, TIME_STEP, velocities, [bath] * TRAJECTORIES, list(numbers), RELAXATION)
    engine.advance(BEFORE)
    found: dict[str, list[float]] = {"U": [], "K": [], "V": []}
    for _ in range(SAMPLES):
        engine.advance(BETWEEN)
        engine.check()
        found["U"] += [float(engine.potential_energy(n)[0]) for n in numbers]
        found["K"] += [1.5 * (EDGE**3 - 1) * engine.temperature(n) for n in numbers]
        found["V"] += [float(np.prod(engine.box(n))) for n in numbers]
    return {name: np.array(values) for name, values in found.items()}
