"""What a trained network or a propensity model predicts of structures, and how well: prediction files as objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glassformer.api.display import axes_for, data_frame, html_table, number
from glassformer.api.propensities import Propensity, predictions_of, propensity, usable_model
from glassformer.api.reading import AnyStructures, kind_of, samples_at
from glassformer.api.structures import Structure
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError, SettingsError
from glassformer.core.words import counted
from glassformer.dataset.predictions import Predictions, read_predictions, refuse_to_replace, write_predictions
from glassformer.dataset.readers.read import is_hdf5
from glassformer.evaluate.evaluation import Evaluation
from glassformer.evaluate.evaluation import evaluate as score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glassformer.api.training import Training
    from glassformer.train.device import Device


@dataclass(frozen=True, eq=False, repr=False)
class PredictionSet:
    """Predictions of C structures at K times, beside what their draws did, where they have any.

    `predictions` is what the layers below work with, and what a prediction file holds.
    """

    predictions: Predictions

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the structures."""
        return self.predictions.configurations

    @property
    def roles(self) -> tuple[str, ...]:
        """What training knew of each: 'test' was never seen."""
        return self.predictions.roles

    @property
    def times(self) -> FloatArray:
        """Times (K,)."""
        return self.predictions.times

    @property
    def mean(self) -> FloatArray:
        """Predicted mean of the quantity over the particles of the first learned species, (C, K)."""
        means: FloatArray = np.exp(self.predictions.prediction)
        return means

    @property
    def simulated_mean(self) -> FloatArray:
        """The same as the draws have it, (C, K); NaN without draws. Raises `PredictionError` if none has any."""
        means: FloatArray = np.exp(self.predictions.label)
        return means

    def particles(self, name: str) -> NDArray[np.float32]:
        """Return the predicted quantity of every particle of a structure, (N, K).

        Raises `PredictionError` for another name, or a network that predicts whole structures.
        """
        return self._of_particles(name, self.predictions.particle_prediction)

    def simulated_particles(self, name: str) -> NDArray[np.float32]:
        """Return the simulated quantity of every particle of a structure, (N, K). Raises `PredictionError`."""
        return self._of_particles(name, self.predictions.particle_label)

    def _of_particles(self, name: str, rows: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if rows is None:
            raise PredictionError(
                "there are no values for single particles",
                "Use a network with a particle head, and structures with draws.",
            )
        if name not in self.names:
            raise PredictionError(f"{name} is not predicted", f"Available: {', '.join(self.names[:5])}.")
        if self.names.count(name) > 1:
            raise PredictionError(
                f"{self.names.count(name)} structures are called {name}", "Predict them one by one, or rename them."
            )
        return rows[self.predictions.of_particles(self.names.index(name))]

    def save(self, path: str | Path) -> Path:
        """Write a prediction file, which the commands read, and return its path.

        Raises `PredictionError` if another file is there, `StorageError`.
        """
        refuse_to_replace(Path(path))
        write_predictions(Path(path), self.predictions)
        return Path(path)

    def __repr__(self) -> str:
        lines = [f"{self._title}, t = {', '.join(f'{time:g}' for time in self.times)}"]
        return "\n".join([*lines, *(f"warning: {notice}" for notice in self.predictions.notices)])

    @property
    def _title(self) -> str:
        found = self.predictions
        return f"{found.network}: {found.quantity} of {counted(len(self), 'structure')}"

    def _repr_html_(self) -> str:
        columns = self._table()
        title = "; ".join([self._title, *self.predictions.notices])
        rows = [
            [f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row]
            for row in zip(*columns.values(), strict=True)
        ]
        return html_table(title, list(columns), rows)

    def _table(self) -> dict[str, list[Any]]:
        found = self.predictions
        truth = self.simulated_mean if found.answered.any() else np.full(self.mean.shape, np.nan)
        places = [(row, column) for row in range(len(self)) for column in range(len(self.times))]
        return {
            "structure": [self.names[row] for row, _ in places],
            "role": [self.roles[row] for row, _ in places],
            "time": [float(self.times[column]) for _, column in places],
            f"predicted mean of {found.species}": [float(self.mean[place]) for place in places],
            f"simulated mean of {found.species}": [float(truth[place]) for place in places],
        }

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each structure and time. Raises `MissingPackageError`."""
        return data_frame(self._table())

    def plot(self, time: float | None = None, axes: "Axes | None" = None) -> "Axes":
        """Draw predicted against simulated values of unseen structures at `time`, by default the last; return the axes.

        Points are particles, of the first learned species, or structures where the network predicts these alone. Raises
        `PredictionError` if there is nothing to compare with.
        """
        from glassformer.report.style import QUANTITIES, at_time

        found, axes = self.predictions, axes_for(axes)
        place = len(self.times) - 1 if time is None else int(np.abs(self.times - time).argmin())
        unseen = np.flatnonzero([role != "train" for role in self.roles] & found.answered)
        if not len(unseen):
            raise PredictionError(
                "no structure with draws was left out of training, so there is nothing to compare with",
                "Predict structures with draws that the model has not seen.",
            )
        pairs = self.simulated_mean[unseen, place], self.mean[unseen, place]
        if found.particle_prediction is not None and found.particle_label is not None:
            rows = np.concatenate(
                [np.arange(len(found.particle_label))[found.of_particles(int(one))] for one in unseen]
            )
            assert found.particle_species is not None
            rows = rows[found.particle_species[rows] == found.species_names.index(found.species)]
            pairs = found.particle_label[rows, place], found.particle_prediction[rows, place]
        axes.plot(*pairs, ".", ms=3 if len(pairs[0]) > 100 else 7, alpha=0.5)
        axes.axline((float(np.nanmean(pairs[0])),) * 2, slope=1, color="0.35", lw=1)
        symbol, unit = QUANTITIES[found.quantity]
        axes.set(
            xlabel=f"simulated {symbol} of {found.species}  {unit}",
            ylabel=f"predicted {symbol} of {found.species}  {unit}", title=at_time(float(self.times[place])),
        )  # fmt: skip
        return axes


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """Scores of structures that training had not seen: a row for each state point, time and, of particles, species.

    `evaluation` has all that the command `evaluate` prints; None for the scores of cross-validation on a model's card.
    """

    rows: tuple[dict[str, Any], ...]
    evaluation: Evaluation | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column, such as 'pcc_mean'; None where a row does not have it."""
        return [row.get(name) for row in self.rows]

    def __repr__(self) -> str:
        cells = [
            " ".join(f"{name} {value}" for name, value in zip(self._headings, row, strict=True))
            for row in self._cells()
        ]
        return "\n".join(["Scores", *(f"  {line}" for line in cells)])

    def _repr_html_(self) -> str:
        return html_table("Scores", self._headings, self._cells())

    @property
    def _headings(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def _cells(self) -> list[list[str]]:
        def cell(value: Any) -> str:
            return number(value) if value is None or isinstance(value, float) else str(value)

        return [[cell(row.get(name)) for name in self._headings] for row in self.rows]

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each score. Raises `MissingPackageError` without pandas."""
        return data_frame({name: self[name] for name in self._headings})


def predict(
    model: str | Path,
    structures: AnyStructures,
    *,
    time: float | None = None,
    threads: int | None = None,
    device: "Device" = "auto",
) -> PredictionSet:
    """Predict the dynamics of structures with a trained model.

    `model`: the `model.pt` of a network, which predicts only at the times it was trained for; or a propensity model, by
    name or file, which predicts at `time`, by default its last. `structures`: with or without draws, or a dataset.
    `device` of a network: 'cpu', 'cuda', or 'auto', a GPU if there is one.

    Raises `CheckpointError`, `PredictionError`, `SettingsError`, `DatasetError`.
    """
    if not isinstance(model, str | Path):
        raise SettingsError(
            f"got {kind_of(model)} as model; expected the name of a model, or the path of its file",
            "Of a training: training.models[0].",
        )
    samples = samples_at(structures)
    if not Path(model).exists() or is_hdf5(Path(model)):
        known = [Structure(sample) for sample in samples]
        models = [usable_model(one, model, time) for one in known]
        return PredictionSet(
            predictions_of(
                [propensity(one, chosen, time, threads=threads) for one, chosen in zip(known, models, strict=True)]
            )
        )
    if time is not None:
        raise PredictionError("a network predicts only at the times it was trained for", "Omit time.")
    from glassformer.train.checkpoint import read_model
    from glassformer.train.device import choose_device
    from glassformer.train.prediction import predict as run_model

    return PredictionSet(run_model(read_model(Path(model)), samples, device=choose_device(device)))


def evaluate(
    predictions: "PredictionSet | Propensity | Sequence[Propensity] | Training | str | Path",
    structures: AnyStructures | None = None,
) -> Scores:
    """Score predictions of structures that training had not seen, against what their draws did.

    `predictions`: of `glassformer.predict`, `glassformer.propensity`, the training of a network, or a prediction file.
    `structures`: those that were predicted, for correlation lengths. Raises `PredictionError` if nothing can be scored,
    `SettingsError` for what holds no predictions.
    """
    found = _to_score(predictions)
    known = None
    if structures is not None:
        known = {one.configuration.fingerprint: one.configuration for one in samples_at(structures)}
    return scores_of(score(found, known))


def _to_score(given: Any) -> Predictions:
    """Return the predictions that `given` is or holds. Raises `SettingsError`."""
    if isinstance(given, str | Path):
        return read_predictions(Path(given))
    # Those of a training.
    within = given if isinstance(given, PredictionSet) else getattr(given, "predictions", None)
    if isinstance(within, PredictionSet):
        return within.predictions
    answers = [given] if isinstance(given, Propensity) else given
    if isinstance(answers, Sequence) and answers and all(isinstance(one, Propensity) for one in answers):
        return predictions_of(answers)
    if isinstance(getattr(given, "scores", None), Scores):
        raise SettingsError(
            "got the training of a propensity model, which keeps no predictions", "Its scores: training.scores."
        )
    raise SettingsError(
        f"got {kind_of(given)}; expected predictions or the path of a prediction file",
        "Make them: gf.predict(model, structures), or gf.propensity(structure).",
    )


def scores_of(evaluation: Evaluation) -> Scores:
    """Return the rows of an evaluation: of each species where particles were predicted, else of whole structures."""
    rows: list[dict[str, Any]] = []
    for row in evaluation.rows:
        of = {"state_point": row.state_point, "time": row.time}
        rows += [of | {"species": name} | one.as_json() for name, one in row.particles.items()]
        if not row.particles:
            models = {f"{name}_mae": one.mae for name, one in row.models.items()}
            rows.append(of | {"configurations": row.configurations, "r2": row.models["network"].r2, **models})
    return Scores(tuple(rows), evaluation)
