"""Compiled functions on the disk: taken from there, and compiled again when what they call has changed."""

import os
import subprocess
import sys
from pathlib import Path

import glassformer

CALLER = """
from glassformer.core.compiled import cached_njit
from called import term

@cached_njit()
def total(number):
    return number + term(number)
"""
CALLED = """
from glassformer.core.compiled import cached_njit

@cached_njit()
def term(number):
    return {} * number
"""
ASK = "from caller import total; print(total(5), sum(total.stats.cache_hits.values()))"


def ask(folder: Path) -> tuple[int, int]:
    """Return what `total(5)` is in a new process, and how often it was found on the disk."""
    paths = os.pathsep.join([str(folder), str(Path(glassformer.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    result, hits = done.stdout.split()
    return int(result), int(hits)


def test_a_function_is_compiled_again_when_what_it_calls_has_changed(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "called.py").write_text(CALLED.format(2))
    assert ask(tmp_path) == (15, 0)
    assert ask(tmp_path) == (15, 1)
    (tmp_path / "called.py").write_text(CALLED.format(3))
    assert ask(tmp_path) == (20, 0)
    assert ask(tmp_path) == (20, 1)


def test_a_damaged_cache_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "called.py").write_text(CALLED.format(2))
    ask(tmp_path)
    for path in (tmp_path / "__pycache__").glob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:50])
    assert ask(tmp_path) == (15, 0)
