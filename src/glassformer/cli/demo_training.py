"""The demo's third act: two networks, each trained by a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from glassformer.cli.tables import not_in_equilibrium
from glassformer.core.layout import STRUCTURE_AWARE, OutFolder
from glassformer.core.progress import Part, Progress
from glassformer.core.run import Run
from glassformer.dataset.folder import read_dataset
from glassformer.train.processes import run_together
from glassformer.train.training import train_run


@dataclass(frozen=True)
class Order:
    """What a process needs: runs with the folders that they are trained into, the data, and threads."""

    runs: tuple[tuple[Run, Path], ...]
    data: Path
    threads: int


def train_networks(first: Run, second: Run, out: Path, workers: int, stages: Progress) -> None:
    """Train `first` into the training folder of `out`, and `second`, the structure-aware network, beside it.

    On two cores side by side. Raises as `train_run` does.
    """
    files = OutFolder(out)
    samples = read_dataset(files.data)
    ageing = sum(sample.facts.equilibrated is False for sample in samples)
    if ageing:
        stages.say(not_in_equilibrium(ageing, len(samples)))
    runs = (first, files.training().path), (second, files.training(STRUCTURE_AWARE).path)
    processes = min(workers, len(runs))
    order = Order(runs, files.data, max(1, workers // processes))
    stages.start("train", sum(run.split.folds * run.training.epochs for run, _ in runs), "epochs")
    if processes == 1:
        _train_share(order, stages, 0, 1)
    else:
        run_together(_train_share, order, processes, stages, one_network=False)


def _train_share(order: Order, progress: Progress, rank: int, processes: int) -> None:
    samples = read_dataset(order.data)
    for run, folder in order.runs[rank::processes]:
        part = Part(progress, run.network.name)
        train_run(run, samples, folder, part, order.threads, allow_unequilibrated=True)
