"""Pages as a reader meets them: opened from a disk in a headless Chromium, looked at, clicked, dragged."""

import base64
import csv
import io
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from glassformer.baselines.propensity_model import Prediction
from glassformer.cli.model_cards import load_model
from glassformer.core.layout import OutFolder
from glassformer.dataset.sample import Sample
from glassformer.evaluate.analysis import DEFAULT
from glassformer.report.analyse import analyse
from glassformer.report.page import in_page, plots
from glassformer.report.prediction import prediction_page
from glassformer.report.style import PALETTE
from tests.conftest import synthetic_sample
from tests.unit.test_held_out import held_out, report
from tests.unit.test_report_words import COLD, HOT, dataset

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: pip install 'glassformer[browser]'"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]
# WebGL on the processor: test machines have no GPU.
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZES = (4096, 32768)
# Seconds, with nothing else running, and bytes. A busy machine is given time by its load for each processor.
LONGEST_LOAD, LARGEST = 5.0, 20e6
COLOURS = (
    "predicted deviation", "simulated deviation", "predicted, absolute", "simulated, absolute", "difference",
    "uncertainty", "species",
)  # fmt: skip

# Frames one after the other, each turned a little and finished on the GPU; milliseconds per frame.
TIME_PER_FRAME = """async (frames) => {
  const canvas = document.querySelector("#view-canvas"), gl = canvas.getContext("webgl2");
  const next = () => new Promise(requestAnimationFrame);
  const started = performance.now();
  for (let i = 0; i < frames; i += 1) {
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
    await next();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
  return (performance.now() - started) / frames;
}"""
CONTRAST = """(selector) => {
  const part = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const light = (text) => part(text).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const ink = light(getComputedStyle(document.querySelector(selector)).color);
  return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
}"""

# The last point of the curve with this name, as if the mouse were there.
HOVER = """([stage, name]) => {
  const curve = stage.data.findIndex((one) => one.name === name && one.hovertemplate);
  Plotly.Fx.hover(stage, [{ curveNumber: curve, pointNumber: stage.data[curve].x.length - 1 }]);
}"""
# Texts of a figure that leave it.
OUTSIDE = """(plot) => {
  const whole = plot.getBoundingClientRect();
  return [...plot.querySelectorAll(".plot-stage text")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && (box.left < whole.left || box.right > whole.right || box.top < whole.top);
  }).map((one) => one.textContent);
}"""
# Pairs of texts, or of a text and a button, that lie over each other.
OVERLAPPING = """(plot) => {
  const shown = [...plot.querySelectorAll(".plot-stage text, .plot-stage .modebar")]
    .map((one) => [one, one.getBoundingClientRect()]).filter(([, box]) => box.width && box.height);
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return shown.flatMap(([one, a], i) => shown.slice(i + 1).filter(([other, b]) => !one.contains(other) && over(a, b))
    .map(([other]) => `${one.textContent || one.ariaLabel} | ${other.textContent || other.ariaLabel}`));
}"""


def sample_of(particles: int) -> Sample:
    return synthetic_sample(particles=particles)


def predicted(sample: Sample) -> Prediction:
    """What a model with errors says of what the draws did."""
    label = sample.dynamics.displacement_mean[0].astype(float)
    random = np.random.default_rng(1)
    noise = random.normal(0, 0.3 * label.std(), len(label))
    return Prediction(label + noise, random.uniform(0.05, 0.1, len(label)), np.full(len(label), 0.5), ())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The page of a prediction at every size."""
    folder, card = tmp_path_factory.mktemp("pages"), load_model("ka-t0.44-t4120-fast").card
    found = {}
    for particles in SIZES:
        sample, found[particles] = sample_of(particles), folder / f"{particles}.html"
        page = prediction_page(sample, card, 1.0, predicted(sample), ("a warning",), "run.lammpstrj")
        found[particles].write_text(page, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    parts = [held_out([one for one in dataset() if one.facts.state_point == point], 0.5) for point in (COLD, HOT)]
    report(folder, parts)
    return OutFolder(folder).report.page


@pytest.fixture(scope="module")
def observables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observables")
    analyse(dataset(), [], folder, page=folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Any]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WEBGL)
    yield browser
    browser.close()


class Reader:
    """A page in the browser, with what went wrong in it and what it asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1200, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **context)
        # Milliseconds: the machine may be busy with other tests.
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url[:80]))
        started = time.monotonic()
        self.page.goto(path.as_uri())
        if context.get("java_script_enabled", True):
            self.page.wait_for_function("document.querySelector('main').offsetHeight > 0")
        self.seconds = time.monotonic() - started

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def pixels(self) -> NDArray[np.int16]:
        """What is drawn on the canvas, after the next frame."""
        # While it is turned it may be drawn coarsely, and finely a moment later.
        self.page.wait_for_timeout(500)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        image = Image.open(io.BytesIO(self.page.locator("#view-canvas").screenshot()))
        return np.asarray(image.convert("RGB"), dtype=np.int16)

    def plot(self, text: str) -> Any:
        """The first interactive figure with this text, once its curves are drawn."""
        found = self.page.locator(".plot").filter(has_text=text).first
        found.scroll_into_view_if_needed()
        found.locator(".plot-stage .legendtoggle[role=checkbox]").first.wait_for()
        return found

    def shown(self) -> int:
        return int(self.page.locator("#view-shown").inner_text().split()[0].replace(",", ""))

    def slide(self, label: str, value: float) -> None:
        self.page.get_by_label(label).fill(f"{value:g}")

    def colour(self, name: str) -> None:
        self.page.get_by_label(name, exact=True).check()


