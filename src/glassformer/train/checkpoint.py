"""Trained models on disk: weights with everything needed to use them, and to know what they have seen."""

import warnings
from collections.abc import Collection
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.baselines.density import DensityFit
from glassformer.baselines.propensity_file import FORMAT as PROPENSITY_MODEL
from glassformer.baselines.state_point_mean import StatePointMean
from glassformer.core.arrays import FloatArray
from glassformer.core.checksum import warn_of_older_files
from glassformer.core.errors import CheckpointError, NetworkError, SettingsError
from glassformer.core.files import read_whole
from glassformer.core.hdf5 import format_of_hdf5
from glassformer.core.json_files import checked
from glassformer.core.network_kinds import OtherCodeWarning, OwnNetworkSettings
from glassformer.core.presets import shipped_models
from glassformer.core.provenance import fingerprint
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.predictions import Role
from glassformer.network.own import may_import, network_class, network_code
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration
from glassformer.physics.signature import find_same
from glassformer.train.archive import read_archive
from glassformer.train.container import parse_container, write_container
from glassformer.train.scope import Scope
from glassformer.train.target import Target

FORMAT = "glassformer model"
# Until version 4 models are archives of torch. Those of version 2 hold neither signatures nor scope, and no checksum;
# until version 3 they are of two species, A and B, and their scope names the cutoff of an 80:20 mixture.
VERSION, LAST_ARCHIVE, OLDEST_VERSION = 5, 4, 2
# How a zip file, and thus an archive of torch, begins.
_ARCHIVE = b"PK"
_WEIGHTS, _SIGNATURES = "network.", "signatures"
# The entries of a model that are in the header as they are.
_PLAIN = (
    "times", "label_mean", "label_std", "calibration", "roles", "species", "scope", "state_point_mean", "density_fit",
    "parameter_hash", "code_version", "started_from", "network_code", "device",
)  # fmt: skip
_TRAIN = "Train it again."

