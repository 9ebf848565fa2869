"""Particle types of other codes as species."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray
from glassformer.core.errors import ConfigurationError


def species_of(types: NDArray[np.generic], path: Path, kinds: int = 2, first: int = 0) -> ByteArray:
    """Return `types` (N,), which must be 0, 1, ... for the `kinds` species in whatever number type, as species.

    `first`: what the file called the first. Raises `ConfigurationError`, naming `path` and what was found: a cast would
    make a species of anything.
    """
    strange = types[~np.isin(types, np.arange(kinds))]
    if len(strange):
        shown = np.unique(strange)[:8] + first if strange.dtype.kind in "iuf" else np.unique(strange)[:8]
        found = ", ".join(f"{value:g}" if types.dtype.kind == "f" else str(value) for value in shown)
        expected = " and ".join(f"{kind + first} ({'ABCDEFGH'[kind]})" for kind in range(kinds))
        remedy = "" if first else "Other codes count from 1: subtract 1 from the types."
        raise ConfigurationError(
            f"{path}: got species [{found}] for {len(strange)} of {len(types)} particles; expected {expected}", remedy
        )
    return types.astype(np.uint8)
