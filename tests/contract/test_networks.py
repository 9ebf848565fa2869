"""What every network must hold. A new network is added to `NETWORKS` and inherits all of it."""

import numpy as np
import pytest
import torch
from torch import nn

from glassformer.core.run import NetworkSettings
from glassformer.graph.batch import GraphBatch, build_graph, join
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.network.registry import NETWORKS, build_network
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from tests.conftest import rattled_lattice

NEIGHBORS = 8
SETTINGS = [
    NetworkSettings(
        name=name, neighbors=NEIGHBORS, blocks=((16, 16), (24, 24)), fully_connected=(12,), aggregation=aggregation,
        global_pool=pool,
    )
    for name in NETWORKS
    for aggregation in ("max", "mean")
    for pool in ("max", "mean")
]  # fmt: skip


@pytest.fixture(params=SETTINGS, ids=lambda s: f"{s.name}-{s.aggregation}-{s.global_pool}")
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A network in float64, with batch norm statistics that are not the trivial ones, ready to predict."""
    torch.manual_seed(0)
    network = build_network(request.param, outputs=3).double()
    run(network.train(), structure(9))
    return network.eval()


def structure(seed: int, side: int = 5) -> Configuration:
    return rattled_lattice(side, seed, amplitude=0.2)


def graph_of(configuration: Configuration) -> GraphBatch:
    graph = build_graph(configuration, NEIGHBORS)
    # Not the float32 of training: invariance is tested to rounding.
    from glassformer.graph.neighbors import periodic_neighbors

    vectors = torch.from_numpy(periodic_neighbors(configuration, NEIGHBORS)[1])
    return GraphBatch(graph.species, graph.neighbors, vectors, graph.counts)


def run(network: nn.Module, *configurations: Configuration) -> torch.Tensor:
    batch = join([graph_of(configuration) for configuration in configurations])
    return network(batch.species, batch.neighbors, batch.vectors, batch.counts)


def test_shape_and_sensitivity(network: nn.Module) -> None:
    one, two = run(network, structure(0)), run(network, structure(1))
    assert one.shape == (1, 3)
    # A network that ignored its input would pass every test of invariance.
    assert (one - two).abs().max() > 1e-5


def test_species_matter(network: nn.Module) -> None:
    one = structure(0)
    swapped = Configuration(one.positions, (1 - one.species).astype(np.uint8), one.box)
    assert (run(network, one) - run(network, swapped)).abs().max() > 1e-6


def test_permutation(network: nn.Module) -> None:
    one = structure(0)
    order = np.random.default_rng(0).permutation(one.particles)
    torch.testing.assert_close(
        run(network, Configuration(one.positions[order], one.species[order], one.box)), run(network, one)
    )


def test_translation_and_periodic_images(network: nn.Module) -> None:
    one = structure(0)
    moved = wrap(one.positions + np.array([0.3, 17.0, -2.2]), one.box)
    torch.testing.assert_close(run(network, Configuration(moved, one.species, one.box)), run(network, one))


def test_a_batch_of_two_is_two_batches_of_one(network: nn.Module) -> None:
    one, two = structure(0), structure(1, side=6)
    together = run(network, one, two)
    torch.testing.assert_close(together, torch.cat([run(network, one), run(network, two)]))


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_neither_box_nor_size_is_told(pool: str) -> None:
    """Two copies side by side: another box and N, the same local structure, the same answer.

    With one block, since a later one may find a particle's own copy as its nearest neighbour in feature space.
    """
    torch.manual_seed(0)
    settings = NetworkSettings(neighbors=NEIGHBORS, blocks=((16, 16),), fully_connected=(12,), global_pool=pool)
    network = build_network(settings, outputs=2).double().eval()
    one = structure(0, side=6)
    doubled = Configuration(
        np.concatenate([one.positions, one.positions + np.array([one.box[0], 0, 0])]),
        np.concatenate([one.species, one.species]),
        one.box * np.array([2.0, 1, 1]),
    )
    torch.testing.assert_close(run(network, doubled), run(network, one))


def test_gradients_are_finite_and_reach_every_weight(network: nn.Module) -> None:
    run(network.train(), structure(0), structure(1)).square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_coincident_particles_and_equal_features_stay_finite(network: nn.Module) -> None:
    one = structure(0)
    positions = one.positions.copy()
    positions[1:4] = positions[0]
    outputs = run(network.train(), Configuration(positions, np.zeros_like(one.species), one.box), structure(1))
    outputs.sum().backward()
    assert torch.isfinite(outputs).all()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


def test_gradient_equals_finite_differences(network: nn.Module) -> None:
    graph = graph_of(structure(0))
    weight = next(value for value in network.parameters() if value.ndim == 2 and min(value.shape) > 5)
    network(graph.species, graph.neighbors, graph.vectors, graph.counts)[0, 0].backward()
    place, step = (3, 5), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[place] += sign * step
            values.append(float(network(graph.species, graph.neighbors, graph.vectors, graph.counts)[0, 0]))
            weight[place] -= sign * step
    assert float(weight.grad[place]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_edge_convolution_equals_its_definition(aggregation: str) -> None:
    """First layer applied per edge to the concatenation [x_i, x_j - x_i, r_ij], as the equation has it."""
    torch.manual_seed(1)
    block = EdgeConv(4, 3, (8, 8), aggregation).double().train()
    features, edges = torch.randn(50, 4).double(), torch.randn(50, 6, 3).double()
    neighbors = torch.randint(50, (50, 6))
    weight = torch.cat([block.center.weight, block.difference.weight, block.edge.weight], 1)
    center = features[:, None].expand(-1, 6, -1)
    hidden = torch.cat([center, features[neighbors] - center, edges], -1) @ weight.T
    hidden = torch.relu(nn.functional.batch_norm(hidden.flatten(0, 1), None, None, training=True))
    hidden = hidden @ block.layers[0].weight.T
    hidden = torch.relu(nn.functional.batch_norm(hidden, None, None, training=True)).view(50, 6, 8)
    pooled = hidden.max(1).values if aggregation == "max" else hidden.mean(1)
    shortcut = nn.functional.batch_norm(features @ block.shortcut.weight.T, None, None, training=True)
    torch.testing.assert_close(block(features, neighbors, edges), torch.relu(shortcut + pooled))


@pytest.mark.parametrize("block", [10, 1_000, 16_000_000])
def test_feature_neighbors_equal_a_search_over_all_pairs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.network.feature_neighbors.BLOCK", block)
    features = torch.randn(90, 5, dtype=torch.float64)
    found = feature_neighbors(features, (40, 50), 7)
    for part, offset in ((slice(0, 40), 0), (slice(40, 90), 40)):
        distance = torch.cdist(features[part], features[part]).fill_diagonal_(torch.inf)
        expected = distance.topk(7, largest=False).indices.sort(1).values
        assert torch.equal((found[part] - offset).sort(1).values, expected)


def test_equal_features_do_not_make_a_particle_its_own_neighbor() -> None:
    found = feature_neighbors(torch.ones(30, 4), (30,), 10)
    assert (found != torch.arange(30)[:, None]).all()
