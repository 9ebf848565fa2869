"""Tasks on whatever Parsl reaches: processes of a workstation, jobs of a cluster, nodes with GPUs.

Parsl starts, watches and ends the workers. What is done, and by whom, is decided by the files and their locks alone, as
on one machine: results are the same bytes, and runs with and without Parsl share a campaign.
Y. Babuji et al., Proceedings of HPDC 2019, 25 (2019).
"""

import concurrent.futures
import os
import queue
import runpy
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import Any

from glassformer.core.errors import EngineError, FullDiskError, GlassformerError, SettingsError
from glassformer.core.failures import describe, named
from glassformer.core.lock import HeldError, release_all
from glassformer.core.parsl_blocks import Blocks, executor_error
from glassformer.core.pool import POLL
from glassformer.core.tally import Listener
from glassformer.core.task_queue import Queue, Task

# What a worker of Parsl does with a task; it is sent there, so it is a function of a module, or partial of one.
Remote = Callable[[Any], Any]
# How tasks are done elsewhere: what is done with each, the tasks, tally, and a check to call several times a second;
# returns results and failures by the names of the tasks.
Runner = Callable[[Remote, Sequence[Task], Listener, Callable[[], None]], tuple[dict[str, Any], dict[str, Exception]]]

# Times that a task is begun again whose worker or node was lost.
ATTEMPTS = 5
# Tasks given to Parsl at a time: it has enough to keep every worker busy, and the rest can be made by other runs.
AHEAD = 2000


def ready_configs() -> dict[str, Path]:
    """Return the Parsl configurations that ship with the package, by name."""
    folder = Path(str(resources.files("glassformer").joinpath("presets", "parsl")))
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def config_file(source: str) -> Path:
    """Return the file that `source` names: a configuration that ships, or a file. Raises `SettingsError`."""
    ready = ready_configs()
    if source not in ready and not Path(source).is_file():
        raise SettingsError(f"there is no file {source}", f"These configurations ship: {', '.join(ready)}.")
    return ready.get(source, Path(source))


def load_config(path: Path) -> Any:
    """Return the `config` that the Python file `path` makes. Raises `SettingsError`.

    Executors that leave Parsl's default for blocks that fail get a `Blocks`.
    """
    try:
        from parsl.config import Config
    except ImportError as error:
        raise SettingsError(
            f"Parsl cannot be imported: {error}",
            "Install it: pip install 'glassformer[parsl]'. Check that no file or folder called parsl hides it.",
        ) from None
    try:
        config = runpy.run_path(str(path)).get("config")
    except Exception as error:
        raise SettingsError(f"{path}: {type(error).__name__}: {error}", "Correct the file.") from error
    if not isinstance(config, Config):
        raise SettingsError(f"{path} defines no Parsl configuration", "It must end with config = parsl.Config(...).")
    from parsl.jobs.error_handlers import simple_error_handler

    executors: Sequence[Any] = config.executors
    for executor in executors:
        if getattr(executor, "block_error_handler", None) is simple_error_handler:
            executor.block_error_handler = Blocks()
    return config


def run_on_parsl(
    path: Path, work: Remote, tasks: Sequence[Task], tally: Listener, check: Callable[[], None]
) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Call `work(task)` for each of `tasks` on the workers of the Parsl configuration in the file `path`.

    Returns and raises as `core.pool.run_tasks` does. A task whose worker, node or job is lost is begun again, from its
    last checkpoint, at most `ATTEMPTS` times. Raises `EngineError` if no workers can be started any more.
    """
    # Parsl uses a configuration once.
    config = load_config(path)
    handlers = [getattr(executor, "block_error_handler", None) for executor in config.executors]
    blocks = [handler for handler in handlers if isinstance(handler, Blocks)]
    with _loaded(config) as call:
        coordinator = Coordinator(partial(call, work), tasks, tally, blocks)
        while coordinator.unfinished:
            coordinator.watch(POLL)
            check()
    return coordinator.results, coordinator.failures


def _call(work: Remote, task: Any) -> Any:
    """Do a task in a worker of Parsl."""
    _free_locks_on_signals()
    try:
        return work(task)
    except (GlassformerError, HeldError):
        raise
    except Exception as error:
        error.add_note(traceback.format_exc())
        raise


def _free_locks_on_signals() -> None:
    """Let a worker that a job's end stops give back its locks first: other nodes need not wait for them."""

    def stop(number: int, frame: FrameType | None) -> None:
        release_all()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


