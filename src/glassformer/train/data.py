"""Graphs and labels, in an order that depends on nothing but the seed and the epoch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed
from glassformer.graph.batch import GraphBatch, join

Item = tuple[GraphBatch, Tensor]


class LabelledGraphs(Dataset[Item]):
    """Graphs, built once, with their standardised labels (C, K)."""

    def __init__(self, graphs: Sequence[GraphBatch], labels: FloatArray) -> None:
        self.graphs = graphs
        self.labels = torch.from_numpy(labels).float()

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, index: int) -> Item:
        return self.graphs[index], self.labels[index]


class EpochShuffle(Sampler[int]):
    """A permutation that is a function of seed and epoch, so that a resumed run sees what an undisturbed one would."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        return iter(generator(named_seed(self.seed, "shuffle", self.epoch)).permutation(self.size).tolist())


def collate(items: list[Item]) -> Item:
    """Join graphs and stack labels."""
    return join([graph for graph, _ in items]), torch.stack([label for _, label in items])


def loader(data: LabelledGraphs, batch_size: int, shuffle_seed: int | None) -> "DataLoader[Item]":
    """Return a loader; with a `shuffle_seed` it shuffles anew every epoch."""
    sampler = None if shuffle_seed is None else EpochShuffle(len(data), shuffle_seed)
    return DataLoader(data, batch_size, sampler=sampler, collate_fn=collate)
