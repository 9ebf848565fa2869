"""The kernels compile for an H100 without one; those of Triton fit into its shared memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


def test_the_kernels_fit_an_h100(tmp_path: Path) -> None:
    # In a process of its own: here Triton may be the interpreter.
    if subprocess.run([sys.executable, "-c", "import triton"], capture_output=True).returncode:
        pytest.skip("needs triton")
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = [sys.executable, "-m", "tests.unit.compile_for_h100"]
    run = subprocess.run(script, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr[-2000:]
    shared = json.loads(run.stdout)
    assert {name.split()[0] for name in shared} == {
        "forward", "backward", "weight_gradient", "close_first", "sum_ends",
    }  # fmt: skip
    assert len(shared) > 15
    assert max(shared.values()) <= 232_448, shared


def test_the_kernels_of_lockstep_compile() -> None:
    """With numba-cuda and NVVM, in float32 and float64, for the types that the engines launch them with."""
    import_compiler = "from numba.cuda.cudadrv.nvvm import NVVM; import numba_cuda; NVVM()"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "0"}
    if subprocess.run([sys.executable, "-c", import_compiler], capture_output=True, env=environment).returncode:
        pytest.skip("needs numba-cuda with NVVM")
    script = [sys.executable, "-m", "tests.unit.compile_lockstep_for_h100"]
    run = subprocess.run(script, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr[-2000:]
    lengths = json.loads(run.stdout)
    kernels = ("leap", "bound", "sort", "build", "prune", "forces", "couple", "rescale")
    assert set(lengths) == {f"{name} {kind}" for name in kernels for kind in ("float32", "float64")}
