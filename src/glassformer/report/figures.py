"""The figures of the report. Each takes checked data and returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species, species_names
from glassformer.dataset.summary import by_state_point, mean_over_ensembles, summarise
from glassformer.evaluate.axis_labels import MSD_LABEL, TIME_LABEL, scattering_axis
from glassformer.evaluate.scores import label_noise
from glassformer.report.naming import title_of
from glassformer.report.style import (
    BAND_ALPHA,
    LINE_STYLES,
    MOST_ENTRIES,
    NEUTRAL,
    PALETTE,
    QUANTITIES,
    at_time,
    band_entry,
    key_entry,
    log_scale,
    markers,
    ordered_colors,
    split_legend,
)

# Target times nearer than this fraction of the axis have their labels one above the other.
LABEL_WIDTH = 0.09


def msd_figure(samples: Sequence[Sample], targets: FloatArray) -> Figure:
    """Mean squared displacement of every species against time, with the ballistic and the diffusive slope."""
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.subplots()
    groups = by_state_point(samples)
    color = ordered_colors(list(groups))
    looks: dict[str, dict[str, Any]] = {}
    for name, members in groups.items():
        times = members[0].dynamics.times
        msd = mean_over_ensembles(members, "msd")
        for kind, species in enumerate(members[0].mixture.species):
            looks.setdefault(species, {"ls": LINE_STYLES[kind]})
            axes.plot(
                times, msd[:, :, kind].mean(0), color=color[name], label=f"{title_of(members[0])}, {species}",
                **looks[species],
            )  # fmt: skip
        if len(members) > 1:
            low, high = msd[:, :, 0].min(0), msd[:, :, 0].max(0)
            axes.fill_between(times, low, high, color=color[name], alpha=BAND_ALPHA, lw=0)
    axes.set(xscale="log", yscale="log", xlabel=TIME_LABEL, ylabel=f"MSD  {MSD_LABEL}")
    draw_slopes(axes, samples)
    _mark_targets(axes, targets)
    entries: list[Artist] = list(axes.get_legend_handles_labels()[0])
    if len(entries) > MOST_ENTRIES:
        shades = {title_of(members[0]): color[name] for name, members in groups.items()}
        entries = split_legend(shades, looks)
    if any(len(members) > 1 for members in groups.values()):
        entries.append(band_entry(f"slowest to fastest\nconfiguration, {first_species(samples)}"))
    figure.legend(handles=entries, loc="outside right center", fontsize=9)
    return figure


def draw_slopes(axes: Axes, samples: Sequence[Sample], species: int = 0) -> None:
    """Draw t^2 above the start of the MSD curves of `species`, and t above their end."""
    times = samples[0].dynamics.times
    known = [sample for sample in samples if species < sample.mixture.kinds]
    first, last = (max(float(sample.observed("msd")[:, i, species].mean()) for sample in known) for i in (0, -1))
    early = times[times <= 10 * times[0]]
    late = times[times >= times[-1] / 5]
    ballistic = 3 * first * (early / early[0]) ** 2
    diffusive = 2.2 * last * late / late[-1]
    for line, values, text in ((early, ballistic, r"ballistic, $t^2$"), (late, diffusive, r"diffusive, $t$")):
        axes.plot(line, values, color=NEUTRAL, lw=1)
        axes.annotate(
            text, (line[-1], values[-1]), xytext=(-9, 0), textcoords="offset points",
            ha="right", va="center", color="0.25", fontsize=9,
        )  # fmt: skip


def _mark_targets(axes: Axes, targets: FloatArray) -> None:
    """Mark the target times; the labels of times that are close together stand one above the other."""
    low, high = np.log(axes.get_xlim())
    taken: list[float] = []
    for time in np.sort(targets):
        place = float((np.log(time) - low) / (high - low))
        # The lowest row in which the last label is far enough.
        row = next((n for n, last in enumerate(taken) if place - last > LABEL_WIDTH), len(taken))
        taken[row : row + 1] = [place]
        axes.axvline(time, color="0.6", lw=0.8, ls=":")
        axes.annotate(
            f"t = {time:g}", (time, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3 + 11 * row),
            textcoords="offset points", ha="center", fontsize=8, color=NEUTRAL,
        )  # fmt: skip


def scattering_figure(samples: Sequence[Sample]) -> Figure:
    """Self intermediate scattering function of the first species, with tau_alpha where it crosses 1/e."""
    figure = Figure(figsize=(7.2, 4.0))
    axes = figure.subplots()
    groups = by_state_point(samples)
    color, marker = ordered_colors(list(groups)), markers(list(groups))
    entries: list[Artist | tuple[Artist, ...]] = []
    texts = []
    for summary, (name, members) in zip(summarise(samples), groups.items(), strict=True):
        times = members[0].dynamics.times
        curves = mean_over_ensembles(members, "self_scattering")[:, :, 0]
        if len(members) > 1:
            axes.plot(times, curves.T, color=color[name], lw=0.6, alpha=0.35)
        (line,) = axes.plot(times, curves.mean(0), color=color[name], lw=2)
        entries.append(line)
        texts.append(title_of(members[0]))
        if np.isfinite(summary.tau_alpha):
            (knee,) = axes.plot(summary.tau_alpha, np.exp(-1), marker[name], color=color[name], ms=8)
            entries[-1] = (line, knee)
            texts[-1] += rf": $\tau_\alpha$ = {summary.tau_alpha:.3g}"
    if any(len(members) > 1 for members in groups.values()):
        entries.append(key_entry("", ls="-", lw=0.6))
        texts.append("single configurations")
    axes.axhline(np.exp(-1), color="0.6", lw=0.8, ls=":")
    axes.annotate(
        "1/e", (samples[0].dynamics.times[0], np.exp(-1)), xytext=(0, 3), textcoords="offset points", color=NEUTRAL
    )
    axes.set(xscale="log", xlabel=TIME_LABEL, ylabel=scattering_label(samples, (0,)))
    axes.set_ylim(min(0.0, axes.dataLim.ymin), 1.02)
    handlers = {tuple: HandlerTuple(ndivide=1, pad=0)}
    figure.legend(entries, texts, loc="outside right center", fontsize=9, handler_map=handlers)  # type: ignore[call-overload]
    return figure


def scattering_label(samples: Sequence[Sample], species: tuple[int, ...] | None = None, symbol: str = "F_s") -> str:
    """Return 'F_s(k, t), k sigma_AA = 7.25 (A), 5.5 (B)': the label of an axis, with the wave numbers.

    `species`: of which, by their numbers; without it, of all.
    """
    names, parts = species_names(samples), []
    for kind in range(len(names)) if species is None else species:
        known = {one.facts.mixture.wave_numbers[kind] for one in samples if kind < one.mixture.kinds}
        parts.append(f"{' or '.join(f'{k:g}' for k in sorted(known))} ({names[kind]})")
    return scattering_axis(symbol, parts)


def scored_rows(predictions: Predictions) -> NDArray[np.bool_]:
    """Return which configurations are scored: as in `evaluate.evaluation.evaluate`."""
    role = "leaked" if "leaked" in predictions.roles else "test"
    return np.array([one == role for one in predictions.roles])


def prediction_figure(predictions: Predictions, titles: Mapping[str, str]) -> Figure:
    """Predicted against simulated mean of every configuration that is scored, one panel per target time."""
    number = len(predictions.times)
    figure = Figure(figsize=(4.4 * number + 2.2, 4.6))
    panels = np.atleast_1d(figure.subplots(1, number))
    unseen = scored_rows(predictions)
    names = [name for name in titles if name in np.array(predictions.state_points)[unseen]]
    symbol, unit = QUANTITIES[predictions.quantity]
    quantity = f"{symbol} of {predictions.species}  {unit}"
    entries: dict[str, Artist] = {}
    for target, axes in enumerate(panels):
        entries |= _draw_predictions(axes, predictions, unseen, target, {name: titles[name] for name in names})
        _diagonal(axes, predictions, unseen, target)
        axes.set_title(at_time(predictions.times[target]), fontsize=11)
        axes.set(xlabel=f"simulated {quantity}", ylabel=f"predicted {quantity}")
    figure.legend(entries.values(), entries.keys(), loc="outside right center", fontsize=9)
    return figure


def _draw_predictions(
    axes: Axes, predictions: Predictions, unseen: NDArray[np.bool_], target: int, titles: Mapping[str, str]
) -> dict[str, Artist]:
    """Draw the symbols of one panel; return the entries of its legend by their texts."""
    color, marker = ordered_colors(list(titles)), markers(list(titles))
    entries: dict[str, Artist] = {}
    extra: dict[str, Artist] = {}
    for name, title in titles.items():
        rows = unseen & (np.array(predictions.state_points) == name)
        label, predicted = np.exp(predictions.label[rows, target]), np.exp(predictions.prediction[rows, target])
        (entries[title],) = axes.plot(label, predicted, marker[name], color=color[name], ms=6)
        error = label * np.sqrt(label_noise(predictions.draws[rows][:, :, target]))
        if np.isfinite(error).any():
            axes.errorbar(label, predicted, xerr=np.nan_to_num(error), fmt="none", color=color[name], lw=1)
            extra["standard error of the\nsimulated value"] = key_entry("", ls="-", lw=1)
        mean = np.exp(predictions.state_point_mean[rows, target])
        if np.isfinite(mean).any():
            (extra["state-point mean"],) = axes.plot(label, mean, "_", color="0.55", ms=9, zorder=1)
    (extra["prediction = simulation"],) = axes.plot([], [], color="0.6", lw=0.8)
    return entries | extra


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
    """Return round values between the ends of `span`: few in a wide range, finer ones in a narrow one."""
    decades = range(int(np.floor(np.log10(span[0]))), int(np.ceil(np.log10(span[1]))) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(np.arange(10, 100) / 10)):
        found = [float(digit * 10.0**decade) for decade in decades for digit in digits]
        within = [value for value in found if span[0] <= value <= span[1]]
        if len(within) >= 3:
            break
    # Of very many, as few as are told apart.
    return within[:: max(1, len(within) // 5)]


def training_figure(
    histories: Sequence[Sequence[dict[str, float]]], loss: str = "", error_of: str = "the labels"
) -> Figure:
    """Loss on the training set and MAE on the validation set against the epoch, one line per fold.

    `loss`: its name; `error_of`: what the validation error is of, with its unit.
    """
    figure = Figure(figsize=(8.8, 3.6))
    left, right = figure.subplots(1, 2)
    for number, history in enumerate(histories):
        look = {
            "color": PALETTE[number % len(PALETTE)],
            "ls": LINE_STYLES[number // len(PALETTE) % len(LINE_STYLES)],
            # A line of one point is seen by its marker alone.
            "marker": "." if len(history) == 1 else "",
        }
        epochs = [line["epoch"] + 1 for line in history]
        errors = [line["val_mae"] for line in history]
        left.plot(epochs, [line["train_loss"] for line in history], label=f"fold {number + 1}", **look)
        right.plot(epochs, errors, **look)
        kept = next(number for number, line in enumerate(history) if line["kept"])
        right.plot(epochs[kept], errors[kept], "o", color=look["color"], ms=6)
    left.set(xlabel="epoch", ylabel=f"training loss{f' ({loss})' if loss else ''}\nof standardised labels")
    right.set(xlabel="epoch", ylabel=f"validation MAE\nof {error_of}")
    for axes, name in ((left, "train_loss"), (right, "val_mae")):
        log_scale(axes, "y", [line[name] for history in histories for line in history])
        axes.xaxis.get_major_locator().set_params(integer=True)
    entries = [*left.get_legend_handles_labels()[0], key_entry("epoch kept", marker="o")]
    figure.legend(handles=entries, loc="outside right center", fontsize=9)
    return figure
