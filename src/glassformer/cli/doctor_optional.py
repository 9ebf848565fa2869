"""What works on this machine of that which not everybody needs: GPU, SLURM, optional packages, a browser."""

import importlib.metadata
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One check: whether it passed, what was found, and how to fix it. `needed`: nothing works without it."""

    name: str
    works: bool
    found: str
    remedy: str = ""
    needed: bool = True


# Name, packages, what needs them, and the extra that installs them.
OPTIONAL = (
    ("Parsl", ("parsl",), "campaigns submitted by Parsl", "parsl"),
    ("GSD files", ("gsd",), "files of HOOMD-blue; other formats need nothing", "gsd"),
    ("notebooks", ("ase", "pandas"), ".to_ase() and .to_pandas()", "notebook"),
    ("PyTorch Geometric", ("torch_geometric",), "networks made of its modules", "pyg"),
)


def optional_packages() -> list[Finding]:
    """Return a finding for each purpose of optional packages."""
    return [_packages(*one) for one in OPTIONAL]


def _packages(name: str, packages: tuple[str, ...], purpose: str, extra: str) -> Finding:
    versions = {package: _version(package) for package in packages}
    found = [f"{package} {version}" for package, version in versions.items() if version]
    missing = [package for package, version in versions.items() if not version]
    if not missing:
        return Finding(name, True, ", ".join(found), needed=False)
    text = ", ".join([*found, *(f"{package} is not installed" for package in missing)])
    return Finding(name, False, f"{text} (for {purpose})", f"Install it: {_install(extra)}", needed=False)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _install(extra: str) -> str:
    return f"pip install -c constraints.txt 'glassformer[{extra}]'"


def gpu() -> Finding:
    """Return whether networks and simulations can run on a GPU, and all that is missing for it."""
    try:
        import torch
    except (ImportError, OSError):
        return Finding("GPU", False, "torch cannot be loaded, so this is not known", "See torch above.", needed=False)
    missing: list[tuple[str, str]] = []
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia/version").exists():
        missing.append(("an NVIDIA driver", "Driver: the machine's administrator installs it; a GPU is needed, too."))
    elif not torch.cuda.is_available():
        missing.append(
            ("a GPU that torch can use", "GPU: `nvidia-smi` lists it; in a SLURM job, ask for one (--gres).")
        )
    if torch.version.cuda is None:
        missing.append(("torch with CUDA", "torch: install its CUDA build, with the command of PyTorch's own page."))
    if find_spec("triton") is None:
        missing.append(("triton (fast training)", "triton: it comes with the CUDA build of torch."))
    if not _version("numba-cuda"):
        missing.append(("numba-cuda (simulations in lockstep)", f"numba-cuda: {_install('cuda')}"))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "none is used, everything runs on the CPU"
    if not missing:
        return Finding("GPU", True, name, needed=False)
    what, remedies = zip(*missing, strict=True)
    return Finding("GPU", False, f"{name}; missing: {', '.join(what)}", "\n".join(remedies), needed=False)


_ASK = "Ask the cluster's administrator."


def slurm() -> Finding:
    """Return whether jobs can be submitted to SLURM from here."""
    if shutil.which("sbatch") is None:
        return Finding(
            "SLURM", False, "the command sbatch is not found (for campaigns on a cluster)",
            "Submit from a login node of the cluster. `glassformer sbatch` writes the script on any machine.",
            needed=False,
        )  # fmt: skip
    try:
        asked = subprocess.run(["sbatch", "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("SLURM", False, f"sbatch does not run: {error}", _ASK, needed=False)
    version = asked.stdout.strip()
    if asked.returncode or not version:
        said = (asked.stderr.strip().splitlines() or ["no version"])[0]
        return Finding("SLURM", False, f"sbatch --version failed: {said}", _ASK, needed=False)
    job = os.environ.get("SLURM_JOB_ID")
    return Finding("SLURM", True, f"{version}, inside job {job}" if job else version, needed=False)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browser() -> Finding:
    """Return which browser the tests of report pages find. The pages themselves open in any."""
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path(os.path.expanduser("~"), ".cache/ms-playwright"))
    found = next((path for name in BROWSERS if (path := shutil.which(name))), "") or next(
        (str(path) for path in sorted(folder.glob("chromium-*"))), ""
    )
    playwright, why = _version("playwright"), "(only developers' tests of pages need it)"
    parts = [
        f"playwright {playwright}" if playwright else "playwright is not installed",
        f"Chromium in {found}" if found else "Chromium is not found",
    ]
    if playwright and found:
        return Finding("browser", True, f"{', '.join(parts)} {why}", needed=False)
    remedy = ([] if playwright else [f"Install it: {_install('browser')}"]) + (
        [] if found else ["Install Chromium: playwright install chromium"]
    )
    return Finding("browser", False, f"{', '.join(parts)} {why}", "\n".join(remedy), needed=False)
