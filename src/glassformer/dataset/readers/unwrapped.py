"""Whether positions at the end of draws move continuously from the start, as displacements need."""

from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.physics.unwrapping import LEAST_FILLED, LEAST_TO_LEAVE


def check_ends(end: FloatArray, displacements: FloatArray, box: FloatArray, path: Path) -> None:
    """Raise `DatasetError` if final positions are not finite, are wrapped into the box, or do not continue the start.

    `end` and `displacements` (D, N, 3), `box` (3,).
    """
    finite = np.isfinite(displacements).all(2)
    if not finite.all():
        raise DatasetError(
            f"{path}: {int((~finite).sum())} final positions are not finite numbers",
            "Every value must be a finite number.",
        )
    refuse_wrapped(end, displacements, box, str(path))
    edge, moved = float(box.min()), np.abs(displacements) / box
    # Particles that diffuse far leave no gap at half the box; a jump by a period does.
    if (moved > 0.65).any() and not ((moved > 0.35) & (moved <= 0.65)).any():
        raise _wrapped(int((moved > 0.65).any(2).sum()), box, str(path))
    with np.errstate(over="ignore"):
        msd = float((displacements**2).sum(2).mean())
    if msd > edge**2 / 4:
        raise DatasetError(
            f"{path}: got a mean squared displacement of {msd:.4g} in a box of edge {edge:.4g}",
            "Check that the final positions are of the same particles, in the same order, at a later time.",
        )


def refuse_wrapped(end: FloatArray, displacements: FloatArray, box: FloatArray, where: str) -> None:
    """Raise `DatasetError`, naming `where`, if the positions `end` (D, N, 3) of the draws are wrapped into the box.

    In a filled box that is not wrapped, some of many particles have left through each face before any has crossed half
    of it. Axes along which the box is not filled, as by a film or a droplet, are not judged.
    """
    extent = np.ptp(end, axis=1) / box
    inside = (extent >= LEAST_FILLED) & (extent <= 1 + 1e-6)
    jumps = (inside[:, None] & (np.abs(displacements) > 0.5 * box)).any(2)
    if jumps.any() and displacements.shape[1] >= LEAST_TO_LEAVE:
        raise _wrapped(int(jumps.sum()), box, where)


def _wrapped(jumps: int, box: FloatArray, where: str) -> DatasetError:
    return DatasetError(
        f"{where}: final positions are wrapped into the box: {jumps} particles seem to"
        f" have moved by about its edge, {float(box.min()):.4g}",
        "Expected unwrapped final positions, as in BOTAN's own files.",
    )
