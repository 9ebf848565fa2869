"""Volume against temperature while a liquid is cooled into its glass."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.analysis import OBSERVABLES, y_label_of
from glassformer.evaluate.fits import fit_transition
from glassformer.observables.fits import FitError
from glassformer.observables.glass_transition import GlassTransition
from glassformer.report.naming import names_of, titles_of
from glassformer.report.observable_figure import draw
from glassformer.report.style import band_entry


def cooling_figure(samples: Sequence[Sample]) -> tuple[Figure, str]:
    """Volume per particle against temperature on the way down, with T_g where its slope changes, and a sentence.

    Two straight lines meet at T_g, which has a vertical line, with its standard error as a band. Where they cannot be
    fitted there are the points alone, and the sentence says why; several state points have a sentence each. Raises
    `DatasetError` if the samples hold no way long enough.
    """
    observable = OBSERVABLES["volume"]
    tables = {label: observable.columns(members) for label, members in by_state_point(samples).items()}
    names = names_of(samples)
    sentences, found = [], []
    for label, columns in tables.items():
        beginning = f"To {names[label]}: " if len(tables) > 1 else ""
        try:
            found.append(fit_transition(columns))
            sentences.append(beginning + _sentence(found[-1]))
        except FitError as error:
            sentences.append(f"{beginning}There is no T_g: {error.problem.removeprefix('glass transition: ')}.")
    bands = [band_entry("$T_g$: standard error", "0.85", 1.0)] if found else []
    titles = {label: f"to {title}" for label, title in titles_of(samples).items()}
    figure = draw(observable, tables, titles, y_label_of(observable, samples), more=bands)
    assert figure is not None  # a volume is a number
    (axes,) = figure.axes
    for one in found:
        knee, error_of_knee = one.temperature, one.temperature_error
        axes.axvspan(knee - error_of_knee, knee + error_of_knee, color="0.85", lw=0, zorder=0)
        axes.axvline(knee, color="0.5", lw=0.8, ls=":", zorder=1)
    return figure, " ".join(sentences)


def _sentence(found: GlassTransition) -> str:
    return (
        f"T_g = {_with_error(found.temperature, found.temperature_error)}, where the slope of V(T) changes:"
        f" dV/dT is {_with_error(found.glass_slope, found.glass_slope_error)} in the glass, below, and"
        f" {_with_error(found.liquid_slope, found.liquid_slope_error)} in the liquid, above."
    )


def _with_error(value: float, error: float) -> str:
    """Return 'value ± error' with two digits of the error, and six decimals at most."""
    decimals = min(max(1 - math.floor(math.log10(error)), 0), 6) if error > 0 else 6
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
