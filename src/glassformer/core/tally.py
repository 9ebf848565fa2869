"""How far tasks have come that other processes do."""

from collections.abc import Mapping
from typing import Protocol

from glassformer.core.progress import Progress

# Writing a task's file, in the unit of its work: so that nothing is complete before its file is.
FILE = 1.0


class Listener(Protocol):
    """Is told how tasks get on, by their names."""

    def report(self, name: str, done: float, more: float) -> None:
        """Take the work that was done and how much more there is than expected."""

    def finish(self, name: str) -> None:
        """Take that it is done."""

    def fail(self, name: str, reason: str) -> None:
        """Take that it failed."""

    def say(self, text: str) -> None:
        """Print one line."""


class Tally:
    """Counts the work of tasks that other processes do, so that the bar is full when the last file is written."""

    def __init__(self, progress: Progress, work: Mapping[str, float], what: str = "simulate") -> None:
        self._progress, self._left = progress, {name: amount + FILE for name, amount in work.items()}
        progress.start(what, sum(self._left.values()), "")

    def report(self, name: str, done: float, more: float) -> None:
        """Take a report of the task `name`: `done` was done, and `more` turned up. One that comes late is ignored."""
        if name in self._left:
            self._left[name] += more - done
            self._progress.expect(more)
            self._progress.advance(done)

    def finish(self, name: str) -> None:
        """Count the task `name` as done, whatever its reports said so far."""
        left = self._left.pop(name)
        self._progress.advance(left, f"{name} done{self._to_go()}")

    def fail(self, name: str, reason: str) -> None:
        """Take what is left of the task `name` off the work, and say why."""
        left = self._left.pop(name)
        self._progress.say(f"{name} failed: {reason}")
        self._progress.advance(0, f"{name} failed{self._to_go()}")
        self._progress.expect(-left)

    def say(self, text: str) -> None:
        """Print one line."""
        self._progress.say(text)

    def _to_go(self) -> str:
        return f", {len(self._left)} to go" if self._left else ""
