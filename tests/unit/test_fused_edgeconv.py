"""The fused edge convolution beside the plain one: the same numbers, forward and back."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glassformer.core.errors import SettingsError
from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.graph.batch import build_graph, join
from glassformer.network import fused_edgeconv
from glassformer.network.cpu_blocks import each_block
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.network.registry import build_network
from tests.conftest import rattled_lattice

PARTICLES, K, FEATURES, EDGE_FEATURES = 150, 9, 5, 4
# Two layers and more, widths that grow and fall, odd numbers of channels.
WIDTHS = [(16, 24), (16, 16, 16), (17, 8, 33), (8, 12, 16, 20)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several blocks, the last one not full; and two threads."""
    monkeypatch.setattr(fused_edgeconv, "BLOCK_NUMBERS", 40 * K * 16)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def block(widths: tuple[int, ...], aggregation: str, edge_features: int = EDGE_FEATURES) -> EdgeConv:
    torch.manual_seed(1)
    settings = ParticleNetSettings(aggregation=aggregation, blocks=(widths,))
    made = EdgeConv(FEATURES, edge_features, widths, settings)
    for norm in made.norms:
        # Of both signs: where gamma is negative the greatest output is that of the least z.
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias, 0, 0.3)
    return made


def freeze(made: EdgeConv) -> None:
    """Give the norms statistics that are those of no batch, and let them keep these."""
    for norm in made.norms:
        nn.init.normal_(norm.running_mean, 0, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 3.0)
        norm.eval()


def inputs(edge_features: int = EDGE_FEATURES) -> tuple[Tensor, Tensor, Tensor | None]:
    torch.manual_seed(2)
    # Off zero, as features after a ReLU are: sums of squares must not lose their digits.
    features = (torch.randn(PARTICLES, FEATURES) + 3).requires_grad_()
    edges = torch.randn(PARTICLES, K, edge_features, requires_grad=True) if edge_features else None
    return features, torch.randint(PARTICLES, (PARTICLES, K)), edges


def outcome(made: EdgeConv, run: Callable[..., Tensor], edge_features: int) -> dict[str, Tensor]:
    """Output, gradients of everything, and the running statistics after one call."""
    features, neighbors, edges = inputs(edge_features)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    made.zero_grad()
    output = run(features, neighbors, edges)
    torch.manual_seed(3)
    (output * torch.randn_like(output)).sum().backward()
    results = {"output": output.detach(), "features": features.grad}
    if edges is not None:
        results["edges"] = edges.grad
    results |= {name: value.grad for name, value in made.named_parameters() if value.grad is not None}
    results |= {f"buffer {name}": value.clone() for name, value in made.named_buffers()}
    made.load_state_dict(state)
    return results


def close(found: Tensor, expected: Tensor, tolerance: float = 2e-5) -> bool:
    return float((found.double() - expected.double()).norm()) <= tolerance * float(expected.double().norm()) + 1e-12


@pytest.mark.long
@pytest.mark.parametrize("frozen", [False, True], ids=["measuring", "frozen"])
@pytest.mark.parametrize("edge_features", [0, EDGE_FEATURES])
@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_training_equals_plain_operations(
    widths: tuple[int, ...], aggregation: str, edge_features: int, frozen: bool
) -> None:
    made = block(widths, aggregation, edge_features).train()
    if frozen:
        freeze(made)
    expected = outcome(made, made.aggregate, edge_features)
    found = outcome(made, made.fused_aggregate, edge_features)
    assert expected.keys() == found.keys()
    assert len(found) > 10
    for name, value in expected.items():
        assert close(found[name], value), name


@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_prediction_equals_plain_operations(widths: tuple[int, ...], aggregation: str) -> None:
    made = block(widths, aggregation)
    features, neighbors, edges = inputs()
    made.aggregate(features, neighbors, edges)
    made.eval()
    with torch.no_grad():
        found, expected = (run(features, neighbors, edges) for run in (made.fused_aggregate, made.aggregate))
    torch.testing.assert_close(found, expected)


