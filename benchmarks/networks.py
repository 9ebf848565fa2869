"""glassformer's ParticleNet beside the same network in Keras and in plain torch: one step of each in turn, in one run.

All have the same first weights, data, optimiser and number of threads, each in a process of its own.

`train_step`: forward and backward pass and one step of Adam. glassformer has the first graph at hand, as in its
training, where the positions of a configuration do not change; the others find it in every step, as they are written.
Keras comes twice: `keras` with its own batch norm layers, `keras_fused` with TensorFlow's fused ones.
`predict`: from positions to outputs; glassformer builds its first graph within the time.
"""

import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from benchmarks.network_task import Shape, training_gflop, write_task
from benchmarks.peers.keras_environment import HOW_TO, find_keras_python
from benchmarks.peers.process import KERAS, KERAS_FUSED, OWN, TORCH, Answer, Process
from glassformer.core.arrays import FloatArray
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.simulate.lockstep.simd import host_description

PEERS = (KERAS, KERAS_FUSED, TORCH)
Call = Literal["train_step", "predict"]
# Calls before the timed ones: the first compiles, the second still finds its blocks of memory.
WARM_UP = 2
# Steps whose losses are compared; later ones drift apart by rounding.
COMPARED = 3

FIRST_GRAPH = {
    "train_step": "computed once by glassformer, outside the time; in every step by its peers",
    "predict": "within the time, for all",
}


@dataclass
class Contest:
    """One contender's calls: the seconds of each timed round, losses from the first step on, and memory."""

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    outputs: FloatArray | None = None
    peak_bytes: int | None = None
    before_bytes: int | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def take(self, answer: Answer, timed: bool) -> None:
        """Keep what a call gave."""
        if timed:
            self.seconds.append(answer.seconds)
        if "loss" in answer.value:
            self.losses.append(answer.value["loss"])
        if self.outputs is None:
            self.outputs = np.array(answer.value["outputs"])
        self.peak_bytes, self.before_bytes = answer.peak_bytes, answer.before_bytes

    @property
    def increase_bytes(self) -> int | None:
        """Peak less the memory before the first call."""
        return None if self.peak_bytes is None or self.before_bytes is None else self.peak_bytes - self.before_bytes


