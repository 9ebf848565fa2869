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
from glassformer.dataset.mixtures import shipped
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
            start, end = (_real(file[name], name) for name in ("initial_positions", "positions"))
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} is no BOTAN file: {error}", "Expected an .npz with types, initial_positions and positions."
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
            "There must be one draw at least.",
        )
    box = np.full(3, (len(types) / DENSITY) ** (1 / 3))
    configuration = Configuration(_wrapped(start, box), species_of(types, path), box)
    check_configuration(configuration, str(path))
    shipped("kob-andersen").check(configuration.species, str(path))
    with np.errstate(over="ignore", invalid="ignore"):
        displacements = end - start
    _check_ends(end, displacements, float(box[0]), path)
    return configuration, displacements


def _real(array: np.ndarray, name: str) -> FloatArray:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"'{name}' has type {array.dtype}; expected real numbers")
    return array.astype(np.float64)


def _wrapped(positions: FloatArray, box: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        # What is not finite is refused with the configuration.
        return wrap(positions, box)


def _check_ends(end: FloatArray, displacements: FloatArray, edge: float, path: Path) -> None:
    """Raise `DatasetError` if final positions are no numbers, wrapped into the box, or no continuation of the start."""
    finite = np.isfinite(displacements).all(2)
    if not finite.all():
        raise DatasetError(
            f"{path}: {int((~finite).sum())} final positions are not finite numbers",
            "Every value must be a finite number.",
        )
    moved = np.abs(displacements) / edge
    # In a draw that is not wrapped some particles have left the box through each face. And particles that diffuse far
    # leave no gap at half the box; a jump by a period does.
    inside = np.ptp(end, axis=1) <= edge * (1 + 1e-6)
    jumps = (inside[:, None] & (moved > 0.5)).any(2)
    if not jumps.any() and not ((moved > 0.35) & (moved <= 0.65)).any():
        jumps = (moved > 0.65).any(2)
    if jumps.any():
        raise DatasetError(
            f"{path}: final positions are wrapped into the box: {int(jumps.sum())} particles seem to"
            f" have moved by about its edge, {edge:.4g}",
            "Expected unwrapped final positions, as in BOTAN's own files.",
        )
    with np.errstate(over="ignore"):
        msd = float((displacements**2).sum(2).mean())
    if msd > edge**2 / 4:
        raise DatasetError(
            f"{path}: got a mean squared displacement of {msd:.4g} in a box of edge {edge:.4g}",
            "Are the final positions those of the same particles, in the same order, at a later time?",
        )
