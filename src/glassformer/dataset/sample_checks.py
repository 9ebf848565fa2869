"""What a sample may hold: a structure of its liquid, and three optional parts, each with its own checks."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassformer.core.arrays import EQUILIBRATION, ISOCONFIGURATIONAL, check_arrays
from glassformer.core.errors import DatasetError
from glassformer.physics.configuration import check_configuration

if TYPE_CHECKING:
    from glassformer.dataset.sample import Ensemble, Sample

# Relative difference between the density of the box and the one that a sample is said to have.
DENSITY_TOLERANCE = 1e-3
# How far beyond free flight at its temperature a draw may move, and rounding of what cannot exceed 1.
FARTHEST, ROUNDING = 10, 1e-6
# Facts that only draws give, and what else is known of a sample that has them.
ONLY_DRAWS_GIVE = ("time_step", "engine", "tau_alpha", "equilibration_in_tau_alpha", "energy_drift")
OF_SAMPLES_WITH_DRAWS = (
    *ONLY_DRAWS_GIVE, "seed", "index", "protocol", "parameter_hash", "code_version", "equilibration_time",
)  # fmt: skip


def check_sample(sample: "Sample", where: str) -> None:
    """Check every array of `sample`. Raises `ConfigurationError` or `DatasetError`, naming `where`."""
    # With it the inherent structure, if it was sought.
    check_configuration(sample.configuration, where)
    _check_liquid(sample, where)
    _check_facts(sample, where)
    if sample.ensemble is not None:
        _check_ensemble(sample, sample.ensemble, where)
    if sample.equilibration is not None:
        check_arrays(EQUILIBRATION, vars(sample.equilibration), DatasetError, where)


def check_label(sample: "Sample", path: Path) -> None:
    """Raise `DatasetError` if the label, where it has the form that `simulate` gives it, names another temperature."""
    facts = sample.facts
    named = re.fullmatch(r"T(\d+\.\d+)_(P|rho)(-?\d+\.\d+)", facts.state_point)
    if not named:
        return
    contradiction = ""
    # A label has ten digits of a number.
    if not math.isclose(float(named.group(1)), facts.temperature, rel_tol=1e-9):
        contradiction = f"temperature {facts.temperature:g}"
    elif (
        named.group(2) == "rho"
        and facts.density is not None
        and not math.isclose(float(named.group(3)), facts.density, rel_tol=1e-9)
    ):
        contradiction = f"density {facts.density:g}"
    if contradiction:
        raise DatasetError(
            f"{path}: got {contradiction} under the label {facts.state_point}",
            "The file contradicts itself and cannot be used.",
        )


def _check_liquid(sample: "Sample", where: str) -> None:
    """Check that the structure is that of the mixture and at the density that the facts name."""
    configuration, facts = sample.configuration, sample.facts
    sample.mixture.check(configuration.species, where, DatasetError)
    if configuration.dimension != sample.mixture.dimension:
        raise DatasetError(
            f"{where}: got a structure in {configuration.dimension} dimensions of a mixture in"
            f" {sample.mixture.dimension}",
            "The file contradicts itself and cannot be used.",
        )
    together = configuration.particles - len(np.unique(configuration.positions, axis=0))
    if together:
        raise DatasetError(
            f"{where}: {together} particles lie exactly where another one is", "The file cannot be used."
        )
    if facts.density is not None and abs(configuration.density / facts.density - 1) > DENSITY_TOLERANCE:
        raise DatasetError(
            f"{where}: got {configuration.density:.5g} particles per volume in a sample of density {facts.density:g}",
            "The file contradicts itself and cannot be used.",
        )


def _check_facts(sample: "Sample", where: str) -> None:
    """Check that the facts say of the draws what is known of them, and nothing where there are none."""
    facts = sample.facts
    if sample.ensemble is not None:
        missing = [name for name in OF_SAMPLES_WITH_DRAWS if getattr(facts, name) is None]
        if missing:
            raise DatasetError(
                f"{where}: attribute {missing[0]}: missing in a sample with draws", "The file cannot be used."
            )
        return
    known = [name for name in ONLY_DRAWS_GIVE if getattr(facts, name) is not None]
    if known:
        raise DatasetError(
            f"{where}: the group 'isoconfigurational' is missing, but the attribute {known[0]} says that there were"
            " draws",
            "The file is damaged. Of a bare structure nothing is said that only draws give: Sample.without_draws.",
        )


def _check_ensemble(sample: "Sample", ensemble: "Ensemble", where: str) -> None:
    sizes = check_arrays(ISOCONFIGURATIONAL, vars(ensemble), DatasetError, where)
    if sizes["Q"] != sample.mixture.kinds:
        raise DatasetError(
            f"{where}: got means over {sizes['Q']} species; expected {sample.mixture.kinds}",
            "The file contradicts itself and cannot be used.",
        )
    if sizes["N"] != sample.configuration.particles and sizes["S"]:
        raise DatasetError(
            f"{where}: propensities of {sizes['N']} particles; expected {sample.configuration.particles}"
        )
    if sizes["D"] == 0 or sizes["T"] == 0:
        raise DatasetError(f"{where}: got {sizes['D']} draws at {sizes['T']} times; expected at least one of each")
    if (np.diff(ensemble.times) <= 0).any():
        raise DatasetError(f"{where}: got times that do not increase", "The file cannot be used.")
    if (ensemble.msd <= 0).any():
        raise DatasetError(f"{where}: got a mean squared displacement of 0 or less", "The file cannot be used.")
    _check_dynamics(sample, ensemble, where)


def _check_dynamics(sample: "Sample", ensemble: "Ensemble", where: str) -> None:
    """Raise `DatasetError` for what no dynamics can do, whatever the liquid."""
    temperature, mixture = sample.facts.temperature, sample.mixture
    # By the Cauchy-Schwarz inequality <|r(t) - r(0)|^2> <= d T t^2 / m for the mean over time of T, which is not exact.
    farthest = FARTHEST * mixture.dimension * temperature / mixture.masses * ensemble.times[:, None] ** 2
    known = ensemble.seeds[ensemble.seeds >= 0]
    impossible = {
        "a particle time of 0 or less": (ensemble.particle_times <= 0).any(),
        "particle times that do not increase": (np.diff(ensemble.particle_times) <= 0).any(),
        "a particle time after the last time": (ensemble.particle_times > ensemble.times[-1] * (1 + ROUNDING)).any(),
        "a negative displacement": (ensemble.displacement_mean < 0).any() or (ensemble.displacement_sq_mean < 0).any(),
        "a first time of 0 or less": ensemble.times[0] <= 0,
        f"a mean squared displacement beyond {FARTHEST} times that of free flight": (ensemble.msd > farthest).any(),
        "a self scattering function beyond 1": (np.abs(ensemble.self_scattering) > 1 + ROUNDING).any(),
        "one velocity seed for several draws": len(np.unique(known)) < len(known),
    }
    if ensemble.overlap is not None:
        impossible["an overlap that is no share"] = ((ensemble.overlap < 0) | (ensemble.overlap > 1 + ROUNDING)).any()
    if ensemble.quartic is not None:
        impossible["a mean fourth power of the displacement below the square of the mean second"] = (
            np.sqrt(np.maximum(ensemble.quartic, 0)) < ensemble.msd * (1 - ROUNDING)
        ).any()
    found = [what for what, there in impossible.items() if there]
    if found:
        raise DatasetError(f"{where}: got {found[0]}", "No simulation can give that: the file cannot be used.")
