"""The curves of an interactive figure: those that are drawn, with their names, axes and units."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from glassformer.report.figures import msd_figure, scattering_figure
from glassformer.report.interactive import formula, panels
from glassformer.report.page import in_page
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
