"""One look for all figures: a colour-blind-safe palette, axis labels with their units, and legends."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from glassformer.evaluate.axis_labels import TIME_UNIT

# M. Okabe and K. Ito, Color Universal Design (2008), ordered for contrast between neighbours.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Palette colours have no order to the eye: more state points than this are drawn in shades from cold to hot.
MOST_UNORDERED = 4
# The part of matplotlib's plasma, which is perceptually uniform, that is dark enough on white.
DARK_ENOUGH = 0.82
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
# Lines of one colour are told apart by these, in order.
LINE_STYLES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2, 1, 2, 1, 2)))
# Of lines that explain others, such as that of the diagonal, and of bands in a legend.
NEUTRAL = "0.35"
BAND_ALPHA = 0.2
# A legend with more entries than this is split: one entry per colour and one per line style.
MOST_ENTRIES = 8
# Largest over smallest value: below the first an axis is linear, below the second its ticks are 1, 2 and 5.
NARROW, WIDE = 3, 100

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

# Symbol and unit of what a network predicts.
QUANTITIES = {
    "squared-displacement": ("MSD", r"[$\sigma_{AA}^2$]"),
    "propensity": ("propensity", r"[$\sigma_{AA}$]"),
}


def literal(text: str) -> str:
    """Return `text`, which comes from a file, so that matplotlib draws it as it is: a dollar starts no formula.

    Characters that the font lacks become question marks. A legend leaves out what begins with an underscore: such a
    text gets a space in front.
    """
    drawn = "".join(character if ord(character) in _drawable() else "?" for character in " ".join(text.split()))
    escaped = drawn.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


@functools.cache
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(STYLE["font.family"])).get_charmap())  # type: ignore[arg-type]


def at_time(time: float, digits: str = "g") -> str:
    """Return 't = 1.63 tau_LJ' for a title."""
    return f"t = {time:{digits}} {TIME_UNIT}"


def colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label, in order: the palette's, or shades if there are more labels than it has."""
    return dict(zip(labels, PALETTE, strict=False)) if len(labels) <= len(PALETTE) else _shades(labels)


def ordered_colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each of `labels`, which follow a quantity such as temperature from low to high.

    Up to four have those of `colors`; more have a sequential map, from dark blue to orange.
    """
    return colors(labels) if len(labels) <= MOST_UNORDERED else _shades(labels)


def _shades(labels: Sequence[str]) -> dict[str, str]:
    shades = mpl.colormaps["plasma"](np.linspace(0, DARK_ENOUGH, len(labels)))
    return {label: to_hex(shade) for label, shade in zip(labels, shades, strict=True)}


def log_scale(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """Make an axis logarithmic, with ticks at plain numbers, unless the values span less than a factor of 3."""
    known = np.array([value for value in values if np.isfinite(value) and value > 0])
    ratio = known.max() / known.min() if len(known) else 1.0
    if ratio < NARROW:
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    if ratio < WIDE:
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter("{x:g}")


def markers(labels: Sequence[str]) -> dict[str, str]:
    """Return a marker for each label, in order."""
    return {label: MARKERS[index % len(MARKERS)] for index, label in enumerate(labels)}


def band_entry(text: str, color: str = NEUTRAL, alpha: float = BAND_ALPHA) -> Patch:
    """Return the legend's entry for bands: a patch of their opacity."""
    return Patch(facecolor=color, alpha=alpha, lw=0, label=text)


def key_entry(text: str, **look: object) -> Line2D:
    """Return the legend's entry for what all colours share, such as a line style or a marker, in grey."""
    values: dict[str, object] = {"color": NEUTRAL, "ls": "", "label": text} | look
    return Line2D([], [], **values)  # type: ignore[arg-type]


def split_legend(shades: Mapping[str, str], looks: Mapping[str, Mapping[str, object]]) -> list[Artist]:
    """Return an entry for each colour of `shades` and one, in grey, for each of `looks`; both by their texts."""
    entries: list[Artist] = [Patch(color=color, label=text) for text, color in shades.items()]
    return [*entries, *(key_entry(text, **look) for text, look in looks.items())]
