"""Samples become files of other codes, one file a sample, in folders called by the state points."""

from collections.abc import Callable, Sequence
from pathlib import Path

from glassformer.core.errors import DatasetError
from glassformer.core.files import write_atomically
from glassformer.core.layout import file_name
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.writers.columns import Structure, structure_of
from glassformer.dataset.writers.gsd import gsd
from glassformer.dataset.writers.npz import npz
from glassformer.dataset.writers.text import extended_xyz, lammps_dump

# Of every format the suffix of its files, and their contents: a frame for each structure. Arrays are those of the first
# structure, and of the draws of its sample.
FORMATS: dict[str, tuple[str, Callable[[Sequence[Structure], Sample], bytes]]] = {
    "extxyz": (".extxyz", lambda structures, sample: b"".join(map(extended_xyz, structures))),
    "gsd": (".gsd", lambda structures, sample: gsd(structures)),
    "lammps": (".lammpstrj", lambda structures, sample: b"".join(map(lammps_dump, structures))),
    "npz": (".npz", lambda structures, sample: npz(structures[0], sample)),
}


def export(samples: Sequence[Sample], to: str, out: Path, predictions: Predictions | None = None) -> list[Path]:
    """Write every sample to a file '<out>/<state point>/<name>' in the format `to`, and return the files.

    `structure_of` says which columns particles get. Raises `DatasetError` for a format that is not known or two
    samples of one name, `PredictionError` for predictions of other structures, `StorageError`.
    """
    if to not in FORMATS:
        raise DatasetError(f"got the format '{to}'; expected one of {', '.join(FORMATS)}", "For example --to extxyz.")
    suffix, contents = FORMATS[to]
    paths = []
    for sample in samples:
        state_point = sample.facts.state_point
        name = sample.identifier.removeprefix(f"{state_point}/")
        paths.append(out / file_name(state_point) / f"{file_name(name)}{suffix}")
    if len(set(paths)) < len(paths):
        raise DatasetError("two samples have the same name", "Keep them in different datasets.")
    structures = [structure_of(sample, predictions) for sample in samples]
    for sample, structure, path in zip(samples, structures, paths, strict=True):
        write_atomically(path, contents([structure], sample))
    return paths