@dataclass(frozen=True)
class Comparison:
    """The contenders by name, and the speed of a matrix product in every round (GFLOP/s; training only)."""

    call: Call
    shape: Shape
    rounds: int
    host: str
    contests: dict[str, Contest]
    sgemm: list[float]

    @property
    def keras_missing(self) -> str | None:
        """What to do about it if Keras is not there."""
        return None if KERAS in self.contests else f"Keras is not compared: no TensorFlow was found. {HOW_TO}"

    @property
    def first_graph(self) -> str:
        """Who finds the first graph when."""
        return FIRST_GRAPH[self.call]

    @property
    def network_gflop(self) -> float:
        """Floating point operations (10^9) of a training step's linear layers."""
        return training_gflop(self.shape)

    def seconds(self, name: str) -> float | None:
        """Median seconds per configuration."""
        return float(np.median(self.contests[name].seconds)) / self.shape.batch if name in self.contests else None

    def speedups(self, peer: str) -> FloatArray | None:
        """The peer's seconds over glassformer's in every round."""
        if peer not in self.contests:
            return None
        ratios: FloatArray = np.array(self.contests[peer].seconds) / np.array(self.contests[OWN].seconds)
        return ratios

    def memory_ratio(self, peer: str) -> float | None:
        """glassformer's peak memory over the peer's, of whole processes."""
        own, other = (self.contests[name].peak_bytes if name in self.contests else None for name in (OWN, peer))
        return own / other if own and other else None

    def output_difference(self, peer: str) -> float | None:
        """Largest difference of the first call's outputs over glassformer's largest output."""
        own, other = (self.contests[name].outputs if name in self.contests else None for name in (OWN, peer))
        return None if own is None or other is None else float(abs(own - other).max() / abs(own).max())

    def loss_difference(self, peer: str) -> float | None:
        """Largest relative difference of the losses of the first steps."""
        if peer not in self.contests or not self.contests[peer].losses:
            return None
        own, other = (np.array(self.contests[name].losses[:COMPARED]) for name in (OWN, peer))
        return float((abs(own - other) / own).max())

    def sgemm_shares(self) -> FloatArray:
        """The time that the step's operations take at the matrix product's speed, over glassformer's, every round."""
        shares: FloatArray = self.network_gflop / np.array(self.sgemm) / np.array(self.contests[OWN].seconds)
        return shares

    def as_json(self) -> dict[str, Any]:
        """Return all of it; what is not known is null. Seconds are a configuration's; ratios, medians of the rounds."""
        result: dict[str, Any] = asdict(self.shape) | {
            "benchmark": self.call.replace("_", "-"), "rounds": self.rounds, "host": self.host,
            "first_graph": self.first_graph, "keras_missing": self.keras_missing, "versions": self._versions(),
            "seconds": {name: self.seconds(name) for name in (OWN, *PEERS)},
            "seconds_of_rounds": {
                name: (np.array(contest.seconds) / self.shape.batch).tolist() for name, contest in self.contests.items()
            },
            "peak_bytes": self._of_each("peak_bytes"), "peak_increase_bytes": self._of_each("increase_bytes"),
        }  # fmt: skip
        for peer in PEERS:
            ratios = self.speedups(peer)
            result[f"speedup_{peer}"] = None if ratios is None else float(np.median(ratios))
            result[f"speedup_{peer}_range"] = None if ratios is None else [float(ratios.min()), float(ratios.max())]
            result[f"memory_ratio_{peer}"] = self.memory_ratio(peer)
        result["output_difference"] = {peer: self.output_difference(peer) for peer in PEERS}
        return result | (self._training() if self.call == "train_step" else {})

    def _training(self) -> dict[str, Any]:
        return {
            "losses": self._of_each("losses"),
            "loss_difference": {peer: self.loss_difference(peer) for peer in PEERS},
            "sgemm_gflops": float(np.median(self.sgemm)),
            "network_gflop": self.network_gflop,
            "share_of_sgemm_limit": float(np.median(self.sgemm_shares())),
        }

    def _of_each(self, what: str) -> dict[str, Any]:
        return {name: getattr(self.contests[name], what) if name in self.contests else None for name in (OWN, *PEERS)}

    def _versions(self) -> dict[str, str]:
        found = {"glassformer": code_version(), "python": platform.python_version(), "numpy": np.__version__}
        for contest in self.contests.values():
            found |= contest.versions
        return found


def compare(call: Call, shape: Shape, rounds: int, keras_python: str | None, progress: Progress) -> Comparison:
    """Let glassformer, Keras and torch make `call` in turns, `rounds` times after two that are not timed.

    Without Keras (see `find_keras_python`) the others are compared. Raises `EngineError` if a process dies.
    """
    with contenders(shape, find_keras_python(keras_python)) as processes:
        contests = {name: Contest() for name in processes}
        sgemm: list[float] = []
        progress.start(call.replace("_", " "), (WARM_UP + rounds) * len(processes), "calls")
        for turn in range(WARM_UP + rounds):
            names = list(processes)
            # Each is first, second and third as often: what one leaves behind (heat, a busy thread) meets all.
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                answer = processes[name].call(call)
                contests[name].take(answer, timed=turn >= WARM_UP)
                progress.advance(1, f"{name} {answer.seconds / shape.batch:.2f} s a configuration")
            if call == "train_step" and turn >= WARM_UP:
                sgemm.append(processes[OWN].call("sgemm").value)
        for name, process in processes.items():
            contests[name].versions = process.call("versions").value
    return Comparison(call, shape, rounds, host_description(), contests, sgemm)


@contextmanager
def contenders(shape: Shape, keras_python: str | None) -> Iterator[dict[str, Process]]:
    """Start a process for each contender; none is left at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="glassformer-bench-")))
        task = write_task(shape, folder)
        processes = {OWN: stack.enter_context(Process(OWN, task))}
        if keras_python is not None:
            for name in (KERAS, KERAS_FUSED):
                processes[name] = stack.enter_context(Process(name, task, keras_python))
        processes[TORCH] = stack.enter_context(Process(TORCH, task))
        yield processes
