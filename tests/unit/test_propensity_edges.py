"""Changes of distances as a second target: what they are, the head that predicts them, and how it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks.propensity_edges import EdgeHead, EdgeLearner, TwoHeads, distance_changes, edge_loader, pairs_of
from glassformer.core.network_kinds import EquivariantSettings
from glassformer.core.run import Training
from glassformer.graph.batch import GraphBatch, build_graph, transform
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.train.data import Item
from glassformer.train.examples import Example

PARTICLES, DRAWS = 40, 3
SETTINGS = EquivariantSettings(
    name="equivariant", inputs=("species", "inherent-displacement"), cutoff=1.6, width=8, vectors=2, steps=1,
    averages=1, averaged=4, fully_connected=(8,), dropout=0.0,
)  # fmt: skip
TRAINING = Training(epochs=4, batch_size=2, learning_rate=3e-3, augmentation="rotations", batches="shuffled")


def liquid(seed: int) -> Configuration:
    random = np.random.default_rng(seed)
    box = np.array([3.3, 3.4, 3.5])
    positions = random.uniform(0, box, (PARTICLES, 3))
    moved = wrap(positions + random.normal(0, 0.05, positions.shape), box)
    return Configuration(positions, (np.arange(PARTICLES) % 5 == 0).astype(np.uint8), box, inherent_positions=moved)


def displacements(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.8, (DRAWS, PARTICLES, 3))


def test_changes_of_distances_one_by_one() -> None:
    configuration, moves = liquid(0), displacements(1)
    graph = build_graph(configuration, SETTINGS)
    found = distance_changes(configuration, moves, graph)
    rows = pairs_of(graph)
    assert 2 * len(rows) == len(graph.centers) == 2 * len(found)
    ends = list(zip(graph.centers[rows].tolist(), graph.neighbors[rows].tolist(), strict=True))
    assert len(set(ends)) == len(ends)
    assert all(i < j for i, j in ends)
    across = 0
    for value, (i, j) in zip(found, ends, strict=True):
        # The nearest of 27 images, and then that image wherever its particle went.
        shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
        images = configuration.positions[j] + shifts * configuration.box
        nearest = images[np.argmin(np.linalg.norm(images - configuration.positions[i], axis=1))]
        across += not np.array_equal(nearest, configuration.positions[j])
        later = [np.linalg.norm(nearest + draw[j] - configuration.positions[i] - draw[i]) for draw in moves]
        assert value == pytest.approx(np.mean(later) - np.linalg.norm(nearest - configuration.positions[i]), abs=1e-12)
    assert across


def test_a_common_displacement_changes_no_distance() -> None:
    configuration = liquid(0)
    moves = np.ones((DRAWS, PARTICLES, 1)) * np.array([5.0, -1.0, 0.5])
    assert_allclose(distance_changes(configuration, moves, build_graph(configuration, SETTINGS)), 0, atol=1e-12)


def test_the_head_does_not_tell_the_ends_of_a_pair_apart() -> None:
    graph = build_graph(liquid(0), SETTINGS).to(torch.float64)
    torch.manual_seed(0)
    head, features = EdgeHead(5, 1, 1.6).double(), torch.randn(PARTICLES, 5, dtype=torch.float64)
    # Numbered from the end, every pair has its ends exchanged.
    back = torch.arange(PARTICLES).flip(0)
    turned = replace(
        graph, centers=back[graph.centers], neighbors=back[graph.neighbors], node_vectors=graph.node_vectors[back]
    )

    def by_pair(one: GraphBatch, x: torch.Tensor, names: torch.Tensor) -> dict[frozenset[int], float]:
        rows = pairs_of(one)
        ends = zip(names[one.centers[rows]].tolist(), names[one.neighbors[rows]].tolist(), strict=True)
        return {frozenset(pair): y for pair, y in zip(ends, head(x, one).tolist(), strict=True)}

    first, second = by_pair(graph, features, torch.arange(PARTICLES)), by_pair(turned, features[back], back)
    assert first.keys() == second.keys()
    assert_allclose([second[pair] for pair in first], list(first.values()), rtol=1e-10)
    assert np.std(list(first.values())) > 1e-3


def test_the_head_is_invariant_under_rotations() -> None:
    graph = build_graph(liquid(0), SETTINGS).to(torch.float64)
    head, features = EdgeHead(5, 1, 1.6).double(), torch.randn(PARTICLES, 5, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(1, 3, 3, dtype=torch.float64))[0]
    assert_allclose(head(features, transform(graph, rotation)).detach(), head(features, graph).detach(), rtol=1e-10)


def learner_and_items(weight: float) -> tuple[EdgeLearner, list[Item], list[np.ndarray]]:
    configurations = [liquid(seed) for seed in range(4)]
    graphs = [[build_graph(one, SETTINGS)] for one in configurations]
    changes = [distance_changes(one, displacements(9), of[0]) for one, of in zip(configurations, graphs, strict=True)]
    label, learned = np.zeros((PARTICLES, 1)), np.ones(PARTICLES, np.bool_)
    items = [
        Item(
            Example(graphs, number, 0, (str(number), 0, 0), one.species, label, learned),
            torch.zeros(PARTICLES, 1),
            torch.from_numpy(learned),
        )
        for number, one in enumerate(configurations)
    ]
    torch.manual_seed(0)
    return EdgeLearner(TwoHeads(SETTINGS, 1), TRAINING, 0, np.ones(1), weight), items, changes


def test_batches_carry_the_changes_of_their_pairs() -> None:
    _, items, changes = learner_and_items(1.0)
    known = np.concatenate(changes)
    batches = edge_loader(items, changes, 3, 5)
    for indices, batch in zip(batches.order.batches(0), batches.batches(0), strict=True):
        expected = (np.concatenate([changes[index] for index in indices]) - known.mean()) / known.std()
        assert len(pairs_of(batch.graph)) == len(expected)
        assert_allclose(batch.changes, expected, rtol=1e-5, atol=1e-6)


def test_the_weight_of_the_second_loss() -> None:
    losses = []
    for weight in (0.0, 1.0, 2.0):
        learner, items, changes = learner_and_items(weight)
        batch = next(edge_loader(items, changes, 2, 5).batches(0))
        losses.append(float(learner.loss(batch).detach()))
    assert losses[2] - losses[0] == pytest.approx(2 * (losses[1] - losses[0]), rel=1e-4)
    assert losses[1] > losses[0] + 0.1


def test_it_learns_both_and_predicts_the_particles() -> None:
    learner, items, changes = learner_and_items(1.0)
    batches = edge_loader(items, changes, TRAINING.batch_size, 5)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    for _ in range(TRAINING.epochs):
        learner.train_epoch(batches, batches)
    assert learner.history[-1]["train_loss"] < learner.history[0]["train_loss"]
    after = learner.network.state_dict()
    assert all(
        any(name.startswith(part) and not torch.equal(before[name], after[name]) for name in after)
        for part in ("network.encoder", "network.head", "edges")
    )
    graph = items[0].example.graph
    assert learner.network(graph).shape == (PARTICLES, 1)
    assert learner.predict_pairs(graph).shape == changes[0].shape
