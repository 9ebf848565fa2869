"""Samples that do not belong together, and structures that are there twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.core.mixture import MixtureSettings, shipped_mixture
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.dataset.consistency import check_state_points
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.dataset.starts import read_starts
from glassformer.dataset.summary import summarise
from glassformer.evaluate.analysis import overlap
from glassformer.physics.box import wrap
from glassformer.train.training import train_run
from tests.conftest import random_mixture, synthetic_sample


def with_facts(sample: Sample, **changes: object) -> Sample:
    return replace(sample, facts=sample.facts.model_copy(update=changes))


def resized(index: int, particles: int) -> Sample:
    return replace(
        synthetic_sample(index, particles=particles), configuration=random_mixture(particles, seed=index + 50)
    )


def stretched(index: int) -> Sample:
    sample = synthetic_sample(index)
    c = sample.configuration
    factors = np.array([2.0, 1, 0.5])
    return replace(sample, configuration=replace(c, positions=c.positions * factors, box=c.box * factors))


def denser(index: int) -> Sample:
    sample = synthetic_sample(index)
    c = sample.configuration
    return replace(sample, configuration=replace(c, positions=c.positions * 0.8, box=c.box * 0.8))


SCALED = shipped_mixture("kob-andersen")


def at_wave_numbers(*wave_numbers: float) -> MixtureSettings:
    return shipped_mixture("kob-andersen-uniform").model_copy(update={"wave_numbers": wave_numbers})


MIXED = {
    "densities 1.2 and 2.344": lambda: denser(1),
    "particles 100 and 200": lambda: resized(1, 200),
    "temperature 0.5 and 0.6": lambda: with_facts(synthetic_sample(1), temperature=0.6),
    "pressure 1.55 and 1.6": lambda: with_facts(synthetic_sample(1), pressure=1.6),
    "mixture uniform and scaled": lambda: with_facts(synthetic_sample(1), mixture=SCALED),
    "wave numbers 7.25, 5.5 and 7, 5.5": lambda: with_facts(synthetic_sample(1), mixture=at_wave_numbers(7.0, 5.5)),
    "wave numbers 7.25, 5.5 and 7.25, 7.2": lambda: with_facts(synthetic_sample(1), mixture=at_wave_numbers(7.25, 7.2)),
    "box, in units of its shortest edge, 1 x 1 x 1 and 4 x 2 x 1": lambda: stretched(1),
}


@pytest.mark.parametrize("message", MIXED)
def test_samples_that_differ_in_what_defines_a_state_point_are_refused(message: str, tmp_path: Path) -> None:
    samples = [synthetic_sample(0), MIXED[message]()]
    for use in (summarise, check_state_points):
        with pytest.raises(DatasetError, match=rf"c0000 and .*c0001 have the same label .*: {message}\n"):
            use(samples)
    for sample in samples:
        write_sample(tmp_path / sample.facts.state_point / f"c{sample.facts.index:04d}.h5", sample)
    # Another temperature or pressure contradicts the label, too, which is found first.
    with pytest.raises(
        DatasetError, match=rf"{message}|got (temperature 0.6|pressure 1.6) under the label T0.50_P1.55"
    ):
        read_dataset(tmp_path)


def test_other_labels_may_differ_in_anything() -> None:
    check_state_points([synthetic_sample(0), with_facts(resized(1, 200), state_point="other", mixture=SCALED)])


def test_each_samples_own_number_of_particles_enters_chi_4() -> None:
    samples = [synthetic_sample(0), with_facts(resized(1, 200), state_point="other")]
    within = [0.8 * n * s.ensemble.overlap[:, :, 0].var(0, ddof=1) for n, s in zip((100, 200), samples, strict=True)]
    np.testing.assert_allclose(overlap(samples)["chi_4_draws"], np.mean(within, 0), rtol=1e-12)


def copies_of(sample: Sample) -> dict[str, Sample]:
    c = sample.configuration
    order = np.random.default_rng(3).permutation(c.particles)
    changed = {
        "shifted": replace(c, positions=wrap(c.positions + np.array([1.0, 2, 3]), c.box)),
        "renumbered": replace(c, positions=c.positions[order], species=c.species[order]),
        "float32": replace(c, positions=wrap(c.positions.astype(np.float32).astype(np.float64), c.box)),
        "last bit": replace(c, positions=np.nextafter(c.positions, 0)),
        "mirrored": replace(c, positions=wrap(-c.positions, c.box)),
    }
    copies = {name: replace(sample, configuration=one) for name, one in changed.items()}
    e = sample.ensemble
    moved = {name: getattr(e, name)[:, order] for name in ("displacement_mean", "displacement_sq_mean")}
    displacements = None if e.displacements is None else e.displacements[:, :, order]
    renumbered = replace(e, **moved, displacements=displacements)
    return copies | {"renumbered": replace(copies["renumbered"], ensemble=renumbered)}


@pytest.mark.parametrize("kind", ["shifted", "renumbered", "float32", "last bit", "mirrored"])
def test_copies_are_named_and_refused(kind: str, tmp_path: Path, tiny_run: Run) -> None:
    original = synthetic_sample(0)
    copy = with_facts(copies_of(original)[kind], index=1)
    write_sample(tmp_path / "T0.50_P1.55" / "c0000.h5", original)
    write_sample(tmp_path / "T0.50_P1.55" / "c0001.h5", copy)
    with pytest.raises(DatasetError, match=r"c0001.h5 is a copy of .*c0000.h5"):
        read_dataset(tmp_path)
    # Without files, too: copies on both sides of a split are a leak.
    others = [synthetic_sample(index) for index in range(2, 6)]
    with pytest.raises(DatasetError, match=r"c0001 is a copy of .*c0000"):
        train_run(tiny_run, [original, copy, *others], tmp_path / "training", Silent(), 1)
    assert not (tmp_path / "training").exists()


def test_files_of_one_configuration_are_one_start(tmp_path: Path) -> None:
    edge = (200 / 1.2) ** (1 / 3)
    starts = np.random.default_rng(0).uniform(0, edge, (2, 200, 3))
    for number, start in enumerate(starts):
        for time in (5, 6, 7):
            # Each file may have its own rounding and origin.
            shifted = (start + 0.1 * time).astype(np.float32 if time == 6 else np.float64)
            np.savez(
                tmp_path / f"isoconfig_N200T0.44_{number}_tc0{time}.npz",
                types=(np.arange(200) >= 160).astype(int), initial_positions=shifted, positions=shifted[None],
            )  # fmt: skip
    assert len(read_starts(tmp_path)) == 2


def test_campaigns_of_two_seeds_make_one_dataset(tiny_run: Run, tmp_path: Path) -> None:
    for seed in range(2):
        for index in range(4):
            sample = with_facts(synthetic_sample(4 * seed + index), index=index, seed=seed)
            write_sample(tmp_path / "data" / f"seed{seed}" / f"c{index:04d}.h5", sample)
    samples = read_dataset(tmp_path / "data")
    names = [sample.identifier for sample in samples]
    assert names == [f"T0.50_P1.55/seed{seed}-c{index:04d}" for seed in range(2) for index in range(4)]
    predictions = read_predictions(train_run(tiny_run, samples, tmp_path / "training", Silent(), 1))
    assert predictions.configurations == tuple(names)
    assert predictions.fingerprints == tuple(sample.configuration.fingerprint for sample in samples)


def test_two_samples_of_one_name_are_refused_before_training(tiny_run: Run, tmp_path: Path) -> None:
    samples = [with_facts(synthetic_sample(index), index=index % 4) for index in range(8)]
    with pytest.raises(DatasetError, match=r"4 names belong to several configurations, first T0.50_P1.55/c0000"):
        train_run(tiny_run, samples, tmp_path / "training", Silent(), 1)
    assert not (tmp_path / "training").exists()


def test_a_sample_keeps_its_name_in_its_own_folder(tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    assert [sample.identifier for sample in read_dataset(tmp_path / "data")] == [
        f"{point}/c{index:04d}" for point in ("T0.50_P1.55", "T0.56_P0.17") for index in range(4)
    ]