@contextmanager
def _loaded(config: Any) -> Iterator[Callable[..., Any]]:
    """Start Parsl; yield the app. At the end, whatever ended it, its jobs are cancelled."""
    import parsl

    with tempfile.TemporaryDirectory(prefix="glassformer-parsl-") as folder:
        if config.run_dir == "runinfo":
            # Parsl's default, in whatever folder one is.
            config.run_dir = folder
        # Its programs lie beside Python, which need not be on the path; jobs inherit it.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        kernel = parsl.load(config)
        try:
            yield parsl.python_app(_call, data_flow_kernel=kernel)
        finally:
            kernel.cleanup()
            parsl.clear()


class Coordinator:
    """What Parsl was given, what is left, and what has failed.

    `call(task)` gives it a task and returns a future. `blocks` are told of tasks that come to their end.
    """

    def __init__(
        self, call: Callable[[Any], Any], tasks: Sequence[Task], tally: Listener, blocks: Sequence[Blocks] = ()
    ) -> None:
        self._call, self._tally, self._blocks = call, tally, blocks
        self._left = Queue(tasks, tally.say)
        self._running: dict[concurrent.futures.Future[Any], Task] = {}
        self._done: queue.SimpleQueue[concurrent.futures.Future[Any]] = queue.SimpleQueue()
        self._begun: dict[str, int] = {}
        # What was made of tasks that are not done, since other runs held the rest.
        self._made_before: dict[str, int] = {}
        self.results: dict[str, Any] = {}
        self.failures: dict[str, Exception] = {}

    @property
    def unfinished(self) -> bool:
        """Whether anything is being done or left."""
        return bool(self._running or self._left)

    def watch(self, seconds: float) -> None:
        """Give Parsl what it can take, and hear for so long what has been done. Raises as `run_on_parsl` does."""
        self.give()
        for line in (line for one in self._blocks for line in one.notes()):
            self._tally.say(line)
        # Until something is done, or while all that is left is held by other runs.
        with suppress(queue.Empty):
            self._hear(self._done.get(timeout=seconds))
            while True:
                self._hear(self._done.get_nowait())

    def give(self) -> None:
        """Give Parsl what it can take."""
        while len(self._running) < AHEAD and (task := self._left.next()) is not None:
            future = self._call(task)
            self._running[future] = task
            # Looking at every future each time would take longer than all the rest.
            future.add_done_callback(self._done.put)

    def _hear(self, future: "concurrent.futures.Future[Any]") -> None:
        task = self._running.pop(future)
        error = future.exception()
        if (ended := executor_error(error)) is not None:
            raise ended from None
        if not _is_loss(error):
            for one in self._blocks:
                one.worked()
        if error is None:
            before = self._made_before.pop(task.name, 0)
            self.results[task.name] = future.result() + before if before else future.result()
            self._tally.finish(task.name)
        elif isinstance(error, HeldError):
            self._made_before[task.name] = self._made_before.get(task.name, 0) + error.made
            self._left.defer(task, error.owner)
        elif isinstance(error, FullDiskError):
            raise named(task.name, error) from None
        elif _is_loss(error) and self._begun.get(task.name, 0) < ATTEMPTS:
            self._begun[task.name] = self._begun.get(task.name, 0) + 1
            self._tally.say(f"{task.name}: {error}; it continues elsewhere")
            self._left.again(task)
        else:
            known = EngineError(str(error), "See the output of the jobs.") if _is_loss(error) else error
            assert isinstance(known, Exception)
            self.failures[task.name] = known
            self._tally.fail(task.name, describe(known))


def _is_loss(error: BaseException | None) -> bool:
    """Tell whether a task failed because its worker, its node or its job ended."""
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    return isinstance(error, ManagerLost | WorkerLost)
