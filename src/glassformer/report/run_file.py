"""The settings of a training, as the report finds them beside its predictions."""

import json

from pydantic import ValidationError

from glassformer.core.errors import DatasetError
from glassformer.core.json_files import read_json
from glassformer.core.layout import TrainingFolder
from glassformer.core.run import Run

HASH = "parameter_hash"


def read_run(training: TrainingFolder, parameter_hash: str) -> Run | None:
    """Return the run that made `training`, or None if that cannot be told.

    None: there is no run file, it is of another version, or it belongs to another run than `parameter_hash`, that of
    the predictions. What the page says of the network is then less. Raises `DatasetError` if it is damaged, and
    `StorageError`.
    """
    path = training.run
    if not path.exists():
        return None
    values = read_json(path, DatasetError, "run file", "Delete it and train again: finished networks are kept.")
    try:
        if values.pop(HASH) != parameter_hash:
            return None
        return Run.model_validate_json(json.dumps(values))
    except (KeyError, TypeError, AttributeError, ValidationError, RecursionError):
        return None
