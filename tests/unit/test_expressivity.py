"""Networks with subgraphs or global attention: what they separate, and that they compute what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmarks.expressivity import Pair, pairs, separations, variants
from glassformer.core.network_kinds import GlobalAttentionSettings, SubgraphsSettings
from glassformer.core.presets import load_network
from glassformer.graph.batch import build_graph
from glassformer.network import global_attention
from glassformer.network.global_attention import Attention
from glassformer.network.registry import build_network
from glassformer.network.subgraphs import bag_of
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from tests.conftest import rattled_lattice

PAIRS = {pair.name: pair for pair in pairs()}
# What each separates of: hexagon and antiprism; hexagon and two triangles; octagon and two squares; fcc and hcp.
SEPARATED = {
    "continuous-filter": (False, False, False, False),
    "equivariant": (True, True, True, False),
    "subgraphs": (True, True, False, True),
    "subgraphs, node-deleted": (True, True, False, True),
    "global-attention": (False, True, True, True),
    "global-attention, no bias": (False, False, False, False),
    "global-attention over subgraphs": (True, True, True, True),
    "induced-attention": (False, False, False, False),
}


def distances(one: Configuration, cutoff: float) -> np.ndarray:
    """The sorted distances from every particle to those within the cutoff."""
    vectors = minimum_image(one.positions[:, None] - one.positions, one.box)
    apart = np.linalg.norm(vectors, axis=-1)
    np.fill_diagonal(apart, np.inf)
    rows = [np.sort(row[row <= cutoff]) for row in apart]
    assert len({len(row) for row in rows}) == 1
    return np.stack(rows)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_every_particle_of_a_pair_has_the_same_distances(pair: Pair) -> None:
    """Which is what makes a network of distances fail; and farther away, or between neighbors, they differ."""
    one, other = distances(pair.one, pair.cutoff), distances(pair.other, pair.cutoff)
    assert one.shape[1] >= 2
    np.testing.assert_allclose(np.concatenate([one, other]), np.broadcast_to(one[0], (2 * len(one), one.shape[1])))
    assert not np.isclose(one, pair.cutoff, atol=0.02).any()


def test_the_hexagon_and_the_antiprism_agree_in_all_distances_and_are_not_congruent() -> None:
    pair = PAIRS["hexagon, antiprism"]
    np.testing.assert_allclose(distances(pair.one, 9.0)[0], np.sqrt([1, 1, 3, 3, 4]))
    np.testing.assert_allclose(distances(pair.other, 9.0), distances(pair.one, 9.0))
    ranks = [np.linalg.matrix_rank(c.positions - c.positions.mean(0), tol=1e-6) for c in (pair.one, pair.other)]
    assert ranks == [2, 3]


@pytest.mark.parametrize("name", SEPARATED)
def test_what_each_network_separates(name: str) -> None:
    found = separations({name: variants()[name]}, pairs(), seeds=2)
    expected = ["separates" if one else "does not" for one in SEPARATED[name]]
    assert [one.verdict for one in found] == expected, found


def test_every_network_that_ships_is_in_the_table() -> None:
    invariant = {name for name, settings in variants().items() if "rotation-invariant" in settings.promises}
    assert invariant == set(SEPARATED)


def small(particles: int = 125, cutoff: float = 1.7) -> tuple[Configuration, object]:
    settings = load_network("continuous-filter").model_copy(update={"cutoff": cutoff})
    one = rattled_lattice(round(particles ** (1 / 3)), 3, amplitude=0.2)
    return one, build_graph(one, settings)


@pytest.mark.parametrize("with_root", [True, False])
def test_a_bag_holds_the_neighborhood_of_every_root(with_root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.network.subgraphs._PAIRS", 100)
    _, graph = small()
    ends = zip(graph.centers.tolist(), graph.neighbors.tolist(), strict=True)
    joined = {pair: edge for edge, pair in enumerate(ends)}
    near = {pair for pair, edge in joined.items() if graph.vectors[edge].norm() <= 1.3}
    kept = torch.arange(125) % 3 > 0
    bag = bag_of(graph, 1.3, with_root, kept)
    expected_pairs, expected_edges = [], set()
    for root in kept.nonzero()[:, 0].tolist():
        members = sorted({j for i, j in near if i == root} | ({root} if with_root else set()))
        expected_pairs += [(root, i) for i in members]
        expected_edges |= {(root, i, j, joined[i, j]) for i in members for j in members if (i, j) in joined}
    assert list(zip(bag.roots.tolist(), bag.particles.tolist(), strict=True)) == expected_pairs
    found = {
        (int(bag.roots[a]), int(bag.particles[a]), int(bag.particles[b]), e)
        for a, b, e in zip(bag.centers.tolist(), bag.neighbors.tolist(), bag.edges.tolist(), strict=True)
    }
    assert found == expected_edges
    assert len(bag.edges) == len(expected_edges) > 1000
    assert torch.equal(bag.roots[bag.centers], bag.roots[bag.neighbors])
    assert (bag.centers.diff() >= 0).all()


def test_training_draws_bags_and_predictions_use_all_subgraphs() -> None:
    settings = load_network("subgraphs").model_copy(update={"bag": 0.5})
    network = build_network(settings, 1)
    _, graph = small(cutoff=2.0)
    roots = {}
    for mode in (True, False):
        network.train(mode)
        torch.manual_seed(0)
        roots[mode] = [len(network.encoder.bag(graph).roots.unique()) for _ in range(3)]
    assert roots[False] == [125] * 3
    assert all(30 < number < 95 for number in roots[True])
    assert len(set(roots[True])) > 1
    # Where batch norms are measured dropouts are off, and bags are whole.
    network.train()
    network.encoder.draw.eval()
    assert len(network.encoder.bag(graph).roots.unique()) == 125


def test_the_size_of_a_bag_is_estimated_for_costs() -> None:
    network = build_network(load_network("subgraphs"), 1).eval()
    one, _ = small(particles=512)
    graph = build_graph(one, load_network("continuous-filter").model_copy(update={"cutoff": 2.0}))
    real = network.encoder.bag(graph)
    places = graph.centers.to("meta")
    imagined = network.encoder.bag(replace(graph, species=graph.species.to("meta"), centers=places))
    assert imagined.centers.is_meta
    assert len(imagined.roots) == pytest.approx(len(real.roots), rel=0.5)
    assert len(imagined.edges) == pytest.approx(len(real.edges), rel=0.6)


def attention(**changes: object) -> GlobalAttentionSettings:
    return GlobalAttentionSettings(name="global-attention", width=12, heads=3, bias_range=3.0, **changes)


def test_biased_attention_equals_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair by pair; and in blocks of rows it is what it is in one."""
    torch.manual_seed(0)
    one, _ = small()
    layer = Attention(attention(distance_bias=True), biased=True).double()
    places, box = torch.from_numpy(one.positions), torch.from_numpy(one.box)
    asking, asked = torch.randn(125, 12).double(), torch.randn(126, 12).double()
    whole = layer(asking, asked, places, box)
    q, k, v = (part.view(-1, 3, 4) for part in (layer.queries(asking), layer.keys(asked), layer.values(asked)))
    for i in (0, 17, 124):
        mixed = []
        apart = np.linalg.norm(minimum_image(one.positions - one.positions[i], one.box), axis=1)
        x = np.minimum(apart / 3.0, 1.0) * np.pi
        for h in range(3):
            weights = layer.bias.weight[h].detach().numpy()
            bias = (1 + np.cos(x)) / 2 * sum(w * np.cos(n * x) for n, w in enumerate(weights))
            logits = (k[:, h] @ q[i, h]) / 2 + torch.tensor([*bias, math.log(125)])
            mixed.append(torch.softmax(logits, 0) @ v[:, h])
        torch.testing.assert_close(whole[i], layer.out(torch.cat(mixed)))
    gradient = torch.autograd.grad(whole.square().sum(), layer.bias.weight)[0]
    monkeypatch.setattr(global_attention, "ROWS", 40)
    parts = layer(asking, asked, places, box)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts.square().sum(), layer.bias.weight)[0], gradient)


