"""The isoconfigurational ensemble: many velocity draws from one configuration.

A. Widmer-Cooper, P. Harrowell and H. Fynewever, Phys. Rev. Lett. 93, 135701 (2004).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ISOCONFIGURATIONAL, FloatArray, IntArray, with_rows
from glassformer.core.campaign import Campaign
from glassformer.core.errors import UnstableError
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import Ensemble
from glassformer.observables.recorded import AVERAGED, BY_DRAW
from glassformer.physics.configuration import Configuration
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.lammps import Lammps, checkpoint_steps
from glassformer.simulate.schedule import observation_steps, particle_steps
from glassformer.simulate.unfinished import Unfinished

# Steps between two reports of progress.
CHUNK = 500
# Draws that lockstep advances together, the lanes of its vector. Half of them or fewer cost as much as `HALF`.
DRAWS = 16
HALF = 10.5
# Work of a step of LAMMPS in draw steps of lockstep; a step of a full vector is 16 of those. Measured at N = 4096 on
# one core: 1.8 M atom-steps/s with lj/cut/opt, 25 M in lockstep.
LAMMPS_COST = 14.0


def vector_work(draws: int) -> float:
    """Return as how many draws one vector of `draws` counts."""
    return HALF if draws <= DRAWS // 2 else float(DRAWS)


class Report(Protocol):
    """Receives the work done and, where more work turned up than was expected, how much more."""

    def __call__(self, done: float, more: float = 0) -> None:
        """Take them."""


def weighed(report: Report, weight: float) -> Report:
    """Return a report that passes on `weight` times what it receives."""

    def pass_on(done: float, more: float = 0) -> None:
        report(weight * done, weight * more)

    return pass_on


class Engine(Protocol):
    """Something that advances D draws of one configuration together."""

    draws: int

    def advance(self, steps: int) -> None:
        """Advance every draw."""

    def displacements(self) -> FloatArray:
        """Return the displacements from the start, (D, N, 3)."""

    def total_energy(self) -> FloatArray:
        """Return the kinetic plus the potential energy, (D,)."""


# The rows of the schema that are recorded of every draw at the times of observation.
RECORDED = tuple(spec for spec in ISOCONFIGURATIONAL if spec.name in BY_DRAW)


def array_sizes(campaign: Campaign, draws: int) -> dict[str, int]:
    """Return what the letters in the shapes of a sample's arrays stand for, with `draws` draws."""
    return {
        "D": draws,
        "N": campaign.particles,
        "Q": len(campaign.mixture.species),
        "S": len(campaign.particle_times),
        "T": len(observation_steps(campaign)),
    }


