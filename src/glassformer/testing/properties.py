"""What every network must hold: a table of properties, each a function that raises if a network breaks it."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from glassformer.core.errors import NetworkError
from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.core.network_settings import CutoffGraph, NearestGraph, NetworkSettings
from glassformer.graph.batch import GraphBatch, transform
from glassformer.graph.symmetries import cubic_symmetries, random_rotations
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.testing.subject import OUTPUTS, Structure, Subject, at, chosen

# Rounding in float64, and the least change of an output that counts as one.
RELATIVE, ABSOLUTE, CHANGE = 1e-9, 1e-11, 1e-6
# Steps of finite differences: at a kink or a jump one may fail, at a wrong gradient all do.
STEPS = (1e-6, 1e-7, 1e-5)
_LENGTHS = "Lengths have no gradient at 0: take torch.sqrt(x.square().sum(1) + epsilon), or distances that are not 0."


@dataclass(frozen=True)
class Property:
    """`check` raises `NetworkError` if a network lacks it; `applies` tells whose settings promise it."""

    check: Callable[[Subject], None]
    applies: Callable[[NetworkSettings], bool] = lambda settings: True


def _same(one: Tensor, other: Tensor, problem: str, remedy: str) -> None:
    if one.shape != other.shape:
        raise NetworkError(f"{problem}: the shapes are {tuple(one.shape)} and {tuple(other.shape)}", remedy)
    if not torch.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE):
        raise NetworkError(f"{problem}: outputs change by {float((one - other).abs().max().detach()):.2g}", remedy)


def _differ(one: Tensor, other: Tensor, problem: str, remedy: str) -> None:
    if (one - other).abs().max() <= CHANGE:
        raise NetworkError(problem, remedy)


def output_shape(subject: Subject) -> None:
    """One row per particle or configuration, of as many finite numbers as there are targets."""
    one = subject.structure(0)
    found, rows = subject(one), one.particles if subject.of_particles else 1
    if found.shape != (rows, OUTPUTS):
        raise NetworkError(
            f"got outputs of shape {tuple(found.shape)}; expected {(rows, OUTPUTS)}",
            "Return features of every particle, (M, F).",
        )
    if not torch.isfinite(found).all():
        raise NetworkError("outputs are not finite", "Look for divisions by 0 and logarithms.")


def reads_the_structure(subject: Subject) -> None:
    """Outputs differ between structures and between particles: one that ignored them would pass all else."""
    first, other, remedy = (
        subject.structure(0),
        subject.structure(1),
        "Read graph.vectors, graph.centers and neighbors.",
    )
    # The same species in the same order: only the places differ.
    other = replace(other, configuration=replace(other.configuration, species=first.configuration.species))
    one = subject(first)
    _differ(one, subject(other), "outputs are the same for two structures", remedy)
    if subject.of_particles and one.std(0).min() <= CHANGE:
        raise NetworkError("outputs are the same for all particles", remedy)


def reads_the_species(subject: Subject) -> None:
    """Outputs change when the two species are exchanged."""
    one = subject.structure(0)
    species = (1 - one.configuration.species).astype(np.uint8)
    swapped = replace(one, configuration=replace(one.configuration, species=species))
    _differ(subject(one), subject(swapped), "outputs are the same with the species exchanged", "Read graph.scalars.")


def permutation(subject: Subject) -> None:
    """Renumbered particles have renumbered outputs."""
    one = subject.structure(0)
    order = np.random.default_rng(0).permutation(one.particles)
    expected = subject(one)
    _same(
        subject(chosen(one, order)), expected[order] if subject.of_particles else expected,
        "outputs depend on the numbering of the particles",
        "Combine neighbors by sums, means or maxima; use no index of a particle as a number.",
    )  # fmt: skip


def translation(subject: Subject) -> None:
    """Nothing changes when all particles are shifted by a little."""
    one = subject.structure(0)
    _same(
        subject(one.shifted(np.array([0.3, 0.11, -0.2]))), subject(one), "outputs depend on where the structure is",
        "Read vectors between particles only.",
    )  # fmt: skip


def periodic_images(subject: Subject) -> None:
    """Nothing changes when the box is cut at another place."""
    one = subject.structure(0)
    _same(
        subject(one.shifted(one.configuration.box / 2)), subject(one), "outputs depend on where the box is cut",
        "Take edges and vectors from the graph, which knows of the periods.",
    )  # fmt: skip


def two_sizes_in_one_batch(subject: Subject) -> None:
    """A batch of two structures of different size gives what each gives alone."""
    one, two = subject.structure(0), subject.structure(1, larger=1)
    _same(
        subject(one, two), torch.cat([subject(one), subject(two)]), "a batch of two is not two batches of one",
        "Pool over the particles of each graph (graph.counts), not over the batch.",
    )  # fmt: skip


def neither_box_nor_size(subject: Subject) -> None:
    """Two copies side by side have another box and N, the same local structure and the same outputs."""
    one = subject.structure(0, larger=1)
    whole = one.configuration
    assert whole.inherent_positions is not None
    box = whole.box * np.array([2.0, 1, 1])
    positions = np.concatenate([whole.positions, whole.positions + np.array([whole.box[0], 0, 0])])
    shift = np.tile(minimum_image(whole.inherent_positions - whole.positions, whole.box), (2, 1))
    doubled = Configuration(positions, np.tile(whole.species, 2), box, wrap(positions + shift, box))
    expected = subject(one)
    _same(
        subject(Structure(doubled, np.tile(one.velocities, (2, 1)))),
        torch.cat([expected, expected]) if subject.of_particles else expected,
        "outputs depend on the size of the box",
        "Take means over particles where you sum over all of them.",
    )


def rotations(subject: Subject) -> None:
    """Nothing changes when the structure is rotated or reflected."""
    expected = subject(subject.structure(0))
    for outputs in turned(
        subject, np.concatenate([cubic_symmetries(), random_rotations(np.random.default_rng(3), 20)])
    ):
        _same(
            outputs, expected, "outputs change when the structure is turned",
            "Read lengths and angles only, or leave 'rotation-invariant' out of network.claims.",
        )  # fmt: skip


def turned(subject: Subject, matrices: np.ndarray) -> Iterator[Tensor]:
    """Yield the outputs for one structure, turned by each of `matrices` (R, 3, 3)."""
    graph = subject.graph(subject.structure(0))
    for matrix in matrices:
        yield subject.network(transform(graph, torch.from_numpy(matrix)[None]))


def continuity(subject: Subject) -> None:
    """Nothing jumps as a neighbor crosses the cutoff."""
    graph = subject.settings.graph
    assert isinstance(graph, CutoffGraph)
    cutoff = graph.cutoff

    def three(distance: float) -> Structure:
        middle, edge = 6 * cutoff, 12 * cutoff
        positions = np.full((3, 3), middle)
        positions[1, 0] -= 0.6 * cutoff
        positions[2, 0] += distance
        return at(positions, np.array([0, 1, 0], np.uint8), edge, 0.01)

    def jump(shift: float) -> float:
        return float((subject(three(cutoff - shift)) - subject(three(cutoff + shift))).abs().max().detach())

    remedy = "Multiply what an edge adds by a function that is 0 at the cutoff, or leave 'continuous' out of claims."
    # Inputs such as energies change with the distance, but the less the smaller the step.
    if (found := jump(1e-9)) > 1e-10 and found > 0.1 * jump(1e-7):
        raise NetworkError(f"outputs jump by {found:.2g} as a neighbor crosses the cutoff", remedy)
    deep, outside = three(0.75 * cutoff), three(1.01 * cutoff)
    _differ(subject(deep), subject(outside), "outputs do not depend on a neighbor within the cutoff", remedy)


def _refuse_infinite(subject: Subject, graph: GraphBatch, where: str, remedy: str) -> None:
    graph = replace(graph, vectors=graph.vectors.requires_grad_(), node_vectors=graph.node_vectors.requires_grad_())
    outputs = subject.network.train()(graph)
    outputs.square().sum().backward()
    if not torch.isfinite(outputs).all():
        raise NetworkError(f"outputs are not finite {where}", remedy)
    named = [*subject.network.named_parameters(), ("vectors", graph.vectors), ("node_vectors", graph.node_vectors)]
    for name, value in named:
        if value.grad is not None and not torch.isfinite(value.grad).all():
            raise NetworkError(f"the gradient of {name} is not finite {where}", remedy)


def isolated_particles(subject: Subject) -> None:
    """Finite outputs and gradients with one particle far from all others and, within a cutoff, with none near."""
    one, kind = subject.structure(0, larger=1), subject.settings.graph
    far = 1.25 * kind.cutoff if isinstance(kind, CutoffGraph) else 2.0
    whole, remedy = one.configuration, "A particle may have no edge: divide by its number of edges plus 1, or by none."
    distance = np.linalg.norm(minimum_image(whole.positions - whole.positions[0], whole.box), axis=1)
    graph = subject.graph(chosen(one, np.flatnonzero((distance == 0) | (distance > far))))
    _refuse_infinite(subject, graph, "for a particle far from all others", remedy)
    if not isinstance(kind, CutoffGraph):
        return
    positions = np.arange(12.0).reshape(4, 3) * 3 * kind.cutoff
    alone = at(positions, np.array([0, 0, 1, 0], np.uint8), 60 * kind.cutoff, 0.1)
    _refuse_infinite(subject, subject.graph(alone), "where no particle has a neighbor", remedy)
    if subject.of_particles:
        outputs = subject.network.eval()(subject.graph(alone))
        _same(outputs[:2].flip(0), outputs[:2], "two particles without neighbors differ", remedy)


def coincident_particles(subject: Subject) -> None:
    """Finite outputs and gradients where particles coincide and have the same features."""
    one, two = subject.structure(0), subject.structure(1)
    positions = one.configuration.positions.copy()
    positions[1:4] = positions[0]
    same = Configuration(positions, np.zeros_like(one.configuration.species), one.configuration.box, positions)
    graph = subject.graph(replace(one, configuration=same), two)
    _refuse_infinite(subject, graph, "where particles coincide", _LENGTHS)


def every_weight_is_trained(subject: Subject) -> None:
    """Every parameter has a gradient that is finite and not 0."""
    graph = subject.graph(subject.structure(0), subject.structure(1))
    subject.network.train()(graph).square().sum().backward()
    for name, weight in subject.network.named_parameters():
        if weight.grad is None or not weight.grad.abs().max() > 0:
            raise NetworkError(f"no output depends on {name}", "Remove what is not used: it cannot be trained.")
        if not torch.isfinite(weight.grad).all():
            raise NetworkError(f"the gradient of {name} is not finite", _LENGTHS)


def gradients(subject: Subject) -> None:
    """Gradients equal finite differences: of every weight and the graph's vectors, two entries each."""
    graph = subject.graph(subject.structure(0))
    graph = replace(graph, vectors=graph.vectors.requires_grad_(), node_vectors=graph.node_vectors.requires_grad_())
    mixed = torch.from_numpy(np.random.default_rng(0).normal(size=subject.network(graph).shape))

    def loss() -> Tensor:
        total: Tensor = (subject.network(graph) * mixed).sum()
        return total

    loss().backward()  # type: ignore[no-untyped-call]
    values = dict(subject.network.named_parameters()) | {"vectors": graph.vectors, "node_vectors": graph.node_vectors}
    for name, value in values.items():
        if not value.numel():
            continue
        gradient = torch.zeros(value.numel()) if value.grad is None else value.grad.flatten()
        flat = value.detach().view(-1)
        # The entry that counts most, and another.
        for place in (int(gradient.abs().argmax()), len(gradient) // 3):
            expected = float(gradient[place])
            slope = 0.0
            for step in STEPS:
                slope = _slope(loss, flat, place, step)
                if abs(slope - expected) <= max(1e-5 * abs(slope), 1e-6):
                    break
            else:
                raise NetworkError(
                    f"the gradient of {name} is {expected:.6g}, and finite differences give {slope:.6g}",
                    "Do not detach what the outputs depend on; check backward functions of your own.",
                )


@torch.no_grad()
def _slope(loss: Callable[[], Tensor], flat: Tensor, place: int, step: float) -> float:
    there, found = float(flat[place]), []
    for sign in (1, -1):
        flat[place] = there + sign * step
        found.append(float(loss()))
    flat[place] = there
    return (found[0] - found[1]) / (2 * step)


def determinism(subject: Subject) -> None:
    """Predicting twice gives the same bits, and the same gradients, and leaves the network as it was."""
    graph, gradients, outputs = subject.graph(subject.structure(0)), [], []
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    for _ in range(2):
        subject.network.zero_grad()
        outputs.append(subject.network(graph))
        outputs[-1].square().sum().backward()
        gradients.append([weight.grad for weight in subject.network.parameters() if weight.grad is not None])
    remedy = "Draw random numbers in training only (self.training), and sum in an order that does not change."
    if not torch.equal(*outputs):
        raise NetworkError("the same graph gives other outputs the second time", remedy)
    if not all(torch.equal(one, other) for one, other in zip(*gradients, strict=True)):
        raise NetworkError("the same graph gives other gradients the second time", remedy)
    for name, value in subject.network.state_dict().items():
        if not torch.equal(value, before[name]):
            raise NetworkError(f"predicting changes {name}", "Change buffers in training only (self.training).")


def state_round_trip(subject: Subject) -> None:
    """Another network with the same state_dict gives the same bits."""
    file = io.BytesIO()
    torch.save(subject.network.state_dict(), file)
    file.seek(0)
    other, one = Subject.of(subject.settings, seed=1), subject.structure(0)
    _differ(
        other(one), subject(one), "two networks of different seeds are the same",
        "Let torch's random numbers draw the weights.",
    )  # fmt: skip
    other.network.load_state_dict(torch.load(file, weights_only=True))
    if not torch.equal(other(one), subject(one)):
        raise NetworkError(
            "a network with the same state_dict gives other outputs",
            "Register all that is drawn or learned: nn.Parameter, register_buffer, nn.ModuleList.",
        )


def single_precision(subject: Subject) -> None:
    """Outputs in float32, in which networks are trained, are those in float64 to 1e-4."""
    graph = subject.graph(subject.structure(0))
    exact = subject.network(graph)
    with torch.no_grad():
        single = subject.network.float()(graph.to(torch.float32))
    if not torch.allclose(single.double(), exact, rtol=1e-4, atol=1e-4):
        off = float((single.double() - exact).abs().max().detach())
        raise NetworkError(f"outputs in float32 are off by {off:.2g}", "Avoid differences of large numbers.")


def _knows_no_place(settings: NetworkSettings) -> bool:
    graph = settings.graph
    return "position" not in settings.inputs and not (isinstance(graph, NearestGraph) and not graph.periodic)


def _is_local(settings: NetworkSettings) -> bool:
    """Tell whether all edges are known before: a later block of ParticleNet may find a particle's own copy nearest."""
    one_block = isinstance(settings, ParticleNetSettings) and len(settings.blocks) == 1
    # Distances to all others tell the box.
    known = isinstance(settings.graph, CutoffGraph) or one_block
    return _knows_no_place(settings) and known and not settings.reads_positions


# By the names that are printed, in this order.
PROPERTIES: dict[str, Property] = {
    "output shape": Property(output_shape),
    "reads the structure": Property(reads_the_structure),
    "reads the species": Property(reads_the_species, lambda settings: bool({"species", "type"} & {*settings.inputs})),
    "permutation of particles": Property(permutation),
    "translation": Property(translation, _knows_no_place),
    "periodic images": Property(periodic_images, _knows_no_place),
    "rotations": Property(rotations, lambda settings: "rotation-invariant" in settings.promises),
    "continuity at the cutoff": Property(
        continuity,
        lambda settings: "continuous" in settings.promises and isinstance(settings.graph, CutoffGraph),
    ),
    "two sizes in one batch": Property(two_sizes_in_one_batch),
    "neither box nor size": Property(neither_box_nor_size, _is_local),
    "isolated particles": Property(isolated_particles),
    "coincident features": Property(
        coincident_particles, lambda settings: not any(name.endswith("energy") for name in settings.inputs)
    ),
    "every weight is trained": Property(every_weight_is_trained),
    "gradients": Property(gradients),
    "determinism": Property(determinism),
    "state_dict round trip": Property(state_round_trip),
    "single precision": Property(single_precision),
}
