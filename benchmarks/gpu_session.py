"""All that is to be known about a GPU, in one session of a few minutes: `python -m benchmarks.gpu_session FOLDER`.

Writes `gpu.json` after every part. A part that fails is recorded with its error, and the others go on.
"""

import importlib.util
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import TEMPERATURE, drawn, lattice, measure, measure_equilibration, melt
from benchmarks.gpu_bandwidth import read_bandwidths
from benchmarks.isoconfigurational import POTENTIAL
from glassformer.core.progress import Silent
from glassformer.physics.pair import interactions
from glassformer.simulate.lockstep.cuda import LockstepCuda, device_name
from glassformer.simulate.lockstep.engine import Lockstep

# Seconds after which no further part is begun, and those that training may take.
LIMIT, TRAINING = 400, 150


class Lines(Silent):
    """Only what is said, as lines."""

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"  {text}", flush=True)


def agreement() -> dict[str, Any]:
    """200 steps of 8 draws in float64 on device and processor: the greatest difference of positions."""
    (liquid,) = melt(1, Lines())
    velocities = np.stack([drawn(d, liquid.particles, TEMPERATURE) for d in range(8)])
    device = LockstepCuda([liquid], POTENTIAL, 0.005, [velocities], 8, np.float64)
    processor = Lockstep(liquid, POTENTIAL, 0.005, velocities, np.float64)
    expected = interactions(liquid, POTENTIAL).force
    force = float(np.abs(device.forces(0) - expected).max())
    device.advance(200)
    processor.advance(200)
    difference = float(np.abs(device.displacements(0) - processor.displacements()).max())
    return {"force_difference": force, "difference_200_steps": difference, "passed": force < 1e-9 > difference}


def resumption() -> dict[str, Any]:
    """Whether a run that is stopped, and resumed in another batch, does the same to the last bit."""
    liquids = melt(2, Lines())
    velocities = [np.stack([drawn(10 * c + d, liquids[0].particles, TEMPERATURE) for d in range(8)]) for c in range(2)]
    whole = LockstepCuda(liquids, POTENTIAL, 0.005, velocities)
    whole.advance(1000)
    state = whole.state(1)
    whole.advance(730)
    resumed = LockstepCuda(liquids[1:], POTENTIAL, 0.005, velocities[1:])
    resumed.restore([state])
    resumed.advance(730)
    same = bool(np.array_equal(whole.displacements(1), resumed.displacements(0)))
    return {"same_bits": same, "moved": float(np.abs(whole.displacements(1)).max()), "passed": same}


def graphs() -> dict[str, Any]:
    """The time per step of a small system, launched as graphs and kernel by kernel."""
    liquid = lattice(1, 6)
    engine = LockstepCuda([liquid], POTENTIAL, 0.002, [drawn(1, liquid.particles, 0.1)[None]])
    engine.advance(200)
    found: dict[str, Any] = {"recorded": engine.uses_graph}
    for name in ("graph", "kernels"):
        if name == "kernels":
            engine._repeated.run = lambda: engine._launch_together(0)  # type: ignore[method-assign]
        began = time.perf_counter()
        engine.advance(1000)
        found[f"microseconds_per_step_{name}"] = 1e3 * (time.perf_counter() - began)
    return found


def speed(configurations: int, draws: int, shared: dict[str, Any]) -> dict[str, Any]:
    """Speed of lockstep; liquids and bandwidths are made once and kept in `shared`."""
    if not shared:
        shared.update(liquids=melt(8, Lines()), bandwidths=read_bandwidths())
    steps = 1000 if configurations < 64 else 300
    found = measure(configurations, steps, 3, Lines(), draws, **shared)
    print(
        f"  {found.atom_steps_per_second / 1e6:.0f} M atom-steps/s; bound by bandwidth"
        f" {found.bandwidth / found.bytes_per_atom_step / 1e6:.0f} M; share {found.bandwidth_share:.0%}",
        flush=True,
    )
    return asdict(found)


def training() -> dict[str, Any]:
    """What the benchmark of training prints, if there is one."""
    if importlib.util.find_spec("benchmarks.gpu_training") is None:
        return {"skipped": "no benchmarks.gpu_training"}
    command = [sys.executable, "-m", "benchmarks.gpu_training", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING, check=False)
    return {"output": done.stdout[-20_000:], "error": done.stderr[-4000:], "passed": done.returncode == 0}


def parts() -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is measured, in order of importance."""
    shared: dict[str, Any] = {}
    lockstep = {
        f"lockstep_{configurations}x{draws}": lambda c=configurations, d=draws: speed(c, d, shared)
        for configurations, draws in ((1, 32), (8, 32), (64, 32), (64, 20))
    }
    return {
        "agreement": agreement,
        "resumption": resumption,
        **lockstep,
        "equilibration_npt": lambda: measure_equilibration(64, 1000, Lines()),
        "equilibration_nvt": lambda: measure_equilibration(64, 1000, Lines(), None),
        "graphs": graphs,
        "training": training,
    }


def main(folder: Path) -> int:
    """Run all parts; return 1 if one failed."""
    folder.mkdir(parents=True, exist_ok=True)
    began, found = time.monotonic(), {"device": device_name()}
    results: dict[str, Any] = dict(found)
    failed = False
    for name, part in parts().items():
        if time.monotonic() - began > LIMIT:
            results[name] = {"skipped": f"{LIMIT} s had passed"}
            continue
        print(name, flush=True)
        start = time.monotonic()
        try:
            results[name] = part()
        except Exception:
            results[name] = {"error": traceback.format_exc(), "passed": False}
        results[name]["seconds"] = round(time.monotonic() - start, 1)
        failed = failed or not results[name].get("passed", True)
        print(f"  {json.dumps(results[name])[:600]}", flush=True)
        (folder / "gpu.json").write_text(json.dumps(results, indent=1))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "gpu-results")))
