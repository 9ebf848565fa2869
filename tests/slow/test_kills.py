"""Seventy kills -9 at random moments of a small campaign: the data are those of an undisturbed run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from glassformer.dataset.folder import read_dataset, sample_paths

KILLS = 70
CAMPAIGN = """
seed = 5
particles = 200
cutoff = "uniform"
configurations = 2
draws = 2
engine = "lammps"
particle_times = [5.0]
schedule = { first = 1, count = 20, last = 30000 }
[equilibration]
hold_in_tau_alpha = 2.0
most_windows = 3
box = "mean-density"
stages = [
    { temperature = 0.8, pressure = 1.0, duration = 110.0 },
    { temperature = "target", duration = 50.0, ramp = true },
]
[[state_points]]
temperature = 0.5
pressure = 1.55
hold_time = 150.0
[[state_points]]
temperature = 0.56
pressure = 0.17
hold_time = 125.0
"""


def campaign_with(changes: dict[str, str]) -> str:
    """Return `CAMPAIGN` with some of its lines replaced, each of which it must have."""
    text = CAMPAIGN
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def start(campaign: Path, dataset: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "glassformer", "simulate", str(campaign), "--out", str(dataset), "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)


def wait_for_work(process: subprocess.Popen[str], dataset: Path, began: float) -> None:
    """Wait until the run has saved something, however slow the machine is."""
    while process.poll() is None:
        if any(path.stat().st_mtime > began for path in dataset.glob("*/.c*.unfinished/*.npz") if path.exists()):
            return
        time.sleep(0.02)


def contents(dataset: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sample_paths(dataset)}


def test_fifty_kills(tmp_path: Path) -> None:
    campaign = tmp_path / "campaign.toml"
    campaign.write_text(CAMPAIGN)
    undisturbed = start(campaign, tmp_path / "undisturbed")
    assert undisturbed.wait() == 0
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) == 4
    random = np.random.default_rng(0)
    killed, samples, interrupted = 0, 0, 0
    dataset = tmp_path / "killed"
    while killed < KILLS:
        process = start(campaign, dataset)
        began = time.time()
        if random.uniform() < 0.8:
            wait_for_work(process, dataset, began)
        time.sleep(random.uniform(0.0, 2.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        # Workers end with their parent; let them.
        time.sleep(0.3)
        if list(dataset.glob("*/c*.h5")):
            found = read_dataset(dataset)
            assert len(found) >= samples
            samples = len(found)
        interrupted += bool(list(dataset.glob("*/.c*.unfinished/*.npz")))
        if samples == 4 and killed < KILLS:
            # All is done: once more from nothing.
            assert contents(dataset) == expected
            dataset, samples = tmp_path / f"killed-{killed}", 0
    # The kills met work that was going on, not only starts and ends.
    assert interrupted > KILLS / 2
    assert start(campaign, dataset).wait() == 0
    assert contents(dataset) == expected
    assert not list(dataset.rglob("*.tmp"))
    assert not list(dataset.glob("*/.c*"))
