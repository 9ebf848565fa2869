"""Observables of one, three and eight species, against those of two."""

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.observables.displacements import mean_squared_displacement, quartic_displacement, self_scattering
from glassformer.observables.overlap import overlap
from glassformer.observables.propensity import split_half_ceiling
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.species import mean_by_species, number_of_species, species_pairs
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove

BOX = np.array([4.0, 5.0, 6.0])
RANDOM = np.random.default_rng(21)
START = RANDOM.uniform(0, BOX, (60, 3))
MOVED = RANDOM.normal(0, 0.3, (60, 3))
THREE = RANDOM.permutation(np.repeat(np.arange(3), [30, 18, 12])).astype(np.uint8)
# The second and the third species taken for one.
MERGED = np.minimum(THREE, 1)
EDGES = np.linspace(0, 2, 6)
ORDERED_PAIRS = np.array([30 * 29, 2 * 30 * 18, 2 * 30 * 12, 18 * 17, 2 * 18 * 12, 12 * 11])

BY_SPECIES = {
    "msd": mean_squared_displacement,
    "quartic": quartic_displacement,
    "overlap": lambda moves, species, kinds=None: overlap(moves, species, 0.3, kinds),
    "self van Hove": lambda moves, species, kinds=None: self_van_hove(moves, species, EDGES, kinds),
    "scattering": lambda moves, species, kinds=2: self_scattering(moves, species, [7.25] * (kinds or 3)),
}
BY_PAIR = {
    "g(r)": lambda species, kinds=None: radial_distribution(START, species, BOX, EDGES, kinds),
    "distinct van Hove": lambda species, kinds=None: distinct_van_hove(START, MOVED, species, BOX, EDGES, kinds),
}


def coherent(species: np.ndarray, kinds: int | None = None) -> np.ndarray:
    return collective_scattering(START, MOVED, species, BOX, 4.0, 0.4, kinds)


def test_pairs_in_order() -> None:
    assert species_pairs(1) == ((0, 0),)
    assert species_pairs(2) == ((0, 0), (0, 1), (1, 1))
    assert species_pairs(3) == ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    assert len(species_pairs(8)) == 36


def test_number_of_species() -> None:
    assert number_of_species(np.zeros(3, np.uint8)) == 2
    assert number_of_species(np.array([0, 4], np.uint8)) == 5
    assert number_of_species(np.zeros(3, np.uint8), 1) == 1
    assert number_of_species(THREE, 8) == 8
    assert number_of_species(np.zeros(0, np.uint8)) == 2
    for kinds in (2, 0, 9):
        with pytest.raises(ConfigurationError, match=rf"species 0 to 2 for a mixture of {kinds}; expected kinds"):
            mean_by_species(np.ones(60), THREE, kinds)
    with pytest.raises(ConfigurationError, match="species 0 to 2 for a mixture of 2"):
        self_scattering(MOVED, THREE, (7.25, 5.5))


@pytest.mark.parametrize("name", BY_SPECIES)
def test_the_mean_over_two_species_is_that_of_both(name: str) -> None:
    observable = BY_SPECIES[name]
    three, merged = observable(MOVED, THREE, 3), observable(MOVED, MERGED, 2)
    assert three.shape[0] == 3
    np.testing.assert_array_equal(three[0], merged[0])
    np.testing.assert_allclose((18 * three[1] + 12 * three[2]) / 30, merged[1], atol=1e-15)
    # A species that is absent, and one species alone.
    more = observable(MOVED, THREE, 5)
    np.testing.assert_array_equal(more[:3], three)
    assert np.isnan(more[3:]).all()
    alone = observable(MOVED, np.zeros_like(THREE), 1)
    assert alone.shape[0] == 1
    np.testing.assert_array_equal(alone[0], observable(MOVED, np.zeros_like(THREE), 2)[0])


def test_each_species_has_its_own_wave_number() -> None:
    found = self_scattering(MOVED, THREE, np.array([7.25, 5.5, 6.5]))
    expected = [self_scattering(MOVED, THREE, [k] * 3)[kind] for kind, k in enumerate((7.25, 5.5, 6.5))]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", BY_PAIR)
def test_pairs_of_two_species_are_those_of_both(name: str) -> None:
    observable = BY_PAIR[name]
    three, merged = observable(THREE), observable(MERGED)
    assert three.shape == (6, 5)
    np.testing.assert_array_equal(three[0], merged[0])
    counts = three * ORDERED_PAIRS[:, None]
    np.testing.assert_allclose((counts[1] + counts[2]) / (2 * 30 * 30), merged[1])
    np.testing.assert_allclose(counts[3:].sum(0) / (30 * 29), merged[2])
    one = observable(np.zeros_like(THREE), 1)
    assert one.shape == (1, 5)
    np.testing.assert_array_equal(one, observable(np.zeros_like(THREE))[:1])
    np.testing.assert_allclose(counts.sum(0) / (60 * 59), one[0])


@pytest.mark.parametrize("name", BY_PAIR)
def test_renumbered_species_renumber_the_pairs(name: str) -> None:
    turned = np.array([2, 0, 1], np.uint8)[THREE]
    rows = [species_pairs(3).index(pair) for pair in ((2, 2), (0, 2), (1, 2), (0, 0), (0, 1), (1, 1))]
    np.testing.assert_allclose(BY_PAIR[name](turned)[rows], BY_PAIR[name](THREE))


def test_structure_factors_of_two_species_are_those_of_both() -> None:
    _, three = structure_factor(START, THREE, BOX, 6.0)
    _, merged = structure_factor(START, MERGED, BOX, 6.0)
    _, one = structure_factor(START, np.zeros_like(THREE), BOX, 6.0, 1)
    assert three.shape[1] == 6
    assert one.shape[1] == 1
    np.testing.assert_array_equal(three[:, 0], merged[:, 0])
    np.testing.assert_allclose(three[:, 1] + three[:, 2], merged[:, 1], atol=1e-12)
    np.testing.assert_allclose(three[:, 3] + 2 * three[:, 4] + three[:, 5], merged[:, 2], atol=1e-12)
    for partials in (three, merged, structure_factor(START, np.arange(60).astype(np.uint8) % 8, BOX, 6.0)[1]):
        np.testing.assert_allclose(total_structure_factor(partials), one[:, 0], atol=1e-12)
    with pytest.raises(ConfigurationError, match="got 5 partial structure factors"):
        total_structure_factor(three[:, :5])


def test_coherent_scattering_of_a_species_knows_no_other() -> None:
    found = coherent(THREE)
    assert found.shape == (3,)
    for kind in range(3):
        assert found[kind] == coherent((kind != THREE).astype(np.uint8))[0]
    np.testing.assert_array_equal(coherent(THREE, 4), [*found, np.nan])
    assert coherent(np.zeros_like(THREE), 1).shape == (1,)


def test_the_ceiling_of_any_species() -> None:
    draws = RANDOM.normal(0, 0.1, (8, 60, 3)) * (1 + np.arange(60)[:, None])
    for kind in range(3):
        expected = split_half_ceiling(draws, (kind != THREE).astype(np.uint8))
        assert 0 < expected < 1
        assert split_half_ceiling(draws, THREE, kind=kind) == expected
    assert np.isnan(split_half_ceiling(draws, THREE, kind=3))
