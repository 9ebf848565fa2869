"""The learning rate, when to stop, what to keep: functions of what has been done, so a resumed run restores nothing."""

import math
from collections.abc import Sequence

from glassformer.core.run import Training


def learning_rate(settings: Training, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of optimiser step number `step`, counted from 0.

    'step': `late_learning_rate` from `late_from_epoch` on. 'cosine', with W steps of warm-up and S steps in all:
    peak (s + 1) / W while s < W; then, with x = (s - W) / (S - 1 - W), late + (peak - late) (1 + cos(pi x)) / 2.
    """
    peak, late = settings.learning_rate, settings.late_learning_rate
    if settings.schedule == "step":
        return late if step >= settings.late_from_epoch * steps_per_epoch else peak
    warmup, steps = settings.warmup_epochs * steps_per_epoch, settings.epochs * steps_per_epoch
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(steps - 1 - warmup, 1)
    return late + (peak - late) * (1 + math.cos(math.pi * done)) / 2


def finished(settings: Training, errors: Sequence[float]) -> bool:
    """Tell from the validation errors of all epochs so far whether training is at its end."""
    if len(errors) >= settings.epochs:
        return True
    if not settings.early_stopping or not errors:
        return False
    return len(errors) - 1 - errors.index(min(errors)) >= settings.early_stopping


def kept_epoch(settings: Training, errors: Sequence[float]) -> int:
    """Return whose weights are kept after epochs with these validation errors: the best so far, or the last."""
    return len(errors) - 1 if settings.keep == "last" else errors.index(min(errors))
