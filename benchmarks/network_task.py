"""What the contenders of the network benchmarks work on: a network, its first weights, and random mixtures."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from glassformer.core.arrays import FloatArray
from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.mixtures import shipped
from glassformer.graph.batch import build_graph
from glassformer.network.registry import Network, build_network
from glassformer.physics.configuration import Configuration
from glassformer.physics.velocities import maxwell_boltzmann

DENSITY = 1.2
OUTPUTS = 2
LEARNING_RATE = 1e-3
# Keras's default; torch's is 1e-8.
ADAM_EPSILON = 1e-7
# Particles enough to measure the batch norms' running statistics on.
FEW = 1000


@dataclass(frozen=True)
class Shape:
    """What is asked of the network: N particles, k neighbours, configurations a batch; `precision` is ours alone."""

    particles: int = 4096
    neighbors: int = 20
    batch: int = 2
    threads: int = 2
    precision: Literal["float32", "bf16"] = "float32"

    @property
    def network(self) -> ParticleNetSettings:
        """ParticleNet as the preset of that name has it, without dropout, so that losses can be compared."""
        return ParticleNetSettings(
            inputs=("type", "velocity"), neighbors=self.neighbors, first_graph="open", edge_vectors=False,
            aggregation="max", global_pool="mean", input_norm=True, norm_epsilon=1e-3, norm_momentum=0.01, dropout=0.0,
        )  # fmt: skip


def write_task(shape: Shape, folder: Path) -> dict[str, Any]:
    """Write positions, features, targets and first weights to `folder`; return the task for a contender's process.

    Raises `SettingsError` or `ConfigurationError` if N is too small for k neighbours or no 80:20 mixture.
    """
    settings = shape.network
    drawn = [random_mixture(shape.particles, index) for index in range(shape.batch)]
    graphs = [build_graph(one, settings, velocities=velocities) for one, velocities in drawn]
    box = drawn[0][0].box
    positions = np.stack([one.positions for one, _ in drawn])
    arrays: dict[str, Any] = {
        "positions": positions,
        "species": drawn[0][0].species,
        "box": box,
        "velocities": np.stack([velocities for _, velocities in drawn]),
        "points": (positions - box / 2).astype(np.float32),
        "features": np.stack([torch.cat([g.scalars, g.node_vectors.flatten(1)], 1).numpy() for g in graphs]),
        "targets": generator(named_seed(1, "targets")).standard_normal((shape.batch, OUTPUTS)).astype(np.float32),
    }
    weights: dict[str, Any] = {name: value.numpy() for name, value in first_network(shape).state_dict().items()}
    path = folder / f"task-{shape.particles}.npz"
    np.savez(path, **arrays, **weights)
    return {
        "arrays": str(path), "threads": shape.threads, "precision": shape.precision, "outputs": OUTPUTS,
        "learning_rate": LEARNING_RATE, "adam_epsilon": ADAM_EPSILON, "settings": settings.model_dump(mode="json"),
        "neighbors": settings.neighbors, "blocks": settings.blocks, "fully_connected": settings.fully_connected,
        "norm_epsilon": settings.norm_epsilon, "norm_momentum": settings.norm_momentum,
    }  # fmt: skip


def first_network(shape: Shape) -> Network:
    """Return the network that all begin from, its batch norms' running statistics those of a random mixture."""
    settings = shape.network
    with torch.random.fork_rng():
        torch.manual_seed(named_seed(1, "weights"))
        network = build_network(settings, OUTPUTS)
    configuration, velocities = random_mixture(min(shape.particles, FEW))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(build_graph(configuration, settings, velocities=velocities))
    for norm in norms:
        norm.momentum = settings.norm_momentum
    return network


def random_mixture(particles: int, index: int = 0) -> tuple[Configuration, FloatArray]:
    """Return configuration number `index`, uniformly random positions at rho = 1.2, and velocities (N, 3) at T = 1."""
    edge = (particles / DENSITY) ** (1 / 3)
    positions = generator(named_seed(1, "positions", index)).uniform(0, edge, (particles, 3))
    configuration = Configuration(positions, shipped("kob-andersen").assign(particles), np.full(3, edge))
    return configuration, maxwell_boltzmann(named_seed(1, "velocities", index), np.ones(particles), 1.0)


def training_gflop(shape: Shape) -> float:
    """Return the floating point operations (10^9) of a training step's linear layers.

    Forward: a block's first layer on particles, once for the center and once for the neighbour, its others on edges.
    Backward: twice the forward. The distances in feature space are not counted: they are one way to find neighbours.
    """
    settings = shape.network
    particles = shape.batch * shape.particles
    edges = particles * shape.neighbors
    features = settings.scalars + 3 * len(settings.vector_inputs)
    products = 0
    for widths in settings.blocks:
        products += particles * (2 * features * widths[0] + features * widths[-1])
        products += edges * sum(a * b for a, b in itertools.pairwise(widths))
        features = widths[-1]
    for width in (*settings.fully_connected, OUTPUTS):
        products += shape.batch * features * width
        features = width
    return 3 * 2e-9 * products
