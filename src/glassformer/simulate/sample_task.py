"""One sample as a task: from the parameters of a configuration and its draws to its file."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import EngineError
from glassformer.core.failures import named
from glassformer.core.files import patiently, storage_error, watched
from glassformer.core.layout import configuration_id, sample_lock, unfinished_folder
from glassformer.core.lock import Lock
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.seeds import named_seed
from glassformer.core.temporaries import remove_inherited, temporaries_of
from glassformer.dataset.extend import join
from glassformer.dataset.facts import Facts
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import Ensemble, Sample, read_sample, write_sample
from glassformer.dataset.starts import Start
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import Configuration
from glassformer.physics.crystallinity import bond_order, crystalline_fraction
from glassformer.simulate.draws import (
    ENGINES,
    Request,
    check_engine,
    device_used,
    engine_of,
    engine_used,
    run_draws,
    seeds_used,
)
from glassformer.simulate.equilibration import (
    EQUILIBRATION_CHECKPOINT,
    PROTOCOL_VERSION,
    Equilibrated,
    as_given,
    equilibrate,
)
from glassformer.simulate.isoconfigurational import Report, collect, weighed
from glassformer.simulate.mismatch import refuse
from glassformer.simulate.runs import Starter
from glassformer.simulate.stages import approach, fewest_steps, hold
from glassformer.simulate.unfinished import Unfinished
from glassformer.simulate.work import equilibration_cost

if TYPE_CHECKING:
    from glassformer.simulate.lockstep.device_runs import Conductor


@dataclass(frozen=True)
class Task:
    """One configuration with all its draws: what to simulate and where its file goes.

    `campaign` holds what is particular to `point` already; `given` takes the place of a random start.
    """

    campaign: Campaign
    point: StatePointSettings
    index: int
    path: Path
    given: Start | None = None

    @property
    def start(self) -> Configuration | None:
        """The configuration that takes the place of a random start."""
        return None if self.given is None else self.given.configuration

    @property
    def name(self) -> str:
        """Name of the sample that the task makes."""
        return f"{self.point.label}/{configuration_id(self.index)}"

    @property
    def lock(self) -> Path:
        """The file that is there while a process makes the sample."""
        return sample_lock(self.path)

    @cached_property
    def parameter_hash(self) -> str:
        """Hash of everything that decides the sample's numbers."""
        return self._hash(engine_used(self.campaign))

    def accepts(self, found: str | None) -> bool:
        """Tell whether a sample with the hash `found` is this one: with engine 'auto', whichever engine made it."""
        if found == self.parameter_hash:
            return True
        others = ENGINES if self.campaign.engine == "auto" else ()
        return any(found == self._hash(engine_used(self.campaign, engine=engine)) for engine in others)

    def _hash(self, engine: str) -> str:
        made_by = {
            "index": self.index,
            "engine": engine,
            "protocol": PROTOCOL_VERSION,
            "start": None if self.start is None else self.start.fingerprint,
        }
        return parameter_hash(self.campaign.sample_parameters(self.point) | made_by)


def simulate_sample(task: Task, report: Report = lambda done, more=0: None, threads: int = 1) -> bool:
    """Simulate what is missing of `task` and write its file: a plain function of files and parameters to a file.

    `threads` vectors of draws are followed at a time. A killed run continues from its last checkpoint. Returns whether
    anything was missing. Nobody else makes the sample meanwhile, on any node: its lock is held.
    The dataset's folder must exist: one that was moved is not made again.
    Raises `DatasetError`, `EngineError` or `StorageError`; `HeldError` if another process makes the sample.
    """
    with claimed(task) as lock:
        return make_sample(task, report, Unfinished(task.path, task.parameter_hash, lock), threads)


def simulate_remotely(task: Task, engine: str) -> bool:
    """Simulate `task` in a worker of Parsl. Raises as `simulate_sample` and `check_node` do."""
    check_node(task.campaign, engine)
    return simulate_sample(task)


def check_node(campaign: Campaign, engine: str) -> None:
    """Raise `EngineError` if this node lacks the engine of `campaign`, or runs another than the coordinator's."""
    node = os.uname().nodename
    try:
        check_engine(campaign)
    except EngineError as error:
        raise named(node, error) from None
    here = engine_used(campaign)
    if here != engine:
        raise EngineError(
            f"{node} runs the draws with {here}; the coordinator with {engine}",
            "Set an engine that all nodes have: --set engine=cuda, lockstep or lammps. auto chooses on each node.",
        )


