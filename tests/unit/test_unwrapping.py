"""Wrapped positions are followed where that is safe, and refused where it is not."""

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import wrap
from glassformer.physics.unwrapping import unwrapped_fractions

BOX = np.array([5.0, 6.0, 8.0])


def steps_of(length: float, frames: int = 200, particles: int = 20) -> np.ndarray:
    random = np.random.default_rng(0)
    places = random.uniform(0, 1, (particles, 3)) * BOX
    return places + np.cumsum(random.normal(0, length, (frames, particles, 3)), 0)


def test_wrapped_positions_are_followed_across_many_boxes() -> None:
    true = steps_of(0.25)
    assert np.ptp(true, axis=0).max() > 8
    boxes = np.tile(BOX, (len(true), 1))
    found = unwrapped_fractions(wrap(true, BOX), boxes, False, "run") * BOX
    np.testing.assert_allclose(found - found[0], true - true[0], atol=1e-9)


def test_wrapped_positions_in_a_box_that_breathes() -> None:
    true = steps_of(0.2) / BOX
    boxes = BOX * (1 + 0.03 * np.sin(np.arange(len(true))))[:, None]
    found = unwrapped_fractions(np.mod(true, 1) * boxes[:, None], boxes, False, "run")
    np.testing.assert_allclose(found - found[0], true - true[0], atol=1e-9)


# From 1 in 40 to all ways are longer than half the box; at 0.6 none may be among so many.
@pytest.mark.parametrize("length", [0.6, 1.0, 1.5, 3.0, 50.0])
def test_frames_too_far_apart_are_refused(length: float) -> None:
    true = steps_of(length)
    with pytest.raises(ConfigurationError, match=r"run: .*between frames 0 and 1 a particle moves by 0\.") as caught:
        unwrapped_fractions(wrap(true, BOX), np.tile(BOX, (len(true), 1)), False, "run")
    assert "ix iy iz" in caught.value.remedy
    assert "xu yu zu" in caught.value.remedy


def test_no_walk_that_is_accepted_is_wrong() -> None:
    accepted = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        length, particles = random.uniform(0.02, 0.4), int(random.integers(5, 50))
        true = random.uniform(0, 1, (particles, 3)) + np.cumsum(random.normal(0, length, (12, particles, 3)), 0)
        try:
            found = unwrapped_fractions(np.mod(true, 1), np.ones((12, 3)), False, "run")
        except ConfigurationError:
            continue
        accepted += 1
        np.testing.assert_allclose(found - found[0], true - true[0], atol=1e-9)
    assert accepted > 30


def test_unwrapped_positions_are_taken_as_they_are() -> None:
    true = steps_of(30.0)
    found = unwrapped_fractions(true, np.tile(BOX, (len(true), 1)), True, "run")
    np.testing.assert_allclose(found * BOX, true)


@pytest.mark.parametrize("corner", [0.0, -2.5])
@pytest.mark.parametrize("length", [0.1, 2.0])
def test_wrapped_positions_that_are_said_to_be_unwrapped_are_refused(length: float, corner: float) -> None:
    boxes = np.tile(BOX, (200, 1))
    wrapped = wrap(steps_of(length, particles=80), BOX) + corner
    with pytest.raises(ConfigurationError, match="said to be unwrapped, but no particle leaves the box") as caught:
        unwrapped_fractions(wrapped, boxes, True, "run")
    assert "xu yu zu" in caught.value.remedy


def followed(positions: np.ndarray) -> bool:
    return bool((unwrapped_fractions(positions, np.ones((len(positions), 3)), True, "run") == positions).all())


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_films_and_droplets_may_move_far_and_stay_in_the_box(axes: int) -> None:
    random = np.random.default_rng(2)
    # Along the other axes the particles leave the box.
    positions = random.uniform(0, 2, (5, 200, 3))
    positions[..., :axes] = random.uniform(0.1, 0.9, (5, 200, axes))
    assert followed(positions)


def test_few_particles_may_stay_in_the_box_by_chance() -> None:
    for seed in range(200):
        random = np.random.default_rng(seed)
        assert followed(random.uniform(0, 1, (12, 3)) + np.cumsum(random.normal(0, 0.2, (3, 12, 3)), 0))
