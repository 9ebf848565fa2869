"""Batch norm statistics, measured over the whole training set, and kept from batches."""

from collections.abc import Iterable

import torch
from torch import distributed, nn

from glassformer.graph.batch import GraphBatch


@torch.no_grad()
def remeasure_batch_norm(network: nn.Module, graphs: Iterable[GraphBatch]) -> None:
    """Set the statistics of every batch norm in `network` to their mean over `graphs` at the present weights.

    Leaves it ready to predict. Several processes each measure `graphs` of their own and share what they find. The
    running averages lag behind the weights by tens of batches. What distinguishes state points is a shift of a few
    percent in the features' means, less than that lag: a network judged by running averages is off by it. Y. Wu and
    J. Johnson, Rethinking "Batch" in BatchNorm, arXiv:2105.07576, section 3.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    # Every layer, not the norms alone: a fused one asks itself. But nothing drops out.
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    device = next(network.parameters()).device
    measured = 0
    for graph in graphs:
        network(graph.to(device))
        measured += 1
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    if distributed.is_initialized():
        _share(norms, measured)


def set_norms_frozen(network: nn.Module, frozen: bool) -> None:
    """Make `network` ready to train: with every batch norm's present statistics if `frozen`, else with the batches'.

    With statistics that do not change from batch to batch, what is trained is what predicts, but for what the weights
    change until the statistics are measured again. Y. Wu and J. Johnson, arXiv:2105.07576, section 4.
    """
    network.train()
    for module in network.modules():
        if frozen and isinstance(module, nn.BatchNorm1d):
            module.eval()


def _share(norms: list[nn.BatchNorm1d], measured: int) -> None:
    """Set the statistics to their mean over all batches that any process has `measured`."""
    statistics = [getattr(norm, name) for norm in norms for name in ("running_mean", "running_var")]
    total = torch.cat(
        [values.double() * measured for values in statistics] + [statistics[0].new_tensor([measured]).double()]
    )
    distributed.all_reduce(total)
    means = torch.split(total[:-1] / total[-1], [len(values) for values in statistics])
    for values, mean in zip(statistics, means, strict=True):
        values.copy_(mean)
