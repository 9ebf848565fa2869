"""Positions that follow the particles through the periodic boundary, from positions that were wrapped into the box."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.core.words import counted

# Longest way between two frames, along an axis and as a share of the box edge, after which nearest images are trusted.
# Beyond 1/2 the nearest image is the wrong one. Ways are distributed continuously: where not one of all particles in
# all frames reaches 1/4, none is beyond 1/2.
LONGEST_WAY = 0.25
# Fewer particles than this may all stay in the box by chance.
LEAST_TO_LEAVE = 64
# Wrapped particles that cross half the box fill it, up to this share of its edge. Films and droplets do not.
LEAST_FILLED = 0.95
# How far wrapped positions may reach beyond the box, as a share of its edge.
SLACK = 0.05


def unwrapped_fractions(positions: FloatArray, boxes: FloatArray, unwrapped: bool, where: str) -> FloatArray:
    """Return the positions (F, N, 3) of F frames as fractions of their box edges, moving continuously.

    `positions` (F, N, 3) are measured from the corner of each frame's box, with edges `boxes` (F, 3). Those that are
    `unwrapped` are divided by the edges; the others follow the nearest image from frame to frame:
    s_j -> s_j - rint(s_j - s_{j - 1}).

    Raises `ConfigurationError`, naming `where`, if a particle moves by more than a quarter of an edge between two
    frames: some may then have moved by more than half, and their nearest image would be the wrong one. Also if
    positions that are said to be unwrapped are wrapped into the box.
    """
    fractions: FloatArray = positions / boxes[:, None]
    if unwrapped:
        _refuse_wrapped(fractions, where)
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


def _refuse_wrapped(fractions: FloatArray, where: str) -> None:
    """Raise `ConfigurationError` if no particle ever leaves the box although some cross more than half of it at once.

    Of many particles that are followed in a filled box, those near a face leave through it. `fractions` (F, N, 3); the
    box may have any corner, and wrapped positions may lie a little outside it, as LAMMPS writes them. Axes along which
    the box is not filled are not judged: a film or a droplet may stay inside, and move far.
    """
    if fractions.shape[1] < LEAST_TO_LEAVE:
        return
    extent = fractions.max((0, 1)) - fractions.min((0, 1))
    kept = (extent >= LEAST_FILLED) & (extent <= 1 + SLACK)
    for frame in range(1, len(fractions) if kept.any() else 0):
        moved = np.abs(fractions[frame] - fractions[frame - 1])
        jumps = int(((moved > 0.5) & kept).any(1).sum())
        if jumps:
            raise ConfigurationError(
                f"{where}: positions are said to be unwrapped, but no particle leaves the box, and between frames"
                f" {frame - 1} and {frame} {counted(jumps, 'particle')} moved by more than half its edge: they are"
                " wrapped",
                "Dump image flags (ix iy iz) or unwrapped positions (xu yu zu); or positions without image flags, from"
                " frames close together.",
            )
