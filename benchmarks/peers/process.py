"""The parent's side of a contender: start its process, call it, end it."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassformer.core.errors import EngineError

OWN, KERAS, KERAS_FUSED, TORCH = "glassformer", "keras", "keras_fused", "torch"
MODULES = {OWN: "own_worker", KERAS: "keras_worker", KERAS_FUSED: "keras_worker", TORCH: "torch_worker"}


@dataclass(frozen=True)
class Answer:
    """What a call returned, the seconds it took, and the process's memory: its peak, and before the first call."""

    value: Any
    seconds: float
    peak_bytes: int | None
    before_bytes: int | None


class Process:
    """One contender in a process of its own, idle between calls; a context manager that leaves no process behind."""

    def __init__(self, name: str, task: dict[str, Any], python: str = sys.executable) -> None:
        self.name = name
        task = task | {"fused_norm": name == KERAS_FUSED}
        with ExitStack() as undo:
            # A file, not a pipe, which could fill up.
            self._errors = undo.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                [python, str(Path(__file__).with_name("worker.py")), MODULES[name], json.dumps(task)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8",
                env=_environment(task["threads"]),
                # Ctrl-C is the parent's to handle.
                start_new_session=True,
            )  # fmt: skip
            undo.pop_all()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                # A dead process does not hear what it was still to be told.
                with suppress(BrokenPipeError):
                    stream.close()

    def call(self, method: str) -> Answer:
        """Call a method of the contender. Raises `EngineError` if the process dies of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(method) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise self._death(method)
        return Answer(**json.loads(line))

    def _death(self, method: str) -> EngineError:
        status = self._process.wait()
        self._errors.seek(0)
        said = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        last = f": {said[-1].strip()}" if said else ""
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        remedy = "If memory ran out: fewer particles or a smaller batch need less." if status < 0 else ""
        return EngineError(f"the process of {self.name} {how} in {method}{last}", remedy)


def _environment(threads: int) -> dict[str, str]:
    # All on the CPU, and no pool of threads larger than asked for.
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **limits, "CUDA_VISIBLE_DEVICES": ""}
