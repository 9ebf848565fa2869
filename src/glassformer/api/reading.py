"""Structures from files of any format that the package reads, and from arrays."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassformer.api.messages import floats, positive, positives
from glassformer.api.structures import Structure, Structures
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError, InputError, SettingsError
from glassformer.core.mixture import MixtureSettings
from glassformer.core.presets import load_mixture
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset, read_samples
from glassformer.dataset.imports import Choices, read_samples_of, samples_of
from glassformer.dataset.readers.contents import Contents, Draws
from glassformer.dataset.readers.frames import Frame, Frames
from glassformer.dataset.readers.read import is_hdf5
from glassformer.dataset.readers.unwrapped import refuse_wrapped
from glassformer.dataset.sample import Sample
from glassformer.dataset.sample_checks import check_sample
from glassformer.physics.configuration import THICKNESS

# What messages call arrays, in the place of a file.
ARRAYS = "arrays"

AnyMixture = str | Path | MixtureSettings | Mapping[str, Any]
AnySpecies = str | Mapping[Any, str]
# Structures, or paths of datasets and samples.
AnyStructures = Structure | Sequence[Structure] | str | Path | Sequence[str | Path]


def read(
    path: str | Path | Sequence[str | Path],
    *,
    mixture: AnyMixture | None = None,
    temperature: float | None = None,
    species: AnySpecies = "",
    frames: str | int = "",
    times: Sequence[float] = (),
    without_draws: bool = False,
    incomplete: bool = False,
) -> Structures:
    """Return the structures of a file, or of several: LAMMPS, extended XYZ, GSD, RUMD, BOTAN, GlassBench; or a dataset.

    `mixture`: a name, a TOML file or a table; `temperature`: in LJ units; both needed only where the file does not say
    them. `species`: which species each type is, '1=A,2=B' or {1: "A", 2: "B"}. `frames`: 'first', 'last', 'all', a
    number or START:STOP:STEP; the last of a run, else all, if not given. `times`: those of the draws in a file that
    does not hold them. `incomplete`: take the whole frames of a file that is cut off.

    Raises `InputError` for what cannot be read, or is not said.
    """
    given = [path] if isinstance(path, str | Path) else path
    if not isinstance(given, Iterable) or not all(isinstance(one, str | Path) for one in given):
        raise SettingsError(f"got {kind_of(path)}; expected the path of a file, or several paths", "Give paths.")
    paths = [Path(one) for one in given]
    choices = Choices(
        None if mixture is None else mixture_settings(mixture), positive("temperature", temperature),
        assignment(species), frames=str(frames), times=positives("times", times),
        without_draws=without_draws, incomplete=incomplete,
    )  # fmt: skip
    notes: list[str] = []
    samples = read_any(paths, choices, notes.append)
    return Structures(tuple(samples), tuple(notes))


def read_any(paths: Sequence[Path], choices: Choices, say: Callable[[str], None]) -> list[Sample]:
    """Return the samples of files of other codes, or of one sample, folder of samples or dataset.

    `choices` are those of files of other codes. Raises `InputError`.
    """
    if not paths:
        raise DatasetError("no file was given", "Give a file or a dataset.")
    own = [path for path in paths if path.is_dir() or is_hdf5(path)]
    if own and len(paths) > 1:
        raise DatasetError(
            f"got {own[0]} among {len(paths)} files; a dataset must be read by itself", "Read them one by one."
        )
    return read_samples(own[0]) if own else read_samples_of(paths, choices, say)


def samples_at(data: AnyStructures) -> list[Sample]:
    """Return the samples of structures, or of the datasets or samples at one or several paths. Raises `InputError`."""
    if isinstance(data, Structure):
        return [data.sample]
    found: list[Sample] = []
    for one in [data] if isinstance(data, str | Path) or not isinstance(data, Iterable) else data:
        if isinstance(one, Structure):
            found.append(one.sample)
        elif not isinstance(one, str | Path):
            raise no_structure(data)
        else:
            path = Path(one)
            found += read_samples(path) if path.is_file() else read_dataset(path)
    if not found:
        raise DatasetError("no structure was given", "Name a dataset, or give structures.")
    return found


def no_structure(given: object, remedy: str = "") -> SettingsError:
    """Return the error for what is neither a structure nor a path; `remedy` says what else the function takes."""
    return SettingsError(
        f"got {kind_of(given)}; expected a structure, several of them or a path",
        remedy
        or "Make structures: gf.read(path), or gf.structure(positions, species, box, mixture=..., temperature=...).",
    )


def kind_of(given: object) -> str:
    """Return what an object is: 'an object of type numpy.ndarray'."""
    home = type(given).__module__.partition(".")[0]
    return f"an object of type {'' if home == 'builtins' else f'{home}.'}{type(given).__qualname__}"


def several(given: AnyStructures) -> Structure | Structures:
    """Return a structure as it is; several, or those of a file, as `Structures`. Raises `InputError`."""
    if isinstance(given, Structure | Structures):
        return given
    if isinstance(given, str | Path):
        return _read_for(given)
    if not isinstance(given, Iterable):
        raise no_structure(given)
    found: list[Sample] = []
    for one in given:
        if isinstance(one, Structure):
            found.append(one.sample)
        elif isinstance(one, str | Path):
            found += _read_for(one).samples
        else:
            raise no_structure(given)
    return Structures(tuple(found))


def the_one(given: AnyStructures, function: str) -> Structure:
    """Return the structure that `given` is, holds or is the path of. Raises `InputError` for others."""
    found = several(given)
    if isinstance(found, Structure):
        return found
    if len(found) != 1:
        raise SettingsError(
            f"got {len(found)} structures; gf.{function} takes one",
            f"Choose one, such as structures[0], or call it for each: [gf.{function}(one) for one in structures].",
        )
    return found[0]


def _read_for(path: str | Path) -> Structures:
    """Return the structures of a file for a function that does not take the options of `read`."""
    try:
        return read(path)
    except InputError as error:
        if "--" in error.remedy:
            error.remedy = f"Read it first: gf.read({str(path)!r}, mixture=..., temperature=...)."
        raise


def structure(
    positions: ArrayLike,
    species: ArrayLike,
    box: ArrayLike,
    *,
    mixture: AnyMixture,
    temperature: float,
    displacements: ArrayLike | None = None,
    times: ArrayLike | None = None,
) -> Structure:
    """Return a structure made of arrays.

    `positions`: (N, 3), or (N, 2) in two dimensions, from the corner of the box, wrapped or not. `species`: (N,), names
    of the mixture's species or their numbers from 0. `box`: edges, (3,) or (2,), or one length, or the
    diagonal matrix of them, as ASE's `atoms.cell`. `displacements`
    (D, S, N, 3): what D draws of the velocities did until the `times` (S,); with these a model can be trained.

    Raises `ConfigurationError` for other shapes or values that are not finite, `DatasetError` for particles that are
    not the mixture's.
    """
    settings = mixture_settings(mixture)
    frames = Frames(Path(ARRAYS), "Python")
    frames.add(frame_of(positions, box, named_species(species, settings.species)))
    contents = frames.contents()
    if displacements is not None:
        contents = replace(contents, draws=_draws(displacements, times, contents))
    (sample,) = samples_of(contents, Choices(settings, positive("temperature", temperature)), lambda note: None)
    check_sample(sample, ARRAYS)
    return Structure(sample)


def mixture_settings(mixture: AnyMixture) -> MixtureSettings:
    """Return the mixture that ships by this name, of a TOML file, or of a table. Raises `SettingsError`."""
    if isinstance(mixture, MixtureSettings):
        return mixture
    if isinstance(mixture, Mapping):
        return check_settings({"name": "own", **mixture}, MixtureSettings, "mixture", "Correct the table.")
    return load_mixture(str(mixture))


def named_species(species: ArrayLike, names: Sequence[str]) -> NDArray[Any]:
    """Return names of species (N,) for names, or numbers from 0. Raises `ConfigurationError`."""
    given = np.asarray(species)
    if given.ndim == 1 and given.dtype.kind == "U":
        return given
    if (
        given.ndim != 1
        or given.dtype.kind not in "iu"
        or not len(given)
        or given.min() < 0
        or given.max() >= len(names)
    ):
        found = np.unique(given)[:8].tolist()
        raise ConfigurationError(
            f"got species of shape {given.shape} and type {given.dtype}, with the values {found}; expected one for each"
            f" particle: {', '.join(f'{number} or {name!r}' for number, name in enumerate(names))}",
            "Count species from 0, in the mixture's order.",
        )
    chosen: NDArray[Any] = np.array(names)[given]
    return chosen


def frame_of(positions: ArrayLike, box: ArrayLike, types: NDArray[Any], unwrapped: bool = False) -> Frame:
    """Return arrays as a frame: two dimensions get z = 0. Raises `ConfigurationError` for other shapes."""
    places, edges = floats("positions", positions), edges_of(box)
    if places.ndim != 2 or places.shape[1] not in (2, 3) or len(places) != len(types):
        raise ConfigurationError(
            f"got positions of shape {places.shape} for {len(types)} particles; expected ({len(types)}, 3), or"
            f" ({len(types)}, 2) in two dimensions",
            "Give one row for each particle.",
        )
    flat = places.shape[1] == 2
    edges = np.full(places.shape[1], edges) if edges.ndim == 0 else edges
    if flat:
        places = np.column_stack([places, np.zeros(len(places))])
        edges = np.append(edges, THICKNESS) if edges.shape == (2,) else edges
    if edges.shape != (3,):
        raise ConfigurationError(
            f"got a box of shape {edges.shape}; expected its {2 if flat else 3} edges, or one length",
            "Boxes are orthorhombic.",
        )
    return Frame(places, edges, types, unwrapped)


def edges_of(box: ArrayLike) -> FloatArray:
    """Return a box as an array; a cell with right angles, such as ASE's `atoms.cell`, as its edges."""
    edges = floats("box", box)
    if edges.shape in ((2, 2), (3, 3)) and not edges[~np.eye(len(edges), dtype=bool)].any():
        return np.diag(edges).copy()
    return edges


def _draws(displacements: ArrayLike, times: ArrayLike | None, contents: Contents) -> Draws:
    moved = floats("displacements", displacements)
    at = None if times is None else np.atleast_1d(floats("times", times))
    wanted = (*moved.shape[:1], -1 if at is None else len(at), contents.particles, 3)
    if moved.ndim != 4 or moved.shape != wanted or not np.isfinite(moved).all() or not len(moved):
        raise ConfigurationError(
            f"got displacements of shape {moved.shape} at {'no times' if at is None else f'{len(at)} times'}; expected"
            f" (D, S, {contents.particles}, 3) of D draws at S times, all finite",
            "Give displacements, which are never wrapped, and the times.",
        )
    box, start = contents.trajectory.boxes[0], contents.trajectory.positions[0]
    for one in np.moveaxis(moved, 1, 0):
        refuse_wrapped(start + one, one, box, ARRAYS)
    return Draws(moved, at)


def assignment(species: AnySpecies) -> str:
    """Return which species each type is, as text: '1=A,2=B'."""
    return species if isinstance(species, str) else ",".join(f"{kind}={name}" for kind, name in species.items())
