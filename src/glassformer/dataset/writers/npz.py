"""Structures and draws as numpy arrays: `readers.own_npz` says which."""

import io

import numpy as np

from glassformer.dataset.readers.own_npz import MARK
from glassformer.dataset.sample import Sample
from glassformer.dataset.writers.columns import Structure


def npz(structure: Structure, sample: Sample) -> bytes:
    """Return the structure, columns, facts, and what the draws of `sample` did, in double or the sample's precision."""
    configuration, ensemble = structure.configuration, sample.ensemble
    arrays = {
        MARK: np.array(1),
        "positions": configuration.positions,
        "species": configuration.species,
        "box": configuration.box,
        "species_names": np.array(structure.species),
        **structure.columns,
        **{name: np.array(value) for name, value in structure.facts.items()},
    }
    if configuration.inherent_positions is not None:
        arrays["inherent_positions"] = configuration.inherent_positions
    if ensemble is not None and len(ensemble.particle_times):
        arrays |= {"particle_times": ensemble.particle_times, "displacement_mean": ensemble.displacement_mean}
        if ensemble.displacements is not None:
            arrays["displacements"] = ensemble.displacements
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
