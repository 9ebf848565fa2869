"""What the settings of all networks share: inputs, graph and head of the [network] table of a run file."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from glassformer.core.bounds import Width
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
NodeInput = Literal[
    "species", "type", "local-energy", "inherent-energy", "position", "velocity", "inherent-displacement"
]
# Inputs that are found in the inherent structure.
INHERENT_INPUTS = ("inherent-energy", "inherent-displacement")
Structure = Literal["thermal", "inherent"]
Promise = Literal["continuous", "rotation-invariant"]


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
    # Scalars of a particle beside `inputs`: a network that has this one inside gives them.
    _further_scalars: int = PrivateAttr(default=0)

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
        own = sum(self.species if name == "species" else 1 for name in self.scalar_inputs)
        return own + self._further_scalars

    def reading_further(self, scalars: int) -> Self:
        """Return the same for a network that reads so many `scalars` of each particle beside `inputs`."""
        found = self.model_copy()
        found._further_scalars = self._further_scalars + scalars
        return found

    @property
    def reads_positions(self) -> bool:
        """Whether the network reads distances between particles that no edge joins."""
        return False

    @property
    def reads_inherent(self) -> bool:
        """Whether the network reads anything of the inherent structure."""
        graph = self.graph
        return any(name in INHERENT_INPUTS for name in self.inputs) or (
            isinstance(graph, CutoffGraph) and graph.structure == "inherent"
        )
