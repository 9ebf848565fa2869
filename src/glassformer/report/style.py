"""One look for all figures: a colour-blind-safe palette, and one marker and colour a state point."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

mpl.use("Agg")

# M. Okabe and K. Ito, Color Universal Design (2008), ordered for contrast between neighbours.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Palette colours have no order to the eye: more state points than this are drawn in shades from cold to hot.
MOST_UNORDERED = 4
# The part of matplotlib's plasma, which is perceptually uniform, that is dark enough on white.
DARK_ENOUGH = 0.82
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "svg.fonttype": "path",
    # Fixed, so that the same data gives the same file.
    "svg.hashsalt": "glassformer",
    "figure.constrained_layout.use": True,
}


def colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label, in order."""
    return {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(labels)}


def ordered_colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each of `labels`, which follow a quantity such as temperature from low to high.

    Up to four have those of `colors`; more have a sequential map, from dark blue to orange.
    """
    if len(labels) <= MOST_UNORDERED:
        return colors(labels)
    shades = mpl.colormaps["plasma"](np.linspace(0, DARK_ENOUGH, len(labels)))
    return {label: to_hex(shade) for label, shade in zip(labels, shades, strict=True)}


def markers(labels: Sequence[str]) -> dict[str, str]:
    """Return a marker for each label, in order."""
    return {label: MARKERS[index % len(MARKERS)] for index, label in enumerate(labels)}
