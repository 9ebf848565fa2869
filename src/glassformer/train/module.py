"""The network in training: loss, metrics, optimiser and what a checkpoint must hold to resume exactly."""

import math
from collections.abc import Callable
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, distributed, nn

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import TrainingError
from glassformer.core.run import Run
from glassformer.core.seeds import generator, named_seed
from glassformer.graph.batch import GraphBatch, transform
from glassformer.graph.symmetries import cubic_rotations, cubic_symmetries, random_rotations
from glassformer.network.registry import build_network
from glassformer.train.batch_norm import remeasure_batch_norm, set_norms_frozen
from glassformer.train.data import Batch, Loader, whole_graphs
from glassformer.train.schedule import learning_rate

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}


class TrainingModule(pl.LightningModule):
    """Minimises the loss of standardised labels; watches the mean absolute error of the labels themselves.

    `identity`: what the run and its fold are known by; a checkpoint of another is refused. `baseline_mae`: what the
    state points' means make of the validation set.
    """

    def __init__(
        self, run: Run, seed: int, label_std: FloatArray, identity: str = "", baseline_mae: float = math.nan
    ) -> None:
        super().__init__()
        self.run = run
        self.seed = seed
        self.identity = identity
        self.baseline_mae = baseline_mae
        self.network = build_network(run.network, len(label_std))
        self.label_std = nn.Buffer(torch.from_numpy(label_std).float(), persistent=False)
        self.history: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []

    def forward(self, graph: GraphBatch) -> Tensor:
        """Return standardised predictions: a row per configuration, or per particle."""
        outputs: Tensor = self.network(graph)
        return outputs

    def on_train_epoch_start(self) -> None:
        """Begin to collect."""
        self._losses = []

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Set the learning rate of this step, and which statistics the norms use."""
        # The statistics are those that validation measured after the epoch before; its checkpoint holds them.
        frozen = 0 < self.run.training.frozen_norms_from_epoch <= self.current_epoch
        set_norms_frozen(self.network, frozen)
        rate = learning_rate(self.run.training, self.global_step, int(self.trainer.num_training_batches))
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = rate

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return this process's share of the loss of one batch."""
        # Dropout and augmentation depend on epoch and batch alone: a resumed run draws what an undisturbed one would.
        process = (self.global_rank,) if self.global_rank else ()
        torch.manual_seed(named_seed(self.seed, "batch", self.current_epoch, batch_index, *process))
        loss = self.loss(batch, self._augmentation(batch, batch_index)) * batch.weight
        self._losses.append(loss.detach())
        return loss

    def loss(self, batch: Batch, matrices: Tensor | None = None) -> Tensor:
        """Return the mean loss of the labels that count, the graphs turned by `matrices`."""
        graph = batch.graph if matrices is None else transform(batch.graph, matrices)
        reduced = self.run.training.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            outputs = self(graph)
        return LOSSES[self.run.training.loss](outputs.float()[batch.learned], batch.label[batch.learned])

    def _augmentation(self, batch: Batch, batch_index: int) -> Tensor | None:
        """Return a matrix for every graph: those of the whole batch are drawn, so that sharing it changes none."""
        kind = self.run.training.augmentation
        if kind == "none":
            return None
        random = generator(named_seed(self.seed, "augmentation", self.current_epoch, batch_index))
        if kind == "rotations":
            matrices = random_rotations(random, batch.size)
        else:
            all_of_them = cubic_symmetries() if kind == "symmetries" else cubic_rotations()
            matrices = all_of_them[random.integers(len(all_of_them), size=batch.size)]
        return torch.from_numpy(matrices[list(batch.places)]).float().to(batch.label.device)

    def on_validation_epoch_start(self) -> None:
        """Measure the batch norms' statistics again, over the whole training set."""
        self._errors = []
        remeasure_batch_norm(self.network, whole_graphs(cast(Loader, self.trainer.train_dataloader)))

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the absolute errors of the labels: their sum and number."""
        if batch.weight:
            errors = ((self(batch.graph) - batch.label)[batch.learned].abs() * self.label_std).double()
            self._errors.append(torch.stack([errors.sum(), errors.new_tensor(errors.numel())]))

    def on_train_epoch_end(self) -> None:
        """Write one line of history."""
        losses, here = torch.stack(self._losses).double(), torch.zeros(2, dtype=torch.float64, device=self.device)
        loss, processes = _summed(torch.stack([losses.mean(), losses.new_ones(())]))
        error, number = _summed(torch.stack([here, *self._errors]).sum(0))
        line = {
            "epoch": self.current_epoch,
            "learning_rate": float(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
            "train_loss": float(loss / processes),
            "val_mae": float(error / number),
            "val_mae_baseline": self.baseline_mae,
        }
        if not (math.isfinite(line["train_loss"]) and math.isfinite(line["val_mae"])):
            raise TrainingError(
                f"training diverged in epoch {self.current_epoch + 1}: the loss is no finite number",
                "Lower training.learning_rate in the run file.",
            )
        self.history.append(line)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, or AdamW with its own weight decay; the learning rate is set at every step."""
        settings = self.run.training
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        return kind(self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history and the run with the weights."""
        checkpoint |= {
            "history": self.history,
            "identity": self.identity,
            "run": self.run.model_dump(mode="json"),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = list(checkpoint["history"])

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move graphs, which Lightning does not know."""
        return batch.to(device)


def _summed(values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
    return values
