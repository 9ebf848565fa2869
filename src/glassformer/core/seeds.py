"""Random numbers by name: the same seed and name give the same numbers, whatever ran before or beside."""

import hashlib
import json

import numpy as np


def named_seed(seed: int, *name: str | int) -> int:
    """Return the 63-bit seed of the stream called `name` under the campaign's or run's `seed`.

    The first eight bytes of SHA-256 of the JSON list [seed, *name], less the sign bit.
    """
    digest = hashlib.sha256(json.dumps([seed, *name]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int) -> np.random.Generator:
    """Return the generator that `seed` (from `named_seed`) stands for: PCG64, fixed for ever."""
    return np.random.Generator(np.random.PCG64(seed))
