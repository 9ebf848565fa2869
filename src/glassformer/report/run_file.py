"""The settings of a training, as the report finds them beside its predictions."""

import json
from pathlib import Path

from pydantic import ValidationError

from glassformer.core.run import Run

RUN_FILE = "run.json"
HASH = "parameter_hash"


def read_run(training: Path, parameter_hash: str) -> Run | None:
    """Return the run that made the folder `training`, or None if that cannot be told.

    None: there is no run file, it is of another version, or it belongs to another run than `parameter_hash`, that of
    the predictions. What the page says of the network is then less.
    """
    try:
        values = json.loads((training / RUN_FILE).read_text(encoding="utf-8"))
        if values.pop(HASH) != parameter_hash:
            return None
        return Run.model_validate_json(json.dumps(values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError, RecursionError):
        return None
