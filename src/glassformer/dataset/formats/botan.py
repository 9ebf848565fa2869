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
from glassformer.dataset.formats.types import species_of
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
            types = file["types"]
            start, end = (file[name].astype(np.float64) for name in ("initial_positions", "positions"))
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} is no BOTAN file: {error}", "Expected an .npz with types, initial_positions and positions."
        ) from error
    if types.ndim != 1 or start.shape != (len(types), 3) or end.ndim != 3 or end.shape[1:] != start.shape:
        raise DatasetError(
            f"{path}: got shapes {types.shape}, {start.shape} and {end.shape}; expected (N,), (N, 3), (D, N, 3)"
        )
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    configuration = Configuration(_wrapped(start, box), species_of(types, path), box)
    check_configuration(configuration, str(path))
    displacements = end - start
    _check_ends(end, displacements, box, path)
    return configuration, displacements


def _wrapped(positions: FloatArray, box: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        # What is not finite is refused with the configuration.
        return wrap(positions, box)


def _check_ends(end: FloatArray, displacements: FloatArray, box: FloatArray, path: Path) -> None:
    """Raise `DatasetError` if final positions are no numbers, or were wrapped into the box."""
    if not np.isfinite(end).all():
        bad = int((~np.isfinite(end).all(2)).sum())
        raise DatasetError(
            f"{path}: {bad} final positions are not finite numbers", "Every value must be a finite number."
        )
    # Unwrapped positions of particles that leave through a face extend beyond the box.
    wrapped = np.ptp(end, axis=(0, 1)) <= box * (1 + 1e-6)
    jumps = (np.abs(displacements) > box / 2).any((0, 1))
    if (wrapped & jumps).any():
        raise DatasetError(
            f"{path}: final positions are wrapped into the box: they span {np.ptp(end, axis=(0, 1)).max():.4g}, the box"
            f" edge is {box[0]:.4g}, and some particles seem to have moved by more than half of it",
            "Expected unwrapped final positions, as in BOTAN's own files.",
        )
