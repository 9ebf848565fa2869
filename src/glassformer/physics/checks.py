"""Arrays of particles, checked before anything is computed from them; any number type that holds the values will do."""

import numpy as np
from numpy.typing import NDArray

from glassformer.core.errors import ConfigurationError
from glassformer.physics.configuration import MOST_SPECIES, THICKNESS, check_not_flat


def check_species(species: NDArray[np.generic], particles: int) -> None:
    """Raise `ConfigurationError` unless `species` is (N,) of whole numbers from 0 to 7, N = `particles`."""
    if species.shape != (particles,):
        raise ConfigurationError(
            f"got species of shape {species.shape} for {particles} particles; expected ({particles},)",
            "Give one species for each particle.",
        )
    if species.dtype.kind not in "iu":
        raise ConfigurationError(
            f"got species of type {species.dtype}; expected whole numbers from 0", "Convert them first."
        )
    # By the extremes: this is called for every draw at every time.
    if particles and (int(species.min()) < 0 or int(species.max()) >= MOST_SPECIES):
        raise ConfigurationError(
            f"got species {np.unique(species)[:8].tolist()}; expected 0 to {MOST_SPECIES - 1}",
            "Species are counted from 0, in the mixture's order.",
        )


def check_vectors(name: str, vectors: NDArray[np.floating], species: NDArray[np.generic]) -> None:
    """Raise `ConfigurationError` unless `vectors` are (N, 3) finite numbers, with a species for each particle.

    `name` is what they are called in the message.
    """
    if vectors.ndim != 2 or vectors.shape[1] != 3:
        raise ConfigurationError(
            f"got {name} of shape {vectors.shape}; expected (N, 3)", "In two dimensions give z = 0."
        )
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(1)).sum())
        raise ConfigurationError(f"got {name} of {bad} particles that are not finite numbers", "Leave them out.")
    check_species(species, len(vectors))


def check_positions(positions: NDArray[np.floating], species: NDArray[np.generic], box: NDArray[np.floating]) -> None:
    """Raise `ConfigurationError` unless these are positions (N, 3), not all in a plane, species (N,) and box (3,)."""
    check_vectors("positions", positions, species)
    if box.shape != (3,) or not (np.isfinite(box) & (box > 0)).all():
        raise ConfigurationError(
            f"got box edges {np.asarray(box).tolist()}; expected three positive lengths", "Give (Lx, Ly, Lz)."
        )
    check_not_flat(positions, box, "the positions")


def check_dimension(
    name: str, vectors: NDArray[np.floating], dimension: int, box: NDArray[np.floating] | None = None
) -> None:
    """Raise `ConfigurationError` unless `vectors` (N, 3), called `name`, are those of `dimension` dimensions, 2 or 3.

    Two dimensions: z = 0 for every particle and, where a `box` (3,) is given, an edge of 1 along z.
    """
    if dimension not in (2, 3):
        raise ConfigurationError(f"got dimension = {dimension}; expected 2 or 3", "Give that of the mixture.")
    # Displacements alone may be flat by chance: nothing has moved at t = 0.
    if dimension == 3 and box is None:
        return
    flat = not vectors[:, 2].any() and (box is None or box[2] == THICKNESS)
    if flat and dimension == 3 and len(vectors):
        raise ConfigurationError(
            f"got {name} with z = 0 in a box of edge {THICKNESS:g} along z, which are two-dimensional; expected three"
            " dimensions",
            "Give dimension = 2.",
        )
    if not flat and dimension == 2:
        edge = "" if box is None else f" in a box of edge {box[2]:g} along z"
        raise ConfigurationError(
            f"got {name} with z from {vectors[:, 2].min():g} to {vectors[:, 2].max():g}{edge}; expected z = 0 and a box"
            f" edge of {THICKNESS:g} in two dimensions",
            "Set them, or give dimension = 3.",
        )
