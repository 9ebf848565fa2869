"""The thesis's question at toy size: does the structure alone tell at which state point a liquid is, and how it moves?

    python examples/thesis_in_small.py OUT

A ParticleNet reads the places of the particles, without velocities and box, and predicts ln MSD_A. Two state points of
200 particles and a few epochs show the way, and are too few for an answer: R^2 comes out near 0. That takes
`glassformer experiment thesis`.
"""

import argparse
from pathlib import Path

import glassformer as gf

SMALL = {
    "particles": 200, "configurations": 4, "draws": 4, "particle_times": [1.63], "schedule.until": 5.0,
    "equilibration.most_windows": 2, "state_points.hold_time": 5.0,
}  # fmt: skip
# Below T = 0.50 a liquid takes too long to equilibrate for a toy.
STATE_POINTS = ("T0.50", "T0.56")

RUN = {
    "seed": 2021,
    "targets": {"times": [1.63, "last"]},
    "split": {"folds": 2},
    "network": {"neighbors": 8, "blocks": [[16, 16], [16, 16]], "fully_connected": [16]},
    "training": {"epochs": 15, "batch_size": 2},
}


def main() -> None:
    """Simulate two state points, train on the structures, and compare with the state point's own mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    given = parser.parse_args()

    # 1. The thesis's campaign, made small.
    data = gf.simulate("thesis-demo", given.out / "data", changes=SMALL, only=STATE_POINTS)
    msd = gf.msd(data)
    for label in msd.labels:
        print(f"{label}: MSD_A({msd.at(label).times[-1]:.3g}) = {msd.at(label)['A'][-1]:.3f}")
    msd.plot().figure.savefig(given.out / "msd.png")

    # 2. Structure to dynamics, each configuration predicted by the network that had not seen it.
    training = gf.train(RUN, data, given.out / "training", allow_unequilibrated=True)
    print(training.predictions)

    # 3. The answer: an R^2 above 0 over all state points says that the network tells them apart; within one, that it
    #    sees more than the state point. The mean of each state point, which is told the answer, is the one to beat.
    for row in training.scores.rows:
        print(
            f"{row['state_point']}, t = {row['time']:.3g}: R^2 {row['r2']:.2f}, mean error of ln MSD_A:"
            f" network {row['network_mae']:.3f}, state point's mean {row['state_point_mean_mae']:.3f}"
        )


if __name__ == "__main__":
    main()
