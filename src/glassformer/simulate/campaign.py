"""Run a campaign: every configuration a task from parameters to a file, tasks on all cores, finished ones skipped."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from queue import Empty
from typing import Any

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import DatasetError, EngineError
from glassformer.core.files import exclusive, remove_temporaries
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.seeds import named_seed
from glassformer.dataset.folder import sample_path
from glassformer.dataset.sample import Facts, Sample, configuration_id, read_sample, write_sample
from glassformer.observables.displacements import WAVE_NUMBERS
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import Configuration
from glassformer.simulate.draws import engine_used, run_draws
from glassformer.simulate.isoconfigurational import collect
from glassformer.simulate.lammps import load_lammps
from glassformer.simulate.protocol import PROTOCOL_VERSION, equilibrate, equilibration_steps, protocol_name
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.unfinished import Unfinished

# Seconds between two looks at what the workers have reported.
POLL = 0.2


@dataclass(frozen=True)
class Task:
    """One configuration with all its draws: what to simulate and where its file goes."""

    campaign: Campaign
    point: StatePointSettings
    index: int
    path: Path

    @property
    def name(self) -> str:
        """Name of the sample that the task makes."""
        return f"{self.point.label}/{configuration_id(self.index)}"

    @property
    def steps(self) -> int:
        """Molecular dynamics steps in all."""
        last = int(observation_steps(self.campaign)[-1])
        return sum(equilibration_steps(self.campaign, self.point)) + self.campaign.draws * last

    @property
    def parameter_hash(self) -> str:
        """Hash of everything that decides the sample's numbers."""
        made_by = {"index": self.index, "engine": engine_used(self.campaign), "protocol": PROTOCOL_VERSION}
        return parameter_hash(self.campaign.sample_parameters(self.point) | made_by)


def tasks(campaign: Campaign, dataset: Path) -> list[Task]:
    """Return the tasks of `campaign`: first every state point's first configuration, then the second, and so on."""
    return [
        Task(campaign, point, index, sample_path(dataset, point.label, index))
        for index in range(campaign.configurations)
        for point in campaign.state_points
    ]


def simulate_sample(task: Task, progress: Any = lambda steps: None, threads: int = 1) -> None:
    """Simulate `task` and write its file: a plain function of parameters to a file.

    `threads` vectors of draws are followed at a time. A killed run goes on where its last checkpoint is.
    Raises `EngineError` or `StorageError`.
    """
    campaign, point = task.campaign, task.point
    unfinished = Unfinished(task.path, task.parameter_hash)
    saved = unfinished.load("configuration")
    if saved is None:
        configuration = equilibrate(campaign, point, task.index, progress)
        unfinished.save("configuration", vars(configuration))
    else:
        configuration = Configuration(**saved)
        progress(sum(equilibration_steps(campaign, point)))
    seeds = [named_seed(campaign.seed, point.label, task.index, "draw", draw) for draw in range(campaign.draws)]
    seen, handover = run_draws(configuration, point.temperature, seeds, campaign, progress, unfinished, threads)
    ensemble = collect(seen, seeds, campaign)
    tau_alpha = relaxation_time(ensemble.times, ensemble.self_scattering[:, :, 0].mean(0))
    facts = Facts(
        state_point=point.label,
        temperature=point.temperature,
        pressure=point.pressure,
        density=point.density,
        cutoff=campaign.cutoff,
        time_step=campaign.time_step,
        seed=campaign.seed,
        index=task.index,
        engine=engine_used(campaign, handover),
        protocol=protocol_name(point),
        parameter_hash=task.parameter_hash,
        code_version=code_version(),
        equilibration_time=point.hold_time,
        tau_alpha=tau_alpha,
        equilibration_in_tau_alpha=point.hold_time / tau_alpha,
        energy_drift=float(abs(seen.last_energy - seen.first_energy).max() / configuration.particles),
        wave_number_a=WAVE_NUMBERS[0],
        wave_number_b=WAVE_NUMBERS[1],
    )
    write_sample(task.path, Sample(configuration, ensemble, facts))
    unfinished.clear()


def run_campaign(campaign: Campaign, dataset: Path, progress: Progress, workers: int) -> int:
    """Simulate what is missing of `campaign` in `dataset` on `workers` cores; return how many samples were made.

    A killed run loses what its workers did since their last checkpoints; running again goes on there, with the same
    numbers.
    Raises `DatasetError` if the folder holds samples of other parameters, `EngineError`, `StorageError`.
    """
    observation_steps(campaign)
    load_lammps()
    all_tasks = tasks(campaign, dataset)
    with exclusive(dataset):
        remove_temporaries(dataset)
        missing = []
        for task in all_tasks:
            if is_done(task):
                # Left by a process that was killed between the sample's last byte and this.
                Unfinished(task.path, task.parameter_hash).clear()
            else:
                missing.append(task)
        done = len(all_tasks) - len(missing)
        if done:
            progress.say(f"{done} of {len(all_tasks)} configurations are there already and are kept")
        if missing:
            progress.start("simulate", sum(task.steps for task in missing), "steps")
            _run_tasks(missing, progress, max(1, min(workers, len(missing))), max(1, workers // len(missing)))
    return len(missing)


def is_done(task: Task) -> bool:
    """Tell whether the task's file is there, whole, and made with the task's parameters.

    Raises `DatasetError` if it is damaged or was made with others.
    """
    if not task.path.exists():
        return False
    facts = read_sample(task.path).facts
    if facts.parameter_hash != task.parameter_hash:
        raise DatasetError(
            f"{task.path} was made with other parameters, or by another engine or version"
            f" (hash {facts.parameter_hash}, made by {facts.engine}; this campaign has {task.parameter_hash}, made by"
            f" {engine_used(task.campaign)})",
            'Choose another folder with --out; or, if only the engine differs, set engine = "lammps", "lockstep" or'
            ' "auto" as the old data have it.',
        )
    return True


def _run_tasks(missing: list[Task], progress: Progress, workers: int, threads: int) -> None:
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    pool = ProcessPoolExecutor(workers, context, _begin_worker, (reports,))
    failures: list[EngineError] = []
    try:
        with _workers_deaf_to_ctrl_c():
            names = {pool.submit(_work, task, threads): task.name for task in missing}
        pending: set[Future[None]] = set(names)
        while pending:
            finished, pending = wait(pending, POLL, FIRST_COMPLETED)
            _drain(reports, progress)
            for future in finished:
                try:
                    future.result()
                except EngineError as error:
                    failures.append(EngineError(f"{names[future]}: {error.problem}", error.remedy))
                progress.advance(0, f"{names[future]} done, {len(pending)} to go")
    except BrokenProcessPool:
        raise EngineError(
            "a worker process died: killed, out of memory, or LAMMPS crashed on unstable dynamics",
            "Run the same command again; finished work is kept. If it recurs: fewer --workers, or a smaller time_step.",
        ) from None
    finally:
        _stop(pool)
    if failures:
        # The others are finished first: one bad configuration does not cost the rest.
        raise failures[0]


@contextmanager
def _workers_deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes that leave Ctrl-C to this one, which ends them; they inherit how a signal is treated."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _drain(reports: Any, progress: Progress) -> None:
    steps = 0
    try:
        while True:
            steps += reports.get_nowait()
    except Empty:
        progress.advance(steps)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once, also in the middle of a run: they write whole files only."""
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


_reports: Any = None


def _begin_worker(reports: Any) -> None:
    global _reports
    _reports = reports
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this worker when its parent is gone, even by kill -9: no orphan writes beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(task: Task, threads: int) -> None:
    simulate_sample(task, _reports.put, threads)
