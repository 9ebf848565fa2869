"""Isoconfigurational draws per second and core: lockstep beside LAMMPS, on one configuration, in alternation."""

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.botan import read_botan
from glassformer.physics.configuration import Configuration
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.lammps import Lammps, engine_version
from glassformer.simulate.lockstep.engine import Lockstep
from glassformer.simulate.lockstep.simd import host_description

TEMPERATURE = 0.44
TIME_STEP = 0.005
DRAWS = 16
PARTICLES, DENSITY = 4096, 1.2
POTENTIAL = shipped("kob-andersen")
# Steps of LAMMPS for every step of lockstep: about a third of the time goes to each of the three.
LAMMPS_SHARE = 0.25
PEERS = ("lj/cut", "lj/cut/opt")


@dataclass
class Speed:
    """Atom-steps per second of one engine in every round, and by how much its total energy per particle changed.

    Lockstep: the most of its draws, over all steps. LAMMPS: one draw, over the quarter of them that it ran.
    """

    rates: list[float] = field(default_factory=list)
    energy_drift: float = 0.0

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return float(np.median(self.rates))


@dataclass(frozen=True)
class Comparison:
    """Lockstep beside both pair styles of LAMMPS over `steps` steps, on one core each."""

    configuration: str
    host: str
    lammps: str
    threads: int
    particles: int
    draws: int
    time_step: float
    steps: int
    compile_seconds: float
    pairs_first: float
    pairs_last: float
    list_builds: int
    speed: dict[str, Speed]

    def ratios(self, peer: str) -> FloatArray:
        """Lockstep's speed over the peer's in every round."""
        ratios: FloatArray = np.array(self.speed["lockstep"].rates) / np.array(self.speed[peer].rates)
        return ratios

    def ratio_with_compilation(self, peer: str) -> float:
        """The ratio over all steps if lockstep's functions have to be compiled first."""
        atoms = self.steps * self.draws * self.particles
        seconds, of_peer = (float(np.mean(atoms / np.array(self.speed[name].rates))) for name in ("lockstep", peer))
        return of_peer / (seconds + self.compile_seconds)

    def as_json(self) -> dict[str, object]:
        """Return all of it, with the ratios: medians, least and greatest of the rounds."""
        result: dict[str, object] = asdict(self)
        for peer, key in zip(PEERS, ("ratio_lj_cut", "ratio_lj_cut_opt"), strict=True):
            ratios = self.ratios(peer)
            result[key] = float(np.median(ratios))
            result[f"{key}_range"] = [float(ratios.min()), float(ratios.max())]
            result[f"{key}_with_compilation"] = self.ratio_with_compilation(peer)
        return result


@dataclass(frozen=True)
class Decay:
    """How lockstep's advantage falls at one temperature: at `times`, pairs per particle and speed over lj/cut/opt's."""

    temperature: float
    times: list[float]
    pairs: list[float]
    ratios: list[float]


def benchmark_configuration(progress: Progress) -> tuple[Configuration, str]:
    """Return a T = 0.44, rho = 1.2 configuration of 4096 particles and where it is from.

    From the reference data where `GLASSFORMER_DATA` names it; otherwise cooled for a short while, which is far from
    equilibrium but has the same structure to look at for speed.
    """
    folder = os.environ.get("GLASSFORMER_DATA")
    files = sorted(Path(folder).glob("botan/*.npz")) if folder else []
    if files:
        return read_botan(files[0]).first, f"BOTAN, {files[0].name}"
    progress.say("no reference data (GLASSFORMER_DATA): a configuration is made by a short cooling")
    return _cooled(), "cooled over t = 30 for this benchmark, not in equilibrium"


def _cooled() -> Configuration:
    edge = np.full(3, (PARTICLES / DENSITY) ** (1 / 3))
    positions = np.random.default_rng(1).uniform(0, edge, (PARTICLES, 3))
    with Lammps(Configuration(positions, POTENTIAL.assign(PARTICLES), edge), POTENTIAL, TIME_STEP) as engine:
        engine.minimise()
        start = engine.configuration()
    with Lammps(start, POTENTIAL, TIME_STEP, maxwell_boltzmann(1, np.ones(PARTICLES), 1.0)) as engine:
        engine.begin_nvt((1.0, TEMPERATURE), 6000, 0.5)
        engine.advance(6000)
        return engine.configuration()


