"""Which network, and its shape: the [network] table of a run file."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from glassformer.core.bounds import Depth, Length, Neighbors, Width
from glassformer.core.settings import Settings

Fraction = Annotated[float, Field(ge=0, lt=1)]
Pool = Literal["max", "mean"]
Widths = Annotated[tuple[Width, ...], Field(min_length=1)]

# Scalars of a particle: how many numbers each input is. 'species': one-hot; 'type': one number, 0 for A and 1 for B.
SCALAR_INPUTS = {"species": 2, "type": 1, "local-energy": 1}
# Vectors of a particle; they turn with the structure.
VECTOR_INPUTS = ("position", "velocity", "inherent-displacement")
NodeInput = Literal["species", "type", "local-energy", "position", "velocity", "inherent-displacement"]

NAMES = ("particlenet", "message-passing", "continuous-filter")


class _Common(Settings):
    """What every network has.

    `inputs`: what it reads of each particle. `head`: 'system' pools over particles and gives one output per
    configuration and target; 'particle' gives one output per particle and target. `context`: a particle head also reads
    the pooled features of the whole configuration, which reveal the state point far better than one neighbourhood does.
    `fully_connected` and `dropout` shape the head.
    """

    inputs: Annotated[tuple[NodeInput, ...], Field(min_length=1)] = ("species",)
    head: Literal["system", "particle"] = "system"
    global_pool: Pool = "mean"
    context: bool = False
    fully_connected: Widths = (256,)
    dropout: Fraction = 0.1

    @model_validator(mode="after")
    def _inputs_differ(self) -> "_Common":
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("inputs holds an entry twice")
        return self

    @model_validator(mode="after")
    def _context_of_particles(self) -> "_Common":
        if self.context and self.head == "system":
            raise ValueError('context belongs to a particle head: expected head = "particle"')
        return self

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
        """How many numbers a particle's scalar inputs are."""
        return sum(SCALAR_INPUTS[name] for name in self.scalar_inputs)


class ParticleNetSettings(_Common):
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


class MessagePassingSettings(_Common):
    """Static-graph message passing: edges to all neighbours within `cutoff`, `steps` rounds with the same weights."""

    name: Literal["message-passing"]
    cutoff: Length = 2.0
    steps: Depth = 7
    width: Width = 64
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64, 64)
    dropout: Fraction = 0.0


class ContinuousFilterSettings(_Common):
    """Continuous-filter convolutions of distances in a radial basis within `cutoff`: invariant under rotations."""

    name: Literal["continuous-filter"]
    cutoff: Length = 2.5
    radial_functions: Width = 25
    steps: Depth = 4
    width: Width = 64
    head: Literal["system", "particle"] = "particle"
    fully_connected: Widths = (64,)
    dropout: Fraction = 0.0


def _tag(value: Any) -> str:
    """Return the tag of the table that `value` is meant for; without a name it is ParticleNet's."""
    name = value.get("name", "particlenet") if isinstance(value, dict) else getattr(value, "name", "")
    return f"[{name}]"


# Tags stand in brackets so that messages about settings can tell them from keys.
NetworkSettings = Annotated[
    Annotated[ParticleNetSettings, Tag("[particlenet]")]
    | Annotated[MessagePassingSettings, Tag("[message-passing]")]
    | Annotated[ContinuousFilterSettings, Tag("[continuous-filter]")],
    Discriminator(
        _tag, custom_error_type="network", custom_error_message=f"expected name to be one of {', '.join(NAMES)}"
    ),
]
