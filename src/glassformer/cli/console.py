"""What a person sees: progress on a terminal, plain lines elsewhere, errors with their remedy."""

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column, Table

from glassformer.core.errors import GlassformerError

# Seconds between two plain lines of progress.
PLAIN_INTERVAL = 10.0

# Names of files are shown as they are, whatever is in them.
console = Console(highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

Function = TypeVar("Function", bound=Callable[..., Any])


class InterruptedByUserError(GlassformerError):
    """The user pressed Ctrl-C."""


def resumable(function: Function) -> Function:
    """Let a command end cleanly on Ctrl-C, saying that it can go on."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            raise InterruptedByUserError("stopped", "Run the same command again to go on from here.") from None

    return wrapper  # type: ignore[return-value]


def cores() -> int:
    """Return the number of cores that this process may use: by affinity, and by a container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed


def print_error(error: GlassformerError) -> None:
    """Print problem and remedy to stderr."""
    errors.print("error: ", style="bold red", end="")
    errors.print(error.problem, markup=False, soft_wrap=True)
    if error.remedy:
        errors.print(error.remedy, markup=False, soft_wrap=True)


class StageProgress:
    """A bar with rate and time left on a terminal; elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._plain = not console.is_terminal
        self._stage, self._unit, self._total, self._done, self._note = "", "", 1.0, 0.0, ""
        self._began = self._printed = 0.0

    def start(self, stage: str, total: float, unit: str) -> None:
        """Begin a stage."""
        self.stop()
        self._stage, self._unit, self._total, self._done, self._note = stage, unit, total, 0.0, ""
        self._began = self._printed = time.monotonic()
        if not self._plain:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=8)),
                BarColumn(bar_width=None, table_column=Column(min_width=8, ratio=1)),
                TaskProgressColumn(),
                TextColumn(
                    "{task.fields[state]}",
                    markup=False,
                    table_column=Column(no_wrap=True, overflow="ellipsis", ratio=3),
                ),
                console=console,
                expand=True,
            )
            self._bar.start()
            self._bar.add_task(stage, total=total, state="")

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount`; show it."""
        before, self._done = self._done, self._done + amount
        self._note = note or self._note
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=amount, state=self._state())
        elif self._plain and (time.monotonic() - self._printed > PLAIN_INTERVAL or self._done >= self._total > before):
            self._print()

    def expect(self, amount: float) -> None:
        """Let the stage be longer by `amount`."""
        if amount:
            # Also less, when some of it turns out to be there.
            self._total = max(1.0, self._total + amount)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], total=self._total, state=self._state())
            elif self._plain and self._done >= self._total:
                self._print()

    def say(self, text: str) -> None:
        """Print one line."""
        (self._bar.console if self._bar is not None else console).print(text, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Leave the last bar on the screen as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self) -> None:
        self._printed = time.monotonic()
        console.print(f"{self._stage} {self._done / self._total:4.0%}  {self._state()}", markup=False, soft_wrap=True)
        sys.stdout.flush()

    def _state(self) -> str:
        elapsed = time.monotonic() - self._began
        if elapsed < 1 or not self._done:
            return ""
        rate = self._done / elapsed
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" if rate >= 0.1 else f"{rate:.2g}"
        left = max(self._total - self._done, 0.0) / rate
        timing = f"{duration(left)} left" if left else f"took {duration(elapsed)}"
        return f"{timing}, {speed} {self._unit}/s" + (f"; {self._note}" if self._note else "")


@contextmanager
def progress() -> Iterator[StageProgress]:
    """Show progress, and put the terminal in order whatever happens."""
    stages = StageProgress()
    try:
        yield stages
    finally:
        stages.stop()


def duration(seconds: float) -> str:
    """Return '42 s', '3 min 05 s' or '2 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def print_table(headings: list[str], rows: list[list[str]], justify: list[JustifyMethod] | None = None) -> None:
    """Print a table that fits the terminal: first column left, the others to the right, or as `justify` says."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        default: JustifyMethod = "left" if index == 0 else "right"
        # A name that is cut cannot be typed.
        table.add_column(heading, justify=default if justify is None else justify[index], no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    console.print(table)
