"""The walltime of a run: a run that knows when its job ends stops itself before it would be killed."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from glassformer.core.errors import SettingsError
from glassformer.core.signals import stop_after

# A run stops so many seconds before its walltime ends; in a short job, a tenth of what is left.
MARGIN, SHARE = 180.0, 0.1
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAYS, _CLOCK = r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", r"(?:(\d+):)?(\d+):(\d+)"


def seconds_of(text: str) -> float:
    """Return the seconds of a time such as 4h, 90m or 2d, or in a format of SLURM: 90 (minutes), 12:00:00, 1-12.

    Raises `SettingsError`.
    """
    seconds = 0.0
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        seconds = float(found[1]) * _UNITS[found[2]]
    elif found := re.fullmatch(_DAYS, text):
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = 86400.0 * days + 3600 * hours + 60 * minutes + rest
    elif found := re.fullmatch(_CLOCK, text):
        hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = 3600.0 * hours + 60 * minutes + rest
    elif text.isdecimal():
        seconds = 60.0 * int(text)
    if not seconds:
        raise SettingsError(
            f"got the time '{text}'; expected a time such as 4h, 90m or 12:00:00", "For example --walltime 4h."
        )
    return seconds


def slurm_time(seconds: float) -> str:
    """Return `seconds` as SLURM writes times: D-HH:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02d}:{minutes:02d}:{rest:02d}"


def usable(walltime: float) -> float:
    """Return how many of the next `walltime` seconds a run works until it stops itself."""
    return walltime - min(MARGIN, SHARE * walltime)


def time_left(walltime: str = "", variables: Mapping[str, str] = os.environ) -> float | None:
    """Return the seconds until this job ends, or None if nobody says.

    What `walltime` says, counted from now, or SLURM (SLURM_JOB_END_TIME): the earlier of them. An end that has passed
    is that of another job, in whose shell this one was started. Raises `SettingsError`.
    """
    ends = [seconds_of(walltime)] if walltime else []
    end = variables.get("SLURM_JOB_END_TIME", "")
    if end.isdecimal() and int(end) > time.time():
        ends.append(int(end) - time.time())
    return min(ends, default=None)


@contextmanager
def stopped_in_time(walltime: str = "") -> Iterator[None]:
    """Raise `StopRequested` inside shortly before this job ends, if it is known when. Raises `SettingsError`."""
    left = time_left(walltime)
    with stop_after(None if left is None else usable(left)):
        yield
