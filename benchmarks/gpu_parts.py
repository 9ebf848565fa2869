"""What is measured and checked on a GPU, one function per part; `gpu_session` runs them."""

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.gpu import TEMPERATURE, drawn, lattice, measure, measure_equilibration, melt
from benchmarks.gpu_bandwidth import read_bandwidths
from benchmarks.gpu_campaign import resumed_campaign, thesis_cost
from benchmarks.gpu_ensembles import check_ensembles
from benchmarks.gpu_verdict import lacking
from benchmarks.isoconfigurational import POTENTIAL
from glassformer.core.progress import Silent
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions
from glassformer.simulate.lockstep.cuda import LockstepCuda
from glassformer.simulate.lockstep.engine import Lockstep

Found = dict[str, Any]
# Draws and steps in which energy drifts on the device and on the processor.
DRIFT_DRAWS, DRIFT_STEPS = 16, 2000


@dataclass(frozen=True)
class Part:
    """What `run` finds, given the folder of results and its time limit; the most seconds that it may take."""

    run: Callable[[Path, float], Found]
    seconds: float


class Lines(Silent):
    """Only what is said, as lines."""

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"  {text}", flush=True)


@functools.cache
def liquids() -> tuple[Configuration, ...]:
    """Return eight liquids, made once in a process."""
    return tuple(melt(8, Lines()))


bandwidths = functools.cache(read_bandwidths)


def agreement() -> dict[str, Any]:
    """200 steps of 8 draws in float64 on device and processor: the greatest difference of positions."""
    liquid = liquids()[0]
    velocities = np.stack([drawn(d, liquid.particles, TEMPERATURE) for d in range(8)])
    device = LockstepCuda([liquid], POTENTIAL, 0.005, [velocities], 8, np.float64)
    processor = Lockstep(liquid, POTENTIAL, 0.005, velocities, np.float64)
    expected = interactions(liquid, POTENTIAL).force
    force = float(np.abs(device.forces(0) - expected).max())
    device.advance(200)
    processor.advance(200)
    difference = float(np.abs(device.displacements(0) - processor.displacements()).max())
    return {"force_difference": force, "difference_200_steps": difference, "passed": force < 1e-9 > difference}


def energy_drift() -> Found:
    """Greatest change of the energy per particle in float32, on device and processor, from the same velocities."""
    liquid = liquids()[0]
    velocities = np.stack([drawn(d, liquid.particles, TEMPERATURE) for d in range(DRIFT_DRAWS)])
    device = LockstepCuda([liquid], POTENTIAL, 0.005, [velocities])
    processor = Lockstep(liquid, POTENTIAL, 0.005, velocities)
    before = device.total_energy(0), processor.total_energy()
    device.advance(DRIFT_STEPS)
    processor.advance(DRIFT_STEPS)
    after = device.total_energy(0), processor.total_energy()
    on_device, on_processor = (
        float(np.abs(late - early).max() / liquid.particles) for late, early in zip(after, before, strict=True)
    )
    # Trajectories part after some time units; the extremes of 16 draws scatter.
    return {"device": on_device, "processor": on_processor, "passed": on_device < 1.5 * on_processor}


def resumption() -> dict[str, Any]:
    """Whether a run that is stopped, and resumed in another batch, does the same to the last bit."""
    chosen = list(liquids()[:2])
    velocities = [np.stack([drawn(10 * c + d, chosen[0].particles, TEMPERATURE) for d in range(8)]) for c in range(2)]
    whole = LockstepCuda(chosen, POTENTIAL, 0.005, velocities)
    whole.advance(1000)
    state = whole.state(1)
    whole.advance(730)
    resumed = LockstepCuda(chosen[1:], POTENTIAL, 0.005, velocities[1:])
    resumed.restore([state])
    resumed.advance(730)
    same = bool(np.array_equal(whole.displacements(1), resumed.displacements(0)))
    return {"same_bits": same, "moved": float(np.abs(whole.displacements(1)).max()), "passed": same}


