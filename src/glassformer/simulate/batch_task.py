"""Many samples as one task: their equilibrations, and then their draws, share the launches on a CUDA device."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from glassformer.core.cores import cores
from glassformer.core.errors import GlassformerError
from glassformer.core.failures import named
from glassformer.core.lock import HeldError
from glassformer.dataset.mixtures import mixture_of
from glassformer.simulate.draws import Request, run_on_device
from glassformer.simulate.isoconfigurational import Report
from glassformer.simulate.sample_task import (
    Task,
    check_node,
    claimed,
    equilibrate_sample,
    make_sample,
    request_draws,
)
from glassformer.simulate.unfinished import Unfinished

# Configurations of a batch, at most: 64 of 32 draws of 4096 particles are 8 million particles, which fill any card;
# a larger batch would only hold more locks for longer.
BATCH = 64


@dataclass(frozen=True)
class Batch:
    """Tasks whose draws are followed together."""

    tasks: tuple[Task, ...]

    @property
    def name(self) -> str:
        """The names of the first and the last sample."""
        first, last = self.tasks[0].name, self.tasks[-1].name
        return first if first == last else f"{first} to {last}"

    @property
    def lock(self) -> Path | None:
        """None: every sample has its own."""
        return None


def batches(tasks: Sequence[Task]) -> list[Batch]:
    """Return `tasks` in batches, those of a state point together."""
    together = sorted(tasks, key=lambda task: (task.point.label, task.index))
    return [Batch(tuple(together[first : first + BATCH])) for first in range(0, len(together), BATCH)]


def simulate_batch(batch: Batch, report: Report = lambda done, more=0: None, threads: int = 1) -> int:
    """Simulate what is missing of the batch's samples and write their files; return how many were made.

    `threads` evaluate observations. What other processes hold is left to them. Raises what the first sample that
    failed raised, naming it, after the others are made; `HeldError`, with how many were made, if others still hold a
    sample.
    """
    failure: Exception | None = None
    held: HeldError | None = None
    made = 0
    with ExitStack() as stack:
        mine: list[tuple[Task, Unfinished]] = []
        for task in batch.tasks:
            try:
                lock = stack.enter_context(claimed(task))
                mine.append((task, Unfinished(task.path, task.parameter_hash, lock)))
            except HeldError as error:
                held = error
        unsettled = _equilibrate_together(mine, report, threads)
        failure = next((named(name, error) for name, error in unsettled.items()), None)
        mine = [(task, unfinished) for task, unfinished in mine if task.name not in unsettled]
        requests, damaged = _requests(mine, report)
        failure = failure or next((named(name, error) for name, error in damaged.items()), None)
        mine = [(task, unfinished) for task, unfinished in mine if task.name not in damaged]
        errors = dict(
            zip(
                [task.name for task, request in requests if request is not None],
                run_on_device([request for _, request in requests if request is not None], threads),
                strict=True,
            )
        )
        for task, unfinished in mine:
            problem = errors.get(task.name)
            try:
                if problem is not None:
                    raise problem
                # Its draws are reported already.
                made += make_sample(task, lambda done, more=0: None, unfinished, threads)
            except GlassformerError as error:
                failure = failure or named(task.name, error)
    if failure is not None:
        raise failure
    if held is not None:
        raise HeldError(held.owner, made)
    return made


def _requests(
    mine: Sequence[tuple[Task, Unfinished]], report: Report
) -> tuple[list[tuple[Task, Request | None]], dict[str, GlassformerError]]:
    """Return what each of the samples needs of the device, and the errors of those that cannot be read."""
    requests: list[tuple[Task, Request | None]] = []
    errors: dict[str, GlassformerError] = {}
    for task, unfinished in mine:
        try:
            requests.append((task, request_draws(task, report, unfinished)))
        except GlassformerError as error:
            errors[task.name] = error
    return requests, errors


def simulate_batch_remotely(batch: Batch, engine: str) -> int:
    """Simulate `batch` in a worker of Parsl, on its cores. Raises as `simulate_batch` and `check_node` do."""
    check_node(batch.tasks[0].campaign, engine)
    return simulate_batch(batch, threads=_cores_of_worker())


def _cores_of_worker() -> int:
    """Return the worker's share of the node's cores: those that Parsl was given, over the workers beside this one."""
    given = int(os.environ.get("PARSL_CORES") or cores())
    return max(1, min(cores(), given // int(os.environ.get("PARSL_WORKER_COUNT") or 1)))


def _equilibrate_together(
    mine: Sequence[tuple[Task, Unfinished]], report: Report, threads: int
) -> dict[str, GlassformerError]:
    """Make the equilibrated configurations that are missing, each in a thread; return the errors of those that failed.

    The threads wait for one another wherever the device moves all their particles; `threads` compute at a time.
    """
    waiting = [
        (task, unfinished)
        for task, unfinished in mine
        if not task.campaign.equilibration.as_given and not task.path.exists()
    ]
    if not waiting:
        return {}
    from glassformer.simulate.lockstep.device_runs import Conductor

    campaign = waiting[0][0].campaign
    conductor = Conductor(mixture_of(campaign.mixture), campaign.equilibration.time_step, len(waiting), threads)
    errors: dict[str, GlassformerError] = {}

    def one(task: Task, unfinished: Unfinished) -> None:
        try:
            equilibrate_sample(task, report, unfinished, conductor)
        except GlassformerError as error:
            # Its frames hold what it has on the device.
            errors[task.name] = error.with_traceback(None)
        finally:
            conductor.leave()

    with ThreadPoolExecutor(len(waiting)) as pool:
        for future in [pool.submit(one, *each) for each in waiting]:
            future.result()
    return errors
