"""The network in training: loss, metrics, optimiser and what a checkpoint must hold to resume exactly."""

import math
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import TrainingError
from glassformer.core.run import Run
from glassformer.core.seeds import named_seed
from glassformer.graph.batch import GraphBatch, transform
from glassformer.graph.symmetries import cubic_symmetries
from glassformer.network.registry import build_network


class TrainingModule(pl.LightningModule):
    """Minimises the mean squared error of standardised ln MSD_A; watches the mean absolute error of ln MSD_A itself."""

    def __init__(self, run: Run, seed: int, label_std: FloatArray) -> None:
        super().__init__()
        self.run = run
        self.seed = seed
        self.network = build_network(run.network, len(label_std))
        self.label_std = nn.Buffer(torch.from_numpy(label_std).float(), persistent=False)
        self.symmetries = nn.Buffer(torch.from_numpy(cubic_symmetries()).float(), persistent=False)
        self.history: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []

    def forward(self, graph: GraphBatch) -> Tensor:
        """Return standardised predictions (B, K)."""
        outputs: Tensor = self.network(graph.species, graph.neighbors, graph.vectors, graph.counts)
        return outputs

    def on_train_epoch_start(self) -> None:
        """Begin to collect."""
        self._losses = []

    def training_step(self, batch: tuple[GraphBatch, Tensor], batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        # Dropout and augmentation depend on epoch and batch alone: a resumed run draws what an undisturbed one would.
        torch.manual_seed(named_seed(self.seed, "batch", self.current_epoch, batch_index))
        graph, label = batch
        if self.run.training.symmetry_augmentation:
            chosen = torch.randint(len(self.symmetries), (len(graph.counts),))
            graph = transform(graph, self.symmetries[chosen])
        loss = nn.functional.mse_loss(self(graph), label)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Measure the batch norms' statistics anew, over the whole training set."""
        self._errors = []
        remeasure_batch_norm(self.network, (graph for graph, _ in self.trainer.train_dataloader))  # type: ignore[union-attr]

    def validation_step(self, batch: tuple[GraphBatch, Tensor], batch_index: int) -> None:
        """Collect the absolute errors of ln MSD_A."""
        graph, label = batch
        self._errors.append((self(graph) - label).abs() * self.label_std)

    def on_validation_epoch_end(self) -> None:
        """Give the mean absolute error to the checkpoint that keeps the best."""
        self.log("val_mae", torch.cat(self._errors).mean())

    def on_train_epoch_end(self) -> None:
        """Write one line of history."""
        line = {
            "epoch": self.current_epoch,
            "learning_rate": float(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
            "train_loss": float(torch.stack(self._losses).mean()),
            "val_mae": float(torch.cat(self._errors).mean()),
        }
        if not (math.isfinite(line["train_loss"]) and math.isfinite(line["val_mae"])):
            raise TrainingError(
                f"training diverged in epoch {self.current_epoch + 1}: the loss is no finite number",
                "Lower training.learning_rate in the run file.",
            )
        self.history.append(line)

    def configure_optimizers(self) -> Any:
        """Adam, with one drop of the learning rate."""
        settings = self.run.training
        optimizer = torch.optim.Adam(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        drop = settings.late_learning_rate / settings.learning_rate
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda epoch: drop if epoch >= settings.late_from_epoch else 1.0
        )
        return [optimizer], [schedule]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history with the weights."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = list(checkpoint["history"])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move graphs, which Lightning does not know."""
        graph, label = batch
        return graph.to(device), label.to(device)


@torch.no_grad()
def remeasure_batch_norm(network: nn.Module, graphs: Iterable[GraphBatch]) -> None:
    """Set the statistics of every batch norm in `network` to their mean over `graphs` at the present weights.

    The running averages lag behind the weights by tens of batches. What distinguishes state points is a shift of a few
    percent in the features' means, less than that lag: a network judged by running averages is off by it. Y. Wu and
    J. Johnson, Rethinking "Batch" in BatchNorm, arXiv:2105.07576, section 3.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    device = next(network.parameters()).device
    for graph in graphs:
        moved = graph.to(device)
        network(moved.species, moved.neighbors, moved.vectors, moved.counts)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def standardise(labels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation (K,) of `labels` (C, K); a constant label gets the scale 1."""
    std = labels.std(0)
    return labels.mean(0), np.where(std > 0, std, 1.0)
