"""Which particles of a structure of one's own will move, and how sure that is.

    python examples/my_prediction.py liquid.xyz --temperature 0.44 --out predicted.extxyz

The models that ship are for the Kob-Andersen mixture at density 1.2; --model names one of your own. OVITO opens what
is written: colour the particles by `propensity`.
"""

import argparse

import numpy as np

import glassformer as gf


def main() -> None:
    """Predict, say how sure that is, and write every particle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structure")
    parser.add_argument("--mixture", default="kob-andersen")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--model", default="ka-t0.44-t4120-fast")
    parser.add_argument("--out", default="predicted.extxyz")
    given = parser.parse_args()

    # 1. The last frame of the file.
    structure = gf.read(given.structure, mixture=given.mixture, temperature=given.temperature)[-1]
    print(structure)

    # 2. Most models read the inherent structure: the nearest minimum of the energy.
    structure = gf.quench(structure)
    print(f"energy per particle: {structure.energy:.3f}, in the inherent structure {structure.inherent.energy:.3f}")

    # 3. The prediction, and what it warns of.
    predicted = gf.propensity(structure, given.model)
    print(predicted)

    # 4. The particles of the first species that will most likely go farthest, among those the model knows the like of.
    first = (structure.species == 0) & (predicted.distance < 1)
    farthest = np.argsort(np.where(first, predicted.values, -np.inf))[::-1][:5]
    for number in farthest[first[farthest]]:
        print(f"particle {number}: {predicted.values[number]:.2f} ± {predicted.uncertainty[number]:.2f}")

    # 5. To ASE, and from there to OVITO.
    predicted.to_ase().write(given.out, format="extxyz")
    print(f"every particle: {given.out}")


if __name__ == "__main__":
    main()
