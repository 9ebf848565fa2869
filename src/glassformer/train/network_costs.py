"""What a network costs: parameters, floating point operations, and seconds and memory on this machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from glassformer.core.errors import SettingsError, TrainingError
from glassformer.core.network_kinds import OwnNetworkSettings
from glassformer.core.network_settings import CutoffGraph, NearestGraph, NetworkSettings
from glassformer.core.processes import Ended, Workers, cause_of_death
from glassformer.dataset.mixtures import shipped
from glassformer.graph.batch import CPU, GraphBatch, build_graph, join
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.train.memory import keep_large_blocks

DENSITY = 1.2
# Of one target.
OUTPUTS = 1
ROUNDS = 3
# Particles on which an estimate is measured, and on a GPU, which few do not fill, configurations together.
ESTIMATED_PARTICLES, ON_GPU, TOGETHER = 250, 4096, 4


@dataclass(frozen=True)
class Measured:
    """Median seconds and most bytes of a prediction and of a training step (gradient and Adam), one configuration."""

    threads: int
    predict_seconds: float
    predict_bytes: float
    train_seconds: float
    train_bytes: float


@dataclass(frozen=True)
class NetworkCost:
    """A network with one target: its trainable parameters, and operations of a prediction of `particles` particles."""

    name: str
    meaning: str
    head: str
    parameters: int
    particles: int
    operations: int
    measured: Measured | None = None


def network_cost(name: str, meaning: str, settings: NetworkSettings, particles: int) -> NetworkCost:
    """Return what the network costs, but for what must be measured."""
    network = build_network(settings, OUTPUTS)
    parameters = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    return NetworkCost(name, meaning, settings.head, parameters, particles, operations(settings, particles))


def edges(settings: NetworkSettings, particles: int) -> int:
    """Return how many edges `particles` particles have at rho = 1.2: N k, or N rho 4 pi r_c^3 / 3 within a cutoff.

    Raises `SettingsError` if k >= N.
    """
    graph = settings.graph
    if isinstance(graph, CutoffGraph):
        return round(particles * DENSITY * 4 / 3 * np.pi * graph.cutoff**3)
    if graph.neighbors >= particles:
        raise SettingsError(
            f"got k = {graph.neighbors} neighbours for {particles} particles; expected k < N",
            "Set a larger --particles.",
        )
    return particles * graph.neighbors


def operations(settings: NetworkSettings, particles: int) -> int:
    """Return the floating point operations of one prediction: those of its matrix products, 2 n m k each.

    Counted while tensors without contents, of the true sizes, go through the network. One from outside may not know
    such tensors, and reads a graph.
    """
    if isinstance(settings, OwnNetworkSettings):
        return _counted(build_network(settings, OUTPUTS).eval(), _graph(settings, particles))
    with torch.device("meta"):
        network = build_network(settings, OUTPUTS).eval()
        places = torch.zeros(edges(settings, particles), dtype=torch.int64)
        graph = GraphBatch(
            torch.zeros(particles, dtype=torch.int64),
            torch.zeros(particles, settings.scalars),
            torch.zeros(particles, len(settings.vector_inputs), 3),
            places, places, torch.zeros(len(places), 3), (particles,),
            torch.zeros(particles, 3), torch.ones(1, 3),
        )  # fmt: skip
    return _counted(network, graph)


def _counted(network: nn.Module, graph: GraphBatch) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(graph)
    return int(counter.get_total_flops())


def measure(settings: NetworkSettings, particles: int, threads: int) -> Measured:
    """Measure a prediction and a training step of one configuration, in a process of its own.

    Raises `SettingsError` if the network cannot read so few particles, `TrainingError` if memory does not suffice.
    """
    # A bad number of particles is told here, and not as a failure of the other process.
    _graph(settings, particles)
    # A fresh process: the most memory that it ever had is this network's.
    with Workers() as workers:
        worker = workers.start(_send_measured, settings, particles, threads)
        ((_, found),) = workers.listen()
    if isinstance(found, Ended):
        cause, _ = cause_of_death(worker.process.exitcode)
        raise TrainingError(
            f"the process that measured a training step of {particles} particles died ({cause})",
            "Lower --particles, if memory ran out.",
        )
    measured: Measured = found
    return measured


def _send_measured(pipe: Connection, settings: NetworkSettings, particles: int, threads: int) -> None:
    pipe.send(measure_here(settings, particles, threads))


def measure_here(settings: NetworkSettings, particles: int, threads: int) -> Measured:
    """Measure in this process, which should have done nothing else: its memory counts from what it has now."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # As in training.
    keep_large_blocks()
    network = build_network(settings, OUTPUTS)
    optimizer = torch.optim.Adam(network.parameters())
    graph = _graph(settings, particles)

    def predict() -> None:
        network.eval()
        with torch.no_grad():
            network(graph)

    def train() -> None:
        network.train()
        optimizer.zero_grad()
        outputs: Tensor = network(graph)
        nn.functional.mse_loss(outputs, torch.zeros_like(outputs)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    before = _most_memory(forget=True)
    # Prediction comes first: what it leaves with the process a training step needs anyway.
    predict_seconds = _seconds(predict)
    predict_bytes = _most_memory() - before
    train_seconds = _seconds(train)
    return Measured(threads, predict_seconds, predict_bytes, train_seconds, _most_memory() - before)


def estimate_training(settings: NetworkSettings, particles: int, device: torch.device = CPU) -> float:
    """Return roughly the seconds of a training step per configuration, measured in this process.

    On one thread with at most `ESTIMATED_PARTICLES`, or on a GPU with `TOGETHER` configurations of at most `ON_GPU`, or
    as many as the network needs; scaled in proportion.
    """
    needed = settings.graph.neighbors + 1 if isinstance(settings.graph, NearestGraph) else 0
    few, together = (ON_GPU, TOGETHER) if device.type == "cuda" else (ESTIMATED_PARTICLES, 1)
    measured = min(particles, max(few, needed))
    torch.set_num_threads(1)
    network = build_network(settings, OUTPUTS).to(device).train()
    graph = join([_graph(settings, measured, device)] * together)

    def train() -> None:
        outputs: Tensor = network(graph)
        nn.functional.mse_loss(outputs, torch.zeros_like(outputs)).backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return _seconds(train, rounds=1) / together * particles / measured


def _seconds(step: Callable[[], None], rounds: int = ROUNDS) -> float:
    """Return the median time of `step`, after once to warm up."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def _most_memory(forget: bool = False) -> float:
    """Return the most bytes that this process ever had; with `forget`, counted from now on. NaN if it is not told."""
    try:
        if forget:
            # proc(5): 5 sets the peak back to what there is now.
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return float("nan")


def _graph(settings: NetworkSettings, particles: int, device: torch.device = CPU) -> GraphBatch:
    """Return a graph of particles near the sites of a lattice at rho = 1.2, with all that a network may ask for.

    As many neighbours as in a liquid, and no overlaps; what a network costs does not depend on more.
    """
    random = np.random.default_rng(1)
    side = int(np.ceil(np.cbrt(particles)))
    edge = np.full(3, (particles / DENSITY) ** (1 / 3))
    sites = np.stack(np.unravel_index(random.permutation(side**3)[:particles], (side, side, side)), 1)
    positions = (sites + random.uniform(0.4, 0.6, sites.shape)) * edge / side
    species = (random.permutation(particles) >= 0.8 * particles).astype(np.uint8)
    configuration = Configuration(positions, species, edge, inherent_positions=positions)
    velocities = maxwell_boltzmann(1, np.ones(particles), 1.0)
    return build_graph(configuration, settings, shipped("kob-andersen"), velocities, device)
