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


class Part:
    """The progress of one among several that share a stage: it begins none, and says its name."""

    def __init__(self, whole: Progress, name: str) -> None:
        self._whole, self._name = whole, name

    def start(self, stage: str, total: float, unit: str) -> None:
        """It has begun already."""

    def advance(self, amount: float, note: str = "") -> None:
        """Pass it on, with the name."""
        self._whole.advance(amount, f"{self._name}: {note}" if note else "")

    def expect(self, amount: float) -> None:
        """Pass it on."""
        self._whole.expect(amount)

    def say(self, text: str) -> None:
        """Pass it on, with the name."""
        self._whole.say(f"{self._name}: {text}")
