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
from benchmarks.gpu_verdict import against_peers, lacking
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
    clock, seen = iter(range(100)), []

    def measured(*arguments: Any) -> dict[str, Any]:
        seen.append(json.loads(out.read_text())["precisions"] if out.exists() else {})
        if len(seen) == 1:
            raise RuntimeError("out of memory")
        return {"seconds": 1}

    out = tmp_path / "torch.json"
    monkeypatch.setattr(gpu_training, "measured", measured)
    monkeypatch.setattr(gpu_training.time, "monotonic", lambda: next(clock))
    gpu_training.measure_one("torch", Shape(particles=100, batch=1), {}, torch.device("cpu"), 1, 2.0, out)
    failed = {"missing": "RuntimeError: out of memory"}
    late = {"missing": "2 s had passed"}
    assert json.loads(out.read_text())["precisions"] == {"tf32": failed, "float32": {"seconds": 1}, "bf16": late}
    assert seen == [{}, {"tf32": failed}]


# In place of Python, for `benchmarks.gpu_training --only NAME ... --out FILE`: what it does depends on the name.
IN_PLACE_OF_PYTHON = """#!/bin/sh
name=$4 out=$8
echo "{\\"device\\": \\"card\\", \\"precisions\\": {\\"tf32\\": $MEASURED}}" > "$out"
case $name in
  glassformer) echo "an illegal address" >&2; exit 3;;
  torch) exit 0;;
  pyg) rm "$out"; exit 1;;
esac
exec sleep 100
"""


def test_a_network_that_dies_or_hangs_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"seconds_per_configuration": 1.0, "peak_bytes": None}
    monkeypatch.setenv("MEASURED", json.dumps({"train_step": call, "predict": call}))
    (tmp_path / "python").write_text(IN_PLACE_OF_PYTHON)
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(gpu_training.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(gpu_training, "GRACE", 0.5)
    found = gpu_training.compare(Shape(particles=100, batch=1), "cpu", 1, 20.0, None)
    tf32, bf16 = (found["precisions"][name] for name in ("tf32", "bf16"))
    # What was measured before counts.
    assert found["device"] == "card"
    assert tf32["glassformer"] == tf32["torch"] == tf32["torch_compiled"] == {"train_step": call, "predict": call}
    assert bf16["glassformer"] == {"missing": "its process ended with status 3: an illegal address"}
    assert tf32["pyg"] == {"missing": "its process ended with status 1"}
    assert "had not ended after" in bf16["torch_compiled"]["missing"]
    assert found["against_peers"]["tf32"]["train_step"]["speedup"] == 1
    assert found["against_peers"]["bf16"] == {}
    assert lacking(found["precisions"])[-1] == "every peer in bf16"


def _measured(seconds: float, peak: int | None) -> dict[str, Any]:
    call = {"seconds_per_configuration": seconds, "peak_bytes": peak}
    return {"train_step": call, "predict": call, "share_of_limit": 0.5}


def test_aims_are_met_against_the_best_peer_of_each_kind() -> None:
    measured = {"glassformer": _measured(1, 10), "torch": _measured(9, 30), "pyg": _measured(4, 40)}
    measured["torch_compiled"] = {"missing": "no time"}
    found = against_peers(measured)
    assert found["train_step"] == {"fastest_peer": "pyg", "speedup": 4, "leanest_peer": "torch", "memory": 1 / 3}
    assert (found["speed_aim_met"], found["memory_aim_met"], found["share_of_limit"]) == (True, True, 0.5)
    found = against_peers(measured | {"pyg": _measured(3.9, 29)})
    assert (found["speed_aim_met"], found["memory_aim_met"]) == (False, False)
    assert against_peers(measured | {"glassformer": _measured(1, None)})["memory_aim_met"] is None


def test_ratios_need_our_own_and_a_peer() -> None:
    gone = {"missing": "no time"}
    own = {"glassformer": _measured(1, 10)}
    assert against_peers(own | {"torch": gone}) == against_peers({"glassformer": gone, "torch": _measured(1, 1)}) == {}
    assert lacking({}) == ["every precision"]
    assert lacking({"tf32": own | {"torch": _measured(1, 1), "pyg": gone}}) == []
    assert lacking({"bf16": own | {"torch": gone}}) == ["every peer in bf16"]
    assert lacking({"bf16": {"glassformer": gone, "torch": _measured(1, 1)}}) == ["glassformer in bf16"]


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
