"""How objects look in a notebook, and what they become with packages that not everybody has."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from glassformer.core.errors import GlassformerError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class MissingPackageError(GlassformerError):
    """An optional package is needed and not installed."""


def optional(package: str, what: str) -> ModuleType:
    """Import `package`, or raise `MissingPackageError`, saying `what` needs it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        name = package.partition(".")[0]
        if error.name != name:
            raise
        raise MissingPackageError(
            f"{what} needs the package {name}, which is not installed", f"pip install {name}"
        ) from None


def data_frame(columns: Mapping[str, Any]) -> Any:
    """Return a `pandas.DataFrame` of `columns`. Raises `MissingPackageError`."""
    return optional("pandas", "to_pandas()").DataFrame(dict(columns))


def axes_for(axes: "Axes | None") -> "Axes":
    """Return `axes`, or those of a new figure of pyplot, which a notebook shows."""
    if axes is not None:
        return axes
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def html_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in HTML with a `title`; without `headings` the first cell of each row is one."""
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    tags = ["th", *["td"] * len(rows[0])] if rows and not headings else ["td"] * (len(rows[0]) if rows else 0)
    body = "".join(
        "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for tag, cell in zip(tags, row, strict=False)) + "</tr>"
        for row in rows
    )
    return (
        f"<p><b>{escape(title)}</b></p><table>"
        + (f"<thead><tr>{head}</tr></thead>" if headings else "")
        + f"<tbody>{body}</tbody></table>"
    )


def number(value: float | None, digits: int = 3) -> str:
    """Return `value` with so many decimals, or '-' where it is not known."""
    return "-" if value is None or value != value else f"{value:.{digits}f}"
