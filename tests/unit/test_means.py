"""Samples of which only means over draws are known: what they hold, what is refused, and what is said of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.arrays import ISOCONFIGURATIONAL, IntArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.folder import data_hash, refuse_bare
from glassformer.dataset.labels import log_mean, particle_labels, pearson_ceilings, propensity_draws
from glassformer.dataset.sample import Ensemble, Sample, read_sample, write_sample
from glassformer.dataset.sample_checks import ONLY_DRAWS_GIVE
from glassformer.dataset.splits import draws_of
from glassformer.dataset.summary import summarise
from glassformer.train.prediction import answers_of
from glassformer.train.target import Target
from tests.conftest import edited, synthetic_sample
from tests.unit.test_report_words import predictions, report, settings

TIME = np.array([1.0])


def of_means(index: int = 0, **changes: object) -> Sample:
    """A sample as an import makes it of mean propensities."""
    sample = synthetic_sample(index)
    ensemble = sample.dynamics
    means = Ensemble(
        times=ensemble.particle_times,
        particle_times=ensemble.particle_times,
        displacement_mean=ensemble.displacement_mean,
        seeds=np.full(sample.draws, -1),
    )
    facts = sample.facts.model_copy(update=dict.fromkeys(ONLY_DRAWS_GIVE) | {"source": "a paper"})
    return replace(sample, ensemble=replace(means, **changes), facts=facts)


def test_they_are_written_and_read(tmp_path: Path) -> None:
    for sample in (of_means(), of_means(seeds=None)):
        write_sample(tmp_path / "a.h5", sample)
        found = read_sample(tmp_path / "a.h5")
        assert found.draws == sample.draws
        for spec in ISOCONFIGURATIONAL:
            np.testing.assert_equal(getattr(found.dynamics, spec.name), getattr(sample.dynamics, spec.name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda full, means: {"msd": full.msd[:, [1]]}, "the array 'self_scattering' is missing"),
        (lambda full, means: {"overlap": full.overlap[:, [1]]}, "the array 'msd' is missing"),
        (lambda full, means: {"displacements": full.displacements}, "the array 'msd' is missing"),
        (lambda full, means: {"displacement_mean": -full.displacement_mean}, "a negative displacement"),
        (lambda full, means: {"displacement_mean": 100 * full.displacement_mean}, "3.2 times those of free flight"),
        (
            lambda full, means: {"displacement_sq_mean": full.displacement_mean**2 / 2},
            "a mean squared displacement below the square of the mean",
        ),
        (
            lambda full, means: {"particle_times": np.zeros(0), "displacement_mean": full.displacement_mean[:0]},
            "mean propensities without times",
        ),
        (lambda full, means: {"displacement_mean": full.displacement_mean[:, :50]}, "propensities of 50 particles"),
        (lambda full, means: {"seeds": np.zeros(0, np.int64)}, "got 0 draws"),
    ],
)
def test_what_cannot_be_is_refused(
    changes: Callable[[Ensemble, Ensemble], dict[str, object]], message: str, tmp_path: Path
) -> None:
    sample = of_means()
    broken = of_means(**changes(synthetic_sample().dynamics, sample.dynamics))
    with pytest.raises(DatasetError, match=message):
        write_sample(tmp_path / "a.h5", broken)


def test_a_simulated_sample_has_its_draws(tmp_path: Path) -> None:
    """Only what was imported may lack them."""
    sample = of_means()
    with pytest.raises(DatasetError, match=r"attribute time_step: missing|the array 'seeds' is missing|'msd' is miss"):
        write_sample(tmp_path / "a.h5", replace(sample, facts=synthetic_sample().facts))
    write_sample(tmp_path / "a.h5", synthetic_sample())
    with edited(tmp_path / "a.h5") as file:
        del file["isoconfigurational/msd"]
    with pytest.raises(DatasetError, match="the array 'msd' is missing"):
        read_sample(tmp_path / "a.h5")


def test_what_is_known_of_them() -> None:
    sample = of_means()
    refuse_bare([sample])
    np.testing.assert_array_equal(
        particle_labels(sample, TIME, "propensity")[:, 0], sample.dynamics.displacement_mean[0]
    )
    of_b = sample.configuration.species == 1
    mean = sample.dynamics.displacement_mean[0, of_b].astype(float).mean()
    np.testing.assert_allclose(propensity_draws(sample, TIME, 1), [[mean]])
    np.testing.assert_allclose(log_mean(sample, TIME, "propensity", 1), [np.log(mean)])
    assert np.isnan(pearson_ceilings(sample, TIME, "propensity")).all()
    with_squares = of_means(displacement_sq_mean=synthetic_sample().dynamics.displacement_sq_mean)
    assert np.isfinite(pearson_ceilings(with_squares, TIME, "propensity")).all()
    assert np.isnan(pearson_ceilings(replace(with_squares, ensemble=replace(with_squares.dynamics, seeds=None)), TIME,
                                     "propensity")).all()  # fmt: skip
    assert data_hash([sample]) != data_hash([with_squares])
    (row,) = summarise([sample, of_means(1)])
    assert (row.means, row.draws, row.bare, row.last_time) == (2, 3, 0, 1.0)
    assert np.isnan(row.tau_alpha)


@pytest.mark.parametrize("ask", [
    lambda sample: log_mean(sample, TIME, "squared-displacement", 0),
    lambda sample: particle_labels(sample, TIME, "squared-displacement"),
    lambda sample: draws_of([of_means(seeds=None)]),
    lambda sample: answers_of(target("squared-displacement"), [sample]),
])  # fmt: skip
def test_what_is_not_known_is_one_clear_error(ask: Callable[[Sample], object]) -> None:
    with pytest.raises(DatasetError, match=r"does not hold '\w+', the .*: only mean propensities were imported"):
        ask(of_means())


def target(quantity: str) -> Target:
    return Target(quantity, (0,), ("A", "B"), TIME, True, True, False)  # type: ignore[arg-type]


def test_answers_of_means_draws_and_bare_structures_together() -> None:
    full = synthetic_sample(2)
    samples = [of_means(), full, synthetic_sample(1).without_draws()]
    found = answers_of(target("propensity"), samples)
    assert np.isnan(found["msd_draws"][[0, 2]]).all()
    np.testing.assert_array_equal(found["msd_draws"][1], full.dynamics.msd[:, [1], 0])
    assert np.isfinite(found["propensity_draws"]).any((1, 2)).tolist() == [True, True, False]
    labels = found["particle_label"].reshape(3, -1)
    np.testing.assert_array_equal(labels[0], samples[0].dynamics.displacement_mean[0])
    assert np.isnan(labels[2]).all()
    assert np.isfinite(found["particle_ceiling"]).any((1, 2)).tolist() == [False, True, False]


@pytest.mark.long
@pytest.mark.parametrize(("seeds", "number"), [(np.full(3, -1), "3 random draws"), (None, "an unknown number of")])
def test_a_report_leaves_out_the_curves_and_says_so(seeds: IntArray | None, number: str, tmp_path: Path) -> None:
    samples = [of_means(index, seeds=seeds) for index in range(4)]
    targets = {"times": [1.0], "quantity": "propensity", "species": "both"}
    run = settings(targets=targets, network={"head": "particle"})
    # The labels are those of the draws, as an import takes them; nothing else of the draws is known.
    made = predictions([synthetic_sample(index) for index in range(4)], run)
    unknown = {name: np.full_like(getattr(made, name), np.nan) for name in ("msd_draws", "particle_ceiling")}
    made = replace(made, **unknown)
    text = report(tmp_path, samples, run, made)
    assert f"at one state point, each followed along {number}" in text
    assert "The MSD and F s of these configurations are not known: the dataset holds only the mean displacement" in text
    assert "Particle by particle" in text
    assert "Mean squared displacement" not in text
    figures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    assert figures == {"predictions", "training", "particles-A", "particles-B"}
    assert "source a paper; licence: not stated" in text
    assert "None" not in text


def test_a_report_draws_the_curves_of_those_that_have_them(tmp_path: Path) -> None:
    samples = [*(of_means(index) for index in range(2)), synthetic_sample(2), synthetic_sample(3)]
    run = settings(targets={"times": [1.0], "quantity": "propensity"}, network={"head": "particle"})
    made = predictions([synthetic_sample(index) for index in range(4)], run)
    text = report(tmp_path, samples, run, made)
    assert "The MSD and F s of 2 of the 4 configurations are not known" in text
    assert "Mean squared displacement of A (solid) and B (dashed) particles." in text
