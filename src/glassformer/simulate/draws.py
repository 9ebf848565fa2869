"""All draws of a configuration, by the engine that the campaign asks for."""

import functools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DeviceMemoryError, EngineError, UnstableError
from glassformer.core.seeds import named_seed
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import DRAWS, Observations, Report, run_lammps_draw, vector_work, weighed
from glassformer.simulate.lammps import engine_version, load_lammps
from glassformer.simulate.lockstep.widths import best_width, device_work
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.unfinished import Unfinished

if TYPE_CHECKING:
    from glassformer.simulate.lockstep.batch import Vector

# What a driver leaves where there is an NVIDIA device, on Linux and in WSL.
DEVICE_FILES = "/dev/nvidiactl", "/dev/dxg"
# What may run the draws.
ENGINES = "cuda", "lockstep", "lammps"
# Part of a sample's parameter hash: raise it when a change to the kernels for CUDA changes their numbers.
CUDA_VERSION = 1
# Seeds with which a draw is tried, at most.
SEEDS = 4


def engine_of(campaign: Campaign) -> str:
    """Return what runs the draws: 'lammps', 'lockstep' or 'cuda'.

    Raises `EngineError` if this processor cannot run lockstep and the campaign asks for it. A device that the campaign
    asks for may be in another machine: see `check_engine`.
    """
    if campaign.engine == "cuda":
        return "cuda"
    if campaign.engine == "auto" and device_found():
        return "cuda"
    if campaign.engine == "lammps":
        return "lammps"
    try:
        from glassformer.simulate.lockstep.simd import check_host

        check_host()
    except (EngineError, ImportError):
        if campaign.engine == "lockstep":
            raise
        return "lammps"
    return "lockstep"


def check_engine(campaign: Campaign) -> None:
    """Raise `EngineError` if this machine lacks the engine of `campaign`."""
    if engine_of(campaign) == "cuda":
        from glassformer.simulate.lockstep.cuda import check_device

        check_device()
    else:
        load_lammps()


@functools.cache
def device_found() -> bool:
    """Tell whether there is a real CUDA device that numba can use. Without a driver's files, nothing is imported."""
    if not any(Path(name).exists() for name in DEVICE_FILES):
        return False
    try:
        from glassformer.simulate.lockstep.cuda import available
        from glassformer.simulate.lockstep.cuda_graph import SIMULATED
    except ImportError:
        return False
    return available() and not SIMULATED


def uses_lockstep(campaign: Campaign) -> bool:
    """Tell whether the draws run in lockstep on the processor. Raises as `engine_of` does."""
    return engine_of(campaign) == "lockstep"


def engine_used(campaign: Campaign, handover: float | None = None, engine: str | None = None) -> str:
    """Name the engine that makes the campaign's draws and its version, and when LAMMPS took over, if it did.

    `engine`: another than the one that this machine uses.
    """
    engine = engine or engine_of(campaign)
    if engine == "cuda":
        return f"lockstep on CUDA {CUDA_VERSION}{'' if campaign.equilibration.as_given else '; equilibrated there'}"
    if engine == "lammps":
        return engine_version()
    from glassformer.simulate.lockstep.ensemble import VERSION

    taken_over = "" if handover is None else f", which took over some draws from t = {handover:g} on"
    lammps = f" and {engine_version()}{taken_over}" if campaign.engine == "auto" else ""
    return f"lockstep {VERSION}{lammps}; equilibrated by {engine_version()}"


def device_used(campaign: Campaign) -> str:
    """Return ' on' with the name of the device that makes the draws, or nothing: no part of what decides numbers."""
    if engine_of(campaign) != "cuda":
        return ""
    from glassformer.simulate.lockstep.cuda import device_name

    return f" (on {device_name()})"


