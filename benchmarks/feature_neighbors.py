"""Nearest neighbours in feature space: glassformer's beside torch.cdist with topk and SciPy's k-d tree, in turns."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.network_task import Shape, first_network, random_mixture
from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.graph.batch import build_graph
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.simulate.lockstep.simd import host_description

OWN, CDIST, TREE = "glassformer", "cdist", "kdtree"
PEERS = (CDIST, TREE)


@dataclass
class Search:
    """One method on one set of features.

    `differing`: particles whose set of neighbours is not the tree's, which is exact in float64. `excess`: by how much,
    relatively, the squared distance to the farthest of their neighbours is at most above the true one. Where it is
    tiny, the rounding of float32 decided between two that are as good as equally far.
    """

    seconds: list[float] = field(default_factory=list)
    differing: int = 0
    excess: float = 0.0


@dataclass(frozen=True)
class Channels:
    """The methods on features of C channels."""

    channels: int
    features: str
    searches: dict[str, Search]

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with the peers' seconds over glassformer's: medians of the rounds and their ranges."""
        result = asdict(self)
        for name, search in self.searches.items():
            result["searches"][name] = {
                "seconds": float(np.median(search.seconds)), "seconds_of_rounds": search.seconds,
                "differing_particles": search.differing, "excess": search.excess,
            }  # fmt: skip
        for peer in PEERS:
            ratios = self.speedups(peer)
            result[f"speedup_{peer}"] = float(np.median(ratios))
            result[f"speedup_{peer}_range"] = [float(ratios.min()), float(ratios.max())]
        return result

    def speedups(self, peer: str) -> FloatArray:
        """The peer's seconds over glassformer's in every round."""
        ratios: FloatArray = np.array(self.searches[peer].seconds) / np.array(self.searches[OWN].seconds)
        return ratios


@dataclass(frozen=True)
class Searches:
    """All of it, by number of channels."""

    particles: int
    neighbors: int
    threads: int
    rounds: int
    host: str
    by_channels: list[Channels]

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        versions = {"glassformer": code_version(), "torch": torch.__version__}
        found = [one.as_json() for one in self.by_channels]
        return asdict(self) | {"benchmark": "neighbors", "versions": versions, "by_channels": found}


def compare_searches(particles: int, neighbors: int, threads: int, rounds: int, progress: Progress) -> Searches:
    """Let the methods find the `neighbors` nearest of all particles in turns, in 3, 64 and 128 channels.

    The features: the positions of a random mixture, and what the first and second block of an untrained ParticleNet
    make of it. Raises `SettingsError` or `ConfigurationError` if N does not suit.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sets = _features(Shape(particles, neighbors, 1, threads))
        progress.start("neighbours", len(sets) * (rounds + 1) * 3, "searches")
        found = [
            Channels(features.shape[1], name, _compete(features, neighbors, threads, rounds, progress))
            for name, features in sets.items()
        ]
    finally:
        torch.set_num_threads(before)
    return Searches(particles, neighbors, threads, rounds, host_description(), found)


@torch.no_grad()
def _features(shape: Shape) -> dict[str, Tensor]:
    configuration, velocities = random_mixture(shape.particles)
    found = {"positions": torch.from_numpy(configuration.positions).float()}
    encoder = first_network(shape).eval().encoder
    for name, block in zip(("first block", "second block"), encoder.blocks, strict=False):  # type: ignore[arg-type]
        block.register_forward_hook(lambda _, __, output, name=name: found.__setitem__(name, output))
    encoder(build_graph(configuration, shape.network, velocities=velocities))
    return found


def _compete(features: Tensor, neighbors: int, threads: int, rounds: int, progress: Progress) -> dict[str, Search]:
    methods: dict[str, Callable[[], Any]] = {
        OWN: lambda: feature_neighbors(features, (len(features),), neighbors).numpy(),
        CDIST: lambda: torch.cdist(features, features).topk(neighbors + 1, largest=False).indices[:, 1:].numpy(),
        TREE: lambda: _by_tree(features, neighbors, threads),
    }
    searches = {name: Search() for name in methods}
    results: dict[str, IntArray] = {}
    for turn in range(rounds + 1):
        for name, method in methods.items():
            began = time.perf_counter()
            results[name] = method()
            seconds = time.perf_counter() - began
            # The first of each is not timed.
            if turn:
                searches[name].seconds.append(seconds)
            progress.advance(1, f"C = {features.shape[1]}, {name} {seconds:.3f} s")
    for name in (OWN, CDIST):
        searches[name].differing, searches[name].excess = _compare(features, results[name], results[TREE])
    return searches


def _by_tree(features: Tensor, neighbors: int, threads: int) -> IntArray:
    points = features.double().numpy()
    found = cast(IntArray, cKDTree(points).query(points, k=neighbors + 1, workers=threads)[1])
    drop = found == np.arange(len(points))[:, None]
    drop[~drop.any(1), -1] = True
    kept: IntArray = found[~drop].reshape(len(points), neighbors)
    return kept


def _compare(features: Tensor, found: IntArray, exact: IntArray) -> tuple[int, float]:
    differing = (np.sort(found, 1) != np.sort(exact, 1)).any(1)
    farthest, true = (_farthest(features, neighbors) for neighbors in (found, exact))
    excess = (farthest - true)[differing] / true[differing]
    return int(differing.sum()), float(excess.max(initial=0.0))


def _farthest(features: Tensor, neighbors: IntArray) -> FloatArray:
    points = features.double().numpy()
    largest = [((points[neighbors[:, slot]] - points) ** 2).sum(1) for slot in range(neighbors.shape[1])]
    return cast(FloatArray, np.max(largest, 0))
