"""Tasks in their order; those that other runs are making stand aside until these have made or left them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from glassformer.core.lock import Owner, rival

# Seconds between two looks at what others hold, and how many of those are looked at.
PATIENCE, LOOKS = 2.0, 32


class Task(Protocol):
    """A task."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def lock(self) -> Path | None:
        """The lock that it will take, if any."""


class Queue:
    """Tasks that are left to do; `say` is told whom they wait for."""

    def __init__(self, tasks: Sequence[Task], say: Callable[[str], None]) -> None:
        self._left, self._held = deque(tasks), deque[Task]()
        self._say, self._said = say, False
        self._looked = 0.0

    def __bool__(self) -> bool:
        return bool(self._left or self._held)

    def next(self) -> Task | None:
        """Return the next task that nobody holds, as far as can be told; None if there is none at the moment."""
        while self._left:
            task = self._left.popleft()
            owner = None if task.lock is None else rival(task.lock)
            if owner is None:
                return task
            self.defer(task, owner)
        self._look_again()
        return self._left.popleft() if self._left else None

    def again(self, task: Task) -> None:
        """Put `task` back: it is to be done again."""
        self._left.append(task)

    def defer(self, task: Task, owner: Owner | None) -> None:
        """Put `task` aside, which `owner` holds."""
        self._held.append(task)
        self._looked = time.monotonic()
        if not self._said:
            self._said = True
            self._say(f"{task.name} is being made by another run ({owner or 'unknown'}): the runs share the work")

    def _look_again(self) -> None:
        """Take up, every few seconds, what is held no more: finished, or left by a run that has ended."""
        if time.monotonic() - self._looked < PATIENCE:
            return
        self._looked = time.monotonic()
        for _ in range(min(LOOKS, len(self._held))):
            task = self._held.popleft()
            free = task.lock is None or rival(task.lock) is None
            (self._left if free else self._held).append(task)
