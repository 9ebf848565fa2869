"""Simulation on a GPU: atom-steps per second in lockstep and in batches of equilibrations, and what bounds them."""

import time
from dataclasses import dataclass

import numpy as np
from numba import cuda

from benchmarks.gpu_bandwidth import read_bandwidths
from benchmarks.isoconfigurational import POTENTIAL, TIME_STEP
from glassformer.core.arrays import FloatArray
from glassformer.core.progress import Progress
from glassformer.core.seeds import generator, named_seed
from glassformer.physics.configuration import Configuration
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.lockstep.cuda import LockstepCuda, check_device, device_name
from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda
from glassformer.simulate.lockstep.widths import best_width

EDGE, DENSITY, TEMPERATURE = 16, 1.2, 0.5
PARTICLES = EDGE**3
# Steps at each temperature on the way from a lattice to the liquid.
MELT = ((1.0, 2000), (0.7, 2000), (TEMPERATURE, 4000))
# Bytes per particle, draw and step beside the list: leap reads five arrays of three numbers and writes three, forces
# reads one and writes one and two numbers.
BYTES_BESIDE = 12 * (5 + 3 + 1 + 1) + 8


@dataclass(frozen=True)
class GpuSpeed:
    """Speed of one batch: median, least and greatest of the rounds, in atom-steps of draws that were asked for.

    `lanes` of a vector; `entries` per particle in its list; `bytes_per_atom_step` that the layout moves, by count;
    `bandwidth_share`: of the `bandwidth` (bytes/s, read from L2 if the batch fits there, else from memory) reached.
    """

    device: str
    configuration: str
    configurations: int
    draws: int
    particles: int
    steps: int
    compile_seconds: float
    atom_steps_per_second: float
    least: float
    greatest: float
    energy_drift: float
    lanes: int = 0
    entries: float = 0.0
    bytes_per_atom_step: float = 0.0
    bandwidth: float = 0.0
    bandwidth_share: float = 0.0


def lattice(seed: int, edge: int = EDGE) -> Configuration:
    """Return the mixture at random on a simple cubic lattice of `edge`^3 places, at `DENSITY`."""
    spacing = DENSITY ** (-1 / 3)
    positions = (np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3) + 0.5) * spacing
    order = generator(seed).permutation(edge**3)
    return Configuration(positions[order], POTENTIAL.assign(edge**3), np.full(3, edge * spacing))


def drawn(seed: int, particles: int, temperature: float) -> FloatArray:
    """Return velocities (N, 3)."""
    return maxwell_boltzmann(seed, np.ones(particles), temperature)


def melt(number: int, progress: Progress, edge: int = EDGE) -> list[Configuration]:
    """Return so many liquids at `TEMPERATURE`, molten and cooled on the device for a few time units."""
    liquids = [lattice(named_seed(2, "lattice", n), edge) for n in range(number)]
    for temperature, steps in MELT:
        progress.say(f"{number} liquids at T = {temperature}")
        velocities = [drawn(named_seed(3, "melt", n), liquids[0].particles, temperature) for n in range(number)]
        engine = CoupledCuda(
            liquids, POTENTIAL, 0.004, velocities, [Bath((temperature, temperature))] * number, list(range(number))
        )
        engine.advance(steps)
        engine.check()
        liquids = [engine.configuration(n) for n in range(number)]
    return liquids


def measure(
    configurations: int,
    steps: int,
    rounds: int,
    progress: Progress,
    draws: int = 32,
    liquids: list[Configuration] | None = None,
    bandwidths: tuple[float, float] | None = None,
) -> GpuSpeed:
    """Measure `rounds` times `steps` steps of so many configurations with `draws` draws each.

    `bandwidths`: of L2 and of the memory, measured here if not given. Raises `EngineError` where there is no device.
    """
    check_device()
    liquids = (liquids or melt(min(configurations, 8), progress))[:configurations]
    starts = [liquids[n % len(liquids)] for n in range(configurations)]
    lanes, particles = best_width(draws), starts[0].particles
    widths = [min(lanes, draws - first) for first in range(0, draws, lanes)]
    vectors = [(n, k, width) for n in range(configurations) for k, width in enumerate(widths)]
    velocities = [
        np.stack([drawn(named_seed(1, "gpu", n, k, d), particles, TEMPERATURE) for d in range(width)])
        for n, k, width in vectors
    ]
    began = time.perf_counter()
    engine = LockstepCuda([starts[n] for n, _, _ in vectors], POTENTIAL, TIME_STEP, velocities, lanes)
    engine.advance(200)
    cuda.synchronize()
    compile_seconds = time.perf_counter() - began
    energies, rates = [engine.total_energy(v) for v in range(len(vectors))], []
    progress.start(f"{configurations} configurations, {draws} draws", rounds, "rounds")
    for _ in range(rounds):
        cuda.synchronize()
        began = time.perf_counter()
        engine.advance(steps)
        cuda.synchronize()
        rates.append(steps * configurations * draws * particles / (time.perf_counter() - began))
        progress.advance(1, f"{rates[-1] / 1e6:.0f} M atom-steps/s")
    engine.check()
    drift = max(float(np.abs(engine.total_energy(v) - energy).max()) for v, energy in enumerate(energies)) / particles
    entries = float(np.mean([engine.listed_per_particle(v) for v in range(min(8, len(vectors)))]))
    wasted = lanes * len(widths) / draws
    moved = wasted * (entries * (12 + 16 / lanes) + BYTES_BESIDE)
    l2, memory = bandwidths or read_bandwidths()
    # What every particle's neighbours are read from: displacements of all vectors.
    bandwidth = l2 if len(vectors) * particles * 12 * lanes < 32 * 2**20 else memory
    rate = float(np.median(rates))
    return GpuSpeed(
        device_name(), f"liquid, T = {TEMPERATURE}", configurations, draws, particles, steps, compile_seconds, rate,
        min(rates), max(rates), drift, lanes, entries, moved, bandwidth, rate * moved / bandwidth,
    )  # fmt: skip


def measure_equilibration(
    number: int, steps: int, progress: Progress, pressure: float | None = 1.55
) -> dict[str, object]:
    """Measure so many independent liquids at `TEMPERATURE`, NPT or, without a pressure, NVT."""
    liquids = melt(min(number, 8), progress)
    starts = [liquids[n % len(liquids)] for n in range(number)]
    bath = Bath((TEMPERATURE, TEMPERATURE), None if pressure is None else (pressure, pressure))
    velocities = [drawn(named_seed(4, "hold", n), PARTICLES, TEMPERATURE) for n in range(number)]
    engine = CoupledCuda(starts, POTENTIAL, TIME_STEP, velocities, [bath] * number, list(range(number)))
    engine.advance(400)
    cuda.synchronize()
    began = time.perf_counter()
    engine.advance(steps)
    cuda.synchronize()
    took = time.perf_counter() - began
    engine.check()
    temperatures = [engine.temperature(n) for n in range(number)]
    return {
        "configurations": number,
        "ensemble": "NVT" if pressure is None else "NPT",
        "atom_steps_per_second": steps * number * PARTICLES / took,
        "temperature": float(np.mean(temperatures)),
        "temperature_error": float(np.std(temperatures) / np.sqrt(number)),
        "pressure": float(np.mean([engine.pressure(n) for n in range(number)])),
        "density": float(np.mean([PARTICLES / np.prod(engine.box(n)) for n in range(number)])),
    }
