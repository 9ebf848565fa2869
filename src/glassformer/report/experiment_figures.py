"""Figures of experiments: predictions on the MSD curves, errors of all experiments, relative errors by state point."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.experiments import NETWORK, mean_scores
from glassformer.evaluate.results import ExperimentResult
from glassformer.physics.configuration import SPECIES_A
from glassformer.report.figures import MSD_LABEL, TIME_LABEL, title_of
from glassformer.report.spread import msd_of_runs
from glassformer.report.style import PALETTE, ordered_colors

# Ends of the two bars on a prediction, in per cent: 68.27 % and 96 % of the predictions lie within.
INNER, OUTER = (15.865, 84.135), (2, 98)
# State points are drawn side by side at a target time, this factor in time from the first to the last.
SIDE_BY_SIDE = 1.8
MODELS = {NETWORK: "network", "density_curve": "density alone, interpolated"}


def curves_figure(samples: Sequence[Sample], tests: Sequence[Predictions], trained_on: Sequence[str]) -> Figure:
    """Mean MSD of A of every state point, and on it what the networks of `tests` predict.

    A symbol at the mean of the predictions of all configurations, with a thick bar that holds 68.27 % of them and a
    thin one that holds 96 %; filled where the state point was trained on. Side by side, so that they can be told apart.
    """
    groups = by_state_point(samples)
    color = ordered_colors(list(groups))
    figure = Figure(figsize=(8.6, 5.2))
    axes = figure.subplots()
    shift = np.geomspace(SIDE_BY_SIDE**-0.5, SIDE_BY_SIDE**0.5, len(groups))
    for name in reversed(groups):
        times, mean = groups[name][0].ensemble.times, msd_of_runs(groups[name])[:, :, SPECIES_A].mean(0)
        later = times > tests[0].times.min() / 20
        axes.plot(times[later], mean[later], color=color[name], lw=1.2, alpha=0.8, label=title_of(groups[name][0]))
    for (name, members), factor in zip(groups.items(), shift, strict=True):
        for target, time in enumerate(tests[0].times):
            said = np.exp(predicted(tests, name)[:, target])
            if len(said):
                truth = float(np.interp(time, members[0].ensemble.times, _mean_a(members)))
                _mark(axes, time * factor, said, truth, color[name], name in trained_on)
    for time in tests[0].times:
        axes.axvline(time, color="0.8", lw=0.8, ls=":", zorder=0)
    axes.set(xscale="log", yscale="log", xlabel=TIME_LABEL, ylabel=f"MSD of A  {MSD_LABEL}")
    for fill, text in (("0.3", "predicted, trained on"), ("white", "predicted, not trained on")):
        axes.plot([], [], "o", color="0.3", mfc=fill, label=text)
    axes.plot([], [], "_", color="black", ms=12, mew=3, label="simulated")
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def predicted(tests: Sequence[Predictions], state_point: str) -> FloatArray:
    """Return all predictions (R, K) of ln MSD_A at `state_point`, of all networks."""
    return np.concatenate([test.prediction[np.array(test.state_points) == state_point] for test in tests])


def simulated(tests: Sequence[Predictions], state_point: str) -> FloatArray:
    """Return the labels (C, K) of the configurations of `predicted`, each once."""
    labels = {
        name: label
        for test in tests
        for name, point, label in zip(test.configurations, test.state_points, test.label, strict=True)
        if point == state_point
    }
    return np.stack(list(labels.values()))


def _mean_a(members: Sequence[Sample]) -> FloatArray:
    mean: FloatArray = msd_of_runs(members)[:, :, SPECIES_A].mean(0)
    return mean


def _mark(axes: Axes, time: float, said: FloatArray, truth: float, color: str, trained: bool) -> None:
    for ends, width in ((INNER, 3.2), (OUTER, 1.0)):
        axes.plot([time, time], np.percentile(said, ends), color=color, lw=width, solid_capstyle="butt", alpha=0.7)
    axes.plot(time, said.mean(), "o", color=color, mfc=color if trained else "white", ms=6, zorder=3)
    # The curve rises within the width of the group: where it is at the target time itself.
    axes.plot(time, truth, "_", color="black", ms=12, mew=3, zorder=1)
    axes.plot(time, truth, "_", color=color, ms=11, mew=1.6, zorder=2)


def errors_figure(results: Sequence[ExperimentResult]) -> Figure:
    """MAE of ln MSD_A of every experiment, a panel a time: at state points trained on, and at the others.

    The mean over state points; bars are standard errors.
    """
    scores = [mean_scores(result.rows) for result in results]
    times = sorted({row.time for row in results[0].rows})
    figure = Figure(figsize=(10.0, 1.6 + 0.27 * len(results)))
    panels = np.atleast_1d(figure.subplots(1, len(times), sharey=True))
    places = -np.arange(len(results))
    for axes, time in zip(panels, times, strict=True):
        for trained, (color, marker), offset in ((True, (PALETTE[0], "o"), 0.12), (False, (PALETTE[1], "s"), -0.12)):
            label = "held-out configurations of the state points trained on" if trained else "other state points"
            found = [(place, one) for place, of in zip(places, scores, strict=True) for one in of]
            chosen = [(place + offset, one) for place, one in found if (one.time, one.trained) == (time, trained)]
            if chosen:
                heights, ones = zip(*chosen, strict=True)
                values, bars = [one.mae for one in ones], [one.mae_error for one in ones]
                axes.errorbar(values, heights, xerr=bars, fmt=marker, color=color, ms=5, lw=1, label=label)
        for place in places:
            axes.axhline(place, color="0.92", lw=0.8, zorder=0)
        axes.set(xscale="log", title=f"t = {time:g}", xlabel="MAE of ln MSD of A")
    panels[0].set_yticks(places, [result.name for result in results])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def ratio_figure(results: Sequence[ExperimentResult], titles: Mapping[str, str]) -> Figure:
    """Predicted over simulated mean MSD of A by state point, for each of `results` and for the density alone."""
    times = sorted({row.time for row in results[0].rows})
    figure = Figure(figsize=(5.0 * len(times) + 0.4, 4.4))
    panels = np.atleast_1d(figure.subplots(1, len(times), sharey=True))
    names = [name for name in titles if any(row.state_point == name for row in results[0].rows)]
    places = {name: place for place, name in enumerate(names)}
    for axes, time in zip(panels, times, strict=True):
        lines = [(result.title, result.rows, NETWORK) for result in results]
        lines.append((MODELS["density_curve"], results[0].rows, "density_curve"))
        for number, (label, rows, model) in enumerate(lines):
            chosen = [row for row in rows if row.time == time]
            x = np.array([places[row.state_point] for row in chosen]) + 0.12 * (number - (len(lines) - 1) / 2)
            y = [row.scores[model].ratio for row in chosen]
            color, marker = PALETTE[number % len(PALETTE)], "osD^vPX"[number % 7]
            axes.plot(x, y, marker, color=color, mfc="white", ms=7, label=label)
            trained = np.array([row.trained for row in chosen])
            axes.plot(x[trained], np.array(y)[trained], marker, color=color, ms=7)
        axes.axhline(1, color="0.6", lw=0.8)
        axes.set(title=f"t = {time:g}", xticks=list(places.values()), yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xticklabels([titles[name].partition(",")[0] for name in names], fontsize=8)
    panels[0].set_ylabel("predicted / simulated mean MSD of A")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure
