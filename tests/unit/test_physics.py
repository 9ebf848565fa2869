"""Box, configuration, pair potential and velocities."""

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.core.mixture import check_composition, shipped_mixture
from glassformer.core.presets import load_campaign
from glassformer.core.thesis import thesis_density
from glassformer.physics.box import minimum_image, number_density, wrap
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.pair import interactions
from tests.conftest import random_mixture, rattled_lattice
from tests.liquids import kob_andersen, mixture, unit_masses

BOX = np.array([6.0, 7.0, 8.0])


def pair_at(separation: list[float], species: tuple[int, int], edge: float = 6.0) -> Configuration:
    box = np.full(3, edge)
    positions = wrap(np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]) + np.array([[0.0, 0, 0], separation]), box)
    return Configuration(positions, np.array(species, np.uint8), box)


def test_wrap_lands_in_the_half_open_box() -> None:
    positions = np.array([[-1e-18, 6.0, 13.0], [5.999, -0.5, 1e3]])
    wrapped = wrap(positions, BOX)
    assert ((wrapped >= 0) & (wrapped < BOX)).all()
    np.testing.assert_allclose(minimum_image(wrapped - positions, BOX), 0, atol=1e-12)


def test_wrap_of_lattice_sites_that_have_hopped_by_whole_boxes() -> None:
    sites = np.arange(10)
    for spacing in np.round(np.arange(0.8, 1.3, 0.001), 3):
        box = np.full(3, 10 * spacing)
        for hop in range(-70, 80, 10):
            wrapped = wrap(np.repeat((sites + hop)[:, None] * spacing, 3, 1), box)
            assert (wrapped >= 0).all()
            assert (wrapped < box).all()
            moved = minimum_image(wrapped - sites[:, None] * spacing, box)
            np.testing.assert_allclose(moved, 0, atol=1e-12)


def test_wrap_far_away_and_next_to_the_edges() -> None:
    edges = np.array(
        [np.nextafter(0, -1), -5e-324, 0.0, np.nextafter(6, 0), 6.0, np.nextafter(6, 7), -6.0, 1e15, -1e15]
    )
    wrapped = wrap(np.repeat(edges[:, None], 3, 1), BOX)
    assert ((wrapped >= 0) & (wrapped < BOX)).all()


def test_minimum_image_is_the_shortest_of_all_images() -> None:
    separations = np.random.default_rng(0).uniform(-20, 20, (50, 3))
    shifts = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), -1).reshape(-1, 3) * BOX
    shortest = np.sqrt(((separations[:, None] + shifts) ** 2).sum(-1)).min(1)
    np.testing.assert_allclose(np.linalg.norm(minimum_image(separations, BOX), axis=1), shortest)


def test_a_cube_of_4096_particles_has_the_edge_of_its_density() -> None:
    # 9.4 (4.096)^(1/3), not 9.4 x 4.096.
    assert number_density(4096, np.full(3, 15.04)) == pytest.approx(1.2, rel=0.01)


@pytest.mark.parametrize(
    ("species", "epsilon", "sigma"), [((0, 0), 1.0, 1.0), ((0, 1), 1.5, 0.8), ((1, 0), 1.5, 0.8), ((1, 1), 0.5, 0.88)]
)
@pytest.mark.parametrize("convention", ["uniform", "scaled"])
def test_two_particles_exactly(convention: str, species: tuple[int, int], epsilon: float, sigma: float) -> None:
    r = 1.07
    cutoff = 2.5 if convention == "uniform" else 2.5 * sigma
    energy = 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
    shift = 4 * epsilon * ((sigma / cutoff) ** 12 - (sigma / cutoff) ** 6)
    slope = 4 * epsilon * (-12 * sigma**12 / r**13 + 6 * sigma**6 / r**7)
    # Across the periodic boundary: 0.1 - 1.07 is outside the box.
    found = interactions(pair_at([-r, 0, 0], species), kob_andersen(convention))
    np.testing.assert_allclose(found.energy, (energy - shift) / 2, rtol=1e-13)
    np.testing.assert_allclose(found.force, [[-slope, 0, 0], [slope, 0, 0]], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found.virial, -slope * r / 2, rtol=1e-13)


@pytest.mark.parametrize(("convention", "cutoff"), [("uniform", 2.5), ("scaled", 2.2)])
def test_energy_is_cut_and_shifted_to_zero(convention: str, cutoff: float) -> None:
    potential = kob_andersen(convention)
    inside = interactions(pair_at([cutoff - 1e-7, 0, 0], (1, 1)), potential).energy.sum()
    outside = interactions(pair_at([cutoff + 1e-7, 0, 0], (1, 1)), potential).energy.sum()
    assert 0 < abs(inside) < 1e-7
    assert outside == 0


