"""Structure of a configuration: partial radial distribution functions and structure factors."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.pairs import pair_distribution
from glassformer.observables.species import number_of_species, species_pairs
from glassformer.physics.checks import check_dimension, check_positions

# Particles whose phase factors are held at one time.
_BLOCK = 256


def radial_distribution(
    positions: FloatArray,
    species: ByteArray,
    box: FloatArray,
    edges: FloatArray,
    kinds: int | None = None,
    dimension: int = 3,
) -> FloatArray:
    """Return the partial radial distribution functions g_ab(r), (S (S + 1) / 2, bins), from `positions` (N, 3).

    g_ab(r) = pairs with edges[i] < r <= edges[i + 1] / [N_pairs V_shell / V], with N_pairs = N_a (N_a - 1) / 2 for one
    species and N_a N_b for two: exactly 1 on average for uniform, independent points. `edges` (bins + 1,) in sigma_AA.
    Rows, shells, `kinds` and `dimension` are those of `pair_distribution`. NaN for a species that is absent.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 2.

    Raises `ConfigurationError` if `edges` do not rise from zero or more to at most half the shortest box edge.
    """
    return pair_distribution(positions, positions, species, box, edges, kinds, dimension)


def structure_factor(
    positions: FloatArray,
    species: ByteArray,
    box: FloatArray,
    largest: float,
    kinds: int | None = None,
    dimension: int = 3,
) -> tuple[FloatArray, FloatArray]:
    """Return wave numbers (K,) and partial structure factors S_ab, (K, S (S + 1) / 2), from `positions` (N, 3).

    S_ab(k) = (1/N) <rho_a(k) rho_b(-k)>, rho_a(k) = sum_{j in a} exp(i k . r_j): the mean over all wave vectors
    k = 2 pi n / L, |k| <= `largest` (1 / sigma_AA), in shells of width 2 pi / L_max centred on its multiples; in two
    dimensions n_z = 0, and L_max is the longer of two edges. The wave number of a shell is its mean |k|. Columns are
    the pairs of `species_pairs`; `kinds`: S, as in `number_of_species`.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 4.

    Raises `ConfigurationError` if no wave vector is so short, or for arrays of another form or dimension.
    """
    check_positions(positions, species, box)
    check_dimension("positions", positions, dimension, box)
    number = number_of_species(species, kinds)
    unit = 2 * np.pi / box
    shortest = unit[:dimension].min()
    numbers = np.floor(largest / unit).astype(np.int64)
    numbers[dimension:] = 0
    # The half space n_x >= 0.
    waves = [
        np.arange(first, last + 1) * step for first, last, step in zip((0, *-numbers[1:]), numbers, unit, strict=True)
    ]
    length = np.sqrt(waves[0][:, None, None] ** 2 + waves[1][:, None] ** 2 + waves[2] ** 2)
    inside = (length > 0) & (length <= largest)
    if not inside.any():
        raise ConfigurationError(
            f"got wave numbers up to {largest:g}; the shortest wave vector of the box is {shortest:g}",
            "Ask for larger wave numbers.",
        )
    rho = [_density_modes(positions[species == kind], waves) for kind in range(number)]
    # k and -k contribute alike: those of n_x > 0 stand for both, those of n_x = 0 are all there.
    weight = np.broadcast_to(np.where(waves[0] > 0, 2.0, 1.0)[:, None, None], inside.shape)[inside]
    shell = np.rint(length[inside] / shortest).astype(np.int64)
    products = [(rho[a] * rho[b].conj()).real[inside] / len(positions) for a, b in species_pairs(number)]
    sums = np.stack(
        [np.bincount(shell, weight * values) for values in (np.ones(len(shell)), length[inside], *products)]
    )
    means = sums[1:, sums[0] > 0] / sums[0, sums[0] > 0]
    return means[0], means[1:].T


def total_structure_factor(partials: FloatArray) -> FloatArray:
    """Return S(k) = sum_a S_aa + 2 sum_{a < b} S_ab, (K,), from `partials` (K, S (S + 1) / 2).

    Two species: S_AA + 2 S_AB + S_BB. Raises `ConfigurationError` for another number of columns.
    """
    columns = partials.shape[-1]
    kinds = int((np.sqrt(8 * columns + 1) - 1) / 2)
    pairs = species_pairs(kinds)
    if len(pairs) != columns:
        raise ConfigurationError(
            f"got {columns} partial structure factors; expected S (S + 1) / 2 for S species: 1, 3, 6, 10 ...",
            "Give one for every pair of species.",
        )
    total: FloatArray = partials @ np.array([1.0 if a == b else 2.0 for a, b in pairs])
    return total


def _density_modes(positions: FloatArray, waves: list[FloatArray]) -> np.ndarray:
    """Return rho(k) on the grid of wave vectors with components `waves`.

    exp(i k . r) is a product of one factor an axis, so that the sum over particles is a product of matrices.
    """
    rho = np.zeros([len(wave) for wave in waves], np.complex128)
    for first in range(0, len(positions), _BLOCK):
        block = positions[first : first + _BLOCK]
        x, y, z = (np.exp(1j * wave[:, None] * block[:, axis]) for axis, wave in enumerate(waves))
        # One large product a block: many small ones wait for each other's threads on a busy machine.
        rho += ((x[:, None] * y).reshape(-1, len(block)) @ z.T).reshape(rho.shape)
    return rho
