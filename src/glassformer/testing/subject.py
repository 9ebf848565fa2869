"""A network in float64, untrained, and structures to try it on: invariance is tested to rounding."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glassformer.core.arrays import FloatArray
from glassformer.core.network_settings import CutoffGraph, NearestGraph, NetworkSettings
from glassformer.dataset.mixtures import shipped
from glassformer.graph.batch import GraphBatch, build_graph, join
from glassformer.graph.inputs import node_scalars, node_vectors
from glassformer.network.registry import Network, build_network
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.lattice import rattled_lattice
from glassformer.physics.velocities import maxwell_boltzmann

OUTPUTS = 3
SPACING = 1.05
SMALLEST_SIDE = 5


@dataclass(frozen=True, eq=False)
class Structure:
    """A configuration with inherent positions, and velocities (N, 3) for a network that reads them."""

    configuration: Configuration
    velocities: FloatArray

    @property
    def particles(self) -> int:
        """Number of particles."""
        return self.configuration.particles

    def shifted(self, vector: FloatArray) -> "Structure":
        """Return the same structure, shifted by `vector` (3,) and wrapped again."""
        one = self.configuration
        assert one.inherent_positions is not None
        places = (wrap(positions + vector, one.box) for positions in (one.positions, one.inherent_positions))
        positions, inherent = places
        return replace(self, configuration=replace(one, positions=positions, inherent_positions=inherent))


def structure(seed: int, side: int = SMALLEST_SIDE) -> Structure:
    """Return a rattled lattice with inherent positions nearby and velocities of T = 1."""
    one = rattled_lattice(side, seed, SPACING, amplitude=0.2)
    shift = np.random.default_rng(seed).normal(0, 0.05, one.positions.shape)
    whole = replace(one, inherent_positions=wrap(one.positions + shift, one.box))
    return Structure(whole, maxwell_boltzmann(seed, np.ones(one.particles), 1.0))


def at(positions: FloatArray, species: NDArray[np.uint8], edge: float, shift: float) -> Structure:
    """Return particles at `positions` (N, 3) in a cubic box, at rest, their inherent positions `shift` away."""
    one = Configuration(positions, species, np.full(3, edge), wrap(positions + shift, np.full(3, edge)))
    return Structure(one, np.zeros_like(positions))


def chosen(one: Structure, which: NDArray[np.intp]) -> Structure:
    """Return the particles `which` of `one`, in that order."""
    whole = one.configuration
    assert whole.inherent_positions is not None
    parts = (whole.positions[which], whole.species[which], whole.box, whole.inherent_positions[which])
    return Structure(Configuration(*parts), one.velocities[which])


def graph_of(one: Structure, settings: NetworkSettings) -> GraphBatch:
    """Return the graph of a structure with all its numbers in float64."""
    configuration, mixture = one.configuration, shipped("kob-andersen")
    graph = build_graph(configuration, settings, mixture, one.velocities).to(torch.float64)
    kind = settings.graph
    inherent = isinstance(kind, CutoffGraph) and kind.structure == "inherent"
    positions = configuration.inherent_positions if inherent else configuration.positions
    assert positions is not None
    ends = positions[graph.neighbors] - positions[graph.centers]
    if not (isinstance(kind, NearestGraph) and not kind.periodic):
        ends = minimum_image(ends, configuration.box)
    scalars = node_scalars(configuration, settings.scalar_inputs, settings.species, mixture)
    vectors = node_vectors(configuration, settings.vector_inputs, one.velocities)
    return replace(
        graph,
        scalars=torch.from_numpy(scalars),
        vectors=torch.from_numpy(ends),
        node_vectors=torch.from_numpy(vectors),
    )


@dataclass
class Subject:
    """A network in float64, ready to predict, and its graphs in float64."""

    settings: NetworkSettings
    network: Network

    @classmethod
    def of(cls, settings: NetworkSettings, seed: int = 0) -> "Subject":
        """Return an untrained network, with batch norm statistics that are not the trivial ones.

        Raises `NetworkError` if it is from outside and cannot be used.
        """
        torch.manual_seed(seed)
        network = build_network(settings, OUTPUTS).double()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.Linear):
                    # As torch begins, several layers on end hardly pass on what they are given.
                    module.weight *= 2
        subject = cls(settings, network.train())
        with torch.no_grad():
            subject(subject.structure(9), subject.structure(10))
        network.eval()
        return subject

    def structure(self, seed: int, larger: int = 0) -> Structure:
        """Return a structure that is large enough for the network's graph, or by so much `larger`."""
        graph = self.settings.graph
        if isinstance(graph, CutoffGraph):
            least = math.ceil(2 * graph.cutoff / SPACING)
        else:
            least = math.ceil((graph.neighbors + 2) ** (1 / 3))
        return structure(seed, max(SMALLEST_SIDE, least) + larger)

    def graph(self, *structures: Structure) -> GraphBatch:
        """Return the graphs of `structures` as one batch."""
        return join([graph_of(one, self.settings) for one in structures])

    def __call__(self, *structures: Structure) -> Tensor:
        """Return the outputs for a batch of `structures`."""
        outputs: Tensor = self.network(self.graph(*structures))
        return outputs

    @property
    def of_particles(self) -> bool:
        """Whether there is a row of outputs per particle."""
        return self.settings.head == "particle"
