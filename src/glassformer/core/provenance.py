"""Where a result comes from: the hash of its parameters and the version of the code."""

import functools
import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.version import __version__


def parameter_hash(parameters: dict[str, Any]) -> str:
    """Return 16 hexadecimal digits of SHA-256 of `parameters` as canonical JSON."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Return 16 hexadecimal digits of SHA-256 of the arrays' contents, types and shapes.

    It tells to the last bit what a result was made from. Whether two structures are the same is another question:
    `glassformer.physics.signature`.
    """
    return fingerprint_of(arrays)


def fingerprint_of(arrays: Iterable[NDArray[np.generic]]) -> str:
    """Return the `fingerprint` of `arrays`, of which one at a time need be in memory."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


@functools.cache
def code_version() -> str:
    """Return the package's version and, in a git checkout of it, the commit: '0.1.0+g1a2b3c4'.

    A working tree with changes adds '-dirty'.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return __version__
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__}+g{commit}"
