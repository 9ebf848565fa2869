"""What every network must hold. A new row of `NETWORKS` inherits all of it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glassformer.core.network_settings import (
    NETWORKS,
    ContinuousFilterSettings,
    CutoffGraph,
    EquivariantSettings,
    GlobalAttentionSettings,
    MessagePassingSettings,
    NetworkSettings,
    ParticleNetSettings,
    SubgraphsSettings,
)
from glassformer.core.presets import load_network
from glassformer.graph.batch import GraphBatch, build_graph, join, transform
from glassformer.graph.inputs import node_vectors
from glassformer.graph.symmetries import cubic_symmetries, random_rotations
from glassformer.network.continuous_filter import ShiftedSoftplus
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.equivariant import moments
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.network.registry import Network, build_network, encoder_class
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from tests.conftest import rattled_lattice

NEIGHBORS, CUTOFF, OUTPUTS = 8, 1.6, 3
HEADS = [
    {"head": "system", "global_pool": "max"},
    {"head": "system", "global_pool": "mean"},
    {"head": "particle"},
    {"head": "particle", "context": True},
]
VECTORS = ("species", "inherent-displacement")

PARTICLENET = [
    ParticleNetSettings(
        neighbors=NEIGHBORS,
        blocks=((16, 16), (24, 24)),
        fully_connected=(12,),
        aggregation=aggregation,
        norm=norm,
        **head,
    )
    for aggregation in ("max", "mean")
    for norm in ("batch", "layer", "none")
    for head in HEADS
]
PARTICLENET.append(PARTICLENET[2].model_copy(update={"inputs": VECTORS, "input_norm": True}))
MESSAGE_PASSING = [
    MessagePassingSettings(
        name="message-passing", cutoff=CUTOFF, steps=2, width=12, fully_connected=(12,), dropout=dropout, inputs=inputs,
        **head,
    )
    for head, inputs, dropout in zip(HEADS[:3], [("species",), ("type",), VECTORS], [0.0, 0.2, 0.0], strict=True)
]  # fmt: skip
CONTINUOUS_FILTER = [
    ContinuousFilterSettings(
        name="continuous-filter", cutoff=CUTOFF, radial_functions=9, steps=2, width=12, fully_connected=(12,),
        dropout=dropout, inputs=inputs, **head,
    )
    for head, inputs, dropout in zip(HEADS[:3], [("species",), ("type",), VECTORS], [0.0, 0.2, 0.0], strict=True)
]  # fmt: skip
EQUIVARIANT = [
    EquivariantSettings(
        name="equivariant", structure=structure, cutoff=CUTOFF, radial_functions=9, steps=2, width=12, vectors=5,
        degree=degree, averages=averages, averaged=4, fully_connected=(12,), dropout=dropout, inputs=inputs, **head,
    )
    for head, inputs, dropout, structure, degree, averages in zip(
        HEADS[:3], [VECTORS, ("type",), VECTORS], [0.0, 0.2, 0.0], ["thermal", "inherent", "inherent"],
        [1, 2, 2], [0, 1, 2], strict=True,
    )
]  # fmt: skip
for family in (MESSAGE_PASSING, CONTINUOUS_FILTER, EQUIVARIANT):
    family.append(family[2].model_copy(update={"context": True}))
FILTER, MESSAGES, MOMENTS = (
    family[1]
    .model_copy(update={"cutoff": CUTOFF})
    .model_dump(exclude={"inputs", "head", "global_pool", "context", "fully_connected"})
    for family in (CONTINUOUS_FILTER, MESSAGE_PASSING, EQUIVARIANT)
)
SUBGRAPHS = [
    SubgraphsSettings(
        name="subgraphs", policy=policy, radius=1.4, bag=bag, base=base, fully_connected=(12,), inputs=inputs, **head
    )
    for head, inputs, policy, bag, base in zip(
        HEADS, [("species",), ("type",), VECTORS, VECTORS], ["ego", "node-deleted"] * 2, [1.0, 0.5, 1.0, 1.0],
        [FILTER, MESSAGES, FILTER, MOMENTS], strict=True,
    )
]  # fmt: skip
GLOBAL_ATTENTION = [
    GlobalAttentionSettings(
        name="global-attention", width=12, heads=3, layers=2, bias_range=2.4, bias_functions=4, base=base,
        fully_connected=(12,), dropout=dropout, inputs=inputs, **kind, **head,
    )
    for head, inputs, dropout, kind, base in zip(
        [*HEADS, HEADS[2]], [("species",), ("type",), VECTORS, VECTORS, ("species",)], [0.0, 0.2, 0.0, 0.0, 0.0],
        [{}, {"distance_bias": True}, {"distance_bias": True}, {"induced_points": 5}, {"induced_points": 5}],
        [FILTER, MESSAGES, FILTER, MOMENTS, {"name": "subgraphs", "radius": 1.4, "base": FILTER}], strict=True,
    )
]  # fmt: skip
GLOBAL_ATTENTION.append(
    GLOBAL_ATTENTION[0].model_copy(update={"base": PARTICLENET[0].model_copy(update={"norm": "layer"})})
)
SMALL = [*PARTICLENET, *MESSAGE_PASSING, *CONTINUOUS_FILTER, *EQUIVARIANT, *SUBGRAPHS, *GLOBAL_ATTENTION]


def shipped(preset: str, head: dict[str, object]) -> NetworkSettings:
    """A network that ships, with `head`, and a cutoff short enough for the structures here."""
    settings = load_network(preset).model_copy(update={"context": False} | head)
    cutoff = {"cutoff": CUTOFF} if isinstance(settings.graph, CutoffGraph) else {}
    return settings.model_copy(update=cutoff)


WELL_KNOWN = {settings.name for settings in SMALL}
OTHERS = [shipped(kind.preset, head) for name, kind in NETWORKS.items() if name not in WELL_KNOWN for head in HEADS]
SETTINGS = [*SMALL, *OTHERS]
WITHIN_CUTOFF = [settings for settings in SETTINGS if isinstance(settings.graph, CutoffGraph)]
CONTINUOUS = [settings for settings in SETTINGS if settings.continuous]
INVARIANT = [settings for settings in SETTINGS if settings.rotation_invariant]
DIRECTIONAL = [settings for settings in SETTINGS if not settings.rotation_invariant]


@dataclass
class Subject:
    """A network in float64, and its graphs in float64: invariance is tested to rounding."""

    settings: NetworkSettings
    network: Network

    def graph(self, *configurations: Configuration) -> GraphBatch:
        return join([graph_of(configuration, self.settings) for configuration in configurations])

    def __call__(self, *configurations: Configuration) -> Tensor:
        return self.network(self.graph(*configurations))

    @property
    def of_particles(self) -> bool:
        return self.settings.head == "particle"


def label(settings: NetworkSettings) -> str:
    words = [settings.name]
    if isinstance(settings, ParticleNetSettings):
        words += [settings.aggregation, settings.norm]
    words += ["particle"] if settings.head == "particle" else [settings.head, settings.global_pool]
    words += ["context"] if settings.context else []
    words += [settings.structure] if isinstance(settings, EquivariantSettings) else []
    words += [settings.policy, settings.base.name] if isinstance(settings, SubgraphsSettings) else []
    if isinstance(settings, GlobalAttentionSettings):
        kind = "induced" if settings.induced_points else "biased" if settings.distance_bias else "plain"
        words += [kind, settings.base.name]
    return "-".join([*words, *(["vectors"] if settings.vector_inputs else [])])


def make(settings: NetworkSettings, seed: int = 0) -> Subject:
    """A network with batch norm statistics that are not the trivial ones, ready to predict."""
    torch.manual_seed(seed)
    network = build_network(settings, OUTPUTS).double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                # As torch begins, several layers on end hardly pass on what they are given.
                module.weight *= 2
    subject = Subject(settings, network.train())
    subject(structure(9))
    network.eval()
    return subject


@pytest.fixture(params=SETTINGS, ids=label)
def subject(request: pytest.FixtureRequest) -> Subject:
    return make(request.param)


only_within_cutoff = pytest.mark.parametrize("subject", WITHIN_CUTOFF, ids=label, indirect=True)
only_continuous = pytest.mark.parametrize("subject", CONTINUOUS, ids=label, indirect=True)
only_invariant = pytest.mark.parametrize("subject", INVARIANT, ids=label, indirect=True)
only_directional = pytest.mark.parametrize("subject", DIRECTIONAL, ids=label, indirect=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_and_the_settings_agree(name: str) -> None:
    kind = NETWORKS[name]
    assert kind.settings(name=name).name == name
    assert type(load_network(kind.preset)) is kind.settings
    assert isinstance(build_network(load_network(kind.preset), 1).encoder, encoder_class(name))
    assert {one.name for one in SETTINGS} == set(NETWORKS)


def structure(seed: int, side: int = 5) -> Configuration:
    one = rattled_lattice(side, seed, amplitude=0.2)
    shift = np.random.default_rng(seed).normal(0, 0.05, one.positions.shape)
    return replace(one, inherent_positions=wrap(one.positions + shift, one.box))


def chosen(one: Configuration, which: np.ndarray) -> Configuration:
    """The particles `which` of `one`, in that order."""
    return Configuration(one.positions[which], one.species[which], one.box, one.inherent_positions[which])


def graph_of(configuration: Configuration, settings: NetworkSettings) -> GraphBatch:
    graph = build_graph(configuration, settings).to(torch.float64)
    in_inherent = isinstance(settings.graph, CutoffGraph) and settings.graph.structure == "inherent"
    positions = configuration.inherent_positions if in_inherent else configuration.positions
    ends = positions[graph.neighbors] - positions[graph.centers]
    return replace(
        graph,
        vectors=torch.from_numpy(minimum_image(ends, configuration.box)),
        node_vectors=torch.from_numpy(node_vectors(configuration, settings.vector_inputs, None)),
    )


def norms_batches(settings: NetworkSettings) -> bool:
    if isinstance(settings, SubgraphsSettings | GlobalAttentionSettings):
        return norms_batches(settings.base)
    return isinstance(settings, EquivariantSettings) or (
        isinstance(settings, ParticleNetSettings) and (settings.norm == "batch" or settings.input_norm)
    )


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_shape_and_sensitivity(subject: Subject) -> None:
    one, two = subject(structure(0)), subject(structure(1))
    assert one.shape == ((125, OUTPUTS) if subject.of_particles else (1, OUTPUTS))
    # A network that ignored its input would pass every test of invariance.
    assert (one - two).abs().max() > 1e-4
    if subject.of_particles:
        assert one.std(0).min() > 1e-4


def test_species_matter(subject: Subject) -> None:
    one = structure(0)
    swapped = replace(one, species=(1 - one.species).astype(np.uint8))
    assert (subject(one) - subject(swapped)).abs().max() > 1e-4


def test_permutation(subject: Subject) -> None:
    one = structure(0)
    order = np.random.default_rng(0).permutation(one.particles)
    expected = subject(one)
    same(subject(chosen(one, order)), expected[order] if subject.of_particles else expected)


def test_translation_and_periodic_images(subject: Subject) -> None:
    one = structure(0)
    shift = np.array([0.3, 17.0, -2.2])
    positions, inherent = (wrap(places + shift, one.box) for places in (one.positions, one.inherent_positions))
    same(subject(replace(one, positions=positions, inherent_positions=inherent)), subject(one))


def test_a_batch_of_two_is_two_batches_of_one(subject: Subject) -> None:
    one, two = structure(0), structure(1, side=6)
    same(subject(one, two), torch.cat([subject(one), subject(two)]))


@pytest.mark.parametrize(
    "settings",
    # One block, since a later one may find a particle's own copy as its nearest neighbour in feature space.
    # Distances to all others do tell the box.
    [
        *(one.model_copy(update={"blocks": ((16, 16),)}) for one in PARTICLENET),
        *(one for one in WITHIN_CUTOFF if not one.reads_positions),
    ],
    ids=label,
)
def test_neither_box_nor_size_is_told(settings: NetworkSettings) -> None:
    """Two copies side by side: another box and N, the same local structure, the same answer."""
    subject, one = make(settings), structure(0, side=6)
    box = one.box * np.array([2.0, 1, 1])
    positions = np.concatenate([one.positions, one.positions + np.array([one.box[0], 0, 0])])
    shift = minimum_image(one.inherent_positions - one.positions, one.box)
    doubled = subject(
        Configuration(positions, np.tile(one.species, 2), box, wrap(positions + np.tile(shift, (2, 1)), box))
    )
    expected = subject(one)
    same(doubled, torch.cat([expected, expected]) if subject.of_particles else expected)


def turned(subject: Subject, matrices: np.ndarray) -> Iterator[Tensor]:
    graph = subject.graph(structure(0))
    for matrix in matrices:
        yield subject.network(transform(graph, torch.from_numpy(matrix)[None]))


@only_invariant
def test_rotations_and_reflections_change_nothing(subject: Subject) -> None:
    matrices = np.concatenate([cubic_symmetries(), random_rotations(np.random.default_rng(3), 20)])
    expected = subject(structure(0))
    for outputs in turned(subject, matrices):
        same(outputs, expected)


@only_directional
def test_directions_are_seen(subject: Subject) -> None:
    expected = subject(structure(0))
    for outputs in turned(subject, random_rotations(np.random.default_rng(3), 2)):
        assert (outputs - expected).abs().max() > 1e-5


@only_continuous
def test_nothing_jumps_when_a_neighbor_crosses_the_cutoff(subject: Subject) -> None:
    def three(distance: float) -> Configuration:
        positions = np.array([[10.0, 10, 10], [9.0, 10, 10], [10 + distance, 10, 10]])
        return Configuration(positions, np.array([0, 1, 0], np.uint8), np.full(3, 20.0), positions + 0.01)

    inside, outside, deep = (three(CUTOFF + shift) for shift in (-1e-7, 1e-7, -0.4))
    assert len(subject.graph(inside).centers) == len(subject.graph(outside).centers) + 2
    # A bias by distances changes with the distance itself.
    jump = 1e-6 if subject.settings.reads_positions else 1e-10
    assert (subject(inside) - subject(outside)).abs().max() < jump
    assert (subject(deep) - subject(outside)).abs().max() > 1e-4


def check_finite(subject: Subject, graph: GraphBatch) -> None:
    graph = replace(graph, vectors=graph.vectors.requires_grad_(), node_vectors=graph.node_vectors.requires_grad_())
    outputs = subject.network.train()(graph)
    outputs.square().sum().backward()
    assert torch.isfinite(outputs).all()
    found = [value.grad for value in (*subject.network.parameters(), graph.vectors, graph.node_vectors)]
    assert all(torch.isfinite(gradient).all() for gradient in found if gradient is not None)


def test_a_particle_far_from_all_others(subject: Subject) -> None:
    one = structure(0, side=6)
    distance = np.linalg.norm(minimum_image(one.positions - one.positions[0], one.box), axis=1)
    graph = subject.graph(chosen(one, np.flatnonzero((distance == 0) | (distance > 2.0))))
    if subject.settings in WITHIN_CUTOFF:
        assert 0 not in graph.centers
    check_finite(subject, graph)


@only_within_cutoff
def test_no_particle_has_a_neighbor(subject: Subject) -> None:
    positions = np.arange(12.0).reshape(4, 3) * 5
    alone = Configuration(positions, np.array([0, 0, 1, 0], np.uint8), np.full(3, 100.0), positions + 0.1)
    graph = subject.graph(alone)
    assert graph.centers.shape == (0,)
    outputs = subject.network(graph)
    if subject.of_particles:
        same(outputs[:2].flip(0), outputs[:2])
    check_finite(subject, graph)


def test_coincident_particles_and_equal_features(subject: Subject) -> None:
    one = structure(0)
    positions = one.positions.copy()
    positions[1:4] = positions[0]
    graph = subject.graph(Configuration(positions, np.zeros_like(one.species), one.box, positions), structure(1))
    assert (graph.vectors == 0).all(1).any()
    check_finite(subject, graph)


def test_gradients_are_finite_and_reach_every_weight(subject: Subject) -> None:
    subject.network.train()(subject.graph(structure(0), structure(1))).square().sum().backward()
    for name, weight in subject.network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_gradients_equal_finite_differences(subject: Subject) -> None:
    """Of every weight, the edge vectors and the node vectors: the entry that counts most, and another."""
    graph, step = subject.graph(structure(0)), 1e-6
    graph = replace(graph, vectors=graph.vectors.requires_grad_(), node_vectors=graph.node_vectors.requires_grad_())
    mixed = torch.from_numpy(np.random.default_rng(0).normal(size=subject.network(graph).shape))

    def loss() -> Tensor:
        return (subject.network(graph) * mixed).sum()

    loss().backward()
    values = dict(subject.network.named_parameters()) | {"vectors": graph.vectors, "node_vectors": graph.node_vectors}
    for name, value in values.items():
        if not value.numel():
            continue
        gradient, flat = value.grad.flatten(), value.detach().view(-1)
        for place in (int(gradient.abs().argmax()), len(gradient) // 3):
            there, found = float(flat[place]), []
            for sign in (1, -1):
                flat[place] = there + sign * step
                found.append(float(loss().detach()))
            flat[place] = there
            slope = (found[0] - found[1]) / (2 * step)
            assert float(gradient[place]) == pytest.approx(slope, rel=1e-5, abs=1e-6), (name, place)


def test_state_round_trip(subject: Subject) -> None:
    file = io.BytesIO()
    torch.save(subject.network.state_dict(), file)
    file.seek(0)
    other = make(subject.settings, seed=1)
    assert not torch.equal(other(structure(0)), subject(structure(0)))
    other.network.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(structure(0)), subject(structure(0)))


def test_training_and_evaluation_differ_only_where_they_should(subject: Subject) -> None:
    """In dropout and batch norm: and only in training is the latter's memory changed."""
    batch_norm = norms_batches(subject.settings)
    random = subject.settings.dropout or getattr(subject.settings, "bag", 1.0) < 1
    before = {name: value.clone() for name, value in subject.network.named_buffers()}
    assert bool(before) == batch_norm
    outputs = subject(structure(0))
    assert torch.equal(subject(structure(0)), outputs)
    assert all(torch.equal(value, before[name]) for name, value in subject.network.named_buffers())
    subject.network.train()
    assert torch.equal(subject(structure(0)), outputs) == (not batch_norm and not random)
    assert not any(torch.equal(value, before[name]) for name, value in subject.network.named_buffers())


