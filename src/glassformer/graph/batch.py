"""Graphs as tensors, and several of them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glassformer.graph.neighbors import periodic_neighbors
from glassformer.physics.configuration import Configuration


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs laid end to end, M particles in all.

    species (M,) int64; neighbors (M, k) int64, indices into the batch; vectors (M, k, 3) float32, minimum-image
    r_j - r_i; counts, the particles of each graph. Nothing else: no box, no absolute position, no velocity, so nothing
    gives the temperature or the state point away but the structure itself.
    """

    species: Tensor
    neighbors: Tensor
    vectors: Tensor
    counts: tuple[int, ...]

    def to(self, device: torch.device) -> "GraphBatch":
        """Return the batch on `device`."""
        return GraphBatch(self.species.to(device), self.neighbors.to(device), self.vectors.to(device), self.counts)


def build_graph(configuration: Configuration, neighbors: int) -> GraphBatch:
    """Return the graph of one configuration with `neighbors` periodic nearest neighbours a particle."""
    indices, vectors = periodic_neighbors(configuration, neighbors)
    return GraphBatch(
        torch.from_numpy(configuration.species.astype(np.int64)),
        torch.from_numpy(indices),
        torch.from_numpy(vectors.astype(np.float32)),
        (configuration.particles,),
    )


def join(graphs: Sequence[GraphBatch]) -> GraphBatch:
    """Return `graphs` as one batch; they may differ in size."""
    counts = tuple(count for graph in graphs for count in graph.counts)
    offsets = np.cumsum([0, *(len(graph.species) for graph in graphs)])
    return GraphBatch(
        torch.cat([graph.species for graph in graphs]),
        torch.cat([graph.neighbors + int(offset) for graph, offset in zip(graphs, offsets, strict=False)]),
        torch.cat([graph.vectors for graph in graphs]),
        counts,
    )


def transform(graph: GraphBatch, matrices: Tensor) -> GraphBatch:
    """Return `graph` with the vectors of graph number b multiplied by `matrices[b]`, (B, 3, 3)."""
    parts = torch.split(graph.vectors, list(graph.counts))
    turned = torch.cat([part @ matrix.T for part, matrix in zip(parts, matrices, strict=True)])
    return GraphBatch(graph.species, graph.neighbors, turned, graph.counts)
