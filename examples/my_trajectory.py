"""From a trajectory of one's own to MSD, F_s and tau_alpha, on a page of figures.

    python examples/my_trajectory.py run.lammpstrj --time-step 0.005 --out figures.png

Any format that glassformer reads will do; docs/guide/lammps-dump.md says how to write a dump that holds enough.
"""

import argparse

from matplotlib import pyplot as plt

import glassformer as gf


def main() -> None:
    """Analyse the trajectory and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trajectory")
    parser.add_argument("--time-step", type=float)
    parser.add_argument("--mixture", default="kob-andersen")
    parser.add_argument("--out", default="figures.png")
    given = parser.parse_args()

    # 1. The file says where the particles are; the mixture, what they are called, and at which k to look.
    run = gf.read_trajectory(given.trajectory, mixture=given.mixture, time_step=given.time_step)
    print(run)

    # 2. A centre that drifts would be taken for diffusion.
    if run.drift:
        run = run.without_drift()

    # 3. Averages over time origins, with standard errors from blocks of time.
    msd, scattering = gf.msd(run), gf.self_scattering(run)
    for species in run.species_names:
        print(f"{species}: MSD {msd[species][-1]:.3f} at t = {msd.times[-1]:g}")
        print(f"{species}: tau_alpha {scattering.tau_alpha(species):.3g}")

    # 4. Every curve draws itself, on axes that you may choose.
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    msd.plot(left)
    scattering.plot(right)
    figure.savefig(given.out, dpi=150)
    print(f"figures: {given.out}")


if __name__ == "__main__":
    main()
