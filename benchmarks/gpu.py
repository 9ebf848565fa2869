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
from glassformer.simulate.lockstep.cuda_lists import WARP
from glassformer.simulate.lockstep.widths import ENTRY_BYTES, LANE_BYTES, best_width

EDGE, DENSITY, TEMPERATURE = 16, 1.2, 0.44
PARTICLES = EDGE**3
# Steps at each temperature on the way from a lattice to the liquid.
MELT = ((1.0, 2000), (0.6, 2000), (TEMPERATURE, 4000))
# Instructions per entry of a list that a warp issues in `forces`, of pairs within the cutoff of a potential without
# smoothing, counted in the machine code for sm_90 (ptxas 12.9); what a warp issues beside that, per particle and step,
# is left out. A multiprocessor of an H100 has four schedulers, each of which issues one instruction per clock.
INSTRUCTIONS_PER_ENTRY, SCHEDULERS = 102, 4
# Bytes per particle, draw and step beside the list: leap reads five arrays of three numbers and writes three, forces
# reads one and writes one and two numbers.
BYTES_BESIDE = 12 * (5 + 3 + 1 + 1) + 8


@dataclass(frozen=True)
class GpuSpeed:
    """Speed of one batch: median, least and greatest of the rounds, in atom-steps of draws that were asked for.

    `lanes` of a vector; `entries` per particle in its list; bytes that the layout moves per atom-step, by count, from
    the L2 cache and from memory; `bandwidth_limit`, `issue_limit`: atom-steps per second that the bandwidths of both
    allow, and the rate at which instructions are issued, None where the clock is unknown; `limit`: the lower of them.
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
    cache_bytes: float = 0.0
    memory_bytes: float = 0.0
    bandwidth_limit: float = 0.0
    issue_limit: float | None = None
    limit: float = 0.0
    share_of_limit: float = 0.0


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
    cache_bytes, memory_bytes = layout_bytes(entries, lanes, draws)
    cache, memory = bandwidths or read_bandwidths()
    by_bandwidth = 1 / max(cache_bytes / cache, memory_bytes / memory)
    by_issue = issue_limit(entries, lanes, draws)
    limit = by_bandwidth if by_issue is None else min(by_bandwidth, by_issue)
    rate = float(np.median(rates))
    return GpuSpeed(
        device_name(), f"liquid, T = {TEMPERATURE}", configurations, draws, particles, steps, compile_seconds, rate,
        min(rates), max(rates), drift, lanes, entries, cache_bytes, memory_bytes, by_bandwidth,
        by_issue, limit, rate / limit,
    )  # fmt: skip


def layout_bytes(entries: float, lanes: int, draws: int) -> tuple[float, float]:
    """Return the bytes per atom-step that `draws` draws in vectors of `lanes` move from L2 and from memory.

    A list of `entries` per particle is read once by all lanes; for each entry every lane reads a neighbour's
    displacement. These come from L2: the vector that is worked on fits there, N = 4096 with 32 lanes in 1.5 MiB. All
    else is read or written once per step, from memory where the batch is larger than L2.
    """
    idle = idle_lanes(lanes, draws)
    once = idle * (entries * ENTRY_BYTES / lanes + BYTES_BESIDE)
    return once + idle * entries * LANE_BYTES, once


def issue_limit(entries: float, lanes: int, draws: int) -> float | None:
    """Return the atom-steps per second at which all schedulers are busy with `forces`; None on numba's simulator.

    A warp issues the instructions of an entry for 32 lanes at a time, `lanes` of which are draws of one vector and the
    rest share out its list.
    """
    device = cuda.get_current_device()
    if not hasattr(device, "CLOCK_RATE"):
        return None
    # In kHz.
    issued: float = 1e3 * device.CLOCK_RATE * device.MULTIPROCESSOR_COUNT * SCHEDULERS
    return issued * WARP / (entries * INSTRUCTIONS_PER_ENTRY * idle_lanes(lanes, draws))


def idle_lanes(lanes: int, draws: int) -> float:
    """Return how many lanes there are for each of `draws` draws in vectors of `lanes`."""
    return -(-draws // lanes) * lanes / draws


def measure_equilibration(
    number: int, steps: int, liquids: list[Configuration], pressure: float | None = 2.93
) -> dict[str, object]:
    """Measure so many independent trajectories of `liquids` at `TEMPERATURE`, NPT or, without a pressure, NVT."""
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
