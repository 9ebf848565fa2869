"""The networks: the settings of each, and the table of all of them, `NETWORKS`."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    Discriminator,
    Field,
    JsonValue,
    SerializationInfo,
    Tag,
    field_serializer,
    model_validator,
)

from glassformer.core.bounds import Depth, Length, Neighbors, Width
from glassformer.core.network_settings import (
    CutoffGraph,
    EdgeInput,
    Fraction,
    NearestGraph,
    NetworkSettings,
    Pool,
    Promise,
    Structure,
    Widths,
)

# Of a network from outside whose settings name neither neighbors nor a cutoff.
USUAL_CUTOFF = 2.0
# Entry points by which installed packages offer their networks under names.
ENTRY_POINTS = "glassformer.networks"


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

    @model_validator(mode="after")
    def _vectors_have_weights(self) -> "EquivariantSettings":
        if self.vectors > self.width:
            raise ValueError(f"vectors: got {self.vectors}; expected at most width = {self.width}")
        return self

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


def _tag(value: Any) -> str:
    """Return the tag of the table that `value` is meant for."""
    name = value.get("name", DEFAULT) if isinstance(value, dict) else getattr(value, "name", "")
    return _OWN if is_own(name) else f"[{name}]"


def _one_of(kinds: Mapping[str, NetworkKind], own: bool = False) -> Any:
    """Return a type that takes the settings of any of `kinds`, with `own` also of a network from outside."""
    # Tags stand in brackets so that messages about settings can tell them from keys.
    forms = tuple(Annotated[kind.settings, Tag(f"[{name}]")] for name, kind in kinds.items())
    if own:
        forms = (*forms, Annotated[OwnNetworkSettings, Tag(_OWN)])
    message = f"expected name to be one of {NAMES if own else ', '.join(kinds)}"
    return Annotated[Union[forms], Discriminator(_tag, custom_error_type="network", custom_error_message=message)]  # noqa: UP007


# Without a name it is this one.
DEFAULT = "particlenet"
_OWN = "[own]"

# Those that work on the edges they are given.
_STATIC: dict[str, NetworkKind] = {
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
_LOCAL = {
    "particlenet": NetworkKind(
        ParticleNetSettings, "particlenet:ParticleNet", "particlenet-glass", "dynamic graph networks"
    ),
} | _STATIC


if TYPE_CHECKING:
    StaticNetwork = NetworkSettings
else:
    StaticNetwork = _one_of(_STATIC)
# What the whole network says, and not the encoder inside it.
_OF_THE_WHOLE = ("inputs", "head", "global_pool", "context", "fully_connected", "species")
_USUAL_BASE = ContinuousFilterSettings(name="continuous-filter")


class ComposedSettings(NetworkSettings):
    """A network with another network's encoder inside: `base`, a table with its name and shape.

    `inputs`, `species` and the head are those of the whole and do not stand in `base`.
    """

    base: NetworkSettings
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64,)
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _nothing_is_said_twice(self) -> "ComposedSettings":
        strange = sorted(self.base.model_fields_set & set(_OF_THE_WHOLE))
        if strange:
            raise ValueError(f"base.{strange[0]} belongs to the whole network: expected {strange[0]} beside base")
        return self

    @field_serializer("base")
    def _shape_of_the_base(self, base: NetworkSettings, info: SerializationInfo) -> dict[str, Any]:
        return base.model_dump(mode=info.mode, exclude=set(_OF_THE_WHOLE))

    def inside(self, further_scalars: int = 0) -> NetworkSettings:
        """Return the settings of the encoder inside, which reads `inputs` and so many `further_scalars`."""
        settings = self.base.model_copy(update={"inputs": self.inputs, "species": self.species})
        return settings.reading_further(self._further_scalars + further_scalars)

    @property
    def graph(self) -> NearestGraph | CutoffGraph:
        """The edges of the base."""
        return self.base.graph

    @property
    def edge_inputs(self) -> EdgeInput:
        """What the base reads of an edge."""
        return self.base.edge_inputs

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Those of the base, which reads vectors alone, but for the continuity: neighbors come and go with `radius`."""
        return tuple(one for one in self.base.promises if one != "continuous")


class SubgraphsSettings(ComposedSettings):
    """Equivariant subgraph aggregation: the base over subgraphs of neighborhoods, then over the whole graph.

    `policy` 'ego': a subgraph is a particle, marked, and its neighbors within `radius`; 'node-deleted': the same
    without the particle. `bag`: the share of the subgraphs, drawn at random, that a training step uses; predictions use
    all.
    """

    name: Literal["subgraphs"]
    policy: Literal["ego", "node-deleted"] = "ego"
    radius: Length = 1.5
    bag: Annotated[float, Field(gt=0, le=1)] = 1.0
    base: StaticNetwork = _USUAL_BASE

    @model_validator(mode="after")
    def _neighbors_are_joined(self) -> "SubgraphsSettings":
        graph = self.base.graph
        if isinstance(graph, CutoffGraph) and self.radius > graph.cutoff:
            raise ValueError(f"got radius = {self.radius:g}; expected at most base.cutoff = {graph.cutoff:g}")
        return self


_SUBGRAPHS = {
    "subgraphs": NetworkKind(SubgraphsSettings, "subgraphs:Subgraphs", "subgraphs", "subgraph aggregation networks")
}
if TYPE_CHECKING:
    LocalNetwork = NetworkSettings
else:
    LocalNetwork = _one_of(_LOCAL | _SUBGRAPHS)


class GlobalAttentionSettings(ComposedSettings):
    """Attention among all particles of a configuration after the base, with a learned readout token.

    `width` channels in `heads` heads and `layers` layers. `induced_points` = 0: every particle attends to every other;
    m > 0: through m induced points, at a cost linear in N. `distance_bias`: attention also depends on the
    minimum-image distance of two particles, up to `bias_range`, through `bias_functions` cosines. `dropout`: also of
    what each layer adds.
    """

    name: Literal["global-attention"]
    width: Width = 64
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    layers: Depth = 2
    induced_points: Annotated[int, Field(ge=0, le=16_384)] = 0
    distance_bias: bool = False
    bias_range: Length = 5.0
    bias_functions: Annotated[int, Field(ge=1, le=64)] = 8
    base: LocalNetwork = _USUAL_BASE

    @model_validator(mode="after")
    def _shapes_agree(self) -> "GlobalAttentionSettings":
        if self.width % self.heads:
            raise ValueError(f"got width = {self.width} and heads = {self.heads}; expected a multiple of heads")
        if self.induced_points and self.distance_bias:
            raise ValueError("induced points have no place: expected distance_bias = false with induced_points")
        return self

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Those of the base: attention and its bias are continuous, and read distances."""
        return self.base.promises

    @property
    def reads_positions(self) -> bool:
        """Whether attention depends on distances."""
        return self.distance_bias


# Every network there is, by the `name` in its settings.
NETWORKS: dict[str, NetworkKind] = {
    **_LOCAL,
    **_SUBGRAPHS,
    "global-attention": NetworkKind(
        GlobalAttentionSettings,
        "global_attention:GlobalAttention",
        "global-attention",
        "networks with global attention",
    ),
}

# How messages say which names there are.
NAMES = f"{', '.join(NETWORKS)}, or package.module:Class for a network of your own"

# The settings of any network, as a field of a run: told apart by their name.
if TYPE_CHECKING:
    AnyNetwork = NetworkSettings
else:
    AnyNetwork = _one_of(NETWORKS, own=True)
