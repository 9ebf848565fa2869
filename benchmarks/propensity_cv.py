"""Which particles will move: baselines cross-validated on the ten BOTAN configurations (T = 0.44, rho = 1.2, t = 4120).

    GLASSFORMER_DATA=... python -m benchmarks.propensity_cv [--json] [--cache FOLDER] [--threads 1] [--rows TEXT...]

Two configurations are left out at a time. Every row of the table learns from the other eight, regularisation and
standardisation included, and reads static structure only. Differences are paired by configuration, to the row before.
Inherent structures are kept in the cache; the first run takes minutes to find them, later ones about two.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.baselines.perceptron import fit_perceptron
from glassformer.baselines.propensity import SCALES, LabelledParticles
from glassformer.baselines.softness import fit_softness
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.botan import read_botan
from glassformer.evaluate.propensity_baselines import BASELINES, Baseline, cross_validate
from glassformer.evaluate.propensity_scores import correlation, paired, score_propensities
from glassformer.observables.descriptors import DescriptorSettings, collect_descriptors
from glassformer.observables.propensity import propensity, split_half_ceiling
from glassformer.physics.inherent import inherent_structure

LEFT_OUT = 2


def quantity(name: str) -> str:
    """Return the quantity in a descriptor's name."""
    return name.split("@")[0].split(".")[1]


def generation(name: str) -> int:
    """Return how often a descriptor was averaged."""
    return int(name.partition("@")[2] or 0)


def of(*quantities: str, generations: int = 99) -> Callable[[str], bool]:
    """Return whether a name holds one of `quantities`, averaged at most `generations` times."""
    return lambda name: quantity(name) in quantities and generation(name) <= generations


FINE = ("radial", "bond_order")
LOCAL = ("energy", "energy_variance", "virial", "curvature", "displacement")
ALL = (*LOCAL, "harmonic", "shell", *FINE)
ROWS = (
    *BASELINES[:-1],
    Baseline("softness: radial and bond order, not averaged", of(*FINE, generations=0), {"method": fit_softness}),
    Baseline("ridge: radial, not averaged", of("radial", generations=0), {"scales": {}}),
    Baseline("ridge: radial and bond order, 2 generations", of(*FINE), {"scales": {}}),
    Baseline("the same of ln propensity", of(*FINE), {"scales": {}, "transform": "log"}),
    Baseline("ridge: energies, displacements, 2 generations", of(*LOCAL, generations=2)),
    Baseline("ridge: the same, 8 generations", of(*LOCAL)),
    Baseline("+ harmonic amplitudes", of(*LOCAL, "harmonic")),
    Baseline("+ wide shells", of(*LOCAL, "harmonic", "shell")),
    Baseline("+ radial and bond order, scale 1", of(*ALL), {"scales": {"shell": 0.25}}),
    Baseline("+ radial and bond order, scale 0.07", of(*ALL), {"scales": SCALES}),
    Baseline("small perceptron on the same", of(*ALL), {"method": fit_perceptron}),
)


def load(source: Path, cache: Path, settings: DescriptorSettings, threads: int) -> tuple[LabelledParticles, float]:
    """Return descriptors and labels of one configuration, and the ceiling of A; write what its quench finds."""
    contents = read_botan(source)
    assert contents.draws is not None
    configuration, displacements = contents.first, np.asarray(contents.draws.displacements[:, 0], np.float64)
    mixture, kept = shipped("kob-andersen"), cache / source.name
    if not kept.exists():
        found = inherent_structure(configuration, mixture)
        unfinished = kept.with_suffix(".part.npz")
        np.savez(unfinished, inherent_positions=found.positions, energy=found.energy)
        unfinished.rename(kept)
    with np.load(kept) as file:
        configuration = replace(configuration, inherent_positions=file["inherent_positions"])
    table = collect_descriptors(configuration, mixture, settings, threads)
    labelled = LabelledParticles(table, configuration.species, propensity(displacements)[:, None])
    return labelled, split_half_ceiling(displacements, configuration.species)


def of_a(item: LabelledParticles) -> LabelledParticles:
    """Return its particles of species 0 alone: they are what is scored."""
    rows = item.species == 0
    table = replace(item.table, values=item.table.values[rows])
    return LabelledParticles(table, item.species[rows], item.propensity[rows])


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path("botan-inherent"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="only rows whose names hold one of these")
    parser.add_argument("--harmonic", type=float, nargs="*", default=list(DescriptorSettings().harmonic))
    arguments = parser.parse_args()
    sources = sorted((Path(os.environ.get("GLASSFORMER_DATA", ".")) / "botan").glob("*.npz"))
    if len(sources) <= LEFT_OUT:
        parser.error("too few BOTAN files: set GLASSFORMER_DATA to the folder that holds botan/*.npz")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    settings = DescriptorSettings(harmonic=tuple(arguments.harmonic))
    began = time.process_time()
    loaded = [load(source, arguments.cache, settings, arguments.threads) for source in sources]
    seconds = (time.process_time() - began) / len(sources)
    items, ceilings = [of_a(item) for item, _ in loaded], [ceiling for _, ceiling in loaded]
    labels = [item.propensity[:, 0] for item in items]
    result: dict[str, Any] = {"benchmark": "propensity-cv", "cpu_seconds_per_configuration": seconds, "rows": []}
    before = np.zeros(len(items))
    order = generator(named_seed(0, "folds")).permutation(len(items)).tolist()
    groups = [order[start : start + LEFT_OUT] for start in range(0, len(order), LEFT_OUT)]
    for row in ROWS:
        if arguments.rows and not any(text in row.name for text in arguments.rows):
            continue
        predictions = [found[:, 0] for found in cross_validate(row, items, groups)]
        each = np.array([correlation(p, y) for p, y in zip(predictions, labels, strict=True)])
        difference, error = paired(each, before)
        score = score_propensities(predictions, labels, ceilings).as_json()
        result["rows"].append({"name": row.name, "difference": difference, "difference_error": error} | score)
        print(
            f"{row.name:45s} {score['pcc_mean']:.4f} +- {score['pcc_error']:.4f}"
            f"  difference {difference:+.4f} +- {error:.4f}  pooled {score['pcc_pooled']:.3f}"
            f"  Spearman {score['spearman']:.3f}  of the ceiling {score['ratio']:.3f}",
            file=sys.stderr if arguments.json else sys.stdout,
            flush=True,
        )
        before = each
    if arguments.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
