"""Which networks tell apart structures that message passing on distances provably cannot.

`python -m benchmarks.expressivity` prints a table, with `--json` all numbers.

Message passing that reads distances alone gives particle i, after every round, a function of what it gave i before and
of the multiset of (r_ij, what it gave j) over the edges: one round of color refinement. If all particles of two
structures have the same species and the same multiset of distances to their neighbors, all have the same features
before the first round, hence after every round, in both structures; and any pooling over equally many equal features
gives equal outputs, whatever the weights (K. Xu et al., ICLR (2019), arXiv:1810.00826, lemma 2). Each pair below is of
this kind, for the edges within its `cutoff`; its `reason` says why. Of networks that read the components of vectors
nothing is proven: they tell a structure from the same structure turned.

Weights are random, arithmetic is float64. A network separates a pair if outputs differ by more than 1e-6 of the largest
for some weights, and does not if by less than 1e-12 for all.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import nn

from glassformer.core.arrays import FloatArray
from glassformer.core.network_kinds import (
    ComposedSettings,
    GlobalAttentionSettings,
    ParticleNetSettings,
    SubgraphsSettings,
)
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.core.presets import load_network, network_presets
from glassformer.graph.batch import build_graph
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration

SEEDS = 3
OUTPUTS = 8
SEPARATED, SAME = 1e-6, 1e-12


@dataclass(frozen=True, eq=False)
class Pair:
    """Two structures in which all particles have the same neighbors within `cutoff`, as distances tell."""

    name: str
    reason: str
    cutoff: float
    one: Configuration
    other: Configuration


@dataclass(frozen=True)
class Separation:
    """How far a network's outputs for a pair are apart, relative to the largest: the most for any weights."""

    network: str
    pair: str
    difference: float
    verdict: str


def pairs() -> tuple[Pair, ...]:
    """Return the pairs."""
    return (
        Pair(
            "hexagon, antiprism",
            "a hexagon, and two parallel triangles turned by 60 degrees, so far apart that opposite corners have the"
            " distance 2: every particle has the others at 1, 1, sqrt 3, sqrt 3 and 2, so no cutoff helps",
            2.5,
            in_box(ring(6)),
            in_box(antiprism()),
        ),
        Pair(
            "hexagon, two triangles",
            "every particle has two neighbors at 1; the next are at sqrt 3, or farther than 6",
            1.5,
            in_box(ring(6)),
            in_box(np.concatenate([ring(3), ring(3) + 7.0])),
        ),
        Pair(
            "octagon, two squares",
            "every particle has two neighbors at 1, which are no neighbors of each other; the next are at sqrt 2",
            1.2,
            in_box(ring(8)),
            in_box(np.concatenate([ring(4), ring(4) + 7.0])),
        ),
        Pair(
            "fcc, hcp",
            "every particle has twelve neighbors at 1 and six at sqrt 2; the next are at sqrt 3, or at sqrt(8/3)",
            1.45,
            crystal("fcc"),
            crystal("hcp"),
        ),
    )


def ring(number: int) -> FloatArray:
    """Return the corners (n, 3) of a regular polygon with edges of length 1, around the origin."""
    angles = 2 * np.pi * np.arange(number) / number
    corners: FloatArray = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1) / (2 * np.sin(np.pi / number))
    return corners


def antiprism() -> FloatArray:
    """Return two triangles (6, 3) with edges of length 1, each the inversion of the other, opposite corners 2 apart."""
    triangle = ring(3)
    triangle[:, 2] = np.sqrt(1 - (triangle[0] ** 2).sum())
    return np.concatenate([triangle, -triangle])


def in_box(positions: FloatArray, edge: float = 20.0) -> Configuration:
    """Return particles of one species in a box so large that no image counts."""
    return _configuration(positions + 5.0, np.full(3, edge))


def crystal(kind: str) -> Configuration:
    """Return 108 particles on a close-packed lattice, nearest neighbors at 1: 'fcc' or, ideally stacked, 'hcp'."""
    if kind == "fcc":
        cell = np.full(3, np.sqrt(2))
        basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    else:
        cell = np.sqrt([1, 3, 8 / 3])
        basis = np.array([[0, 0, 0], [3, 3, 0], [0, 2, 3], [3, 5, 3]]) / 6
    sites = np.array(list(product(range(3), repeat=3)))
    return _configuration(((sites[:, None] + basis) * cell).reshape(-1, 3), 3 * cell)