@pytest.mark.parametrize("convention", ["uniform", "scaled"])
def test_force_is_minus_the_gradient_and_momentum_is_conserved(convention: str) -> None:
    structure, potential = rattled_lattice(6), kob_andersen(convention)
    found = interactions(structure, potential)
    np.testing.assert_allclose(found.force.sum(0), 0, atol=1e-10)
    step = 1e-5
    for particle, axis in ((0, 0), (17, 1), (200, 2)):
        energies = []
        for sign in (1, -1):
            moved = structure.positions.copy()
            moved[particle, axis] += sign * step
            shifted = Configuration(wrap(moved, structure.box), structure.species, structure.box)
            energies.append(interactions(shifted, potential).energy.sum())
        assert found.force[particle, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-6)


def test_virial_is_the_volume_derivative_of_the_energy() -> None:
    structure, potential = rattled_lattice(6), kob_andersen("uniform")
    step = 1e-7
    energies = [
        interactions(
            Configuration(structure.positions * s, structure.species, structure.box * s), potential
        ).energy.sum()
        for s in (1 + step, 1 - step)
    ]
    # dU/d ln L = -sum r . F, away from pairs that cross the cutoff within the step.
    assert interactions(structure, potential).virial.sum() == pytest.approx(
        -(energies[0] - energies[1]) / (2 * step), rel=1e-5
    )


def test_a_box_shorter_than_two_cutoffs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least two cutoffs"):
        interactions(pair_at([1.0, 0, 0], (0, 0), edge=4.9), kob_andersen("uniform"))


def test_mixture_is_80_20() -> None:
    assert np.bincount(mixture(1000)).tolist() == [800, 200]
    assert np.bincount(mixture(4096)).tolist() == [3277, 819]
    for particles in (1000, 4096):
        check_composition(shipped_mixture("kob-andersen"), particles)
    with pytest.raises(ValueError, match="use 1000 or 1005"):
        check_composition(shipped_mixture("kob-andersen"), 1003)


def test_thesis_state_points_lie_on_their_line() -> None:
    points = load_campaign("thesis").state_points
    assert len(points) == 7
    for point in points:
        assert point.pressure == pytest.approx(2.93 - 23 * (point.temperature - 0.44))
        assert point.expected_density == thesis_density(point.temperature, point.pressure)


def test_velocities_have_exact_temperature_no_momentum_and_a_gaussian_shape() -> None:
    velocities = unit_masses(5, 4000, 0.44)
    np.testing.assert_allclose(velocities.mean(0), 0, atol=1e-15)
    assert (velocities**2).sum() == pytest.approx((3 * 4000 - 3) * 0.44, rel=1e-12)
    kurtosis = (velocities**4).mean() / (velocities**2).mean() ** 2
    # Standard error of the kurtosis of 12000 Gaussian numbers: sqrt(24 / 12000) = 0.045.
    assert kurtosis == pytest.approx(3, abs=4 * 0.045)
    assert not np.array_equal(velocities, unit_masses(6, 4000, 0.44))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.positions.__setitem__((17, 1), np.nan), "1 values that are not finite, first at index (17, 1)"),
        (lambda c: c.positions.__setitem__((3, 0), -0.01), "1 particles lie outside the box, first number 3"),
        (lambda c: c.positions.__setitem__((3, 2), c.box[2]), "1 particles lie outside the box, first number 3"),
        (lambda c: c.species.__setitem__(5, 8), "got species [0, 1, 8]; expected 0 to 7"),
        (lambda c: c.species.__setitem__(slice(None), 1), "no particle of species 0"),
        (lambda c: c.box.__setitem__(0, -1.0), "expected positive lengths"),
        (lambda c: c.box.__setitem__(0, np.inf), "not finite"),
    ],
)
def test_damaged_configurations_are_refused(damage: object, message: str) -> None:
    structure = random_mixture(100)
    check_configuration(structure, "here")
    damage(structure)
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(structure, "here")
    assert message in caught.value.problem
    assert caught.value.problem.startswith("here: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.zeros((99, 3))}, "'species' has shape (100,); expected (99)"),
        ({"positions": np.zeros((100, 2))}, "'positions' has shape (100, 2); expected (N, 3)"),
        ({"positions": np.zeros((100, 3), np.float32)}, "'positions' has type float32; expected float64"),
        ({"box": np.ones(2)}, "'box' has shape (2,); expected (3)"),
    ],
)
def test_wrong_forms_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    structure = random_mixture(100)
    arrays = {name: getattr(structure, name) for name in ("positions", "species", "box")} | changes
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(Configuration(**arrays), "here")
    assert message in caught.value.problem
