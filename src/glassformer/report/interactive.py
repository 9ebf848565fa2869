"""What an interactive figure needs: the curves of a matplotlib figure, as plotly.js takes them.

They are read off what is drawn, as the CSV of `figure_data` is, so that the static figure, its data and the interactive
figure show the same.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glassformer.core.arrays import FloatArray
from glassformer.report.figure_data import plain

DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
SYMBOLS = {
    "o": "circle", ".": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross",
    "X": "x", "<": "triangle-left", ">": "triangle-right", "p": "pentagon", "h": "hexagon", "_": "line-ew-open",
}  # fmt: skip
GREEK = {"tau": "τ", "sigma": "σ", "alpha": "α", "rho": "ρ", "chi": "χ", "epsilon": "ε"}
# Digits that the page holds of a value.
DIGITS = 6
# Widths and sizes in points, as plotly counts pixels.
PIXELS = 4 / 3


def panels(figure: Figure) -> list[dict[str, Any]]:
    """Return the panels of `figure`: title, axes, lines across the panel, and the traces of all curves and symbols.

    Curves without a label are called as the legend's entry of their colour; what is in no legend answers to nothing.
    """
    names = _names(figure)
    return [
        {
            "title": formula(axes.get_title()),
            "x": _axis(axes, "x"),
            "y": _axis(axes, "y"),
            "square": axes.get_aspect() == 1,
            "shapes": [_across(line, axes) for line in axes.lines if line.get_transform() != axes.transData],
            "traces": list(_traces(axes, names)),
        }
        for axes in figure.axes
    ]


def formula(text: str) -> str:
    """Return a label of matplotlib as plotly's HTML: 'τ<sub>LJ</sub>' for its formula, all else as it is."""
    found = html.escape(plain(text), quote=False).replace("&lt;", "⟨" if "langle" in text else "&lt;")
    if "langle" in text:
        found = found.replace("&gt;", "⟩")
    for name, letter in GREEK.items():
        found = re.sub(rf"(?<![^\W_]){name}(?![^\W_])", letter, found)
    found = re.sub(r"(?<=[\w)|⟩])\^(-?\w+)", lambda m: f"<sup>{m[1].replace('-', '−')}</sup>", found)
    return re.sub(r"(?<=[^\W\d_])_(\w+)", r"<sub>\1</sub>", found)


def _axis(axes: Axes, which: str) -> dict[str, Any]:
    low, high = getattr(axes, f"get_{which}lim")()
    scale = getattr(axes, f"get_{which}scale")()
    ends = [float(np.log10(end)) if scale == "log" else float(end) for end in (low, high)]
    return {"title": formula(getattr(axes, f"get_{which}label")()), "type": scale, "range": ends}


def _names(figure: Figure) -> dict[str, str]:
    """Return the texts of the legend by the colour that stands beside them; greys and blacks may stand for several."""
    found: dict[str, str] = {}
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        if legend is None:
            continue
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if isinstance(handle, Line2D):
                found.setdefault(_color(handle), formula(text.get_text().replace("\n", " ")))
    return found


def _traces(axes: Axes, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    for collection in axes.collections:
        if isinstance(collection, PolyCollection):
            shade: Any = collection.get_facecolor()[0]
            for path in collection.get_paths():
                x, y = np.asarray(path.vertices, float).T
                yield {**_xy(x, y), "mode": "lines", "fill": "toself", "fillcolor": _rgba(shade), "line": {"width": 0},
                       "hoverinfo": "skip", **_group("", to_hex(shade), names)}  # fmt: skip
        elif isinstance(collection, LineCollection):
            ends = [np.vstack([np.asarray(one, float), [[np.nan, np.nan]]]) for one in collection.get_segments()]
            if ends:
                color = to_hex(np.asarray(collection.get_color())[0])
                yield {**_xy(*np.concatenate(ends).T), "mode": "lines", "line": {"color": color, "width": PIXELS},
                       "hoverinfo": "skip", **_group("", color, names)}  # fmt: skip
    for line in axes.lines:
        if line.get_transform() == axes.transData and np.size(line.get_xdata()):
            yield _of_line(line, names)


def _of_line(line: Line2D, names: dict[str, str]) -> dict[str, Any]:
    color, style, marker = _color(line), str(line.get_linestyle()), str(line.get_marker())
    parts = [part for part, there in (("lines", style != "None"), ("markers", marker in SYMBOLS)) if there]
    group, symbol = _group(str(line.get_label()), color, names), SYMBOLS.get(marker, "circle")
    return {
        **_xy(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)),
        "mode": "+".join(parts) or "lines",
        "line": {"color": color, "width": line.get_linewidth() * PIXELS, "dash": DASHES.get(style, "longdash")},
        "marker": {"color": color, "size": line.get_markersize() * PIXELS, "symbol": symbol},
        "opacity": 1.0 if line.get_alpha() is None else line.get_alpha(),
        **({} if group["name"] else {"hoverinfo": "skip"}),
        **group,
    }


def _color(line: Line2D) -> str:
    color: Any = line.get_color()
    return to_hex(color)


def _group(label: str, color: str, names: dict[str, str]) -> dict[str, Any]:
    """Return the entry of the legend to which a trace belongs: its own label, or that of its colour."""
    own = "" if label.startswith("_") else formula(label.replace("\n", " "))
    name = own or names.get(color, "")
    return {"name": name, "legendgroup": name or color}


def _across(line: Line2D, axes: Axes) -> dict[str, Any]:
    """Return a line across the whole panel, such as that of a time."""
    upright = line.get_transform() == axes.get_xaxis_transform(which="grid")
    ends: Any = line.get_xdata() if upright else line.get_ydata()
    return {"x" if upright else "y": float(ends[0])}


def _xy(x: FloatArray, y: FloatArray) -> dict[str, Any]:
    def numbers(values: FloatArray) -> list[float | None]:
        return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]

    return {"x": numbers(x), "y": numbers(y)}


def _rgba(color: Any) -> str:
    red, green, blue, alpha = to_rgba(color)
    return f"rgba({255 * red:.0f}, {255 * green:.0f}, {255 * blue:.0f}, {alpha:.2g})"
