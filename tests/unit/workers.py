"""What the processes of a test do, apart from the tests: each process imports this file, which should be quick."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from glassformer.core.errors import DatasetError
from glassformer.core.progress import Progress


def fails_in_the_second(task: Any, progress: Progress, rank: int, processes: int) -> None:
    if rank == 1:
        raise DatasetError("this cannot be", "Do something else.")
    time.sleep(60)


def crashes(task: Any, progress: Progress, rank: int, processes: int) -> None:
    if rank == 1:
        raise ZeroDivisionError("somewhere")
    time.sleep(60)


def dies(task: Any, progress: Progress, rank: int, processes: int) -> None:
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def complains_of_a_death(task: Any, progress: Progress, rank: int, processes: int) -> None:
    if rank == 1:
        # As gloo does, when its peer is gone.
        raise RuntimeError("Connection closed by peer")
    os.kill(os.getpid(), signal.SIGKILL)


def reports(task: Path, progress: Progress, rank: int, processes: int) -> None:
    (task / f"{os.getpid()}").touch()
    progress.start("train", 10, "epochs")
    progress.expect(-2)
    progress.say("hello")
    progress.advance(1, "first")
    if rank == 1:
        return
    time.sleep(0.1 if processes == 2 else 60)
    progress.advance(1, "second")