def graphs() -> dict[str, Any]:
    """The time per step of a small system, launched as graphs and kernel by kernel; fails if none was recorded."""
    liquid = lattice(1, 6)
    engine = LockstepCuda([liquid], POTENTIAL, 0.002, [drawn(1, liquid.particles, 0.1)[None]])
    engine.advance(200)
    found: dict[str, Any] = {"recorded": engine.uses_graph, "passed": engine.uses_graph}
    if not engine.uses_graph:
        found["error"] = "no CUDA graph was recorded: kernels were launched one by one"
    for name in ("graph", "kernels") if engine.uses_graph else ("kernels",):
        if name == "kernels":
            engine._repeated.run = lambda launch: launch(0)  # type: ignore[method-assign]
        began = time.perf_counter()
        engine.advance(1000)
        found[f"microseconds_per_step_{name}"] = 1e3 * (time.perf_counter() - began)
    return found


def speed(configurations: int, draws: int) -> Found:
    """Speed of lockstep, and what the bandwidths and the issue of instructions allow."""
    steps = 1000 if configurations < 64 else 300
    found = measure(configurations, steps, 3, Lines(), draws, list(liquids()), bandwidths())
    issue = "unknown" if found.issue_limit is None else f"{found.issue_limit / 1e6:.0f} M"
    print(
        f"  {found.atom_steps_per_second / 1e6:.0f} M atom-steps/s; the bandwidths allow"
        f" {found.bandwidth_limit / 1e6:.0f} M, the issue of instructions {issue}; share {found.share_of_limit:.0%}",
        flush=True,
    )
    return asdict(found) | {"cache_bandwidth": bandwidths()[0], "memory_bandwidth": bandwidths()[1]}


def training(folder: Path, seconds: float) -> Found:
    """What the benchmark of training measured until it ended, or was ended."""
    out = folder / "training.json"
    # A compilation that has begun may take half a minute longer; the task must be written, too.
    measuring = str(seconds - 55)
    command = [sys.executable, "-m", "benchmarks.gpu_training", "--out", str(out), "--seconds", measuring]
    try:
        ended = subprocess.run(command, timeout=seconds - 10, check=False).returncode
    except subprocess.TimeoutExpired:
        ended = -1
    found: Found = json.loads(out.read_text()) if out.exists() else {}
    missing = lacking(found.get("precisions", {}))
    for precision, ratios in found.get("against_peers", {}).items():
        print(f"  {precision}: {json.dumps(ratios)}", flush=True)
    return found | {"exit_status": ended, "lacking": missing, "passed": ended == 0 and not missing}


def campaign() -> Found:
    """Samples made on the device, killed and resumed, against undisturbed ones."""
    with TemporaryDirectory(prefix="glassformer-gpu-") as folder:
        return resumed_campaign(Path(folder))


def _alone(run: Callable[[], Found], seconds: float) -> Part:
    return Part(lambda folder, limit: run(), seconds)


# In order of importance, should time run out.
PARTS = {
    "agreement": _alone(agreement, 120),
    "lockstep_64x32": _alone(lambda: speed(64, 32), 80),
    "lockstep_64x20": _alone(lambda: speed(64, 20), 80),
    "lockstep_8x32": _alone(lambda: speed(8, 32), 60),
    "lockstep_1x32": _alone(lambda: speed(1, 32), 60),
    "equilibration_npt": _alone(lambda: measure_equilibration(64, 1000, list(liquids())), 40),
    "equilibration_nvt": _alone(lambda: measure_equilibration(64, 1000, list(liquids()), None), 40),
    "training": Part(training, 275),
    "resumption": _alone(resumption, 40),
    "ensembles": _alone(check_ensembles, 90),
    "campaign": _alone(campaign, 150),
    "energy_drift": _alone(energy_drift, 60),
    "graphs": _alone(graphs, 30),
    "thesis_plan": _alone(thesis_cost, 80),
}
