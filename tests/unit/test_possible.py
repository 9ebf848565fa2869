"""Samples that contradict themselves or what any dynamics can do: each is refused, and none that was simulated."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.dataset.folder import sample_paths
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.sample import Sample, check_sample, read_sample, write_sample
from glassformer.physics.box import wrap
from glassformer.physics.inherent import inherent_structure
from tests.conftest import edited, random_mixture, synthetic_sample, with_msd


def draws(**change: Callable[[Any], Any]) -> Callable[[Sample], Sample]:
    """Return what changes arrays of the ensemble."""
    return lambda sample: replace(
        sample,
        ensemble=replace(
            sample.ensemble, **{name: made(getattr(sample.ensemble, name)) for name, made in change.items()}
        ),
    )


def inherent(change: Callable[[Any], Any]) -> Callable[[Sample], Sample]:
    """Return what gives a sample an inherent structure made from its positions."""
    return lambda sample: replace(
        sample,
        configuration=replace(
            sample.configuration,
            inherent_positions=wrap(change(sample.configuration.positions), sample.configuration.box),
        ),
    )


def one(at: Any, factor: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array[at] *= factor
        return array

    return change


def rising(array: Any) -> Any:
    array = np.full_like(array, 0.9)
    array[:, 0] = 0.2
    return array


def fast(sample: Sample) -> Sample:
    """Fast enough for any F_s."""
    return with_msd(sample, sample.ensemble.msd + 1.0)


REFUSED: dict[str, tuple[str, Callable[[Sample], Sample]]] = {
    "a particle's propensity": ("propensities that are not the means", draws(displacement_mean=one((0, 7), 0.99))),
    "a particle's squared displacement": (
        "squared displacements of particles that are not those of the draws",
        draws(displacement_sq_mean=one((0, 7), 1.01)),
    ),
    "one displacement": ("propensities that are not the means", draws(displacements=one((1, 0, 7), 1.1))),
    "draws exchanged": ("a draw's mean squared displacement", draws(displacements=lambda array: array[::-1].copy())),
    "another unit": (
        "a mean squared displacement that is not that of the particles",
        draws(displacements=lambda _: None, displacement_sq_mean=one(..., 1.001)),
    ),
    "a mean beyond the root mean square": (
        "below the square of the mean",
        draws(displacements=lambda _: None, displacement_mean=one(..., 2.0)),
    ),
    "a huge fourth moment": ("that the mean second does not allow", draws(quartic=one((0, 2), 1e6))),
    "an overflow": ("beyond 10 times that of free flight", draws(msd=one((0, 2), 1e200))),
    "a small F_s": (r"below 1 - k\^2 MSD / 6", draws(self_scattering=one((0, 0), 0.1))),
    "an F_s that rises": (
        "a self scattering function that rises",
        lambda sample: draws(self_scattering=rising)(fast(sample)),
    ),
    "a small overlap": (
        r"an overlap below 1 - MSD / 0.3\^2",
        lambda sample: draws(overlap=one((0, 0), 0.01))(with_msd(sample, 0.5 * sample.ensemble.msd)),
    ),
    "an inherent structure in one place": (
        "99 particles have the position of another",
        inherent(lambda places: 0 * places + 1.0),
    ),
    "another inherent structure": ("belongs to another configuration", inherent(lambda places: places[::-1])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    message, change = REFUSED[name]
    check_sample(synthetic_sample(), "before")
    with pytest.raises(DatasetError, match=f"c0000.h5: .*{message}") as caught:
        write_sample(tmp_path / "c0000.h5", change(synthetic_sample()))
    assert caught.value.remedy
    assert not (tmp_path / "c0000.h5").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau_alpha", -1.0, "attribute tau_alpha: .*got -1; expected a finite number of 0 or more"),
        ("tau_alpha", 0.0, "got tau_alpha = 0 from draws that last until t = 2"),
        ("tau_alpha", 2.1, "got tau_alpha = 2.1 from draws that last until t = 2"),
        ("hold_tau_alpha", np.inf, "attribute hold_tau_alpha: .*got inf"),
        ("equilibration_time", -0.5, "attribute equilibration_time: .*got -0.5"),
        ("equilibration_in_tau_alpha", -np.inf, "attribute equilibration_in_tau_alpha: .*got -inf"),
        ("pressure", 1.6, "got pressure 1.6 under the label T0.50_P1.55"),
    ],
)
def test_facts_that_cannot_be_are_refused(name: str, value: float, message: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        file.attrs[name] = value
    with pytest.raises(DatasetError, match=message):
        read_sample(tmp_path / "c0000.h5")


@pytest.mark.parametrize("name", ["tau_alpha", "hold_tau_alpha", "equilibration_time", "equilibration_in_tau_alpha"])
def test_times_may_be_unknown(name: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        file.attrs[name] = np.nan
    assert np.isnan(getattr(read_sample(tmp_path / "c0000.h5").facts, name))


def test_what_was_simulated_is_accepted(tiny_dataset: Path) -> None:
    for path in sample_paths(tiny_dataset):
        sample = read_sample(path)
        # The times at which particles are followed are among those of the curves.
        assert np.isclose(sample.ensemble.times[:, None], sample.ensemble.particle_times).any(0).all()
        found = inherent_structure(sample.configuration, sample.mixture)
        check_sample(
            replace(sample, configuration=replace(sample.configuration, inherent_positions=found.positions)), "found"
        )


def test_an_inherent_structure_of_random_positions_is_accepted() -> None:
    configuration = random_mixture(200)
    found = inherent_structure(configuration, shipped("kob-andersen-uniform"))
    sample = replace(
        synthetic_sample(particles=200), configuration=replace(configuration, inherent_positions=found.positions)
    )
    check_sample(sample, "random")
