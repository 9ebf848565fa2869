"""Seconds per configuration for a propensity prediction from its positions, and the memory that it takes.

    GLASSFORMER_DATA=... python -m benchmarks.propensity_speed [--json] [--model ka-t0.44-t4120-fast] [--threads 2]
        [--files 3] [--copies 1]

Configurations are BOTAN's (N = 4096, T = 0.44, density 1.2), each as it was published: inherent structure, cage
positions if the model reads them, descriptors and prediction are all timed. One more is predicted first, so that
compiled code is loaded. `peak_gigabytes` is that of the whole process.

`--copies K` repeats a configuration K times along each edge: 3 makes 110,592 particles. For models of the inherent
structure, `difference` is then the largest difference between the copies of a particle. On a busy machine compare CPU
times.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import glassformer as gf
from glassformer.core.provenance import code_version
from glassformer.dataset.readers.botan import read_botan
from glassformer.physics.configuration import Configuration
from glassformer.simulate.lockstep.simd import host_description

TEMPERATURE = 0.44


def repeated(configuration: Configuration, copies: int) -> Configuration:
    """Return the periodic configuration `copies` times along each edge, one copy after the other."""
    shifts = np.stack(np.meshgrid(*[np.arange(copies)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) * configuration.box
    positions = (configuration.positions + shifts).reshape(-1, 3)
    return Configuration(positions, np.tile(configuration.species, copies**3), copies * configuration.box)


def predict(configuration: Configuration, model: str, threads: int) -> gf.Propensity:
    """Return what `model` predicts of the bare configuration."""
    structure = gf.structure(
        configuration.positions,
        configuration.species,
        configuration.box,
        mixture="kob-andersen",
        temperature=TEMPERATURE,
    )
    return gf.propensity(structure, model, threads=threads)


def measure(source: Path, model: str, threads: int, copies: int) -> dict[str, Any]:
    """Return seconds and CPU seconds of one configuration, and how far its copies differ."""
    configuration = repeated(read_botan(source).first, copies)
    began, cpu_began = time.perf_counter(), time.process_time()
    found = predict(configuration, model, threads)
    row: dict[str, Any] = {
        "configuration": source.name, "particles": configuration.particles,
        "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began,
    }  # fmt: skip
    if copies > 1 and found.predictor.card.reads == "inherent":
        row["difference"] = float(np.ptp(found.values.reshape(copies**3, -1), axis=0).max())
    return row


def main() -> None:
    """Print a line per configuration, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="ka-t0.44-t4120-fast")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sources = sorted((Path(os.environ.get("GLASSFORMER_DATA", ".")) / "botan").glob("*.npz"))
    if not sources:
        parser.error("found no BOTAN configurations; set GLASSFORMER_DATA to the reference data")
    predict(read_botan(sources[-1]).first, arguments.model, arguments.threads)
    rows = []
    for source in sources[: arguments.files]:
        row = measure(source, arguments.model, arguments.threads, arguments.copies)
        rows.append(row)
        line = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{value}" for name, value in row.items()
        )
        print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    if not arguments.json:
        print(f"peak memory of the process: {peak:.2f} GB")
    else:
        print(
            json.dumps(
                {
                    "benchmark": "propensity-speed", "model": arguments.model, "threads": arguments.threads,
                    "host": host_description(), "code_version": code_version(), "peak_gigabytes": peak, "rows": rows,
                },
                indent=1,
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
