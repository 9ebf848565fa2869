"""The curves of an interactive figure: those that are drawn, with their names, axes and units."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from glassformer.evaluate.analysis import OBSERVABLES
from glassformer.report.figures import msd_figure, scattering_figure
from glassformer.report.interactive import formula, panels
from glassformer.report.observable_figure import draw
from glassformer.report.page import in_page
from glassformer.report.style import LINE_STYLES
from tests.unit.test_report_words import dataset


def test_the_curves_of_the_msd_are_those_of_the_samples() -> None:
    samples = dataset()
    (panel,) = panels(msd_figure(samples, np.array([0.5])))
    assert panel["x"]["type"] == panel["y"]["type"] == "log"
    assert panel["x"]["title"] == "time t [τ<sub>LJ</sub>]"
    assert panel["y"]["title"] == "MSD ⟨ |r(t) - r(0)|<sup>2</sup> ⟩ [σ<sub>AA</sub><sup>2</sup>]"
    assert panel["shapes"] == [{"x": 0.5}]
    # Powers of ten, as plotly counts them: all times lie within.
    ends, times = panel["x"]["range"], samples[0].dynamics.times
    assert ends[0] <= np.log10(times[0]) < np.log10(times[-1]) <= ends[1] < np.log10(times[-1]) + 0.2
    named = {trace["name"]: trace for trace in panel["traces"] if trace["name"] and "fill" not in trace}
    point = samples[0].facts.state_point
    members = [sample for sample in samples if sample.facts.state_point == point]
    for kind, species in enumerate("AB"):
        (trace,) = (one for name, one in named.items() if name.startswith("T = 0.50") and name.endswith(species))
        expected = np.mean([sample.observed("msd").mean(0)[:, kind] for sample in members], 0)
        np.testing.assert_allclose(trace["x"], members[0].dynamics.times)
        np.testing.assert_allclose(trace["y"], expected, rtol=1e-5)
    assert named.keys() == {f"T = {t}, P = {p}, {s}" for t, p in (("0.50", "1.55"), ("0.56", "0.17")) for s in "AB"}


def test_curves_without_a_label_have_the_legend_s_name_of_their_colour() -> None:
    (panel,) = panels(scattering_figure(dataset()))
    assert {"y": float(np.exp(-1))} in panel["shapes"]
    names = {trace["name"] for trace in panel["traces"]}
    assert len(names) == 2
    assert all(name.startswith("T = 0.5") for name in names)
    thin = [trace for trace in panel["traces"] if trace["opacity"] < 1]
    assert len(thin) == len(dataset())
    assert {trace["legendgroup"] for trace in thin} == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"time t  [$\tau_{LJ}$]", "time t [τ<sub>LJ</sub>]"),
        (r"$\tau_\alpha$ = 3", "τ<sub>α</sub> = 3"),
        (r"$\sigma_{AA}^{-2}$", "σ<sub>AA</sub><sup>−2</sup>"),
        # From a file: no markup, whatever it looks like.
        ("<b>run</b> & <a href='x'>y</a>", "&lt;b&gt;run&lt;/b&gt; &amp; &lt;a href='x'&gt;y&lt;/a&gt;"),
    ],
)
def test_formulas(text: str, expected: str) -> None:
    assert formula(text) == expected


def test_what_is_no_number_is_a_gap_and_no_text_ends_the_page_s_script() -> None:
    figure = Figure()
    figure.subplots().plot([1, 2, 3], [1, np.nan, 2], label="</script><b>")
    page = str(in_page(figure, "name", interactive=True))
    text = page.partition('class="plot-data">')[2]
    held, _, rest = text.partition("</script>")
    (trace,) = json.loads(held)[0]["traces"]
    assert trace["y"] == [1, None, 2]
    assert trace["name"] == "&lt;/script&gt;&lt;b&gt;"
    assert "script" not in rest


def test_a_value_of_0_is_left_out_of_a_logarithmic_axis() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 0.1, 10], [1, 0.9, 0.2])
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(0, 10)
    assert panels(figure)[0]["x"] == {"title": "", "type": "log", "range": [-1.0, 1.0]}


def test_dashes_and_open_symbols_are_those_that_are_drawn() -> None:
    figure = Figure()
    axes = figure.subplots()
    for number, style in enumerate(LINE_STYLES):
        axes.plot([1, 2], [number, 1], color="C0", ls=style, label=f"line {number}")
    axes.plot([1, 2], [1, 2], "s", mfc="none", label="open")
    *lines, symbols = panels(figure)[0]["traces"]
    assert lines[0]["line"]["dash"] == "solid"
    assert len({trace["line"]["dash"] for trace in lines}) == len(LINE_STYLES)
    # In widths of a line of 1.5 points, in pixels.
    assert lines[7]["line"]["dash"] == "16px,4px,2px,4px,2px,4px"
    assert symbols["marker"]["symbol"] == "square-open"


def test_a_band_ends_where_the_error_is_not_known() -> None:
    columns = {"time": np.array([1.0, 2.0, 5.0, 10.0]), "f_s_a": np.array([0.9, 0.8, 0.6, 0.4])}
    columns["f_s_a_error"] = np.array([0.01, 0.02, np.nan, np.nan])
    figure = draw(OBSERVABLES["scattering"], {"T": columns}, {"T": "T = 0.5"}, "F")
    assert figure is not None
    band, curve = panels(figure)[0]["traces"]
    assert (max(band["x"]), max(curve["x"])) == (2.0, 10.0)


def test_a_band_goes_with_its_curve_also_where_curves_share_a_colour() -> None:
    times = np.array([0.0, 1.0, 10.0])
    columns = {"time": times} | {f"f_{end}": np.array([1.0, 0.8, 0.4]) for end in "ab"}
    columns |= {f"f_{end}_error": np.full(3, 0.01) for end in "ab"}
    for points in (True, False):
        figure = draw(replace(OBSERVABLES["collective"], points=points), {"T": columns}, {"T": "T = 0.5"}, "F")
        assert figure is not None
        (panel,) = panels(figure)
        groups = [trace["legendgroup"] for trace in panel["traces"]]
        assert sorted(groups) == ["T = 0.5, A", "T = 0.5, A", "T = 0.5, B", "T = 0.5, B"]
