"""Vectors of draws on a GPU from their start to their last observation, as many at once as its memory holds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.campaign import Campaign
from glassformer.core.errors import UnstableError
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import CHUNK, Observations, Report, draw_velocities, record
from glassformer.simulate.lockstep.cuda import LockstepCuda, free_bytes, vector_bytes
from glassformer.simulate.lockstep.widths import best_width
from glassformer.simulate.schedule import observation_steps

# Steps between two checkpoints, a multiple of the steps between two refreshes.
CHECKPOINT_STEPS = 5_000
# Share of the device's free memory that vectors are planned for: lists may grow.
SHARE = 0.6

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Vector:
    """Draws of one configuration that share a list, and where their checkpoint is and goes.

    `checkpoint`: what `save` received last, or None. `campaign` is as it is at the state point.
    """

    configuration: Configuration
    temperature: float
    seeds: list[int]
    campaign: Campaign
    report: Report
    checkpoint: Arrays | None
    save: Callable[[Arrays], None]

    @property
    def steps_done(self) -> int:
        """Steps that the checkpoint has behind it."""
        return 0 if self.checkpoint is None else int(self.checkpoint["engine_steps"])


def follow_vectors(vectors: Sequence[Vector], threads: int = 1) -> list[Observations | UnstableError]:
    """Follow all `vectors`, of one size and mixture; return what each did, or the error of those that were unstable.

    A vector's numbers do not depend on the others, nor on the size of the card. `threads` evaluate observations.
    Raises `EngineError`.
    """
    results: dict[int, Observations | UnstableError] = {}
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number, vector in enumerate(vectors):
        steps = tuple(observation_steps(vector.campaign).tolist())
        # The width decides the order of sums: it may depend on nothing but the vector.
        alike.setdefault((vector.steps_done, best_width(len(vector.seeds)), steps), []).append(number)
    # Those that have come less far first.
    for (_, lanes, _), numbers in sorted(alike.items()):
        size = vector_bytes(vectors[numbers[0]].configuration.particles, lanes)
        room = max(1, int(SHARE * free_bytes() / size))
        for first in range(0, len(numbers), room):
            some = numbers[first : first + room]
            results |= zip(some, _follow([vectors[number] for number in some], lanes, threads), strict=True)
    return [results[number] for number in range(len(vectors))]


def _follow(vectors: Sequence[Vector], lanes: int, threads: int) -> list[Observations | UnstableError]:
    """Follow vectors that have come equally far and are observed at the same steps."""
    campaign, particles = vectors[0].campaign, vectors[0].configuration.particles
    velocities = [
        np.stack([draw_velocities(v.campaign, v.configuration, v.temperature, seed) for seed in v.seeds])
        for v in vectors
    ]
    engine = LockstepCuda(
        [v.configuration for v in vectors], mixture_of(campaign.mixture), campaign.time_step, velocities, lanes
    )
    seen = [_begin(engine, number, vector, particles) for number, vector in enumerate(vectors)]
    if vectors[0].checkpoint is not None:
        engine.restore([_engine_state(vector.checkpoint or {}) for vector in vectors])
    failed: dict[int, UnstableError] = {}
    steps = observation_steps(campaign)
    pauses = np.arange(CHECKPOINT_STEPS, steps[-1], CHECKPOINT_STEPS)
    with ThreadPoolExecutor(threads) as pool:

        def each(what: Callable[[int], None]) -> None:
            list(pool.map(what, [number for number in range(len(vectors)) if number not in failed]))

        stops = np.union1d(steps, pauses)
        for step in stops[stops > engine.steps].tolist():
            while engine.steps < step:
                count = min(CHUNK, step - engine.steps)
                engine.advance(count)
                failed |= {number: engine.instability(number) for number in engine.unstable if number not in failed}
                for vector in vectors:
                    vector.report(len(vector.seeds) * count)
            if step in steps:
                each(lambda number, step=step: _record(engine, number, vectors[number], seen[number], step))  # type: ignore[misc]
            if step in pauses:
                each(lambda number: vectors[number].save(_arrays(engine, number, seen[number])))
    for number in range(len(vectors)):
        seen[number].last_energy[:] = engine.total_energy(number)
    return [failed.get(number, seen[number]) for number in range(len(vectors))]


def _begin(engine: LockstepCuda, number: int, vector: Vector, particles: int) -> Observations:
    """Return what the checkpoint has seen, or nothing yet but the first energies."""
    if vector.checkpoint is not None:
        vector.report(0, -vector.steps_done * len(vector.seeds))
        return Observations.from_arrays(vector.checkpoint)
    seen = Observations.empty(vector.campaign, len(vector.seeds), particles)
    seen.first_energy[:] = engine.total_energy(number)
    return seen


def _record(engine: LockstepCuda, number: int, vector: Vector, seen: Observations, step: int) -> None:
    steps = observation_steps(vector.campaign)
    record(engine.displacements(number), seen, vector.configuration, vector.campaign, step, steps)


def _arrays(engine: LockstepCuda, number: int, seen: Observations) -> Arrays:
    return vars(seen) | {f"engine_{name}": value for name, value in engine.state(number).items()}


def _engine_state(checkpoint: Arrays) -> Arrays:
    return {name.removeprefix("engine_"): value for name, value in checkpoint.items() if name.startswith("engine_")}