def covered(pixels: NDArray[np.int16]) -> float:
    """Share of the canvas on which something is drawn: the page is white."""
    return float((pixels.min(-1) < 250).mean())


def different(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """Share of the pixels that differ."""
    return float((np.abs(one - other).max(-1) > 8).mean())


@pytest.mark.parametrize("particles", SIZES)
def test_the_view_opens_fast_and_turns(
    chromium: Any, pages: dict[int, Path], particles: int, capsys: pytest.CaptureFixture[str]
) -> None:
    size = pages[particles].stat().st_size
    loads = []
    # The machine may be busy with other tests.
    for _ in range(3):
        with Reader(chromium, pages[particles]) as reader:
            loads.append(reader.seconds)
            assert reader.shown() == particles
            still = reader.pixels()
            assert 0.1 < covered(still) < 0.9
            # The first frames find out whether there is a GPU.
            reader.page.evaluate(TIME_PER_FRAME, 2)
            each = reader.page.evaluate(TIME_PER_FRAME, 10)
            assert different(still, reader.pixels()) > 0.05
            assert reader.wrong == []
            assert [url for url in reader.asked if not url.startswith(("file:", "data:"))] == []
    with capsys.disabled():
        print(f"\n{particles:,} particles: {size / 1e6:.1f} MB, open in {min(loads):.2f} s, {each:.0f} ms per frame")
    assert size < LARGEST
    assert min(loads) < LONGEST_LOAD * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_every_colouring_and_slider_changes_what_is_drawn(chromium: Any, pages: dict[int, Path]) -> None:
    sample = sample_of(SIZES[0])
    z, box = sample.configuration.positions[:, 2], sample.configuration.box
    with Reader(chromium, pages[SIZES[0]]) as reader:
        seen = []
        for name in COLOURS:
            reader.colour(name)
            seen.append(reader.pixels())
            assert all(different(seen[-1], before) > 0.05 for before in seen[:-1]), name
            assert reader.page.locator("#view-scale").is_visible() is (name != "species")
        # Seen face to face a sphere has the whole colour of its species.
        for colour in PALETTE[:2]:
            nearest = np.abs(seen[-1] - 255 * np.array(to_rgb(colour))).max(-1)
            assert (nearest < 12).sum() > 100
        reader.slide("Most mobile", 10)
        counts = np.bincount(sample.configuration.species)
        assert reader.shown() == sum(int(n - np.ceil(0.9 * n)) for n in counts)
        assert covered(reader.pixels()) < 0.8 * covered(seen[-1])
        reader.slide("Most mobile", 100)
        assert reader.shown() == len(z)
        reader.slide("Slab, thickness", 2.5)
        reader.slide("Slab, centre", 1)
        # The slab goes on at the other side of the periodic box.
        away = np.abs(z - 1)
        assert reader.shown() == pytest.approx((np.minimum(away, box[2] - away) <= 1.25).sum(), abs=3)
        assert covered(reader.pixels()) < 0.8 * covered(seen[-1])
        assert reader.wrong == []


def test_scales_have_their_unit_and_the_data_s_values(chromium: Any, pages: dict[int, Path]) -> None:
    sample = sample_of(SIZES[0])
    label = sample.dynamics.displacement_mean[0]
    both = np.concatenate([label, predicted(sample).propensity])
    with Reader(chromium, pages[SIZES[0]]) as reader:
        # What is shown first does not depend on the species.
        assert reader.page.get_by_label("predicted deviation", exact=True).is_checked()
        for name in ("predicted", "simulated"):
            reader.colour(f"{name} deviation")
            assert reader.page.locator("#view-title").inner_text() == (
                f"{name} propensity, deviation from the mean of the species [standard deviations]"
            )
            ends = [reader.page.locator(f"#view-{end}").inner_text() for end in ("low", "high")]
            assert ends == ["≤ −2.50", "≥ 2.50"]
            reader.colour(f"{name}, absolute")
            assert reader.page.locator("#view-title").inner_text().replace("\n", "") == f"{name} propensity [σAA]"
            ends = [float(reader.page.locator(f"#view-{end}").inner_text()[2:]) for end in ("low", "high")]
            np.testing.assert_allclose(ends, np.quantile(both, (0.01, 0.99)), rtol=5e-3)
        reader.colour("difference")
        low, high = (reader.page.locator(f"#view-{end}").inner_text() for end in ("low", "high"))
        assert low[2:] == f"−{high[2:]}"


def test_dragging_and_arrow_keys_turn_and_the_button_turns_back(chromium: Any, pages: dict[int, Path]) -> None:
    with Reader(chromium, pages[SIZES[0]]) as reader:
        canvas = reader.page.locator("#view-canvas")
        canvas.scroll_into_view_if_needed()
        first, place = reader.pixels(), canvas.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        reader.page.mouse.move(x, y)
        reader.page.mouse.down()
        reader.page.mouse.move(x + 120, y + 40, steps=4)
        reader.page.mouse.up()
        dragged = reader.pixels()
        assert different(first, dragged) > 0.05
        canvas.press("ArrowLeft")
        assert different(dragged, reader.pixels()) > 0.05
        reader.page.get_by_role("button", name="Reset the view").click()
        canvas.blur()
        assert different(first, reader.pixels()) < 0.01
        assert reader.wrong == []


@pytest.mark.parametrize("without", ["webgl", "javascript"])
def test_without_webgl_the_page_says_so_and_keeps_the_map(
    playwright: Any, pages: dict[int, Path], without: str
) -> None:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-3d-apis"])
    with Reader(browser, pages[SIZES[0]], java_script_enabled=without == "webgl") as reader:
        assert "needs JavaScript and WebGL" in reader.page.locator("#view-missing").inner_text()
        assert not reader.page.locator("#view-stage").is_visible()
        assert not reader.page.locator("#view-controls").is_visible()
        assert reader.page.locator("figure svg").first.is_visible()
        assert reader.wrong == []
    browser.close()


@pytest.mark.parametrize("which", ["prediction", "demo"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_pages_are_readable(
    chromium: Any, pages: dict[int, Path], demo: Path, which: str, scheme: str, width: int
) -> None:
    path = demo if which == "demo" else pages[SIZES[0]]
    with Reader(chromium, path, width, color_scheme=scheme) as reader:
        page = reader.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for text in ("p", ".lead", "figcaption", "a", "th", ".note"):
            assert page.evaluate(CONTRAST, text) > 4.5, text
        assert (page.locator("h1").count(), page.locator("main").count()) == (1, 1)
        figures = page.locator("figure")
        assert figures.count() == page.locator("figure > figcaption").count() > 2
        drawn = page.locator("figure > svg, figure > .wide > svg, figure > .plot > .drawn > svg")
        assert drawn.count() == page.locator("figure > p.data a[download$='.csv']").count()
        # A figure of several panels is drawn once more for phones, where nothing is to be scrolled for.
        assert page.locator(".narrow").count() == page.locator(".wide").count() >= 1
        for shown, place in ((width < 640, ".narrow"), (width > 640, ".wide")):
            assert all(one.is_visible() is shown for one in page.locator(place).all())
        for one in page.locator(".narrow" if width < 640 else ".wide").all():
            assert one.evaluate("(one) => one.scrollWidth <= one.parentElement.clientWidth")
        # Every control has a name to those who do not see it.
        for control in page.locator("input").all():
            assert control.evaluate("(one) => one.labels.length") == 1
        assert covered(255 - reader.pixels() if scheme == "dark" else reader.pixels()) > 0.1
        assert reader.wrong == []


def test_the_demo_s_view_shows_its_configuration(chromium: Any, demo: Path) -> None:
    with Reader(chromium, demo) as reader:
        assert reader.shown() == dataset()[0].configuration.particles
        before = reader.pixels()
        for name in ("simulated deviation", "predicted, absolute", "difference", "species"):
            reader.colour(name)
            after = reader.pixels()
            assert different(before, after) > 0.02
            before = after
        assert reader.page.get_by_label("uncertainty", exact=True).count() == 0


def test_curves_answer_to_the_mouse_and_the_legend(chromium: Any, demo: Path) -> None:
    with Reader(chromium, demo) as reader:
        plots = reader.page.locator(".plot")
        assert plots.count() == 4
        plot = plots.filter(has_text="MSD").filter(has_text="time t").first
        plot.scroll_into_view_if_needed()
        assert not plot.locator(".drawn").is_visible()
        curve = plot.locator(".scatterlayer .trace", has=reader.page.locator(".js-line")).last
        # The middle of what is drawn of a curve need not lie on it: along the diagonal somewhere does.
        place = curve.locator(".js-line").bounding_box()
        for step in range(40):
            reader.page.mouse.move(
                place["x"] + place["width"] * step / 40, place["y"] + place["height"] * (1 - step / 40)
            )
            reader.page.wait_for_timeout(50)
            if plot.locator(".hoverlayer .hovertext").count():
                break
        assert re.search(r"\d", plot.locator(".hoverlayer .hovertext").first.text_content())
        entry = plot.locator(".legend .traces").first
        assert "opacity: 0.5" not in entry.get_attribute("style")
        entry.locator(".legendtoggle").click()
        reader.page.wait_for_function("(one) => one.style.opacity === '0.5'", arg=entry.element_handle())
        assert reader.wrong == []
        assert [url for url in reader.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_curve_tells_its_name_and_its_values_with_units(chromium: Any, demo: Path) -> None:
    samples = [one for one in dataset() if one.facts.state_point == COLD]
    msd = np.mean([one.observed("msd").mean(0)[:, 1] for one in samples], 0)
    with Reader(chromium, demo) as reader:
        plot = reader.plot("MSD ⟨")
        # The curve of B is drawn dashed; where its last point lies is plotly's own matter.
        reader.page.evaluate(HOVER, [plot.locator(".plot-stage").element_handle(), "T = 0.50, P = 1.55, B"])
        told = plot.locator(".hoverlayer .hovertext").first.text_content().replace("\u200b", "")
        assert told.startswith("T = 0.50, P = 1.55, Btime t [τLJ]: ")
        number = float(told.rpartition(" ")[2])
        assert told.rpartition(": ")[0].endswith("MSD ⟨ |r(t) - r(0)|2 ⟩ [σAA2]")
        assert number == pytest.approx(msd[-1], rel=1e-3)


def test_the_legend_and_the_buttons_answer_to_keys(chromium: Any, demo: Path) -> None:
    with Reader(chromium, demo) as reader:
        plot = reader.plot("MSD ⟨")
        assert plot.get_by_role("group").get_attribute("aria-label") == (
            "MSD ⟨ |r(t) - r(0)|2 ⟩ [σAA2] against time t [τLJ]"
        )
        entry = plot.get_by_role("checkbox", name="T = 0.50, P = 1.55, B")
        curves = plot.locator(".scatterlayer .trace").count()
        for key, there in (("Enter", False), (" ", True)):
            entry.press(key)
            reader.page.wait_for_function(
                "([one, there]) => one.getAttribute('aria-checked') === String(there)",
                arg=[entry.element_handle(), there],
            )
            # The key stays where it was: the next one is for the same entry.
            assert entry.evaluate("(one) => one === document.activeElement")
            assert plot.locator(".scatterlayer .trace").count() == curves - (not there)
        span = "(one) => one.layout.xaxis.range.at(-1) - one.layout.xaxis.range[0]"
        stage = plot.locator(".plot-stage")
        whole = stage.evaluate(span)
        plot.get_by_role("button", name="Zoom in").press("Enter")
        reader.page.wait_for_function(f"([one, whole]) => ({span})(one) < whole", arg=[stage.element_handle(), whole])
        plot.get_by_role("button", name="Reset axes").press("Enter")
        reader.page.wait_for_function(f"([one, whole]) => ({span})(one) === whole", arg=[stage.element_handle(), whole])
        assert reader.wrong == []


def test_no_button_of_a_figure_sends_its_data_away(chromium: Any, demo: Path) -> None:
    with Reader(chromium, demo) as reader:
        buttons = reader.plot("MSD ⟨").locator(".modebar-btn")
        names = {button.get_attribute("aria-label") for button in buttons.all()}
        assert names == {"Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Autoscale", "Reset axes"}
        # What does not show a button may still send by another way.
        assert reader.page.evaluate("() => document.querySelector('.plot-stage')._context.plotlyServerURL") == ""


@pytest.mark.parametrize("width", [1200, 400])
def test_titles_and_ticks_of_figures_stay_inside_and_apart(chromium: Any, demo: Path, width: int) -> None:
    with Reader(chromium, demo, width) as reader:
        plots = reader.page.locator(".plot")
        for number in range(plots.count()):
            assert plots.nth(number).evaluate(OUTSIDE) == []
            assert plots.nth(number).evaluate(OVERLAPPING) == []


def test_the_title_of_an_axis_too_long_for_it_is_wrapped(chromium: Any, tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2], [1, 2])
    figure.axes[0].set(xlabel="time", ylabel=r"loss of the network $\langle |x|^2 \rangle$ " * 4)
    (tmp_path / "page.html").write_text(f"<main>{in_page(figure, 'one', interactive=True)}</main>{plots()}", "utf-8")
    with Reader(chromium, tmp_path / "page.html", 400) as reader:
        reader.page.locator(".plot-stage .ytitle").wait_for()
        assert reader.page.locator(".plot").evaluate(OUTSIDE) == []
        assert reader.page.locator(".ytitle .line").count() == 3


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (400, "dark")])
def test_the_page_of_observables(chromium: Any, observables: Path, width: int, scheme: str) -> None:
    assert observables.stat().st_size < LARGEST
    with Reader(chromium, observables, width, color_scheme=scheme) as reader:
        plots, page = reader.page.locator(".plot"), reader.page
        assert plots.count() == page.locator("figure > figcaption").count() == len(DEFAULT)
        for number in range(plots.count()):
            plots.nth(number).scroll_into_view_if_needed()
            plots.nth(number).get_by_role("checkbox").first.wait_for()
            assert plots.nth(number).locator(".scatterlayer .trace").count() > 0
            assert plots.nth(number).evaluate(OUTSIDE) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for text in ("p", ".lead", "figcaption", "a", "th", "td"):
            assert page.evaluate(CONTRAST, text) > 4.5, text
        assert reader.wrong == []
        assert [url for url in reader.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert reader.seconds < LONGEST_LOAD * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_static_figures_stay_for_print_the_switch_and_no_javascript(chromium: Any, demo: Path) -> None:
    with Reader(chromium, demo) as reader:
        plot = reader.page.locator(".plot").first
        assert plot.locator(".plot-stage").is_visible()
        reader.page.emulate_media(media="print")
        assert plot.locator(".drawn").is_visible()
        assert not plot.locator(".plot-stage").is_visible()
        reader.page.emulate_media(media="screen")
        plot.get_by_role("button", name="Static figure").press("Enter")
        assert plot.locator(".drawn").is_visible()
        assert not plot.locator(".plot-stage").is_visible()
        plot.get_by_role("button", name="Interactive figure").press("Enter")
        assert plot.locator(".plot-stage").is_visible()
    with Reader(chromium, demo, java_script_enabled=False) as reader:
        plot = reader.page.locator(".plot").first
        assert plot.locator(".drawn").is_visible()
        assert not plot.locator(".plot-switch").is_visible()


def test_on_paper_the_map_stands_for_the_view(chromium: Any, pages: dict[int, Path]) -> None:
    with Reader(chromium, pages[SIZES[0]]) as reader:
        reader.page.emulate_media(media="print")
        assert not reader.page.locator("#view-canvas").is_visible()
        assert reader.page.locator("figure svg").first.is_visible()


def test_all_particles_can_be_saved(chromium: Any, pages: dict[int, Path]) -> None:
    sample = sample_of(SIZES[0])
    with Reader(chromium, pages[SIZES[0]]) as reader:
        link = reader.page.get_by_role("link", name="All particles as CSV")
        text = base64.b64decode(link.get_attribute("href").partition("base64,")[2]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["particle"]) for row in rows] == list(range(1, len(rows) + 1))
    assert [row["species"] for row in rows] == ["AB"[kind] for kind in sample.configuration.species]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("x", "z", "propensity")}
    np.testing.assert_allclose(columns["x"], sample.configuration.positions[:, 0], rtol=1e-5)
    np.testing.assert_allclose(columns["propensity"], predicted(sample).propensity, rtol=1e-5)
