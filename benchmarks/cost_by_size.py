"""What glassformer's ParticleNet costs in time and memory as the configuration grows, one fresh process a size."""

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.network_task import Shape, write_task
from benchmarks.peers.process import OWN, Process
from glassformer.core.errors import EngineError
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.simulate.lockstep.simd import host_description


@dataclass
class Cost:
    """One kind of call at one N, a configuration at a time: median seconds, and those spent on feature neighbours."""

    seconds: float
    neighbor_seconds: float
    peak_bytes: int | None
    increase_bytes: int | None
    exponent: float | None = None

    @property
    def neighbor_share(self) -> float:
        """The part of the time that goes to feature neighbours."""
        return self.neighbor_seconds / self.seconds


@dataclass
class SizeCost:
    """Training step and prediction at one N, or why there is none."""

    particles: int
    train_step: Cost | None = None
    predict: Cost | None = None
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with the neighbours' share."""
        result = asdict(self)
        for name in ("train_step", "predict"):
            cost: Cost | None = getattr(self, name)
            if cost is not None:
                result[name]["neighbor_share"] = cost.neighbor_share
        return result


@dataclass(frozen=True)
class Costs:
    """Costs by size. `exponent` of a size: ln of the ratio of seconds to the size before, over ln of that of N."""

    shape: Shape
    rounds: int
    host: str
    sizes: list[SizeCost] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        about: dict[str, Any] = asdict(self.shape) | {"benchmark": "cost", "rounds": self.rounds, "host": self.host}
        del about["particles"]
        return about | {"version": code_version(), "sizes": [size.as_json() for size in self.sizes]}


def measure_costs(sizes: list[int], shape: Shape, rounds: int, progress: Progress) -> Costs:
    """Measure each of `sizes` with the rest of `shape`; what a process dies of is kept, and the next size tried."""
    costs = Costs(shape, rounds, host_description())
    progress.start("cost", len(sizes), "sizes")
    for particles in sorted(sizes):
        costs.sizes.append(_measure(replace(shape, particles=particles), rounds))
        last = costs.sizes[-1]
        progress.advance(1, last.failed or f"N = {particles}")
    for before, after in zip(costs.sizes, costs.sizes[1:], strict=False):
        for name in ("train_step", "predict"):
            smaller, larger = getattr(before, name), getattr(after, name)
            if smaller is not None and larger is not None:
                growth = math.log(after.particles / before.particles)
                larger.exponent = math.log(larger.seconds / smaller.seconds) / growth
    return costs


def _measure(shape: Shape, rounds: int) -> SizeCost:
    size = SizeCost(shape.particles)
    with TemporaryDirectory(prefix="glassformer-bench-") as folder:
        task = write_task(shape, Path(folder))
        with Process(OWN, task) as process:
            try:
                # Predictions first: their peak would be lost below that of training.
                size.predict = _calls(process, "predict", rounds, shape.batch)
                size.train_step = _calls(process, "train_step", rounds, shape.batch)
            except EngineError as error:
                size.failed = error.problem
    return size


def _calls(process: Process, method: str, rounds: int, batch: int) -> Cost:
    process.call(method)
    answers = [process.call(method) for _ in range(rounds)]
    peak, before = answers[-1].peak_bytes, answers[-1].before_bytes
    return Cost(
        float(np.median([answer.seconds for answer in answers])) / batch,
        float(np.median([answer.value["neighbor_seconds"] for answer in answers])) / batch,
        peak,
        None if peak is None or before is None else peak - before,
    )
