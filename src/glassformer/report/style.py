"""One look for all figures: a colour-blind-safe palette, and one marker and colour a state point."""

from collections.abc import Sequence

import matplotlib as mpl

mpl.use("Agg")

# M. Okabe and K. Ito, Color Universal Design (2008), ordered for contrast between neighbours.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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


def markers(labels: Sequence[str]) -> dict[str, str]:
    """Return a marker for each label, in order."""
    return {label: MARKERS[index % len(MARKERS)] for index, label in enumerate(labels)}
