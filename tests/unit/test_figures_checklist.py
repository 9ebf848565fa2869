"""Every figure of the package against one checklist: labels with units, legends that match, bands explained."""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from glassformer import report
from glassformer.core.run import Run
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate import published
from glassformer.evaluate.analysis import OBSERVABLES
from glassformer.evaluate.axis_labels import TIME_UNIT
from glassformer.evaluate.experiments import NetworkTest, score_rows
from glassformer.evaluate.held_out import held_out_rows
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.results import ExperimentResult
from glassformer.observables.mode_coupling import schematic_correlator
from glassformer.report import comparison, mode_coupling
from glassformer.report.animation import distribution_animation
from glassformer.report.cooling import cooling_figure
from glassformer.report.experiment_figures import curves_figure, errors_figure, ratio_figure
from glassformer.report.figures import (
    msd_figure,
    prediction_figure,
    scattering_figure,
    scattering_label,
    training_figure,
)
from glassformer.report.histogram import prediction_histograms
from glassformer.report.naming import names_of, titles_of
from glassformer.report.observable_figure import draw
from glassformer.report.particle_figures import particle_figure
from glassformer.report.prediction import distribution_figure as distribution_of_propensity
from glassformer.report.propensity_figures import correlation_figure, map_figure
from glassformer.report.spread import band_figure, distribution_figure, linear_figure, species_figure
from glassformer.report.style import STYLE
from glassformer.report.trained import training_labels
from tests.unit.test_data_figures import SEVEN, cooled, watched
from tests.unit.test_held_out import held_out
from tests.unit.test_report_words import COLD, HOT, dataset, predictions, settings

TIMES = np.geomspace(0.1, 100, 25)
PARTICLES = settings(
    targets={"times": [1.0], "quantity": "propensity", "species": "both"}, network={"head": "particle"}
)


def many() -> list[Sample]:
    """Seven state points, two configurations each."""
    return watched(TIMES, draws=(3, 5))


def few() -> list[Sample]:
    return watched(TIMES, SEVEN[4:6], draws=(3, 5))


def networks_of(samples: list[Sample]) -> list[Predictions]:
    run = settings(targets={"times": [float(TIMES[8]), float(TIMES[-1])]})
    return [predictions(samples, run, error) for error in (0.1, 0.3)]


def results(samples: list[Sample]) -> list[ExperimentResult]:
    made = networks_of(samples)
    trained = tuple(by_state_point(samples))[::2]
    rows = score_rows([NetworkTest(one, one.label) for one in made], trained, Liquid.of(samples, made[0].times))
    return [
        ExperimentResult(
            name, "four", title, "", "particlenet", "system", 7, 2, trained, trained, 2, "h", "i", "d", "c", rows, ()
        )
        for name, title in (("four", "four together"), ("structure", "told 1 $ of structure"))
    ]


def histories(folds: int, epochs: int = 5) -> list[list[dict[str, float]]]:
    return [
        [{"epoch": n, "train_loss": (fold + 1) / (n + 1), "val_mae": 0.3 + 0.01 * fold, "kept": n == epochs - 1}
         for n in range(epochs)]
        for fold in range(folds)
    ]  # fmt: skip


def observable(name: str, samples: list[Sample]) -> Figure:
    chosen = OBSERVABLES[name]
    tables = {label: chosen.columns(members) for label, members in by_state_point(samples).items()}
    label = scattering_label(samples, (0, 1), chosen.symbol) if chosen.symbol else ""
    figure = draw(chosen, tables, titles_of(samples), label)
    assert figure is not None
    return figure


def long_enough(name: str) -> list[Sample]:
    return [cooled((0.1, 0.3))] if name == "volume" else dataset()


def animated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    from matplotlib.animation import PillowWriter

    seen: list[Any] = []
    grab = PillowWriter.grab_frame
    monkeypatch.setattr(PillowWriter, "grab_frame", lambda self, **more: (seen.append(self.fig), grab(self, **more)))
    distribution_animation(watched(np.array([0.1, 1.0]), draws=(4,)), folder / "a.gif")
    figure: Figure = seen[0]
    return figure


def compared(samples: list[Sample], folder: Path) -> Figure:
    for label, members in by_state_point(samples).items():
        mean = np.mean([one.ensemble.msd.mean(0) for one in members], 0)
        columns = [TIMES, mean[:, 0], 0.1 * mean[:, 0], 1.3 * mean[:, 1], 0.1 * mean[:, 1]]
        np.savetxt(
            folder / f"{label}.csv",
            np.stack(columns, 1),
            delimiter=",",
            comments="",
            header=",".join(published.COLUMNS),
        )
    drawn: list[Figure] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "save_figure", lambda figure, stem: drawn.append(figure))
        comparison.compare(samples, folder, folder / "out")
    return drawn[0]


