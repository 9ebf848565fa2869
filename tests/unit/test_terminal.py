"""Commands on a real terminal, where progress is a bar that is drawn again and again."""

import os
import pty
import select
import signal
import sys
import time

import pytest

SHOW = """
import sys, time
from glassformer.cli.console import progress
from glassformer.cli.streams import guard_streams
guard_streams()
with progress() as stages:
    stages.start("quench", 10, "configurations")
    for _ in range(10):
        time.sleep(0.1)
        stages.advance(1)
    stages.say("one line")
    print("printed meanwhile")
print("the end")
"""


def on_a_terminal(code: str, seconds: float) -> tuple[int, str]:
    """Run `code` in a Python on a pseudo-terminal; return its status, -9 if it was killed, and its output."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        os.execv(sys.executable, [sys.executable, "-c", code])
    output, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                # Linux says so when the other end is closed.
                break
            if not part:
                break
            output += part
    else:
        os.kill(process, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), output.decode()


@pytest.mark.long
def test_a_progress_bar_comes_to_its_end() -> None:
    status, output = on_a_terminal(SHOW, 60)
    assert status == 0, output
    assert output.rstrip().endswith("the end")
    for text in ("quench", "100%", "one line", "printed meanwhile"):
        assert text in output
    assert len(output) < 20_000
