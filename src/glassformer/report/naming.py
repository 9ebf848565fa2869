"""What state points are called: in figures, on pages, and in the names of files."""

import re
from collections.abc import Mapping, Sequence

from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.report.style import literal

# 'T0.50_P1.55', 'T0.44_rho1.20', 'T0.50'.
_LABEL = re.compile(r"T(\d+(?:\.\d+)?)(?:_(P|rho)(-?\d+(?:\.\d+)?))?")
_SYMBOLS = {"P": "P", "rho": "ρ"}
# Longer labels would leave no room for the figure.
LONGEST = 40


def name_of(label: str) -> str:
    """Return 'T = 0.50, P = 1.55' for 'T0.50_P1.55'; another label as it is, a long one without its middle."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return label if len(label) <= LONGEST else f"{label[: LONGEST - 11]}…{label[-10:]}"
    temperature, kind, value = found.groups()
    return f"T = {temperature}" + (f", {_SYMBOLS[kind]} = {value}" if kind else "")


def title_of(sample: Sample) -> str:
    """Return the name of the sample's state point as matplotlib draws it."""
    return literal(name_of(sample.facts.state_point))


def titles_of(samples: Sequence[Sample]) -> dict[str, str]:
    """Return the titles of all state points of `samples`, coldest first."""
    return {label: literal(name_of(label)) for label in by_state_point(samples)}


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Return 'T = 0.50' for each of `labels`, or the whole names where temperatures alone do not tell them apart."""
    names = {label: name_of(label) for label in labels}
    short = {label: name.partition(",")[0] if _LABEL.fullmatch(label) else name for label, name in names.items()}
    return short if len(set(short.values())) == len(short) else names


def titled(titles: Mapping[str, str], label: str) -> str:
    """Return the title of `label`, also of a state point that is not among the data."""
    return titles.get(label, literal(name_of(label)))
