"""Positions that follow the particles through the periodic boundary, from positions that were wrapped into the box."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError

# Longest way between two frames, along an axis and as a share of the box edge, after which nearest images are trusted.
# Beyond 1/2 the nearest image is the wrong one. Ways are distributed continuously: where not one of all particles in
# all frames reaches 1/4, none is beyond 1/2.
LONGEST_WAY = 0.25


def unwrapped_fractions(positions: FloatArray, boxes: FloatArray, unwrapped: bool, where: str) -> FloatArray:
    """Return the positions (F, N, 3) of F frames as fractions of their box edges, moving continuously.

    `positions` (F, N, 3) are measured from the corner of each frame's box, with edges `boxes` (F, 3). Those that are
    `unwrapped` are divided by the edges; the others follow the nearest image from frame to frame:
    s_j -> s_j - rint(s_j - s_{j - 1}).

    Raises `ConfigurationError`, naming `where`, if a particle moves by more than a quarter of an edge between two
    frames: some may then have moved by more than half, and their nearest image would be the wrong one.
    """
    fractions: FloatArray = positions / boxes[:, None]
    if unwrapped:
        return fractions
    for frame in range(1, len(fractions)):
        fractions[frame] -= np.rint(fractions[frame] - fractions[frame - 1])
        ways = np.abs(fractions[frame] - fractions[frame - 1]).max(0, initial=0)
        if ways.max() > LONGEST_WAY:
            axis = int(ways.argmax())
            raise ConfigurationError(
                f"{where}: positions are wrapped into the box, and between frames {frame - 1} and {frame} a particle"
                f" moves by {ways[axis]:.2g} of the box edge along {'xyz'[axis]}; expected at most {LONGEST_WAY:g},"
                " beyond which whole periods may be missed",
                "Dump image flags (ix iy iz) or unwrapped positions (xu yu zu), or write frames closer together.",
            )
    return fractions
