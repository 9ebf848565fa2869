"""Neighbors in space by blocks of distances, in torch: on the device where the network runs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from glassformer.core.network_settings import CutoffGraph, NearestGraph
from glassformer.graph.inputs import inherent
from glassformer.graph.neighbors import refuse_short_box, refuse_too_few
from glassformer.physics.configuration import Configuration

# Pairs held at once: 100 MB of vectors in float64.
PAIRS = 1 << 22


def edges_on(
    configuration: Configuration, graph: NearestGraph | CutoffGraph, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the edges of `neighbors.edges_of` as tensors on `device`: centers (E,), neighbors (E,), vectors (E, 3).

    All N distances of a block of particles are computed at once, in float64, and never all N^2. Where two neighbors are
    equally far, their order may differ. Raises `SettingsError` as `edges_of`.
    """
    if isinstance(graph, CutoffGraph):
        if graph.structure == "inherent":
            configuration = inherent(configuration)
        refuse_short_box(configuration, graph.cutoff)
        return _within(configuration, graph.cutoff, device)
    refuse_too_few(configuration, graph.neighbors)
    return _nearest(configuration, graph.neighbors, graph.periodic, device)


def _nearest(
    configuration: Configuration, number: int, periodic: bool, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    neighbors, vectors = [], []
    for _, separations, squares in _blocks(configuration, periodic, device):
        found = squares.topk(number, dim=1, largest=False).indices
        neighbors.append(found.flatten())
        vectors.append(separations.gather(1, found[:, :, None].expand(-1, -1, 3)).flatten(0, 1))
    centers = torch.arange(configuration.particles, device=device).repeat_interleave(number)
    return centers, torch.cat(neighbors), torch.cat(vectors)


def _within(configuration: Configuration, cutoff: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    centers, neighbors, vectors = [], [], []
    for start, separations, squares in _blocks(configuration, True, device):
        rows, columns = (squares <= cutoff**2).nonzero(as_tuple=True)
        centers.append(rows + start)
        neighbors.append(columns)
        vectors.append(separations[rows, columns])
    return torch.cat(centers), torch.cat(neighbors), torch.cat(vectors)


def _blocks(configuration: Configuration, periodic: bool, device: torch.device) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield the first particle of each block, its vectors to all particles (B, N, 3), and their squares (B, N).

    A particle is infinitely far from itself.
    """
    positions = torch.from_numpy(configuration.positions).to(device)
    box = torch.from_numpy(configuration.box).to(device)
    rows = max(1, PAIRS // len(positions))
    for start in range(0, len(positions), rows):
        separations = positions - positions[start : start + rows, None]
        if periodic:
            separations -= box * torch.round(separations / box)
        squares = separations.square().sum(2)
        own = torch.arange(start, start + len(squares), device=device)
        squares[own - start, own] = torch.inf
        yield start, separations, squares
