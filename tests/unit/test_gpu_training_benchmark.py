"""The benchmark of training on a GPU, on a CPU at a tiny size; and the errors of lower precision."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu_training
from benchmarks.gpu_training import least_bytes, limit_seconds
from benchmarks.network_task import Shape, training_gflop

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    options = {"particles": 128, "batch": 2, "device": "cpu", "rounds": 1}
    command = ["-m", "benchmarks.gpu_training", "--json", *(f"--{name}={value}" for name, value in options.items())]
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def test_all_contenders_are_the_same_network(found: dict[str, Any]) -> None:
    assert found["device"] == "cpu"
    of_float32 = found["precisions"]["float32"]
    own = torch.tensor(of_float32["glassformer"]["outputs"])
    for peer in ("torch", "pyg"):
        if "missing" not in of_float32[peer]:
            torch.testing.assert_close(torch.tensor(of_float32[peer]["outputs"]), own, rtol=1e-3, atol=1e-4)
    for measured in found["precisions"].values():
        step = measured["glassformer"]["train_step"]["seconds_per_configuration"]
        assert 0 < step < measured["glassformer"]["thesis_training_hours"] * 3600 / (4 * 320 * 30)
        assert measured["glassformer"]["share_of_limit"] is None


def test_what_was_measured_survives_what_fails_and_what_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, done = iter([0.0, *range(1, 100)]), []

    def measured(who: str, *_: Any) -> dict[str, Any]:
        done.append(who)
        if who == "torch":
            raise RuntimeError("out of memory")
        return {"seen": json.loads(out.read_text()) if out.exists() else {}}

    out = tmp_path / "training.json"
    monkeypatch.setattr(gpu_training, "measured", measured)
    monkeypatch.setattr(gpu_training.time, "monotonic", lambda: next(clock))
    gpu_training.compare(Shape(particles=100, batch=1), "cpu", 1, 3.0, out)
    first, second = (json.loads(out.read_text())["precisions"][name] for name in gpu_training.PRECISIONS[:2])
    assert done == ["glassformer", "torch", "pyg"]
    assert first["torch"] == {"missing": "RuntimeError: out of memory"}
    assert set(first["pyg"]["seen"]["precisions"]["tf32"]) == {"glassformer", "torch"}
    assert second["glassformer"] == first["torch_compiled"] == {"missing": "3 s had passed"}


def test_errors_of_lower_precision(found: dict[str, Any]) -> None:
    """Without a GPU TF32 is float32. bfloat16 keeps 8 bits of each factor."""
    errors = found["errors"]
    assert errors["tf32"] == errors["float32"]
    for what in ("outputs", "gradient"):
        assert errors["float32"][what] < 0.1 * errors["bf16"][what]
    assert 1e-4 < errors["bf16"]["outputs"] < 0.1
    assert errors["bf16"]["gradient"] < 0.5


def test_the_limit_is_that_of_products_or_of_memory() -> None:
    shape = Shape(particles=4096, batch=16)
    edges = 16 * 4096 * 20
    assert least_bytes(shape) == 4 * edges * 13 * (64 + 128 + 256)
    memory, products = least_bytes(shape) / 3.35e12, 1e9 * training_gflop(shape) / 165e12
    assert limit_seconds(shape, "bf16", "cuda: NVIDIA H100 80GB HBM3") == pytest.approx(memory)
    assert limit_seconds(shape, "float32", "cuda: NVIDIA H100 80GB HBM3") == pytest.approx(max(memory, products))
    assert limit_seconds(shape, "float32", "cpu") is None
