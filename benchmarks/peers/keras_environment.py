"""Which interpreter runs Keras: TensorFlow need not be in glassformer's own environment."""

import importlib.util
import os
import subprocess
import sys

from glassformer.core.errors import SettingsError

VARIABLE = "GLASSFORMER_KERAS_PYTHON"
HOW_TO = (
    "Make an environment for it: python -m venv keras-env && keras-env/bin/pip install 'tensorflow-cpu';"
    " then name it: --keras-python keras-env/bin/python."
)


def find_keras_python(named: str | None) -> str | None:
    """Return the interpreter `named`, else the one of the variable, else this one if it has TensorFlow, else None.

    Raises `SettingsError` if one that was named has no TensorFlow.
    """
    python = named or os.environ.get(VARIABLE)
    if not python:
        return sys.executable if importlib.util.find_spec("tensorflow") else None
    test = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorflow') is None)"
    try:
        found = subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise SettingsError(f"cannot run {python}: {error.strerror}", HOW_TO) from None
    if not found:
        raise SettingsError(f"{python} has no TensorFlow", HOW_TO)
    return python
