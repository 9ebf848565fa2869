"""The network whose predictions a propensity model averages with those of its regression."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from glassformer.baselines.propensity_model import NetworkMember
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.checksum import Checksum, check_last_line, with_last_line
from glassformer.core.errors import CheckpointError, SettingsError, TrainingError
from glassformer.core.files import write_atomically
from glassformer.core.network_kinds import OwnNetworkSettings
from glassformer.core.network_settings import NetworkSettings
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.recipe import Recipe, RecipeNetwork
from glassformer.core.run import Run, Training, load_run
from glassformer.core.seeds import generator, named_seed
from glassformer.core.settings import check_settings
from glassformer.graph.batch import GraphBatch, build_graph
from glassformer.network.registry import build_network
from glassformer.physics.box import minimum_image
from glassformer.physics.cage import Cage, plateau_mean
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.train.batch_norm import remeasure_batch_norm
from glassformer.train.labelled_structures import Structures, weight_of
from glassformer.train.memory import keep_large_blocks
from glassformer.train.schedule import learning_rate

# Of the steps, one of so many is on a configuration with all its draws, where there are ends of draws, too.
TURN = 4
# A length in the cage, and how steeply its logarithm is read: it varies by a quarter or so.
_TYPICAL, _STEEP = 0.15, 4.0
# Decay of the moving average of the weights, per step.
DECAY = 0.99
# What a run must say of its training, which is counted in steps here: nothing else is followed.
_TRAINED = {
    "optimizer": "adamw", "loss": "mse", "schedule": "cosine", "augmentation": "none", "precision": "float32",
}  # fmt: skip
_AGAIN = "Train the model again: glassformer train RECIPE DATASET --out DIR."


@dataclass(frozen=True, eq=False)
class _Example:
    """A graph, its species (N,), propensities (N, K), and how much they count."""

    graph: GraphBatch
    species: ByteArray
    labels: FloatArray
    weight: float

    @cached_property
    def digest(self) -> str:
        """Hash of all that is learned from it."""
        graph = self.graph
        tensors = (graph.scalars, graph.node_vectors, graph.centers, graph.neighbors, graph.vectors)
        found = sha256(f"{self.weight} {self.labels.shape}".encode())
        for array in (self.species, self.labels, *(one.numpy() for one in tensors)):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class _Group:
    """A configuration with all its draws, and the ends of these draws."""

    start: _Example
    ends: tuple[_Example, ...]


def train_members(
    structures: Sequence[Structures],
    times: Sequence[float],
    folds: Sequence[Sequence[int]],
    recipe: Recipe,
    progress: Progress,
    threads: int,
    kept: Path | None = None,
) -> tuple[list[FloatArray], NetworkMember]:
    """Return the outputs (N, K) for each structure of a network that had not seen it, and a network trained on all.

    `times`: of the K targets. `folds`: numbers of the structures that are left out together; the ends of their draws
    are left out with them. `kept`: folder for networks that are finished, from which a killed training continues.
    Raises `SettingsError` if the run names no network of particles, `TrainingError` if training diverges.
    """
    assert recipe.network is not None
    run, settings = _run_of(recipe.network), recipe.network
    keep_large_blocks()
    with _threads(threads), torch.random.fork_rng(devices=[]):
        groups = [_group(one, times, run.network, recipe) for one in structures]
        everyone = range(len(groups))
        progress.start("network", settings.steps * (len(folds) + 1), "steps")
        unseen: dict[int, FloatArray] = {}
        for number, left_out in enumerate([*folds, ()]):
            training = [groups[index] for index in everyone if index not in left_out]
            member = _kept_or_fitted(
                training, run, settings, named_seed(recipe.seed, "network", number), progress, kept
            )
            unseen |= {index: _outputs(member, groups[index].start.graph) for index in left_out}
    return [unseen[index] for index in everyone], member


def member_outputs(
    member: NetworkMember, configuration: Configuration, mixture: Mixture, cage: Cage | None, threads: int
) -> FloatArray:
    """Return the outputs (N, K) of the network for a configuration: propensities in units of their spread.

    They are counted from the mean of their species. `cage`: the cage positions that the model reads, if any.
    Raises `CheckpointError` if the network is damaged.
    """
    settings = _settings_of(member)
    with _threads(threads):
        return _outputs(member, _graph(configuration, cage, settings, mixture, member.amplitudes))


def _run_of(settings: RecipeNetwork) -> Run:
    run = load_run(settings.run)
    where = f"network.run: {settings.run}"
    if isinstance(run.network, OwnNetworkSettings):
        raise SettingsError(
            f"{where} has the network {run.network.name} from outside glassformer; a propensity model has none",
            "Name a run with one of glassformer's networks: glassformer networks.",
        )
    if run.network.head != "particle":
        raise SettingsError(
            f"{where} has a network with the head '{run.network.head}'; expected 'particle'",
            "Name a run whose network predicts particles, such as propensity-network.",
        )
    for name, expected in _TRAINED.items():
        if (found := getattr(run.training, name)) != expected:
            raise SettingsError(
                f"{where}: got training.{name} = '{found}'; the network of a recipe is trained with '{expected}'",
                "Change it in a copy of the run: glassformer train propensity-network --show.",
            )
    return run


def _referred(configuration: Configuration, cage: Cage | None) -> Configuration:
    """Return the configuration with cage positions, if they are read, in the place of its inherent structure."""
    return configuration if cage is None else replace(configuration, inherent_positions=cage.positions)


def _group(one: Structures, times: Sequence[float], settings: NetworkSettings, recipe: Recipe) -> _Group:
    assert recipe.network is not None
    of_ends = (weight_of(end.draws(times)) / weight_of(one.draws(times)) for end in one.ends)
    weights = [1.0, *(max(recipe.network.weight_of_ends, weight) for weight in of_ends)]
    labels = [of.labels(times) for of in (one, *one.ends)]
    start, *ends = (
        _Example(
            _graph(
                sample.configuration,
                None if recipe.reads == "inherent" else sample.cage,
                settings,
                sample.mixture,
                recipe.network.amplitudes,
            ),
            sample.configuration.species,
            label,
            weight,
        )
        for sample, label, weight in zip(one.structures, labels, weights, strict=True)
    )
    return _Group(start, tuple(ends))


def _graph(
    configuration: Configuration, cage: Cage | None, settings: NetworkSettings, mixture: Mixture, amplitudes: bool
) -> GraphBatch:
    graph = build_graph(_referred(configuration, cage), settings, mixture)
    if cage is None or not amplitudes:
        return graph
    return replace(graph, scalars=torch.cat([graph.scalars, _amplitudes(configuration, cage)], 1))


def _amplitudes(configuration: Configuration, cage: Cage) -> Tensor:
    """Return two numbers (N, 2) of order one: from the root of <u^2>, and from the mean displacement in the plateau."""
    vectors = minimum_image(cage.positions - configuration.positions, configuration.box)
    mean = plateau_mean((vectors**2).sum(1), cage.square_displacement, configuration.dimension)
    lengths = np.stack([np.sqrt(cage.square_displacement), mean], 1)
    return torch.from_numpy(_STEEP * np.log(np.maximum(lengths, 1e-6) / _TYPICAL)).float()


def _kept_or_fitted(
    training: Sequence[_Group], run: Run, settings: RecipeNetwork, seed: int, progress: Progress, kept: Path | None
) -> NetworkMember:
    shape = run.network.model_dump(mode="json")
    known = parameter_hash(
        {
            "network": shape,
            "training": run.training.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json"),
            "seed": seed,
            "examples": [[one.digest for one in (group.start, *group.ends)] for group in training],
            "code": code_version(),
        }
    )
    path = None if kept is None else kept / known[:16]
    found = None if path is None else _read(path)
    if found is not None:
        progress.advance(settings.steps)
    else:
        network = _reading(run.network, settings.amplitudes)
        found = _fitted(training, network, run.training, settings, seed, progress)
        if path is not None:
            write_atomically(path, with_last_line(found.tobytes()))
    return NetworkMember(shape, found, training[0].start.labels.shape[1], settings.amplitudes)


def _read(path: Path) -> NDArray[np.float32] | None:
    """Return the weights that a run before this one kept; None if there are none, or they are damaged."""
    try:
        data, found = check_last_line(path.read_bytes())
    except OSError:
        return None
    return np.frombuffer(data, np.float32) if found is Checksum.RIGHT else None


def _fitted(
    training: Sequence[_Group],
    network_settings: NetworkSettings,
    optimiser: Training,
    settings: RecipeNetwork,
    seed: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Return the weights, `_flat`, after training: a moving average, with batch norms measured on all that is clean."""
    starts = [group.start for group in training]
    unit = _Units.of(starts)
    torch.manual_seed(named_seed(seed, "weights"))
    network = build_network(network_settings, starts[0].labels.shape[1])
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY))  # type: ignore[no-untyped-call]
    steps = optimiser.model_copy(update={"epochs": settings.steps, "warmup_epochs": settings.steps // 30})
    adam = torch.optim.AdamW(network.parameters(), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay)
    network.train()
    for step, example in zip(range(settings.steps), _turns(training, seed), strict=False):
        for group in adam.param_groups:
            group["lr"] = learning_rate(steps, step, 1)
        loss = example.weight * nn.functional.mse_loss(network(example.graph), unit.of_example(example))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if optimiser.clip_gradient:
            nn.utils.clip_grad_norm_(network.parameters(), optimiser.clip_gradient)
        adam.step()
        average.update_parameters(network)
        progress.advance(1)
    remeasure_batch_norm(average.module, (example.graph for example in starts))
    found = _flat(average.module)
    if not np.isfinite(found).all():
        raise TrainingError(
            "training of the network diverged: a weight is not a finite number",
            "Lower training.learning_rate in the run that the recipe names.",
        )
    return found


def _turns(training: Sequence[_Group], seed: int) -> Iterator[_Example]:
    """Yield examples without end: ends of draws, shuffled, and on every `TURN`-th step a configuration with draws."""
    random = generator(named_seed(seed, "order"))

    def shuffled(examples: Sequence[_Example]) -> Iterator[_Example]:
        while True:
            for place in random.permutation(len(examples)):
                yield examples[place]

    starts = shuffled([group.start for group in training])
    all_ends = [end for group in training for end in group.ends]
    ends, step = shuffled(all_ends), 0
    while True:
        yield next(ends if all_ends and step % TURN else starts)
        step += 1


@dataclass(frozen=True, eq=False)
class _Units:
    """Means and spreads of the propensities of each species in training, (S, K)."""

    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, examples: Sequence[_Example]) -> "_Units":
        species = np.concatenate([one.species for one in examples])
        labels = np.concatenate([one.labels for one in examples])
        kinds = range(int(species.max()) + 1)
        of_kind = [
            labels[species == kind] if (species == kind).any() else np.ones((1, labels.shape[1])) for kind in kinds
        ]
        return cls(
            np.stack([one.mean(0) for one in of_kind]), np.stack([np.maximum(one.std(0), 1e-30) for one in of_kind])
        )

    def of_example(self, example: _Example) -> Tensor:
        """Return its propensities in units of the spread of their species, from its mean."""
        standard = (example.labels - self.mean[example.species]) / self.spread[example.species]
        return torch.from_numpy(standard).float()


@torch.no_grad()
def _outputs(member: NetworkMember, graph: GraphBatch) -> FloatArray:
    network = build_network(_settings_of(member), member.targets)
    _load(network, member.weights)
    found: FloatArray = network.eval()(graph).double().numpy()
    return found


def _settings_of(member: NetworkMember) -> NetworkSettings:
    try:
        found = check_settings({"network": dict(member.settings)}, Run, "the network of the model").network
    except SettingsError as error:
        raise CheckpointError(error.problem, _AGAIN) from None
    # A file must not name code to run.
    if isinstance(found, OwnNetworkSettings) or found.head != "particle":
        raise CheckpointError(
            f"the network of the model is {found.name}, which cannot be one of a propensity model", _AGAIN
        )
    return _reading(found, member.amplitudes)


def _reading(settings: NetworkSettings, amplitudes: bool) -> NetworkSettings:
    """Return the settings of a network that reads `_amplitudes`, if it does."""
    return settings.reading_further(2) if amplitudes else settings


def _state(network: nn.Module) -> list[Tensor]:
    """Return the parameters and the statistics of batch norms, but not how often these were measured."""
    return [one for one in network.state_dict().values() if one.is_floating_point()]


def _flat(network: nn.Module) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.cat([one.flatten() for one in _state(network)]).numpy().copy()
    return found


def _load(network: nn.Module, weights: NDArray[np.float32]) -> None:
    state = _state(network)
    sizes = [one.numel() for one in state]
    if sum(sizes) != len(weights):
        raise CheckpointError(
            f"the network of the model has {len(weights)} weights; its settings ask for {sum(sizes)}",
            _AGAIN,
        )
    for one, part in zip(state, torch.split(torch.tensor(weights), sizes), strict=True):
        one.copy_(part.view_as(one))


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
