"""ParticleNet on a GPU: a training step and a prediction beside plain torch and PyTorch Geometric on the same card.

    python -m benchmarks.gpu_training --json

Each network is measured in a process of its own. What was measured is written to `--out` after every network, so that a
run that is stopped loses no more than one, with the ratios to the best peer and whether they meet the aims.
All have the same first weights, data and optimizer. The graph of positions is at hand in glassformer's training step,
as in its training; the others find it in every step. A prediction starts from positions for all.
"""

import argparse
import json
import math
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu_verdict import OWN, against_peers
from benchmarks.network_task import (
    ADAM_EPSILON,
    LEARNING_RATE,
    Shape,
    first_network,
    random_mixture,
    training_gflop,
    write_task,
)
from benchmarks.peers import torch_worker
from glassformer.core.files import write_atomically
from glassformer.core.provenance import code_version
from glassformer.core.run import Precision
from glassformer.graph.batch import GraphBatch, build_graph, join
from glassformer.train.device import Device, choose_device, device_name, products_in

# In order of importance, should time run out: what compiles for longest comes last.
PRECISIONS: tuple[Precision, ...] = ("tf32", "float32", "bf16")
CONTENDERS = ("glassformer", "torch", "pyg", "torch_compiled")
# Parts of the time: kernels are compiled in the first and the last. What one does not need is left to the next.
SHARES = {"glassformer": 3, "torch": 2, "pyg": 2, "torch_compiled": 3}
# Seconds that a compilation that has begun may take longer.
GRACE = 30.0
WARM_UP = 3
# The thesis: 320 structures at each of four state points, 30 epochs.
STRUCTURES, EPOCHS = 4 * 320, 30
# Errors are measured on so many particles of two configurations.
MEASURED = 1024
# NVIDIA's data sheets, SXM, dense: operations per second of float32, TF32 and bfloat16, and bytes per second.
PEAKS = {"H100": (67e12, 495e12, 989e12, 3.35e12), "H200": (67e12, 495e12, 989e12, 4.8e12)}


@dataclass
class Contender:
    """What is timed: a network, what it reads in training, and what a prediction does."""

    network: nn.Module
    train: Callable[[], Tensor]
    predict: Callable[[], Tensor]


def least_bytes(shape: Shape) -> float:
    """Return the bytes that the fused kernels move through memory in a training step, arrays of edges alone.

    An array of E edges by W channels is 4 E W bytes. Of a block with layers of widths w_0 ... w_L:

    - z of each layer 0 < l < L is written once, and read by the next layer, by both gradients of the next layer (of its
      input and of its weights), and by both of its own: 6 passes of w_l;
    - the gradient at each of these is written once and read by both: 3 passes of w_l;
    - the gradient at the first layer is written, normalized in place (a read, a write), and summed where edges end:
      4 passes of w_0.

    Gathered rows, (M, W) per configuration, are counted as found in the cache, which is optimistic for a bound.
    """
    edges = shape.batch * shape.particles * shape.neighbors
    return 4.0 * edges * sum(9 * sum(widths[1:-1]) + 4 * widths[0] for widths in shape.network.blocks)


def limit_seconds(shape: Shape, precision: Precision, device: str) -> float | None:
    """Return the shortest time of a training step: the longer of its products' and its memory's. None off the list.

    Products: 2 n m k operations each, forward once and backward twice (`training_gflop`). In float32 they are three
    products of TF32, a third of its rate; the z of the last layer, computed again, is not counted: it is a choice.
    """
    peaks = next((peaks for name, peaks in PEAKS.items() if name in device), None)
    if peaks is None:
        return None
    float32, tf32, bf16, memory = peaks
    rate = {"float32": max(float32, tf32 / 3), "tf32": tf32, "bf16": bf16}[precision]
    return max(1e9 * training_gflop(shape) / rate, least_bytes(shape) / memory)


