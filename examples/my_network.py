"""A network of one's own, trained on a small dataset and scored on structures that it had not seen.

    python examples/my_network.py OUT

Four liquids of 200 particles are simulated; a small ParticleNet then learns the propensity of every particle from the
structure alone. Each network is trained on one structure, which teaches it next to nothing: for a result, take more of
them, and larger ones, in a new folder.
"""

import argparse
from pathlib import Path

import glassformer as gf

LIQUIDS = {
    "seed": 1, "particles": 200, "mixture": "kob-andersen-uniform", "configurations": 4, "draws": 8,
    "particle_times": [1.0], "schedule": {"count": 20, "last": 400, "until": 2.0},
    "equilibration": {
        "most_windows": 2,
        "stages": [{"temperature": 1.0, "duration": 2.0}, {"temperature": "target", "duration": 2.0, "ramp": True}],
    },
    "state_points": [{"temperature": 0.7, "density": 1.2, "hold_time": 5.0}],
}  # fmt: skip
RUN = {
    "targets": {"times": [1.0], "quantity": "propensity", "species": "all", "standardised": "species"},
    "split": {"folds": 2},
    "network": {"head": "particle", "neighbors": 8, "blocks": [[16, 16], [16, 16]], "fully_connected": [16]},
    "training": {"epochs": 20, "batch_size": 1, "learning_rate": 0.003},
}


def main() -> None:
    """Simulate, train, and show the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out

    # 1. Data: structures, each with eight draws of the velocities.
    data = gf.simulate(LIQUIDS, out / "data")
    print(data)

    # 2. Each structure is predicted by the network that had not seen it.
    training = gf.train(RUN, data, out / "training", allow_unequilibrated=True)

    # 3. How well: Pearson's correlation over the particles of a structure.
    for row in training.scores.rows:
        print(f"{row['species']}, t = {row['time']:g}: Pearson {row['pcc_mean']:.2f} ± {row['pcc_error']:.2f}")
    training.predictions.plot().figure.savefig(out / "predicted.png")

    # 4. One of the networks, asked about a structure without draws.
    first = data[0]
    bare = gf.structure(first.positions, first.species, first.box, mixture=first.mixture, temperature=0.7)
    print(gf.predict(training.models[0], bare))


if __name__ == "__main__":
    main()
