"""Configurations to start from: those of a folder, in the order of the files' names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glassformer.core.errors import DatasetError
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.readers.botan import read_botan
from glassformer.dataset.readers.rumd import read_rumd
from glassformer.physics.configuration import Configuration
from glassformer.physics.signature import first_of_each


@dataclass(frozen=True, eq=False)
class Start:
    """A configuration to start from; `end_of`: the fingerprint of the one where a draw began that ends in it, if so."""

    configuration: Configuration
    end_of: str | None = None


def read_starts(folder: Path) -> list[Start]:
    """Return the configurations of a dataset, or of a folder of BOTAN's .npz or RUMD's .xyz.gz files.

    Each structure is returned once: BOTAN's data have a file for every observation time of a configuration.
    Raises `DatasetError` or `ConfigurationError`, naming the file at fault.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder} to start from", "Correct equilibration.start_from.")
    if files := sorted(folder.glob("*.npz")):
        return _different([read_botan(path).first for path in files])
    if files := sorted(folder.glob("*.xyz.gz")):
        return _different([read_rumd(path).first for path in files])
    samples = read_dataset(folder)
    labels = sorted({sample.facts.state_point for sample in samples})
    if len(labels) > 1:
        raise DatasetError(
            f"{folder} holds several state points: {', '.join(labels)}",
            "Give a dataset with a single one: copy the configurations to start from to a folder of their own.",
        )
    return [Start(sample.configuration, sample.origin or sample.facts.end_of) for sample in samples]


def _different(configurations: Sequence[Configuration]) -> list[Start]:
    first = first_of_each([configuration.signature for configuration in configurations])
    return [Start(configurations[number]) for number in dict.fromkeys(first)]
