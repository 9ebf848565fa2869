"""One contender in a process of its own: calls come in on stdin, and each is answered by a line of JSON on stdout.

Run by path, `python worker.py MODULE TASK`, by any interpreter that has what the module needs; glassformer need not be
installed there, since modules are looked for beside this file. TASK is a JSON object whose "arrays" names an .npz file.
MODULE has a class `Contender(task, arrays)`; the calls are its methods, and what they return goes back.
"""

import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np


def resident_bytes(field: str) -> int | None:
    """Return this process's memory now ('VmRSS') or at its peak ('VmHWM'); None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


def serve(module: str, task: dict[str, Any]) -> None:
    """Answer calls until stdin ends."""
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    # Answers have stdout to themselves: what a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    with np.load(task["arrays"]) as file:
        arrays = dict(file)
    contender = importlib.import_module(module).Contender(task, arrays)
    before = resident_bytes("VmRSS")
    for line in sys.stdin:
        call = json.loads(line)
        began = time.perf_counter()
        value = getattr(contender, call)()
        seconds = time.perf_counter() - began
        answer = {"value": value, "seconds": seconds, "peak_bytes": resident_bytes("VmHWM"), "before_bytes": before}
        print(json.dumps(answer), file=answers)


def _die_with_parent(parent: int) -> None:
    # The end of stdin is seen between two calls only, and a call can take minutes.
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]))
