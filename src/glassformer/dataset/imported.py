"""What files of other codes say of the dynamics, as an ensemble: draws, or means over draws alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray, IntArray
from glassformer.core.errors import DatasetError
from glassformer.core.words import counted
from glassformer.dataset.readers.contents import Contents, Draws, Propensities
from glassformer.dataset.sample import Ensemble
from glassformer.observables.recorded import AVERAGED, BY_DRAW
from glassformer.physics.mixture import Mixture


def imported_ensemble(contents: Contents, mixture: Mixture, times: Sequence[float] = ()) -> Ensemble | None:
    """Return what `contents` say of draws, else of means over draws, else None.

    `times`: those that a user gives, in the order of the file. Raises `DatasetError` if times are not known, or others.
    """
    if contents.draws is not None:
        return _of_draws(contents.path, contents.draws, contents.species, mixture, times)
    if contents.propensities is not None:
        return _of_means(contents.path, contents.propensities, times)
    return None


def _of_draws(path: Path, draws: Draws, species: ByteArray, mixture: Mixture, given: Sequence[float]) -> Ensemble:
    """Return what is recorded of draws that are known at a few times only, their curves at these times."""
    displacements = np.asarray(draws.displacements, np.float64)
    number, count = displacements.shape[:2]
    times, order = _times(path, given, draws.times, count, counted(number, "draw"))
    displacements = displacements[:, order]

    # Nobody knows the velocities.
    return ensemble_of(displacements, species, mixture, times, np.full(number, -1, np.int64))


def ensemble_of(
    displacements: FloatArray, species: ByteArray, mixture: Mixture, times: FloatArray, seeds: IntArray
) -> Ensemble:
    """Return what is recorded of `displacements` (D, K, N, d) at `times` (K,): curves at these times, and means."""

    def of_draws(row: str) -> Any:
        function = BY_DRAW[row]
        return np.array([[function(moved, species, mixture) for moved in draw] for draw in displacements])

    means: dict[str, Any] = {
        row: np.mean([function(draw) for draw in displacements], 0).astype(np.float32)
        for row, function in AVERAGED.items()
    }
    return Ensemble(
        times=times,
        seeds=seeds,
        particle_times=times,
        displacements=displacements.astype(np.float32),
        **{row: of_draws(row) for row in BY_DRAW},
        **means,
    )


def _of_means(path: Path, propensities: Propensities, given: Sequence[float]) -> Ensemble:
    """Return an ensemble of which the propensities alone are known, and perhaps the number of draws."""
    times, order = _times(path, given, propensities.times, len(propensities.mean), "propensities")
    return Ensemble(
        times=times,
        particle_times=times,
        displacement_mean=propensities.mean[order].astype(np.float32),
        seeds=None if propensities.draws is None else np.full(propensities.draws, -1, np.int64),
    )


def _times(
    path: Path, given: Sequence[float], known: FloatArray | None, count: int, what: str
) -> tuple[FloatArray, np.ndarray]:
    """Return the times in their order, and which of the file's each is. Raises `DatasetError`."""
    times = np.array(given, np.float64) if given else known
    if times is None or len(times) != count:
        got = "no times" if times is None else counted(len(times), "time")
        raise DatasetError(
            f"{path} has {what} at {counted(count, 'time')}; got {got}",
            "Give the times: --times T1,T2,...; or --without-draws.",
        )
    order = np.argsort(times)
    return times[order], order
