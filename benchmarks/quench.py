"""Seconds per inherent structure, with LAMMPS's minimisation of the same configuration on one core beside it.

    GLASSFORMER_DATA=... python -m benchmarks.quench [--json] [--threads 2] [--files 3] [--style cg] [--rounds 1]

Configurations are BOTAN's (N = 4096, T = 0.44, density 1.2); without them a liquid of 1,000 particles is made. Both
minimise until no force on a particle exceeds 1e-6, in turns. LAMMPS does not follow the steepest descent, so it may end
in another minimum, sooner: `moved_particles` is the fraction of particles that it puts more than 0.1 elsewhere. On a
busy machine compare CPU times.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.network_task import random_mixture
from glassformer.core.arrays import FloatArray
from glassformer.core.provenance import code_version
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.botan import read_botan
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import TOLERANCE, InherentStructure, inherent_structure
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair_forces import PairForces
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep.simd import host_description

Result = TypeVar("Result")
TIME_STEP = 0.005
MADE_PARTICLES, MADE_STEPS = 1000, 5000


def configurations(files: int) -> Iterator[tuple[str, Configuration]]:
    """Yield names and configurations: BOTAN's first `files`, or one that is made."""
    sources = sorted((Path(os.environ.get("GLASSFORMER_DATA", ".")) / "botan").glob("*.npz"))[:files]
    for source in sources:
        yield source.name, read_botan(source).first
    if not sources:
        yield f"liquid of {MADE_PARTICLES}", _liquid()


def _liquid() -> Configuration:
    start, _ = random_mixture(MADE_PARTICLES)
    with Lammps(start, shipped("kob-andersen"), TIME_STEP) as engine:
        engine._commands("minimize 0 1e-2 500 5000")
        start = Configuration(wrap(engine.positions(), start.box), start.species, start.box)
    with Lammps(start, shipped("kob-andersen"), TIME_STEP, np.zeros_like(start.positions)) as engine:
        engine.begin_nvt((1.0, 0.5), MADE_STEPS, 0.2)
        engine.advance(MADE_STEPS)
        return engine.configuration()


def minimise_by_lammps(configuration: Configuration, mixture: Mixture, style: str) -> FloatArray:
    """Return the positions (N, 3) where LAMMPS's `style` ends."""
    with Lammps(configuration, mixture, TIME_STEP) as engine:
        engine._commands(f"min_style {style}", "min_modify norm max", f"minimize 0 {TOLERANCE:g} 100000 1000000")
        return engine.positions()


def timed(call: Callable[[], Result]) -> tuple[tuple[float, float], Result]:
    """Return the seconds and the CPU seconds that `call` takes, and its result."""
    began, cpu_began = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - began, time.process_time() - cpu_began), result


def compare(name: str, configuration: Configuration, threads: int, style: str, rounds: int) -> dict[str, Any]:
    """Return the least seconds of `rounds` in turns, and where both methods end."""
    mixture = shipped("kob-andersen")
    own: list[tuple[float, float]] = []
    peer: list[tuple[float, float]] = []
    for _ in range(rounds):
        seconds, found = timed(lambda: inherent_structure(configuration, mixture, threads=threads))
        own.append(seconds)
        seconds, other = timed(lambda: minimise_by_lammps(configuration, mixture, style))
        peer.append(seconds)
    (seconds, cpu_seconds), (lammps_seconds, lammps_cpu_seconds) = np.min(own, 0).tolist(), np.min(peer, 0).tolist()
    return {
        "configuration": name, "particles": configuration.particles,
        "seconds": seconds, "cpu_seconds": cpu_seconds,
        "lammps_seconds": lammps_seconds, "lammps_cpu_seconds": lammps_cpu_seconds,
        "seconds_of_rounds": own, "lammps_seconds_of_rounds": peer,
    } | _ends(configuration, mixture, found, other)  # fmt: skip


def _ends(
    configuration: Configuration, mixture: Mixture, found: InherentStructure, other: FloatArray
) -> dict[str, Any]:
    there = PairForces(configuration, mixture)(other)
    moved = np.linalg.norm(minimum_image(found.positions - other, configuration.box), axis=1) > 0.1
    return {
        "evaluations": found.evaluations, "energy": found.energy, "greatest_force": found.greatest_force,
        "lammps_energy": there.energy / configuration.particles, "lammps_greatest_force": there.greatest,
        "moved_particles": float(moved.mean()),
    }  # fmt: skip


def main() -> None:
    """Print a line for each configuration, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--style", choices=("cg", "fire"), default="cg")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    # Compiled, or loaded from the cache, before anything is timed.
    inherent_structure(random_mixture(200)[0], shipped("kob-andersen"), threads=arguments.threads)
    results = []
    for name, configuration in configurations(arguments.files):
        row = compare(name, configuration, arguments.threads, arguments.style, arguments.rounds)
        results.append(row)
        if not arguments.json:
            print(
                f"{name}: {row['seconds']:.2f} s ({row['cpu_seconds']:.2f} s of CPU time), LAMMPS"
                f" {row['lammps_seconds']:.2f} s ({row['lammps_cpu_seconds']:.2f} s); energies {row['energy']:.6f} and"
                f" {row['lammps_energy']:.6f}; {row['moved_particles']:.1%} of the particles elsewhere",
                flush=True,
            )
    if arguments.json:
        about = {"benchmark": "quench", "threads": arguments.threads, "style": arguments.style}
        print(json.dumps(about | {"host": host_description(), "version": code_version(), "rows": results}, indent=1))


if __name__ == "__main__":
    main()
