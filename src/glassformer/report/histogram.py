"""Histograms as densities, with a Gaussian curve where one describes the values."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import normaltest

from glassformer.core.arrays import FloatArray
from glassformer.evaluate.moments import MOST_BINS, bin_edges
from glassformer.report.style import PALETTE

# Fewest values, and the level of the test, at which a Gaussian is drawn.
LEAST_VALUES, LEVEL = 20, 0.01
COLUMNS = 4


def gaussian_fits(values: FloatArray) -> bool:
    """Return whether a Gaussian curve may stand for `values`.

    It may if there are at least 20, not all equal, and the test of their skewness and kurtosis does not refuse it at
    1 % (R. D'Agostino and E. S. Pearson, Biometrika 60, 613 (1973)); of as few as 20 Gaussian values it refuses 2 %. It
    takes the values for independent, which draws of one configuration are not: the means of configurations differ, too.
    So it decides whether a curve is drawn, and is no evidence that the runs are Gaussian.
    """
    if len(values) < LEAST_VALUES or len(bin_edges(values)) == 2:
        return False
    return bool(normaltest(values).pvalue >= LEVEL)


def draw_histogram(
    axes: Axes,
    values: FloatArray,
    edges: FloatArray | None = None,
    *,
    color: str,
    label: str,
    fit: bool = True,
    filled: bool = True,
) -> None:
    """Draw the density of `values` in bins between `edges`, which hold them all; `bin_edges` if they are not given.

    With `fit`, the Gaussian of their mean and standard deviation is drawn on top where `gaussian_fits`. An area is
    `filled`, or hatched with an outline, so that another one is seen through it.
    """
    edges = bin_edges(values) if edges is None else edges
    density = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    if filled:
        axes.stairs(density, edges, fill=True, facecolor=color, edgecolor="none", alpha=0.45, label=label)
    else:
        axes.stairs(density, edges, fill=True, facecolor="none", edgecolor=color, hatch="////", lw=1.2, label=label)
    if fit and gaussian_fits(values):
        mean, deviation = values.mean(), values.std(ddof=1)
        x = mean + deviation * np.linspace(-3, 3, 121)
        curve = np.exp(-(((x - mean) / deviation) ** 2) / 2) / (np.sqrt(2 * np.pi) * deviation)
        axes.plot(x, curve, "-" if filled else "--", color=color, lw=1.6, label=f"{label}, Gaussian")


def prediction_histograms(
    groups: Mapping[str, tuple[FloatArray, FloatArray]], title: str, x_label: str, y_unit: str = ""
) -> Figure:
    """Distribution of labels and of predictions, one panel for each of `groups`: its title, with (labels, predictions).

    Both are drawn in the bins of the labels, continued as far as the predictions reach. `y_unit`: the inverse of what
    the values are in.
    """
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(2.7 * columns + 1.8, 2.4 * rows + 1))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    legend: dict[str, Artist] = {}
    for axes, (name, (labels, predictions)) in zip(panels.flat, groups.items(), strict=False):
        edges = common_edges(labels, predictions)
        draw_histogram(axes, labels, edges, color=PALETTE[0], label="simulated")
        draw_histogram(axes, predictions, edges, color=PALETTE[1], label="predicted", filled=False)
        axes.set_title(name, fontsize=10)
        legend |= {str(handle.get_label()): handle for handle in axes.get_legend_handles_labels()[0]}
    for axes in panels[:, 0]:
        axes.set_ylabel(f"density  {y_unit}")
    figure.suptitle(title)
    figure.supxlabel(x_label, fontsize=10)
    figure.legend(handles=list(legend.values()), loc="outside right center", fontsize=9)
    return figure


def common_edges(labels: FloatArray, predictions: FloatArray) -> FloatArray:
    """Return the bins of `labels`, continued at their width until they hold `predictions`, too.

    If that takes more than `MOST_BINS`, as many bins share the whole range.
    """
    edges = bin_edges(labels)
    width, least, most = edges[1] - edges[0], float(predictions.min()), float(predictions.max())
    below, above = (max(0, np.ceil(gap / width)) for gap in (edges[0] - least, most - edges[-1]))
    if len(edges) - 1 + below + above > MOST_BINS:
        return np.linspace(min(edges[0], least), max(edges[-1], most), MOST_BINS + 1)
    before = edges[0] - width * np.arange(int(below), 0, -1)
    after = edges[-1] + width * np.arange(1, int(above) + 1)
    edges = np.concatenate([before, edges, after])
    # Rounding must not leave an end out.
    edges[0], edges[-1] = min(edges[0], least), max(edges[-1], most)
    return edges
