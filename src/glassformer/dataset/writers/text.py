"""Structures as text: extended XYZ and LAMMPS dumps, with every digit that the numbers have."""

import re

import numpy as np

from glassformer.dataset.writers.columns import Structure


def extended_xyz(structure: Structure) -> bytes:
    """Return the structure as extended XYZ: id, type from 1, pos, and a column for each of `columns`.

    The second line has a key=value pair for each of `facts`, and for the step where it is known.
    Types are numbers, as OVITO takes them for its particle types and ASE keeps them: 'A' is no chemical element.
    """
    configuration = structure.configuration
    x, y, z = (f"{edge:.17g}" for edge in configuration.box)
    properties = "id:I:1:type:I:1:pos:R:3" + "".join(f":{name}:R:1" for name in structure.columns)
    periodic = "T T F" if configuration.dimension == 2 else "T T T"
    step = "" if structure.step is None else f" Step={structure.step}"
    header = (
        f'Lattice="{x} 0 0 0 {y} 0 0 0 {z}" Properties={properties} pbc="{periodic}"'
        f" species_names={','.join(structure.species)}{step}"
    ) + "".join(f" {name}={_value(value)}" for name, value in structure.facts.items())
    return f"{configuration.particles}\n{header}\n".encode() + _table(structure)


def _value(value: str | float) -> str:
    """Return a number with its digits, or a text, in quotation marks unless it is one word."""
    text = value if isinstance(value, str) else f"{value:.10g}"
    return text if re.fullmatch(r"[\w.+-]+", text) else '"' + text.replace('"', "'") + '"'


def lammps_dump(structure: Structure) -> bytes:
    """Return the structure as a dump of one frame: id type x y z, and a column for each of `columns`."""
    configuration = structure.configuration
    edges = list(configuration.box)
    # LAMMPS has the plane of two dimensions inside the box.
    low = [0.0, 0.0, -edges[2] / 2 if configuration.dimension == 2 else 0.0]
    bounds = "\n".join(f"{start:.17g} {start + edge:.17g}" for start, edge in zip(low, edges, strict=True))
    names = " ".join(["id", "type", "x", "y", "z", *structure.columns])
    return (
        f"ITEM: UNITS\nlj\nITEM: TIMESTEP\n{structure.step or 0}\nITEM: NUMBER OF ATOMS\n{configuration.particles}\n"
        f"ITEM: BOX BOUNDS pp pp pp\n{bounds}\nITEM: ATOMS {names}\n"
    ).encode() + _table(structure)


def _table(structure: Structure) -> bytes:
    configuration = structure.configuration
    # Of a position the shortest text that is read as the same number.
    places = configuration.positions.astype(np.float64).tolist()
    columns = np.column_stack([*structure.columns.values()]).tolist() if structure.columns else [[]] * len(places)
    lines = [
        " ".join([f"{number} {kind + 1}", *map(repr, place), *(f"{value:.9g}" for value in values)])
        for number, (kind, place, values) in enumerate(
            zip(configuration.species.tolist(), places, columns, strict=True), start=1
        )
    ]
    return "\n".join([*lines, ""]).encode()
