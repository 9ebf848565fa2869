"""What a person sees: progress on a terminal, plain lines elsewhere, errors with their remedy."""

import functools
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from glassformer.cli.streams import LogStream
from glassformer.core.checksum import OlderFileWarning
from glassformer.core.errors import GlassformerError
from glassformer.core.network_kinds import OtherCodeWarning
from glassformer.core.progress import Progress as Receiver
from glassformer.core.progress import Silent
from glassformer.core.signals import StopRequested
from glassformer.core.text import read_text
from glassformer.core.walltime import stopped_in_time

# Seconds between two plain lines of progress.
PLAIN_INTERVAL = 10.0

# Columns and lines below which a terminal's size is not believed: COLUMNS=0 means that it is not known.
LEAST_SIZE = 20
# Columns that a column of text, such as what a campaign is, needs to be readable.
LEAST_TEXT = 18
# Part of the total that rounding may leave when all parts are done.
ROUNDING = 1e-9


def _forget_useless_sizes() -> None:
    """Remove COLUMNS and LINES from the environment where nothing could be printed in them, the help included."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if size.strip() and not (size.isdecimal() and int(size) >= LEAST_SIZE):
            del os.environ[name]


_forget_useless_sizes()
# Labels, paths and messages are printed as they are: none of them is markup or an emoji, whatever it holds.
console = Console(highlight=False, markup=False, emoji=False)
# Progress: a log that is lost, as when the terminal has gone, does not stop the work.
log = Console(file=LogStream(), highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

CONTINUE = "Finished work is saved. Run the same command again to continue."
NOTHING = (
    "Nothing was written. To keep inherent structures and cages, import the file first: glassformer import FILE --out"
    " DATASET."
)
Function = TypeVar("Function", bound=Callable[..., Any])


class InterruptedByUserError(GlassformerError):
    """The user pressed Ctrl-C, closed the terminal or stopped the process."""


class WalltimeError(GlassformerError):
    """The run stopped itself before the end of its walltime: the same command continues."""

    # EX_TEMPFAIL: it is not done, and is to be tried again.
    exit_code = os.EX_TEMPFAIL


def resumable(function: Function) -> Function:
    """Let a command end cleanly on Ctrl-C, or before its SLURM job ends, and say that the same command continues."""

    @functools.wraps(function)
    def in_time(*args: Any, **kwargs: Any) -> Any:
        with stopped_in_time():
            return function(*args, **kwargs)

    return _ending_with(CONTINUE, in_time)  # type: ignore[return-value]


def stoppable(function: Function) -> Function:
    """Let a command that keeps nothing before its end, end cleanly on Ctrl-C, and say so."""
    return _ending_with(NOTHING, function)


def _ending_with(remedy: str, function: Function) -> Function:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except StopRequested as stop:
            if stop.in_time:
                raise WalltimeError("stopped before the end of the walltime", remedy) from None
            raise InterruptedByUserError(f"stopped by {stop.name}", remedy) from None
        except KeyboardInterrupt:
            raise InterruptedByUserError("stopped", remedy) from None

    return wrapper  # type: ignore[return-value]


def print_error(error: GlassformerError) -> None:
    """Print problem and remedy to stderr."""
    errors.print("error: ", style="bold red", end="")
    errors.print(error.problem, soft_wrap=True)
    if error.remedy:
        errors.print(error.remedy, soft_wrap=True)


class _Quiet:
    """Whether progress and notes are left out."""

    on = False


def set_quiet(quiet: bool) -> None:
    """Leave out progress and notes from now on, or print them; results, warnings and errors are printed always."""
    _Quiet.on = quiet


def print_note(text: str) -> None:
    """Print one line to stderr, unless only results are wanted."""
    if _Quiet.on:
        return
    errors.print(f"note: {text}", soft_wrap=True)


def show_notices() -> None:
    """Print the package's own warnings as a plain line, the first of each kind."""
    show, seen = warnings.showwarning, set[type[Warning]]()

    def plain(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, OlderFileWarning | OtherCodeWarning):
            show(message, category, *where, **more)
        elif category not in seen:
            seen.add(category)
            print_note(str(message))

    warnings.showwarning = plain


