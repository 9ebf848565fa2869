"""Numbers that the thesis reports of its own runs, from the file `presets/thesis.toml`."""

import math
import tomllib
from functools import cache
from importlib import resources
from typing import Any

from glassformer.core.equilibration import RelaxationEstimate

# The liquid of its runs.
THESIS_MIXTURE = "kob-andersen-uniform"


@cache
def _reported() -> dict[str, Any]:
    return tomllib.loads(resources.files("glassformer").joinpath("presets", "thesis.toml").read_text("utf-8"))


def thesis_estimate() -> RelaxationEstimate:
    """Return the thesis's estimate of its relaxation times tau_g on its line of state points."""
    return RelaxationEstimate(**_reported()["relaxation_estimate"])


def thesis_relaxation_time(temperature: float) -> float:
    """Return the thesis's tau_g = exp(0.62 / (T - 0.387)) at `temperature`; infinity where it diverges."""
    return thesis_estimate().time(temperature)


def thesis_density(temperature: float, pressure: float | None) -> float | None:
    """Return the number density that the thesis reports for a state point, or None if it is none of its seven."""
    for point in _reported()["state_points"]:
        if pressure is not None and math.isclose(point["temperature"], temperature) and point["pressure"] == pressure:
            return float(point["density"])
    return None