def own(shape: Shape, device: torch.device) -> Contender:
    """Return glassformer's network."""
    settings, network = shape.network, first_network(shape).to(device)
    drawn = [random_mixture(shape.particles, index) for index in range(shape.batch)]

    def graph() -> GraphBatch:
        return join([build_graph(one, settings, None, velocities, device) for one, velocities in drawn])

    known = graph()
    return Contender(network, lambda: network(known), lambda: network(graph()))


def peer(kind: type[torch_worker.ParticleNet], task: dict[str, Any], device: torch.device, compiled: bool) -> Contender:
    """Return a network of torch."""
    arrays = np.load(task["arrays"])
    points, features = (torch.from_numpy(arrays[name]).to(device) for name in ("points", "features"))
    network = kind(task, features.shape[-1]).to(device)
    names = [name for name in arrays if name.startswith(("encoder.", "head."))]
    network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in names})
    called: Callable[..., Tensor] = torch.compile(network) if compiled else network
    return Contender(network, lambda: called(points, features), lambda: called(points, features))


def contender(name: str, shape: Shape, task: dict[str, Any], device: torch.device) -> Contender | str:
    """Return a contender, or why it is missing."""
    if name == "glassformer":
        return own(shape, device)
    if name == "torch":
        return peer(torch_worker.ParticleNet, task, device, compiled=False)
    if name == "pyg":
        try:
            from benchmarks.peers import pyg_network
        except ImportError as error:
            return f"{error}; pip install torch_geometric"
        return peer(pyg_network.ParticleNet, task, device, compiled=False)
    if device.type != "cuda":
        return "compiled on a GPU only"
    return peer(torch_worker.ParticleNet, task, device, compiled=True)


def measure(one: Contender, task: dict[str, Any], precision: Precision, rounds: int) -> dict[str, Any]:
    """Return seconds of each round per configuration, the first outputs, and peak bytes (GPU only)."""
    device = next(one.network.parameters()).device
    targets = torch.from_numpy(np.load(task["arrays"])["targets"]).to(device)
    optimizer = torch.optim.Adam(one.network.parameters(), LEARNING_RATE, eps=ADAM_EPSILON)

    def step() -> Tensor:
        optimizer.zero_grad()
        with _autocast(device, precision):
            outputs = one.train().float()
        nn.functional.mse_loss(outputs, targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return outputs

    def predict() -> Tensor:
        with torch.no_grad(), _autocast(device, precision):
            return one.predict().float()

    with products_in(precision):
        one.network.eval()
        outputs = predict()
        predicted = _timed(predict, device, rounds, len(targets))
        one.network.train()
        return {
            "outputs": outputs.tolist(),
            "predict": predicted,
            "train_step": _timed(step, device, rounds, len(targets)),
        }


def _autocast(device: torch.device, precision: Precision) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _timed(call: Callable[[], Any], device: torch.device, rounds: int, batch: int) -> dict[str, Any]:
    on_gpu = device.type == "cuda"
    seconds = []
    for turn in range(WARM_UP + rounds):
        if on_gpu:
            torch.cuda.synchronize(device)
            if turn == WARM_UP:
                torch.cuda.reset_peak_memory_stats(device)
        began = time.perf_counter()
        call()
        if on_gpu:
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - began) / batch)
    return {
        "seconds_per_configuration": float(np.median(seconds[WARM_UP:])),
        "seconds_of_rounds": seconds[WARM_UP:],
        "peak_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else None,
    }


def errors(shape: Shape, device: torch.device) -> dict[str, dict[str, float]]:
    """Return the error of outputs and of the gradient in each precision, relative to those in float64 by plain torch.

    Norms of differences over norms, in training at the first weights. Neighbors in feature space that rounding swaps
    are part of it.
    """
    small = Shape(min(shape.particles, MEASURED), shape.neighbors, 2, shape.threads)
    exact = _first_step(small, device, "float32", torch.float64)
    found = {}
    for precision in get_args(Precision):
        outputs, gradient = _first_step(small, device, precision, torch.float32)
        found[precision] = {"outputs": _apart(outputs, exact[0]), "gradient": _apart(gradient, exact[1])}
    return found


