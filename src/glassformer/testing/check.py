"""All properties of one network, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from glassformer.core.errors import NetworkError
from glassformer.core.network_settings import NetworkSettings
from glassformer.network.own import failed
from glassformer.testing.properties import PROPERTIES
from glassformer.testing.subject import Subject


@dataclass(frozen=True)
class Outcome:
    """A property and whether it holds, None if the settings do not promise it; `problem` and `remedy` if not."""

    name: str
    holds: bool | None
    problem: str = ""
    remedy: str = ""


def check_network(settings: NetworkSettings) -> Iterator[Outcome]:
    """Yield the outcome of every property, each on a new network.

    Raises `NetworkError` if the network cannot even be made: then there is nothing to test.
    """
    Subject.of(settings)
    before = torch.are_deterministic_algorithms_enabled()
    # As in training.
    torch.use_deterministic_algorithms(True)
    try:
        for name, one in PROPERTIES.items():
            if not one.applies(settings):
                yield Outcome(name, None)
                continue
            try:
                one.check(Subject.of(settings))
            except NetworkError as error:
                yield Outcome(name, False, error.problem, error.remedy)
            except Exception as error:
                told = failed("the network failed", error)
                yield Outcome(name, False, told.problem, told.remedy)
            else:
                yield Outcome(name, True)
    finally:
        torch.use_deterministic_algorithms(before)