# Of labels: of all that are learned, or of each species.
Scale = tuple[float, ...] | tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: its run, target times, label scale, weights, baselines, and the role of each configuration.

    `label_mean` and `label_std` (K,), or (S, K) of each species, undo the standardisation. `calibration` (S, K): by
    what a particle head's exponentials are multiplied, for each of the `species`, so that their mean over the training
    set is the labels' mean (N. Duan, J. Am. Stat. Assoc. 78, 605 (1983)): the exponential of a predicted logarithm is
    no mean. `roles` maps the fingerprint of every configuration of its dataset to what the network knew of it;
    `signatures` (C, F) are those of the same configurations, by which `role_of` knows a copy, in the table that
    `physics.signature.together` makes.
    `scope`: the liquid and state points it was trained on. Both are None in models of an older version.
    `started_from`: the `parameter_hash` of the model with whose weights training started, or empty. `network_code`: of
    a network from outside glassformer, which code it was; else empty. `device`: what it was trained on, 'cpu' or
    'cuda: ' and the name of the GPU; empty in models of an older version.
    """

    run: Run
    times: tuple[float, ...]
    label_mean: Scale
    label_std: Scale
    calibration: tuple[tuple[float, ...], ...]
    weights: dict[str, Tensor]
    roles: dict[str, Role]
    signatures: Tensor | None
    species: tuple[str, ...]
    scope: Scope | None
    state_point_mean: StatePointMean
    density_fit: DensityFit
    parameter_hash: str
    code_version: str
    started_from: str = ""
    network_code: str = ""
    device: str = ""

    @property
    def target(self) -> Target:
        """What the network learned."""
        return Target.of(self.run.targets, self.run.network.head, np.array(self.times), self.species)

    def role_of(self, configuration: Configuration) -> Role | None:
        """Return what the network knew of `configuration`, or None if it was not in its dataset.

        A copy that is shifted, renumbered, mirrored or rounded counts as the same: `glassformer.physics.signature`.
        """
        exact = self.roles.get(configuration.fingerprint)
        if exact is not None or self.signatures is None:
            return exact
        number = find_same(configuration.signature, self.signatures.numpy())
        return None if number is None else list(self.roles.values())[number]

    def known_signatures(self) -> dict[str, FloatArray]:
        """Return the signature of every configuration in `roles`; empty ones, which fit nothing, if it has none."""
        if self.signatures is None:
            return dict.fromkeys(self.roles, np.empty(0))
        rows = self.signatures.numpy()
        return {one: row[~np.isnan(row)] for one, row in zip(self.roles, rows, strict=True)}

    @property
    def weights_fingerprint(self) -> str:
        """A hash of all weights, their names and shapes."""
        names = sorted(self.weights)
        contents = (self.weights[name].contiguous().reshape(-1).view(torch.uint8).numpy() for name in names)
        return fingerprint(np.array([f"{name} {tuple(self.weights[name].shape)}" for name in names]), *contents)

    def network(self) -> nn.Module:
        """Return the network with its weights, ready to predict."""
        network = build_network(self.run.network, len(self.times))
        network.load_state_dict(self.weights)
        return network.eval()


def write_model(path: Path, model: Model) -> None:
    """Write `model` to `path`, whole or not at all. Raises `StorageError`."""
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION, "run": model.run.model_dump(mode="json")}
    header |= {name: _values(getattr(model, name)) for name in _PLAIN if name != "device" or model.device}
    tensors = {f"{_WEIGHTS}{name}": weight for name, weight in model.weights.items()}
    if model.signatures is not None:
        tensors[_SIGNATURES] = model.signatures
    write_container(path, header, tensors)


def _values(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def read_model(path: Path, allowed: Collection[str] = ()) -> Model:
    """Read and check the model at `path`; nothing in the file is executed.

    A network from outside is imported only if an installed package offers it, or its name is among those `allowed`.
    Raises `CheckpointError` if it may not or cannot be imported, if the file is damaged or of another program, or if
    the weights are those of another network.
    """
    what, types = "model of this version", get_type_hints(Model)
    try:
        values = _read(path)
        model = Model(
            run=check_settings(values["run"], Run, str(path)),
            weights=values["weights"],
            signatures=values[_SIGNATURES],
            **{name: checked(values[name], types[name], path, CheckpointError, what, _TRAIN) for name in _PLAIN},
        )
        _check_code(path, model, allowed)
        model.network()
    except NetworkError as error:
        raise CheckpointError(f"{path} cannot be used: {error.problem}", error.remedy) from error
    except (KeyError, TypeError, SettingsError) as error:
        raise CheckpointError(f"{path} is not a {what}: {error}", _TRAIN) from error
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: the weights are those of another network than the one it names: {first}", _TRAIN
        ) from error
    return model


def _check_code(path: Path, model: Model, allowed: Collection[str]) -> None:
    """Import a network from outside, if that is allowed. Raises `CheckpointError`, `NetworkError`."""
    network = model.run.network
    if not isinstance(network, OwnNetworkSettings):
        return
    needed = f"the network {network.name}" + (f" ({model.network_code})" if model.network_code else "")
    if not may_import(network.name, allowed):
        raise CheckpointError(
            f"{path} needs {needed}, which is code from outside glassformer: loading a model runs no such code by"
            " itself",
            f"If you trust that code, allow it: --network {network.name}.",
        )
    network_class(network.name)
    found = network_code(network)
    if found != model.network_code:
        warnings.warn(
            f"{path} was trained with {needed}; the one found here is {found or 'of unknown version'}: its numbers may"
            " be others",
            OtherCodeWarning,
            stacklevel=3,
        )


def _read(path: Path) -> dict[str, Any]:
    """Return the entries of the model at `path`, of whatever version, as this version has them."""
    absent = "Make one with `glassformer train`."
    if str(path) in shipped_models():
        absent = f"Predict with this propensity model, which ships: glassformer propensity FILE --model {path}."
    whole = read_whole(path, CheckpointError, absent)
    if whole.startswith(_ARCHIVE):
        values, verified = read_archive(path, "model", absent, _TRAIN)
        _check_version(path, values, OLDEST_VERSION, LAST_ARCHIVE)
        if not verified and values["version"] > OLDEST_VERSION:
            raise CheckpointError(f"{path} is damaged: its checksum is missing", _TRAIN)
        if not verified:
            warn_of_older_files(path)
        return _upgraded(values)
    _refuse_other_files(path, whole)
    header, tensors = parse_container(whole, path, _TRAIN)
    _check_version(path, header, LAST_ARCHIVE + 1, VERSION)
    weights = {name.removeprefix(_WEIGHTS): one for name, one in tensors.items() if name.startswith(_WEIGHTS)}
    return {"device": ""} | header | {"weights": weights, _SIGNATURES: tensors.get(_SIGNATURES)}


def _refuse_other_files(path: Path, whole: bytes) -> None:
    """Raise `CheckpointError` for a file of this package that is whole, but no network."""
    found = format_of_hdf5(whole)
    if found == PROPENSITY_MODEL:
        raise CheckpointError(
            f"{path} is a propensity model, not a network",
            f"Predict with it: glassformer propensity FILE --model {path}.",
        )
    if found:
        raise CheckpointError(
            f"{path} is not a network's model file, but a {found}",
            "Give a model that `glassformer train` wrote, such as training/fold-0/model.safetensors.",
        )


def _check_version(path: Path, values: dict[str, Any], oldest: int, newest: int) -> None:
    if values.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a checkpoint of another program or network", "Give a model that `glassformer train` wrote."
        )
    version = values.get("version")
    if not isinstance(version, int) or not oldest <= version <= newest:
        raise CheckpointError(
            f"{path}: got version {version} of the model format; expected {OLDEST_VERSION} to {VERSION}",
            "Another version of glassformer wrote it: train it again with this one.",
        )


def _upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a model of version 2 to 4 as this version has them. Raises `TypeError`."""
    scope = values.get("scope")
    scope = None if scope is None else Scope.of_values(scope)
    absent = {"species": ("A", "B"), _SIGNATURES: None, "started_from": "", "network_code": "", "device": ""}
    return absent | values | {"scope": scope}
