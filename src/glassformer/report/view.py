"""The view that a reader turns: particles of one configuration in their box, with all that it needs inside the page."""

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.report.page import template
from glassformer.report.propensity_figures import DEVIATION, DEVIATION_COLOURS, DIAMETERS, SPREAD, standardised
from glassformer.report.style import PALETTE

# Colours end where this share of the values lies outside, on each side that has an end.
OUTSIDE = 0.01
# Of a colour map, as the view gets it.
SHADES = 256
# Modules of three.js by the names under which they are imported; what one imports has such a name, too.
MODULES = {
    "three-core": ("three.core.min.js", ()),
    "three": ("three.module.min.js", (('"./three.core.min.js"', '"three-core"'),)),
    "three-controls": ("OrbitControls.js", ()),
}
Array = NDArray[np.float32] | FloatArray


@dataclass(frozen=True, eq=False)
class Colouring:
    """One quantity (N,) by which the particles of a view are coloured.

    `label`: what a reader chooses; `title` of the scale. `map`: colours of matplotlib. `span`: values of the first and
    the last colour. `by`: the mobility, 'simulated' or 'predicted', that tells which particles are the most mobile
    while this colouring is shown. `unit` of the values, None for sigma_AA.
    """

    name: str
    label: str
    title: str
    values: Array
    map: str
    span: tuple[float, float]
    by: str
    unit: str | None = None


def colourings(
    species: ByteArray, predicted: Array, simulated: Array | None = None, uncertainty: Array | None = None
) -> list[Colouring]:
    """Return how particles with these propensities and uncertainties (N,), in sigma_AA, can be coloured.

    First come deviations from the mean of the species: absolute values show, above all, which species is which.
    Simulated and predicted propensities share one scale. Their difference has the same length of scale on both sides of
    zero.
    """
    known = {"predicted": predicted} | ({} if simulated is None else {"simulated": simulated})
    span = _span(np.concatenate([np.asarray(values, np.float64) for values in known.values()]))
    found = [
        Colouring(f"{name}-deviation", f"{name} deviation", f"{name} propensity, {DEVIATION}",
                  standardised(values, species), DEVIATION_COLOURS, (-SPREAD, SPREAD), name, "standard deviations")
        for name, values in known.items()
    ]  # fmt: skip
    for name, values in known.items():
        found.append(Colouring(name, f"{name}, absolute", f"{name} propensity", values, "plasma", span, name))
    if simulated is not None:
        difference = np.asarray(predicted, float) - simulated
        most = max(-_span(difference)[0], _span(difference)[1])
        found.append(
            Colouring("difference", "difference", "predicted − simulated", difference, DEVIATION_COLOURS,
                      (-most, most), "simulated")
        )  # fmt: skip
    if uncertainty is not None:
        found.append(
            Colouring("uncertainty", "uncertainty", "standard error of the prediction", uncertainty, "viridis",
                      _span(uncertainty), "predicted")
        )  # fmt: skip
    return found


def view(
    box: FloatArray,
    positions: Array,
    species: ByteArray,
    species_names: Sequence[str],
    quantities: Sequence[Colouring],
    fallback: str,
) -> Markup:
    """Return the view as HTML: controls, canvas, data and three.js.

    `positions` (N, 3) in the periodic `box` (3,), in sigma_AA; `species` (N,) from 0. The colouring by species is
    added. `fallback`: what a reader is told to look at where the browser has no WebGL.
    """
    mobilities = {one.name: one.values for one in quantities if one.name in {other.by for other in quantities}}
    data = {
        "box": [float(edge) for edge in box],
        "positions": _packed(positions, "<f4"),
        "kinds": _packed(species, "u1"),
        "diameters": [DIAMETERS[min(kind, len(DIAMETERS) - 1)] for kind in range(len(species_names))],
        "standings": {name: _packed(standings(values, species), "<f4") for name, values in mobilities.items()},
        "colourings": [_as_data(one) for one in quantities] + [_by_species(species_names, quantities[0].by)],
    }
    return Markup(
        template("view.html.jinja").render(
            quantities=quantities,
            first=quantities[0].name,
            species=[(name, PALETTE[kind % len(PALETTE)]) for kind, name in enumerate(species_names)],
            box=[float(edge) for edge in box],
            data=data,
            fallback=fallback,
            modules=_modules(),
            licence=Markup(_file("LICENSE")),
        )
    )


def standings(values: Array, species: ByteArray) -> FloatArray:
    """Return how many particles of the same species are less mobile, as a share (N,) from 0 to below 1.

    Those with a standing of 0.9 or more are the most mobile 10 % of each species.
    """
    found = np.zeros(len(values))
    for kind in np.unique(species):
        rows = np.flatnonzero(species == kind)
        found[rows[np.argsort(values[rows], kind="stable")]] = np.arange(len(rows)) / len(rows)
    return found


def _span(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, (OUTSIDE, 1 - OUTSIDE))
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _as_data(one: Colouring) -> dict[str, Any]:
    shades = mpl.colormaps[one.map](np.linspace(0, 1, SHADES))
    return {
        "name": one.name,
        "title": one.title,
        "unit": one.unit,
        "span": one.span,
        "by": one.by,
        "values": _packed(one.values, "<f4"),
        "shades": _packed(np.round(255 * shades), "u1"),
        "bar": [to_hex(shade) for shade in shades[:: SHADES // 15]],
    }


def _by_species(names: Sequence[str], by: str) -> dict[str, Any]:
    """Return the colouring whose values are the numbers of the species, which the view knows."""
    numbers = np.arange(SHADES) * len(names) // SHADES
    shades = [(*to_rgb(PALETTE[number % len(PALETTE)]), 1.0) for number in numbers]
    span = (-0.5, len(names) - 0.5)
    return {"name": "species", "title": "", "span": span, "by": by, "shades": _packed(255 * np.array(shades), "u1")}


def _packed(values: NDArray[Any], dtype: Literal["<f4", "u1"]) -> str:
    """Return the bytes of an array in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


@functools.cache
def _file(name: str) -> str:
    return (resources.files("glassformer.report") / "three" / name).read_text(encoding="utf-8")


@functools.cache
def _modules() -> dict[str, str]:
    """Return the modules of three.js as addresses that hold them: a page from a disk may load no module beside it."""
    found = {}
    for name, (file, changes) in MODULES.items():
        text = _file(file)
        for old, new in changes:
            text = text.replace(old, new)
        found[name] = "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()
    return found