def run_draws(
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
    threads: int = 1,
    first_draw: int = 0,
) -> tuple[Observations, float | None]:
    """Follow the draws that start with `seeds`; return what they did and when LAMMPS took over from lockstep, or None.

    `first_draw` is the number of the first of them, by which their files in `unfinished` are called. What is done is
    kept in `unfinished`, and taken from there. Raises `EngineError` or `StorageError`.
    """
    if engine_of(campaign) == "cuda":
        request = Request(configuration, temperature, tuple(seeds), campaign, report, unfinished, first_draw)
        (error,) = run_on_device([request], threads)
        if error is not None:
            raise error
        report = _silent
    groups = _groups(seeds, campaign)
    threads = threads if uses_lockstep(campaign) else 1

    def run(number: int) -> tuple[Observations, float | None]:
        first = first_draw + sum(map(len, groups[:number]))
        return _run_group(first, configuration, temperature, groups[number], campaign, report, unfinished)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(run, range(len(groups))))
    times = [time for _, time in results if time is not None]
    return Observations.together([seen for seen, _ in results]), min(times, default=None)


@dataclass(frozen=True, eq=False)
class Request:
    """The arguments of `run_draws`, to be answered together with others."""

    configuration: Configuration
    temperature: float
    seeds: tuple[int, ...]
    campaign: Campaign
    report: Report
    unfinished: Unfinished
    first_draw: int = 0


def run_on_device(requests: Sequence[Request], threads: int = 1) -> list[EngineError | None]:
    """Follow the draws of all `requests` together on the CUDA device, and keep in `unfinished` what they did.

    Then `run_draws` has nothing left to run. Returns, for each, None, or the error of its unstable draws, or of draws
    that do not fit on the device even alone. Raises `EngineError` or `StorageError`.
    """
    from glassformer.simulate.lockstep.batch import follow_vectors

    errors: list[EngineError | None] = [None] * len(requests)
    left: list[tuple[int, str, list[int]]] = []
    for number, request in enumerate(requests):
        first = request.first_draw
        for group in _groups(list(request.seeds), request.campaign):
            name = _name(first, len(group))
            if request.unfinished.load(name) is None:
                left.append((number, name, group))
            else:
                request.report(0, -device_work(len(group)) * int(observation_steps(request.campaign)[-1]))
            first += len(group)
    while left:
        tried = [_attempts(requests[number].unfinished, name, group) for number, name, group in left]
        vectors = [
            _vector(requests[number], name, used) for (number, name, _), (used, _) in zip(left, tried, strict=True)
        ]
        again = []
        for one, (used, attempts), seen in zip(left, tried, follow_vectors(vectors, threads), strict=True):
            number, name, _ = one
            unfinished = requests[number].unfinished
            if isinstance(seen, DeviceMemoryError):
                errors[number] = seen
            elif not isinstance(seen, UnstableError):
                _finish(unfinished, name, seen, None, used)
            elif _try_again(unfinished, name, used, attempts, seen):
                again.append(one)
            else:
                errors[number] = seen
        left = again
    return errors


def _vector(request: Request, name: str, seeds: list[int]) -> "Vector":
    from glassformer.simulate.lockstep.batch import Vector

    def save(arrays: dict[str, np.ndarray]) -> None:
        request.unfinished.save(f"{name}-running", arrays)

    def load() -> dict[str, np.ndarray] | None:
        return request.unfinished.load(f"{name}-running")

    report = weighed(request.report, device_work(len(seeds)) / len(seeds))
    return Vector(request.configuration, request.temperature, seeds, request.campaign, report, load(), save, load)


def _silent(done: float, more: float = 0) -> None:
    """Report to nobody: it is told already."""


def seeds_used(seeds: list[int], campaign: Campaign, unfinished: Unfinished, first_draw: int = 0) -> list[int]:
    """Return the seeds with which `run_draws` followed the draws: others where the first made unstable dynamics."""
    used: list[int] = []
    for group in _groups(seeds, campaign):
        # Kept with what the draws did: files of older versions know of no other seeds.
        kept = unfinished.load(_name(first_draw + len(used), len(group))) or {}
        used += kept["seeds"].tolist() if "seeds" in kept else group
    return used


