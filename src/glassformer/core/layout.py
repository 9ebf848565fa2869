"""What the files and folders of a dataset, a training, an experiment and a report are called."""

import re


def file_name(label: str) -> str:
    """Return `label` as the name of a file: it stays in its folder whatever the label holds."""
    return re.sub(r"[/\\\x00]", "_", label).lstrip(".") or "_"
