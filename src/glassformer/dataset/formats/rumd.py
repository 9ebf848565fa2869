"""RUMD's configurations: `*.xyz.gz`, a line of numbers per particle under a header that names the columns and the box.

N. P. Bailey et al., SciPost Phys. 3, 038 (2017); http://rumd.org. The box is centred at the origin; types 0 = A, 1 = B.
"""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.dataset.formats.types import species_of
from glassformer.dataset.mixtures import shipped
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration, check_configuration

_EXPECTED = "Expected .xyz.gz with a header of columns=type,x,y,z,... and sim_box=RectangularSimulationBox,..."


@dataclass(frozen=True, eq=False)
class RumdFile:
    """What a file holds: the configuration, and all columns by name, each (N,), as they stand."""

    configuration: Configuration
    columns: dict[str, FloatArray]


def read_rumd(path: Path) -> RumdFile:
    """Return what the file `path` holds.

    After a leap-frog step the positions are one move ahead of the forces, energies and virials of the same file, which
    belong to x - v dt.
    Raises `DatasetError` or `ConfigurationError`, naming `path`.
    """
    whole = read_whole(path, DatasetError, "Check the path.")
    try:
        number, header, *lines = gzip.decompress(whole).decode().splitlines()
        table = np.loadtxt(lines, ndmin=2)
        names = _setting(header, "columns").split(",")
        kind, *edges = _setting(header, "sim_box").split(",")
        box = np.array(edges, np.float64)
        columns = dict(zip(names, table.T, strict=True))
        if kind != "RectangularSimulationBox" or box.shape != (3,) or len(table) != int(number):
            raise ValueError(f"a {kind} of {len(box)} edges and {len(table)} of {number} particles")
        positions = np.stack([columns[axis] for axis in "xyz"], 1) + box / 2
        types = columns["type"]
        if not (box > 0).all():
            raise ValueError(f"box edges {box.tolist()}")
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DatasetError(f"{path} is no RUMD configuration: {error}", _EXPECTED) from error
    if not np.isfinite(positions).all():
        bad = int((~np.isfinite(positions).all(1)).sum())
        raise DatasetError(f"{path}: the positions of {bad} particles are not finite numbers", "Leave the file out.")
    configuration = Configuration(wrap(positions, box), species_of(types, path), box)
    check_configuration(configuration, str(path))
    shipped("kob-andersen").check(configuration.species, str(path))
    return RumdFile(configuration, columns)


def _setting(header: str, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}=(\S+)", header)
    if found is None:
        raise ValueError(f"the header names no {name}")
    return found.group(1)
