"""Inherent structures: the energy minimum at the end of the steepest descent from a configuration.

F. H. Stillinger and T. A. Weber, Phys. Rev. A 25, 978 (1982). The descent is dr/dt = F(r), and which minimum it ends in
is a property of the configuration; what minimisers with momentum or memory end in is also one of theirs. Therefore the
path itself is followed, by a method for stiff equations, until what is left is too small to leave the basin.

The force of the truncated potential jumps at the cutoff. Near it the shifted potential is the lower one of two smooth
functions, min(V_LJ(r) - V_LJ(r_c), 0): a minimum of such a U never lies on the edge between them. So the force vanishes
at every minimum, and a step down is as deep as its slope promises, or deeper: the jumps cost steps, not convergence.
"""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.neighbors import cell_order
from glassformer.physics.pair_forces import Field, PairForces

# The greatest force on a particle at a minimum.
TOLERANCE = 1e-6
# Error of any particle's place that a step of the descent may make, and the greatest force at which the descent ends.
# With 0.003 and 0.01, eight liquids (N = 1000, T = 0.50, density 1.15) all came to the minima of 0.001 and 0.003; with
# an end at 0.02 six did, with FIRE or L-BFGS from the start one or none. At density 1.07, where the liquid tears when
# it is quenched, the minimum depends on the step's error even so: one of four was the same with 0.001.
STEP_ERROR = 3e-3
DESCENT_END = 0.01
# Steps that L-BFGS remembers, and the furthest that a particle moves in one.
MEMORY = 20
LONGEST_MOVE = 0.01
# The most that a step becomes shorter by after one that failed.
SHORTEN = 0.1
# Rounding of the energy, a particle.
ROUNDING = 1e-11
MOST_EVALUATIONS = 200_000


@dataclass(frozen=True, eq=False)
class InherentStructure:
    """Positions (N, 3) of the minimum, wrapped; energies per particle; the greatest force left; what it took."""

    positions: FloatArray
    start_energy: float
    energy: float
    greatest_force: float
    evaluations: int


def inherent_structure(
    configuration: Configuration, mixture: Mixture, most_evaluations: int = MOST_EVALUATIONS, threads: int = 1
) -> InherentStructure:
    """Return the inherent structure of `configuration`, whose liquid is `mixture`, in the same box.

    No force exceeds `TOLERANCE`. The number of `threads` does not change a bit of the result. Raises
    `ConfigurationError` for a bad configuration, a box shorter than two cutoffs, or particles in one place;
    `EngineError` if `most_evaluations` of the forces do not suffice, or if the thread is stopped
    (`core.threads.stop_thread_on`).
    """
    check_configuration(configuration, "the start of a quench")
    order = cell_order(configuration.positions, configuration.box, mixture.longest_cutoff)
    start_positions = configuration.positions[order]
    ordered = Configuration(start_positions, configuration.species[order], configuration.box)
    forces = PairForces(ordered, mixture, threads)
    # Where particles are in one place, or nearly.
    with np.errstate(over="ignore", invalid="ignore"):
        start = forces(start_positions)
        if not (np.isfinite(start.greatest) and np.isfinite(start.stiffness)):
            raise ConfigurationError("two particles are at the same position", "Remove copies of particles.")
    positions, here = _descend(forces, start_positions, start, most_evaluations)
    positions, here = _finish(forces, positions, here, most_evaluations)
    if not here.greatest <= TOLERANCE:
        raise EngineError(
            f"no energy minimum was reached: the largest force is {here.greatest:.2g} after {forces.evaluations}"
            f" evaluations; expected {TOLERANCE:g}",
            "The structure is far from any minimum: leave it out, or call inherent_structure with more evaluations.",
        )
    particles, unordered = configuration.particles, np.empty_like(positions)
    unordered[order] = positions
    return InherentStructure(
        wrap(unordered, configuration.box),
        start.energy / particles,
        here.energy / particles,
        here.greatest,
        forces.evaluations,
    )


