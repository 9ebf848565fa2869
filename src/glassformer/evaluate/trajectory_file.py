"""From what a file of another code holds to a trajectory that can be analysed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError, SettingsError
from glassformer.core.mixture import PEAK, MixtureSettings
from glassformer.core.presets import load_mixture
from glassformer.core.words import counted
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.readers.contents import Contents
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.readers.species import assign_species
from glassformer.evaluate.trajectory import Motion
from glassformer.observables.time_averages import Track
from glassformer.physics.unwrapping import unwrapped_fractions

# Names of species where nothing else is known.
_LETTERS = "ABCDEFGH"
_STRUCTURE_ALONE = "The structure alone needs neither: --observables rdf,structure."


@dataclass(frozen=True)
class Clock:
    """How frames get their times: the time step of the run, for a file that has steps, or the time between frames."""

    time_step: float | None = None
    frame_time: float | None = None


@dataclass(frozen=True, eq=False)
class Followed:
    """`contents` with its species assigned, their `names` (S,), and the `wave_numbers` (S,) of their scattering."""

    contents: Contents
    names: tuple[str, ...]
    wave_numbers: tuple[float, ...]


def read_followed(
    path: Path,
    mixture: MixtureSettings | None = None,
    species: str = "",
    wave_numbers: Sequence[float] = (),
    incomplete: bool = False,
) -> Followed:
    """Return what the file `path` holds; see `followed`. Raises `InputError`."""
    return followed(read_file(path, incomplete), mixture, species, wave_numbers)


def followed(
    contents: Contents,
    mixture: MixtureSettings | None = None,
    species: str = "",
    wave_numbers: Sequence[float] = (),
) -> Followed:
    """Return `contents` with its species assigned, by `species` ('1=A,2=B') or in their order.

    Their names and wave numbers are those of `mixture`, or of the one that the file names; without any, names are those
    of the file or letters, and k = `core.mixture.PEAK`. Raises `DatasetError` for particles that are not of the
    mixture, `SettingsError` for other `wave_numbers` than one positive number for each species.
    """
    if mixture is None and contents.origin.mixture:
        mixture = load_mixture(contents.origin.mixture)
    names = mixture.species if mixture else _names(contents, species)
    # Columns and files are called by them in lower case.
    if len({name.lower() for name in names}) < len(names):
        example = ",".join(f"{kind}={letter}" for kind, letter in zip(contents.types, _LETTERS, strict=False))
        raise DatasetError(
            f"{contents.path}: got the species {', '.join(names)}, which differ only in upper and lower case",
            f"Name them differently: --species {example}.",
        )
    contents = assign_species(contents, names, species)
    if mixture:
        _check_mixture(contents, mixture)
    if wave_numbers and (len(wave_numbers) != len(names) or not all(0 < number < 1e6 for number in wave_numbers)):
        raise SettingsError(
            f"got --wave-numbers {','.join(f'{number:g}' for number in wave_numbers)}; expected"
            f" {counted(len(names), 'positive number')}, for {', '.join(names)}",
            "For example --wave-numbers 7.25,5.5.",
        )
    usual = mixture.wave_numbers if mixture else (PEAK,) * len(names)
    return Followed(contents, names, tuple(wave_numbers) or usual)


def _names(contents: Contents, species: str) -> tuple[str, ...]:
    """Return the names of the species where no mixture says them: as they are assigned, or by type."""
    if species:
        return tuple(dict.fromkeys(part.partition("=")[2].strip() for part in species.split(",")))
    if all(name.isalpha() for name in contents.types):
        return contents.types
    return tuple(_LETTERS[: len(contents.types)])


def _check_mixture(contents: Contents, mixture: MixtureSettings) -> None:
    found = contents.trajectory.dimension
    if found != mixture.dimension:
        raise DatasetError(
            f"{contents.path} is {found}-dimensional; the {mixture.name} mixture has {mixture.dimension} dimensions",
            "Name the mixture that the file holds.",
        )
    mixture_of(mixture).check(contents.species, str(contents.path), DatasetError)


def motion_of(
    contents: Contents,
    names: Sequence[str],
    wave_numbers: Sequence[float],
    clock: Clock,
    dynamics: bool = True,
) -> Motion:
    """Return the trajectory that `contents` hold, with species called `names` and observed at `wave_numbers` (S,).

    Species must have been assigned. Without `dynamics`, frames are structures: positions are not unwrapped, and times
    not needed.

    Raises `DatasetError` where a file does not say when its frames were taken, which particle is which, or where
    particles went between frames.
    """
    trajectory, where = contents.trajectory, contents.path.name
    if not dynamics:
        fractions: FloatArray = trajectory.positions / trajectory.boxes[:, None]
        times = np.arange(float(trajectory.frames))
    else:
        times = _times(contents, clock)
        if not trajectory.followed:
            raise DatasetError(f"{where}: no particle can be followed from frame to frame", _STRUCTURE_ALONE)
        try:
            fractions = unwrapped_fractions(trajectory.positions, trajectory.boxes, trajectory.unwrapped, where)
        except ConfigurationError as error:
            raise DatasetError(error.problem, f"{error.remedy} {_STRUCTURE_ALONE}") from None
    track = Track(
        fractions, trajectory.boxes, contents.species, np.array(wave_numbers, np.float64), trajectory.dimension
    )
    return Motion(stem(contents.path), track, times, tuple(names))


def stem(path: Path) -> str:
    """Return the name of a file without what tells its format: 'run' for run.lammpstrj.gz."""
    return Path(path.name.removesuffix(".gz")).stem or path.name


def _times(contents: Contents, clock: Clock) -> FloatArray:
    """Return the time of every frame, counted from the first. Raises `DatasetError` where it is not known."""
    trajectory, where = contents.trajectory, contents.path.name
    if trajectory.frames == 1:
        return np.zeros(1)
    if clock.frame_time is not None:
        return np.arange(float(trajectory.frames)) * clock.frame_time
    if clock.time_step is not None:
        if trajectory.steps is None:
            raise DatasetError(
                f"{where} does not hold the steps of its frames, which --time-step needs",
                "Give the time between frames: --frame-time.",
            )
        passed: FloatArray = (trajectory.steps - trajectory.steps[0]) * clock.time_step
        return passed
    if trajectory.times is not None:
        return np.asarray(trajectory.times - trajectory.times[0], np.float64)
    if trajectory.steps is not None:
        raise DatasetError(
            f"{where} has the steps of its frames but not their times",
            "Give the time step of the run: --time-step 0.005.",
        )
    raise DatasetError(
        f"{where} holds neither times nor steps of its frames", "Give the time between frames: --frame-time."
    )
