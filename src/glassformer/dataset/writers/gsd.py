"""Structures in the files of HOOMD-blue, in single precision as these are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassformer.core.memory_file import file_in_memory, read_all
from glassformer.dataset.readers.gsd import gsd_package
from glassformer.dataset.writers.columns import Structure


def gsd(structures: Sequence[Structure]) -> bytes:
    """Return a GSD file with a frame for each structure; columns are logged quantities, such as particles/propensity_1,
    and so are facts that are numbers.

    Raises `DatasetError` if the package gsd is not installed.
    """
    package = gsd_package().hoomd
    with file_in_memory() as (descriptor, name):
        with package.open(name, "w") as file:
            for structure in structures:
                file.append(_frame(structure, package.Frame()))
        return read_all(descriptor)


def _frame(structure: Structure, frame: Any) -> Any:
    configuration = structure.configuration
    flat = configuration.dimension == 2
    frame.configuration.box = [*configuration.box[:2], 0 if flat else configuration.box[2], 0, 0, 0]
    frame.configuration.dimensions = configuration.dimension
    # Negative steps, which LAMMPS may have, are not written.
    frame.configuration.step = max(0, structure.step or 0)
    frame.particles.N = configuration.particles
    frame.particles.types = list(structure.species)
    frame.particles.typeid = configuration.species.astype(np.uint32)
    centred = configuration.positions - configuration.box / 2 * (1, 1, 0 if flat else 1)
    frame.particles.position = centred.astype(np.float32)
    frame.log = {f"particles/{name}": values for name, values in structure.columns.items()}
    # The log holds numbers only.
    frame.log |= {name: np.array([value]) for name, value in structure.facts.items() if not isinstance(value, str)}
    return frame
