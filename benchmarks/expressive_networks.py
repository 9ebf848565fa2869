"""Subgraph aggregation and global attention beside their base encoder: the same folds, the same time, paired.

    python -m benchmarks.expressive_networks DATASET [--head particle] [--seconds 20] [--seeds 5] [--out FOLDER]

DATASET has inherent structures (`glassformer quench`). With a particle head networks learn the propensities of A
particles at the last time and are scored by Pearson's correlation over the A particles of each configuration held out;
with a system head they learn ln MSD_A, scored by the absolute error. Each seed has folds of its own, of which the first
is trained; all networks of a seed share it. How many epochs fit into the time is measured with the first seed and holds
for all. A difference is taken configuration by configuration, averaged over those of a seed; its standard error is that
over seeds. Training is on one thread.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.layout import TrainingFolder
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.dataset.sample import Sample
from glassformer.evaluate.particles import particle_scores
from glassformer.network.registry import build_network
from glassformer.train.training import train_run

INPUTS = ["species", "inherent-energy", "inherent-displacement"]
BASE = {"name": "continuous-filter", "cutoff": 1.7, "radial_functions": 20, "steps": 2, "width": 32}
ATTENTION = {"name": "global-attention", "width": 32, "heads": 4, "layers": 2, "base": BASE}
NETWORKS: dict[str, dict[str, Any]] = {
    "base": BASE,
    "subgraphs": {"name": "subgraphs", "radius": 1.5, "bag": 0.5, "base": BASE},
    "global attention": ATTENTION | {"distance_bias": True},
}
TRAINING = {
    "epochs": 60,
    "batch_size": 1,
    "optimizer": "adamw",
    "weight_decay": 1e-2,
    "schedule": "cosine",
    "warmup_epochs": 4,
    "learning_rate": 3e-3,
    "late_learning_rate": 3e-5,
    "clip_gradient": 1.0,
    "augmentation": "none",
    "keep": "last",
}


@dataclass(frozen=True)
class Row:
    """A network: parameters, epochs that fitted, mean score, and its score less the base's with standard error."""

    network: str
    parameters: int
    epochs: int
    seconds_per_epoch: float
    score: float
    difference: float
    error: float
    seeds: int


def run_of(network: str, head: str, seed: int, seconds: float) -> Run:
    """Return the run of one network and seed."""
    particle = head == "particle"
    targets = {"times": ["last"], "scale": "linear" if particle else "log"}
    values = {
        "seed": seed,
        "targets": targets | ({"quantity": "propensity"} if particle else {}),
        "split": {"folds": 4, "trained_folds": 1},
        "network": NETWORKS[network] | {"inputs": INPUTS, "head": head, "fully_connected": [32], "dropout": 0.0},
        "training": TRAINING | {"seconds": seconds},
    }
    return check_settings(values, Run, network)


def scores(predictions: Predictions) -> FloatArray:
    """Return the score of every configuration: Pearson's correlation of A particles, or |error| of ln MSD_A."""
    if predictions.particle_prediction is not None:
        rows = range(len(predictions.configurations))
        return np.array([particle_scores(predictions, [row], 0)["A"].pcc_mean for row in rows])
    errors: FloatArray = np.abs(predictions.prediction[:, 0] - predictions.label[:, 0])
    return errors


def compare(samples: Sequence[Sample], head: str, seconds: float, seeds: int, out: Path) -> list[Row]:
    """Train every network with every seed, or read what `out` holds; return a row a network."""
    found: dict[str, list[FloatArray]] = {name: [] for name in NETWORKS}
    budgets: dict[str, dict[str, Any]] = {}
    for seed in range(seeds):
        for name in NETWORKS:
            run = run_of(name, head, seed, seconds)
            if seed:
                run = run.model_copy(update={"training": run.training.within(budgets[name]["epochs"])})
            folder = out / head / name.replace(" ", "-") / f"seed-{seed}"
            train_run(run, samples, folder, Silent(), 1, allow_unequilibrated=True)
            found[name].append(scores(read_predictions(TrainingFolder(folder).predictions)))
            if not seed:
                budgets[name] = json.loads(TrainingFolder(folder).budget.read_text())
    rows = []
    for name in NETWORKS:
        network = build_network(run_of(name, head, 0, seconds).network, 1)
        each = np.array([(one - base).mean() for one, base in zip(found[name], found["base"], strict=True)])
        rows.append(
            Row(
                network=name,
                parameters=sum(weight.numel() for weight in network.parameters()),
                epochs=budgets[name]["epochs"],
                seconds_per_epoch=budgets[name]["seconds_per_epoch"],
                score=float(np.mean([one.mean() for one in found[name]])),
                difference=float(each.mean()),
                error=float(each.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else float("nan"),
                seeds=seeds,
            )
        )
    return rows


def main() -> None:
    """Print the table, or all numbers as JSON."""
    parser = argparse.ArgumentParser(description="Subgraphs and attention beside their base encoder, in equal time.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--head", choices=["particle", "system"], default="particle")
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time to train one network in")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("expressive-networks"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    rows = compare(read_dataset(given.dataset), given.head, given.seconds, given.seeds, given.out)
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print("| network | parameters | epochs | s per epoch | score | less the base's |\n|---|---|---|---|---|---|")
    for row in rows:
        numbers = f"{row.parameters:,} | {row.epochs} | {row.seconds_per_epoch:.2f} | {row.score:.3f}"
        print(f"| {row.network} | {numbers} | {row.difference:+.3f} ± {row.error:.3f} |")


if __name__ == "__main__":
    main()
