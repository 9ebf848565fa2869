"""The figures that come from data alone: what they draw, read back in numbers."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import StepPatch
from PIL import Image
from scipy.stats import norm

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.thesis import thesis_relaxation_time
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.axis_labels import TIME_UNIT
from glassformer.evaluate.moments import MOST_BINS, bin_edges
from glassformer.report.animation import distribution_animation, frame_indices, spread_out
from glassformer.report.cooling import cooling_figure
from glassformer.report.histogram import (
    common_edges,
    draw_histogram,
    gaussian_fits,
    prediction_histograms,
)
from glassformer.report.spread import band_figure, distribution_figure, linear_figure, moments, species_figure
from glassformer.report.style import PALETTE, STYLE, ordered_colors
from tests.conftest import synthetic_sample

SEVEN = (
    "T0.44_P2.93", "T0.45_P2.70", "T0.47_P2.24", "T0.49_P1.78", "T0.50_P1.55", "T0.52_P1.09", "T0.56_P0.17",
)  # fmt: skip


def watched(times: FloatArray, points: tuple[str, ...] = SEVEN, draws: tuple[int, ...] = (3, 40)) -> list[Sample]:
    """A configuration of each number of draws at every state point: MSD c t, with c of A above and B twice as large."""
    samples = []
    for index, number in enumerate(draws):
        for point in points:
            sample = synthetic_sample(index, point, number)
            random = np.random.default_rng([index, round(100 * sample.facts.temperature)])
            rise = sample.facts.temperature * random.lognormal(0, 0.3, (number, len(times), 1))
            msd = rise * times[:, None] * np.array([1.0, 2.0])
            ensemble = replace(
                sample.ensemble, times=times, msd=msd, self_scattering=np.exp(-msd), quartic=None, overlap=None
            )
            samples.append(replace(sample, ensemble=ensemble))
    return samples


def runs(samples: list[Sample], point: str) -> FloatArray:
    return np.concatenate([sample.ensemble.msd for sample in samples if sample.facts.state_point == point])


def texts(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def bars(axes: Axes) -> list[StepPatch]:
    return [patch for patch in axes.patches if isinstance(patch, StepPatch)]


def area(patch: StepPatch) -> float:
    density, edges, _ = patch.get_data()
    return float(np.sum(density * np.diff(edges)))


@pytest.fixture
def samples() -> list[Sample]:
    return watched(np.geomspace(0.1, 100, 25))


def test_the_band_holds_the_2nd_to_the_98th_percentile_of_all_runs(samples: list[Sample]) -> None:
    (axes,) = band_figure(samples).axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    bands = {str(band.get_label()): band for band in axes.collections}
    assert set(bands) == {f"_{point}" for point in SEVEN}
    for point in SEVEN:
        corners = bands[f"_{point}"].get_paths()[0].vertices
        expected = np.sort(runs(samples, point)[:, :, 0], 0)
        for at, time in enumerate(samples[0].ensemble.times):
            found = corners[np.isclose(corners[:, 0], time, rtol=1e-12), 1]
            # 43 runs: the percentiles lie at ranks 0.84 and 41.16.
            column = expected[:, at]
            assert found.min() == pytest.approx(0.16 * column[0] + 0.84 * column[1])
            assert found.max() == pytest.approx(0.84 * column[41] + 0.16 * column[42])


def test_every_run_counts_alike_in_the_mean(samples: list[Sample]) -> None:
    (axes,) = band_figure(samples).axes
    for point in SEVEN:
        title = f"T = {point[1:5]}, P = {point[7:]}: 43 runs"
        (line,) = [line for line in axes.lines if line.get_label() == title]
        np.testing.assert_allclose(line.get_ydata(), runs(samples, point)[:, :, 0].mean(0))


@pytest.mark.parametrize("figure_of", [linear_figure, species_figure])
def test_each_species_has_a_panel(samples: list[Sample], figure_of: object) -> None:
    figure = figure_of(samples)  # type: ignore[operator]
    scale = "linear" if figure_of is linear_figure else "log"
    assert [axes.get_title() for axes in figure.axes] == ["A", "B"]
    for species, axes in enumerate(figure.axes):
        assert axes.get_xscale() == axes.get_yscale() == scale
        # The hottest is on top, in the legend as in the panel.
        for line, point in zip(axes.lines, reversed(SEVEN), strict=False):
            np.testing.assert_array_equal(line.get_xdata(), samples[0].ensemble.times)
            np.testing.assert_allclose(line.get_ydata(), runs(samples, point)[:, :, species].mean(0))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [f"T = {point[1:5]}, P = {point[7:]}" for point in reversed(SEVEN)]


def test_slopes_are_2_and_1_and_lie_above_the_curves_of_their_species(samples: list[Sample]) -> None:
    for species, axes in enumerate(species_figure(samples).axes):
        *_, ballistic, diffusive = axes.lines
        for line, power in ((ballistic, 2), (diffusive, 1)):
            x, y = np.log(line.get_xdata()), np.log(line.get_ydata())
            np.testing.assert_allclose(np.diff(y) / np.diff(x), power)
        highest = [max(s.ensemble.msd[:, at, species].mean() for s in samples) for at in (0, -1)]
        assert ballistic.get_ydata()[0] == pytest.approx(3 * highest[0])
        assert diffusive.get_ydata()[-1] == pytest.approx(2.2 * highest[1])


def test_seven_temperatures_are_shades_from_dark_to_light_and_four_are_the_palette() -> None:
    assert list(ordered_colors(SEVEN[:4]).values()) == list(PALETTE[:4])
    shades = ordered_colors(SEVEN)
    luminance = [np.dot((0.2126, 0.7152, 0.0722), to_rgb(shades[point])) for point in SEVEN]
    assert (np.diff(luminance) > 0.03).all()
    assert luminance[-1] < 0.75


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (300.0, [("0.56", "nearest", 36.0), ("0.52", "nearest", 105.9), ("0.50", "nearest", 241.2)]),
        (100.0, [("0.56", "nearest", 36.0), ("0.52", "the last, less than", 105.9), ("0.50", "the last", 241.2)]),
        (8.0, [("0.56", "the last", 36.0), ("0.52", "the last", 105.9), ("0.50", "the last", 241.2)]),
    ],
)
def test_the_distributions_are_at_tau_g_or_the_last_time(last: float, expected: list[tuple[str, str, float]]) -> None:
    times = np.geomspace(0.1, last, 200)
    samples = watched(times, draws=(2, 10))
    figure = distribution_figure(samples)
    assert len(figure.axes) == 3
    for axes, (temperature, which, tau_g) in zip(figure.axes, expected, strict=True):
        assert thesis_relaxation_time(float(temperature)) == pytest.approx(tau_g, rel=2e-3)
        title = axes.get_title()
        assert title.startswith(f"T = {temperature},")
        assert which in title
        assert f"$\\tau_g$ = {tau_g:.3g}" in title
        at = int(np.abs(times - tau_g).argmin()) if which == "nearest" else 199
        assert f"t = {times[at]:.3g} {TIME_UNIT}," in title
        (point,) = [point for point in SEVEN if point[1:5] == temperature]
        values = runs(samples, point)[:, at, 0]
        assert f"12 runs\nmean {values.mean():.3g}\nsd {values.std(ddof=1):.2g}" in texts(axes)
        (patch,) = bars(axes)
        np.testing.assert_allclose(patch.get_data().edges, bin_edges(values))


def test_the_nearest_time_is_so_in_the_logarithm() -> None:
    # tau_g = 36 lies nearer to 10, but less than half as many decades from 70.
    (found,) = moments(by_state_point(watched(np.array([10.0, 70.0]), ("T0.56_P0.17",))))
    assert (found.index, found.reached) == (1, True)


def test_too_hot_a_state_point_has_no_moment_and_one_below_the_divergence_the_last() -> None:
    times = np.geomspace(40, 80, 5)
    with pytest.raises(DatasetError, match="relaxes before its first time"):
        distribution_figure(watched(times, ("T0.56_P0.17",)))
    found = moments(by_state_point(watched(times, ("T0.30_P1.00", "T0.38_P1.00", "T0.39_P1.00", "T0.56_P0.17"))))
    assert [(moment.label[:5], moment.reached, moment.index) for moment in found] == [
        ("T0.39", False, 4), ("T0.38", False, 4), ("T0.30", False, 4),
    ]  # fmt: skip
    assert [moment.tau for moment in found[1:]] == [np.inf, np.inf]


@pytest.mark.parametrize("number", [2, 5, 21, 300, 5000])
@pytest.mark.parametrize("kind", ["normal", "lognormal", "uniform", "exponential"])
def test_bins_are_the_more_of_freedman_diaconis_and_sturges(kind: str, number: int) -> None:
    values = getattr(np.random.default_rng(number), kind)(size=number)
    rules = [np.histogram_bin_edges(values, rule) for rule in ("fd", "sturges")]
    expected = max(rules, key=len)
    found = bin_edges(values)
    if len(expected) <= MOST_BINS:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    else:
        assert len(found) == MOST_BINS + 1
    assert (found[0], found[-1]) == (values.min(), values.max())


@pytest.mark.parametrize("value", [0.0, 3e-5, -7.0])
@pytest.mark.parametrize("number", [1, 2, 50])
def test_equal_values_have_one_bin_around_them(value: float, number: int) -> None:
    for values in (np.full(number, value), value * (1 + 1e-14 * np.arange(number))):
        low, high = bin_edges(values)
        assert low < values.min() <= values.max() < high
        assert not gaussian_fits(values)


def test_a_middle_half_of_equal_values_leaves_sturges() -> None:
    values = np.concatenate([np.full(56, 2.0), np.arange(8.0)])
    assert len(bin_edges(values)) == 7 + 1
    # Hardly wider: a bin a millionth of the range wide is not drawn.
    values = np.concatenate([2 + 1e-6 * np.arange(56), np.arange(8.0)])
    assert len(bin_edges(values)) == MOST_BINS + 1


def test_a_gaussian_is_drawn_only_where_it_fits() -> None:
    random = np.random.default_rng(5)
    assert gaussian_fits(random.normal(3, 0.1, 200))
    assert gaussian_fits(random.normal(3, 0.1, 20))
    assert not gaussian_fits(random.normal(3, 0.1, 19))
    assert not gaussian_fits(random.exponential(size=200))
    # Of 100 Gaussian values it refuses 1.7 %, in 8000 trials: 17 +- 4 here, four times which is allowed.
    refused = sum(not gaussian_fits(random.normal(size=100)) for _ in range(1000))
    assert refused == pytest.approx(17, abs=16)


def test_the_gaussian_has_the_sample_s_mean_and_deviation() -> None:
    values = np.random.default_rng(5).normal(3, 0.1, 25)
    axes = Figure().subplots()
    draw_histogram(axes, values, color="C0", label="runs")
    (line,), (patch,) = axes.lines, bars(axes)
    x = np.asarray(line.get_xdata())
    np.testing.assert_allclose(line.get_ydata(), norm.pdf(x, values.mean(), values.std(ddof=1)))
    np.testing.assert_allclose(patch.get_data().values, np.histogram(values, bin_edges(values), density=True)[0])
    assert area(patch) == pytest.approx(1)
    bare = Figure().subplots()
    draw_histogram(bare, values, color="C0", label="runs", fit=False)
    draw_histogram(bare, values**20, color="C0", label="skewed")
    assert not bare.lines


def test_predictions_share_the_bins_of_the_labels() -> None:
    labels = np.array([1.0, 1.2, 1.3, 1.6, 2.0])
    np.testing.assert_allclose(common_edges(labels, np.array([1.1, 1.9])), bin_edges(labels))
    assert len(bin_edges(labels)) == 5
    wider = common_edges(labels, np.array([0.7, 2.3]))
    np.testing.assert_allclose(wider, np.linspace(0.5, 2.5, 9))
    far = common_edges(labels, np.array([1.5, 1e6]))
    np.testing.assert_allclose(far, np.linspace(1.0, 1e6, MOST_BINS + 1))


def test_predictions_beyond_an_edge_by_rounding_alone_are_held() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        labels = random.normal(size=30)
        edges = bin_edges(labels)
        reach = random.integers(1, 9) * (edges[1] - edges[0])
        predictions = np.array([np.nextafter(edges[0] - reach, -np.inf), np.nextafter(edges[-1] + reach, np.inf)])
        found = common_edges(labels, predictions)
        assert found[0] <= predictions[0]
        assert found[-1] >= predictions[1]
        assert (np.diff(found) > 0).all()


def test_each_group_has_a_panel_with_both_histograms() -> None:
    random = np.random.default_rng(2)
    groups = {f"group {n}": (random.normal(size=40), random.exponential(size=300) - n) for n in range(7)}
    figure = prediction_histograms(groups, "a network", "ln MSD")
    assert [axes.get_title() for axes in figure.axes] == list(groups)
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [
        (0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip
    for axes, (labels, predictions) in zip(figure.axes, groups.values(), strict=True):
        simulated, predicted = bars(axes)
        edges = simulated.get_data().edges
        np.testing.assert_array_equal(edges, predicted.get_data().edges)
        for patch, values in ((simulated, labels), (predicted, predictions)):
            assert area(patch) == pytest.approx(1)
            np.testing.assert_allclose(patch.get_data().values, np.histogram(values, edges, density=True)[0])
        assert not simulated.get_hatch()
        assert predicted.get_hatch()
        # Exponential: the predictions have no Gaussian.
        assert [line.get_label() for line in axes.lines] == ["simulated, Gaussian"] * gaussian_fits(labels)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "simulated", "simulated, Gaussian", "predicted",
    ]  # fmt: skip


@pytest.mark.long
def test_the_animation_has_a_frame_a_time_and_is_the_same_again(tmp_path: Path) -> None:
    samples = watched(np.array([0.1, 1.0, 10.0, 50.0]), draws=(4,))
    distribution_animation(samples, tmp_path / "one" / "a.gif")
    distribution_animation(samples, tmp_path / "b.gif")
    whole = (tmp_path / "one" / "a.gif").read_bytes()
    assert whole == (tmp_path / "b.gif").read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.gif"]
    with Image.open(tmp_path / "b.gif") as picture:
        assert picture.n_frames == 4  # type: ignore[attr-defined]
        assert picture.size == (1040, 500)
        frames = []
        for number in range(4):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("RGB"), int))
    # Frames stay in place: what differs lies in the title, the panels and the other panel's line.
    changed = np.any([np.abs(frame - frames[0]).max(2) > 40 for frame in frames], 0)
    assert changed.any()
    assert not changed[:, :55].any()
    assert not changed[260:290].any()


def test_the_bars_of_the_animation_are_the_shares_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = watched(np.array([0.1, 1.0, 10.0, 50.0]), draws=(4, 21))
    seen = []

    def look(writer: object) -> None:
        figure = writer.fig  # type: ignore[attr-defined]
        panels = [axes for axes in figure.axes if bars(axes)]
        line = next(line for axes in figure.axes if not bars(axes) for line in axes.lines[-1:])
        shares = {axes.get_title(): bars(axes)[0].get_data() for axes in panels}
        # Laid out at every frame, the axes might move.
        assert not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)
        seen.append((line.get_xdata()[0], figure.get_suptitle(), shares))

    grab = PillowWriter.grab_frame
    monkeypatch.setattr(PillowWriter, "grab_frame", lambda self, **more: (look(self), grab(self, **more)))
    distribution_animation(samples, tmp_path / "a.gif")
    assert [(time, title) for time, title, _ in seen] == [
        (time, f"t = {time:g} {TIME_UNIT}") for time in (0.1, 1.0, 10.0, 50.0)
    ]
    for number, (_, _, shares) in enumerate(seen):
        assert list(shares) == [f"T = {SEVEN[n][1:5]}, P = {SEVEN[n][7:]}" for n in (0, 2, 4, 6)]
        for point, share in zip((SEVEN[n] for n in (0, 2, 4, 6)), shares.values(), strict=True):
            now = runs(samples, point)[:, number, 0]
            np.testing.assert_array_equal(share.edges, next(iter(seen[0][2].values())).edges)
            np.testing.assert_allclose(share.values, np.histogram(np.log(now / now.mean()), share.edges)[0] * 4)
            assert share.values.sum() == pytest.approx(100)


def test_about_sixty_of_the_times_evenly_in_the_logarithm() -> None:
    times = np.geomspace(0.005, 500, 200)
    found = frame_indices(times)
    assert len(found) == 60
    assert (found[0], found[-1]) == (0, 199)
    assert set(np.diff(found)) == {3, 4}
    # As many decades as halfway to 1000: 31.6, nearer to 10 than to 70 by the difference alone.
    assert frame_indices(np.array([1.0, 10.0, 70.0, 1000.0]), 3).tolist() == [0, 2, 3]
    # Times that are there once are shown once.
    assert frame_indices(np.array([1.0, 2.0, 500.0])).tolist() == [0, 1, 2]
    assert spread_out(SEVEN, 4) == [SEVEN[0], SEVEN[2], SEVEN[4], SEVEN[6]]
    assert spread_out(SEVEN[:3], 4) == list(SEVEN[:3])


def test_state_points_of_different_times_cannot_move_together(tmp_path: Path) -> None:
    one, other = (watched(np.geomspace(0.1, last, 5), SEVEN[n : n + 1]) for n, last in enumerate((50, 100)))
    with pytest.raises(DatasetError, match="observed at different times"):
        distribution_animation([*one, *other], tmp_path / "a.gif")


def cooled(slopes: tuple[float, float], pressure: FloatArray | float = 1.0) -> Sample:
    """Cooled through T = 0.4 with dV/dT below and above it, and a little noise."""
    sample = synthetic_sample(0, "T0.10_P1.00")
    temperature = np.linspace(1, 0.1, 400)
    volume = 0.8 + np.where(temperature < 0.4, *slopes) * (temperature - 0.4)
    volume += np.random.default_rng(1).normal(0, 1e-2, 400)
    record = replace(
        sample.equilibration,  # type: ignore[type-var]
        time=np.arange(400.0), temperature=temperature, density=1 / volume, potential_energy=-7 + temperature,
        pressure=np.broadcast_to(pressure, 400).copy(),
    )  # fmt: skip
    return replace(sample, equilibration=record)


def test_the_sentence_holds_the_knee_and_the_figure_marks_it() -> None:
    figure, sentence = cooling_figure([cooled((0.1, 0.3))])
    (axes,) = figure.axes
    found = re.findall(r"(\d+\.\d+) ± (\d+\.\d+)", sentence)
    assert len(found) == 3
    for (value, error), expected in zip(found, (0.4, 0.1, 0.3), strict=True):
        # Two digits of an error that the value lies within three of.
        assert len(error.lstrip("0.")) == 2
        assert len(error) == len(value)
        assert abs(float(value) - expected) < 3 * float(error)
        assert float(error) < 0.05
    (knee, error), *_ = found
    assert f"T_g = {knee} ± {error}" in sentence
    (vertical,) = [line for line in axes.lines if np.ptp(line.get_xdata()) == 0 and len(line.get_xdata()) == 2]
    assert vertical.get_xdata()[0] == pytest.approx(float(knee), abs=1e-3)
    (band,) = axes.patches
    left, right = band.get_x(), band.get_x() + band.get_width()  # type: ignore[attr-defined]
    assert (left + right) / 2 == pytest.approx(float(knee), abs=1e-3)
    assert (right - left) / 2 == pytest.approx(float(error), rel=0.05)


def test_without_a_knee_the_sentence_says_why() -> None:
    for sample, reason in (
        (cooled((0.2, 0.2)), "the slope does not increase"),
        (cooled((0.1, 0.3), np.linspace(0.5, 2.9, 400)), "the pressure changes by"),
    ):
        figure, sentence = cooling_figure([sample])
        assert sentence.startswith(f"There is no T_g: {reason}")
        assert not figure.axes[0].patches
    with pytest.raises(DatasetError, match="too short an equilibration"):
        cooling_figure([synthetic_sample(0)])


@pytest.mark.long
def test_figures_can_be_drawn_of_few_runs(tmp_path: Path) -> None:
    """A single run of a single state point, which has no spread, and all in the report's style."""
    samples = watched(np.array([1.0, 10.0, 40.0]), ("T0.56_P0.17",), draws=(1,))
    with mpl.rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.simplefilter("error")
        for make in (band_figure, linear_figure, species_figure, distribution_figure):
            make(samples).savefig(tmp_path / "figure.png")
        distribution_animation(samples, tmp_path / "a.gif")
        assert "1 run\nmean" in texts(distribution_figure(samples).axes[0])
