"""Cage positions from lockstep draws: restricted to the cages by a wall, or free within a short window of time.

In the restricted ensemble the draws sample P ~ exp(-U / T) within the wall: velocity Verlet, with all velocities drawn
again at intervals (H. C. Andersen, J. Chem. Phys. 72, 2384 (1980)). The published way is Monte Carlo, particle by
particle, to the same ensemble; trajectories sample its soft, collective modes in far less time.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, SettingsError
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.core.threads import raise_if_stopped, stop_of_thread
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.physics.box import wrap
from glassformer.physics.cage import Cage, Kind
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.derived import Derivation, derive
from glassformer.simulate.isoconfigurational import DRAWS
from glassformer.simulate.lockstep.engine import Lockstep
from glassformer.simulate.lockstep.wall import Wall


@dataclass(frozen=True)
class CageSampling:
    """How cages are sampled: `draws` trajectories, from `begin` to `end`, seen every `every`.

    `radius` of the wall around the places in the inherent structure, which is soft; velocities are drawn again at
    intervals of `redraw`. Defaults are those at which cages of the Kob-Andersen mixture at T = 0.44 have converged
    (docs/concepts/cage-positions.md).
    """

    draws: int = 32
    begin: float = 5.0
    end: float = 25.0
    every: float = 0.1
    redraw: float = 1.0
    radius: float = 0.4
    time_step: float = 0.005

    def __post_init__(self) -> None:
        """Raise `SettingsError` for numbers with which nothing is sampled."""
        positive = min(self.draws, self.every, self.redraw, self.radius, self.time_step) > 0
        if not (positive and 0 <= self.begin < self.end < 1e6 and self.every <= self.end - self.begin):
            raise SettingsError(
                f"cages of {self.draws} draws from t = {self.begin:g} to {self.end:g}, radius {self.radius:g}, cannot"
                " be sampled",
                "Expected positive numbers, and an end after the begin.",
            )


# The window lies between the ballistic time and the end of the cage's rattling at T = 0.44.
SAMPLING: dict[Kind, CageSampling] = {"restricted": CageSampling(), "window": CageSampling(begin=0.5, end=13.0)}
# Cages of ends of draws are sampled for a quarter of the time, because their labels are noisy. Displacements from the
# inherent structure correlate 0.98 with those of the full sampling.
_OF_ENDS: dict[Kind, CageSampling] = SAMPLING | {"restricted": CageSampling(draws=16, begin=3.0, end=13.0)}


def usual_sampling(sample: Sample, kind: Kind) -> CageSampling:
    """Return how cages of `sample` are sampled by default: those of the end of a draw for a shorter time."""
    return SAMPLING[kind] if sample.origin is None else _OF_ENDS[kind]


@dataclass
class _Sums:
    """Sums of displacements and of their squares over draws and times."""

    first: FloatArray
    second: FloatArray
    number: int = 0

    def add(self, displacements: FloatArray) -> None:
        self.first += displacements.sum(0)
        self.second += (displacements**2).sum((0, 2))
        self.number += len(displacements)


def sample_cages(
    configuration: Configuration,
    mixture: Mixture,
    temperature: float,
    seed: int,
    kind: Kind = "restricted",
    sampling: CageSampling | None = None,
    report: Callable[[float], None] = lambda done: None,
    threads: int = 1,
) -> Cage:
    """Return the mean positions of a configuration's particles, and how far they rattle around them.

    `kind` 'restricted': of the ensemble in which no particle leaves its cage, a sphere around its place in the inherent
    structure; a static property. 'window': over free draws at constant energy, between two times; short dynamics. Never
    take the draws that give the labels: they share their noise. `report` receives the share of the work that was done
    since; `threads` vectors of draws are followed at a time, with the same result. Trajectories of the restricted
    ensemble start in the inherent structure.

    Raises `ConfigurationError` if restricted cages have no inherent structure to lie around, or if the box is shorter
    than two cutoffs; `EngineError` if the dynamics become unstable.
    """
    chosen = SAMPLING[kind] if sampling is None else sampling
    wall = None
    if kind == "restricted":
        if configuration.inherent_positions is None:
            raise ConfigurationError(
                "cages are spheres around the inherent structure, and the configuration has none",
                "Compute it first: glassformer quench DATASET.",
            )
        # The structure itself may lie far beyond the walls; the mean of the ensemble does not depend on the start.
        configuration = replace(configuration, positions=configuration.inherent_positions)
        wall = Wall(np.zeros_like(configuration.positions), chosen.radius)
    sums = _sample(configuration, mixture, temperature, seed, chosen, wall, report, threads)
    mean = sums.first / sums.number
    square = np.maximum(sums.second / sums.number - (mean**2).sum(1), 0.0)
    return Cage(
        wrap(configuration.positions + mean, configuration.box),
        square,
        kind,
        float(temperature),
        chosen.draws,
        chosen.begin,
        chosen.end,
        None if wall is None else wall.radius,
    )


def _sample(
    configuration: Configuration,
    mixture: Mixture,
    temperature: float,
    seed: int,
    sampling: CageSampling,
    wall: Wall | None,
    report: Callable[[float], None],
    threads: int,
) -> _Sums:
    """Follow all draws, a vector at a time, and sum up their displacements between `begin` and `end`."""
    masses, stop, outer = mixture.masses_of(configuration.species), threading.Event(), stop_of_thread()

    def velocities(first: int, interval: int) -> FloatArray:
        draws = range(first, min(first + DRAWS, sampling.draws))
        seeds = [named_seed(seed, "cage", draw, interval) for draw in draws]
        return np.stack([maxwell_boltzmann(one, masses, temperature, mixture.dimension) for one in seeds])

    def follow(first: int) -> _Sums:
        sums = _Sums(np.zeros((configuration.particles, 3)), np.zeros(configuration.particles))
        engine = Lockstep(configuration, mixture, sampling.time_step, velocities(first, 0), wall=wall)
        for step, at_redraw in _stops(sampling):
            raise_if_stopped(stop)
            raise_if_stopped(outer)
            steps = step - engine.steps
            engine.advance(steps)
            report(steps * engine.draws / (sampling.draws * round(sampling.end / sampling.time_step)))
            if step > round(sampling.begin / sampling.time_step):
                sums.add(engine.displacements())
            if at_redraw and wall is not None:
                engine.set_velocities(velocities(first, step))
        return sums

    with ThreadPoolExecutor(threads) as pool:
        try:
            parts = list(pool.map(follow, range(0, sampling.draws, DRAWS)))
        finally:
            # Ctrl-C does not wait for the trajectories.
            stop.set()
    together = parts[0]
    for part in parts[1:]:
        together = _Sums(together.first + part.first, together.second + part.second, together.number + part.number)
    return together


def _stops(sampling: CageSampling) -> Iterator[tuple[int, bool]]:
    """Yield the steps at which positions are seen, and whether velocities are drawn again there."""
    every, redraw, last = (
        max(1, round(time / sampling.time_step)) for time in (sampling.every, sampling.redraw, sampling.end)
    )
    for step in range(every, last + 1, every):
        yield step, step % redraw < every and step < last


def cage_dataset(
    dataset: Path,
    kind: Kind,
    changes: Mapping[str, Any] | None,
    progress: Progress,
    workers: int,
    wanted: Callable[[Sample], bool] = lambda sample: True,
) -> tuple[int, int]:
    """Sample the cages that samples of `dataset` lack, and write them there; return how many had them, and were made.

    They are sampled as `usual_sampling` says, with `changes` to it. Cages of this `kind` that were sampled in another
    way are replaced; with None for `changes` they are kept. Cages of the other kind are replaced. `wanted`: for which
    samples, all by default. Failures and interruptions: `simulate.derived.derive`.
    """

    def missing(sample: Sample) -> bool:
        cage = sample.cage
        if cage is None or cage.kind != kind:
            return True
        if changes is None:
            return False
        sampling = replace(usual_sampling(sample, kind), **changes)
        radius = sampling.radius if kind == "restricted" else None
        wanted = sampling.draws, sampling.begin, sampling.end, radius
        return (cage.draws, cage.begin, cage.end, cage.radius) != wanted

    def make(path: Path, threads: int) -> None:
        sample = read_sample(path)
        configuration, facts = sample.configuration, sample.facts
        # Ends of draws have no number.
        which = configuration.fingerprint if facts.index is None else facts.index
        seed = named_seed(facts.seed or 0, facts.state_point, which, kind)
        sampling = replace(usual_sampling(sample, kind), **(changes or {}))
        cage = sample_cages(configuration, sample.mixture, facts.temperature, seed, kind, sampling, threads=threads)
        write_sample(path, replace(sample, cage=cage))

    there, made = derive(dataset, Derivation("cages", "cages", missing, make, wanted), progress, workers)
    return there, len(made)
