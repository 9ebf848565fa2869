"""Files of other codes become samples: bare structures, or with the draws that a file has."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glassformer.core.errors import DatasetError, InputError, SettingsError
from glassformer.core.layout import SAMPLE_SUFFIX, DatasetFolder
from glassformer.core.mixture import MixtureSettings, shipped_mixture, shipped_mixtures
from glassformer.core.provenance import code_version
from glassformer.core.runs import exclusive
from glassformer.core.words import counted, decimals
from glassformer.dataset.consistency import check_state_points, refuse_copies
from glassformer.dataset.facts import Facts
from glassformer.dataset.folder import read_dataset, sample_paths
from glassformer.dataset.imported import imported_ensemble
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.readers import botan
from glassformer.dataset.readers.contents import Contents
from glassformer.dataset.readers.joined import joined
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.readers.species import assign_species
from glassformer.dataset.sample import Sample, write_sample
from glassformer.dataset.sample_checks import DENSITY_TOLERANCE, check_sample
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture

# Most species of which every order is tried, to say which one a file's numbers fit.
_MOST_ORDERED = 5


@dataclass(frozen=True)
class Choices:
    """What a user says of the files: what is None, or empty, they say themselves or is asked for.

    `species`: '1=A,2=B'. `times`: those of the draws or propensities.
    `frames`: 'first', 'last', 'all' or START:STOP:STEP.
    """

    mixture: MixtureSettings | None = None
    temperature: float | None = None
    species: str = ""
    label: str = ""
    frames: str = ""
    times: tuple[float, ...] = ()
    without_draws: bool = False
    incomplete: bool = False

    def __post_init__(self) -> None:
        """Raise `SettingsError` for a temperature that is none."""
        if self.temperature is not None and not 0 < self.temperature < 1e9:
            raise SettingsError(
                f"got --temperature {self.temperature:g}; expected a positive number", "LJ units are expected."
            )


def import_files(paths: Sequence[Path], dataset: Path, choices: Choices, say: Callable[[str], None]) -> list[Path]:
    """Write the structures of `paths` to `dataset`, after those that it holds, and return the files written.

    Every file is read and checked before any is written; those of one configuration at several times become one sample.
    `say` is told what was guessed. Raises `InputError`.
    """
    new = read_samples_of(paths, choices, say)
    with exclusive(dataset):
        old = _samples_in(dataset)
        _check_together(old, new)
        written = []
        for sample in new:
            folder = DatasetFolder(dataset)
            taken = {path.stem for path in (dataset / sample.facts.state_point).glob(f"*{SAMPLE_SUFFIX}")}
            index = next(n for n in itertools.count() if folder.sample(sample.facts.state_point, n).stem not in taken)
            path = folder.sample(sample.facts.state_point, index)
            write_sample(path, replace(sample, facts=sample.facts.model_copy(update={"index": index})))
            written.append(path)
    return written


def read_samples_of(paths: Sequence[Path], choices: Choices, say: Callable[[str], None]) -> list[Sample]:
    """Return the samples of `paths`, checked; files of one configuration at several times become one sample.

    `say` is told what was guessed. Raises `InputError`.
    """
    found = joined([read_file(path, choices.incomplete) for path in paths])
    names = [contents.path.name for contents in found]
    # Two files of one name are told apart by their folders.
    called = [str(one.path) if names.count(one.path.name) > 1 else one.path.name for one in found]
    samples = [
        sample
        for contents, name in zip(found, called, strict=True)
        for sample in samples_of(contents, choices, say, name)
    ]
    for sample in samples:
        check_sample(sample, sample.facts.protocol or "")
    return samples


def samples_of(
    contents: Contents, choices: Choices, say: Callable[[str], None], file: str | None = None
) -> list[Sample]:
    """Return the samples of a file, called by the name `file` and, of several, the number of the frame.

    Raises `DatasetError` for what neither the file nor `choices` say.
    """
    temperature = choices.temperature or contents.origin.temperature
    _refuse_unsaid(contents, choices, temperature)
    assert temperature is not None
    settings = choices.mixture or shipped_mixture(str(contents.origin.mixture))
    mixture = mixture_of(settings)
    contents = assign_species(contents, mixture.species, choices.species)
    _check_composition(contents, mixture, choices)
    structures = list(contents.structures)
    numbers, note = _chosen(contents, choices.frames)
    for text in (*contents.notes, *note):
        say(f"{contents.path.name}: {text}")
    ensemble = None if choices.without_draws else imported_ensemble(contents, mixture, choices.times)
    chosen = [structures[number] for number in numbers]
    facts = _facts(contents, chosen, settings, temperature, choices)
    if ensemble is not None and ensemble.self_scattering is not None:
        tau_alpha = relaxation_time(ensemble.times, ensemble.self_scattering[:, :, 0].mean(0))
        facts = facts.model_copy(update={"tau_alpha": tau_alpha})
    frames = [f", frame {number}" if len(structures) > 1 else "" for number in numbers]
    known = contents.trajectory.steps
    steps = [None if known is None else int(known[number]) for number in numbers]
    return [
        Sample(structure, ensemble, facts, file=None if file is None else f"{file}{frame}", step=step)
        for structure, frame, step in zip(chosen, frames, steps, strict=True)
    ]


def _refuse_unsaid(contents: Contents, choices: Choices, temperature: float | None) -> None:
    """Raise `DatasetError` naming all that neither the file nor `choices` say."""
    remedies = {}
    if choices.mixture is None and contents.origin.mixture is None:
        remedies["its mixture"] = f"--mixture FILE, or one that ships: {', '.join(shipped_mixtures())}"
    if temperature is None:
        remedies["its temperature"] = "--temperature T, in LJ units"
    if remedies:
        raise DatasetError(
            f"{contents.path} does not state {' or '.join(remedies)}",
            f"Give {'it' if len(remedies) == 1 else 'both'}: {'; and '.join(remedies.values())}.",
        )


def _check_composition(contents: Contents, mixture: Mixture, choices: Choices) -> None:
    """Raise `DatasetError` unless the particles are those of the mixture, with the order of types that would fit."""
    try:
        mixture.check(contents.species, str(contents.path), DatasetError)
    except DatasetError as error:
        if choices.species:
            raise DatasetError(error.problem, "Correct --species, or name another mixture.") from None
        if mixture.kinds > _MOST_ORDERED:
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


def _chosen(contents: Contents, wanted: str) -> tuple[list[int], tuple[str, ...]]:
    """Return the numbers, from 0, of the frames that are `wanted`, and a note where that was not said."""
    trajectory, frames = contents.trajectory, list(range(contents.trajectory.frames))
    words = {"first": slice(0, 1), "last": slice(-1, None), "all": slice(None)}
    if wanted in words:
        return frames[words[wanted]], ()
    if wanted:
        try:
            numbers = [int(part) if part.strip() else None for part in wanted.split(":")]
            chosen = frames[slice(*numbers)] if len(numbers) in (2, 3) else [frames[numbers[0] or 0]]
        except (ValueError, IndexError, TypeError):
            chosen = []
        if not chosen:
            raise DatasetError(
                f"{contents.path} has {counted(len(frames), 'frame')}; got --frames {wanted}",
                f"Expected first, last, all, a number from 0 to {len(frames) - 1}, or START:STOP:STEP.",
            )
        return chosen, ()
    if len(frames) > 1 and trajectory.followed and (trajectory.steps is not None or trajectory.times is not None):
        # Frames of one run are alike, and a network must not be tested on what it was trained with.
        return frames[-1:], (f"The last of {len(frames)} frames of one run; --frames all takes every one.",)
    return frames, ()


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


def _samples_in(dataset: Path) -> list[Sample]:
    try:
        there = bool(sample_paths(dataset))
    except DatasetError:
        there = False
    return read_dataset(dataset) if there else []


def _check_together(old: Sequence[Sample], new: Sequence[Sample]) -> None:
    """Raise `DatasetError` for structures that are there twice, or do not belong under one label."""
    there = {sample.configuration.fingerprint: sample.identifier for sample in old}
    for sample in new:
        if botan.FORMAT in (sample.facts.protocol or "") and sample.configuration.fingerprint in there:
            raise DatasetError(
                f"{sample.facts.source}: its configuration is {there[sample.configuration.fingerprint]} of the dataset",
                "Files of one configuration at several times become one sample if they are imported together: name"
                " them all in one command, with a new dataset.",
            )
    names = [sample.identifier for sample in old]
    names += [f"{sample.facts.source} ({number + 1} of {len(new)})" for number, sample in enumerate(new)]
    refuse_copies([*old, *new], names)
    check_state_points([*old, *new])