def _descend(forces: PairForces, positions: FloatArray, here: Field, most: int) -> tuple[FloatArray, Field]:
    """Follow dr/dt = F(r) from `positions` until no force exceeds `DESCENT_END`; return place and field.

    Runge-Kutta-Chebyshev of second order: s stages are stable for steps of 0.65 s^2 over the stiffness. B. P.
    Sommeijer, L. F. Shampine and J. G. Verwer, J. Comput. Appl. Math. 88, 315 (1998); so is the error's estimate.
    """
    if here.greatest <= DESCENT_END:
        # Also where no pair interacts, and the stiffness is 0.
        return positions, here
    step, slack = 1 / here.stiffness, ROUNDING * len(positions)
    while here.greatest > DESCENT_END and forces.evaluations < most:
        end = _chebyshev_step(forces, positions, here, step)
        there = forces(end)
        error = 0.8 * (positions - end) + 0.4 * step * (here.force + there.force)
        relative = float(np.sqrt((error**2).sum(1).max())) / STEP_ERROR
        up = not there.energy <= here.energy + slack
        if relative <= 1 and not up:
            positions, here = end, there
        step *= SHORTEN if up else min(5.0, max(SHORTEN, 0.8 / max(relative, 1e-9) ** (1 / 3)))
    return positions, here


def _chebyshev_step(forces: PairForces, positions: FloatArray, here: Field, step: float) -> FloatArray:
    stages = max(2, int(np.ceil(np.sqrt(1 + 1.54 * step * here.stiffness))))
    first, table = _chebyshev(stages)
    before, now = positions.copy(), positions + first * step * here.force
    for mu, nu, mu_force, gamma in table:
        forces.advance(before, now, positions, here.force, (1 - mu - nu, gamma * step, mu, nu, mu_force * step))
        before, now = now, before
    return now


@lru_cache(maxsize=1024)
def _chebyshev(stages: int) -> tuple[float, tuple[tuple[float, float, float, float], ...]]:
    """Return the coefficients of the first stage and of the others.

    T_j, T_j' and T_j'' by their recurrences, at w_0 = 1 + 2 / (13 s^2).
    """
    at = 1 + 2 / 13 / stages**2
    value, slope, curvature = np.zeros((3, stages + 1))
    value[:2], slope[1] = (1, at), 1
    for j in range(2, stages + 1):
        value[j] = 2 * at * value[j - 1] - value[j - 2]
        slope[j] = 2 * value[j - 1] + 2 * at * slope[j - 1] - slope[j - 2]
        curvature[j] = 4 * slope[j - 1] + 2 * at * curvature[j - 1] - curvature[j - 2]
    scale = slope[-1] / curvature[-1]
    b = np.empty(stages + 1)
    b[2:] = curvature[2:] / slope[2:] ** 2
    b[:2] = b[2]
    rest = 1 - b * value
    table = tuple(
        (
            float(2 * b[j] * at / b[j - 1]),
            float(-b[j] / b[j - 2]),
            float(2 * b[j] * scale / b[j - 1]),
            float(-rest[j - 1] * 2 * b[j] * scale / b[j - 1]),
        )
        for j in range(2, stages + 1)
    )
    return float(b[1] * scale), table


# Moves, the changes of the force that they made (with the sign of the move), and the products of both.
_Memory = deque[tuple[FloatArray, FloatArray, float]]


def _finish(forces: PairForces, positions: FloatArray, here: Field, most: int) -> tuple[FloatArray, Field]:
    """Continue to `TOLERANCE` by L-BFGS (J. Nocedal, Math. Comput. 35, 773 (1980)), in short moves that never go up.

    Energies are too coarse there for a line search; a move that goes up clears the memory, and without memory the move
    F / stiffness goes down.
    """
    memory: _Memory = deque(maxlen=MEMORY)
    slack = ROUNDING * len(positions)
    while here.greatest > TOLERANCE and forces.evaluations < most:
        move = _newton_move(here, memory)
        move *= min(1.0, LONGEST_MOVE / float(np.sqrt((move**2).sum(1).max())))
        there = forces(positions + move)
        if not there.energy <= here.energy + slack:
            memory.clear()
            continue
        change = here.force - there.force
        if (product := _dot(move, change)) > 0:
            memory.append((move, change, product))
        positions, here = positions + move, there
    return positions, here


def _newton_move(here: Field, memory: _Memory) -> FloatArray:
    """Return the force times the inverse Hessian, as far as the remembered moves and changes of force tell it."""
    if not memory:
        return here.force / here.stiffness
    move, shares = here.force.copy(), []
    for moved, change, product in reversed(memory):
        shares.append(_dot(moved, move) / product)
        move -= shares[-1] * change
    _, change, product = memory[-1]
    move *= product / _dot(change, change)
    for (moved, change, product), share in zip(memory, reversed(shares), strict=True):
        move += (share - _dot(change, move) / product) * moved
    return move


def _dot(one: FloatArray, other: FloatArray) -> float:
    # Not by BLAS, whose sums depend on its number of threads.
    return float(np.einsum("ij,ij", one, other))
