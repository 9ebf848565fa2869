"""Result files: the scores of an experiment, as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import StringConstraints

from glassformer.core.errors import PredictionError
from glassformer.core.json_files import Number, checked, read_json, write_json
from glassformer.evaluate.audit import AuditRow
from glassformer.evaluate.evaluation import without_nan
from glassformer.evaluate.experiments import ScoreRow

NAME = r"[a-z0-9][a-z0-9.-]*"
FORMAT = "glassformer experiment 3"


@dataclass(frozen=True)
class ExperimentResult:
    """An experiment as it was done, and its scores: `rows`, or `audit` where every draw is a sample.

    `compare` names the experiment to read it against; `parameters`: of the network; `folds`: networks trained;
    `training_configurations`: of each network; `parameter_hash`: of the run and its data; `identity`: of that, of all
    that was tested, and of the way to score; `data`: of what was tested. `epochs`: of each network; `epoch_seconds`:
    measured, where training was within a budget of time.
    """

    # Figures are files called by it.
    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    group: str
    title: str
    compare: str
    network: str
    head: str
    parameters: int
    folds: int
    trained_on: tuple[str, ...]
    tested_on: tuple[str, ...]
    training_configurations: int
    parameter_hash: str
    identity: str
    data: str
    code_version: str
    rows: tuple[ScoreRow, ...]
    audit: tuple[AuditRow, ...]
    epochs: int = 0
    epoch_seconds: Number = math.nan

    def as_json(self) -> dict[str, Any]:
        """Return plain values, with null for NaN."""
        values: dict[str, Any] = without_nan({"format": FORMAT} | asdict(self))
        return values


Pair = tuple[ExperimentResult, ExperimentResult]


def write_result(path: Path, result: ExperimentResult) -> None:
    """Write `result` to `path`, whole or not at all. Raises `StorageError`."""
    write_json(path, result.as_json())


def read_result(path: Path) -> ExperimentResult:
    """Read what `write_result` wrote. Raises `PredictionError`."""
    what, remedy = "result of an experiment", "Delete it and run the experiment again."
    values = read_json(path, PredictionError, what, remedy)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise PredictionError(f"{path} is not a {what}: its format is not '{FORMAT}'", remedy)
    return checked(values, ExperimentResult, path, PredictionError, what, remedy)


def pairs(results: Sequence[ExperimentResult], known: Sequence[ExperimentResult]) -> list[Pair]:
    """Return each of `results` with that of `known` to read it against, where it is there and of the same data."""
    others = {other.name: other for other in known}
    found = [(one, others.get(one.compare)) for one in results]
    return [(one, other) for one, other in found if other is not None and one.data == other.data]