def propensities(samples: list[Sample]) -> Predictions:
    return predictions(samples, PARTICLES)


FIGURES: dict[str, Callable[[Path, pytest.MonkeyPatch], Figure]] = {
    "msd": lambda *_: msd_figure(few(), np.array([1.0, 1.2, 1.4, 50.0])),
    "msd-many": lambda *_: msd_figure(many(), np.array([1.0])),
    "scattering": lambda *_: scattering_figure(few()),
    "scattering-many": lambda *_: scattering_figure(many()),
    "predictions": lambda *_: prediction_figure(networks_of(few())[0], titles_of(few())),
    "predictions-many": lambda *_: prediction_figure(networks_of(many())[0], titles_of(many())),
    "predictions-propensity": lambda *_: prediction_figure(propensities(dataset()), titles_of(dataset())),
    "particles-A": lambda *_: particle_figure(propensities(dataset()), titles_of(dataset()), 0),
    "particles-B": lambda *_: particle_figure(propensities(dataset()), titles_of(dataset()), 1),
    "propensity-map": lambda *_: map_figure(held_out(dataset([COLD])), 0, 0, 0.42),
    "propensity-distribution": lambda *_: distribution_of_propensity(dataset()[0], np.linspace(0.1, 0.9, 100)),
    "propensity-correlations": lambda *_: correlation_figure(
        [row for point in (COLD, HOT) for row in held_out_rows([held_out(dataset([point]))]) if row.species == "A"],
        titles_of(dataset()),
    ),
    "propensity-map-stacked": lambda *_: map_figure(held_out(dataset([COLD])), 0, 0, 0.42, stacked=True),
    "propensity-correlations-stacked": lambda *_: correlation_figure(
        [row for point in (COLD, HOT) for row in held_out_rows([held_out(dataset([point]))]) if row.species == "A"],
        titles_of(dataset()),
        stacked=True,
    ),
    "training": lambda *_: training_figure(histories(4), *training_labels(Run())),
    "training-many": lambda *_: training_figure(histories(10), *training_labels(PARTICLES)),
    "training-one-epoch": lambda *_: training_figure(histories(2, 1)),
    "band": lambda *_: band_figure(many()),
    "linear": lambda *_: linear_figure(many()),
    "species": lambda *_: species_figure(many()),
    "distribution": lambda *_: distribution_figure(many()),
    "animation": animated,
    "histograms": lambda *_: prediction_histograms(
        {f"point {n}": (np.arange(9.0), np.arange(9.0) + n) for n in range(7)}, "t", r"MSD  [$\sigma^2$]", "[1]"
    ),
    "curves": lambda *_: curves_figure(many(), networks_of(many()), SEVEN[::2]),
    "curves-few": lambda *_: curves_figure(few(), networks_of(few()), SEVEN[4:5]),
    "errors": lambda *_: errors_figure(results(many())),
    "ratio": lambda *_: ratio_figure(results(many()), names_of(many())),
    "cooling": lambda *_: cooling_figure([cooled((0.1, 0.3))])[0],
    "comparison": lambda folder, _: compared(few(), folder),
    "mode-coupling": lambda *_: mode_coupling._draw({a: schematic_correlator(a, 1e4) for a in (3.0, 4.0, 4.5)}),
} | {
    f"observable-{name}": lambda *_, name=name: observable(name, long_enough(name))
    for name in OBSERVABLES
} | {
    f"observable-{name}-many": lambda *_, name=name: observable(name, many()) for name in ("msd", "scattering")
}  # fmt: skip

# Symbols of quantities without a dimension, where no unit stands in brackets.
DIMENSIONLESS = (
    "$F_s(k, t)$", "$F(k, t)$", r"$\alpha_2(t)$", "$Q(t)$", r"$\chi_4(t)$", "$g(r)$", "$S(k)$", r"/ \rho$", "Pearson",
    "ln", "the labels", r"$\phi(t)$", "epoch", "standardised", "standard\ndeviations", "experiment", "state point",
    "predicted / simulated", "particles per cell", "configuration, left out",
)  # fmt: skip


@pytest.fixture(params=list(FIGURES))
def figure(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Figure]:
    with mpl.rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.simplefilter("error")
        made = FIGURES[request.param](tmp_path, monkeypatch)
        made.savefig(tmp_path / "figure.png")
        yield made