def print_remark(text: str) -> None:
    """Print what was assumed of a file, such as the species of its types, unless only results are wanted."""
    if not _Quiet.on:
        console.print(text, style="dim", soft_wrap=True)


class _OnlyProblems(Silent):
    """The progress where only results are wanted: warnings and failures still go to stderr."""

    def say(self, text: str) -> None:
        """Print a warning or a failure."""
        if text.startswith("warning: ") or " failed" in text.lower():
            errors.print(text, soft_wrap=True)


def print_file(path: Path) -> None:
    """Print the text file `path` as it is. Raises `SettingsError`."""
    print(read_text(path), end="")


class StageProgress:
    """A bar with the time left on a terminal; elsewhere a line every ten seconds. With a unit, also a rate.

    The first step of a stage may include compilation: the time left follows from what was done after it, once that has
    taken as long as the first step.
    """

    def __init__(self, where: Console = log) -> None:
        self._bar: Progress | None = None
        self._where, self._plain = where, not where.is_terminal
        self._stage, self._unit, self._total, self._done, self._note = "", "", 1.0, 0.0, ""
        self._began = self._printed = 0.0
        # Time and amount at the end of the first step.
        self._first: tuple[float, float] | None = None

    def start(self, stage: str, total: float, unit: str) -> None:
        """Start a stage."""
        self.stop()
        self._stage, self._unit, self._total, self._done, self._note = stage, unit, total, 0.0, ""
        self._began = self._printed = time.monotonic()
        self._first = None
        if not self._plain:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=8)),
                BarColumn(bar_width=None, table_column=Column(min_width=8, ratio=1)),
                TextColumn("{task.fields[percent]}", markup=False, table_column=Column(no_wrap=True)),
                TextColumn(
                    "{task.fields[state]}",
                    markup=False,
                    table_column=Column(no_wrap=True, overflow="ellipsis", ratio=3),
                ),
                console=self._where,
                expand=True,
            )
            self._bar.start()
            self._bar.add_task(stage, total=total, state="", percent=self._percent())

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount`; show it."""
        was_whole, self._done = self._whole(), self._done + amount
        if self._first is None and amount > 0:
            self._first = time.monotonic(), self._done
        self._note = note or self._note
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=amount, state=self._state(), percent=self._percent())
        elif self._plain and (time.monotonic() - self._printed > PLAIN_INTERVAL or (self._whole() and not was_whole)):
            self._print()

    def expect(self, amount: float) -> None:
        """Let the stage be longer by `amount`, or shorter where it is negative."""
        if amount:
            self._total = max(1.0, self._total + amount)
            if self._bar is not None:
                task = self._bar.task_ids[0]
                self._bar.update(task, total=self._total, state=self._state(), percent=self._percent())
            elif self._plain and self._whole():
                self._print()

    def say(self, text: str) -> None:
        """Print one line."""
        (self._bar.console if self._bar is not None else self._where).print(text, soft_wrap=True)

    def stop(self) -> None:
        """Leave the last bar on the screen as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self) -> None:
        self._printed = time.monotonic()
        self._where.print(f"{self._stage} {self._percent()}  {self._state()}", soft_wrap=True)
        self._where.file.flush()

    def _whole(self) -> bool:
        """Tell whether everything is done, to rounding."""
        return self._done >= self._total * (1 - ROUNDING)

    def _percent(self) -> str:
        """Return ' 42%': 100 % only when nothing is left."""
        return f"{100 if self._whole() else int(min(99, 100 * self._done / self._total)):3d}%"

    def _state(self) -> str:
        now = time.monotonic()
        elapsed = now - self._began
        if elapsed < 1 or self._first is None:
            return ""
        when, amount = self._first
        since, done = now - when, self._done - amount
        if self._whole():
            timing, rate = f"took {duration(elapsed)}", self._done / elapsed
        elif done > 0 and since >= when - self._began:
            rate = done / since
            timing = f"{duration((self._total - self._done) / rate)} left"
        else:
            return self._note
        rated = f"{timing}, {_speed(rate, self._unit)}" if self._unit else timing
        return rated + (f"; {self._note}" if self._note else "")


def _speed(rate: float, unit: str) -> str:
    """Return '12 structures/s', or below one per second '26 s per structure'."""
    if rate >= 1:
        return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"
    each = 1 / rate
    return f"{f'{each:.1f} s' if each < 10 else duration(each)} per {unit.removesuffix('s')}"


@contextmanager
def progress(on_stderr: bool = False) -> Iterator[Receiver]:
    """Show progress, unless only results are wanted, and put the terminal in order whatever happens."""
    if _Quiet.on:
        yield _OnlyProblems()
        return
    stages = StageProgress(errors) if on_stderr else StageProgress()
    try:
        yield stages
    finally:
        stages.stop()


def duration(seconds: float) -> str:
    """Return '42 s', '3 min 05 s', '2 h 10 min' or '5 days'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 3 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{round(whole / 86400)} days"


def number(value: float, decimals: int, signed: bool = False) -> str:
    """Return `value`, always with its sign if `signed`, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:{'+' if signed else ''}.{decimals}f}"


def print_table(headings: list[str], rows: list[list[str]], justify: list[JustifyMethod] | None = None) -> None:
    """Print a table: first column left, the others to the right, or as `justify` says.

    Where the terminal is too narrow for it, every row becomes a list of headings and values instead: a number or a
    name that is cut cannot be read.
    """
    sides: list[JustifyMethod] = justify or ["left", *["right"] * (len(headings) - 1)]  # type: ignore[list-item]
    if _width(headings, rows, sides, broken=True) > console.width:
        _print_records(headings, rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    crowded = _width(headings, rows, sides, broken=False) > console.width
    for index, (heading, side) in enumerate(zip(headings, sides, strict=True)):
        # Broken by hand: rich, when short of space, cuts words where other columns could give way.
        text = heading.replace(" ", "\n") if crowded and not _is_text(index, sides) else heading
        table.add_column(text, justify=side, no_wrap=not _is_text(index, sides))
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_columns(headings: list[str], rows: list[list[str]], names: int = 1) -> None:
    """Print a table whose first `names` columns say what a row is; the others are numbers.

    Where the terminal is too narrow for it, the table is repeated with as many of the numbers as there is room for.
    """

    def part(columns: list[int]) -> tuple[list[str], list[list[str]]]:
        chosen = [*range(names), *columns]
        return [headings[one] for one in chosen], [[row[one] for one in chosen] for row in rows]

    def fits(columns: list[int]) -> bool:
        sides: list[JustifyMethod] = ["left", *["right"] * (names + len(columns) - 1)]  # type: ignore[list-item]
        return _width(*part(columns), sides, broken=True) <= console.width

    parts: list[list[int]] = [[]]
    for column in range(names, len(headings)):
        if parts[-1] and not fits([*parts[-1], column]):
            parts.append([])
        parts[-1].append(column)
    if not all(map(fits, parts)):
        # Not even one number fits beside the names.
        parts = [list(range(names, len(headings)))]
    for number, columns in enumerate(parts):
        if number:
            console.print()
        print_table(*part(columns))


def _width(headings: list[str], rows: list[list[str]], sides: list[JustifyMethod], broken: bool) -> int:
    """Return the width that the table needs: with `broken`, headings and texts break between words."""
    widths = []
    for index, heading in enumerate(headings):
        cells = max((cell_len(row[index]) for row in rows), default=0)
        if broken and _is_text(index, sides):
            cells = min(cells, LEAST_TEXT)
        widths.append(max(cells, *map(cell_len, heading.split() if broken and heading else [heading])))
    return sum(widths) + 2 * (len(widths) - 1)


def _is_text(index: int, sides: list[JustifyMethod]) -> bool:
    """Tell whether a column holds texts, which may break between words, and not names or numbers."""
    return index > 0 and sides[index] == "left"


def _print_records(headings: list[str], rows: list[list[str]]) -> None:
    """Print each row as its first cell, and below it a line for every other cell that is not empty."""
    console.print(headings[0], style="bold")
    for row in rows:
        console.print(row[0], soft_wrap=True)
        pairs = Table(box=None, show_header=False, pad_edge=False)
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            if cell:
                pairs.add_row(heading, cell)
        console.print(Padding(pairs, (0, 0, 0, 2)))
