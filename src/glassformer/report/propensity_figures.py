"""Figures of held-out propensities: a map of one configuration, and correlations of all of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.dataset.held_out import HeldOut
from glassformer.evaluate.held_out import HeldOutRow
from glassformer.report.style import MARKERS, NEUTRAL, PALETTE, at_time, key_entry, literal

# Thickness of the slab that the map shows, in sigma_AA.
SLAB = 2.5
# Colours of deviations from the mean of the species; they span so many standard deviations on both sides of it.
DEVIATION_COLOURS, SPREAD = "RdBu_r", 2.5
DEVIATION = "deviation from the mean of the species"
# Diameters of the circles, by number of the species; further species are as small as the last.
DIAMETERS = (1.0, 0.75)
# More circles than this are drawn as pixels: each by itself would make the page heavy.
MOST_VECTORS = 1000
# More state points or times than this would make panels too small to read.
MOST_COLUMNS, MOST_ROWS = 4, 3


def typical(row: HeldOutRow) -> int:
    """Return the number of the configuration whose correlation is the median, the lower one of two."""
    return int(np.argsort(row.pearson, kind="stable")[(len(row.pearson) - 1) // 2])


def map_figure(part: HeldOut, configuration: int, place: int, pearson: float, stacked: bool = False) -> Figure:
    """Predicted and simulated propensity of the particles in a slab of one configuration, side by side or `stacked`.

    `place`: number of the time; `pearson`: correlation over the first species. Colours: standard deviations from the
    mean of the species in this configuration.
    """
    where = part.of_particles(configuration)
    species = part.species[where]
    panels = {
        f"predicted, Pearson {pearson:.2f}": standardised(part.prediction[where, place], species),
        "simulated": standardised(part.label[where, place], species),
    }
    return slab_figure(part.box[configuration], part.positions[where], species, panels, stacked)


def slab_figure(
    box: FloatArray,
    positions: NDArray[np.floating],
    species: ByteArray,
    panels: Mapping[str, FloatArray],
    stacked: bool = False,
) -> Figure:
    """The particles with z below `SLAB`, a panel for each of `panels`: `standardised` propensities (N,) by title.

    The panels stand side by side or, for a narrow page, are `stacked`.
    """
    number = len(panels)
    figure = Figure(figsize=(4.3, 4.1 * number + 1) if stacked else (4.1 * number + 1, 4.5))
    shape = (number, 1) if stacked else (1, number)
    grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    for axes, (title, values) in zip(grid.flat, panels.items(), strict=True):
        circles = draw_deviations(axes, positions, species, box, values)
        axes.set_title(title, fontsize=11)
        axes.label_outer()
    for axes in grid[:, 0]:
        axes.set_ylabel(r"y  [$\sigma_{AA}$]")
    label = f"{DEVIATION}\n[standard deviations of the species]"
    place = "bottom" if stacked else "right"
    figure.colorbar(circles, ax=grid, extend="both", shrink=0.85, label=label, location=place)
    return figure


def draw_deviations(
    axes: Axes, positions: NDArray[np.floating], species: NDArray[np.uint8], box: FloatArray, values: FloatArray
) -> EllipseCollection:
    """Draw a slab as `draw_slab` does, red where the `standardised` values (N,) are positive, blue where negative."""
    circles = draw_slab(axes, positions, species, box, values)
    circles.set(cmap=DEVIATION_COLOURS, clim=(-SPREAD, SPREAD))
    return circles


def draw_slab(
    axes: Axes, positions: NDArray[np.floating], species: NDArray[np.uint8], box: FloatArray, values: FloatArray
) -> EllipseCollection:
    """Draw the particles of a slab of thickness `SLAB` as circles, coloured by `values` (N,); return the circles."""
    shown = np.flatnonzero(positions[:, 2] < SLAB)
    # The nearest to the viewer last.
    shown = shown[np.argsort(positions[shown, 2], kind="stable")]
    circles = _circles(axes, positions[shown], species[shown], values[shown])
    circles.set_rasterized(len(shown) > MOST_VECTORS)
    axes.set(xlim=(0, box[0]), ylim=(0, box[1]), aspect="equal", xlabel=r"x  [$\sigma_{AA}$]")
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    return circles


def draw_species(
    axes: Axes,
    positions: NDArray[np.floating],
    species: NDArray[np.uint8],
    box: FloatArray,
    names: Sequence[str],
) -> None:
    """Draw a slab as `draw_slab` does, with a colour for each species and a legend beside the axes."""
    shades = [PALETTE[kind % len(PALETTE)] for kind in range(len(names))]
    circles = draw_slab(axes, positions, species, box, species.astype(np.float64))
    circles.set(cmap=ListedColormap(shades), clim=(-0.5, len(names) - 0.5))
    entries = [
        key_entry(literal(name), marker="o", ms=7, color=shade) for name, shade in zip(names, shades, strict=True)
    ]
    axes.legend(handles=entries, title="species", loc="upper left", bbox_to_anchor=(1.01, 1))


def standardised(values: NDArray[np.floating], species: NDArray[np.uint8]) -> FloatArray:
    """Return `values` (N,) in standard deviations from the mean of the species; 0 where they do not vary."""
    found = np.zeros(len(values))
    for kind in np.unique(species):
        rows = species == kind
        spread = values[rows].std(dtype=np.float64)
        if spread > 0:
            found[rows] = (values[rows] - values[rows].mean(dtype=np.float64)) / spread
    return found


def _circles(axes: Axes, positions: NDArray[np.floating], species: ByteArray, values: FloatArray) -> EllipseCollection:
    diameters = np.array(DIAMETERS)[np.minimum(species, len(DIAMETERS) - 1)]
    circles = EllipseCollection(
        diameters, diameters, np.zeros(len(diameters)), units="xy", offsets=positions[:, :2],
        offset_transform=axes.transData, array=values, edgecolor="0.3", linewidth=0.4,
    )  # fmt: skip
    axes.add_collection(circles)
    return circles


def correlation_figure(rows: Sequence[HeldOutRow], titles: Mapping[str, str], stacked: bool = False) -> Figure:
    """Pearson's correlation in every held-out configuration: the ridge regression and the one-number baselines.

    A panel per state point and time, `MOST_COLUMNS` and `MOST_ROWS` at most, all below one another if `stacked`.
    `rows` are of one species.
    """
    points = list(dict.fromkeys(row.state_point for row in rows))[:MOST_COLUMNS]
    columns = [[row for row in rows if row.state_point == point][:MOST_ROWS] for point in points]
    if stacked:
        columns = [[row for column in columns for row in column]]
    height, width = max(map(len, columns)), len(columns)
    figure = Figure(figsize=(4.3, 1.9 * height + 1.6) if stacked else (3.5 * width + 2.2, 2.5 * height + 0.5))
    panels = figure.subplots(height, width, squeeze=False, sharex=True, sharey=True)
    for place, column in enumerate(columns):
        for axes, row in zip(panels[:, place], column, strict=False):
            _draw_row(axes, row)
            axes.set_title(f"{titles.get(row.state_point, row.state_point)}\n{at_time(row.time)}", fontsize=10)
    if stacked:
        # One for the whole figure would lie under the legend.
        panels[-1, 0].set_xlabel("configuration, left out of the fit", fontsize=10)
    else:
        figure.supxlabel("configuration, left out of the fit", fontsize=10)
    figure.supylabel(f"Pearson’s correlation over {rows[0].species}", fontsize=10)
    entries = [*panels[0, 0].get_legend_handles_labels()[0], key_entry("ceiling, mean", ls="--", lw=1)]
    figure.legend(handles=entries, loc="outside lower center" if stacked else "outside right center", fontsize=9)
    return figure


def _draw_row(axes: Axes, row: HeldOutRow) -> None:
    numbers = np.arange(len(row.pearson)) + 1
    axes.plot(numbers, row.pearson, MARKERS[0], color=PALETTE[0], ms=7, label="ridge regression")
    # The first colour and marker are the model's.
    for name, color, marker in zip(row.baselines, PALETTE[1:], MARKERS[1:], strict=False):
        axes.plot(numbers, row.baselines[name], marker, color=color, ms=4.5, label=name)
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    if np.isfinite(row.score.ceiling):
        axes.axhline(row.score.ceiling, color=NEUTRAL, ls="--", lw=1)
    axes.set_xticks(numbers)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1)
