"""Compiled functions on the disk: taken from there, and compiled again when what they call has changed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.long
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


def names_of_other_folders(path: Path) -> dict[str, str]:
    """The names that a module of the package imports from modules of other folders, and from which."""
    package = Path(glassformer.__file__).parent
    return {
        alias.asname or alias.name: node.module or ""
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("glassformer.")
        for alias in node.names
        if package.parent.joinpath(*(node.module or "").split(".")).parent != path.parent
    }


def compiled_functions(path: Path) -> list[ast.FunctionDef]:
    """The functions of a module that are compiled: by `cached_njit`, or by what the module has made with it."""
    module = ast.parse(path.read_text())
    assigned = [node for node in module.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None]
    made = {
        target.id
        for node in assigned if "cached_njit(" in ast.unparse(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target]) if isinstance(target, ast.Name)
    }  # fmt: skip
    return [
        node
        for node in module.body if isinstance(node, ast.FunctionDef)
        if any("cached_njit(" in (by := ast.unparse(one)) or by in made for one in node.decorator_list)
    ]  # fmt: skip


def test_compiled_functions_read_nothing_of_other_folders() -> None:
    """A change there would not be noticed."""
    seen = 0
    for path in Path(glassformer.__file__).parent.rglob("*.py"):
        elsewhere = names_of_other_folders(path)
        for function in compiled_functions(path):
            seen += 1
            used = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
            assert used.isdisjoint(elsewhere), (path.name, function.name)
    assert seen > 40
