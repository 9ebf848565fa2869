"""The campaign file: which state points, configurations and draws to simulate, and how."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from glassformer.core.bounds import Count, Density, Particles, Pressure, Step, Temperature, Time, TimeStep
from glassformer.core.equilibration import Equilibration
from glassformer.core.mixture import (
    CUTOFF_CONVENTIONS,
    MixtureSettings,
    check_composition,
    shipped_mixture,
    shipped_mixtures,
)
from glassformer.core.settings import Settings
from glassformer.core.thesis import thesis_estimate
from glassformer.core.words import decimals


class StatePointSettings(Settings):
    """Temperature with either a pressure (NPT) or a number density (NVT), and settings of this state point alone.

    `hold_time` is the length of one window of holding; without it, `equilibration.relaxations` estimated relaxation
    times. `particle_times` and `until` replace those of the campaign. `expected_density`: that of the boxes at constant
    pressure, where it is known; it decides nothing, and tells beforehand which boxes will be too short.
    """

    temperature: Temperature
    pressure: Pressure | None = None
    density: Density | None = None
    expected_density: Density | None = None
    hold_time: Time | None = None
    particle_times: tuple[Time, ...] | None = None
    until: Time | None = None

    @model_validator(mode="after")
    def _one_of_pressure_and_density(self) -> "StatePointSettings":
        if (self.pressure is None) == (self.density is None):
            raise ValueError("give either pressure or density, and not both")
        return self

    @property
    def label(self) -> str:
        """Folder name of the state point, such as 'T0.50_P1.55' or 'T0.44_rho1.20'."""
        if self.pressure is not None:
            return f"T{decimals(self.temperature)}_P{decimals(self.pressure)}"
        assert self.density is not None
        return f"T{decimals(self.temperature)}_rho{decimals(self.density)}"


class Schedule(Settings):
    """Observation steps of LAMMPS's `logfreq3(first, count, last)`, up to the time `until`."""

    first: Step = 1
    count: Annotated[int, Field(ge=2, le=100_000)] = 200
    last: Step = 100_000
    until: Time | None = None

    @model_validator(mode="after")
    def _enough_steps(self) -> "Schedule":
        if self.last - self.first + 1 < self.count:
            raise ValueError(f"{self.count} different steps do not fit between {self.first} and {self.last}")
        return self


class Campaign(Settings):
    """A set of state points x configurations x draws, and every setting that determines their numbers.

    `mixture` is the name of one that ships with the package, or a table.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    particles: Particles
    mixture: MixtureSettings
    configurations: Count
    draws: Count
    # Lennard-Jones particles fly through each other at longer steps.
    time_step: TimeStep = 0.005
    # What runs the draws. 'auto': a CUDA device where there is one; else lockstep where the processor can, and LAMMPS
    # once the draws have drifted apart.
    engine: Literal["auto", "lammps", "lockstep", "cuda"] = "auto"
    particle_times: tuple[Time, ...] = ()
    # Keep every draw's displacements at the particle times: 12 bytes per particle, time and draw.
    keep_displacements: bool = False
    equilibration: Equilibration = Equilibration()
    schedule: Schedule = Schedule()
    state_points: Annotated[tuple[StatePointSettings, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _liquid(cls, values: Any) -> Any:
        """Look up a mixture that is named; campaigns of older versions name a convention for the cutoff instead."""
        if not isinstance(values, dict):
            return values
        found = dict(values)
        convention = found.pop("cutoff", None)
        if convention is not None:
            if "mixture" in found:
                raise ValueError("give a mixture and no cutoff: its table has the cutoff")
            if convention not in CUTOFF_CONVENTIONS:
                raise ValueError(
                    f'cutoff: got {convention!r}; expected a mixture instead, such as mixture = "kob-andersen"'
                )
            found["mixture"] = CUTOFF_CONVENTIONS[convention]
        if isinstance(found.get("mixture"), str):
            try:
                found["mixture"] = shipped_mixture(found["mixture"])
            except KeyError:
                raise ValueError(
                    f"mixture: there is no mixture {found['mixture']!r}; these ship: {', '.join(shipped_mixtures())};"
                    " or give a table, or the path of a file"
                ) from None
        return found

    @model_validator(mode="after")
    def _composition(self) -> "Campaign":
        check_composition(self.mixture, self.particles)
        labels = [point.label for point in self.state_points]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise ValueError(f"state point {min(twice)} is given twice")
        return self

    def at(self, point: StatePointSettings) -> "Campaign":
        """Return the campaign with the particle times and the end of `point` in place of the general ones."""
        changes: dict[str, Any] = {}
        if point.particle_times is not None:
            changes["particle_times"] = point.particle_times
        if point.until is not None:
            changes["schedule"] = self.schedule.model_copy(update={"until": point.until})
        return self.model_copy(update=changes)

    def sample_parameters(self, point: StatePointSettings) -> dict[str, Any]:
        """Return the settings that determine the numbers of one sample at `point`.

        These are all but the engine and the numbers of configurations and draws, which may grow in a dataset.
        """
        parameters = self.model_dump(mode="json", exclude={"configurations", "draws", "state_points", "engine"})
        # The contents of the start configurations matter, not their folder: the task adds these.
        parameters["equilibration"].pop("start_from")
        if not self.equilibration.as_given:
            # Left out, so that the hashes of samples made before it could be set stay valid.
            parameters["equilibration"].pop("as_given")
        estimate = self.equilibration.relaxation_estimate
        if estimate is None or estimate == thesis_estimate():
            # Left out for the same reason.
            parameters["equilibration"].pop("relaxation_estimate")
        parameters.pop("mixture")
        liquid = self.mixture.identity
        if liquid in CUTOFF_CONVENTIONS and self.mixture.wave_numbers == shipped_mixture("kob-andersen").wave_numbers:
            parameters["cutoff"] = liquid
        else:
            parameters["mixture"] = self.mixture.physics | {"wave_numbers": self.mixture.wave_numbers}
        return parameters | {"state_point": point.model_dump(mode="json", exclude={"expected_density"})}
