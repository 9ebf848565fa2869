"""Whether positions at the end of draws move continuously from the start, as displacements need."""

from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError


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
    edge = float(box.min())
    moved = np.abs(displacements) / box
    # In a draw that is not wrapped some particles have left the box through each face. And particles that diffuse far
    # leave no gap at half the box; a jump by a period does.
    inside = np.ptp(end, axis=1) <= box * (1 + 1e-6)
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
            "Check that the final positions are of the same particles, in the same order, at a later time.",
        )
