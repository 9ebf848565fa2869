"""What state points are called in figures and on pages."""

from collections.abc import Iterable, Mapping, Sequence

from glassformer.core.words import decimals
from glassformer.dataset.facts import Facts
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.report.style import literal

# Longer labels would leave no room for the figure.
LONGEST = 40


def name_of(facts: Facts) -> str:
    """Return 'T = 0.50, P = 1.55' by the facts; with a label of one's own also that, a long one without its middle.

    The label is compared with what `simulate` would call these facts, and never read: it may say anything.
    """
    temperature, label = decimals(facts.temperature), facts.state_point
    if label == f"T{temperature}":
        return f"T = {temperature}"
    for symbol, kind, value in (("P", "P", facts.pressure), ("ρ", "rho", facts.density)):
        if value is not None and label == f"T{temperature}_{kind}{decimals(value)}":
            return f"T = {temperature}, {symbol} = {decimals(value)}"
    return f"{_shortened(label)} (T = {temperature})"


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 11]}…{label[-10:]}"


def names_of(samples: Sequence[Sample]) -> dict[str, str]:
    """Return the names of all state points of `samples` by label, coldest first."""
    return {label: name_of(members[0].facts) for label, members in by_state_point(samples).items()}


def title_of(sample: Sample) -> str:
    """Return the name of the sample's state point as matplotlib draws it."""
    return literal(name_of(sample.facts))


def titles_of(samples: Sequence[Sample]) -> dict[str, str]:
    """Return the titles of all state points of `samples`, coldest first."""
    return {label: literal(name) for label, name in names_of(samples).items()}


def short_names(labels: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return 'T = 0.50' for each of `labels`, or the whole names where temperatures alone do not tell them apart.

    `names`: as `names_of` gives them. A state point that is not among them is called by its label.
    """
    whole = {label: names.get(label, _shortened(label)) for label in labels}
    short = {label: name.partition(",")[0] if name.startswith("T = ") else name for label, name in whole.items()}
    return short if len(set(short.values())) == len(short) else whole