def _configuration(positions: FloatArray, box: FloatArray) -> Configuration:
    return Configuration(positions, np.zeros(len(positions), np.uint8), box, inherent_positions=positions)


def variants() -> dict[str, NetworkSettings]:
    """Return the networks that ship, and variants of the new ones, each with its name."""
    found = {name: load_network(name) for name in network_presets()}
    subgraphs, attention = found["subgraphs"], found["global-attention"]
    assert isinstance(attention, GlobalAttentionSettings)
    return found | {
        "subgraphs, node-deleted": subgraphs.model_copy(update={"policy": "node-deleted"}),
        "global-attention, no bias": attention.model_copy(update={"distance_bias": False}),
        "global-attention over subgraphs": attention.model_copy(update={"base": subgraphs}),
    }


def separations(networks: dict[str, NetworkSettings], among: Sequence[Pair], seeds: int = SEEDS) -> list[Separation]:
    """Return how far each network tells each pair apart."""
    return [_separation(name, settings, pair, seeds) for name, settings in networks.items() for pair in among]


def _separation(name: str, settings: NetworkSettings, pair: Pair, seeds: int) -> Separation:
    settings = at_cutoff(settings, pair)
    found = max(_difference(settings, pair, seed) for seed in range(seeds))
    verdict = "separates" if found > SEPARATED else "does not" if found < SAME else "unclear"
    return Separation(name, pair.name, found, verdict if "rotation-invariant" in settings.promises else "directions")


def at_cutoff(settings: NetworkSettings, pair: Pair) -> NetworkSettings:
    """Return `settings` with the pair's edges, one output for the structure, and the species as only input."""
    changes = {"inputs": ("species",), "head": "system", "context": False, "global_pool": "mean"}
    return _with_edges(settings, pair).model_copy(update=changes)


def _with_edges(settings: NetworkSettings, pair: Pair) -> NetworkSettings:
    if isinstance(settings, ComposedSettings):
        settings = settings.model_copy(update={"base": _with_edges(settings.base, pair)})
        if isinstance(settings, SubgraphsSettings):
            settings = settings.model_copy(update={"radius": min(settings.radius, pair.cutoff)})
        return settings
    if isinstance(settings, ParticleNetSettings):
        centers = build_graph(pair.one, _with_edges(load_network("continuous-filter"), pair)).centers
        number = len(centers) // pair.one.particles
        return settings.model_copy(update={"neighbors": number, "first_graph": "periodic"})
    assert isinstance(settings.graph, CutoffGraph)
    return settings.model_copy(update={"cutoff": pair.cutoff})


def _difference(settings: NetworkSettings, pair: Pair, seed: int) -> float:
    torch.manual_seed(seed)
    network = build_network(settings, OUTPUTS).double().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                # As torch begins, several layers on end hardly pass on what they are given.
                module.weight *= 2
        one, other = (network(_exact(configuration, settings)) for configuration in (pair.one, pair.other))
    return float((one - other).abs().max() / torch.maximum(one.abs(), other.abs()).max())


def _exact(configuration: Configuration, settings: NetworkSettings) -> object:
    """Return the graph in float64, its vectors not rounded to float32 before."""
    graph = build_graph(configuration, settings).to(torch.float64)
    positions = torch.from_numpy(configuration.positions)
    box = torch.from_numpy(configuration.box)
    vectors = positions[graph.neighbors] - positions[graph.centers]
    return replace(graph, vectors=vectors - box * torch.round(vectors / box))


def table(found: Sequence[Separation]) -> str:
    """Return a Markdown table: a row a network, a column a pair."""
    names = list(dict.fromkeys(one.pair for one in found))
    lines = [f"| network | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for network in dict.fromkeys(one.network for one in found):
        cells = [
            "directions" if one.verdict == "directions" else f"{one.verdict} ({one.difference:.0e})"
            for one in found
            if one.network == network
        ]
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or all numbers as JSON."""
    parser = argparse.ArgumentParser(description="Which networks tell apart what message passing on distances cannot.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    found = separations(variants(), pairs())
    print(json.dumps([asdict(one) for one in found], indent=1) if parser.parse_args().json else table(found))


if __name__ == "__main__":
    main()
