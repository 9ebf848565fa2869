"""What a file holds, in names and numbers, for people and for JSON."""

from typing import Any

import numpy as np

from glassformer.dataset.readers.contents import Contents


def summary(contents: Contents) -> dict[str, Any]:
    """Return what is known of `contents`; None for what is not."""
    trajectory, first, origin = contents.trajectory, contents.first, contents.origin
    counts = np.bincount(contents.species, minlength=len(contents.types))
    draws = contents.draws
    return {
        "file": str(contents.path),
        "format": contents.format,
        "particles": contents.particles,
        "types": {kind: int(count) for kind, count in zip(contents.types, counts, strict=True)},
        "dimension": first.dimension,
        "box": first.edges.tolist(),
        "density": first.density,
        "frames": trajectory.frames,
        "steps": None if trajectory.steps is None else [int(trajectory.steps[0]), int(trajectory.steps[-1])],
        "times": None if trajectory.times is None else [float(trajectory.times[0]), float(trajectory.times[-1])],
        "unwrapped": trajectory.unwrapped,
        "draws": None if draws is None else len(draws.displacements),
        "draw_times": None if draws is None or draws.times is None else draws.times.tolist(),
        "propensities": None if contents.propensities is None else len(contents.propensities.mean),
        "inherent_structure": contents.inherent_positions is not None,
        "cage_positions": contents.cage_positions is not None,
        "mixture": origin.mixture,
        "temperature": origin.temperature,
        "source": origin.source,
        "licence": origin.licence,
        "notes": list(contents.notes),
    }
