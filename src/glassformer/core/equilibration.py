"""The equilibration tables of a campaign file: how a random start becomes a configuration in equilibrium."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from glassformer.core.bounds import Density, Multiple, Temperature, TemperatureStep, Time, TimeStep
from glassformer.core.settings import Settings


class StageSettings(Settings):
    """One leg of the way to the state point.

    Temperature and pressure are numbers, or "target", or "halfway" from the leg before to the target. They are held,
    or, with `ramp`, approached linearly in time; with `increment` they are approached in equal steps of temperature of
    at most that size, each of the full duration. Without `duration` a leg lasts `Equilibration.relaxations` estimated
    relaxation times at its temperature. At fixed density the pressures are not used.
    """

    temperature: Temperature | Literal["target", "halfway"]
    pressure: float | Literal["target", "halfway"] = "target"
    duration: Time | None = None
    ramp: bool = False
    increment: TemperatureStep | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "StageSettings":
        if self.ramp and self.increment is not None:
            raise ValueError("give either ramp or increment, and not both")
        return self


class RelaxationEstimate(Settings):
    """An estimate of relaxation times, exp(strength / (T - temperature)), from which lengths of stages are taken.

    The form is that of Vogel, Fulcher and Tammann: `glassformer.observables.vft`.
    """

    strength: Annotated[float, Field(gt=0, le=100)]
    temperature: Annotated[float, Field(ge=0, le=100)]

    def time(self, temperature: float) -> float:
        """Return the relaxation time at `temperature`; infinity where the estimate diverges."""
        if temperature <= self.temperature:
            return math.inf
        try:
            return math.exp(self.strength / (temperature - self.temperature))
        except OverflowError:
            return math.inf


class Equilibration(Settings):
    """Random start, minimisation, the stages, then windows of holding at the state point until they agree.

    A window lasts the state point's `hold_time`. Holding ends when `hold_in_tau_alpha` measured relaxation times have
    passed and the last two windows agree in potential energy and F_s; or after `most_windows`, and then the sample is
    marked as not equilibrated.
    """

    time_step: TimeStep = 0.005
    damping_time: Time = 0.5
    start_density: Density = 1.1
    # A folder of configurations to start from instead of random positions: the stages are then left out.
    start_from: str | None = None
    # Take these as they are, in equilibrium or not, without holding: draws of structures that somebody else made.
    as_given: bool = False
    relaxations: Annotated[Multiple, Field(gt=0)] = 5.0
    # Needed only where a duration or a hold time is not given.
    relaxation_estimate: RelaxationEstimate | None = None
    # The start temperature and pressure are those of the thesis's cooling script.
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)] = (
        StageSettings(temperature=0.5495, pressure=0.4888, duration=5.0),
        StageSettings(temperature="target", duration=20.0, ramp=True),
    )
    hold_in_tau_alpha: Multiple = 5.0
    most_windows: Annotated[int, Field(ge=2, le=1_000_000)] = 8
    box: Literal["as-it-fell", "mean-density"] = "as-it-fell"
    # With 'mean-density': how long the configuration relaxes in the new box, in NVT.
    settle_time: Time = 10.0

    @model_validator(mode="after")
    def _given(self) -> "Equilibration":
        if self.as_given and self.start_from is None:
            raise ValueError("as_given: expected configurations to take as they are: set start_from")
        return self

    @model_validator(mode="after")
    def _begins_somewhere(self) -> "Equilibration":
        first = self.stages[0]
        if isinstance(first.temperature, str) or first.pressure == "halfway" or first.ramp or first.increment:
            raise ValueError("the first stage has nothing before it: give its temperature, without ramp or increment")
        return self
