"""Figures of experiments: predictions on the MSD curves, errors of all experiments, relative errors by state point."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.axis_labels import MSD_LABEL, TIME_LABEL
from glassformer.evaluate.experiments import NETWORK, mean_scores
from glassformer.evaluate.results import ExperimentResult
from glassformer.report.naming import short_names, title_of
from glassformer.report.spread import msd_of_runs
from glassformer.report.style import (
    MARKERS,
    NEUTRAL,
    PALETTE,
    at_time,
    key_entry,
    literal,
    log_scale,
    ordered_colors,
)

# Ends of the two bars on a prediction, in per cent: 68.27 % and 96 % of the predictions lie within.
INNER, OUTER = (15.865, 84.135), (2, 98)
MODELS = {NETWORK: "network", "density_curve": "density alone, interpolated"}
COLUMNS = 4
TRAINED, OTHER = "state points trained on", "other state points"


def curves_figure(samples: Sequence[Sample], tests: Sequence[Predictions], trained_on: Sequence[str]) -> Figure:
    """Mean MSD of the first species at every state point, a panel each, and on it what the networks of `tests` predict.

    A symbol at the mean of the predictions of all configurations, at its time, with a thick bar that holds 68.27 % of
    them and a thin one that holds 96 %; filled where the state point was trained on.
    """
    groups = by_state_point(samples)
    color = ordered_colors(list(groups))
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(2.4 * columns + 2.6, 2.4 * rows + 0.3))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    for axes, (name, members) in zip(panels.flat, groups.items(), strict=False):
        times, mean = members[0].dynamics.times, msd_of_runs(members)[:, :, 0].mean(0)
        later = times > tests[0].times.min() / 20
        axes.plot(times[later], mean[later], color=color[name], lw=1.4)
        for target, time in enumerate(tests[0].times):
            said = np.exp(predicted(tests, name)[:, target])
            if len(said):
                _mark(axes, time, said, color[name], name in trained_on)
        axes.set_title(title_of(members[0]), fontsize=10)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(TIME_LABEL, fontsize=9)
    panels[0, 0].set(xscale="log", yscale="log")
    for axes in panels[:, 0]:
        axes.set_ylabel(f"MSD of {first_species(samples)}\n{MSD_LABEL}", fontsize=9)
    filled, open_ = (key_entry(f"mean prediction:\n{text}", marker="o", mfc=fill)
                     for text, fill in ((TRAINED, NEUTRAL), (OTHER, "white")))  # fmt: skip
    bars = [key_entry(f"{share} % of the predictions", ls="-", lw=width) for share, width in ((68.27, 3.2), (96, 1.0))]
    entries = [key_entry("simulated, mean", ls="-", lw=1.4), filled, open_, *bars]
    figure.legend(handles=entries, loc="outside right center", fontsize=9)
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


def _mark(axes: Axes, time: float, said: FloatArray, color: str, trained: bool) -> None:
    for ends, width in ((INNER, 3.2), (OUTER, 1.0)):
        axes.plot([time, time], np.percentile(said, ends), color=color, lw=width, solid_capstyle="butt", alpha=0.7)
    axes.plot(time, said.mean(), "o", color=color, mfc=color if trained else "white", ms=6, zorder=3)


def errors_figure(results: Sequence[ExperimentResult], species: str = "A") -> Figure:
    """MAE of ln MSD of `species` for every experiment, one panel per time: at state points trained on, and at others.

    The mean over state points; bars are standard errors.
    """
    scores = [mean_scores(result.rows) for result in results]
    times = _times(results)
    figure = Figure(figsize=(10.0, 1.9 + 0.27 * len(results)))
    panels = np.atleast_1d(figure.subplots(1, len(times), sharey=True))
    places = -np.arange(len(results))
    entries: dict[str, Artist] = {}
    for axes, time in zip(panels, times, strict=True):
        for trained, (color, marker), offset in ((True, (PALETTE[0], "o"), 0.12), (False, (PALETTE[1], "s"), -0.12)):
            found = [(place, one) for place, of in zip(places, scores, strict=True) for one in of]
            chosen = [(place + offset, one) for place, one in found if (one.time, one.trained) == (time, trained)]
            if not chosen:
                continue
            heights, ones = zip(*chosen, strict=True)
            values, bars = [one.mae for one in ones], np.nan_to_num([one.mae_error for one in ones])
            axes.errorbar(values, heights, xerr=bars, fmt="none", color=color, lw=1)
            text = "held-out configurations of the state points trained on" if trained else OTHER
            (entries[text],) = axes.plot(values, heights, marker, color=color, ms=5)
        for place in places:
            axes.axhline(place, color="0.92", lw=0.8, zorder=0)
        axes.set(title=at_time(time), xlabel=f"MAE of ln MSD of {species}")
        log_scale(axes, "x", [one.mae for of in scores for one in of if one.time == time])
    panels[0].set_yticks(places, [literal(result.name) for result in results])
    panels[0].set_ylabel("experiment")
    entries["standard error over configurations"] = key_entry("", ls="-", lw=1)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _times(results: Sequence[ExperimentResult]) -> list[float]:
    return sorted({row.time for result in results for row in result.rows})


def ratio_figure(results: Sequence[ExperimentResult], state_points: Mapping[str, str], species: str = "A") -> Figure:
    """Predicted over simulated mean MSD of `species` by state point, for each of `results` and for the density alone.

    `state_points`: the names of the data's, by label, from cold to hot; others follow.
    """
    times = _times(results)
    figure = Figure(figsize=(5.0 * len(times) + 0.4, 4.8))
    panels = np.atleast_1d(figure.subplots(1, len(times), sharey=True))
    there = {row.state_point: None for result in results for row in result.rows}
    names = [*(name for name in state_points if name in there), *(name for name in there if name not in state_points)]
    lines = [(literal(result.title), result.rows, NETWORK) for result in results]
    lines.append((MODELS["density_curve"], results[0].rows, "density_curve"))
    entries: dict[str, Artist] = {}
    for axes, time in zip(panels, times, strict=True):
        for number, (label, rows, model) in enumerate(lines):
            chosen = [row for row in rows if row.time == time]
            shift = 0.12 * (number - (len(lines) - 1) / 2)
            look = {
                "ls": "",
                "color": PALETTE[number % len(PALETTE)],
                "marker": MARKERS[number % len(MARKERS)],
                "ms": 7,
            }
            for trained in (True, False):
                some = [row for row in chosen if row.trained is trained]
                x = [names.index(row.state_point) + shift for row in some]
                axes.plot(x, [row.scores[model].ratio for row in some], **look, **({} if trained else {"mfc": "white"}))
            entries[label] = Line2D([], [], **look)  # type: ignore[arg-type]
        axes.axhline(1, color="0.6", lw=0.8)
        axes.set(title=at_time(time), xlabel="state point")
        axes.set_xticks(
            range(len(names)), [literal(name) for name in short_names(names, state_points).values()], fontsize=8
        )
    log_scale(panels[0], "y", [row.scores[model].ratio for _, rows, model in lines for row in rows])
    panels[0].set_ylabel(f"predicted / simulated mean MSD of {species}")
    entries |= {TRAINED: key_entry("", marker="o", ms=7), OTHER: key_entry("", marker="o", ms=7, mfc="white")}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=9)
    return figure
