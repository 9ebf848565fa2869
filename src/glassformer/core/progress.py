"""How long work reports its progress: to a terminal, a log, or nobody. The command line supplies the display."""

from typing import Protocol


class Progress(Protocol):
    """Receives what a stage has done."""

    def start(self, stage: str, total: float, unit: str) -> None:
        """Start a stage of `total` units of work; with an empty `unit` its rate means nothing to a reader."""

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount` units; `note` describes the state after them."""

    def expect(self, amount: float) -> None:
        """Add `amount` units to the work of the stage; a negative amount takes them off."""

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
