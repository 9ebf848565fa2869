"""The isoconfigurational data of BOTAN: `isoconfig_N4096T0.44_<number>_tc<index>.npz`.

H. Shiba, M. Hanai, T. Suzumura and T. Shimokawabe, J. Chem. Phys. 158, 084503 (2023); https://github.com/h3-Open-BDEC/pyg_botan.
A file holds `types` (N,) 0 = A and 1 = B, `initial_positions` (N, 3), and `positions` (32, N, 3), where the draws are
at the end, unwrapped. The box is not in it: a cube of number density 1.2.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration, check_configuration

DENSITY = 1.2


def read_botan(path: Path) -> tuple[Configuration, FloatArray]:
    """Return the configuration and the displacements (D, N, 3) of its draws.

    Raises `DatasetError` or `ConfigurationError`, naming `path`.
    """
    whole = read_whole(path, DatasetError, "Check the path.")
    try:
        with np.load(io.BytesIO(whole), allow_pickle=False) as file:
            types, start, end = (file[name] for name in ("types", "initial_positions", "positions"))
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} is no BOTAN file: {error}", "Expected an .npz with types, initial_positions and positions."
        ) from error
    if start.shape != (len(types), 3) or end.shape[1:] != start.shape:
        raise DatasetError(
            f"{path}: got shapes {types.shape}, {start.shape} and {end.shape}; expected N, (N, 3), (D, N, 3)"
        )
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    start = start.astype(np.float64)
    configuration = Configuration(wrap(start, box), types.astype(np.uint8), box)
    check_configuration(configuration, str(path))
    return configuration, end.astype(np.float64) - start
