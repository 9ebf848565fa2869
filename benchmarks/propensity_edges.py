"""Changes of the distances between neighbors, learned besides the propensities in `benchmarks.propensity_network`.

    e_ij = < |r_j(t) - r_i(t)| > - |r_j(0) - r_i(0)|

The mean is over draws. Separations at t = 0 are minimum images; displacements are unwrapped. Each pair is learned once.
Relative motion of neighbors as a second target: H. Shiba et al., J. Chem. Phys. 158, 084503 (2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.core.arrays import FloatArray
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.core.run import Training
from glassformer.graph.batch import transform
from glassformer.network.interface import Graph
from glassformer.network.registry import build_network
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from glassformer.train.data import Batch, EpochShuffle, Item, Loader
from glassformer.train.learner import LOSSES, Learner

WIDTH = 48
GAUSSIANS = 16
# Gaussians start at this part of the cutoff.
FIRST_GAUSSIAN = 0.35


def pairs_of(graph: Graph) -> Tensor:
    """Return the indices of the edges i < j (P,): each pair once, in a graph that has its edges in both directions."""
    return torch.nonzero(graph.centers < graph.neighbors)[:, 0]


def distance_changes(configuration: Configuration, displacements: FloatArray, graph: Graph) -> FloatArray:
    """Return e_ij (P,) of the pairs of `graph`; `displacements` (D, N, 3): of the draws, from `configuration`."""
    rows = pairs_of(graph)
    one, other = graph.centers[rows].numpy(), graph.neighbors[rows].numpy()
    start = minimum_image(configuration.positions[other] - configuration.positions[one], configuration.box)
    mean = np.zeros(len(start))
    for draw in displacements:
        mean += np.linalg.norm(start + draw[other] - draw[one], axis=1) / len(displacements)
    changes: FloatArray = mean - np.linalg.norm(start, axis=1)
    return changes


class EdgeHead(nn.Module):
    """One output per pair of particles, from the features x of both and their distance.

        y_ij = b . silu(W [p_i + p_j, p_i * p_j, g(r_ij), (w_j - w_i) . d_ij]) + c,   p = P x

    g: Gaussians; w: the node vectors; d_ij: the direction from i to j. The output does not change if i and j are
    exchanged or the structure is turned.
    """

    def __init__(self, features: int, vectors: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.project = nn.Linear(features, WIDTH)
        self.layers = nn.Sequential(nn.Linear(2 * WIDTH + GAUSSIANS + vectors, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1))

    def forward(self, features: Tensor, graph: Graph) -> Tensor:
        """Return the outputs (P,) of the pairs of `graph`, from `features` (M, F)."""
        rows = pairs_of(graph)
        one, other = graph.centers[rows], graph.neighbors[rows]
        pairs = graph.vectors[rows]
        distances = pairs.norm(dim=1, keepdim=True)
        projected = self.project(features)
        mine, theirs = projected.index_select(0, one), projected.index_select(0, other)
        relative = graph.node_vectors[other] - graph.node_vectors[one]
        along = (relative @ (pairs / distances)[:, :, None])[..., 0]
        outputs: Tensor = self.layers(torch.cat([mine + theirs, mine * theirs, self._gaussians(distances), along], 1))
        return outputs[:, 0]

    def _gaussians(self, distances: Tensor) -> Tensor:
        """Return Gaussians (P, G) of `distances` (P, 1)."""
        first = FIRST_GAUSSIAN * self.cutoff
        means = torch.linspace(first, self.cutoff, GAUSSIANS, dtype=distances.dtype)
        offsets = (distances - means) * (GAUSSIANS - 1) / (self.cutoff - first)
        # Not less than e^-30: products with denormal numbers are slow.
        return torch.exp((offsets.square() / -2).clamp(min=-30.0))


class TwoHeads(nn.Module):
    """A network and, on the features of its encoder, a head of pairs."""

    def __init__(self, settings: NetworkSettings, outputs: int) -> None:
        super().__init__()
        self.network = build_network(settings, outputs)
        features = int(self.network.encoder.features)  # type: ignore[arg-type]
        self.edges = EdgeHead(features, len(settings.vector_inputs), cast(CutoffGraph, settings.graph).cutoff)

    def forward(self, graph: Graph) -> Tensor:
        """Return the outputs (M, K) of the particles alone."""
        outputs: Tensor = self.network(graph)
        return outputs

    def both(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return the outputs (M, K) of the particles, and those of the pairs (P,)."""
        features = self.network.encoder(graph)
        return self.network.head(features, graph.counts), self.edges(features, graph)


@dataclass(frozen=True, eq=False)
class EdgeItem(Item):
    """An example with the standardised changes (P,) of its pairs."""

    changes: Tensor


@dataclass(frozen=True, eq=False)
class EdgeBatch(Batch):
    """A batch with the standardised changes (P,) of its pairs."""

    changes: Tensor


class EdgeLoader(Loader):
    """A loader of `EdgeItem` for one process: its batches are `EdgeBatch`."""

    def _share(self, batch: Sequence[Item]) -> EdgeBatch:
        changes = torch.cat([cast(EdgeItem, item).changes for item in batch])
        return EdgeBatch(**vars(super()._share(batch)), changes=changes)


def edge_loader(items: Sequence[Item], changes: Sequence[FloatArray], batch_size: int, seed: int) -> EdgeLoader:
    """Return shuffled batches of `items` with the `changes` (P,) of their pairs, less the mean and over the spread."""
    known = np.concatenate(changes)
    scaled = [torch.from_numpy((one - known.mean()) / known.std()).float() for one in changes]
    with_changes = [EdgeItem(**vars(item), changes=one) for item, one in zip(items, scaled, strict=True)]
    return EdgeLoader(with_changes, EpochShuffle(len(items), batch_size, seed), 0, 1)


class EdgeLearner(Learner):
    """Minimises the loss of the particles plus `weight` times that of the pairs, both standardised."""

    def __init__(self, network: TwoHeads, settings: Training, seed: int, label_std: FloatArray, weight: float) -> None:
        super().__init__(network, settings, seed, label_std)
        self.both, self.weight = network.both, weight

    def loss(self, batch: Batch, matrices: Tensor | None = None) -> Tensor:
        """Return the loss of an `EdgeBatch`."""
        graph = batch.graph if matrices is None else transform(batch.graph, matrices)
        particles, pairs = self.both(graph)
        loss = LOSSES[self.settings.loss]
        of_particles = loss(particles[batch.learned], batch.label[batch.learned])
        return of_particles + self.weight * loss(pairs, cast(EdgeBatch, batch).changes)

    @torch.no_grad()
    def predict_pairs(self, graph: Graph) -> FloatArray:
        """Return the standardised predictions (P,) for the pairs of `graph`."""
        self.network.eval()
        outputs: FloatArray = self.both(graph)[1].double().numpy()
        return outputs
