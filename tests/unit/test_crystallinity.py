"""Bond order of perfect lattices, of random points, and against a loop."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.crystallinity import BondOrder, bond_order, crystalline_fraction
from tests.conftest import random_mixture, rattled_lattice

# Nearest neighbours at distance 1. Basis in units of the cell's edges, edges, cutoff behind the wanted shells, and Q_6.
LATTICES = {
    "sc": ([[0, 0, 0]], [1, 1, 1], 1.2, 0.35355),
    "bcc": ([[0, 0, 0], [0.5, 0.5, 0.5]], np.full(3, 2 / np.sqrt(3)), 1.4, 0.51069),
    "fcc": ([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], np.full(3, np.sqrt(2)), 1.2, 0.57452),
    "hcp": (
        [[0, 0, 0], [0.5, 0.5, 0], [0.5, 5 / 6, 0.5], [0, 1 / 3, 0.5]],
        [1, np.sqrt(3), np.sqrt(8 / 3)],
        1.2,
        0.48476,
    ),
}


def lattice(name: str, cells: int = 4) -> Configuration:
    basis, edges, _, _ = LATTICES[name]
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = ((corners + np.array(basis)) * edges).reshape(-1, 3)
    return Configuration(positions, np.zeros(len(positions), np.uint8), np.array(edges) * float(cells))


def naive(configuration: Configuration, cutoff: float) -> tuple[float, list[float]]:
    """All 13 orders and every ordered pair, as the definitions stand."""
    positions, box = configuration.positions, configuration.box
    particles, local, bonds, neighbors = len(positions), [], [], []
    for i in range(particles):
        mine, values = [], []
        for j in range(particles):
            x, y, z = minimum_image(positions[j] - positions[i], box)
            r = np.sqrt(x * x + y * y + z * z)
            if i != j and r < cutoff:
                mine.append(j)
                values.append([sph_harm_y(6, m, np.arccos(z / r), np.arctan2(y, x)) for m in range(-6, 7)])
        neighbors.append(mine)
        local.append(np.mean(values, 0) if mine else np.zeros(13))
        bonds += values
    averaged = [np.mean([local[k] for k in [i, *neighbors[i]]], 0) for i in range(particles)]
    means = [np.mean(bonds, 0), *averaged]
    overall, *each = [float(np.sqrt(4 * np.pi / 13 * sum(abs(q) ** 2 for q in mean))) for mean in means]
    return overall, each


@pytest.mark.parametrize("name", LATTICES)
def test_perfect_lattices(name: str) -> None:
    *_, cutoff, expected = LATTICES[name]
    found = bond_order(lattice(name), cutoff)
    assert found.overall == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.local, expected, atol=1e-5)
    assert crystalline_fraction(found) == 1


def test_against_a_loop() -> None:
    configuration = random_mixture(100, seed=3)
    overall, local = naive(configuration, 1.1)
    found = bond_order(configuration, 1.1)
    assert found.overall == pytest.approx(overall)
    np.testing.assert_allclose(found.local, local, atol=1e-12)


def test_particles_without_bonds() -> None:
    positions = np.array([[1.0, 1, 1], [5, 5, 5]])
    found = bond_order(Configuration(positions, np.zeros(2, np.uint8), np.full(3, 10.0)))
    assert found.overall == 0
    np.testing.assert_array_equal(found.local, [0, 0])


def test_random_points_have_no_order() -> None:
    found = bond_order(random_mixture(4000))
    assert found.overall < 0.02
    assert np.median(found.local) < 0.12
    assert crystalline_fraction(found) < 0.001


def test_a_shaken_crystal_is_still_found() -> None:
    crystal = lattice("fcc")
    shaken = crystal.positions + np.random.default_rng(0).normal(0, 0.04, crystal.positions.shape)
    found = bond_order(Configuration(wrap(shaken, crystal.box), crystal.species, crystal.box), 1.2)
    assert 0.35 < found.overall < 0.57
    assert crystalline_fraction(found) == 1


def test_a_translation_through_the_boundary_changes_nothing() -> None:
    here = rattled_lattice(6)
    there = Configuration(wrap(here.positions + np.array([1.7, -2.3, 40.1]), here.box), here.species, here.box)
    np.testing.assert_allclose(bond_order(there).local, bond_order(here).local, atol=1e-12)
    assert bond_order(there).overall == pytest.approx(bond_order(here).overall)


def test_a_rotation_changes_nothing() -> None:
    # A cluster far from the boundary of a large box may be turned by any angle.
    cluster = np.random.default_rng(0).uniform(-2, 2, (60, 3))
    box, species = np.full(3, 20.0), np.zeros(60, np.uint8)
    turned = Rotation.from_euler("xyz", [0.3, 1.1, -2.0]).apply(cluster)
    before, after = (bond_order(Configuration(points + 10, species, box)) for points in (cluster, turned))
    assert before.overall > 0.03
    assert after.overall == pytest.approx(before.overall)
    np.testing.assert_allclose(after.local, before.local, atol=1e-12)


def flat(positions: np.ndarray, box: np.ndarray) -> Configuration:
    """A configuration in two dimensions from positions (N, 2) and edges (2,)."""
    return Configuration(np.pad(positions, ((0, 0), (0, 1))), np.zeros(len(positions), np.uint8), np.append(box, 1.0))


def triangular(cells: int = 6) -> Configuration:
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 2, indexing="ij"), -1).reshape(-1, 1, 2)
    edges = np.array([1, np.sqrt(3)])
    return flat(((corners + np.array([[0, 0], [0.5, 0.5]])) * edges).reshape(-1, 2), cells * edges)


def test_hexatic_order_of_lattices() -> None:
    found = bond_order(triangular())
    assert found.dimension == 2
    assert found.overall == pytest.approx(1)
    np.testing.assert_allclose(found.local, 1)
    assert crystalline_fraction(found) == 1
    # Bonds at 0, 90, 180 and 270 degrees: 1 - 1 + 1 - 1.
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 2, indexing="ij"), -1).reshape(-1, 2)
    square = bond_order(flat(grid, np.full(2, 6.0)), 1.2)
    assert square.overall == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(square.local, 0, atol=1e-12)


def test_hexatic_order_against_a_loop() -> None:
    box = np.array([7.0, 8.0])
    points = np.random.default_rng(3).uniform(0, box, (60, 2))
    local, bonds, neighbors = [], [], []
    for i in range(60):
        separations = minimum_image(points - points[i], box)
        mine = [j for j in range(60) if j != i and np.hypot(*separations[j]) < 1.1]
        values = [((x + 1j * y) / np.hypot(x, y)) ** 6 for x, y in separations[mine]]
        local.append(np.mean(values) if mine else 0)
        bonds += values
        neighbors.append(mine)
    found = bond_order(flat(points, box), 1.1)
    assert found.overall == pytest.approx(abs(np.mean(bonds)))
    expected = [abs(np.mean([local[k] for k in [i, *neighbors[i]]])) for i in range(60)]
    np.testing.assert_allclose(found.local, expected, atol=1e-12)


def test_hexatic_order_of_a_turned_and_shaken_crystal() -> None:
    random = np.random.default_rng(0)
    cluster = triangular(8).positions[:, :2] + random.normal(0, 0.06, (128, 2))
    turn = Rotation.from_euler("z", 0.4).as_matrix()[:2, :2]
    before, after = (bond_order(flat(points + 15, np.full(2, 50.0))) for points in (cluster, cluster @ turn.T))
    assert 0.7 < before.overall < 0.99
    assert after.overall == pytest.approx(before.overall)
    np.testing.assert_allclose(after.local, before.local, atol=1e-12)
    assert crystalline_fraction(before) > 0.5


def test_random_points_in_two_dimensions_have_no_order() -> None:
    found = bond_order(flat(np.random.default_rng(1).uniform(0, 60, (4000, 2)), np.full(2, 60.0)))
    assert found.overall < 0.03
    assert crystalline_fraction(found) < 0.01
    with pytest.raises(ConfigurationError, match=r"got box edges \[2\.0, 9\.0\]; expected at least two bond cutoffs"):
        bond_order(flat(np.ones((1, 2)), np.array([2.0, 9.0])))


def test_half_a_crystal() -> None:
    order = BondOrder(0.3, np.array([0.1, 0.5, 0.2, 0.45]))
    assert crystalline_fraction(order) == 0.5
    assert crystalline_fraction(order, 0.48) == 0.25
    assert crystalline_fraction(BondOrder(0.3, np.array([0.1, 0.5, 0.84, 0.86]), 2)) == 0.25


def test_a_box_shorter_than_two_cutoffs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two bond cutoffs"):
        bond_order(random_mixture(20), 1.4)