def label_of(axes: Axes, which: str) -> str:
    """The label of an axis: its own, that of the axes to the left or below in its grid, or the whole figure's."""
    own: str = getattr(axes, f"get_{which}label")()
    place = axes.get_subplotspec()
    if own or place is None:
        return own
    for other in axes.figure.axes:
        there = other.get_subplotspec()
        if there is None or there.get_gridspec() is not place.get_gridspec():
            continue
        same = there.rowspan == place.rowspan if which == "y" else there.colspan == place.colspan
        if same and (label := getattr(other, f"get_{which}label")()):
            return str(label)
    owner = axes.figure
    return str(owner.get_supxlabel() if which == "x" else owner.get_supylabel())


@pytest.mark.long
def test_axes_have_labels_with_units(figure: Figure) -> None:
    for axes in figure.axes:
        for which in "xy":
            if axes.get_label() == "<colorbar>" and not getattr(axes, f"get_{which}label")():
                # That along its narrow side.
                assert axes.get_xlabel() or axes.get_ylabel()
                continue
            label = label_of(axes, which)
            assert label
            assert "[" in label or any(symbol in label for symbol in DIMENSIONLESS), label
            if label.startswith("time"):
                assert TIME_UNIT in label or r"1 / \Omega" in label


def test_scattering_functions_name_their_wave_numbers() -> None:
    mixture = few()[0].facts.mixture.model_copy(update={"wave_numbers": (7.25, 6.0)})
    other = [replace(one, facts=one.facts.model_copy(update={"mixture": mixture})) for one in few()[:1]]
    assert scattering_figure(few()).axes[0].get_ylabel() == r"$F_s(k, t)$,  $k\,\sigma_{AA}$ = 7.25 (A)"
    for name, symbol in (("scattering", "F_s"), ("collective", "F")):
        samples = dataset()
        assert observable(name, samples).axes[0].get_ylabel().startswith(rf"${symbol}(k, t)$,  $k\,\sigma_{{AA}}$ =")
    assert scattering_label(few() + other, (0, 1)).endswith("= 7.25 (A), 5.5 or 6 (B)")


def legends(figure: Figure) -> list[Legend]:
    found = list(figure.legends)
    return found + [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]


def entries(figure: Figure) -> list[tuple[Any, str]]:
    """Handles and texts of all legends; a handle made of two counts twice."""
    found: list[tuple[Any, str]] = []
    for legend in legends(figure):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            found.append((handle, text.get_text()))
    return found


@pytest.mark.long
def test_bands_and_bars_are_explained(figure: Figure) -> None:
    known = entries(figure)
    for axes in figure.axes:
        for artist in axes.collections:
            if isinstance(artist, PolyCollection):
                assert any(isinstance(one, Patch) and one.get_alpha() == artist.get_alpha() for one, _ in known)
            elif (
                isinstance(artist, LineCollection) and len(artist.get_segments()) and "colorbar" not in axes.get_label()
            ):
                assert any("standard error" in text for _, text in known)
        for patch in axes.patches:
            # Those of axvspan and axhspan.
            if isinstance(patch, Rectangle) and patch.get_transform() != axes.transData:
                shade = to_hex(patch.get_facecolor())
                assert any(isinstance(one, Patch) and to_hex(one.get_facecolor()) == shade for one, _ in known)


def looks(line: Line2D) -> tuple[str, str]:
    return str(line.get_marker()), str(line.get_linestyle() if line.get_linewidth() else "None")


@pytest.mark.long
def test_legends_show_what_is_drawn(figure: Figure) -> None:
    drawn = [line for axes in figure.axes for line in axes.lines]
    segments = [one for axes in figure.axes for one in axes.collections if isinstance(one, LineCollection)]
    colours = {to_hex(line.get_color()) for line in drawn}
    colours |= {to_hex(patch.get_facecolor()) for axes in figure.axes for patch in axes.patches}
    colours |= {to_hex(patch.get_edgecolor()) for axes in figure.axes for patch in axes.patches}
    markers = {line.get_marker() for line in drawn}
    styles = {line.get_linestyle() for line in drawn} | ({"-"} if segments else set())
    for handle, text in entries(figure):
        if isinstance(handle, Line2D):
            grey = len(set(mpl.colors.to_rgb(handle.get_color()))) == 1
            assert grey or to_hex(handle.get_color()) in colours, text
            marker, style = handle.get_marker(), handle.get_linestyle()
            assert marker in markers or (marker == "|" and segments), text
            assert style in styles or style == "None", text
            if not grey:
                same = [line for line in drawn if to_hex(line.get_color()) == to_hex(handle.get_color())]
                assert any(line.get_marker() == marker and (line.get_linestyle() == style) for line in same), text