def _groups(seeds: list[int], campaign: Campaign) -> list[list[int]]:
    """Return the seeds of every vector, or of every draw on LAMMPS."""
    sizes = {"cuda": best_width(max(len(seeds), 1)), "lockstep": DRAWS, "lammps": 1}
    size = sizes[engine_of(campaign)]
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def _name(first: int, draws: int) -> str:
    # By first and last, so that a vector that has grown since is not taken for the same.
    return f"draws-{first}-{first + draws - 1}"


def _seeds_name(name: str) -> str:
    return name.replace("draws", "seeds")


def _run_group(
    first: int,
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
) -> tuple[Observations, float | None]:
    """Follow one vector of draws, or one draw on LAMMPS, unless `unfinished` holds it already.

    A draw whose dynamics become unstable is repeated with its next seed, with the others of its vector, at most
    `SEEDS` times in all; `unfinished` keeps the seeds. If most draws of a vector do, the time step is too long.
    """
    if uses_lockstep(campaign):
        # Draws of a vector that is not full take longer.
        report = weighed(report, vector_work(len(seeds)) / len(seeds))
    name = _name(first, len(seeds))
    arrays = unfinished.load(name)
    if arrays is not None:
        report(0, -len(seeds) * int(observation_steps(campaign)[-1]))
        time = float(arrays["handover"])
        return Observations.from_arrays(arrays), None if math.isnan(time) else time
    while True:
        used, attempts = _attempts(unfinished, name, seeds)
        try:
            return _follow(name, configuration, temperature, used, campaign, report, unfinished)
        except UnstableError as error:
            if not _try_again(unfinished, name, used, attempts, error):
                raise


def _attempts(unfinished: Unfinished, name: str, seeds: list[int]) -> tuple[list[int], int]:
    """Return the seeds with which the vector `name` is to be tried, `seeds` at first, and which attempt it is."""
    kept = unfinished.load(_seeds_name(name))
    return (seeds, 1) if kept is None else (kept["seeds"].tolist(), int(kept["attempts"]))


def _try_again(unfinished: Unfinished, name: str, used: list[int], attempts: int, error: UnstableError) -> bool:
    """Give the unstable draws of the vector `name` other seeds and return true, or false if that is of no use."""
    unstable = error.draws or tuple(range(len(used)))
    if attempts == SEEDS or 2 * len(unstable) > max(len(used), 2):
        return False
    used = [named_seed(seed, "again") if draw in unstable else seed for draw, seed in enumerate(used)]
    # First, so that the checkpoint never meets other seeds than its own.
    unfinished.drop(f"{name}-running")
    unfinished.save(_seeds_name(name), {"seeds": np.array(used, np.int64), "attempts": np.array(attempts + 1)})
    return True


def _follow(
    name: str,
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
) -> tuple[Observations, float | None]:
    """Follow the draws that start with `seeds` from their last checkpoint, and keep in `unfinished` what they did."""
    running, handover = f"{name}-running", None
    if uses_lockstep(campaign):
        from glassformer.simulate.lockstep.ensemble import run_lockstep_draws

        seen, handover = run_lockstep_draws(
            configuration, temperature, seeds, campaign, report,
            unfinished.load(running), lambda arrays: unfinished.save(running, arrays),
        )  # fmt: skip
    else:
        seen = run_lammps_draw(configuration, temperature, seeds[0], campaign, report, unfinished, running)
    _finish(unfinished, name, seen, handover, seeds)
    return seen, handover


def _finish(unfinished: Unfinished, name: str, seen: Observations, handover: float | None, seeds: list[int]) -> None:
    """Keep what the vector `name` did."""
    more = {"handover": np.array(math.nan if handover is None else handover), "seeds": np.array(seeds, np.int64)}
    unfinished.save(name, vars(seen) | more)
    unfinished.drop(f"{name}-running")
