"""The GPU's kernels on numba's CUDA simulator, at small N, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRELUDE = """
import sys

import numpy as np
from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions
from glassformer.simulate.lockstep import cuda as module
from glassformer.simulate.lockstep.cuda import LockstepCuda
from glassformer.simulate.lockstep.engine import Lockstep
from tests.conftest import rattled_lattice
from tests.liquids import unit_masses, with_cutoff

# The simulator starts a thread for a thread and polls them: few lanes, short lists, and quick changes between threads.
sys.setswitchinterval(1e-5)
module.LANES = module.kernels.LANES = 4
module.INNER_SKIN, module.OUTER_SKIN = 0.1, 0.25
potential = with_cutoff(1.2)
structures = [rattled_lattice(4, seed, spacing=1.08) for seed in (0, 1)]
velocities = np.stack([np.stack([unit_masses(10 * c + d, 64, 2.0) for d in range(3)]) for c in range(2)])
"""


def simulated(code: str) -> None:
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_forces_and_energies_equal_the_reference() -> None:
    simulated("""
engine = LockstepCuda(structures[:1], potential, 0.01, velocities[:1])
expected, drawn = interactions(structures[0], potential), velocities[0]
assert engine.forces().shape == (1, 3, 64, 3)
for force in engine.forces()[0]:
    assert np.sqrt(((force - expected.force) ** 2).sum() / (expected.force ** 2).sum()) < 2e-6
np.testing.assert_allclose(engine.total_energy()[0], expected.energy.sum() + 0.5 * (drawn ** 2).sum((1, 2)), rtol=1e-5)
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trajectories_are_those_of_the_cpu_while_lists_change() -> None:
    simulated("""
engine = LockstepCuda(structures, potential, 0.01, velocities)
assert (engine.displacements() == 0).all()
engine.advance(12)
for c in range(2):
    cpu = Lockstep(structures[c], potential, 0.01, velocities[c])
    cpu.advance(12)
    np.testing.assert_allclose(engine.displacements()[c], cpu.displacements(), atol=2e-5)
    np.testing.assert_allclose(engine.velocities()[c], cpu.velocities(), atol=5e-4)
    np.testing.assert_allclose(engine.total_energy()[c], cpu.total_energy(), rtol=1e-5)
    assert np.abs(cpu.displacements()).max() > 0.2
# The outer list is younger than the start.
assert np.abs(engine._u_then.copy_to_host()).max() > 0.1
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_too_short_lists_grow_and_the_steps_are_done_again() -> None:
    simulated("""
expected = LockstepCuda(structures[:1], potential, 0.01, velocities[:1])
expected.advance(2)
module.OUTER_ROOM = 5
engine = LockstepCuda(structures[:1], potential, 0.01, velocities[:1])
assert engine._outer[1].shape[2] > 5
# Lists that are too short for the pairs that the first step will find: it is done, and done again.
engine._outer, engine._inner = engine._empty_list(6), engine._empty_list(4)
engine._moved = module.cuda.to_device(np.full(1, 1e30))
engine._strayed2 = module.cuda.to_device(np.full(1, np.float32(1e30)))
begun, begin = [], engine._begin
engine._begin = lambda: (begun.append(engine._inner[1].shape[2]), begin())
engine.advance(2)
assert begun and engine._inner[1].shape[2] > 4
np.testing.assert_allclose(engine.displacements(), expected.displacements(), atol=1e-6)
assert engine.steps == 2
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_cannot_run_is_refused() -> None:
    simulated("""
def refused(error, message, *arguments):
    try:
        LockstepCuda(*arguments)
    except error as problem:
        assert message in str(problem), problem
    else:
        raise AssertionError(message)

refused(ConfigurationError, "1 to 4 draws", structures, potential, 0.01, np.zeros((2, 5, 64, 3)))
refused(ConfigurationError, "expected one size", [structures[0], rattled_lattice(5)], potential, 0.01, velocities)
long = with_cutoff(2.0)
refused(ConfigurationError, "for lists on the GPU", structures, long, 0.01, velocities)
fast = LockstepCuda(structures[:1], potential, 0.01, velocities[:1] * 1e3)
try:
    fast.advance(2)
except EngineError as problem:
    assert "unstable" in str(problem)
else:
    raise AssertionError
flow = velocities[:1] + np.arange(3)[None, :, None, None] * 15.0
apart = LockstepCuda(structures[:1], potential, 0.01, flow)
try:
    apart.advance(4)
except EngineError as problem:
    assert "drifted too far apart" in str(problem)
else:
    raise AssertionError
""")


@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the simulator stands for a device")
def test_without_a_device_it_says_so() -> None:
    from numba import cuda

    from glassformer.core.errors import EngineError
    from glassformer.simulate.lockstep.cuda import check_device

    if cuda.is_available():
        check_device()
    else:
        with pytest.raises(EngineError, match="no CUDA device"):
            check_device()
