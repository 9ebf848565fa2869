"""Vectors of draws on a GPU from their start to their last observation, as many at once as its memory holds."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DeviceMemoryError, UnstableError
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import CHUNK, Observations, Report, draw_velocities, record
from glassformer.simulate.lockstep.cuda import LockstepCuda, vector_bytes
from glassformer.simulate.lockstep.cuda_memory import free_bytes
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

    `checkpoint`: what `save` received last, or None; `load` returns it. `campaign` is as it is at the state point.
    """

    configuration: Configuration
    temperature: float
    seeds: list[int]
    campaign: Campaign
    report: Report
    checkpoint: Arrays | None
    save: Callable[[Arrays], None]
    load: Callable[[], Arrays | None]

    @property
    def steps_done(self) -> int:
        """Steps that the checkpoint has behind it."""
        return 0 if self.checkpoint is None else int(self.checkpoint["engine_steps"])


Outcome = Observations | UnstableError | DeviceMemoryError


def follow_vectors(vectors: Sequence[Vector], threads: int = 1) -> list[Outcome]:
    """Follow all `vectors`, of one size and mixture; return what each did, or the error of those that failed.

    Where the device's memory does not suffice after all, half as many continue together from their checkpoints; what
    fails even alone has a `DeviceMemoryError`. A vector's numbers do not depend on the others, nor on the size of the
    card. `threads` evaluate observations. Raises `EngineError`.
    """
    results: dict[int, Outcome] = {}
    left, most = dict(enumerate(vectors)), len(vectors)
    while left:
        lanes, numbers = _next(left)
        # Again every time: lists of the vectors before may have left less, and deleted ones more.
        room = int(SHARE * free_bytes() / vector_bytes(left[numbers[0]].configuration.particles, lanes))
        numbers = numbers[: max(1, min(room, most))]
        found = _follow_or_refuse([left[number] for number in numbers], lanes, threads)
        if isinstance(found, DeviceMemoryError) and len(numbers) > 1:
            most = len(numbers) // 2
            left |= {number: replace(left[number], checkpoint=left[number].load()) for number in numbers}
            continue
        outcomes = [found] if isinstance(found, DeviceMemoryError) else found
        results |= zip(numbers, outcomes, strict=True)
        for number in numbers:
            del left[number]
    return [results[number] for number in range(len(vectors))]


def _next(left: Mapping[int, Vector]) -> tuple[int, list[int]]:
    """Return the lanes and the numbers of vectors that can be followed together: those that have come least far."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number, vector in left.items():
        steps = tuple(observation_steps(vector.campaign).tolist())
        # The width decides the order of sums: it may depend on nothing but the vector.
        alike.setdefault((vector.steps_done, best_width(len(vector.seeds)), steps), []).append(number)
    (_, lanes, _), numbers = min(alike.items())
    return lanes, numbers


def _follow_or_refuse(vectors: Sequence[Vector], lanes: int, threads: int) -> Sequence[Outcome] | DeviceMemoryError:
    """Follow `vectors`, or return the error if they do not fit; then nothing of them stays on the device."""
    try:
        return _follow(vectors, lanes, threads)
    except DeviceMemoryError as error:
        # Its frames hold the engine.
        return error.with_traceback(None)


def _follow(vectors: Sequence[Vector], lanes: int, threads: int) -> list[Outcome]:
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
    advance = _reporting(engine, vectors)
    steps = observation_steps(campaign)
    pauses = np.arange(CHECKPOINT_STEPS, steps[-1], CHECKPOINT_STEPS)
    with ThreadPoolExecutor(threads) as pool:

        def each(what: Callable[[int], None]) -> None:
            list(pool.map(what, [number for number in range(len(vectors)) if number not in failed]))

        stops = np.union1d(steps, pauses)
        for step in stops[stops > engine.steps].tolist():
            while engine.steps < step:
                count = min(CHUNK, step - engine.steps)
                advance(count)
                failed |= {number: engine.instability(number) for number in engine.unstable if number not in failed}
            if step in steps:
                each(lambda number, step=step: _record(engine, number, vectors[number], seen[number], step))  # type: ignore[misc]
            if step in pauses:
                each(lambda number: vectors[number].save(_arrays(engine, number, seen[number])))
    for number in range(len(vectors)):
        seen[number].last_energy[:] = engine.total_energy(number)
    return [failed.get(number, seen[number]) for number in range(len(vectors))]


def _reporting(engine: LockstepCuda, vectors: Sequence[Vector]) -> Callable[[int], None]:
    """Return a function that advances and reports; what memory lets fail is reported as still to be done, again."""

    def advance(steps: int) -> None:
        before = engine.steps
        try:
            engine.advance(steps)
        except DeviceMemoryError:
            for vector in vectors:
                # The next start takes off what the checkpoint then has behind it.
                vector.report(0, len(vector.seeds) * before)
            raise
        for vector in vectors:
            vector.report(len(vector.seeds) * steps)

    return advance


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
