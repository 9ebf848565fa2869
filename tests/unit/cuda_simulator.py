"""What tests of the CUDA kernels run first, in a process of their own on numba's simulator."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRELUDE = """
import sys

import numpy as np
from glassformer.core.errors import ConfigurationError, EngineError, UnstableError
from glassformer.physics.pair import interactions
from glassformer.simulate.lockstep import batch, cuda as module, widths
from glassformer.simulate.lockstep.cuda import LockstepCuda
from glassformer.simulate.lockstep.engine import Lockstep
from tests.conftest import rattled_lattice
from tests.liquids import unit_masses, with_cutoff

# The simulator starts a thread for a thread and polls them: small warps, short lists, quick changes between threads.
sys.setswitchinterval(1e-5)
module.lists.WARP, module.kernels.WIDE, widths.WIDTHS = 4, 2, (4, 2)
module.INNER_SKIN, module.OUTER_SKIN = 0.1, 0.25
potential = with_cutoff(1.2)
structures = [rattled_lattice(3, seed, spacing=1.08) for seed in (0, 1)]
velocities = [np.stack([unit_masses(10 * c + d, 27, 2.0) for d in range(3)]) for c in range(2)]
"""


def simulated(code: str) -> str:
    """Run `code` after the prelude; return what it prints."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
