"""Trained models on disk: weights with everything needed to use them, and to know what they have seen."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from glassformer.baselines.density import DensityFit
from glassformer.baselines.state_point_mean import StatePointMean
from glassformer.core.checksum import warn_of_older_files
from glassformer.core.errors import CheckpointError, SettingsError
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.predictions import Role
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration
from glassformer.physics.signature import find_same
from glassformer.train.archive import read_archive, write_archive
from glassformer.train.scope import Scope
from glassformer.train.target import Target

FORMAT = "glassformer model"
# Models of version 2 hold neither signatures nor scope, and no checksum; until version 3 they are of two species, A and
# B, and their scope names the cutoff of an 80:20 mixture.
VERSION, OLDEST_VERSION = 4, 2
_PLAIN = (
    "times", "label_mean", "label_std", "calibration", "weights", "roles", "parameter_hash", "code_version",
)  # fmt: skip


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

    def network(self) -> nn.Module:
        """Return the network with its weights, ready to predict."""
        network = build_network(self.run.network, len(self.times))
        network.load_state_dict(self.weights)
        return network.eval()


def write_model(path: Path, model: Model) -> None:
    """Write `model` to `path`, whole or not at all. Raises `StorageError`."""
    values = {name: getattr(model, name) for name in _PLAIN}
    values |= {"format": FORMAT, "version": VERSION, "run": model.run.model_dump(mode="json")}
    values |= {name: asdict(getattr(model, name)) for name in ("state_point_mean", "density_fit")}
    values |= {
        "signatures": model.signatures,
        "species": model.species,
        "scope": None if model.scope is None else asdict(model.scope),
    }
    write_archive(path, values)


def read_model(path: Path) -> Model:
    """Read and check the model at `path`; nothing in the file is executed.

    Raises `CheckpointError` if it is damaged, of another program, or its weights are those of another network.
    """
    values = _read(path)
    try:
        model = Model(
            run=check_settings(values["run"], Run, str(path)),
            state_point_mean=StatePointMean(**values["state_point_mean"]),
            density_fit=DensityFit(**values["density_fit"]),
            scope=None if values.get("scope") is None else Scope.of_values(values["scope"]),
            species=tuple(values.get("species", ("A", "B"))),
            signatures=values.get("signatures"),
            **{name: values[name] for name in _PLAIN},
        )
        model.network()
    except (KeyError, TypeError, SettingsError) as error:
        raise CheckpointError(f"{path} is no model of this version: {error}", "Train it again.") from error
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: the weights are those of another network than the one it names: {first}", "Train it again."
        ) from error
    return model


def _read(path: Path) -> dict[str, Any]:
    values, verified = read_archive(path, "model", "Make one with `glassformer train`.", "Train it again.")
    if values.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a checkpoint of another program or network", "Give a model.pt that `glassformer train` wrote."
        )
    version = values.get("version")
    if not isinstance(version, int) or not OLDEST_VERSION <= version <= VERSION:
        raise CheckpointError(
            f"{path}: got version {version} of the model format; expected {OLDEST_VERSION} to {VERSION}",
            "Another version of glassformer wrote it: train it again with this one.",
        )
    if not verified and version > OLDEST_VERSION:
        raise CheckpointError(f"{path} is damaged: its checksum is missing", "Train it again.")
    if not verified:
        warn_of_older_files(path)
    return values
