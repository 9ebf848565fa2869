"""Compiled functions, kept on the disk where there is a place for them."""

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

# What a cache answers that is full, read-only, of another user, or damaged.
_USELESS = (OSError, EOFError, pickle.PickleError, AttributeError, ImportError, IndexError, ValueError)


def cached_njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return `numba.njit(cache=True, **options)`, but one for which a cache that cannot be used is no error.

    A function is compiled again when any file of its folder has changed: numba looks at the function's own file only,
    and not at those of the functions that it calls. These must therefore lie in the same folder. Without a place to
    write to (a read-only installation and no home), functions are compiled in each process.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        # Without it, numba is switched off (NUMBA_DISABLE_JIT).
        if hasattr(dispatcher, "_cache"):
            # An error: no folder can be written to, and numba's own NullCache stays.
            with suppress(RuntimeError, OSError):
                dispatcher._cache = _Cache(function)
        return dispatcher

    return compiled


_FunctionCache: Any = caching.FunctionCache


@cache
def _sources(folder: Path) -> str:
    """Return a digest of all source files in `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        contents = path.read_bytes()
        digest.update(f"{path.name} {len(contents)} ".encode() + contents)
    return digest.hexdigest()


class _Cache(_FunctionCache):  # type: ignore[misc]
    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        folder = Path(self._py_func.__code__.co_filename).parent
        return (*super()._index_key(sig, codegen), _sources(folder))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for `sig`, or None."""
        try:
            return super().load_overload(sig, target_context)
        except _USELESS:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for `sig`, if that is possible."""
        try:
            super().save_overload(sig, data)
        except _USELESS:
            self.disable()
