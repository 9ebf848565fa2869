"""Which network, and its shape: the [network] table of a run file; and the table of all networks, `NETWORKS`."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    Discriminator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from glassformer.core.bounds import Depth, Length, Neighbors, Width
from glassformer.core.settings import Settings

Fraction = Annotated[float, Field(ge=0, lt=1)]
Pool = Literal["max", "mean"]
Widths = Annotated[tuple[Width, ...], Field(min_length=1)]

# Scalars of a particle. 'species': one-hot, one number per species; 'type': one number, that of the species.
SCALAR_INPUTS = ("species", "type", "local-energy", "inherent-energy")
# Vectors of a particle; they turn with the structure.
VECTOR_INPUTS = ("position", "velocity", "inherent-displacement")
EdgeInput = Literal["vectors", "distances", "nothing"]
# Number of species, unless the data have another.
USUAL_SPECIES = 2
# Of a network from outside whose settings name neither neighbors nor a cutoff.
USUAL_CUTOFF = 2.0
NodeInput = Literal[
    "species", "type", "local-energy", "inherent-energy", "position", "velocity", "inherent-displacement"
]
# Inputs that are found in the inherent structure.
INHERENT_INPUTS = ("inherent-energy", "inherent-displacement")
Structure = Literal["thermal", "inherent"]
Promise = Literal["continuous", "rotation-invariant"]
# Entry points by which installed packages offer their networks under names.
ENTRY_POINTS = "glassformer.networks"


@dataclass(frozen=True)
class NearestGraph:
    """Edges from every particle to its `neighbors` = k nearest, by distances in the periodic box or in open space."""

    neighbors: int
    periodic: bool = True


@dataclass(frozen=True)
class CutoffGraph:
    """Edges between all particles no farther apart than `cutoff` in `structure`, in both directions.

    'thermal': the configuration as it is; 'inherent': its inherent structure.
    """

    cutoff: float
    structure: Structure = "thermal"


class NetworkSettings(Settings):
    """What every network has, and what a network's own settings must state.

    `name`: its row in `NETWORKS`. `graph`: the edges that it reads. `edge_inputs`: what it reads of an edge, which is
    one of the class or of the settings. `promises`: what holds of it beyond what holds of every network; 'continuous':
    no output jumps as a neighbour crosses the cutoff; 'rotation-invariant': the outputs do not change when the
    structure is turned. The contract suite tests them.

    `inputs`: what it reads of each particle. `head`: 'system' pools over particles and gives one output per
    configuration and target; 'particle' gives one output per particle and target. `context`: a particle head also reads
    the pooled features of the whole configuration, which reveal the state point far better than one neighbourhood does.
    `fully_connected` and `dropout` shape the head. `species`: their number, which training takes from the data.
    """

    inputs: Annotated[tuple[NodeInput, ...], Field(min_length=1)] = ("species",)
    head: Literal["system", "particle"] = "system"
    global_pool: Pool = "mean"
    context: bool = False
    fully_connected: Widths = (256,)
    dropout: Fraction = 0.1
    species: Annotated[int, Field(ge=1, le=8)] = USUAL_SPECIES
    name: str

    @model_serializer(mode="wrap")
    def _without_usual_species(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A run of two species keeps the identity, and files the form, that they had before there was a choice.
        values: dict[str, Any] = serialise(self)
        if self.species == USUAL_SPECIES:
            values.pop("species", None)
        return values

    @model_validator(mode="after")
    def _inputs_differ(self) -> "NetworkSettings":
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("inputs holds an entry twice")
        return self

    @model_validator(mode="after")
    def _context_of_particles(self) -> "NetworkSettings":
        if self.context and self.head == "system":
            raise ValueError('context belongs to a particle head: expected head = "particle"')
        return self

    @property
    def graph(self) -> NearestGraph | CutoffGraph:
        """The edges that the network reads."""
        raise NotImplementedError

    @property
    def edge_inputs(self) -> EdgeInput:
        """What the network reads of an edge."""
        return "vectors"

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What holds of its outputs beyond what holds of every network's."""
        return ()

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        """The inputs that are numbers, in their order."""
        return tuple(name for name in self.inputs if name in SCALAR_INPUTS)

    @property
    def vector_inputs(self) -> tuple[str, ...]:
        """The inputs that are vectors, in their order."""
        return tuple(name for name in self.inputs if name in VECTOR_INPUTS)

    @property
    def scalars(self) -> int:
        """Number of scalars of each particle."""
        return sum(self.species if name == "species" else 1 for name in self.scalar_inputs)

    @property
    def reads_inherent(self) -> bool:
        """Whether the network reads anything of the inherent structure."""
        graph = self.graph
        return any(name in INHERENT_INPUTS for name in self.inputs) or (
            isinstance(graph, CutoffGraph) and graph.structure == "inherent"
        )