def _draws(temperature: float, particles: int) -> FloatArray:
    seeds = (named_seed(1, "benchmark", draw) for draw in range(DRAWS))
    return np.stack([maxwell_boltzmann(seed, np.ones(particles), temperature) for seed in seeds])


def compare(steps: int, rounds: int, progress: Progress) -> Comparison:
    """Run lockstep and both pair styles of LAMMPS in turns, `rounds` times, lockstep over `steps` in all."""
    configuration, name = benchmark_configuration(progress)
    particles, velocities = configuration.particles, _draws(TEMPERATURE, configuration.particles)
    began = time.perf_counter()
    Lockstep(configuration, POTENTIAL, TIME_STEP, velocities).total_energy()
    Lockstep(configuration, POTENTIAL, TIME_STEP, velocities).advance(20)
    compile_seconds = time.perf_counter() - began
    speed = {name: Speed() for name in ("lockstep", *PEERS)}
    share = steps // rounds
    progress.start("bench", rounds * len(speed), "runs")
    began = time.perf_counter()
    lockstep = Lockstep(configuration, POTENTIAL, TIME_STEP, velocities)
    set_up = time.perf_counter() - began
    energy, pairs_first = lockstep.total_energy(), lockstep.pairs_per_particle
    peers = {style: Lammps(configuration, POTENTIAL, TIME_STEP, velocities[0], style=style) for style in PEERS}
    energies = {}
    for style, peer in peers.items():
        peer.begin_nve(steps)
        energies[style] = peer.total_energy()
    for turn in range(rounds):
        began = time.perf_counter()
        lockstep.advance(share)
        seconds = time.perf_counter() - began + (set_up if turn == 0 else 0.0)
        speed["lockstep"].rates.append(share * DRAWS * particles / seconds)
        progress.advance(1, f"lockstep {speed['lockstep'].rates[-1] / 1e6:.1f} M atom-steps/s")
        for style, peer in peers.items():
            count = max(1, int(share * LAMMPS_SHARE))
            began = time.perf_counter()
            peer.advance(count)
            speed[style].rates.append(count * particles / (time.perf_counter() - began))
            progress.advance(1, f"{style} {speed[style].rates[-1] / 1e6:.2f} M atom-steps/s")
    speed["lockstep"].energy_drift = float(abs(lockstep.total_energy() - energy).max() / particles)
    for style, peer in peers.items():
        speed[style].energy_drift = abs(peer.total_energy() - energies[style]) / particles
        peer.close()
    return Comparison(
        name, host_description(), engine_version(), 1, particles, DRAWS, TIME_STEP, rounds * share, compile_seconds,
        pairs_first, lockstep.pairs_per_particle, lockstep.builds, speed,
    )  # fmt: skip


def decay(temperature: float, until: float, progress: Progress) -> Decay:
    """Measure lockstep's speed over lj/cut/opt's as the draws drift apart, from a configuration heated to T."""
    configuration, _ = benchmark_configuration(progress)
    particles = configuration.particles
    if temperature != TEMPERATURE:
        with Lammps(
            configuration, POTENTIAL, TIME_STEP, maxwell_boltzmann(2, np.ones(particles), temperature)
        ) as engine:
            engine.begin_nvt((temperature, temperature), 4000, 0.5)
            engine.advance(4000)
            configuration = engine.configuration()
    velocities = _draws(temperature, particles)
    lockstep = Lockstep(configuration, POTENTIAL, TIME_STEP, velocities)
    times = np.geomspace(1.0, until, 1 + max(1, round(4 * np.log10(until))))
    result = Decay(temperature, [], [], [])
    progress.start(f"T = {temperature:.2f}", int(until / TIME_STEP), "steps")
    with Lammps(configuration, POTENTIAL, TIME_STEP, velocities[0]) as peer:
        peer.begin_nve(400 * len(times))
        for moment in times:
            count = round(moment / TIME_STEP) - lockstep.steps
            measured = min(count, 400)
            lockstep.advance(count - measured)
            rate = _rate(lockstep, measured) * DRAWS / _rate(peer, 200)
            progress.advance(count, f"t = {moment:.3g}: {rate:.1f} x")
            result.times.append(lockstep.steps * TIME_STEP)
            result.pairs.append(lockstep.pairs_per_particle)
            result.ratios.append(rate)
    return result


def _rate(engine: Lockstep | Lammps, steps: int) -> float:
    began = time.perf_counter()
    engine.advance(steps)
    return steps / (time.perf_counter() - began)