def test_the_same_gradient_every_time(subject: Subject) -> None:
    graph, found = subject.graph(structure(0)), []
    for _ in range(2):
        subject.network.zero_grad()
        subject.network(graph).square().sum().backward()
        found.append([weight.grad for weight in subject.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_single_precision_and_mixed_precision(subject: Subject) -> None:
    graph = subject.graph(structure(0))
    exact = subject.network(graph)
    network, graph = subject.network.float(), graph.to(torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(network(graph).double(), exact, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network.train()(graph)
    mixed.float().square().sum().backward()
    assert torch.isfinite(mixed).all()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_edge_convolution_equals_its_definition(aggregation: str, norm: str) -> None:
    """First layer applied per edge to the concatenation [x_i, x_j - x_i, r_ij], as the equation has it."""
    torch.manual_seed(1)
    block = EdgeConv(4, 3, (8, 8), ParticleNetSettings(aggregation=aggregation, norm=norm)).double().train()
    features, edges = torch.randn(50, 4).double(), torch.randn(50, 6, 3).double()
    neighbors = torch.randint(50, (50, 6))
    center = features[:, None].expand(-1, 6, -1)
    hidden = torch.cat([center, features[neighbors] - center, edges], -1).flatten(0, 1)
    for linear, one_norm in zip(block.linears, block.norms, strict=True):
        hidden = torch.relu(one_norm(linear(hidden)))
    hidden = hidden.view(50, 6, 8)
    pooled = hidden.max(1).values if aggregation == "max" else hidden.mean(1)
    shortcut = block.shortcut_norm(block.shortcut(features))
    same(block(features, neighbors, edges), torch.relu(shortcut + pooled))


def test_message_passing_equals_its_definition() -> None:
    """Every edge and particle by itself, with all that it is told side by side."""
    subject = make(MESSAGE_PASSING[2])
    graph, core = subject.graph(structure(0)), subject.network.encoder
    first_nodes = nodes = core.encode_nodes(torch.cat([graph.scalars, graph.node_vectors[:, 0]], 1))
    first_edges = edges = core.encode_edges(graph.vectors)
    ends = list(zip(graph.centers.tolist(), graph.neighbors.tolist(), strict=True))
    for _ in range(subject.settings.steps):
        told = [
            torch.cat([edges[e], first_edges[e], nodes[i], first_nodes[i], nodes[j], first_nodes[j]])
            for e, (i, j) in enumerate(ends)
        ]
        edges = core.update_edges(torch.stack(told))
        sums = [edges[graph.centers == i].sum(0) for i in range(len(nodes))]
        nodes = core.update_nodes(torch.cat([torch.stack(sums), nodes, first_nodes], 1))
    same(core(graph), nodes)


def test_continuous_filter_equals_its_definition() -> None:
    subject = make(CONTINUOUS_FILTER[2])
    graph, encoder = subject.graph(structure(0)), subject.network.encoder
    features = encoder.embed(torch.cat([graph.scalars, graph.node_vectors[:, 0].pow(2).sum(1, keepdim=True).sqrt()], 1))
    spacing = CUTOFF / 8
    for interaction in encoder.interactions:
        sums = [torch.zeros(12, dtype=torch.float64) for _ in features]
        for center, neighbor, vector in zip(graph.centers, graph.neighbors, graph.vectors, strict=True):
            r = float(np.sqrt((vector.numpy() ** 2).sum()))
            basis = [np.exp(-((r - k * spacing) ** 2) / (2 * spacing**2)) for k in range(9)]
            shape = interaction.filter(torch.tensor(basis)) * 0.5 * (np.cos(np.pi * r / CUTOFF) + 1)
            sums[center] = sums[center] + shape * (interaction.project.weight @ features[neighbor])
        features = features + interaction.update(torch.stack(sums))
    same(encoder(graph), features)


def gaussians(distance: float, number: int) -> list[float]:
    """Those of the equivariant network: from 0.35 to 1 cutoff."""
    spacing = 0.65 * CUTOFF / (number - 1)
    return [np.exp(-(((distance - 0.35 * CUTOFF) / spacing - k) ** 2 / 2)) for k in range(number)]


@pytest.mark.parametrize("settings", [EQUIVARIANT[0], EQUIVARIANT[2]], ids=label)
def test_equivariant_edges_know_both_structures(settings: EquivariantSettings) -> None:
    """Distances in the structure of the graph and in the other, and the displacement between them."""
    subject, one = make(settings), structure(0)
    graph = subject.graph(one)
    edges = subject.network.encoder.edges(graph)
    shift = minimum_image(one.inherent_positions - one.positions, one.box)
    structures = [one.positions, one.inherent_positions][:: -1 if settings.structure == "inherent" else 1]
    slots = np.concatenate([np.arange(count) for count in np.bincount(graph.centers, minlength=125)])
    assert (edges.moments != 0).any(1).sum() == len(graph.centers)
    for e in range(0, len(slots), 97):
        i, j, k = int(graph.centers[e]), int(graph.neighbors[e]), slots[e]
        vector, other = (minimum_image(places[j] - places[i], one.box) for places in structures)
        distance, relative = np.linalg.norm(vector), shift[j] - shift[i]
        direction = vector / distance
        assert int(edges.neighbors.view(125, -1)[i, k]) == j
        expected = [*gaussians(distance, 9), np.linalg.norm(relative), relative @ direction]
        expected += gaussians(np.linalg.norm(other), 9)
        # Lengths are sqrt(x^2 + 1e-4).
        np.testing.assert_allclose(edges.features[i, k].numpy(), expected, atol=2e-3)
        np.testing.assert_allclose(edges.directions[i, k].numpy(), direction, atol=2e-4)
        weight = (1 + np.cos(np.pi * min(1.0, distance / CUTOFF))) / 20
        np.testing.assert_allclose(edges.moments[i, :4, k].numpy(), weight * np.array([1, *direction]), atol=1e-4)


def test_quadrupoles_are_those_of_the_direction() -> None:
    """Their products are the second Legendre polynomial of the angle between two directions."""
    one, other = (torch.nn.functional.normalize(torch.randn(1, 40, 3).double(), dim=-1) for _ in range(2))
    products = (moments(one, 2)[..., 4:] * moments(other, 2)[..., 4:]).sum(-1)
    same(products, (3 * (one * other).sum(-1).square() - 1) / 2)
    assert moments(one, 1).shape == (1, 40, 4)


def test_an_equivariant_round_equals_its_definition() -> None:
    """Every edge by itself."""
    subject = make(EQUIVARIANT[2])
    graph, encoder = subject.graph(structure(0)), subject.network.encoder
    edges, round_ = encoder.edges(graph), encoder.rounds[1]
    scalars, vectors = torch.randn(125, 12).double(), torch.randn(125, 3, 5).double()
    found = round_(scalars, vectors, edges)
    known, first = round_.norm(scalars), 0
    for i in range(0, 125, 31):
        sums, carried = [torch.zeros(rows, 12).double() for rows in (1, 3, 5)], torch.zeros(3, 5).double()
        for k in range(edges.features.shape[1]):
            j, d = int(edges.neighbors.view(125, -1)[i, k]), edges.directions[i, k]
            own, theirs = round_.of_own_vectors(d @ vectors[i]), round_.of_their_vectors(d @ vectors[j])
            told = round_.of_center(known[i]) + round_.of_neighbor(known[j]) + round_.of_edge(edges.features[i, k])
            hidden = torch.nn.functional.silu(told + own + theirs)
            for part, rows in zip(sums, edges.moments[i, :, k].split([1, 3, 5]), strict=True):
                part += rows[:, None] * hidden
            carried += edges.moments[i, 0, k] * hidden[:5] * vectors[j]
        mixed = [mix(part) for mix, part in zip(round_.mix, sums[1:], strict=True)]
        one, other = round_.turn(vectors[i]).split(5, 1)
        lengths = [(part.square().sum(0) + 1e-4).sqrt() for part in mixed]
        told = torch.cat([known[i], sums[0][0], (one * other).sum(0), *lengths])
        change, keep, take = round_.update(told[None])[0].split([12, 5, 5])
        same(found[0][i], scalars[i] + change)
        same(found[1][i], vectors[i] * (1 + keep) + (mixed[0] + carried) * take)
        first += 1
    assert first == 5


def test_averages_of_the_equivariant_network_equal_their_definition() -> None:
    subject = make(EQUIVARIANT[2])
    graph, encoder = subject.graph(structure(0)), subject.network.encoder
    values = torch.randn(125, 3).double()
    found = encoder._averages(values, encoder.edges(graph))
    assert len(found) == 2
    distances = graph.vectors.norm(dim=1).clamp(max=CUTOFF)
    # Lengths are sqrt(x^2 + 1e-4).
    weights = (1 + torch.cos(np.pi * (distances.square() + 1e-4).sqrt().clamp(max=CUTOFF) / CUTOFF)) / 2
    for one in found:
        sums, whole = values.clone(), torch.ones(125).double()
        for center, neighbor, weight in zip(graph.centers, graph.neighbors, weights, strict=True):
            sums[center] += weight * values[neighbor]
            whole[center] += weight
        values = sums / whole[:, None]
        same(one, values)


def test_vectors_of_the_equivariant_network_turn_with_the_structure() -> None:
    subject = make(EQUIVARIANT[2])
    graph, encoder = subject.graph(structure(0)), subject.network.encoder
    matrix = torch.from_numpy(random_rotations(np.random.default_rng(0), 1))
    scalars, vectors = torch.randn(125, 12).double(), torch.randn(125, 3, 5).double()
    before = encoder.rounds[0](scalars, vectors, encoder.edges(graph))
    after = encoder.rounds[0](scalars, matrix @ vectors, encoder.edges(transform(graph, matrix)))
    same(after[0], before[0])
    same(after[1], matrix @ before[1])
    assert before[1].std() > 0.01


def test_shifted_softplus() -> None:
    values = torch.linspace(-30, 30, 61, dtype=torch.float64)
    same(ShiftedSoftplus()(values), torch.log(1 + torch.exp(values)) - np.log(2))


@pytest.mark.parametrize("rows", [10, 64, 1_000])
def test_feature_neighbors_equal_a_search_over_all_pairs(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.network.feature_neighbors.ROWS", rows)
    features = torch.randn(90, 5, dtype=torch.float64)
    found = feature_neighbors(features, (40, 50), 7)
    for part, offset in ((slice(0, 40), 0), (slice(40, 90), 40)):
        distance = torch.cdist(features[part], features[part]).fill_diagonal_(torch.inf)
        expected = distance.topk(7, largest=False).indices.sort(1).values
        assert torch.equal((found[part] - offset).sort(1).values, expected)


def test_equal_features_do_not_make_a_particle_its_own_neighbor() -> None:
    found = feature_neighbors(torch.ones(30, 4), (30,), 10)
    assert (found != torch.arange(30)[:, None]).all()