class ParticleNetSettings(NetworkSettings):
    """Dynamic graph network: edge convolutions on k nearest neighbours, found again in the features of each block.

    `first_graph`: neighbours of the first block by 'periodic' or, as in the thesis, by 'open' distances, which do not
    know of the box's periods. `edge_vectors`: its edges carry the minimum-image vector to the neighbour and its length.
    `aggregation` over the neighbours inside a block and `global_pool` over the particles are separate choices.
    """

    name: Literal["particlenet"] = "particlenet"
    neighbors: Neighbors = 20
    blocks: Annotated[tuple[Widths, ...], Field(min_length=1)] = ((64, 64, 64), (128, 128, 128), (256, 256, 256))
    first_graph: Literal["periodic", "open"] = "periodic"
    edge_vectors: bool = True
    aggregation: Pool = "mean"
    norm: Literal["batch", "layer", "none"] = "batch"
    input_norm: bool = False
    norm_epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-5
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1

    @property
    def graph(self) -> NearestGraph:
        """The edges of the first block."""
        return NearestGraph(self.neighbors, periodic=self.first_graph == "periodic")

    @property
    def edge_inputs(self) -> EdgeInput:
        """What the first block reads of an edge."""
        return "vectors" if self.edge_vectors else "nothing"


class MessagePassingSettings(NetworkSettings):
    """Static-graph message passing: edges to all neighbours within `cutoff`, `steps` rounds with the same weights."""

    name: Literal["message-passing"]
    cutoff: Length = 2.0
    steps: Depth = 7
    width: Width = 64
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64, 64)
    dropout: Fraction = 0.0

    @property
    def graph(self) -> CutoffGraph:
        """The edges of every round."""
        return CutoffGraph(self.cutoff)


class ContinuousFilterSettings(NetworkSettings):
    """Continuous-filter convolutions of distances in a radial basis within `cutoff`: invariant under rotations."""

    name: Literal["continuous-filter"]
    cutoff: Length = 2.5
    radial_functions: Width = 25
    steps: Depth = 4
    width: Width = 64
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64,)
    dropout: Fraction = 0.0

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Both."""
        return ("continuous", "rotation-invariant")

    @property
    def graph(self) -> CutoffGraph:
        """The edges of every round."""
        return CutoffGraph(self.cutoff)

    @property
    def edge_inputs(self) -> EdgeInput:
        """What every round reads of an edge."""
        return "distances"


class EquivariantSettings(NetworkSettings):
    """Message passing with scalars, vectors and moments of neighbor directions: equivariant under rotations.

    `structure`: the one whose pairs within `cutoff` are edges. With the input 'inherent-displacement' an edge knows its
    ends in both structures. `degree`: the highest of the moments; 1: vectors, 2: also quadrupoles. `width` and
    `vectors`: scalars and vectors per particle. `radial_functions`: Gaussians of each distance. `averages`: how often
    `averaged` channels are averaged over neighbors after the rounds; each average is a feature, so that a particle sees
    far. `dropout`: also of the scalars that each round adds.
    """

    name: Literal["equivariant"]
    structure: Structure = "inherent"
    cutoff: Length = 1.7
    radial_functions: Width = 16
    steps: Depth = 3
    width: Width = 48
    vectors: Width = 8
    degree: Annotated[int, Field(ge=1, le=2)] = 2
    averages: Annotated[int, Field(ge=0, le=16)] = 6
    averaged: Width = 16
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (48,)
    dropout: Fraction = 0.2

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Both."""
        return ("continuous", "rotation-invariant")

    @property
    def graph(self) -> CutoffGraph:
        """The edges of every round."""
        return CutoffGraph(self.cutoff, self.structure)


