"""Lockstep on a GPU: atom-steps per second for 1, 8 and 64 configurations of 32 draws."""

import time
from dataclasses import dataclass

import numpy as np
from numba import cuda

from benchmarks.isoconfigurational import POTENTIAL, TEMPERATURE, TIME_STEP, benchmark_configuration
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.lockstep.cuda import LockstepCuda, check_device
from glassformer.simulate.lockstep.cuda_kernels import LANES


@dataclass(frozen=True)
class GpuSpeed:
    """Speed at one number of configurations: median, least and greatest of the rounds."""

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


def measure(configurations: int, steps: int, rounds: int, progress: Progress) -> GpuSpeed:
    """Measure `rounds` times `steps` steps of so many copies of the benchmark's configuration, each with its own draws.

    Raises `EngineError` where there is no device.
    """
    check_device()
    configuration, name = benchmark_configuration(progress)
    particles = configuration.particles
    seeds = [named_seed(1, "gpu", draw) for draw in range(configurations * LANES)]
    drawn = np.stack([maxwell_boltzmann(seed, np.ones(particles), TEMPERATURE) for seed in seeds])
    began = time.perf_counter()
    engine = LockstepCuda(
        [configuration] * configurations, POTENTIAL, TIME_STEP, drawn.reshape(configurations, LANES, particles, 3)
    )
    engine.advance(20)
    compile_seconds = time.perf_counter() - began
    energy, rates = engine.total_energy(), []
    progress.start(f"{configurations} configurations", rounds, "rounds")
    for _ in range(rounds):
        cuda.synchronize()
        began = time.perf_counter()
        engine.advance(steps)
        cuda.synchronize()
        rates.append(steps * configurations * LANES * particles / (time.perf_counter() - began))
        progress.advance(1, f"{rates[-1] / 1e6:.0f} M atom-steps/s")
    drift = float(np.abs(engine.total_energy() - energy).max() / particles)
    device = str(getattr(cuda.get_current_device(), "name", "simulator"))
    return GpuSpeed(
        device, name, configurations, LANES, particles, steps, compile_seconds,
        float(np.median(rates)), min(rates), max(rates), drift,
    )  # fmt: skip
