"""Write down which tests `make test-fast` leaves out.

    make test PYTEST_ADDOPTS="--durations=0 --durations-min=0.1" > LOG; python -m tests.slower LOG

A test is left out if it took longer than `MOST` seconds; a file, if setting up one of its tests did: another test would
pay for a fixture that is shared.
"""

import re
import sys
from pathlib import Path

MOST = 0.3


def slower(log: str) -> list[str]:
    """Return the names of tests, without their parameters, and of files, in order."""
    found: set[str] = set()
    for seconds, when, file, test in re.findall(r"^ *([\d.]+)s (call|setup) +(\S+?)::(\w+)", log, re.MULTILINE):
        if float(seconds) > MOST:
            found.add(file if when == "setup" else f"{file}::{test}")
    files = {name for name in found if "::" not in name}
    return sorted(name for name in found if name in files or name.partition("::")[0] not in files)


if __name__ == "__main__":
    names = slower(Path(sys.argv[1]).read_text(errors="replace"))
    Path(__file__).with_name("slower.txt").write_text("\n".join(names) + "\n")
