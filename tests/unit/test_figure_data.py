"""The data of a figure as CSV: what is drawn, with the names of its axes."""

import csv
import io

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from glassformer.dataset.summary import by_state_point, mean_over_ensembles
from glassformer.report.figure_data import figure_data, plain
from glassformer.report.figures import msd_figure
from glassformer.report.naming import title_of
from glassformer.report.propensity_figures import map_figure
from tests.unit.test_held_out import held_out, of
from tests.unit.test_report_words import COLD, dataset


def rows_of(figure: Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figure_data(figure))))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def test_curves_are_the_figure_s_with_their_axes() -> None:
    samples = dataset()
    rows = rows_of(msd_figure(samples, np.array([1.0])))
    for members in by_state_point(samples).values():
        for kind, species in enumerate("AB"):
            curve = [row for row in rows if row["series"] == f"{title_of(members[0])}, {species}"]
            np.testing.assert_allclose(column(curve, "x"), members[0].dynamics.times)
            mean = mean_over_ensembles(members, "msd")[:, :, kind].mean(0)
            np.testing.assert_allclose(column(curve, "y"), mean, rtol=1e-6)
            assert curve[0]["x is"] == "time t [tau_LJ]"
            assert curve[0]["y is"] == "MSD < |r(t) - r(0)|^2 > [sigma_AA^2]"


def test_colours_are_given_as_values() -> None:
    figure = map_figure(held_out(of(COLD)), 0, 0, 0.42)
    rows = rows_of(figure)
    for axes, panel in zip(figure.axes[:2], ("predicted, Pearson 0.42", "simulated"), strict=True):
        (circles,) = (one for one in axes.collections if isinstance(one, EllipseCollection))
        found = [row for row in rows if row["panel"] == panel]
        np.testing.assert_allclose(column(found, "value"), circles.get_array(), rtol=1e-6)
        np.testing.assert_allclose(column(found, "x"), circles.get_offsets()[:, 0], rtol=1e-6)
        assert {row["y is"] for row in found} == {"y [sigma_AA]"}


def test_bars_bands_cells_and_lines_across() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.stairs([3.0, 5.0], [0.0, 1.0, 4.0], label="histogram")
    axes.fill_between([0.0, 1.0], [1.0, 2.0], [3.0, 4.0], label="spread")
    axes.errorbar([2.0], [3.0], yerr=[0.5], fmt="none")
    axes.pcolormesh([0.0, 1.0, 2.0], [0.0, 1.0], np.ma.masked_equal([[7.0, 0.0]], 0))
    axes.axhline(9.0)
    rows = rows_of(figure)
    points = {(row["series"], float(row["x"]), float(row["y"]), row["value"]) for row in rows}
    assert {("histogram", 0.5, 3.0, ""), ("histogram", 2.5, 5.0, "")} <= points
    assert {("band spread", x, y, "") for x, y in ((0, 1), (0, 3), (1, 2), (1, 4))} <= points
    assert {("error bar", 2.0, 2.5, ""), ("error bar", 2.0, 3.5, "")} <= points
    assert [row for row in rows if row["value"]] == [
        {"panel": "panel 1", "x is": "", "y is": "", "series": "", "x": "0.5", "y": "0.5", "value": "7"}
    ]
    assert not any(float(row["y"]) == 9.0 for row in rows)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (r"time  $t$  [$\tau_{\mathrm{LJ}}$]", "time t [tau_LJ]"),
        (r"price \$ of $\langle r^2 \rangle$", "price $ of < r^2 >"),
    ],
)
def test_labels_lose_their_commands(label: str, expected: str) -> None:
    assert plain(label) == expected
