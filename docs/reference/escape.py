"""Lets the averages in docstrings, such as <exp(i k r)>, stand: Markdown would take them for HTML."""

import re
from typing import Any

import griffe


class Escape(griffe.Extension):
    """Escapes `<` outside of code."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of `obj`."""
        if obj.docstring:
            parts = re.split(r"(`[^`]*`)", obj.docstring.value)
            obj.docstring.value = "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)
