"""Seconds to list, summarise and look after a dataset of many samples: the first time, and with the index.

    python -m benchmarks.many_samples [--json] [--samples 10000] [--particles 100] [--folder DIR]

The samples are made up, small, and of two state points; `first` reads every file, `again` asks the index, `changed` has
one file more. `status` is that of a campaign of so many configurations. Commands are timed as a user runs them. On a
busy machine compare CPU times.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import ISOCONFIGURATIONAL
from glassformer.core.campaign import Campaign
from glassformer.core.json_files import write_json
from glassformer.core.layout import DatasetFolder
from glassformer.core.mixture import shipped_mixture
from glassformer.core.provenance import code_version
from glassformer.core.settings import check_settings
from glassformer.dataset.facts import Facts
from glassformer.dataset.folder import list_dataset, sample_paths
from glassformer.dataset.sample import Ensemble, Sample, write_sample
from glassformer.dataset.summary import summarise_digests
from glassformer.physics.configuration import Configuration
from glassformer.simulate.lockstep.simd import host_description
from glassformer.simulate.status import campaign_status

POINTS, DRAWS, TIMES = ((0.50, 1.55), (0.56, 0.17)), 4, 100


def made_up(index: int, particles: int, temperature: float, pressure: float, label: str) -> Sample:
    """Return a sample with random positions, and numbers of the right form."""
    random = np.random.default_rng([index, round(100 * temperature)])
    edge = (particles / 1.2) ** (1 / 3)
    species = (np.arange(particles) >= 0.8 * particles).astype(np.uint8)
    times = np.geomspace(0.1, 10, TIMES)
    msd = np.full((DRAWS, TIMES, 2), 0.1) * times[:, None] * random.uniform(0.9, 1.1, (DRAWS, 1, 1))
    sizes = {"D": DRAWS, "N": particles, "Q": 2, "S": 0, "T": TIMES}
    rows: dict[str, Any] = {
        spec.name: np.full(spec.sized(sizes), 0.5, spec.dtype) for spec in ISOCONFIGURATIONAL if not spec.on_request
    }
    rows |= {"times": times, "seeds": np.arange(DRAWS, dtype=np.int64), "msd": msd}
    rows |= {"self_scattering": np.exp(-5 * msd), "quartic": 2 * msd**2, "overlap": np.exp(-msd)}
    facts = Facts(
        state_point=label, temperature=temperature, pressure=pressure, mixture=shipped_mixture("kob-andersen-uniform"),
        time_step=0.005, seed=1, index=index, engine="none", protocol="made up", parameter_hash="0", code_version="0",
        equilibration_time=10.0, tau_alpha=2.0, equilibration_in_tau_alpha=5.0, energy_drift=1e-5, equilibrated=True,
        hold_tau_alpha=2.0,
    )  # fmt: skip
    positions = random.uniform(0, edge, (particles, 3))
    return Sample(Configuration(positions, species, np.full(3, edge)), Ensemble(**rows), facts)


def campaign_of(samples: int, particles: int) -> Campaign:
    """Return a campaign of which the dataset is the result."""
    points = [{"temperature": temperature, "pressure": pressure, "hold_time": 1.0} for temperature, pressure in POINTS]
    values = {"seed": 1, "particles": particles, "mixture": "kob-andersen-uniform", "draws": DRAWS}
    return check_settings(values | {"configurations": samples // 2, "state_points": points}, Campaign, "made up")


def fill(dataset: Path, samples: int, particles: int) -> None:
    """Write the dataset, as if it had been written an hour ago."""
    campaign = campaign_of(samples, particles)
    for point in campaign.state_points:
        for index in range(campaign.configurations):
            path = DatasetFolder(dataset).sample(point.label, index)
            write_sample(path, made_up(index, particles, point.temperature, point.pressure or 0.0, point.label))
            os.utime(path, (time.time() - 3600,) * 2)
    write_json(DatasetFolder(dataset).campaign, campaign.model_dump(mode="json"))


def seconds(call: Callable[[], object]) -> dict[str, float]:
    """Return how long `call` takes, and how much CPU time, here and in the processes that it starts."""
    began, before = time.perf_counter(), os.times()
    call()
    return {"wall": time.perf_counter() - began, "cpu": sum(os.times()[:4]) - sum(before[:4])}


def measure(dataset: Path, particles: int) -> dict[str, dict[str, float]]:
    """Return the seconds of each step."""

    def command(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, "-m", "glassformer", *words, str(dataset)], check=True, capture_output=True
        )

    found = {"list, first": seconds(lambda: list_dataset(dataset))}
    digests = list_dataset(dataset)
    found |= {
        "open and list": seconds(lambda: list_dataset(dataset)),
        "paths alone": seconds(lambda: sample_paths(dataset)),
        "summarise": seconds(lambda: summarise_digests(digests)),
        "status": seconds(lambda: campaign_status(dataset)),
        "info, command": seconds(command("info")),
        "status, command": seconds(command("status")),
        "status --no-verify, command": seconds(command("status", "--no-verify")),
        "start of a command": seconds(
            lambda: subprocess.run([sys.executable, "-m", "glassformer", "--version"], check=True, capture_output=True)
        ),
    }
    (temperature, pressure), label = POINTS[0], digests[0].definition.state_point
    more = DatasetFolder(dataset).sample(label, len(digests))
    write_sample(more, made_up(len(digests), particles, temperature, pressure, label))
    found["list, changed"] = seconds(lambda: list_dataset(dataset))
    return found


def main() -> None:
    """Print a line for each step, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--particles", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        dataset = Path(folder) / "data"
        fill(dataset, arguments.samples, arguments.particles)
        found = measure(dataset, arguments.particles)
    if arguments.json:
        about = {"benchmark": "many-samples", "samples": arguments.samples, "particles": arguments.particles}
        print(json.dumps(about | {"host": host_description(), "version": code_version(), "seconds": found}, indent=1))
        return
    for name, value in found.items():
        print(f"{name:28s} {value['wall']:8.2f} s, {value['cpu']:.2f} s of CPU time")


if __name__ == "__main__":
    main()
