"""The kernels of a GPU beside plain operations: on a GPU, or on a CPU in Triton's interpreter.

Values and gradients agree to 2e-5 of their norm. The interpreter multiplies in float32 whatever is asked for.
"""

import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

GPU = torch.cuda.is_available()
if not GPU:
    # Triton asks when its own functions are defined.
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Before, its interpreter does not know NumPy 2.4.
pytest.importorskip("triton", minversion=None if GPU else "3.9", reason="needs triton")

from glassformer.core.network_kinds import ParticleNetSettings  # noqa: E402
from glassformer.network import fused_gpu  # noqa: E402
from glassformer.network.edgeconv import EdgeConv  # noqa: E402
from glassformer.network.fused_gpu import can_fuse, products_of  # noqa: E402
from tests.unit import test_fused_edgeconv  # noqa: E402
from tests.unit.test_fused_edgeconv import EDGE_FEATURES, block, close, freeze  # noqa: E402

pytestmark = pytest.mark.long

DEVICE = torch.device("cuda" if GPU else "cpu")
# A tile and a bit; widths above, below and between the sizes of the kernels.
PARTICLES, K = 70, 5
WIDTHS = [(16, 24), (16, 16, 16), (40, 8, 70), (8, 12, 16, 20)]


@pytest.fixture(autouse=True)
def kernels_of_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(EdgeConv, "kernels_of_gpu", True)
    monkeypatch.setattr(test_fused_edgeconv, "PARTICLES", PARTICLES)
    monkeypatch.setattr(test_fused_edgeconv, "K", K)
    before = torch.get_default_device()
    torch.set_default_device(DEVICE)
    yield
    torch.set_default_device(before)


def outcome(made: EdgeConv, way: str, edge_features: int, **options: bool) -> dict[str, Tensor]:
    return test_fused_edgeconv.outcome(made, lambda *inputs: getattr(made, way)(*inputs, **options), edge_features)


@pytest.mark.parametrize("frozen", [False, True], ids=["measuring", "frozen"])
@pytest.mark.parametrize("edge_features", [0, EDGE_FEATURES])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_training_equals_plain_operations(widths: tuple[int, ...], edge_features: int, frozen: bool) -> None:
    made = block(widths, "max", edge_features).train()
    if frozen:
        freeze(made)
    expected, found = (outcome(made, way, edge_features) for way in ("aggregate", "fused_aggregate"))
    assert expected.keys() == found.keys()
    assert len(found) > 10
    for name, value in expected.items():
        assert close(found[name], value), name


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_prediction_equals_plain_operations(widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_gpu, "PREDICTED", 30)
    made = block(widths, "max")
    inputs = test_fused_edgeconv.inputs()
    made.aggregate(*inputs)
    made.eval()
    with torch.no_grad():
        torch.testing.assert_close(made.fused_aggregate(*inputs), made.aggregate(*inputs))


def test_the_same_inputs_give_the_same_bits() -> None:
    made = block((16, 16, 16), "max").train()
    first, second = (outcome(made, "fused_aggregate", EDGE_FEATURES) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.skipif(not GPU, reason="needs a GPU: Triton's interpreter multiplies bits of bfloat16, not values")
def test_bfloat16_products_err_no_more_than_those_of_autocast() -> None:
    made = block((16, 16, 16), "max").train()
    expected = outcome(made, "aggregate", EDGE_FEATURES)
    found = outcome(made, "fused_aggregate", EDGE_FEATURES, bfloat16=True)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        plain = outcome(made, "aggregate", EDGE_FEATURES)
    for name, value in expected.items():
        if "buffer" not in name:
            own, theirs = (float((one[name].float() - value).norm() / value.norm()) for one in (found, plain))
            assert 0 < own < 1.2 * theirs + 0.005, name


def test_what_is_no_number_comes_through() -> None:
    made = block((16, 24), "max").train()
    features, neighbors, edges = test_fused_edgeconv.inputs()
    with torch.no_grad():
        features[7, 2] = torch.nan
    assert torch.isnan(made.fused_aggregate(features, neighbors, edges)).any()
    # With statistics that are numbers.
    made = block((16, 24), "max").eval()
    with torch.no_grad():
        found, expected = (run(features, neighbors, edges) for run in (made.fused_aggregate, made.aggregate))
    assert 0 < torch.isnan(expected).sum() < expected.numel()
    assert torch.equal(torch.isnan(found), torch.isnan(expected))


def test_what_the_kernels_do_not_know_is_left_to_plain_operations() -> None:
    assert can_fuse([64, 128, 256], "max")
    for widths, aggregation in (([64, 64], "mean"), ([64], "max"), ([64, 512], "max")):
        assert not can_fuse(widths, aggregation)


def test_products_are_those_that_torch_allows() -> None:
    found = []
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        found += [products_of(False), products_of(True)]
    torch.set_float32_matmul_precision("highest")
    assert found == ["tf32x3", "bf16", "tf32", "bf16"]


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_a_gpu_takes_the_kernels_by_itself() -> None:
    made = EdgeConv(5, 0, (16, 24), ParticleNetSettings())
    features, neighbors, _ = test_fused_edgeconv.inputs(0)
    assert made._can_fuse(features)
    assert not EdgeConv(5, 0, (16, 24), ParticleNetSettings(aggregation="mean"))._can_fuse(features)
    torch.testing.assert_close(
        made(features, neighbors), made._finish(features, made.aggregate(features, neighbors)), rtol=1e-4, atol=1e-4
    )
