"""Arrays of another form are refused by every observable, with what was got and what was expected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.core.mixture import shipped_mixture
from glassformer.observables.displacements import mean_squared_displacement, quartic_displacement, self_scattering
from glassformer.observables.overlap import overlap
from glassformer.observables.propensity import propensity, split_half_ceiling
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.structure import radial_distribution, structure_factor
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from glassformer.physics.configuration import Configuration
from glassformer.physics.crystallinity import bond_order
from glassformer.physics.mixture import mixture_from
from glassformer.physics.pair import interactions

N, BOX = 100, np.full(3, 6.0)
RANDOM = np.random.default_rng(0)
POSITIONS = RANDOM.uniform(0, 6, (N, 3))
MOVES = RANDOM.normal(0, 0.3, (N, 3))
SPECIES = (np.arange(N) >= 80).astype(np.uint8)
EDGES = np.linspace(0, 2, 5)
MIXTURE = mixture_from(shipped_mixture("kob-andersen-uniform").model_dump())

OF_DISPLACEMENTS: dict[str, Callable[[Any, Any], Any]] = {
    "msd": mean_squared_displacement,
    "quartic": quartic_displacement,
    "scattering": lambda moves, species: self_scattering(moves, species, (7.25, 5.5)),
    "overlap": overlap,
    "self van Hove": lambda moves, species: self_van_hove(moves, species, EDGES),
    "coherent": lambda moves, species: collective_scattering(POSITIONS, moves, species, BOX, 7.0, 0.6),
}
OF_POSITIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "g(r)": lambda x, species, box: radial_distribution(x, species, box, EDGES),
    "S(k)": lambda x, species, box: structure_factor(x, species, box, 5.0),
    "distinct van Hove": lambda x, species, box: distinct_van_hove(x, MOVES, species, box, EDGES),
    "coherent": lambda x, species, box: collective_scattering(x, MOVES, species, box, 7.0, 0.6),
}
OF_CONFIGURATIONS: dict[str, Callable[[Configuration], Any]] = {
    "bond order": bond_order,
    "energies": lambda configuration: interactions(configuration, MIXTURE),
}
STRANGE_SPECIES = {
    r"got species \[0, 8\]; expected 0 to 7": SPECIES * np.uint8(8),
    r"got species \[-1, 0\]": SPECIES.astype(np.int64) - 1,
    r"species of type float64": SPECIES.astype(np.float64),
    r"species of shape \(99,\) for 100 particles": SPECIES[1:],
    r"species of shape \(100, 1\)": SPECIES[:, None],
}


@pytest.mark.parametrize("name", OF_DISPLACEMENTS)
def test_displacements_of_another_form(name: str) -> None:
    observable = OF_DISPLACEMENTS[name]
    assert np.isfinite(observable(MOVES, SPECIES)).all()
    for message, species in STRANGE_SPECIES.items():
        with pytest.raises(ConfigurationError, match=message):
            observable(MOVES, species)
    for strange in (MOVES[:, :2], MOVES.ravel(), MOVES[None]):
        with pytest.raises(ConfigurationError, match=r"got displacements of shape .*; expected \(N, 3\)"):
            observable(strange, SPECIES)
    with pytest.raises(ConfigurationError, match="displacements of 1 particles that are not finite"):
        observable(np.where(np.arange(N)[:, None] == 3, np.nan, MOVES), SPECIES)


@pytest.mark.parametrize("name", OF_POSITIONS)
def test_positions_of_another_form(name: str) -> None:
    observable = OF_POSITIONS[name]
    observable(POSITIONS, SPECIES, BOX)
    for message, species in STRANGE_SPECIES.items():
        with pytest.raises(ConfigurationError, match=message):
            observable(POSITIONS, species, BOX)
    with pytest.raises(ConfigurationError, match=r"got positions of shape \(100, 2\)"):
        observable(POSITIONS[:, :2], SPECIES, BOX)
    for flat in (POSITIONS * [1, 1, 0], POSITIONS * [0, 1, 1], POSITIONS[:, [0, 0, 1]], POSITIONS[:, :1] * [1, 1, 1]):
        with pytest.raises(ConfigurationError, match="all 100 particles lie in one plane"):
            observable(flat, SPECIES, BOX)
    for box in (BOX[:2], -BOX, BOX * [1, 1, 0], BOX * np.nan, np.diag(BOX)):
        with pytest.raises(ConfigurationError, match=r"got box edges .*; expected three positive lengths"):
            observable(POSITIONS, SPECIES, box)


@pytest.mark.parametrize("name", OF_CONFIGURATIONS)
def test_configurations_of_another_form(name: str) -> None:
    observable = OF_CONFIGURATIONS[name]
    observable(Configuration(POSITIONS, SPECIES, BOX))
    for strange, message in (
        (Configuration(POSITIONS, SPECIES * np.uint8(8), BOX), r"got species \[0, 8\]"),
        (Configuration(POSITIONS * [1, 1, 0], SPECIES, BOX), "lie in one plane"),
        (Configuration(POSITIONS[:, :2], SPECIES, BOX), "got positions of shape"),
        (Configuration(POSITIONS * np.nan, SPECIES, BOX), "not finite"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            observable(strange)


def test_propensities_of_another_form() -> None:
    draws = RANDOM.normal(0, 0.3, (4, N, 3))
    assert propensity(draws).shape == (N,)
    for strange in (draws[0], draws[..., :2], draws[:0]):
        with pytest.raises(ConfigurationError, match="got displacements of shape"):
            propensity(strange)
        with pytest.raises(ConfigurationError, match="got displacements of shape"):
            split_half_ceiling(strange, SPECIES)
    with pytest.raises(ConfigurationError, match="got species"):
        split_half_ceiling(draws, SPECIES * np.uint8(8))
