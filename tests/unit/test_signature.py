"""Which structures count as the same, and which do not."""

import itertools

import numpy as np
import pytest

from glassformer.graph.symmetries import cubic_symmetries
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.signature import SQUARE_STARS, STARS, find_same, first_of_each, same_structure, signature
from tests.conftest import random_mixture, rattled_lattice

RANDOM = np.random.default_rng(5)


def liquid(seed: int = 0) -> Configuration:
    return rattled_lattice(8, seed, amplitude=0.2)


def moved(configuration: Configuration, positions: np.ndarray) -> np.ndarray:
    return signature(wrap(positions, configuration.box), configuration.species, configuration.box)


def test_the_wave_vectors_are_those_of_the_models_that_hold_signatures() -> None:
    assert STARS == ((1, 2, 3), (1, 2, 4))
    flat = ((1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4), (1, 5), (2, 5), (3, 5), (4, 5), (1, 6), (2, 6))
    assert flat == SQUARE_STARS


def test_moduli_against_the_definition() -> None:
    structure = random_mixture(100)
    found = signature(structure.positions, structure.species, structure.box)
    assert found[:5].tolist() == [80, 20, *structure.box]
    assert not found[-12:].any()
    expected = []
    for kind, star in itertools.product((0, 1), STARS):
        vectors = {
            tuple(sign * np.array(order)) for order in itertools.permutations(star)
            for sign in itertools.product((1, -1), repeat=3)
        }  # fmt: skip
        points = structure.positions[structure.species == kind]
        moduli = [abs(np.exp(2j * np.pi * points @ (v / structure.box)).sum()) / np.sqrt(len(points)) for v in vectors]
        # Those of k and of -k are the same.
        expected += sorted(moduli)[::2]
    np.testing.assert_allclose(found[5:-12], expected, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: random_mixture(200), liquid])
def test_copies_are_known(make) -> None:
    c = make()
    own = c.signature
    order = RANDOM.permutation(c.particles)
    assert same_structure(own, moved(c, c.positions + np.array([0.7, -3.1, 12.0])))
    assert same_structure(own, signature(c.positions[order], c.species[order], c.box))
    assert same_structure(own, moved(c, c.positions.astype(np.float32).astype(np.float64)))
    for decimals in (2, 3, 4, 6):
        assert same_structure(own, moved(c, c.positions.round(decimals)))
    for matrix in cubic_symmetries():
        assert same_structure(own, moved(c, c.positions @ matrix.T))
    assert same_structure(own, signature(c.positions, c.species, c.box.round(5)))
    assert same_structure(own, moved(c, np.nextafter(c.positions, 99)))


def test_a_box_that_is_no_cube_may_be_turned() -> None:
    box = np.array([5.0, 6.0, 7.0])
    points, species = RANDOM.uniform(0, box, (150, 3)), (np.arange(150) >= 120).astype(np.uint8)
    turned = signature(points[:, [2, 0, 1]], species, box[[2, 0, 1]])
    assert same_structure(signature(points, species, box), turned)


def test_other_structures_are_told_apart() -> None:
    c = liquid()
    own = c.signature
    assert not same_structure(own, liquid(1).signature)
    assert not same_structure(own, moved(c, c.positions + RANDOM.normal(0, 0.05, c.positions.shape)))
    swapped = c.species.copy()
    a, b = np.flatnonzero(c.species == 0)[:8], np.flatnonzero(c.species == 1)[:8]
    swapped[a], swapped[b] = 1, 0
    assert not same_structure(own, signature(c.positions, swapped, c.box))
    assert not same_structure(own, signature(c.positions * 1.001, c.species, c.box * 1.001))
    assert not same_structure(own, signature(c.positions[:-1], c.species[:-1], c.box))


def test_many_structures_and_the_first_of_each() -> None:
    # More than are compared at one time.
    originals = [random_mixture(100, seed) for seed in range(700)]
    copies = {700: 3, 701: 650, 702: 3}
    known = [one.signature for one in originals] + [
        moved(originals[i], originals[i].positions + 1) for i in copies.values()
    ]
    assert first_of_each(known) == [*range(700), *copies.values()]
    assert find_same(known[701], np.stack(known[:700])) == 650
    assert find_same(known[701], np.stack(known[:600])) is None
    assert first_of_each([]) == []


def test_large_structures_are_summed_in_blocks() -> None:
    c = rattled_lattice(18)
    points = c.positions[c.species == 0]
    assert len(points) > 4096
    vector = 2 * np.pi * np.array([1, 2, 3]) / c.box
    modulus = abs(np.exp(1j * points @ vector).sum()) / np.sqrt(len(points))
    assert np.isclose(c.signature[5:29], modulus, atol=1e-10).any()