@pytest.mark.parametrize("induced_points", [0, 5])
def test_attention_reaches_every_particle(induced_points: int) -> None:
    """Convolutions see `steps` cutoffs far; attention all of a configuration, and none of another in the batch."""
    torch.manual_seed(0)
    base = {"name": "continuous-filter", "cutoff": 1.3, "steps": 1, "width": 8}
    settings = attention(base=base, induced_points=induced_points)
    network = build_network(settings, 1).double().eval()
    one = rattled_lattice(6, 1)
    graph = build_graph(one, settings).to(torch.float64)
    scalars = graph.scalars.clone().requires_grad_()
    network(replace(graph, scalars=scalars))[0].backward()
    assert (scalars.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SubgraphsSettings, {"name": "subgraphs", "radius": 3.0}, "expected at most base.cutoff = 2.5"),
        (SubgraphsSettings, {"name": "subgraphs", "base": {"name": "particlenet"}}, "expected name to be one of"),
        (
            SubgraphsSettings,
            {"name": "subgraphs", "base": {"name": "continuous-filter", "inputs": ["type"]}},
            "base.inputs belongs to the whole network",
        ),
        (GlobalAttentionSettings, {"name": "global-attention", "width": 10}, "expected a multiple of heads"),
        (
            GlobalAttentionSettings,
            {"name": "global-attention", "induced_points": 4, "distance_bias": True},
            "induced points have no place",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(kind: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind(**values)


def test_what_is_inside_reads_what_the_whole_reads() -> None:
    settings = load_network("subgraphs").model_copy(update={"species": 3, "inputs": ("species", "local-energy")})
    assert settings.inside(5).scalars == 3 + 1 + 5
    nested = attention(
        base=load_network("subgraphs").model_dump(
            exclude={"head", "inputs", "global_pool", "context", "fully_connected"}
        )
    )
    assert nested.inside().inside(1).scalars == 2 + 1
    assert "rotation-invariant" in nested.promises
    assert "continuous" not in nested.promises
