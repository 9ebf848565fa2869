"""What the table of arrays says of each row is what is done with it: recording, joining, selecting, planning."""

import pickle
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from glassformer.core import arrays
from glassformer.core.arrays import CONFIGURATION, EQUILIBRATION, ISOCONFIGURATIONAL, ArraySpec, with_rows
from glassformer.core.campaign import Campaign
from glassformer.dataset.extend import join
from glassformer.dataset.sample import Ensemble
from glassformer.dataset.splits import single_draws
from glassformer.observables.recorded import AVERAGED, BY_DRAW
from glassformer.simulate.isoconfigurational import RECORDED, Observations, array_sizes, collect
from glassformer.simulate.plan import sample_bytes
from tests.conftest import synthetic_sample

ROWS = {spec.name: spec for spec in ISOCONFIGURATIONAL}


def of_kind(kind: str) -> set[str]:
    return {name for name, spec in ROWS.items() if spec.kind == kind}


def test_every_row_is_of_one_kind() -> None:
    assert of_kind("draw") >= {"seeds", "msd", "self_scattering", "quartic", "overlap", "displacements"}
    assert of_kind("mean") == {"displacement_mean", "displacement_sq_mean"}
    assert of_kind("general") == {"times", "particle_times"}
    assert {name for name, spec in ROWS.items() if spec.by_particle} == {
        "displacement_mean", "displacement_sq_mean", "displacements",
    }  # fmt: skip
    assert {spec.kind for spec in CONFIGURATION + EQUILIBRATION} == {"general"}
    # A mean over draws has no place for single draws.
    assert not any("D" in spec.shape for spec in ISOCONFIGURATIONAL if spec.mean_of)


def test_every_observable_has_its_function() -> None:
    """What is recorded of a draw at every time, and what is averaged over draws."""
    assert set(BY_DRAW) == {name for name, spec in ROWS.items() if spec.shape[:2] == ("D", "T")}
    assert set(AVERAGED) == of_kind("mean")
    moved = np.random.default_rng(0).normal(size=(2, 50, 3))
    mixture, species = synthetic_sample().mixture, np.arange(50, dtype=np.uint8) % 5 // 4
    for name, of in BY_DRAW.items():
        assert of(moved[0], species, mixture).shape == (2,), name
    for name, averaged in AVERAGED.items():
        assert averaged(moved).shape == (2, 50), name


def test_every_field_of_an_ensemble_is_a_row() -> None:
    assert {field.name for field in fields(Ensemble)} == set(ROWS)
    assert {field.name for field in fields(Observations)} == {
        *BY_DRAW, "displacements", "first_energy", "last_energy",
    }  # fmt: skip


def test_a_row_that_is_not_declared_becomes_a_field() -> None:
    """It is None unless given; the class keeps its name, documentation and place."""
    row = ArraySpec("extra", ("D", "T"), "f8", "", "something new", optional=True)
    extended = with_rows((*ISOCONFIGURATIONAL, row))(Ensemble)
    ensemble = synthetic_sample().ensemble
    assert ensemble is not None
    made = extended(**vars(ensemble))
    assert made.extra is None  # type: ignore[attr-defined]
    assert replace(made, extra=np.ones(3)).extra.tolist() == [1, 1, 1]  # type: ignore[call-arg, attr-defined]
    assert isinstance(made, Ensemble)
    assert (extended.__name__, extended.__doc__, extended.__module__) == (
        Ensemble.__name__, Ensemble.__doc__, Ensemble.__module__,
    )  # fmt: skip
    # All that is declared already is left as it is.
    assert with_rows(ISOCONFIGURATIONAL)(Ensemble) is Ensemble


@with_rows((ArraySpec("late", ("D",), "f8", "", "a row"),))
@dataclass(frozen=True, eq=False)
class Extended:
    """Processes exchange such objects."""

    early: int


def test_extended_classes_are_pickled() -> None:
    made = pickle.loads(pickle.dumps(Extended(1, late=2)))  # type: ignore[call-arg]
    assert vars(made) == {"early": 1, "late": 2}


@pytest.mark.parametrize("kept", [True, False])
def test_bytes_are_those_of_the_rows(kept: bool, tiny_campaign: Campaign) -> None:
    campaign = tiny_campaign.model_copy(update={"keep_displacements": kept, "draws": 5})
    sizes = array_sizes(campaign, 5)
    seen = Observations.empty(campaign, 5, 200)
    ensemble = collect(replace(seen, displacements=np.ones_like(seen.displacements)), list(range(5)), campaign)
    of_draws = sum(array.nbytes for array in vars(ensemble).values() if array is not None)
    assert sample_bytes(campaign) - of_draws == 200 * (3 * 8 + 1) + 3 * 8
    for name, array in vars(ensemble).items():
        if array is not None:
            assert array.shape == ROWS[name].sized(sizes), name
            assert array.dtype == np.dtype(ROWS[name].dtype), name
            assert array.nbytes == ROWS[name].bytes(sizes), name
    assert (ensemble.displacements is None) != kept


def test_means_are_those_of_the_draws(tiny_campaign: Campaign) -> None:
    campaign = tiny_campaign.model_copy(update={"keep_displacements": True})
    moved = np.random.default_rng(1).normal(size=(4, 1, 200, 3)).astype(np.float32)
    seen = Observations.empty(campaign, 4, campaign.particles)
    ensemble = collect(replace(seen, displacements=moved), [1, 2, 3, 4], campaign)
    lengths = np.linalg.norm(moved.astype(np.float64), axis=-1)
    np.testing.assert_allclose(ensemble.displacement_mean, lengths.mean(0), rtol=1e-6)
    np.testing.assert_allclose(ensemble.displacement_sq_mean, (lengths**2).mean(0), rtol=1e-6)


def test_draws_are_joined_and_selected_row_by_row() -> None:
    sample = synthetic_sample(draws=4)
    whole = sample.ensemble
    assert whole is not None
    singles = single_draws([sample])
    assert len(singles) == 4
    for draw, single in enumerate(singles):
        assert single.configuration is sample.configuration
        for name, spec in ROWS.items():
            found, expected = getattr(single.ensemble, name), getattr(whole, name)
            if "S" in spec.shape:
                # Nothing is known of the particles in a single draw.
                assert found is None if spec.optional else found.size == 0, name
            else:
                np.testing.assert_array_equal(found, expected[draw : draw + 1] if spec.kind == "draw" else expected)
    together: Any = singles[0].ensemble
    for single in singles[1:]:
        together = join(together, single.ensemble)  # type: ignore[arg-type]
    for name, spec in ROWS.items():
        if "S" not in spec.shape:
            np.testing.assert_array_equal(getattr(together, name), getattr(whole, name), err_msg=name)


def test_recorded_rows_are_a_part_of_the_table() -> None:
    assert set(RECORDED) <= set(arrays.ISOCONFIGURATIONAL)
    assert all(spec.dtype == "f8" for spec in RECORDED)
