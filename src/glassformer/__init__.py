"""glassformer: from a glass former's structure to its dynamics.

    import glassformer as gf

    structure = gf.read("liquid.xyz", mixture="kob-andersen", temperature=0.44)[0]
    gf.propensity(structure).plot()

Units are Lennard-Jones reduced units throughout: lengths in sigma_AA, energies in epsilon_AA, masses in m, k_B = 1.
Nothing is imported before it is used: `import glassformer` alone takes milliseconds.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

from glassformer.core.version import __version__

# As in `typing`, which takes longer to import than all of this: Ctrl-C would meet it before a command answers.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from glassformer.api.curves import Curve, Scattering, msd, self_scattering
    from glassformer.api.description import DescriptorTable, descriptors
    from glassformer.api.predictions import PredictionSet, Scores, evaluate, predict
    from glassformer.api.propensities import Propensity, propensity
    from glassformer.api.reading import read, structure
    from glassformer.api.simulation import cage, quench, simulate
    from glassformer.api.structures import Structure, Structures
    from glassformer.api.training import Training, train
    from glassformer.api.trajectories import Trajectory, read_trajectory, trajectory

__all__ = [
    "Curve",
    "DescriptorTable",
    "PredictionSet",
    "Propensity",
    "Scattering",
    "Scores",
    "Structure",
    "Structures",
    "Training",
    "Trajectory",
    "__version__",
    "cage",
    "descriptors",
    "evaluate",
    "msd",
    "predict",
    "propensity",
    "quench",
    "read",
    "read_trajectory",
    "self_scattering",
    "simulate",
    "structure",
    "train",
    "trajectory",
]

_HOMES = {
    "curves": ("Curve", "Scattering", "msd", "self_scattering"),
    "description": ("DescriptorTable", "descriptors"),
    "predictions": ("PredictionSet", "Scores", "evaluate", "predict"),
    "propensities": ("Propensity", "propensity"),
    "reading": ("read", "structure"),
    "simulation": ("cage", "quench", "simulate"),
    "structures": ("Structure", "Structures"),
    "training": ("Training", "train"),
    "trajectories": ("Trajectory", "read_trajectory", "trajectory"),
}
# Functions whose names are those of layers, too.
_LAYERS = ("evaluate", "simulate", "train")


@cache
def _public(name: str) -> Any:
    """Return what is called `name` in `glassformer.api`; of a function, errors speak of arguments, not of options."""
    home = next(home for home, names in _HOMES.items() if name in names)
    found = getattr(import_module(f"glassformer.api.{home}"), name)
    return found if isinstance(found, type) else import_module("glassformer.api.messages").for_python(found)


class _Layer(ModuleType):
    """A layer of the package that can be called, as the function of its name: both are `glassformer.train`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _public(self.__name__.rpartition(".")[2])(*args, **kwargs)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_public(self.__name__.rpartition(".")[2]))

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return str(_public(self.__name__.rpartition(".")[2]).__doc__)


class _Package(ModuleType):
    """The package: a layer that is imported becomes an attribute of it, and must not hide the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _LAYERS and isinstance(value, ModuleType):
            value.__class__ = _Layer
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what is public when it is first asked for."""
        if name in _LAYERS:
            return import_module(f"glassformer.{name}")
        if name in __all__:
            return _public(name)
        raise AttributeError(f"module 'glassformer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
