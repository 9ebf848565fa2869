"""What every network must hold (`glassformer.testing`), and what each is by its definition.

A new row of `NETWORKS` inherits the first.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from glassformer.core.network_kinds import (
    NETWORKS,
    ContinuousFilterSettings,
    EquivariantSettings,
    GlobalAttentionSettings,
    MessagePassingSettings,
    ParticleNetSettings,
    SubgraphsSettings,
)
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.core.presets import load_network
from glassformer.graph.batch import transform
from glassformer.graph.symmetries import random_rotations
from glassformer.network.continuous_filter import ShiftedSoftplus
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.equivariant import moments
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.network.registry import build_network, encoder_class
from glassformer.physics.box import minimum_image
from glassformer.testing import PROPERTIES, Subject, structure
from glassformer.testing.properties import turned

NEIGHBORS, CUTOFF = 8, 1.6
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
# One block: a later one may find a particle's own copy as its nearest neighbour in feature space.
ONE_BLOCK = [one.model_copy(update={"blocks": ((16, 16),)}) for one in PARTICLENET]
SETTINGS = [*SMALL, *OTHERS]


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


HELD = [
    pytest.param(settings, name, id=f"{label(settings)}-{name.replace(' ', '-')}")
    for settings in SETTINGS
    for name, one in PROPERTIES.items()
    if one.applies(settings)
] + [
    pytest.param(settings, "neither box nor size", id=f"{label(settings)}-one-block-neither-box-nor-size")
    for settings in ONE_BLOCK
]


@pytest.mark.long
@pytest.mark.parametrize(("settings", "name"), HELD)
def test_every_network_holds(settings: NetworkSettings, name: str) -> None:
    PROPERTIES[name].check(Subject.of(settings))


@pytest.fixture(params=SETTINGS, ids=label)
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject.of(request.param)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_and_the_settings_agree(name: str) -> None:
    kind = NETWORKS[name]
    assert kind.settings(name=name).name == name
    assert type(load_network(kind.preset)) is kind.settings
    assert isinstance(build_network(load_network(kind.preset), 1).encoder, encoder_class(name))
    assert {one.name for one in SETTINGS} == set(NETWORKS)


def norms_batches(settings: NetworkSettings) -> bool:
    if isinstance(settings, SubgraphsSettings | GlobalAttentionSettings):
        return norms_batches(settings.base)
    return isinstance(settings, EquivariantSettings) or (
        isinstance(settings, ParticleNetSettings) and (settings.norm == "batch" or settings.input_norm)
    )


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.long
@pytest.mark.parametrize("settings", [one for one in SETTINGS if "rotation-invariant" not in one.promises], ids=label)
def test_directions_are_seen(settings: NetworkSettings) -> None:
    subject = Subject.of(settings)
    expected = subject(structure(0))
    for outputs in turned(subject, random_rotations(np.random.default_rng(3), 2)):
        assert (outputs - expected).abs().max() > 1e-5


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


@pytest.mark.long
def test_mixed_precision(subject: Subject) -> None:
    graph, network = subject.graph(structure(0)).to(torch.float32), subject.network.float()
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
    subject = Subject.of(MESSAGE_PASSING[2])
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
    subject = Subject.of(CONTINUOUS_FILTER[2])
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
    subject, one = Subject.of(settings), structure(0).configuration
    graph = subject.graph(structure(0))
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
    subject = Subject.of(EQUIVARIANT[2])
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
    subject = Subject.of(EQUIVARIANT[2])
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
    subject = Subject.of(EQUIVARIANT[2])
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
