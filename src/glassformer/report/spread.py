"""Figures of the MSD of all state points: its mean, its spread over runs, and its distribution.

A run is one draw of one configuration; all count alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.mixture import CUTOFF_CONVENTIONS
from glassformer.core.thesis import thesis_relaxation_time
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species, species_names
from glassformer.dataset.summary import by_state_point, mean_over_ensembles
from glassformer.evaluate.axis_labels import MSD_LABEL, TIME_LABEL
from glassformer.observables.relaxation import relaxation_time
from glassformer.report.figures import draw_slopes
from glassformer.report.histogram import LEAST_VALUES, draw_histogram, gaussian_fits
from glassformer.report.naming import title_of
from glassformer.report.style import BAND_ALPHA, at_time, band_entry, ordered_colors

# Ends of the band, in per cent of the runs: 96 % lie within.
BAND = (2, 98)
PANELS = 3
# Panels of species beside each other.
COLUMNS = 4


def msd_of_runs(samples: Sequence[Sample]) -> FloatArray:
    """Return the MSD of every run of `samples` (runs, T, S), in their order.

    Raises `DatasetError` if the samples were not observed at the same times.
    """
    mean_over_ensembles(samples, "msd")  # which looks at the times
    return np.concatenate([sample.observed("msd") for sample in samples])


def band_figure(samples: Sequence[Sample]) -> Figure:
    """Mean MSD of the first species over all runs of every state point, with the band that holds 96 % of the runs."""
    figure = Figure(figsize=(8.4, 5.0))
    axes = figure.subplots()
    several = False
    for name, members, color in _hottest_first(samples):
        times, runs = members[0].dynamics.times, msd_of_runs(members)[:, :, 0]
        if len(runs) > 1:
            several = True
            low, high = np.percentile(runs, BAND, axis=0)
            axes.fill_between(times, low, high, color=color, alpha=BAND_ALPHA, lw=0, label=f"_{name}")
            for edge in (low, high):
                axes.plot(times, edge, color=color, lw=0.6, alpha=0.7)
        axes.plot(times, runs.mean(0), color=color, lw=1.6, label=f"{title_of(members[0])}: {_number(runs)}")
    axes.set(xscale="log", yscale="log", xlabel=TIME_LABEL, ylabel=f"MSD of {first_species(samples)}  {MSD_LABEL}")
    entries = axes.get_legend_handles_labels()[0]
    if several:
        entries.append(band_entry(f"{BAND[1] - BAND[0]} % of the runs"))
    figure.legend(handles=entries, loc="outside right center", fontsize=9, title="mean over runs")
    return figure


def linear_figure(samples: Sequence[Sample]) -> Figure:
    """Mean MSD over all runs of every state point on linear axes, a panel for each species."""
    figure = _panels(samples)
    for axes in figure.axes:
        axes.set(xlim=(0, None), ylim=(0, None))
    return figure


def species_figure(samples: Sequence[Sample]) -> Figure:
    """Mean MSD over all runs of every state point on logarithmic axes, with slopes, a panel for each species."""
    figure = _panels(samples)
    for species, axes in enumerate(figure.axes):
        axes.set(xscale="log", yscale="log")
        draw_slopes(axes, samples, species)
    return figure


def _panels(samples: Sequence[Sample]) -> Figure:
    names = species_names(samples)
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(5.2 * max(columns, 1.5), 4.4 * rows))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(names) :]:
        axes.remove()
    for species, (axes, name) in enumerate(zip(panels.flat, names, strict=False)):
        for _, members, color in _hottest_first(samples):
            if species >= members[0].mixture.kinds:
                continue
            mean = msd_of_runs(members)[:, :, species].mean(0)
            label = "" if species else title_of(members[0])
            axes.plot(members[0].dynamics.times, mean, color=color, lw=1.6, label=label)
        axes.set(xlabel=TIME_LABEL, ylabel=f"MSD of {name}  {MSD_LABEL}", title=name)
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def _hottest_first(samples: Sequence[Sample]) -> list[tuple[str, list[Sample], str]]:
    """Return label, samples and colour of every state point, in the order in which the curves lie, from above."""
    groups = by_state_point(samples)
    color = ordered_colors(list(groups))
    return [(name, groups[name], color[name]) for name in reversed(groups)]


@dataclass(frozen=True)
class Moment:
    """A state point and which of its observed times is looked at, because it is nearest to a relaxation time or last.

    `tau`: that time, `symbol`: what it is called.
    """

    label: str
    index: int
    tau: float
    symbol: str
    reached: bool


def moments(groups: dict[str, list[Sample]]) -> list[Moment]:
    """Return up to three moments at which distributions of the MSD are compared, hottest first.

    They are those of the hottest state points whose relaxation time lies within the observed times; if there are fewer
    than three, those that relax too slowly follow, at their last time. It is tau_g, as the thesis estimates it for the
    Kob-Andersen mixture, and tau_alpha, as measured, for others. `groups` is in the order of `by_state_point`. Raises
    `DatasetError` if every state point relaxes before its first time.
    """
    reached: list[Moment] = []
    slow: list[Moment] = []
    for label in reversed(groups):
        sample = groups[label][0]
        times, (tau, symbol) = sample.dynamics.times, _relaxation(groups[label])
        if tau > times[-1]:
            slow.append(Moment(label, len(times) - 1, tau, symbol, reached=False))
        elif tau >= times[0]:
            nearest = int(np.abs(np.log(times / tau)).argmin())
            reached.append(Moment(label, nearest, tau, symbol, reached=True))
    found = (reached + slow)[:PANELS]
    if not found:
        raise DatasetError("every state point relaxes before its first time", "Start observing earlier.")
    return found


def _relaxation(members: Sequence[Sample]) -> tuple[float, str]:
    """Return the relaxation time of a state point, infinity where the draws do not reach it, and its symbol."""
    facts = members[0].facts
    if facts.mixture.identity in CUTOFF_CONVENTIONS:
        return thesis_relaxation_time(facts.temperature), r"$\tau_g$"
    mean = mean_over_ensembles(members, "self_scattering")[:, :, 0].mean(0)
    tau_alpha = relaxation_time(members[0].dynamics.times, mean)
    return math.inf if math.isnan(tau_alpha) else tau_alpha, r"$\tau_\alpha$"


def distribution_figure(samples: Sequence[Sample]) -> Figure:
    """Distribution over runs of the MSD of the first species at tau or as late as observed, a panel per state point.

    Which three, and when: `moments`. Raises `DatasetError`.
    """
    groups = by_state_point(samples)
    color = ordered_colors(list(groups))
    chosen = moments(groups)
    figure = Figure(figsize=(3.7 * len(chosen) + 0.4, 3.9))
    for axes, moment in zip(np.atleast_1d(figure.subplots(1, len(chosen))), chosen, strict=True):
        members = groups[moment.label]
        values = msd_of_runs(members)[:, moment.index, 0]
        draw_histogram(axes, values, color=color[moment.label], label="runs")
        axes.set_title(f"{title_of(members[0])}\n{_time_text(moment, members[0])}", fontsize=10)
        _write_moments(axes, values)
    figure.axes[0].set_ylabel(r"density  [$\sigma_{AA}^{-2}$]")
    figure.supxlabel(f"MSD of {first_species(samples)}  {MSD_LABEL}", fontsize=10)
    return figure


def _time_text(moment: Moment, sample: Sample) -> str:
    time = at_time(sample.dynamics.times[moment.index], ".3g")
    if moment.reached:
        return f"{time}, nearest to {moment.symbol} = {moment.tau:.3g}"
    return f"{time}, the last, less than {moment.symbol} = {_plain(moment.tau)}"


def _plain(value: float) -> str:
    return r"$\infty$" if math.isinf(value) else f"{value:.3g}"


def _write_moments(axes: Axes, values: FloatArray) -> None:
    """Write number, mean and standard deviation into the panel, above what is drawn."""
    deviation = values.std(ddof=1) if len(values) > 1 else math.nan
    axes.set_ylim(0, 1.45 * axes.dataLim.ymax)
    text = f"{_number(values)}\nmean {values.mean():.3g}\nsd {deviation:.2g}"
    if gaussian_fits(values):
        text += "\ncurve: Gaussian"
    elif len(values) >= LEAST_VALUES:
        text += "\nnot Gaussian"
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", fontsize=9)


def _number(runs: FloatArray) -> str:
    return f"{len(runs)} run{'s' * (len(runs) != 1)}"
