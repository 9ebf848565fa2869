"""What `simulate` needs on a cluster: parts of a campaign."""

import re

from glassformer.core.errors import SettingsError
from glassformer.simulate.campaign import Choice


def choice(part: str, verify: bool) -> Choice:
    """Return which tasks `--part` asks for: '3/40' is the third of forty parts. Raises `SettingsError`."""
    if not part:
        return Choice(verify=verify)
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= parts:
        raise SettingsError(f"got --part {part}; expected K/N with K from 1 to N", "For example --part 3/40.")
    return Choice(number, parts, verify=verify)
