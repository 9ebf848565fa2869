"""What the coordinator of a large campaign itself costs: 56,000 tasks on 1,000 workers, some of which are lost.

    python -m benchmarks.coordinator [--json] [--tasks 56000] [--workers 1000] [--lost 0.01]

Tasks, queue, locks on the disk, tally and repetitions are those of a campaign through Parsl; only the workers are
played: each takes a task, and ends it after a random time of a simulated clock or is lost. `seconds_per_task`: CPU
time of the coordinator for one task; `workers_kept_busy`: how many workers it could serve with tasks of an hour.
"""

import argparse
import concurrent.futures
import heapq
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from parsl.executors.high_throughput.errors import WorkerLost

from glassformer.core.campaign import Campaign
from glassformer.core.parsl_runner import Coordinator
from glassformer.core.progress import Silent
from glassformer.core.provenance import code_version
from glassformer.core.settings import check_settings
from glassformer.core.tally import Tally
from glassformer.simulate.campaign import missing_work, tasks
from glassformer.simulate.lockstep.simd import host_description
from glassformer.simulate.sample_task import Task

POINTS = 7
HOUR = 3600.0


class Cluster:
    """Workers of a simulated clock: each takes a task that is waiting, and ends it an hour later, or so."""

    def __init__(self, workers: int, lost: float) -> None:
        self._free, self._lost, self._random = workers, lost, np.random.default_rng(0)
        self._waiting: list[concurrent.futures.Future[bool]] = []
        self._running: list[tuple[float, int, concurrent.futures.Future[bool]]] = []
        self._number = itertools.count()
        self.now, self.begun, self.losses = 0.0, 0, 0

    def take(self, task: Task) -> "concurrent.futures.Future[bool]":
        """Take a task, as Parsl's app does."""
        future: concurrent.futures.Future[bool] = concurrent.futures.Future()
        self._waiting.append(future)
        return future

    def advance(self) -> None:
        """Give the free workers tasks, and let the clock run until the next tasks, of about a minute, have ended."""
        while self._free and self._waiting:
            self._free -= 1
            self.begun += 1
            ends = self.now + float(self._random.gamma(4, HOUR / 4))
            heapq.heappush(self._running, (ends, next(self._number), self._waiting.pop(0)))
        if not self._running:
            return
        self.now = self._running[0][0] + HOUR / 60
        while self._running and self._running[0][0] <= self.now:
            _, number, future = heapq.heappop(self._running)
            self._free += 1
            if self._random.uniform() < self._lost:
                self.losses += 1
                future.set_exception(WorkerLost(number, "node"))
            else:
                future.set_result(True)


def measure(dataset: Path, number: int, workers: int, lost: float) -> dict[str, Any]:
    """Run the campaign, and return what it cost."""
    points = [{"temperature": 0.44 + 0.02 * one, "density": 1.2, "hold_time": 10.0} for one in range(POINTS)]
    values = {"seed": 1, "particles": 4096, "mixture": "kob-andersen", "configurations": -(-number // POINTS)}
    campaign = check_settings(values | {"draws": 20, "state_points": points}, Campaign, "large")
    began = time.process_time()
    chosen = tasks(campaign, dataset)[:number]
    tally = Tally(Silent(), {task.name: work for task, work in missing_work(chosen, dataset).items()})
    prepared = time.process_time() - began
    cluster = Cluster(workers, lost)
    began, waited = time.process_time(), time.perf_counter()
    coordinator = Coordinator(cluster.take, chosen, tally)
    while coordinator.unfinished:
        coordinator.give()
        cluster.advance()
        coordinator.watch(0.0)
    spent = time.process_time() - began
    assert len(coordinator.results) + len(coordinator.failures) == number
    return {
        "tasks": number, "workers": workers, "begun": cluster.begun, "workers_lost": cluster.losses,
        "failed": len(coordinator.failures), "simulated_hours": cluster.now / HOUR, "seconds_to_prepare": prepared,
        "cpu_seconds": spent, "seconds": time.perf_counter() - waited, "seconds_per_task": spent / cluster.begun,
        "workers_kept_busy": round(HOUR * cluster.begun / spent),
    }  # fmt: skip


def main() -> None:
    """Print what was measured, as lines or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=56_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--lost", type=float, default=0.01, help="share of tasks whose worker is lost")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.tasks, arguments.workers, arguments.lost)
    if arguments.json:
        about = {"benchmark": "coordinator", "host": host_description(), "version": code_version()}
        print(json.dumps(about | found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:22s} {value:12.6g}")


if __name__ == "__main__":
    main()
