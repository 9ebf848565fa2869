"""What a figure shows, as a table: read off what is drawn, so that it is the figure's data and no other."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from glassformer.core.arrays import FloatArray

COLUMNS = ("panel", "x is", "y is", "series", "x", "y", "value")
# A series and its points: x, y, and where colour stands for a quantity its value.
Series = tuple[str, FloatArray, FloatArray, FloatArray | None]


def figure_data(figure: Figure) -> str:
    """Return the data of every panel of `figure` as CSV: `COLUMNS`, one line per point.

    Lines and symbols are their points; a band is its outline, an error bar its two ends, a histogram the middle of each
    bin with its height, a coloured cell its middle with its value. Lines across a whole panel are left out.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    for number, axes in enumerate(panels, 1):
        about = [
            plain(axes.get_title()) or f"panel {number}",
            plain(_label(axes, "x") or figure.get_supxlabel()),
            plain(_label(axes, "y") or figure.get_supylabel()),
        ]
        for name, x, y, values in _series(axes):
            told = [f"{value:.7g}" for value in values] if values is not None else [""] * len(x)
            writer.writerows(
                [*about, name, f"{one:.7g}", f"{other:.7g}", value]
                for one, other, value in zip(x, y, told, strict=True)
                if np.isfinite([one, other]).all()
            )
    return buffer.getvalue()


def plain(text: str) -> str:
    """Return a label of matplotlib without the commands of its formulas: 'time t [tau_LJ]'."""
    text = re.sub(r"\\mathrm\{([^}]*)\}", r"\1", text.replace(r"\$", "\0"))
    text = text.replace(r"\langle", "<").replace(r"\rangle", ">").replace("$", "").replace("\0", "$")
    text = re.sub(r"\\([a-zA-Z]+)", r"\1", re.sub(r"\\[,;! ]", " ", text))
    return " ".join(re.sub(r"[{}]", "", text).split())


def _label(axes: Axes, which: str) -> str:
    """Return the label of an axis, or that of a panel with which the axis is shared."""
    shared = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    labels = [getattr(one, f"get_{which}label")() for one in (axes, *shared.get_siblings(axes))]
    return next((label for label in labels if label), "")


def _series(axes: Axes) -> Iterator[Series]:
    for line in axes.lines:
        # Others are measured in parts of the panel, not in the data's units.
        if line.get_transform() == axes.transData and np.size(line.get_xdata()):
            yield _name(line), np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float), None
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            heights, edges, _ = patch.get_data()
            yield _name(patch), (edges[1:] + edges[:-1]) / 2, np.asarray(heights, float), None
    for collection in axes.collections:
        yield from _of_collection(collection)


def _of_collection(collection: Collection) -> Iterator[Series]:
    values = collection.get_array()
    if isinstance(collection, QuadMesh):
        corners = np.asarray(collection.get_coordinates(), float)
        middles = (corners[1:, 1:] + corners[:-1, :-1]) / 2
        cells = np.ma.masked_invalid(np.ma.asarray(values, float)).reshape(middles.shape[:2])
        filled = ~np.ma.getmaskarray(cells)
        yield _name(collection), middles[filled, 0], middles[filled, 1], np.asarray(cells[filled])
    elif isinstance(collection, LineCollection):
        ends = np.concatenate([np.asarray(one, float) for one in collection.get_segments()] or [np.empty((0, 2))])
        yield "error bar", ends[:, 0], ends[:, 1], None
    elif isinstance(collection, PolyCollection):
        for path in collection.get_paths():
            outline = np.asarray(path.vertices, float)
            yield f"band {_name(collection)}".strip(), outline[:, 0], outline[:, 1], None
    else:
        places: FloatArray = np.ma.filled(np.ma.asarray(collection.get_offsets(), float), np.nan)
        yield _name(collection), places[:, 0], places[:, 1], None if values is None else np.asarray(values, float)


def _name(artist: Any) -> str:
    """Return the label of an artist; none where matplotlib has made it up."""
    label = plain(str(artist.get_label()))
    return "" if re.match(r"_child\d+$", label) else label.removeprefix("_")
