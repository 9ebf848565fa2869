"""How long work reports on itself: to a terminal, a log, or nobody. The command line supplies the display."""

from typing import Protocol


class Progress(Protocol):
    """Receives what a stage has done."""

    def start(self, stage: str, total: float, unit: str) -> None:
        """Begin a stage of `total` units of work."""

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount` units; `note` says how it stands."""

    def expect(self, amount: float) -> None:
        """Take it that the stage has `amount` more units of work than was said."""

    def say(self, text: str) -> None:
        """Print one line."""


class Silent:
    """The progress of a library call: nothing is shown."""

    def start(self, stage: str, total: float, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: float, note: str = "") -> None:
        """Ignore it."""

    def expect(self, amount: float) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""