def _first_step(shape: Shape, device: torch.device, precision: Precision, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    network = first_network(shape).train().to(device, dtype)
    drawn = [random_mixture(shape.particles, index) for index in range(shape.batch)]
    graph = join([build_graph(one, shape.network, None, velocities, device) for one, velocities in drawn]).to(dtype)
    with products_in(precision), _autocast(device, precision):
        outputs = network(graph)
        outputs.square().mean().backward()
    gradient = torch.cat([one.grad.flatten() for one in network.parameters() if one.grad is not None])
    return outputs.detach().double(), gradient.double()


def _apart(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def compare(shape: Shape, wanted: Device, rounds: int, seconds: float, out: Path | None) -> dict[str, Any]:
    """Return all measurements, and write them to `out` as they come. Raises `SettingsError` without the device.

    Every network has a process and a share of `seconds` of its own, so that one that leaves the device unusable, or
    takes too long, costs no other. After all, at most `GRACE` seconds later. One that fails is recorded with its error.
    """
    ends, device = time.monotonic() + seconds, choose_device(wanted)
    result: dict[str, Any] = {
        "benchmark": "gpu-training", "device": "", "command": " ".join(sys.argv),
        "versions": {"glassformer": code_version(), "torch": torch.__version__, "cuda": torch.version.cuda},
        "particles": shape.particles, "neighbors": shape.neighbors, "batch": shape.batch, "rounds": rounds,
        "gflop_per_step": training_gflop(shape), "edge_bytes_per_step": least_bytes(shape),
        "precisions": {precision: {} for precision in PRECISIONS}, "against_peers": {},
    }  # fmt: skip
    with TemporaryDirectory(prefix="glassformer-bench-") as name:
        folder = Path(name)
        (folder / "task.json").write_text(json.dumps(write_task(shape, folder)))
        for number, who in enumerate(CONTENDERS):
            left = ends - time.monotonic()
            share = left * SHARES[who] / sum(SHARES[other] for other in CONTENDERS[number:])
            found = in_a_process(who, folder, shape, device, rounds, share)
            result["device"] = result["device"] or found.get("device", "")
            if "errors" in found:
                result["errors"] = found["errors"]
            for precision, measured in result["precisions"].items():
                measured[who] = found["precisions"].get(precision, {"missing": found.get("problem", "not reached")})
                result["against_peers"][precision] = against_peers(measured)
            if out is not None:
                out.write_text(json.dumps(result, indent=1))
    return result


def in_a_process(
    who: str, folder: Path, shape: Shape, device: torch.device, rounds: int, seconds: float
) -> dict[str, Any]:
    """Return what a process measured of one contender with the task in `folder`, and its `problem` if it failed."""
    if seconds <= 0:
        return {"precisions": {}, "problem": "no time was left"}
    out, log = folder / f"{who}.json", folder / f"{who}.log"
    command = [
        sys.executable, "-m", "benchmarks.gpu_training", "--only", who, "--task", str(folder / "task.json"),
        "--out", str(out), "--seconds", str(seconds), "--rounds", str(rounds), "--device", device.type,
        "--particles", str(shape.particles), "--neighbors", str(shape.neighbors), "--batch", str(shape.batch),
        "--threads", str(shape.threads),
    ]  # fmt: skip
    problem = ""
    # A file, not a pipe, which what it has started would hold open.
    with log.open("wb") as messages:
        try:
            limit = None if math.isinf(seconds) else seconds + GRACE
            status = subprocess.run(command, stderr=messages, timeout=limit, check=False).returncode
            problem = f"its process ended with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            problem = f"its process had not ended after {seconds + GRACE:.0f} s"
    said = log.read_text(errors="replace")
    sys.stderr.write(said)
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"precisions": {}}
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return found | ({"problem": f"{problem}: {last}"[:1000] if last else problem} if problem else {})


def measure_one(
    who: str, shape: Shape, task: dict[str, Any], device: torch.device, rounds: int, seconds: float, out: Path
) -> None:
    """Measure one contender in this process, and write to `out` what is known after each precision.

    After `seconds` no further precision is measured. One that fails is recorded with its error.
    """
    ends = time.monotonic() + seconds
    torch.set_num_threads(shape.threads)
    result: dict[str, Any] = {"device": device_name(device), "precisions": {}}

    def attempt(target: dict[str, Any], name: str, call: Callable[[], Any]) -> None:
        try:
            late = time.monotonic() > ends
            target[name] = {"missing": f"{seconds:.0f} s had passed"} if late else call()
        except Exception as error:
            traceback.print_exc()
            target[name] = {"missing": f"{type(error).__name__}: {error}"[:1000]}
        write_atomically(out, json.dumps(result, indent=1).encode())

    for precision in PRECISIONS:
        attempt(result["precisions"], precision, partial(measured, who, shape, task, device, precision, rounds))
    if who == OWN:
        attempt(result, "errors", partial(errors, shape, device))


def measured(
    who: str, shape: Shape, task: dict[str, Any], device: torch.device, precision: Precision, rounds: int
) -> dict[str, Any]:
    """Return what `measure` does of one contender; of glassformer also its limit and the thesis's training."""
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    one = contender(who, shape, task, device)
    if isinstance(one, str):
        return {"missing": one}
    found = measure(one, task, precision, rounds)
    if who == OWN:
        seconds = found["train_step"]["seconds_per_configuration"]
        limit = limit_seconds(shape, precision, device_name(device))
        found["limit_seconds_per_configuration"] = None if limit is None else limit / shape.batch
        found["share_of_limit"] = None if limit is None else limit / shape.batch / seconds
        # Each epoch also goes through the training set once to measure the batch norms' statistics.
        again = found["predict"]["seconds_per_configuration"]
        found["thesis_training_hours"] = STRUCTURES * EPOCHS * (seconds + again) / 3600
    return found


def main() -> None:
    """Print milliseconds per configuration, or all numbers as JSON."""
    parser = argparse.ArgumentParser(description="ParticleNet on a GPU beside plain torch and PyTorch Geometric.")
    parser.add_argument("--particles", type=int, default=4096)
    parser.add_argument("--neighbors", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", choices=get_args(Device), default="auto")
    parser.add_argument("--seconds", type=float, default=math.inf, help="start no measurement after so many seconds")
    parser.add_argument("--out", type=Path, help="file for what was measured, written after every network")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--only", choices=CONTENDERS, help="measure one network in this process; needs --task and --out"
    )
    parser.add_argument("--task", type=Path, help="file of the task that the networks share")
    given = parser.parse_args()
    shape = Shape(given.particles, given.neighbors, given.batch, given.threads)
    if given.only:
        task, device = json.loads(given.task.read_text()), choose_device(given.device)
        measure_one(given.only, shape, task, device, given.rounds, given.seconds, given.out)
        return
    result = compare(shape, given.device, given.rounds, given.seconds, given.out)
    if given.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{result['device']}\n| precision | network | training step | prediction |\n|---|---|---|---|")
    for precision, measured in result["precisions"].items():
        for who, one in measured.items():
            cells = [one["missing"]] * 2 if "missing" in one else [
                f"{1e3 * one[call]['seconds_per_configuration']:.2f} ms" for call in ("train_step", "predict")
            ]  # fmt: skip
            print(f"| {precision} | {who} | {' | '.join(cells)} |")
    for precision, ratios in result["against_peers"].items():
        print(f"{precision}: {json.dumps(ratios)}")


if __name__ == "__main__":
    main()