def test_perfect_crystals_are_told_by_their_neighbors() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    species, box = np.zeros(216, np.uint8), np.full(3, 6.0)
    sheared = grid + np.where(grid[:, :1] % 2 == 1, [[0, 0.5, 0]], 0)
    own = signature(grid, species, box)
    assert same_structure(own, signature((grid + 0.3) % 6, species, box))
    assert not same_structure(own, signature(sheared % 6, species, box))


def test_small_structures_survive_rounding_too() -> None:
    for seed in range(20):
        c = random_mixture(100, seed)
        assert same_structure(c.signature, moved(c, c.positions.round(2)))
        assert not same_structure(c.signature, random_mixture(100, seed + 100).signature)


def flat_liquid(seed: int = 0, side: int = 12, kinds: int = 3) -> Configuration:
    """A shaken square lattice in two dimensions with `kinds` species."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 2, [0], indexing="ij"), -1).reshape(-1, 3)
    box = np.array([side, side, 1.0])
    positions = wrap(grid + random.uniform(-0.3, 0.3, grid.shape) * [1, 1, 0], box)
    return Configuration(positions, (random.permutation(side**2) % kinds).astype(np.uint8), box)


def test_moduli_of_three_species_in_two_dimensions_against_the_definition() -> None:
    structure = flat_liquid()
    assert structure.dimension == 2
    found = structure.signature
    assert found[:5].tolist() == [48, 48, 48, 12, 12]
    assert len(found) == 5 + 3 * 48 + 12
    expected = []
    for kind, star in itertools.product((0, 1, 2), SQUARE_STARS):
        vectors = {
            tuple(sign * np.array(order)) for order in itertools.permutations(star)
            for sign in itertools.product((1, -1), repeat=2)
        }  # fmt: skip
        points = structure.positions[structure.species == kind, :2]
        moduli = [abs(np.exp(2j * np.pi * points @ (np.array(v) / 12)).sum()) / np.sqrt(48) for v in vectors]
        expected += sorted(moduli)[::2]
    np.testing.assert_allclose(found[5:-12], expected, atol=1e-12)


def test_copies_are_known_in_two_dimensions() -> None:
    c = flat_liquid()
    order = RANDOM.permutation(c.particles)
    for positions in (
        c.positions + np.array([0.7, -3.1, 0]),
        c.positions.round(2),
        c.positions[:, [1, 0, 2]],
        c.positions * [-1, 1, 1],
        c.positions[:, [1, 0, 2]] * [-1, 1, 1],
    ):
        copy = Configuration(wrap(positions, c.box)[order], c.species[order], c.box)
        assert same_structure(c.signature, copy.signature)
    assert not same_structure(c.signature, flat_liquid(1).signature)
    shaken = c.positions + RANDOM.normal(0, 0.05, c.positions.shape) * [1, 1, 0]
    assert not same_structure(c.signature, Configuration(wrap(shaken, c.box), c.species, c.box).signature)
    longer = c.box * [1.001, 1.001, 1]
    assert not same_structure(c.signature, Configuration(c.positions * 1.001, c.species, longer).signature)


def test_other_numbers_of_species_and_dimensions_are_told_apart() -> None:
    flat = flat_liquid(kinds=2)
    solid = signature(flat.positions, flat.species, flat.box, 3)
    merged = flat_liquid(kinds=3)
    two = Configuration(merged.positions, np.minimum(merged.species, 1), merged.box).signature
    known = [flat.signature, solid, merged.signature, two]
    assert len({len(one) for one in known}) == 3
    assert first_of_each([*known, *known]) == [0, 1, 2, 3, 0, 1, 2, 3]
    for one, other in itertools.combinations(known, 2):
        assert not same_structure(one, other)
        assert find_same(one, other[None]) is None
    lengths = [49 * kinds + dimension + 12 for kinds in range(2, 9) for dimension in (2, 3)]
    assert len(set(lengths)) == 14
    assert len(signature(flat.positions, flat.species * np.uint8(7), flat.box, 2)) == lengths[-2]


def test_many_structures_of_three_species_in_two_dimensions() -> None:
    known = [flat_liquid(seed, 6).signature for seed in range(700)]
    copy = flat_liquid(600, 6)
    assert first_of_each([*known, copy.signature]) == [*range(700), 600]
    assert find_same(copy.signature, np.stack(known)) == 600