@pytest.mark.long
def test_no_two_series_look_alike(figure: Figure) -> None:
    for axes in figure.axes:
        seen: dict[tuple[str, ...], str] = {}
        for line in axes.lines:
            label = str(line.get_label())
            if label.startswith("_"):
                continue
            look = (
                to_hex(line.get_color()),
                *looks(line),
                str(line.get_markerfacecolor()),
                f"{line.get_linewidth():.2f}",
            )
            assert seen.setdefault(look, label) == label


@pytest.mark.long
def test_texts_are_whole_and_overlap_nothing(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    whole = figure.bbox.padded(2)
    boxes = [(f"legend {n}", one.get_window_extent(renderer)) for n, one in enumerate(figure.legends)]
    # Titles and labels of the whole figure are among its texts.
    texts = [text for part in (figure, *figure.subfigs) for text in part.texts if text.get_text()]
    boxes += [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    boxes += [(f"axes {n}", axes.get_tightbbox(renderer)) for n, axes in enumerate(figure.axes)]
    for name, box in boxes:
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, name
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, name
    for place, (name, box) in enumerate(boxes):
        for other_name, other in boxes[place + 1 :]:
            shared = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(shared) < 2, f"{name} overlaps {other_name}"


@pytest.mark.long
def test_texts_can_be_read_at_half_size(figure: Figure) -> None:
    for text in figure.findobj(Text):
        assert not text.get_text() or text.get_fontsize() >= 8, text.get_text()
    for axes in figure.axes:
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            marks = [
                label
                for label, place in zip(
                    [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)],
                    [*axis.get_ticklocs(), *axis.get_ticklocs(minor=True)],
                    strict=False,
                )
                if label.get_text() and min(ends) <= place <= max(ends)
            ]
            # Shared axes have their marks at the first of them; a single epoch has one.
            shared = any(axis is not other for other in axis._get_shared_axis())  # type: ignore[attr-defined]
            assert len(marks) >= 2 or shared or axis.get_label_text() in ("epoch", "")


def test_symbols_stand_at_their_times() -> None:
    samples = many()
    made = networks_of(samples)
    figure = curves_figure(samples, made, SEVEN[::2])
    assert [axes.get_title() for axes in figure.axes] == [f"T = {point[1:5]}, P = {point[7:]}" for point in SEVEN]
    for axes, point in zip(figure.axes, SEVEN, strict=True):
        symbols = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_xdata()[0] for line in symbols] == made[0].times.tolist()
        for target, line in enumerate(symbols):
            said = np.concatenate([one.prediction[np.array(one.state_points) == point, target] for one in made])
            assert line.get_ydata()[0] == pytest.approx(np.exp(said).mean())
            assert (to_hex(line.get_markerfacecolor()) == "#ffffff") is (point not in SEVEN[::2])
        for line in axes.lines[1:]:
            assert set(line.get_xdata()) <= set(made[0].times)


def test_t_g_has_its_error() -> None:
    texts = [text for _, text in entries(cooling_figure([cooled((0.1, 0.3))])[0])]
    assert any(re.fullmatch(r"\$T_g\$ = 0\.\d{3} \$\\pm\$ 0\.\d{3}", text) for text in texts)
    assert "$T_g$: standard error" in texts


def test_few_values_are_not_called_gaussian_nor_not() -> None:
    for draws, expected in (((3,), ""), ((30, 30), "aussian")):
        (text,) = distribution_figure(watched(TIMES, SEVEN[6:], draws)).axes[0].texts
        assert (expected in text.get_text()) is True
        assert ("aussian" in text.get_text()) is bool(expected)


def test_every_figure_of_the_package_is_on_the_list() -> None:
    """A function that makes a figure and is not known here: add it to `FIGURES`."""
    found = set()
    for path in Path(report.__file__).parent.glob("*.py"):
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.FunctionDef) and "Figure(figsize" in ast.unparse(part):
                found.add(f"{path.stem}.{part.name}")
    assert found == {
        "figures.msd_figure", "figures.scattering_figure", "figures.prediction_figure", "figures.training_figure",
        "particle_figures.particle_figure", "propensity_figures.slab_figure", "propensity_figures.correlation_figure",
        "spread.band_figure", "spread._panels", "spread.distribution_figure",
        "animation.distribution_animation", "histogram.prediction_histograms", "experiment_figures.curves_figure",
        "experiment_figures.errors_figure", "experiment_figures.ratio_figure", "observable_figure.draw",
        "comparison._draw", "mode_coupling._draw", "prediction.distribution_figure",
    }  # fmt: skip
