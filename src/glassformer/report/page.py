"""What every HTML report is made with: figures that stand in the page and beside it, and the templates."""

import base64
import functools
import io
import math
from importlib import resources
from pathlib import Path

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from glassformer.core.files import write_atomically
from glassformer.evaluate.paired import Difference
from glassformer.report.figure_data import figure_data
from glassformer.report.interactive import panels

PLOT = Markup("""<div class="plot"><div class="drawn">{}</div><div class="plot-stage" role="group"></div>
<button type="button" class="plot-switch" hidden></button>
<script type="application/json" class="plot-data">{}</script></div>""")

WIDTHS = Markup('<div class="wide">{}</div><div class="narrow">{}</div>')


def save(
    figure: Figure,
    name: str,
    folder: Path,
    formats: tuple[str, ...] = ("svg", "png"),
    interactive: bool = False,
    narrow: Figure | None = None,
) -> Markup:
    """Write `figure` to `folder` in these `formats`, SVG among them; return what `in_page` does."""
    for suffix in formats:
        write_atomically(folder / f"{name}.{suffix}", _drawn(figure, suffix))
    return in_page(figure, name, interactive, narrow)


def in_page(figure: Figure, name: str, interactive: bool = False, narrow: Figure | None = None) -> Markup:
    """Return `figure` as SVG for a page, with a link to its data as CSV.

    `interactive`: curves tell their values, can be zoomed and hidden, on a page that holds `plots`. `narrow`: the same
    for a phone.
    """
    drawn = _svg(figure, name)
    if narrow is not None:
        drawn = WIDTHS.format(drawn, _svg(narrow, f"{name}-narrow"))
    if interactive:
        drawn = PLOT.format(drawn, htmlsafe_json_dumps(panels(figure)))
    return drawn + csv_link(name, figure_data(figure))


def plots() -> Markup:
    """Return what a page with interactive figures holds after all of them: plotly.js and what starts it."""
    folder = resources.files("glassformer.report") / "plotly"
    library = base64.b64encode((folder / "plotly-basic.min.js").read_bytes()).decode()
    licence = Markup((folder / "LICENSE").read_text(encoding="utf-8"))
    return Markup(template("plots.html.jinja").render(library=library, licence=licence))


def _svg(figure: Figure, name: str) -> Markup:
    text = _drawn(figure, "svg").decode()
    return Markup(_unique_ids(text[text.index("<svg") :], name))


def csv_link(name: str, text: str, words: str = "Data as CSV") -> Markup:
    """Return a link in `words` that saves `text` as the file `name`.csv; the page holds it."""
    data = base64.b64encode(text.encode()).decode()
    return Markup(
        '<p class="data"><a download="{}.csv" href="data:text/csv;charset=utf-8;base64,{}">{}</a></p>'
    ).format(name, data, words)


def _drawn(figure: Figure, suffix: str) -> bytes:
    # No date inside: the same data gives the same file.
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=160, bbox_inches="tight", pad_inches=0.08, metadata=dates[suffix])
    return buffer.getvalue()


def _unique_ids(svg: str, name: str) -> str:
    """Prefix the ids of one figure, so that several can stand in one page."""
    return svg.replace('id="', f'id="{name}-').replace('"#', f'"#{name}-').replace("url(#", f"url(#{name}-")


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return the page template `name` of this package."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("glassformer.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["signed"] = signed
    environment.filters["general"] = general
    environment.filters["symbols"] = symbols
    environment.filters["smallest"] = smallest
    return environment.get_template(name)


def number(value: float, digits: int = 3) -> str:
    """Return `value`, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def general(value: float, digits: int = 6) -> str:
    """Return `value` with as many significant digits, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}g}"


def symbols(text: str) -> Markup:
    """Return `text`, whatever it holds made harmless, with the subscripts of physics."""
    whole = str(escape(text))
    for symbol, index in (("τ", "α"), ("τ_", "g"), ("F_", "s"), ("G_", "d"), ("σ_", "AA")):
        whole = whole.replace(symbol + index, f"{symbol.removesuffix('_')}<sub>{index}</sub>")
    return Markup(whole)


def signed(found: Difference) -> str:
    """Return a difference with its sign and error: '-0.012 ± 0.005'."""
    if math.isnan(found.mean):
        return "n/a"
    return f"{found.mean:+.3f}".replace("-", "−") + f" ± {number(found.error)}"


def smallest(values: list[float]) -> float:
    """Return the smallest of `values` that is a number, NaN if none is."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)