def test_the_whole_block_takes_the_fused_way_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(
        EdgeConv, "fused_aggregate", lambda self, x, *_, **__: taken.append(self) or x.new_zeros(len(x), 24)
    )
    made = block((16, 24), "max")
    features, neighbors, edges = inputs()
    made(features, neighbors, edges)
    assert len(taken) == 1
    freeze(made)
    made(features, neighbors, edges)
    assert len(taken) == 2
    taken.pop()
    made.norms[0].train()
    # Norms of two minds, a gradient in evaluation, other precision, other norms: the plain way.
    made(features, neighbors, edges)
    made.eval()
    made(features, neighbors, edges)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            assert made(features, neighbors, edges).dtype == torch.float32
        assert len(taken) == 2
        taken.clear()
        made.double()(features.double(), neighbors, edges.double())
        other = EdgeConv(FEATURES, EDGE_FEATURES, (16, 24), ParticleNetSettings(norm="layer"))
        other(features, neighbors, edges)
        assert taken == []
        made.float()(features, neighbors, edges)
    assert len(taken) == 1


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_threads_change_rounding_only_and_the_same_number_changes_nothing(aggregation: str) -> None:
    made = block((16, 16, 16), aggregation).train()
    found = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        found.append(outcome(made, made.fused_aggregate, EDGE_FEATURES))
    for name in found[0]:
        assert close(found[1][name], found[0][name]), name
        assert torch.equal(found[1][name], found[2][name]), name


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_bfloat16_products_err_no_more_than_those_of_autocast(aggregation: str) -> None:
    made = block((16, 16, 16), aggregation).train()
    expected = outcome(made, made.aggregate, EDGE_FEATURES)

    def autocast(*inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return made.aggregate(*inputs).float()

    fused = outcome(made, lambda *inputs: made.fused_aggregate(*inputs, bfloat16=True), EDGE_FEATURES)
    plain = outcome(made, autocast, EDGE_FEATURES)
    for name, value in expected.items():
        if "buffer" not in name:
            own, theirs = (float((found[name] - value).norm() / value.norm()) for found in (fused, plain))
            assert 0 < own < 1.2 * theirs + 0.005, name


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_plain_prediction_goes_block_by_block_to_the_same_numbers(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    made = EdgeConv(FEATURES, EDGE_FEATURES, (16, 24), ParticleNetSettings(norm=norm)).eval()
    features, neighbors, edges = inputs()
    expected = made.aggregate(features, neighbors, edges).detach()
    monkeypatch.setattr("glassformer.network.edgeconv.PLAIN_EDGES", 20 * K)
    sizes = []
    layers = EdgeConv._layers
    monkeypatch.setattr(
        EdgeConv, "_layers", lambda self, parts, rows: sizes.append(len(rows)) or layers(self, parts, rows)
    )
    with torch.no_grad():
        torch.testing.assert_close(made.aggregate(features, neighbors, edges), expected)
    assert sizes == [20] * 7 + [10]


@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize("widths", [(16, 24), (16, 16, 16)], ids=str)
def test_the_way_back_is_gone_once_and_keeps_nothing(widths: tuple[int, ...], aggregation: str) -> None:
    made = block(widths, aggregation)
    features, neighbors, edges = inputs()
    loss = made.fused_aggregate(features, neighbors, edges).sum()
    function = loss.grad_fn.next_functions[0][0]
    stack = function.stack
    loss.backward(retain_graph=True)
    assert function.stack is None
    assert sum(z.untyped_storage().nbytes() for blocks in stack.z.values() for z in blocks) == 0
    with pytest.raises(RuntimeError, match="can be gone back through once"):
        loss.backward()


def test_weights_that_change_before_the_way_back_are_noticed() -> None:
    made = block((16, 16, 16), "max")
    loss = made.fused_aggregate(*inputs()).sum()
    with torch.no_grad():
        made.linears[1].weight.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_neighbors_out_of_range_are_refused() -> None:
    made = block((16, 24), "max")
    features, neighbors, edges = inputs()
    for wrong in (-1, PARTICLES):
        neighbors[3, 2] = wrong
        with pytest.raises(IndexError, match="outside"):
            made.fused_aggregate(features, neighbors, edges)


@pytest.mark.parametrize("counts", [(5,), (20, 5), (30, 30)])
def test_too_few_particles_for_k_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="expected k < N"):
        feature_neighbors(torch.randn(min(sum(counts), 40), 3), counts, 10)


def test_threads_of_ones_own_keep_their_number() -> None:
    feature_neighbors(torch.randn(500, 3), (500,), 5)
    made = block((16, 24), "max")
    made.fused_aggregate(*inputs()).sum().backward()
    found = []
    fresh = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    assert [*found, torch.get_num_threads()] == [2, 2]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_norm_in_another_mode_than_its_block_is_heeded(frozen: bool) -> None:
    """Frozen statistics in training, or statistics measured by a block that otherwise predicts."""
    made = block((16, 24), "max").train(frozen)
    for norm in made.norms:
        norm.train(not frozen)
    features, neighbors, edges = inputs()
    with torch.no_grad():
        expected = torch.relu(made.shortcut_norm(made.shortcut(features)) + made.aggregate(features, neighbors, edges))
        torch.testing.assert_close(made(features, neighbors, edges), expected)


def test_momentum_none_is_a_plain_average() -> None:
    """As when the statistics of a training set are measured."""
    made, other = block((16, 24), "max"), block((16, 24), "max")
    for one in (made, other):
        for norm in one.norms:
            norm.momentum = None
    for _ in range(3):
        made.fused_aggregate(*inputs())
        other.aggregate(*inputs())
    for name, value in other.named_buffers():
        assert close(dict(made.named_buffers())[name], value), name


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_what_is_no_number_comes_through(aggregation: str) -> None:
    made = block((16, 24), aggregation).train()
    features, neighbors, edges = inputs()
    with torch.no_grad():
        features[7, 2] = torch.nan
    assert torch.isnan(made.fused_aggregate(features, neighbors, edges)).any()
    made.eval()
    with torch.no_grad():
        found, expected = (run(features, neighbors, edges) for run in (made.fused_aggregate, made.aggregate))
    assert torch.equal(torch.isnan(found), torch.isnan(expected))


@pytest.mark.long
@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize(("name", "rate"), [("SGD", 0.01), ("Adam", 1e-3)])
def test_training_follows_the_plain_path_to_rounding(
    name: str, rate: float, aggregation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses leave those in float64 no sooner than the plain path's losses do.

    They do leave them: another maximum, another sign of a ReLU. The same graphs for all, or neighbours change, too.
    """
    settings = ParticleNetSettings(
        neighbors=8, blocks=((16, 16, 16), (32, 32, 32)), aggregation=aggregation, fully_connected=(16,), dropout=0.0
    )
    graphs: list[Tensor] = []

    def losses(fused: bool, dtype: torch.dtype) -> np.ndarray:
        known = iter(list(graphs))
        search = lambda *arguments: graphs.append(feature_neighbors(*arguments)) or graphs[-1]  # noqa: E731
        monkeypatch.setattr(
            "glassformer.network.particlenet.feature_neighbors", search if fused else lambda *_: next(known)
        )
        monkeypatch.setattr(EdgeConv, "_can_fuse", lambda self, features: fused)
        batch = join([build_graph(rattled_lattice(6, seed), settings) for seed in range(2)]).to(dtype)
        labels = torch.tensor([[0.3, -1.0], [0.8, 0.5]], dtype=dtype)
        torch.manual_seed(0)
        network = build_network(settings, 2).train().to(dtype)
        optimizer = getattr(torch.optim, name)(network.parameters(), rate)
        line = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(network(batch), labels)
            loss.backward()
            optimizer.step()
            line.append(loss.item())
        return np.array(line)

    fused, plain, exact = losses(True, torch.float32), losses(False, torch.float32), losses(False, torch.float64)
    own, theirs = (np.maximum.accumulate(np.abs(found - exact) / exact) for found in (fused, plain))
    assert exact[-1] < 0.95 * exact[0]
    assert own[2] < 1e-5
    # One such event a step sooner is a factor of ten.
    assert (own < 20 * theirs + 1e-6).all(), (own, theirs)


def test_every_block_is_worked_on_once_in_order() -> None:
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    each_block(103, 10, lambda thread, start, stop: seen[thread].append((start, stop)))
    assert seen[0] == [(0, 10), (20, 30), (40, 50), (60, 70), (80, 90), (100, 103)]
    assert seen[1] == [(10, 20), (30, 40), (50, 60), (70, 80), (90, 100)]


def test_an_error_in_a_block_reaches_the_caller() -> None:
    def work(thread: int, start: int, stop: int) -> None:
        if start == 10:
            raise ValueError("block 1")

    with pytest.raises(ValueError, match="block 1"):
        each_block(100, 10, work)


@pytest.mark.parametrize(("particles", "width", "k"), [(30, 3, 20), (200, 7, 20), (300, 64, 5), (500, 2, 150)])
def test_feature_neighbors_are_the_nearest(particles: int, width: int, k: int) -> None:
    torch.manual_seed(0)
    # Positive and off zero, as after a ReLU, where the norms are large beside the distances.
    features = torch.randn(2 * particles, width).relu() + 5
    found = feature_neighbors(features, (particles, particles), k)
    for part in (slice(0, particles), slice(particles, 2 * particles)):
        distance = torch.cdist(features[part].double(), features[part].double()).fill_diagonal_(torch.inf)
        expected = distance.topk(k, largest=False).values
        own = found[part] - part.start
        assert all(len(set(row.tolist())) == k for row in own)
        torch.testing.assert_close(distance.gather(1, own).sort(1).values, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_neighbors_are_sought_in_full_precision(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    features = torch.randn(200, 5)
    expected = feature_neighbors(features, (200,), 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(feature_neighbors(features, (200,), 6), expected)
        assert feature_neighbors(features.bfloat16(), (200,), 6).shape == (200, 6)


def test_features_that_are_no_numbers_have_some_neighbors() -> None:
    features = torch.full((40, 3), torch.nan)
    found = feature_neighbors(features, (40,), 6)
    assert ((found >= 0) & (found < 40) & (found != torch.arange(40)[:, None])).all()
