"""Networks from outside: found by name, made of their options, and tried on a small graph before anything else.

The class is derived from torch.nn.Module. It is made with the settings' `options` as keyword arguments and, where its
constructor has parameters of these names, with `scalars`, the numbers that the graph holds of each particle, `vectors`,
the vectors, and `cutoff` or `neighbors`. It is called with a `glassformer.network.interface.Graph` of M particles and
returns features of every particle, (M, F). F is found by trying it; lazy layers get their sizes then, too.
"""

import difflib
import hashlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Collection
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glassformer.core.errors import NetworkError
from glassformer.core.network_kinds import OwnNetworkSettings, registered_networks
from glassformer.core.network_settings import NearestGraph, NetworkSettings
from glassformer.network.interface import InnerGraph

# Neighbors of a particle in the small graph of a network that reads a cutoff.
_FEW = 3
_TORCH = str(Path(torch.__file__).parent)
_OUTPUT = "Its forward takes the graph of M particles and returns their features, (M, F): docs/guide/own-network.md."


def small_graph(settings: NetworkSettings) -> InnerGraph:
    """Return two graphs such as a network of these `settings` reads: every particle has the same number of edges."""
    graph = settings.graph
    number = graph.neighbors if isinstance(graph, NearestGraph) else _FEW
    counts = (number + 1, number + 2)
    centers, neighbors, first = [], [], 0
    for count in counts:
        own = torch.arange(count)
        centers.append(first + own.repeat_interleave(number))
        neighbors.append(first + (own[:, None] + torch.arange(1, number + 1)).flatten() % count)
        first += count
    places, edges = torch.arange(first), torch.cat(centers)
    vectors = torch.sin(torch.arange(1.0, 3 * len(edges) + 1)).reshape(-1, 3)
    return InnerGraph(
        species=places % settings.species,
        scalars=torch.cos(torch.arange(1.0, first * settings.scalars + 1)).reshape(first, -1),
        node_vectors=torch.zeros(first, len(settings.vector_inputs), 3),
        centers=edges,
        neighbors=torch.cat(neighbors),
        vectors=vectors,
        counts=counts,
    )


def own_encoder(settings: OwnNetworkSettings) -> tuple[nn.Module, int]:
    """Return the untrained module of `settings`, and its number of features F. Raises `NetworkError`."""
    module = _made(network_class(settings.name), settings)
    return module, _features(module, settings)


def network_class(name: str) -> type[nn.Module]:
    """Import the class called `name`. This runs the code of its module. Raises `NetworkError`."""
    path = registered_networks().get(name, name)
    place, _, wanted = path.partition(":")
    module = _imported(place, path)
    found = getattr(module, wanted, None) if wanted else None
    if found is None:
        values = vars(module).items()
        classes = [one for one, value in values if isinstance(value, type) and issubclass(value, nn.Module)]
        close = difflib.get_close_matches(wanted, classes, n=1)
        raise NetworkError(
            f"network {name}: the module {place} has no '{wanted}'"
            + (f"; did you mean '{close[0]}'?" if close else ""),
            f"Classes of networks there: {', '.join(classes) or 'none'}.",
        )
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        kind = "a class of another kind" if isinstance(found, type) else f"a {type(found).__name__}"
        raise NetworkError(
            f"network {name} is {kind}; expected a class derived from torch.nn.Module",
            "Name the class itself: package.module:Class.",
        )
    return found


def _imported(place: str, path: str) -> Any:
    # As `python -m` does: a file in the folder where the command is run.
    if (here := os.getcwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{place}.".startswith(f"{error.name}."):
            raise NetworkError(
                f"network {path}: there is no module {error.name}",
                "Run the command in the folder that holds it, or install the package that has it.",
            ) from None
        raise failed(f"network {path}: importing {place} failed", error) from error
    except Exception as error:
        raise failed(f"network {path}: importing {place} failed", error) from error


def _made(kind: type[nn.Module], settings: OwnNetworkSettings) -> nn.Module:
    signature = inspect.signature(kind)
    known = {"scalars": settings.scalars, "vectors": len(settings.vector_inputs)}
    known |= {name: value for name in ("neighbors", "cutoff") if (value := getattr(settings.graph, name, None))}
    taken = [name for name, one in signature.parameters.items() if one.kind is not one.VAR_KEYWORD]
    arguments = {name: value for name, value in known.items() if name in taken} | settings.options
    try:
        signature.bind(**arguments)
    except TypeError as error:
        options = [name for name in taken if name not in known]
        raise NetworkError(
            f"network {settings.name}: its options do not fit the constructor of {kind.__name__}: {error}",
            f"Correct [network.options]; it takes: {', '.join(options) or 'none'}.",
        ) from None
    try:
        return kind(**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise failed(f"network {settings.name}: {kind.__name__}({given}) failed", error) from error


def _features(module: nn.Module, settings: OwnNetworkSettings) -> int:
    """Return the number of features that `module` gives every particle. Raises `NetworkError`."""
    graph = small_graph(settings)
    module.eval()
    try:
        with torch.no_grad():
            found = module(graph)
    except Exception as error:
        raise failed(f"network {settings.name}: its forward failed on a graph", error) from error
    module.train()
    particles = len(graph.species)
    if not isinstance(found, Tensor) or not found.is_floating_point():
        what = f"a tensor of {found.dtype}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise NetworkError(f"network {settings.name} returned {what}; expected a tensor of floats", _OUTPUT)
    if found.ndim != 2 or len(found) != particles or not found.shape[1]:
        raise NetworkError(
            f"network {settings.name} returned the shape {tuple(found.shape)} for {particles} particles;"
            f" expected ({particles}, F)",
            _OUTPUT,
        )
    return found.shape[1]


def failed(what: str, error: Exception) -> NetworkError:
    """Return the error that says what code from outside raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = [one for one in frames if not one.filename.startswith((_TORCH, __file__, "<"))]
    last = (foreign or frames)[-1]
    message = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return NetworkError(f"{what}: {type(error).__name__}: {message} ({last.filename}, line {last.lineno})", _CORRECT)


_CORRECT = "Correct the network's code or its options, and run the same command again."


def network_code(settings: NetworkSettings) -> str:
    """Return which code a network from outside is: name and version of its package, or a hash of its file.

    Empty for a network that ships. The network was imported before.
    """
    if not isinstance(settings, OwnNetworkSettings):
        return ""
    place = registered_networks().get(settings.name, settings.name).partition(":")[0]
    file = getattr(sys.modules[place], "__file__", None)
    if file is None:
        return ""
    for package in packages_distributions().get(place.partition(".")[0], []):
        found = distribution(package)
        # A file of one's own may be called as a package is.
        if Path(str(found.locate_file(""))).resolve() in Path(file).resolve().parents:
            return f"{package} {found.version}"
    return f"{Path(file).name} sha256 {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"


def may_import(name: str, allowed: Collection[str]) -> bool:
    """Tell whether a model file may have the network `name` imported: if it is registered, or among those `allowed`."""
    registered = registered_networks()
    return name in allowed or name in registered or name in registered.values()