def make_sample(task: Task, report: Report, unfinished: Unfinished, threads: int) -> bool:
    """Simulate what is missing of `task`, whose lock is held, and write its file; return whether anything was."""
    old = sample_there(task)
    missing = old is None or old.draws < task.campaign.draws
    if missing:
        sample = (
            _new_sample(task, report, unfinished, threads)
            if old is None
            else _with_more_draws(task, old, report, unfinished, threads)
        )

        def write() -> None:
            unfinished.check_home()
            write_sample(task.path, sample)

        patiently(write)
    unfinished.clear()
    return missing


def equilibrate_sample(task: Task, report: Report, unfinished: Unfinished, conductor: "Conductor | None") -> None:
    """Make the equilibrated configuration of `task` and keep it in `unfinished`, unless the sample exists.

    On a CUDA device, together with the other runs of the `conductor`.
    """
    if sample_there(task) is None:
        _equilibrated(task, report, unfinished, conductor)


def request_draws(task: Task, report: Report, unfinished: Unfinished) -> Request | None:
    """Return the request for the draws that `task` misses, or None if it misses none."""
    old = sample_there(task)
    first = 0 if old is None else old.draws
    if first >= task.campaign.draws:
        return None
    configuration = _equilibrated(task, report, unfinished).configuration if old is None else old.configuration
    seeds = tuple(_seed(task, draw) for draw in range(first, task.campaign.draws))
    return Request(configuration, task.point.temperature, seeds, task.campaign, report, unfinished, first)


@contextmanager
def claimed(task: Task) -> Iterator[Lock]:
    """Hold the lock of the task's sample, and remove the temporary files of those who held it before.

    Meanwhile the dataset's folder is watched: moved or deleted, it is not made again.
    Raises `HeldError`; `StorageError` also if the dataset's folder does not exist any more.
    """
    lock = Lock(task.lock)

    def claim() -> None:
        try:
            with suppress(FileExistsError):
                task.path.parent.mkdir()
            lock.acquire()
        except OSError as error:
            raise storage_error("lock", task.path, error) from error

    patiently(claim)
    try:
        remove_inherited(temporaries_of(task.path))
        remove_inherited(unfinished_folder(task.path).glob(".*.tmp"))
        with watched(task.path.parents[1]):
            yield lock
    finally:
        lock.release()


def sample_there(task: Task) -> Sample | None:
    """Return the sample in the task's file, or None if there is none.

    Raises `DatasetError` if it is damaged or was made with other parameters, `NoFileError` if it is no file.
    """
    # A link to nothing stands for a sample, which may be out of reach.
    if not os.path.lexists(task.path):
        return None
    sample = read_sample(task.path)
    if not task.accepts(sample.facts.parameter_hash):
        raise refuse(task, sample.facts, protocol(task))
    return sample


def _new_sample(task: Task, report: Report, unfinished: Unfinished, threads: int) -> Sample:
    campaign, point = task.campaign, task.point
    made = _equilibrated(task, report, unfinished)
    ensemble, drift, handover = _follow_draws(task, made.configuration, 0, report, unfinished, threads)
    tau_alpha = _relaxation_time(ensemble)
    order = bond_order(made.configuration)
    facts = Facts(
        state_point=point.label,
        temperature=point.temperature,
        pressure=point.pressure,
        density=point.density,
        mixture=campaign.mixture,
        time_step=campaign.time_step,
        seed=campaign.seed,
        index=task.index,
        engine=engine_used(campaign, handover) + device_used(campaign),
        protocol=protocol(task),
        parameter_hash=task.parameter_hash,
        code_version=code_version(),
        equilibration_time=made.held,
        tau_alpha=tau_alpha,
        equilibration_in_tau_alpha=made.held / (made.tau_alpha if math.isnan(tau_alpha) else tau_alpha),
        energy_drift=drift,
        equilibrated=made.equilibrated,
        hold_tau_alpha=made.tau_alpha,
        q6=order.overall,
        crystalline_fraction=crystalline_fraction(order),
        box="given density" if point.density is not None else campaign.equilibration.box,
        start="random" if task.start is None else f"configuration {task.start.fingerprint}",
        end_of=task.given.end_of if task.given and campaign.equilibration.as_given else None,
        repeated_draws=_repeated(task, ensemble),
    )
    return Sample(made.configuration, ensemble, facts, made.record)


