"""The network in training: loss, optimiser, one epoch at a time, and what a checkpoint must hold to resume exactly."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import TrainingError
from glassformer.core.run import Training
from glassformer.core.seeds import generator, named_seed
from glassformer.graph.batch import CPU, flat_graphs, transform
from glassformer.graph.symmetries import augmentations
from glassformer.train.batch_norm import remeasure_batch_norm, set_norms_frozen
from glassformer.train.data import Batch, Loader
from glassformer.train.device import products_in
from glassformer.train.schedule import learning_rate

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}


class Learner:
    """Minimises the loss of standardised labels; watches the mean absolute error of the labels themselves.

    `label_std` (K,), or (S, K) of each species: the unit of standardised labels. `baseline_mae`: the mean absolute
    error of the state points' means on the validation set. Of several processes, each has a learner and a `device` of
    its own, and this one is number `rank`.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Training,
        seed: int,
        label_std: FloatArray,
        baseline_mae: float = math.nan,
        rank: int = 0,
        device: torch.device = CPU,
    ) -> None:
        self.device = device
        self.network = network.to(self.device)
        self.settings, self.seed, self.rank = settings, seed, rank
        self.label_std = torch.from_numpy(label_std).float().to(self.device)
        self.baseline_mae = baseline_mae
        self.history: list[dict[str, float]] = []
        # Backward passes through it average the gradients over the processes.
        self._together = DistributedDataParallel(self.network) if distributed.is_initialized() else self.network
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)

    @property
    def errors(self) -> list[float]:
        """The validation error of every epoch so far."""
        return [line["val_mae"] for line in self.history]

    def state(self) -> dict[str, Any]:
        """Return all that another learner needs to continue from here."""
        return {
            "history": self.history,
            "weights": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` of another learner returned."""
        self.history = list(state["history"])
        self.network.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])

    def train_epoch(self, train: Loader, validation: Loader) -> None:
        """Train for one epoch, then measure the batch norms' statistics and the validation error, for the history.

        Raises `TrainingError` if training diverges.
        """
        epoch = len(self.history)
        with products_in(self.settings.precision):
            losses = [
                self._step(batch.to(self.device), epoch, number, len(train))
                for number, batch in enumerate(train.batches(epoch))
            ]
            remeasure_batch_norm(self.network, train.graphs(epoch))
            mean = torch.stack(losses).double().mean()
            loss, processes = _summed(torch.stack([mean, mean.new_ones(())]))
            error, number = _summed(self._validation_errors(validation))
        line = {
            "epoch": epoch,
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "train_loss": float(loss / processes),
            "val_mae": float(error / number),
            "val_mae_baseline": self.baseline_mae,
        }
        if not (math.isfinite(line["train_loss"]) and math.isfinite(line["val_mae"])):
            raise TrainingError(
                f"training diverged in epoch {epoch + 1}: the loss is not a finite number",
                "Lower training.learning_rate in the run file.",
            )
        self.history.append(line)

    def _step(self, batch: Batch, epoch: int, number: int, batches: int) -> Tensor:
        """Return this process's share of the loss of batch `number`, after a step of the optimiser."""
        settings = self.settings
        # The statistics are those that were measured after the epoch before; its checkpoint holds them.
        set_norms_frozen(self.network, 0 < settings.frozen_norms_from_epoch <= epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, epoch * batches + number, batches)
        # Dropout and augmentation depend on epoch and batch alone: a resumed run draws what an undisturbed one would.
        process = (self.rank,) if self.rank else ()
        torch.manual_seed(named_seed(self.seed, "batch", epoch, number, *process))
        loss = self.loss(batch, self._augmentation(batch, epoch, number)) * batch.weight
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.clip_gradient:
            nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_gradient)
        self.optimizer.step()
        return loss.detach()

    def loss(self, batch: Batch, matrices: Tensor | None = None) -> Tensor:
        """Return the mean loss of the labels that count, the graphs turned by `matrices`."""
        graph = batch.graph if matrices is None else transform(batch.graph, matrices)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            outputs = self._together(graph)
        return LOSSES[self.settings.loss](outputs.float()[batch.learned], batch.label[batch.learned])

    def _augmentation(self, batch: Batch, epoch: int, number: int) -> Tensor | None:
        """Return a matrix for every graph: those of the whole batch are drawn, so that sharing it changes none."""
        kind = self.settings.augmentation
        if kind == "none":
            return None

        def drawn(flat: bool) -> Tensor:
            random = generator(named_seed(self.seed, "augmentation", epoch, number))
            matrices = augmentations(kind, flat, random, batch.size)[list(batch.places)]
            return torch.from_numpy(matrices).float().to(batch.label.device)

        return torch.where(flat_graphs(batch.graph)[:, None, None], drawn(flat=True), drawn(flat=False))

    @torch.no_grad()
    def _validation_errors(self, validation: Loader) -> Tensor:
        """Return the sum and the number, (2,), of the absolute errors of this process's share of the labels."""
        self.network.eval()
        total = torch.zeros(2, dtype=torch.float64, device=self.device)
        for batch in (share.to(self.device) for share in validation.batches(0) if share.weight):
            unit = self.label_std if self.label_std.ndim == 1 else self.label_std[batch.graph.species]
            errors = ((self.network(batch.graph) - batch.label).abs() * unit)[batch.learned].double()
            total += torch.stack([errors.sum(), errors.new_tensor(errors.numel())])
        return total


def _summed(values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
    return values
