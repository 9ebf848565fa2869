"""Batches in an order that depends on nothing but the seed and the epoch, whole or shared among processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed
from glassformer.graph.batch import GraphBatch, join
from glassformer.train.examples import Example


@dataclass(frozen=True, eq=False)
class Item:
    """An example, its standardised labels (R, K) and which of them count (R,)."""

    example: Example
    label: Tensor
    learned: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """One process's share of a batch of `size` graphs: those at `places` in it.

    `weight`: its share of the loss, such that the mean over processes is the loss of the whole batch; 0 for a process
    that has none of it and stands by with the first.
    """

    graph: GraphBatch
    label: Tensor
    learned: Tensor
    places: tuple[int, ...]
    size: int
    weight: float

    def to(self, device: torch.device) -> "Batch":
        """Return it on another device."""
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in ("graph", "label", "learned")}
        return replace(self, **moved)


def make_items(examples: Sequence[Example], mean: FloatArray, std: FloatArray) -> list[Item]:
    """Return `examples` with labels (label - mean) / std; `mean` and `std` (K,), or (S, K) of each species."""

    def standardised(example: Example) -> FloatArray:
        species = example.species
        label: FloatArray = (example.label - of_species(mean, species)) / of_species(std, species)
        return label

    return [
        Item(example, torch.from_numpy(standardised(example)).float(), torch.from_numpy(example.learned))
        for example in examples
    ]


def of_species(scale: FloatArray, species: NDArray[np.integer[Any]]) -> FloatArray:
    """Return a mean or spread of labels as it holds for particles of these `species` (N,).

    `scale` (K,) is that of all of them, `scale` (S, K) that of each species: then the result is (N, K).
    """
    return scale if scale.ndim == 1 else scale[species]


class EpochShuffle:
    """Batches drawn again every epoch, as a function of seed and epoch: a resumed run sees what any other would.

    Without a seed the order is that of the items. With `labels` (n,), one an item, batches are stratified: each holds
    items from everywhere in the labels' range. A batch norm takes its batch's mean off; the mean over a random batch of
    B scatters by a part 1 / sqrt(B) of what tells one state point from another, and that is noise to the network.
    """

    def __init__(self, size: int, batch_size: int, seed: int | None, labels: FloatArray | None = None) -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.labels = labels

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the indices of the items in each batch of `epoch`."""
        order = list(range(self.size))
        if self.seed is not None:
            random = generator(named_seed(self.seed, "shuffle", epoch))
            if self.labels is not None:
                return _stratified(self.labels, len(self), random)
            order = random.permutation(self.size).tolist()
        return [order[first : first + self.batch_size] for first in range(0, self.size, self.batch_size)]


def _stratified(labels: FloatArray, batches: int, random: np.random.Generator) -> list[list[int]]:
    """Deal items to `batches`: one to each from every stretch of so many neighbours in the order of their labels."""
    order = np.argsort(labels, kind="stable")
    whole, rest = divmod(len(order), batches)
    # What cannot be dealt to all comes from the middle, where it changes the means of the batches least.
    middle = whole // 2 * batches
    ends = np.arange(middle + rest, len(order) + 1, batches)
    dealt: list[list[int]] = [[] for _ in range(batches)]
    for stretch in np.split(order, [*range(batches, middle + 1, batches), *ends]):
        for place, item in zip(random.permutation(batches), random.permutation(stretch).tolist(), strict=False):
            dealt[place].append(item)
    # In no order: several processes take every n-th item of a batch.
    return [random.permutation(batch).tolist() for batch in dealt]


@dataclass(frozen=True, eq=False)
class Loader:
    """The share of process `rank` of `world` in every batch of `items`, in the order of each epoch."""

    items: Sequence[Item]
    order: EpochShuffle
    rank: int
    world: int

    def __len__(self) -> int:
        return len(self.order)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Return this process's share of every batch of `epoch`."""
        for indices in self.order.batches(epoch):
            yield self._share([self.items[index] for index in indices])

    def graphs(self, epoch: int) -> Iterator[GraphBatch]:
        """Return every world-th of the batches that all graphs make; a graph that several draws share comes once."""
        ordered = (self.items[index].example for batch in self.order.batches(epoch) for index in batch)
        once = list({example.key: example for example in ordered}.values())
        # Parts as alike as can be: each counts alike in what is measured over them.
        parts = np.array_split(np.arange(len(once)), -(-len(once) // self.order.batch_size))
        for number in range(self.rank, len(parts), self.world):
            yield join([once[index].graph for index in parts[number]])

    def _share(self, batch: Sequence[Item]) -> Batch:
        places = tuple(range(self.rank, len(batch), self.world))
        mine = [batch[place] for place in places or (0,)]
        learned = torch.cat([item.learned for item in mine])
        everyone = sum(int(item.learned.sum()) for item in batch)
        return Batch(
            join([item.example.graph for item in mine]),
            torch.cat([item.label for item in mine]),
            learned,
            places or (0,),
            len(batch),
            self.world * int(learned.sum()) / everyone if places else 0.0,
        )


def loader(
    items: Sequence[Item],
    batch_size: int,
    shuffle_seed: int | None = None,
    rank: int = 0,
    world: int = 1,
    stratified: bool = False,
) -> Loader:
    """Return one process's share of every batch; with a `shuffle_seed` in a new order every epoch.

    `stratified`: by the means of the items' standardised labels, see `EpochShuffle`.
    """
    labels = np.array([float(item.label[item.learned].mean()) for item in items]) if stratified else None
    return Loader(items, EpochShuffle(len(items), batch_size, shuffle_seed, labels), rank, world)
