"""The isoconfigurational data of BOTAN: `isoconfig_N4096T0.44_<number>_tc<index>.npz`.

H. Shiba, M. Hanai, T. Suzumura and T. Shimokawabe, J. Chem. Phys. 158, 084503 (2023); https://github.com/h3-Open-BDEC/pyg_botan.
A file holds `types` (N,) 0 = A and 1 = B, `initial_positions` (N, 3), and `positions` (32, N, 3), where the draws are
at the end, unwrapped. The box is not in it: a cube of number density 1.2. The name has the temperature, and an index
of the time, which is tau_alpha = 4120 for T = 0.44 and index 7.
"""

import re
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.contents import Contents, Draws, Origin, Trajectory
from glassformer.dataset.readers.npz import read_npz, real
from glassformer.dataset.readers.types import species_of
from glassformer.dataset.readers.unwrapped import check_ends
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration, check_configuration

FORMAT = "BOTAN npz"
ARRAYS = ("types", "initial_positions", "positions")
SOURCE = "H. Shiba et al., J. Chem. Phys. 158, 084503 (2023)"
DENSITY = 1.2
_NAME = re.compile(r"isoconfig_N\d+T(\d\.\d+)_\d+_tc(\d+)\.npz")
# Times by temperature and index, where they are known.
_TIMES = {("0.44", 7): 4120.0}


def read_botan(path: Path) -> Contents:
    """Return the configuration and its draws at one time. Raises `DatasetError` or `ConfigurationError`, naming it."""
    try:
        arrays = read_npz(path, ARRAYS)
        types = arrays["types"]
        start, end = (real(arrays[name], name) for name in ("initial_positions", "positions"))
    except ValueError as error:
        raise DatasetError(
            f"{path} is not a BOTAN file: {error}", "Expected an .npz with types, initial_positions and positions."
        ) from error
    if (
        types.ndim != 1
        or start.shape != (len(types), 3)
        or end.ndim != 3
        or end.shape[1:] != start.shape
        or not len(end)
    ):
        raise DatasetError(
            f"{path}: got shapes {types.shape}, {start.shape} and {end.shape}; expected (N,), (N, 3), (D, N, 3)",
            "At least one draw is required.",
        )
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    configuration = Configuration(wrapped(start, box), species_of(types, path), box)
    check_configuration(configuration, str(path))
    shipped("kob-andersen").check(configuration.species, str(path))
    with np.errstate(over="ignore", invalid="ignore"):
        displacements = end - start
    check_ends(end, displacements, box, path)
    named = _NAME.fullmatch(path.name)
    time = _TIMES.get((named[1], int(named[2]))) if named else None
    return Contents(
        path, FORMAT, ("0", "1"), configuration.species,
        Trajectory(configuration.positions[None], box[None], unwrapped=False),
        draws=Draws(displacements[:, None], None if time is None else np.array([time])),
        origin=Origin("kob-andersen", float(named[1]) if named else None, SOURCE, "Apache-2.0"),
    )  # fmt: skip


def wrapped(positions: FloatArray, box: FloatArray) -> FloatArray:
    """Return `positions` (N, 3) in [0, L). What is not finite stays so, and is refused with the configuration."""
    with np.errstate(invalid="ignore"):
        return wrap(positions, box)
