"""What is known of how a sample was made: its state point, liquid, engine, equilibration and source."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, model_validator

from glassformer.core.arrays import SCHEMA_VERSION
from glassformer.core.mixture import CUTOFF_CONVENTIONS, MixtureSettings, shipped_mixture

# Change of the total energy per particle along a draw, in epsilon_AA, at which its dynamics are still those of the
# liquid: 1 % of the thermal energy at T = 0.5. A time step of 0.005 makes 1e-4, one of 0.02 makes 4e-2.
MOST_DRIFT = 5e-3
# Bytes of a state point's label; files are called by it, with a suffix.
MOST_LABEL = 200
# What `Facts.start` says of a configuration at the end of a draw, before the fingerprint of the draw's start.
END_OF_DRAW = "end of a draw of configuration "
# Characters of a text that says where a sample comes from.
MOST_NOTE = 1000


def is_usable_label(label: str) -> bool:
    """Tell whether `label` is a name of a folder: results are written into folders called by their state point."""
    # Control characters would steer the terminal that they are printed on.
    usable = label.isprintable() and label == label.strip() != "" and len(label.encode()) <= MOST_LABEL
    return usable and not label.startswith(".") and "/" not in label and "\\" not in label


def _usable_label(label: str) -> str:
    if not is_usable_label(label):
        raise ValueError(f"got the label {label!r}; expected a name that a folder can have")
    return label


def _printable(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= MOST_NOTE:
        raise ValueError(f"got a text of {len(text)} characters; expected at most {MOST_NOTE} that can be printed")
    return text


def _no_negative_time(value: float) -> float:
    if value < 0 or math.isinf(value):
        raise ValueError(f"got {value:g}; expected a finite number of 0 or more, or NaN if it is not known")
    return value


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
# NaN where it is not known.
Duration = Annotated[float, AfterValidator(_no_negative_time)]
Label = Annotated[str, AfterValidator(_usable_label)]
Note = Annotated[str, AfterValidator(_printable)]


class Facts(BaseModel):
    """How a sample was made. Times are in LJ units; NaN where tau_alpha was not reached by the draws.

    What is not known, or was not looked at, is None; a bare structure needs no more than the first three, and a sample
    with draws needs those of `OF_SAMPLES_WITH_DRAWS`, unless `source` says from where it was
    imported, and `licence` what holds for its use. `engine`: what made the draws. `equilibrated`: holding went on for
    the relaxation times asked for, and its last two windows agreed. `q6` and `crystalline_fraction`:
    `glassformer.physics.crystallinity`. `repeated_draws`: the numbers of the draws whose first seed made
    unstable dynamics, such as "3, 7"; their seeds are later ones. `end_of`: of further draws of a configuration at the
    end of a draw, the fingerprint of the configuration where that draw began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    state_point: Label
    temperature: Positive
    mixture: MixtureSettings
    pressure: FiniteFloat | None = None
    density: Positive | None = None
    time_step: Positive | None = None
    seed: NonNegativeInt | None = None
    index: NonNegativeInt | None = None
    engine: str | None = None
    protocol: str | None = None
    parameter_hash: str | None = None
    code_version: str | None = None
    equilibration_time: Duration | None = None
    tau_alpha: Duration | None = None
    equilibration_in_tau_alpha: Duration | None = None
    energy_drift: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    equilibrated: bool | None = None
    hold_tau_alpha: Duration | None = None
    q6: Share | None = None
    crystalline_fraction: Share | None = None
    box: str | None = None
    start: str | None = None
    end_of: str | None = None
    repeated_draws: Note | None = None
    source: Note | None = None
    licence: Note | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, values: Any) -> Any:
        """Read the facts of version 2 and before, which name the mixture's cutoff and two wave numbers."""
        if not isinstance(values, dict) or "cutoff" not in values or "mixture" in values:
            return values
        found = dict(values)
        mixture = shipped_mixture(CUTOFF_CONVENTIONS[found.pop("cutoff")])
        wave_numbers = [found.pop(f"wave_number_{letter}", None) for letter in "ab"]
        said_nothing = {"box": "as-it-fell", "start": "random"}
        return said_nothing | found | {"mixture": mixture.model_dump() | {"wave_numbers": wave_numbers}}

    @property
    def cutoff(self) -> str:
        """What tells the liquid from every other: see `MixtureSettings.identity`."""
        return self.mixture.identity

    @property
    def conserves_energy(self) -> bool:
        """Whether no draw gained or lost more energy per particle than `MOST_DRIFT`; true without draws."""
        return self.energy_drift is None or abs(self.energy_drift) <= MOST_DRIFT