def _equilibrated(
    task: Task, report: Report, unfinished: Unfinished, conductor: "Conductor | None" = None
) -> Equilibrated:
    """Return the equilibrated configuration, from `unfinished` if it is there."""
    if task.campaign.equilibration.as_given:
        return as_given(task.start, task.point)
    report = weighed(report, equilibration_cost(task.campaign))
    saved = unfinished.load("configuration")
    if saved is not None:
        report(0, -fewest_steps(task.campaign, task.point))
        return Equilibrated.from_arrays(saved)
    starter = _starter(task, conductor)
    made = equilibrate(task.campaign, task.point, task.index, report, unfinished, task.start, starter)
    unfinished.save("configuration", made.as_arrays())
    unfinished.drop(EQUILIBRATION_CHECKPOINT)
    return made


def _repeated(task: Task, ensemble: Ensemble) -> str | None:
    """Return the numbers of the draws that have other seeds than their first ones."""
    numbers = [draw for draw, seed in enumerate(np.asarray(ensemble.seeds).tolist()) if seed != _seed(task, draw)]
    return ", ".join(map(str, numbers)) or None


def _seed(task: Task, draw: int) -> int:
    return named_seed(task.campaign.seed, task.point.label, task.index, "draw", draw)


def _follow_draws(
    task: Task, configuration: Configuration, first: int, report: Report, unfinished: Unfinished, threads: int
) -> tuple[Ensemble, float, float | None]:
    """Follow the draws from number `first` on; return them, their energy drift, and when LAMMPS took over."""
    campaign, point = task.campaign, task.point
    seeds = [_seed(task, draw) for draw in range(first, campaign.draws)]
    seen, handover = run_draws(configuration, point.temperature, seeds, campaign, report, unfinished, threads, first)
    drift = float(abs(seen.last_energy - seen.first_energy).max() / configuration.particles)
    return collect(seen, seeds_used(seeds, campaign, unfinished, first), campaign), drift, handover


def _with_more_draws(task: Task, old: Sample, report: Report, unfinished: Unfinished, threads: int) -> Sample:
    more, drift, handover = _follow_draws(task, old.configuration, old.draws, report, unfinished, threads)
    ensemble = more if old.ensemble is None else join(old.ensemble, more)
    tau_alpha = _relaxation_time(ensemble)
    held = math.nan if old.facts.equilibration_time is None else old.facts.equilibration_time
    mine = old.facts.parameter_hash == task.parameter_hash
    same_engine = old.ensemble is not None and handover is None and mine
    engine = engine_used(task.campaign, handover) + device_used(task.campaign)
    if not mine and old.ensemble is not None:
        engine = f"{old.facts.engine}; draws from {old.draws} on: {engine}"
    changes = {
        "time_step": task.campaign.time_step,
        "tau_alpha": tau_alpha,
        "equilibration_time": held,
        "equilibration_in_tau_alpha": held
        / ((old.facts.hold_tau_alpha or math.nan) if math.isnan(tau_alpha) else tau_alpha),
        "energy_drift": max(old.facts.energy_drift or 0.0, drift),
        "engine": old.facts.engine if same_engine else engine,
        "code_version": code_version(),
        "repeated_draws": _repeated(task, ensemble),
    }
    return replace(old, ensemble=ensemble, facts=old.facts.model_copy(update=changes))


def _relaxation_time(ensemble: Ensemble) -> float:
    return relaxation_time(ensemble.times, np.asarray(ensemble.self_scattering)[:, :, 0].mean(0))


def _starter(task: Task, conductor: "Conductor | None") -> Starter | None:
    """Return what starts the equilibration of `task` on a CUDA device, or None if LAMMPS runs it."""
    if engine_of(task.campaign) != "cuda":
        return None
    from glassformer.simulate.lockstep.device_runs import Conductor, DeviceStarter

    campaign = task.campaign
    alone = conductor or Conductor(mixture_of(campaign.mixture), campaign.equilibration.time_step)
    return DeviceStarter(alone, named_seed(campaign.seed, task.point.label, task.index, "device"))


def protocol(task: Task) -> str:
    """Return one line that tells how the configuration was made."""
    if task.campaign.equilibration.as_given:
        return "given configuration, as it is"
    ensemble = "NPT" if task.point.pressure is not None else "NVT"
    stages = len(approach(task.campaign, task.point))
    relaxed = "overlaps removed" if engine_of(task.campaign) == "cuda" else "minimise"
    way = f"random, {relaxed}, {stages} {ensemble} stages" if stages else "given configuration"
    return f"{way}, {ensemble} windows of {hold(task.campaign, task.point).steps} steps"