class OwnNetworkSettings(NetworkSettings):
    """A network from outside: a class derived from torch.nn.Module, which gives every particle features.

    `name`: 'package.module:Class', or the name under which an installed package offers one. It reads the `neighbors`
    nearest of every particle, or all within `cutoff` in `structure`. `claims`: its `promises`. `options`: keyword
    arguments of the class. `glassformer.network.own` says how it is called.
    """

    name: str
    neighbors: Neighbors | None = None
    cutoff: Length | None = None
    structure: Structure = "thermal"
    claims: tuple[Promise, ...] = ()
    options: dict[str, JsonValue] = Field(default_factory=dict)
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64,)
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _one_graph(self) -> "OwnNetworkSettings":
        if self.neighbors is not None and (self.cutoff is not None or self.structure == "inherent"):
            raise ValueError("got neighbors, and cutoff or structure: expected neighbors alone, or the others")
        return self

    @property
    def graph(self) -> NearestGraph | CutoffGraph:
        """The edges that the network reads."""
        if self.neighbors is not None:
            return NearestGraph(self.neighbors)
        return CutoffGraph(USUAL_CUTOFF if self.cutoff is None else self.cutoff, self.structure)

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What the settings claim."""
        return self.claims


class OtherCodeWarning(UserWarning):
    """A model's network from outside is not the code with which it was trained."""


def is_own(name: object) -> bool:
    """Tell whether `name` is that of a network from outside: 'package.module:Class', or one that is registered."""
    return isinstance(name, str) and name not in NETWORKS and (":" in name or name in registered_networks())


def registered_networks() -> dict[str, str]:
    """Return 'package.module:Class' of the networks that installed packages offer, by name. Nothing is imported."""
    return {one.name: one.value for one in entry_points(group=ENTRY_POINTS)}


@dataclass(frozen=True)
class NetworkKind:
    """A row of `NETWORKS`.

    `settings`: the class of its settings; `encoder`: its module, as 'file:class' inside `glassformer.network`, by name
    because settings are read without torch; `preset`: the file in presets/networks that shows it; `plural`: what a
    sentence calls several of them.
    """

    settings: type[NetworkSettings]
    encoder: str
    preset: str
    plural: str


# Every network there is, by the `name` in its settings.
NETWORKS: dict[str, NetworkKind] = {
    "particlenet": NetworkKind(
        ParticleNetSettings, "particlenet:ParticleNet", "particlenet-glass", "dynamic graph networks"
    ),
    "message-passing": NetworkKind(
        MessagePassingSettings, "message_passing:MessagePassing", "bapst2020", "message-passing networks"
    ),
    "continuous-filter": NetworkKind(
        ContinuousFilterSettings,
        "continuous_filter:ContinuousFilter",
        "continuous-filter",
        "continuous-filter networks",
    ),
    "equivariant": NetworkKind(
        EquivariantSettings, "equivariant:Equivariant", "equivariant", "equivariant message-passing networks"
    ),
}
# Without a name it is this one.
DEFAULT = "particlenet"
# How messages say which names there are.
NAMES = f"{', '.join(NETWORKS)}, or package.module:Class for a network of your own"
_OWN = "[own]"


def _tag(value: Any) -> str:
    """Return the tag of the table that `value` is meant for."""
    name = value.get("name", DEFAULT) if isinstance(value, dict) else getattr(value, "name", "")
    return _OWN if is_own(name) else f"[{name}]"


def _one_of(kinds: Iterable[tuple[str, NetworkKind]]) -> Any:
    # Tags stand in brackets so that messages about settings can tell them from keys.
    forms = (
        *(Annotated[kind.settings, Tag(f"[{name}]")] for name, kind in kinds),
        Annotated[OwnNetworkSettings, Tag(_OWN)],
    )
    message = f"expected name to be one of {NAMES}"
    return Annotated[Union[forms], Discriminator(_tag, custom_error_type="network", custom_error_message=message)]  # noqa: UP007


# The settings of any network, as a field of a run: told apart by their name.
if TYPE_CHECKING:
    AnyNetwork = NetworkSettings
else:
    AnyNetwork = _one_of(NETWORKS.items())
