"""What a sample may hold: a structure of its liquid, and three optional parts, each with its own checks."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassformer.core.arrays import EQUILIBRATION, ISOCONFIGURATIONAL, FloatArray, check_arrays
from glassformer.core.errors import DatasetError
from glassformer.core.mixture import shipped_mixture, shipped_mixtures
from glassformer.core.words import counted
from glassformer.dataset.possible import ROUNDING, check_dynamics
from glassformer.physics.box import minimum_image
from glassformer.physics.cage import Cage, check_cage
from glassformer.physics.configuration import Configuration, check_configuration

if TYPE_CHECKING:
    from glassformer.dataset.sample import Ensemble, Sample

# Relative difference between the density of the box and the one that a sample is said to have.
DENSITY_TOLERANCE = 1e-3
# Root mean square distance from an inherent structure, in units of the box: one of another configuration is half a box
# away. From random positions, the farthest start, it is 0.77 sigma_AA.
FARTHEST_MINIMUM = 0.35
_AGAIN = "Leave the group 'cage' out, and sample the cages again with `glassformer cage`."
# Facts that only draws give, and what else is known of a sample that has them.
ONLY_DRAWS_GIVE = ("time_step", "engine", "tau_alpha", "equilibration_in_tau_alpha", "energy_drift")
OF_SAMPLES_WITH_DRAWS = (
    *ONLY_DRAWS_GIVE, "seed", "index", "protocol", "parameter_hash", "code_version", "equilibration_time",
)  # fmt: skip


def check_sample(sample: "Sample", where: str) -> None:
    """Check every array of `sample`. Raises `ConfigurationError` or `DatasetError`, naming `where`."""
    check_configuration(sample.configuration, where)
    _check_liquid(sample, where)
    _check_facts(sample, where)
    if sample.configuration.inherent_positions is not None:
        _check_inherent(sample.configuration, sample.configuration.inherent_positions, where)
    if sample.cage is not None:
        _check_cage(sample, sample.cage, where)
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
        named.group(2) == "P"
        and facts.pressure is not None
        and not math.isclose(float(named.group(3)), facts.pressure, rel_tol=1e-9)
    ):
        contradiction = f"pressure {facts.pressure:g}"
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
            f"Name a mixture in {configuration.dimension} dimensions, such as {_mixture_in(configuration.dimension)}.",
        )
    together = configuration.particles - len(np.unique(configuration.positions, axis=0))
    if together:
        i, j = _same_place(configuration.positions)
        others = f"; {counted(together - 1, 'other')} too" if together > 1 else ""
        raise DatasetError(
            f"{where}: particles number {i} and {j} have exactly the same position{others}",
            "Remove copies of particles, or write the positions with more digits.",
        )
    if facts.density is not None and abs(configuration.density / facts.density - 1) > DENSITY_TOLERANCE:
        raise DatasetError(
            f"{where}: got {configuration.density:.5g} particles per volume in a sample of density {facts.density:g}",
            "The file contradicts itself and cannot be used.",
        )


def _mixture_in(dimension: int) -> str:
    """Return the name of a mixture that ships."""
    return next(name for name in shipped_mixtures() if shipped_mixture(name).dimension == dimension)


def _same_place(positions: FloatArray) -> tuple[int, int]:
    """Return the numbers, from 1, of two particles at the same position."""
    place = np.unique(positions, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(place, kind="stable")
    first = int(np.flatnonzero(np.diff(place[order]) == 0)[0])
    return int(order[first]) + 1, int(order[first + 1]) + 1


def _check_inherent(configuration: Configuration, inherent: FloatArray, where: str) -> None:
    """Raise `DatasetError` for an inherent structure that is none of this configuration."""
    box = configuration.box
    remedy = "Leave it out, and find it again with `glassformer quench`."
    together = configuration.particles - len(np.unique(inherent, axis=0))
    if together:
        raise DatasetError(
            f"{where}: inherent structure: {together} particles have the position of another particle", remedy
        )
    shift = minimum_image(inherent - configuration.positions, box)
    distance = float(np.sqrt(((shift / box) ** 2).sum(1).mean()))
    if distance > FARTHEST_MINIMUM:
        raise DatasetError(
            f"{where}: the inherent structure belongs to another configuration: {distance:.2f} box lengths away",
            remedy,
        )


def _check_cage(sample: "Sample", cage: Cage, where: str) -> None:
    """Raise `ConfigurationError` or `DatasetError` for cage positions that are none of this configuration."""
    configuration = sample.configuration
    try:
        check_cage(cage, configuration.particles, configuration.box, where)
    except TypeError:
        raise DatasetError(f"{where}: an attribute of the group 'cage' has a wrong type", _AGAIN) from None
    shift = minimum_image(cage.positions - configuration.positions, configuration.box)
    distance = float(np.sqrt(((shift / configuration.box) ** 2).sum(1).mean()))
    if distance > FARTHEST_MINIMUM:
        raise DatasetError(
            f"{where}: the cage positions belong to another configuration: {distance:.2f} box lengths away", _AGAIN
        )
    if not math.isclose(cage.temperature, sample.facts.temperature, rel_tol=1e-6):
        raise DatasetError(
            f"{where}: got cages at T = {cage.temperature:g} in a sample at T = {sample.facts.temperature:g}", _AGAIN
        )


def _check_facts(sample: "Sample", where: str) -> None:
    """Check that the facts say of the draws what is known of them, and nothing where there are none."""
    facts = sample.facts
    if sample.ensemble is not None:
        missing = [name for name in OF_SAMPLES_WITH_DRAWS if getattr(facts, name) is None]
        if missing and facts.source is None:
            raise DatasetError(
                f"{where}: attribute {missing[0]}: missing in a sample with draws", "The file cannot be used."
            )
        return
    known = [name for name in ONLY_DRAWS_GIVE if getattr(facts, name) is not None]
    if known:
        raise DatasetError(
            f"{where}: the group 'isoconfigurational' is missing, but the attribute {known[0]} says that there were"
            " draws",
            "The file is damaged. Sample.without_draws makes a valid bare structure.",
        )


def _check_ensemble(sample: "Sample", ensemble: "Ensemble", where: str) -> None:
    sizes = check_arrays(ISOCONFIGURATIONAL, vars(ensemble), DatasetError, where)
    _check_presence(sample, ensemble, where)
    if sizes.get("Q", sample.mixture.kinds) != sample.mixture.kinds:
        raise DatasetError(
            f"{where}: got means over {sizes['Q']} species; expected {sample.mixture.kinds}",
            "The file contradicts itself and cannot be used.",
        )
    if sizes["N"] != sample.configuration.particles and sizes["S"]:
        raise DatasetError(
            f"{where}: propensities of {sizes['N']} particles; expected {sample.configuration.particles}"
        )
    if sizes.get("D") == 0 or sizes["T"] == 0:
        raise DatasetError(
            f"{where}: got {sizes.get('D', 'unknown')} draws at {sizes['T']} times; expected at least one of each"
        )
    if (np.diff(ensemble.times) <= 0).any():
        raise DatasetError(f"{where}: got times that do not increase", "The file cannot be used.")
    if ensemble.msd is not None and (ensemble.msd <= 0).any():
        raise DatasetError(f"{where}: got a mean squared displacement of 0 or less", "The file cannot be used.")
    check_dynamics(sample, where)
    # A relaxation time that the draws cannot have shown.
    tau_alpha, last = sample.facts.tau_alpha, float(ensemble.times[-1])
    if tau_alpha is not None and (tau_alpha > last * (1 + ROUNDING) or tau_alpha == 0):
        raise DatasetError(
            f"{where}: got tau_alpha = {tau_alpha:g} from draws that last until t = {last:g}",
            "The file contradicts itself and cannot be used.",
        )


def _check_presence(sample: "Sample", ensemble: "Ensemble", where: str) -> None:
    """Raise `DatasetError` unless all that draws give is there or, of an imported sample, means over draws alone."""
    there = {spec.name for spec in ISOCONFIGURATIONAL if getattr(ensemble, spec.name) is not None}
    missing = [spec for spec in ISOCONFIGURATIONAL if spec.of_draws and spec.name not in there]
    # What goes with means: none but the number of draws and the mean square.
    single = there - {"times", "particle_times", "displacement_mean", "displacement_sq_mean", "seeds"}
    if missing and (single or sample.facts.source is None):
        raise DatasetError(f"{where}: the array '{missing[0].name}' is missing", f"It holds: {missing[0].meaning}.")
    if missing and not len(ensemble.particle_times):
        raise DatasetError(f"{where}: got mean propensities without times", "The file cannot be used.")
