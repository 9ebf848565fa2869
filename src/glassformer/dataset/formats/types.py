"""Particle types of other codes as species."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray
from glassformer.core.errors import ConfigurationError


def species_of(types: NDArray[np.generic], path: Path) -> ByteArray:
    """Return `types` (N,), which must be 0 for A and 1 for B in whatever number type, as species.

    Raises `ConfigurationError`, naming `path` and what was found: a cast would make a species of anything.
    """
    strange = types[~((types == 0) | (types == 1))]
    if len(strange):
        found = ", ".join(f"{value:g}" if types.dtype.kind == "f" else str(value) for value in np.unique(strange)[:8])
        raise ConfigurationError(
            f"{path}: got species [{found}] for {len(strange)} of {len(types)} particles; expected 0 (A) and 1 (B)",
            "Other codes count from 1: subtract 1 from the types.",
        )
    return types.astype(np.uint8)
