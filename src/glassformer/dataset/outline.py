"""What training needs of every sample at hand, beside the graphs: gathered in one pass, without the structures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError, InputError
from glassformer.core.files import storage_error
from glassformer.core.provenance import fingerprint_of
from glassformer.core.run import Run
from glassformer.core.sequences import OnDemand, bytes_of
from glassformer.dataset.digest import Digest
from glassformer.dataset.folder import (
    MANY,
    UNUSABLE,
    checked_digests,
    read_dataset,
    read_named,
    refuse_unusable,
    sample_paths,
)
from glassformer.dataset.index import Index, key
from glassformer.dataset.labels import nearest_time, target_times
from glassformer.dataset.sample import Ensemble, Sample, read_sample
from glassformer.physics.configuration import Configuration


@dataclass(frozen=True, eq=False)
class Outline(Configuration):
    """A configuration whose positions are not held: its species and box, and what tells it from others."""

    dimension: int = 3
    fingerprint: str = ""

    @classmethod
    def of(cls, whole: Configuration) -> "Outline":
        """Return that of `whole`."""
        found = cls(np.empty((0, 3)), whole.species, whole.box, None, whole.dimension, whole.fingerprint)
        vars(found)["signature"] = whole.signature
        return found


@dataclass(frozen=True, eq=False)
class Outlines:
    """Outlines of all samples of a `run`, with what their labels are made from, at the target `times` (K,).

    `samples` hold an `Outline` in the place of a structure, and of the displacements of particles only what is learned.
    `inherent`: fingerprint of all inherent structures that the network reads, one for each draw if draws are dealt out.
    `unobserved`: the error of the first sample that was not observed at a target time, if there is one.
    """

    run: Run
    samples: list[Sample]
    times: FloatArray
    inherent: str
    unobserved: DatasetError | None = None


def outlines_of(samples: Iterable[Sample], run: Run) -> Outlines:
    """Return the outlines of `samples`, each of which is looked at once. Bare structures are kept as such."""
    wanted, particles = run.targets.times, run.network.head == "particle"
    found: list[Sample] = []
    times, unobserved = np.empty(0), None

    def inherent_structures() -> Iterator[NDArray[np.float64]]:
        nonlocal times, unobserved
        for sample in samples:
            if sample.ensemble is not None and unobserved is None:
                try:
                    # 'last' is the last time of the first sample; all others must have it, too.
                    times = target_times([sample], times.tolist() or wanted, particles)
                except DatasetError as error:
                    # Whoever uses the outlines has more to say first: that samples are bare, or not in equilibrium.
                    unobserved = error
            found.append(_outlined(sample, times, particles))
            positions = sample.configuration.inherent_positions
            if positions is not None and run.network.reads_inherent:
                yield from [positions] * (sample.draws if run.split.by == "draw" else 1)

    inherent = fingerprint_of(inherent_structures())
    return Outlines(run, found, times, inherent, unobserved)


def _outlined(sample: Sample, times: FloatArray, particles: bool) -> Sample:
    ensemble = sample.ensemble
    if ensemble is not None:
        known = [nearest_time(ensemble.particle_times, time) for time in times.tolist()] if particles else []
        rows = [place for place in known if place is not None]
        square = ensemble.displacement_sq_mean
        ensemble = Ensemble(
            times=ensemble.times,
            particle_times=ensemble.particle_times[rows],
            displacement_mean=ensemble.displacement_mean[rows],
            displacement_sq_mean=None if square is None else square[rows],
            seeds=ensemble.seeds,
            msd=ensemble.msd,
        )
    outline = Outline.of(sample.configuration)
    return replace(sample, configuration=outline, ensemble=ensemble, equilibration=None, cage=None)


class Streamed(OnDemand[Sample]):
    """The samples at `paths`, of which those that do not fit into `memory` bytes are read when they are asked for.

    They are read once at the start, for their `outlines` for `run`. Raises `DatasetError` as `read_dataset`.
    """

    def __init__(self, dataset: Path, paths: Sequence[Path], memory: float, run: Run) -> None:
        super().__init__(len(paths), _Reader(paths).read, memory)
        index = Index(dataset)
        digests: list[Digest] = []
        failures: list[InputError] = []

        def seen() -> Iterator[Sample]:
            for path in paths:
                known, before = index.known(path), key(path)
                try:
                    sample = read_named(path)
                except UNUSABLE as error:
                    failures.append(error)
                    continue
                digests.append(known or Digest.of(sample))
                if known is None:
                    index.add(path, digests[-1], before)
                yield sample
            refuse_unusable(failures, dataset, len(paths))

        with checked_digests(index, paths, digests):
            self.outlines = outlines_of(seen(), run)


class _Reader:
    """Reads samples, and keeps the last one: single draws of it follow each other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._last: tuple[int, Sample] | None = None

    def read(self, number: int) -> Sample:
        """Return sample `number`."""
        if self._last is None or self._last[0] != number:
            self._last = number, read_named(self._paths[number])
        return self._last[1]

    def __getstate__(self) -> dict[str, object]:
        return {"_paths": self._paths, "_last": None}


def stream_dataset(
    dataset: Path, memory: float, run: Run, say: Callable[[str], None] = lambda text: None
) -> Sequence[Sample]:
    """Return the samples of `read_dataset`, in its order; if they take more than `memory` bytes, not all at once.

    Then a sample that does not fit is read each time that it is asked for, and what `run` needs of all before its first
    epoch is gathered in one pass, see `Streamed`. `say` is told if many must be read. Raises `DatasetError` as
    `read_dataset`.
    """
    paths = sample_paths(dataset)
    try:
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise storage_error("read", dataset, error) from error
    # Samples of other sizes, or with more times, have larger files.
    expected = _bytes_per_byte(paths, sizes) * sum(sizes)
    if expected <= memory:
        return read_dataset(dataset)
    if len(paths) >= MANY:
        say(f"reading {len(paths)} samples, 3 to 10 ms each at N = 1000")
    return Streamed(dataset, paths, memory, run)


def _bytes_per_byte(paths: Sequence[Path], sizes: Sequence[int]) -> float:
    """Return the memory that a sample takes over the size of its file; 0 if none of `paths` can be used."""
    for path, size in zip(paths, sizes, strict=True):
        with suppress(*UNUSABLE):
            return bytes_of(read_sample(path)) / max(1, size)
    return 0.0