@with_rows(RECORDED)
@dataclass(frozen=True, eq=False)
class Observations:
    """What D draws did: displacements (D, S, N, 3) at the particle times, energies (D,), and the rows of `RECORDED`."""

    displacements: NDArray[np.float32]
    first_energy: FloatArray
    last_energy: FloatArray

    @classmethod
    def empty(cls, campaign: Campaign, draws: int, particles: int) -> "Observations":
        """Return observations of `draws` draws of so many particles still to be made: NaN."""
        sizes = array_sizes(campaign, draws) | {"N": particles}
        shape = draws, sizes["S"], sizes["N"], 3
        rows: dict[str, Any] = {spec.name: np.full(spec.sized(sizes), np.nan, spec.dtype) for spec in RECORDED}
        # Displacements are the bulk of it: single precision is plenty.
        return cls(np.full(shape, np.nan, np.float32), np.full(draws, np.nan), np.full(draws, np.nan), **rows)

    @classmethod
    def together(cls, groups: "list[Observations]") -> "Observations":
        """Return the draws of all `groups`, one after the other."""
        return cls(
            *(np.concatenate(arrays) for arrays in zip(*(vars(group).values() for group in groups), strict=True))
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Observations":
        """Return observations from arrays by name."""
        return cls(*(arrays[name].copy() for name in cls.__dataclass_fields__))

    def one(self, draw: int) -> "Observations":
        """Return those of one draw, as views."""
        return Observations(*(array[draw : draw + 1] for array in vars(self).values()))


class LammpsDraw:
    """One draw on LAMMPS at constant energy, from `configuration` and `velocities` (N, 3), as an `Engine`.

    `displacements` (N, 3): how far the particles have come already, where the draw began elsewhere.
    """

    draws = 1

    def __init__(
        self,
        configuration: Configuration,
        campaign: Campaign,
        velocities: FloatArray,
        steps: int,
        displacements: FloatArray | None = None,
    ) -> None:
        self._species, self._steps = configuration.species, steps
        self._mixture, self._time_step = mixture_of(campaign.mixture), campaign.time_step
        self._engine = Lammps(configuration, self._mixture, self._time_step, velocities)
        self._engine.begin_nve(steps)
        self._origin = self._engine.positions() - (0 if displacements is None else displacements)

    def __enter__(self) -> "LammpsDraw":
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.close()

    def renew(self, done: int) -> NDArray[np.uint8]:
        """Go through LAMMPS's restart file, with `done` steps behind, and return its contents."""
        contents = self._engine.renew()
        self._engine.begin_nve(self._steps, done)
        return contents

    def resume(self, contents: NDArray[np.uint8], done: int) -> None:
        """Continue from what `renew` returned."""
        self._engine.close()
        self._engine = Lammps.from_restart(contents, self._species, self._mixture, self._time_step)
        self._engine.begin_nve(self._steps, done)

    def advance(self, steps: int) -> None:
        """Advance by `steps`."""
        self._engine.advance(steps)

    def displacements(self) -> FloatArray:
        """Return the displacements from the start, (1, N, 3)."""
        return (self._engine.positions() - self._origin)[None]

    def total_energy(self) -> FloatArray:
        """Return the kinetic plus the potential energy, (1,)."""
        return np.array([self._engine.total_energy()])


def run_lammps_draw(
    configuration: Configuration,
    temperature: float,
    seed: int,
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
    name: str,
) -> Observations:
    """Follow one draw from `configuration` by velocity Verlet on LAMMPS. Raises `EngineError` or `StorageError`.

    Its checkpoints are kept in `unfinished` as `name`, and the run continues from there.
    """
    steps = observation_steps(campaign)
    velocities = draw_velocities(campaign, configuration, temperature, seed)
    seen = Observations.empty(campaign, 1, configuration.particles)
    saved, now = unfinished.load(name), 0
    with LammpsDraw(configuration, campaign, velocities, int(steps[-1])) as engine:
        if saved is None:
            seen.first_energy[:] = engine.total_energy()
        else:
            seen, now = Observations.from_arrays(saved), int(saved["done"])
            engine.resume(saved["restart"], now)
            report(0, -now)

        def pause(step: int) -> bool:
            restart = engine.renew(step)
            unfinished.save(name, vars(seen) | {"restart": restart, "done": np.array(step)})
            return False

        follow(engine, seen, configuration, campaign, now, report, checkpoint_steps(configuration.particles), pause)
    return seen


def draw_velocities(campaign: Campaign, configuration: Configuration, temperature: float, seed: int) -> FloatArray:
    """Return the velocities (N, 3) of the draw with `seed`."""
    mixture = mixture_of(campaign.mixture)
    return maxwell_boltzmann(seed, mixture.masses_of(configuration.species), temperature, mixture.dimension)


def follow(
    engine: Engine,
    seen: Observations,
    configuration: Configuration,
    campaign: Campaign,
    now: int,
    report: Report,
    every: int = 0,
    pause: Callable[[int], bool] = lambda step: False,
) -> int:
    """Advance `engine` from step `now` to the last observation, recording into `seen`; return the step reached.

    At every multiple of `every` steps `pause` is called; if it returns true, the run ends there.
    """
    steps = observation_steps(campaign)
    pauses = np.arange(every, steps[-1], every) if every else np.array([], np.int64)
    for step in np.union1d(steps, pauses).tolist():
        if step <= now:
            continue
        for done in range(now, step, CHUNK):
            count = min(CHUNK, step - done)
            engine.advance(count)
            report(engine.draws * count)
        now = step
        if step in steps:
            record(engine.displacements(), seen, configuration, campaign, step, steps)
        if step in pauses and pause(step):
            return int(now)
    seen.last_energy[:] = engine.total_energy()
    return int(now)


def record(
    displacements: FloatArray,
    seen: Observations,
    configuration: Configuration,
    campaign: Campaign,
    step: int,
    steps: IntArray,
) -> None:
    """Write what is seen of `displacements` (D, N, 3) at `step` into `seen`. Raises `UnstableError`."""
    at = int(np.searchsorted(steps, step))
    unstable = tuple(np.flatnonzero(~np.isfinite(displacements).all((1, 2))).tolist())
    if unstable:
        raise UnstableError(f"the dynamics became unstable before step {step}", "Use a smaller time_step.", unstable)
    species, mixture = configuration.species, mixture_of(campaign.mixture)
    for draw, displacement in enumerate(displacements):
        for spec in RECORDED:
            getattr(seen, spec.name)[draw, at] = BY_DRAW[spec.name](displacement, species, mixture)
    seen.displacements[:, particle_steps(campaign) == step] = displacements[:, None]


def collect(seen: Observations, seeds: list[int], campaign: Campaign) -> Ensemble:
    """Return the arrays of a sample from what all its draws did."""
    draws, *shape, _ = seen.displacements.shape
    averaged = [spec for spec in ISOCONFIGURATIONAL if spec.kind == "mean"]
    means = {spec.name: np.zeros(shape) for spec in averaged}
    for displacements in seen.displacements:
        moved = displacements.astype(np.float64)
        for name, mean in means.items():
            mean += AVERAGED[name](moved) / draws
    rows: dict[str, Any] = {spec.name: means[spec.name].astype(spec.dtype) for spec in averaged}
    rows |= {spec.name: getattr(seen, spec.name) for spec in RECORDED}
    return Ensemble(
        times=observation_steps(campaign) * np.float64(campaign.time_step),
        seeds=np.array(seeds, dtype=np.int64),
        particle_times=particle_steps(campaign) * np.float64(campaign.time_step),
        displacements=seen.displacements if campaign.keep_displacements else None,
        **rows,
    )
