"""The legs of an equilibration, in steps: from a campaign's settings to what the engine is told."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.equilibration import StageSettings
from glassformer.core.errors import SettingsError
from glassformer.simulate.hold import SEGMENTS

# A stage that nobody would wait for, in LJ time units: 2e11 steps of 0.005.
LONGEST = 1e9


@dataclass(frozen=True)
class Stage:
    """A Nose-Hoover run of `steps` from the first to the second temperature and pressure; NVT without pressures.

    `density`: the box is set to it before the run.
    """

    steps: int
    temperatures: tuple[float, float]
    pressures: tuple[float, float] | None
    density: float | None = None
    holds: bool = False


def approach(campaign: Campaign, point: StatePointSettings) -> list[Stage]:
    """Return the stages before the first hold. Raises `SettingsError` if a length cannot be estimated."""
    if campaign.equilibration.start_from is not None:
        return []
    first = campaign.equilibration.stages[0]
    pressure = first.pressure if isinstance(first.pressure, float | int) else point.pressure
    here = (float(first.temperature), float(pressure or 0))
    stages: list[Stage] = []
    for settings in campaign.equilibration.stages:
        for end in _ends(settings, here, point):
            steps = _steps(campaign, settings.duration, end[0], "a stage's duration")
            start = here if settings.ramp else end
            pressures = None if point.pressure is None else (start[1], end[1])
            stages.append(Stage(steps, (start[0], end[0]), pressures))
            here = end
    return stages


def hold(campaign: Campaign, point: StatePointSettings) -> Stage:
    """Return one window of holding at the state point. Raises `SettingsError` if its length cannot be estimated."""
    steps = _steps(campaign, point.hold_time, point.temperature, "hold_time")
    steps = -(-steps // SEGMENTS) * SEGMENTS
    pressures = None if point.pressure is None else (point.pressure, point.pressure)
    return Stage(steps, (point.temperature, point.temperature), pressures, holds=True)


def settle(campaign: Campaign, point: StatePointSettings, density: float) -> Stage:
    """Return the run in the box of mean density."""
    steps = max(1, round(campaign.equilibration.settle_time / campaign.equilibration.time_step))
    return Stage(steps, (point.temperature, point.temperature), None, density)


def fewest_steps(campaign: Campaign, point: StatePointSettings) -> int:
    """Return the steps that an equilibration takes at least: two windows of holding are needed to compare."""
    if campaign.equilibration.as_given:
        return 0
    steps = sum(stage.steps for stage in approach(campaign, point)) + 2 * hold(campaign, point).steps
    return steps + (settle(campaign, point, 1.0).steps if _settles(campaign, point) else 0)


def most_steps(campaign: Campaign, point: StatePointSettings) -> int:
    """Return the steps of an equilibration that uses up its budget."""
    if campaign.equilibration.as_given:
        return 0
    more = campaign.equilibration.most_windows - 2
    return fewest_steps(campaign, point) + more * hold(campaign, point).steps


def _settles(campaign: Campaign, point: StatePointSettings) -> bool:
    return campaign.equilibration.box == "mean-density" and point.pressure is not None


def _ends(settings: StageSettings, here: tuple[float, float], point: StatePointSettings) -> list[tuple[float, float]]:
    """Return where the stage ends, or, with an increment, the ends of its parts."""
    target = (point.temperature, point.pressure or 0.0)
    wanted = (settings.temperature, settings.pressure)
    end = np.array([_value(want, at, to) for want, at, to in zip(wanted, here, target, strict=True)])
    if settings.increment is None:
        return [(float(end[0]), float(end[1]))]
    # An increment that fits to rounding makes no extra part.
    parts = max(1, int(np.ceil(abs(end[0] - here[0]) / settings.increment - 1e-9)))
    path = np.linspace(here, end, parts + 1)[1:]
    return [(float(temperature), float(pressure)) for temperature, pressure in path]


def _value(want: float | str, here: float, target: float) -> float:
    if want == "target":
        return target
    return (here + target) / 2 if want == "halfway" else float(want)


def _steps(campaign: Campaign, duration: float | None, temperature: float, what: str) -> int:
    settings = campaign.equilibration
    if duration is None:
        estimate = settings.relaxation_estimate
        if estimate is None:
            raise SettingsError(
                f"{what} is not given, and the campaign has no equilibration.relaxation_estimate to take it from",
                "Set it in the campaign file, or with --set.",
            )
        if temperature <= estimate.temperature:
            raise SettingsError(
                f"{what} is not given, and the estimate of the relaxation time diverges at T = {estimate.temperature},"
                f" above T = {temperature:g}",
                "Set it in the campaign file, or with --set.",
            )
        duration = settings.relaxations * estimate.time(temperature)
        if duration > LONGEST:
            raise SettingsError(
                f"{what} is not given, and {settings.relaxations:g} estimated relaxation times at"
                f" T = {temperature:g} are longer than {LONGEST:g}",
                "Give it in the campaign file.",
            )
    return max(1, round(duration / settings.time_step))
