"""All that is to be known about a GPU, in one session of under ten minutes: `python -m benchmarks.gpu_session FOLDER`.

`gpu.json` is written after every part. Parts run in a process of their own, one after the other; after one that fails,
or takes longer than it may, the others continue in a new process: an error can leave the device unusable for the old.
"""

import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from glassformer.core.files import write_atomically
from glassformer.core.provenance import code_version

# Seconds of a session, and without which no part is started.
SESSION, LEAST = 560.0, 15.0
PACKAGES = "numba", "numba-cuda", "cuda-bindings", "numpy", "torch", "triton", "torch_geometric"


def machine() -> dict[str, Any]:
    """Return the device, its driver, and the versions at work."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        told = str(error)
    versions = {"glassformer": code_version(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    device = (told.splitlines() or ["unknown"])[0]
    return {"device": device, "command": " ".join(sys.argv), "versions": versions}


def run_parts(folder: Path, ends: float, names: list[str]) -> None:
    """Run parts and write what they find; end after one that fails. `ends`: of the session, by `time.time`."""
    from benchmarks.gpu_parts import PARTS

    for name in names:
        print(name, flush=True)
        start, failed = time.time(), False
        try:
            found = PARTS[name].run(folder, min(PARTS[name].seconds, ends - start))
        except Exception:
            found, failed = {"error": traceback.format_exc(), "passed": False}, True
        add(folder, name, found | {"seconds": round(time.time() - start, 1)})
        if failed:
            return


def add(folder: Path, name: str, found: dict[str, Any]) -> None:
    """Add a part to `gpu.json`."""
    write_atomically(folder / "gpu.json", (json.dumps(read(folder) | {name: found}, indent=1) + "\n").encode())
    print(f"  {json.dumps(found)[:600]}", flush=True)


def read(folder: Path) -> dict[str, Any]:
    """Return what `gpu.json` holds."""
    path = folder / "gpu.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def watch(folder: Path, limits: dict[str, float], ends: float, command: list[str]) -> None:
    """Have processes of `command` run the parts named in `limits`, none longer than its seconds, until `ends`."""
    left = list(limits)
    while left and time.time() < ends - LEAST:
        # In a session of its own, so that what it has started ends with it.
        with subprocess.Popen([*command, str(folder), str(ends), *left], start_new_session=True) as process:
            try:
                left = _follow(process, folder, limits, ends, left)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if left and process.returncode:
            add(folder, left.pop(0), {"error": f"ended with status {process.returncode}", "passed": False})
    for name in left:
        add(folder, name, {"skipped": f"{SESSION:g} s had passed"})


def _follow(
    process: subprocess.Popen[bytes], folder: Path, limits: dict[str, float], ends: float, left: list[str]
) -> list[str]:
    """Wait until `process` ends or a part has taken too long; return the parts that it leaves."""
    began = time.time()
    while process.poll() is None and (not left or time.time() < min(began + limits[left[0]], ends)):
        time.sleep(0.1)
        # The seconds of the first part begin with the process.
        still = [name for name in left if name not in read(folder)]
        left, began = (still, time.time()) if len(still) < len(left) else (left, began)
    if process.poll() is None:
        process.kill()
    process.wait()
    return [name for name in left if name not in read(folder)]


def main(folder: Path) -> int:
    """Run all parts; return 1 if one failed."""
    from benchmarks.gpu_parts import PARTS

    ends = time.time() + SESSION
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(machine(), indent=1))
    limits = {name: part.seconds for name, part in PARTS.items()}
    watch(folder, limits, ends, [sys.executable, "-m", "benchmarks.gpu_session", "--parts"])
    parts = [read(folder)[name] for name in PARTS]
    return int(not all(part.get("passed", True) for part in parts))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--parts"]:
        run_parts(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
    else:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "gpu-results")))
