"""Figures of what a network predicts of single particles."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.particles import particle_scores
from glassformer.report.animation import spread_out
from glassformer.report.figures import scored_rows
from glassformer.report.style import QUANTITIES, at_time

LEAST_BINS, MOST_BINS = 12, 40
# Ends of the axes, in per cent of the values: single particles that jump far leave the rest room.
RANGE = (0.2, 99.8)
# State points (columns) and target times (rows) that are shown.
MOST_COLUMNS, MOST_ROWS = 4, 3


def particle_figure(predictions: Predictions, titles: Mapping[str, str], species: int) -> Figure:
    """Predicted against simulated quantity of every particle of `species`: counts, with the mean correlation.

    One panel per state point and target time, four and three at most, the first and the last among them.
    """
    unseen = scored_rows(predictions)
    points = np.array(predictions.state_points)
    names = spread_out([name for name in titles if name in points[unseen]], MOST_COLUMNS)
    targets = spread_out(list(range(len(predictions.times))), MOST_ROWS)
    figure = Figure(figsize=(2.9 * len(names) + 1.6, 2.7 * len(targets) + 0.5))
    panels = figure.subplots(len(targets), len(names), squeeze=False)
    symbol, unit = ("$|r(t) - r(0)|^2$" if predictions.quantity == "squared-displacement" else "propensity",
                    QUANTITIES[predictions.quantity][1])  # fmt: skip
    norm = LogNorm(1, _most(predictions, names, targets, species))
    for row, target in zip(panels, targets, strict=True):
        for axes, name in zip(row, names, strict=True):
            chosen = unseen & (points == name)
            truth, said = _values(predictions, chosen, target, species)
            edges = _edges(truth, said)
            counts = np.histogram2d(truth, said, edges)[0]
            # Rasterized: thousands of cells would make the page heavy.
            mesh = axes.pcolormesh(*edges, np.ma.masked_equal(counts.T, 0), norm=norm, cmap="cividis", rasterized=True)
            ends = max(edges[0][0], edges[1][0]), min(edges[0][-1], edges[1][-1])
            if ends[0] < ends[1]:
                axes.plot(ends, ends, color="#D55E00", lw=1)
            axes.set_title(f"{titles[name]}\n{at_time(predictions.times[target])}", fontsize=10)
            score = particle_scores(predictions, chosen, target).get(predictions.species_names[species])
            if score is not None and np.isfinite(score.pcc_mean):
                axes.text(0.03, 0.97, f"Pearson {score.pcc_mean:.2f}", transform=axes.transAxes, va="top", fontsize=9,
                          bbox={"facecolor": "white", "alpha": 0.8, "lw": 0})  # fmt: skip
    ticks = LogLocator(subs=(1, 2, 5))
    bar = figure.colorbar(mesh, ax=panels, label="particles per cell", shrink=0.8, ticks=ticks, format="{x:g}")
    bar.ax.minorticks_off()
    name = predictions.species_names[species]
    figure.supxlabel(f"simulated {symbol} of {name}  {unit}", fontsize=10)
    figure.supylabel(f"predicted {symbol} of {name}  {unit}", fontsize=10)
    return figure


def learned_species(predictions: Predictions) -> list[int]:
    """Return the species whose particles are predicted."""
    if predictions.particle_prediction is None or predictions.particle_species is None:
        return []
    kinds = predictions.particle_species
    return [
        kind
        for kind in range(len(predictions.species_names))
        if np.isfinite(predictions.particle_prediction[kinds == kind]).any()
    ]


def _values(predictions: Predictions, chosen: Any, target: int, species: int) -> tuple[FloatArray, FloatArray]:
    """Return simulated and predicted values of the particles of `species` in the `chosen` configurations."""
    assert predictions.particle_label is not None
    assert predictions.particle_prediction is not None
    assert predictions.particle_species is not None
    found = []
    for place in map(predictions.of_particles, np.flatnonzero(chosen).tolist()):
        kind = predictions.particle_species[place] == species
        arrays = predictions.particle_label, predictions.particle_prediction
        found.append([array[place][kind, target].astype(np.float64) for array in arrays])
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def _edges(truth: FloatArray, said: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the edges of the cells, from about the smallest to about the largest value on each axis."""
    ends = [np.percentile(values, RANGE) for values in (truth, said)]
    # Equal values lie in the middle of an axis that still has a width.
    wide = [(low, high) if high > low else (low - abs(low) / 2 - 1e-9, low + abs(low) / 2 + 1e-9) for low, high in ends]
    bins = int(np.clip(np.sqrt(len(truth)) / 2, LEAST_BINS, MOST_BINS))
    one, other = (np.linspace(low, high, bins + 1) for low, high in wide)
    return one, other


def _most(predictions: Predictions, names: list[str], targets: list[int], species: int) -> float:
    """Return the largest count of any cell, at least 2."""
    points, unseen, most = np.array(predictions.state_points), scored_rows(predictions), 2.0
    for name in names:
        for target in targets:
            values = _values(predictions, unseen & (points == name), target, species)
            most = max(most, float(np.histogram2d(*values, _edges(*values))[0].max()))
    return most
