"""A campaign on a GPU by the commands that users type, undisturbed and resumed; and what the thesis costs there."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.dataset.sample import read_sample

# Far from equilibrium: that two runs of it are the same is all that is asked for.
CAMPAIGN = """
seed = 1
mixture = "kob-andersen"
particles = 500
configurations = 4
draws = 20
engine = "cuda"
time_step = 0.005
particle_times = [10.0]

[schedule]
first = 1
count = 20
last = 40_000

[equilibration]
time_step = 0.005
hold_in_tau_alpha = 0.01
most_windows = 2

[[equilibration.stages]]
temperature = 1.0
pressure = 2.0
duration = 5.0

[[equilibration.stages]]
temperature = "target"
duration = 5.0
ramp = true

[[state_points]]
temperature = 0.6
pressure = 2.0
hold_time = 10.0
"""
# Seconds that a run of it may take.
LONGEST = 90


def resumed_campaign(folder: Path, campaign: str = CAMPAIGN, longest: float = LONGEST) -> dict[str, Any]:
    """Run `campaign` in `folder` undisturbed, and killed during its draws and resumed; compare the samples."""
    settings = folder / "campaign.toml"
    settings.write_text(campaign)
    whole, broken = folder / "whole", folder / "broken"
    began = time.monotonic()
    subprocess.run(_simulate(settings, whole), check=True, timeout=longest)
    took = time.monotonic() - began
    killed = _kill_among_draws(_simulate(settings, broken), broken, longest)
    subprocess.run(_simulate(settings, broken), check=True, timeout=longest)
    differing, samples = [], sorted(whole.glob("*/*.h5"))
    for path in samples:
        first, second = read_sample(path), read_sample(broken / path.relative_to(whole))
        pairs = [(first.configuration.positions, second.configuration.positions)]
        pairs += [(getattr(first.ensemble, name), getattr(second.ensemble, name)) for name in vars(first.ensemble)]
        if not all(_same(one, other) for one, other in pairs):
            differing.append(path.name)
    return {
        "samples": len(samples), "killed_among_draws": killed, "differing": differing, "seconds_undisturbed": took,
        "engine": read_sample(samples[0]).facts.engine, "passed": killed and not differing and len(samples) == 4,
    }  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    """Tell whether two arrays, or what may be missing, are the same."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")


def thesis_cost() -> dict[str, Any]:
    """Return the plan of the thesis's campaign at the rates of this device."""
    command = [sys.executable, "-m", "glassformer", "plan", "thesis", "--set", "engine=cuda", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _simulate(settings: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "glassformer", "simulate", str(settings), "--out", str(out), "--workers", "1"]


def _kill_among_draws(command: list[str], out: Path, longest: float) -> bool:
    """Run `command` and kill it after its first checkpoint of draws; tell whether there was one."""
    with subprocess.Popen(command) as run:
        end = time.monotonic() + longest
        while run.poll() is None and time.monotonic() < end:
            if any(out.glob("*/.*/*running*")):
                break
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    return run.returncode == -signal.SIGKILL and any(out.glob("*/.*/*running*"))
