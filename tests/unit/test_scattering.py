"""Wave vectors and coherent scattering, on exact cases and against loops."""

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.structure import structure_factor
from glassformer.observables.wave_vectors import wave_vectors

BOX = np.array([4.0, 5.0, 6.0])
RANDOM = np.random.default_rng(8)
START = RANDOM.uniform(0, BOX, (25, 3))
SPECIES = (RANDOM.random(25) < 0.4).astype(np.uint8)
MOVED = RANDOM.normal(0, 0.5, (25, 3))


def test_wave_vectors_of_a_cube() -> None:
    found = wave_vectors(np.full(3, 2 * np.pi), 1.2, 0.3)
    # Lengths 0.9 to 1.5: <100> and <110>, one of each pair, 3 + 6.
    assert sorted(np.round((found**2).sum(1)).tolist()) == [1] * 3 + [2] * 6
    assert len({tuple(np.rint(sign * k)) for k in found for sign in (1, -1)}) == 18


def test_wave_vectors_against_a_loop() -> None:
    expected = set()
    for numbers in np.ndindex(19, 19, 19):
        k = 2 * np.pi * (np.array(numbers) - 9) / BOX
        if abs(np.linalg.norm(k) - 5) <= 0.2:
            expected.add(tuple(k.round(9) + 0.0))
    found = wave_vectors(BOX, 5, 0.2)
    assert 2 * len(found) == len(expected) > 20
    assert {tuple((sign * k).round(9) + 0.0) for k in found for sign in (1, -1)} == expected


def test_no_such_wave_vector() -> None:
    with pytest.raises(ConfigurationError, match="no wave vector"):
        wave_vectors(BOX, 0.5, 0.2)


def test_zero_is_no_wave_vector() -> None:
    with pytest.raises(ConfigurationError, match="no wave vector"):
        wave_vectors(BOX, 0.1, 0.2)


@pytest.mark.parametrize("block", [1, 100, 2**21])
def test_against_a_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.observables.scattering._BLOCK", block)
    expected = []
    for kind in (0, 1):
        members = [i for i in range(25) if SPECIES[i] == kind]
        values = [
            np.mean([np.cos(k @ (START[i] + MOVED[i] - START[j])) for k in wave_vectors(BOX, 4, 0.3)])
            for i in members
            for j in members
        ]
        expected.append(sum(values) / len(members))
    np.testing.assert_allclose(collective_scattering(START, MOVED, SPECIES, BOX, 4, 0.3), expected)


def test_at_time_zero_it_is_the_structure_factor() -> None:
    box = np.full(3, 5.0)
    found = collective_scattering(START, np.zeros((25, 3)), SPECIES, box, 2 * np.pi / 5 * 2, 2 * np.pi / 5 * 0.49)
    wave_numbers, partials = structure_factor(START, SPECIES, box, 2 * np.pi / 5 * 2.499)
    assert len(wave_numbers) == 2
    np.testing.assert_allclose(found, partials[1, [0, 2]] * 25 / np.bincount(SPECIES))


def test_a_common_shift_along_the_diagonal() -> None:
    # One particle: the mean of cos(k . d) over the three <100>.
    one, shift = np.zeros((1, 3)), np.array([[0.3, 0.7, 1.1]])
    found = collective_scattering(one, shift, np.zeros(1, np.uint8), np.full(3, 2 * np.pi), 1, 0.1)
    assert found[0] == pytest.approx(np.cos(shift).mean())
    assert np.isnan(found[1])
