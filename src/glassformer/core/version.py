"""The version of the package, kept apart from its public names: no layer imports those."""

__version__ = "0.1.0"
