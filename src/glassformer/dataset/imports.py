"""Files of other codes become samples: bare structures, or with the draws that a file has."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.errors import DatasetError, InputError
from glassformer.core.files import exclusive, make_folder
from glassformer.core.layout import SAMPLE_SUFFIX, DatasetFolder
from glassformer.core.mixture import MixtureSettings, shipped_mixture, shipped_mixtures
from glassformer.core.provenance import code_version
from glassformer.core.words import counted, decimals
from glassformer.dataset.consistency import check_state_points, refuse_copies
from glassformer.dataset.folder import read_dataset, sample_paths
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.readers.contents import Contents, Draws
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.readers.species import assign_species
from glassformer.dataset.sample import Ensemble, Facts, Sample, write_sample
from glassformer.dataset.sample_checks import DENSITY_TOLERANCE, check_sample
from glassformer.observables.recorded import AVERAGED, BY_DRAW
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture

# Most species of which every order is tried, to say which one a file's numbers fit.
_MOST_ORDERED = 5


@dataclass(frozen=True)
class Choices:
    """What a user says of the files: what is None, or empty, they say themselves or is asked for.

    `species`: '1=A,2=B'. `times`: those of the draws. `frames`: 'first', 'last', 'all' or START:STOP:STEP.
    """

    mixture: MixtureSettings | None = None
    temperature: float | None = None
    species: str = ""
    label: str = ""
    frames: str = ""
    times: tuple[float, ...] = ()
    without_draws: bool = False
    incomplete: bool = False


def import_files(paths: Sequence[Path], dataset: Path, choices: Choices, say: Callable[[str], None]) -> list[Path]:
    """Write the structures of `paths` to `dataset`, after those that it holds, and return the files written.

    Every file is read and checked before any is written. `say` is told what was guessed. Raises `InputError`.
    """
    new = [sample for path in paths for sample in samples_of(read_file(path, choices.incomplete), choices, say)]
    for sample in new:
        check_sample(sample, sample.facts.protocol or "")
    with exclusive(dataset):
        old = _samples_in(dataset)
        _check_together(old, new)
        written = []
        for sample in new:
            folder = DatasetFolder(dataset)
            taken = {path.stem for path in (dataset / sample.facts.state_point).glob(f"*{SAMPLE_SUFFIX}")}
            index = next(n for n in itertools.count() if folder.sample(sample.facts.state_point, n).stem not in taken)
            path = folder.sample(sample.facts.state_point, index)
            make_folder(path.parent)
            write_sample(path, replace(sample, facts=sample.facts.model_copy(update={"index": index})))
            written.append(path)
    return written


def samples_of(contents: Contents, choices: Choices, say: Callable[[str], None]) -> list[Sample]:
    """Return the samples of a file. Raises `DatasetError` for what neither the file nor `choices` say."""
    settings = _mixture(contents, choices)
    mixture = mixture_of(settings)
    contents = assign_species(contents, mixture.species, choices.species)
    _check_composition(contents, mixture, choices)
    temperature = choices.temperature or contents.origin.temperature
    if temperature is None:
        raise DatasetError(f"{contents.path} does not say its temperature", "Give it: --temperature T, in LJ units.")
    structures, note = _chosen(contents, choices.frames)
    for text in (*contents.notes, *note):
        say(f"{contents.path.name}: {text}")
    draws = None if choices.without_draws else contents.draws
    ensemble = None if draws is None else _ensemble(contents, draws, mixture, choices)
    facts = _facts(contents, structures, settings, temperature, choices)
    if ensemble is not None:
        tau_alpha = relaxation_time(ensemble.times, ensemble.self_scattering[:, :, 0].mean(0))
        facts = facts.model_copy(update={"tau_alpha": tau_alpha})
    return [Sample(structure, ensemble, facts) for structure in structures]


def _mixture(contents: Contents, choices: Choices) -> MixtureSettings:
    if choices.mixture is not None:
        return choices.mixture
    if contents.origin.mixture is None:
        raise DatasetError(
            f"{contents.path} does not say which mixture it is",
            f"Name it: --mixture FILE, or one that ships: {', '.join(shipped_mixtures())}.",
        )
    return shipped_mixture(contents.origin.mixture)


def _check_composition(contents: Contents, mixture: Mixture, choices: Choices) -> None:
    """Raise `DatasetError` unless the particles are those of the mixture, with the order of types that would fit."""
    try:
        mixture.check(contents.species, str(contents.path), DatasetError)
    except DatasetError as error:
        if choices.species or mixture.kinds > _MOST_ORDERED:
            raise
        for order in itertools.permutations(range(mixture.kinds)):
            renamed = np.array(order, np.uint8)[contents.species]
            try:
                mixture.check(renamed, "")
            except InputError:
                continue
            fits = ",".join(f"{kind}={mixture.species[order[number]]}" for number, kind in enumerate(contents.labels))
            raise DatasetError(error.problem, f"The numbers fit --species {fits}, or name another mixture.") from None
        raise


def _chosen(contents: Contents, wanted: str) -> tuple[list[Configuration], tuple[str, ...]]:
    """Return the frames that are `wanted`, and a note where that was not said."""
    structures, trajectory = list(contents.structures), contents.trajectory
    words = {"first": slice(0, 1), "last": slice(-1, None), "all": slice(None)}
    if wanted in words:
        return structures[words[wanted]], ()
    if wanted:
        try:
            numbers = [int(part) if part.strip() else None for part in wanted.split(":")]
            chosen = structures[slice(*numbers)] if len(numbers) in (2, 3) else [structures[numbers[0] or 0]]
        except (ValueError, IndexError, TypeError):
            chosen = []
        if not chosen:
            raise DatasetError(
                f"{contents.path} has frames 0 to {len(structures) - 1}; got --frames {wanted}",
                "Expected first, last, all, a number, or START:STOP:STEP.",
            )
        return chosen, ()
    if len(structures) > 1 and trajectory.followed and (trajectory.steps is not None or trajectory.times is not None):
        # Frames of one run are alike, and a network must not be tested on what it was trained with.
        return structures[-1:], (f"The last of {len(structures)} frames of one run; --frames all takes every one.",)
    return structures, ()


def _facts(
    contents: Contents,
    structures: Sequence[Configuration],
    settings: MixtureSettings,
    temperature: float,
    choices: Choices,
) -> Facts:
    densities = [structure.density for structure in structures]
    density = round(float(np.mean(densities)), 4)
    same = all(abs(one / density - 1) < DENSITY_TOLERANCE / 2 for one in densities) if density else False
    label = choices.label or f"T{decimals(temperature)}" + (f"_rho{decimals(density)}" if same else "")
    source = contents.origin.source
    try:
        return Facts(
            state_point=label,
            temperature=temperature,
            density=density if same and not choices.label else None,
            mixture=settings,
            protocol=f"imported from {contents.path.name}, {contents.format}",
            code_version=code_version(),
            source=f"{source}; {contents.path.name}" if source else contents.path.name,
            licence=contents.origin.licence,
        )
    except ValueError as error:
        problem = str(error).splitlines()[2].strip().partition(" [")[0]
        raise DatasetError(f"{contents.path}: {problem}", "Give another --label or --temperature.") from None


def _ensemble(contents: Contents, draws: Draws, mixture: Mixture, choices: Choices) -> Ensemble:
    """Return what is recorded of draws that are known at a few times only, their curves at these times."""
    displacements = np.asarray(draws.displacements, np.float64)
    number, count = displacements.shape[:2]
    times = np.array(choices.times, np.float64) if choices.times else draws.times
    if times is None or len(times) != count:
        got = "no times" if times is None else counted(len(times), "time")
        raise DatasetError(
            f"{contents.path} has {counted(number, 'draw')} at {counted(count, 'time')}; got {got}",
            "Give the times: --times T1,T2,...; or --without-draws.",
        )
    order = np.argsort(times)
    times, displacements = times[order], displacements[:, order]

    def of_draws(row: str) -> Any:
        function, species = BY_DRAW[row], contents.species
        return np.array([[function(moved, species, mixture) for moved in draw] for draw in displacements])

    means: dict[str, Any] = {
        row: np.mean([function(draw) for draw in displacements], 0).astype(np.float32)
        for row, function in AVERAGED.items()
    }
    return Ensemble(
        times=times,
        # Nobody knows the velocities.
        seeds=np.full(number, -1, np.int64),
        particle_times=times,
        displacements=displacements.astype(np.float32),
        **{row: of_draws(row) for row in BY_DRAW},
        **means,
    )


def _samples_in(dataset: Path) -> list[Sample]:
    try:
        there = bool(sample_paths(dataset))
    except DatasetError:
        there = False
    return read_dataset(dataset) if there else []


def _check_together(old: Sequence[Sample], new: Sequence[Sample]) -> None:
    """Raise `DatasetError` for structures that are there twice, or do not belong under one label."""
    names = [sample.identifier for sample in old]
    names += [f"{sample.facts.source} ({number + 1} of {len(new)})" for number, sample in enumerate(new)]
    refuse_copies([*old, *new], names)
    check_state_points([*old, *new])
