"""Configurations at the end of draws, each with its draw run backwards: further structures with propensities.

Newton's equations are reversible and the velocities of an equilibrium configuration do not depend on its positions,
so in equilibrium a draw from r(0) to r(t), run backwards, is a fair draw from r(t): its displacements are
r(0) - r(t). One draw is a noisy label, and no simulation is needed.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.core.layout import SAMPLE_SUFFIX, DatasetFolder
from glassformer.core.progress import Progress
from glassformer.core.words import counted
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.imported import ensemble_of
from glassformer.dataset.sample import END_OF_DRAW, Sample, write_sample
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration


def end_of_draw(sample: Sample, draw: int) -> Sample:
    """Return the configuration at the end of draw number `draw` of `sample`, at its last particle time, with that draw.

    Raises `DatasetError` if the sample holds no displacement vectors, or is not in equilibrium.
    """
    displacements = sample.observed("displacements")
    if sample.facts.equilibrated is False:
        raise DatasetError(
            f"{sample.identifier} is not in equilibrium, so a draw run backwards is no fair draw",
            "Leave it out, or hold it longer: equilibration.most_windows.",
        )
    configuration = sample.configuration
    moved = np.asarray(displacements[draw, -1], np.float64)
    end = Configuration(
        wrap(configuration.positions + moved, configuration.box), configuration.species, configuration.box
    )
    ensemble = ensemble_of(
        -moved[None, None], end.species, sample.mixture, sample.dynamics.particle_times[-1:], np.array([-1])
    )
    bare = sample.without_draws()
    source = f"end of draw {draw} of {sample.identifier}"
    facts = bare.facts.model_copy(
        update={
            "index": None,
            "seed": None,
            "repeated_draws": None,
            "start": END_OF_DRAW + configuration.fingerprint,
            "source": f"{sample.facts.source}; {source}" if sample.facts.source else source,
        }
    )
    return replace(bare, configuration=end, ensemble=ensemble, facts=facts, equilibration=None, name=None, cage=None)


def write_ends(dataset: Path, out: Path, draws: int, progress: Progress) -> tuple[int, int]:
    """Write the ends of the first `draws` draws of every sample of `dataset` to the dataset `out`.

    Returns how many were there, and how many were written. Raises `DatasetError`: see `end_of_draw`; also if there are
    fewer draws, and `StorageError`.
    """
    samples = [sample for sample in read_dataset(dataset) if sample.ensemble is not None]
    if not samples:
        raise DatasetError(f"{dataset} has no samples with draws", "Give one that has: glassformer info DATASET.")
    progress.start("ends", draws * len(samples), "configurations")
    there = made = 0
    for sample in samples:
        if sample.draws < draws:
            raise DatasetError(
                f"{sample.identifier} has {counted(sample.draws, 'draw')}; got {draws} to take", "Take fewer: --draws."
            )
        for draw in range(draws):
            name = f"{Path(sample.identifier).name}-d{draw:02d}{SAMPLE_SUFFIX}"
            path = DatasetFolder(out).path / sample.facts.state_point / name
            if path.exists():
                there += 1
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_sample(path, end_of_draw(sample, draw))
                made += 1
            progress.advance(1)
    return there, made
