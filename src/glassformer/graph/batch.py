"""Graphs as tensors, and several of them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.core.arrays import FloatArray
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.graph.block_neighbors import edges_on
from glassformer.graph.inputs import inherent, node_scalars, node_vectors
from glassformer.graph.neighbors import edges_of
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs laid end to end, M particles and E edges in all; see `glassformer.network.interface.Graph`.

    species (M,) int64; scalars (M, S) and node_vectors (M, V, 3), what the settings' `inputs` name; centers and
    neighbors (E,) int64, indices into the batch, ordered by center; vectors (E, 3), minimum-image r_j - r_i; counts,
    the particles of each graph. Floats are float32. No box, and no absolute position or velocity unless asked for by
    name, so nothing gives the temperature or the state point away but the structure itself. A network whose settings
    say `reads_positions` is given `positions` (M, 3) and `boxes` (B, 3), float64 unless converted, for distances alone:
    `transform` leaves them as they are.
    """

    species: Tensor
    scalars: Tensor
    node_vectors: Tensor
    centers: Tensor
    neighbors: Tensor
    vectors: Tensor
    counts: tuple[int, ...]
    positions: Tensor | None = None
    boxes: Tensor | None = None

    def to(self, where: torch.device | torch.dtype) -> "GraphBatch":
        """Return the batch on another device, or its floats in another precision."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor) and (isinstance(where, torch.device) or value.is_floating_point()):
                changed[field.name] = value.to(where)
        return replace(self, **changed)


def build_graph(
    configuration: Configuration,
    settings: NetworkSettings,
    mixture: Mixture | None = None,
    velocities: FloatArray | None = None,
    device: torch.device = CPU,
) -> GraphBatch:
    """Return the graph of `configuration` that a network of these `settings` reads, on `device`.

    `mixture`: the liquid, for the input 'local-energy'; `velocities` (N, 3) for the input 'velocity'. Neighbors are
    found on the device: on a CPU by a k-d tree, elsewhere by `block_neighbors`.
    Raises `SettingsError` if there are too few particles or an input is missing.
    """
    edges = (
        tuple(map(torch.from_numpy, edges_of(configuration, settings.graph)))
        if device.type == "cpu"
        else edges_on(configuration, settings.graph, device)
    )
    centers, neighbors, vectors = edges
    return GraphBatch(
        torch.from_numpy(configuration.species.astype(np.int64)),
        _float(node_scalars(configuration, settings.scalar_inputs, settings.species, mixture)),
        _float(node_vectors(configuration, settings.vector_inputs, velocities)),
        centers,
        neighbors,
        vectors.float(),
        (configuration.particles,),
        *(_places(configuration, settings) if settings.reads_positions else (None, None)),
    ).to(device)


def _places(configuration: Configuration, settings: NetworkSettings) -> tuple[Tensor, Tensor]:
    """Return positions (N, 3) in the structure whose pairs are edges, and the box (1, 3)."""
    if isinstance(settings.graph, CutoffGraph) and settings.graph.structure == "inherent":
        configuration = inherent(configuration)
    return torch.from_numpy(configuration.positions), torch.from_numpy(configuration.box)[None]


def join(graphs: Sequence[GraphBatch]) -> GraphBatch:
    """Return `graphs` as one batch; they may differ in size."""
    offsets = np.cumsum([0, *(len(graph.species) for graph in graphs)]).tolist()

    def together(name: str, shift: bool = False) -> Tensor:
        return torch.cat(
            [
                getattr(graph, name) + offset if shift else getattr(graph, name)
                for graph, offset in zip(graphs, offsets, strict=False)
            ]
        )

    return GraphBatch(
        together("species"),
        together("scalars"),
        together("node_vectors"),
        together("centers", shift=True),
        together("neighbors", shift=True),
        together("vectors"),
        tuple(count for graph in graphs for count in graph.counts),
        *((together("positions"), together("boxes")) if graphs[0].positions is not None else (None, None)),
    )


def transform(graph: GraphBatch, matrices: Tensor) -> GraphBatch:
    """Return `graph` with every vector v of graph number b replaced by R v, R = `matrices[b]`, (B, 3, 3)."""
    of_particle = torch.repeat_interleave(
        torch.arange(len(graph.counts), device=graph.species.device),
        torch.tensor(graph.counts, device=graph.species.device),
    )
    turned = torch.einsum("eab,eb->ea", matrices[of_particle[graph.centers]], graph.vectors)
    node = torch.einsum("mab,mvb->mva", matrices[of_particle], graph.node_vectors)
    return replace(graph, vectors=turned, node_vectors=node)


def flat_graphs(graph: GraphBatch) -> Tensor:
    """Return which graphs of the batch lie in the plane z = 0, (B,): those of two-dimensional structures."""
    counts = torch.tensor(graph.counts, device=graph.species.device)
    of_particle = torch.repeat_interleave(torch.arange(len(graph.counts), device=graph.species.device), counts)
    height = graph.vectors.new_zeros(len(graph.counts))
    height.index_add_(0, of_particle[graph.centers], graph.vectors[:, 2].abs())
    height.index_add_(0, of_particle, graph.node_vectors[:, :, 2].abs().sum(1))
    return height == 0


def _float(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
