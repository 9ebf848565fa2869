"""The figures of the report. Each takes checked data and returns a matplotlib figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, mean_over_ensembles, summarise
from glassformer.evaluate.scores import label_noise
from glassformer.physics.configuration import SPECIES_A
from glassformer.report.style import colors, markers

MSD_LABEL = r"$\langle |r(t) - r(0)|^2 \rangle$  [$\sigma_{AA}^2$]"
TIME_LABEL = "time  $t$  [LJ units]"


def title_of(sample: Sample) -> str:
    """Return 'T = 0.50, P = 1.55' for the legend."""
    temperature, _, second = sample.facts.state_point.partition("_")
    symbol, value = ("P", second[1:]) if second.startswith("P") else ("$\\rho$", second[3:])
    return f"T = {temperature[1:]}, {symbol} = {value}"


def msd_figure(samples: Sequence[Sample], targets: FloatArray) -> Figure:
    """Mean squared displacement of A and B against time, with the ballistic and the diffusive slope."""
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.subplots()
    groups = by_state_point(samples)
    color = colors(list(groups))
    for name, members in groups.items():
        times = members[0].ensemble.times
        msd = mean_over_ensembles(members, "msd")
        for species, style, letter in ((0, "-", "A"), (1, "--", "B")):
            axes.plot(
                times, msd[:, :, species].mean(0), style, color=color[name], label=f"{title_of(members[0])}, {letter}"
            )
        axes.fill_between(times, msd[:, :, 0].min(0), msd[:, :, 0].max(0), color=color[name], alpha=0.2, lw=0)
    axes.set(xscale="log", yscale="log", xlabel=TIME_LABEL, ylabel=MSD_LABEL)
    draw_slopes(axes, samples)
    _mark_targets(axes, targets)
    axes.legend(loc="lower right", fontsize=9, bbox_to_anchor=(0.93, 0.02))
    return figure


def draw_slopes(axes: Axes, samples: Sequence[Sample], species: int = SPECIES_A) -> None:
    """Draw t^2 above the start of the MSD curves of `species`, and t above their end."""
    times = samples[0].ensemble.times
    first, last = (max(float(sample.ensemble.msd[:, i, species].mean()) for sample in samples) for i in (0, -1))
    early = times[times <= 10 * times[0]]
    late = times[times >= times[-1] / 5]
    ballistic = 3 * first * (early / early[0]) ** 2
    diffusive = 2.2 * last * late / late[-1]
    for line, values, text in ((early, ballistic, r"ballistic, $t^2$"), (late, diffusive, r"diffusive, $t$")):
        axes.plot(line, values, color="0.35", lw=1)
        axes.annotate(
            text, (line[-1], values[-1]), xytext=(-9, 0), textcoords="offset points",
            ha="right", va="center", color="0.25", fontsize=9,
        )  # fmt: skip


def _mark_targets(axes: Axes, targets: FloatArray) -> None:
    for time in targets:
        axes.axvline(time, color="0.6", lw=0.8, ls=":")
        axes.text(
            time, 1.01, f"t = {time:g}", transform=axes.get_xaxis_transform(), ha="center", fontsize=8, color="0.35"
        )


def scattering_figure(samples: Sequence[Sample]) -> Figure:
    """Self intermediate scattering function of A, with tau_alpha where it crosses 1/e."""
    figure = Figure(figsize=(7.2, 4.0))
    axes = figure.subplots()
    groups = by_state_point(samples)
    color, marker = colors(list(groups)), markers(list(groups))
    for summary, (name, members) in zip(summarise(samples), groups.items(), strict=True):
        times = members[0].ensemble.times
        curves = mean_over_ensembles(members, "self_scattering")[:, :, 0]
        axes.plot(times, curves.T, color=color[name], lw=0.6, alpha=0.35)
        axes.plot(times, curves.mean(0), color=color[name], lw=2, label=title_of(members[0]))
        if np.isfinite(summary.tau_alpha):
            text = rf"$\tau_\alpha$ = {summary.tau_alpha:.3g}"
            axes.plot(summary.tau_alpha, np.exp(-1), marker[name], color=color[name], ms=8, label=text)
    axes.axhline(np.exp(-1), color="0.6", lw=0.8, ls=":")
    axes.annotate(
        "1/e", (samples[0].ensemble.times[0], np.exp(-1)), xytext=(0, 3), textcoords="offset points", color="0.35"
    )
    axes.set(
        xscale="log",
        ylim=(0, 1.02),
        xlabel=TIME_LABEL,
        ylabel=rf"$F_s(k = {samples[0].facts.wave_number_a:g}, t)$ of A",
    )
    axes.legend(loc="lower left", fontsize=9, bbox_to_anchor=(0, 0.4))
    return figure


def prediction_figure(predictions: Predictions, titles: dict[str, str]) -> Figure:
    """Predicted against simulated MSD_A of configurations that training had not seen, a panel a target time."""
    number = len(predictions.times)
    figure = Figure(figsize=(4.4 * number + 0.4, 4.6))
    panels = np.atleast_1d(figure.subplots(1, number))
    unseen = np.array([role == "test" for role in predictions.roles])
    names = [name for name in titles if name in predictions.state_points]
    color, marker = colors(list(titles)), markers(list(titles))
    for target, axes in enumerate(panels):
        for name in names:
            rows = unseen & (np.array(predictions.state_points) == name)
            label, predicted = np.exp(predictions.label[rows, target]), np.exp(predictions.prediction[rows, target])
            error = label * np.sqrt(label_noise(predictions.msd_draws[rows][:, :, target]))
            axes.errorbar(
                label, predicted, xerr=np.nan_to_num(error), fmt=marker[name], color=color[name], ms=6, lw=1,
                label=titles[name],
            )  # fmt: skip
            mean = np.exp(predictions.state_point_mean[rows, target])
            axes.plot(label, mean, "_", color=color[name], ms=9, alpha=0.6)
        _diagonal(axes, predictions, unseen, target)
        axes.set_title(f"t = {predictions.times[target]:g}", fontsize=11)
        axes.set_xlabel(r"simulated MSD of A  [$\sigma_{AA}^2$]")
    panels[0].set_ylabel(r"predicted MSD of A  [$\sigma_{AA}^2$]")
    panels[0].plot([], [], "_", color="0.4", ms=9, label="state-point mean")
    panels[0].legend(loc="upper left", fontsize=9)
    return figure


def _diagonal(axes: Axes, predictions: Predictions, rows: NDArray[np.bool_], target: int) -> None:
    values = np.exp(np.concatenate([predictions.label[rows, target], predictions.prediction[rows, target]]))
    span = np.array([values.min() / 1.15, values.max() * 1.15])
    axes.plot(span, span, color="0.6", lw=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span, aspect="equal")
    ticks = [tick for tick in _round_values(span) if span[0] <= tick <= span[1]]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(FixedLocator([]))
        axis.set_major_formatter("{x:g}")


def _round_values(span: FloatArray) -> list[float]:
    decades = range(int(np.floor(np.log10(span[0]))), int(np.ceil(np.log10(span[1]))) + 1)
    return [digit * 10.0**decade for decade in decades for digit in (1, 2, 3, 5)]


def training_figure(histories: Sequence[Sequence[dict[str, float]]]) -> Figure:
    """Loss on the training set and MAE on the validation set against the epoch, a line a fold."""
    figure = Figure(figsize=(8.8, 3.6))
    left, right = figure.subplots(1, 2)
    for number, history in enumerate(histories):
        color = colors([str(n) for n in range(len(histories))])[str(number)]
        epochs = [line["epoch"] + 1 for line in history]
        errors = [line["val_mae"] for line in history]
        left.plot(epochs, [line["train_loss"] for line in history], color=color, label=f"fold {number + 1}")
        right.plot(epochs, errors, color=color)
        kept = next(number for number, line in enumerate(history) if line["kept"])
        right.plot(epochs[kept], errors[kept], "o", color=color, ms=6)
    left.set(yscale="log", xlabel="epoch", ylabel="training loss (standardised labels)")
    right.set(yscale="log", xlabel="epoch", ylabel="validation MAE of ln MSD")
    right.plot([], [], "o", color="0.4", label="epoch kept")
    for axes in (left, right):
        axes.legend(fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
