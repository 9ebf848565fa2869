"""Configurations at the end of draws, each with its draw run backwards: further structures with propensities.

Newton's equations are reversible and the velocities of an equilibrium configuration do not depend on its positions,
so in equilibrium a draw from r(0) to r(t), run backwards, is a valid draw from r(t): its displacements are
r(0) - r(t). One draw is a noisy label, and no simulation is needed.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.core.files import refuse_broken_link
from glassformer.core.layout import SAMPLE_SUFFIX
from glassformer.core.progress import Progress
from glassformer.core.runs import exclusive
from glassformer.core.words import counted
from glassformer.dataset.facts import END_OF_DRAW, MOST_NOTE
from glassformer.dataset.folder import read_dataset, refuse_ends, refuse_unequilibrated
from glassformer.dataset.imported import ensemble_of
from glassformer.dataset.sample import Sample, write_sample
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration


def end_of_draw(sample: Sample, draw: int) -> Sample:
    """Return the configuration at the end of draw number `draw` of `sample`, at its last particle time, with that draw.

    Raises `DatasetError` if the sample holds no displacement vectors.
    """
    displacements = sample.observed("displacements")
    configuration = sample.configuration
    moved = np.asarray(displacements[draw, -1], np.float64)
    end = Configuration(
        wrap(configuration.positions + moved, configuration.box), configuration.species, configuration.box
    )
    ensemble = ensemble_of(
        -moved[None, None], end.species, sample.mixture, sample.dynamics.particle_times[-1:], np.array([-1])
    )
    bare = sample.without_draws()
    before = "" if sample.facts.source is None else f"{sample.facts.source}; "
    source = f"{before}end of draw {draw} of {sample.identifier}"[-MOST_NOTE:]
    facts = bare.facts.model_copy(
        update={
            "index": None,
            "seed": None,
            "repeated_draws": None,
            "start": END_OF_DRAW + configuration.fingerprint,
            "source": source,
        }
    )
    return replace(bare, configuration=end, ensemble=ensemble, facts=facts, equilibration=None, name=None, cage=None)


def write_ends(dataset: Path, out: Path, draws: int, progress: Progress) -> tuple[int, int]:
    """Write the ends of the first `draws` draws of every sample of `dataset` to the dataset `out`.

    Returns how many existed already, and how many were written. Equilibrium is assumed of imported samples, which do
    not say. Raises `DatasetError`, before anything is written, for samples without displacement vectors or with fewer
    draws, out of equilibrium, or ends themselves; `StorageError`.
    """
    if os.path.realpath(out) == os.path.realpath(dataset):
        raise DatasetError(f"{out} is the dataset itself", "Write the ends to a dataset of their own: --out ENDS.")
    samples = [sample for sample in read_dataset(dataset) if sample.ensemble is not None]
    _check(dataset, samples, draws)
    with exclusive(out):
        progress.start("ends", draws * len(samples), "configurations")
        existed = written = 0
        for sample in samples:
            for draw in range(draws):
                # Samples of several datasets may have the same name.
                name = (
                    f"{Path(sample.identifier).name}-{sample.configuration.fingerprint[:8]}-d{draw:02d}{SAMPLE_SUFFIX}"
                )
                path = out / sample.facts.state_point / name
                refuse_broken_link(path)
                if path.exists():
                    existed += 1
                else:
                    write_sample(path, end_of_draw(sample, draw))
                    written += 1
                progress.advance(1)
    return existed, written


def _check(dataset: Path, samples: Sequence[Sample], draws: int) -> None:
    if not samples:
        raise DatasetError(f"{dataset} has no samples with draws", "Give one that has: glassformer info DATASET.")
    refuse_ends(samples)
    refuse_unequilibrated(samples)
    for sample in samples:
        sample.observed("displacements")
        if sample.draws < draws:
            raise DatasetError(
                f"{sample.identifier} has {counted(sample.draws, 'draw')}; got {draws} to take", "Take fewer: --draws."
            )
