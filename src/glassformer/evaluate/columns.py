"""Columns of numbers by species and by pair of species, with the errors of their means."""

from collections.abc import Sequence

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.observables.species import species_pairs

Columns = dict[str, FloatArray]


def mean_and_error(name: str, values: FloatArray) -> Columns:
    """Return the mean over the first axis and its standard error."""
    number = len(values)
    error = values.std(0, ddof=1) / np.sqrt(number) if number > 1 else np.full(values.shape[1:], np.nan)
    return {name: values.mean(0), f"{name}_error": error}


def by_species(name: str, values: FloatArray, species: Sequence[str]) -> Columns:
    """Return mean and error over configurations of `values` (C, T, S), for each of `species`."""
    columns: Columns = {}
    for kind, one in enumerate(species):
        columns |= mean_and_error(f"{name}_{one.lower()}", values[..., kind])
    return columns


def by_pair(name: str, values: FloatArray, species: Sequence[str]) -> Columns:
    """Return mean and error over configurations of `values` (C, S (S + 1) / 2, bins), for each pair of `species`."""
    columns: Columns = {}
    for number, pair in enumerate(list(names_of_species(species))[len(species) :]):
        columns |= mean_and_error(f"{name}_{pair}", values[:, number])
    return columns


def names_of_species(species: Sequence[str]) -> dict[str, str]:
    """Return how columns end for each of `species` and for each pair of them, with what a legend calls it.

    Species first, then pairs in the order of `species_pairs`: 'a' for A, 'aa', 'ab', 'bb'; 'na', 'na_cl' for names of
    several letters.
    """
    between = ("", "") if all(len(name) == 1 for name in species) else ("_", "-")
    pairs = [(species[a], species[b]) for a, b in species_pairs(len(species))]
    return {name.lower(): name for name in species} | {
        between[0].join(pair).lower(): between[1].join(pair) for pair in pairs
    }
