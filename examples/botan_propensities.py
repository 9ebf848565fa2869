"""Propensities of the ten BOTAN configurations (T = 0.44, rho = 1.2, N = 4096) at t = 0.13, 1.3, 13 and 130.

    GLASSFORMER_DATA=... python examples/botan_propensities.py OUT [--workers 2]

Reads the configurations of BOTAN's data set from $GLASSFORMER_DATA/botan, follows 32 velocity draws of each in
lockstep, and writes one sample per configuration to OUT/T0.44_rho1.20, resumable at any moment. What every single
draw did stays in hidden folders beside the samples: from it the table is made. It gives, for every time, the mean
propensity of A and its noise ceiling: the correlation r over A particles of the propensities of two halves of the
draws, and what it leaves for a perfect prediction of the propensity of all draws, sqrt(2 r / (1 + r)) (Spearman-
Brown). With two cores it takes about a quarter of an hour.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.layout import DatasetFolder
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.seeds import named_seed
from glassformer.core.settings import check_settings
from glassformer.dataset.facts import Facts
from glassformer.dataset.readers.botan import read_botan
from glassformer.dataset.sample import Sample, write_sample
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import SPECIES_A
from glassformer.simulate.draws import run_draws
from glassformer.simulate.isoconfigurational import collect
from glassformer.simulate.lockstep.ensemble import VERSION
from glassformer.simulate.unfinished import Unfinished

TEMPERATURE, DENSITY = 0.44, 1.2
CAMPAIGN = check_settings(
    {
        "seed": 44,
        "particles": 4096,
        "mixture": "kob-andersen",
        "configurations": 10,
        "draws": 32,
        "engine": "lockstep",
        "particle_times": [0.13, 1.3, 13.0, 130.0],
        "schedule": {"first": 1, "count": 120, "last": 26_000},
        "state_points": [{"temperature": TEMPERATURE, "density": DENSITY, "hold_time": 1.0}],
    },
    Campaign,
    "BOTAN's configurations",
)
LABEL = CAMPAIGN.state_points[0].label


def simulate(source: Path, index: int, out: Path) -> dict[str, list[float]]:
    """Make the sample of one configuration and return its propensities' means and split-half correlations."""
    path = DatasetFolder(out).sample(LABEL, index)
    configuration = read_botan(source).first
    engine = f"lockstep {VERSION}"
    made_by = {"configuration": configuration.fingerprint, "engine": engine}
    key = parameter_hash(CAMPAIGN.model_dump(mode="json") | made_by)
    unfinished = Unfinished(path, key)
    seeds = [named_seed(CAMPAIGN.seed, source.name, "draw", draw) for draw in range(CAMPAIGN.draws)]
    seen, _ = run_draws(configuration, TEMPERATURE, seeds, CAMPAIGN, lambda done, more=0: None, unfinished)
    ensemble = collect(seen, seeds, CAMPAIGN)
    facts = Facts(
        state_point=LABEL, temperature=TEMPERATURE, density=DENSITY, mixture=CAMPAIGN.mixture,
        time_step=CAMPAIGN.time_step, seed=CAMPAIGN.seed, index=index, engine=engine,
        protocol=f"equilibrium configuration of BOTAN, {source.name}", parameter_hash=key, code_version=code_version(),
        equilibration_time=np.nan, tau_alpha=relaxation_time(ensemble.times, ensemble.self_scattering[:, :, 0].mean(0)),
        equilibration_in_tau_alpha=np.nan,
        energy_drift=float(abs(seen.last_energy - seen.first_energy).max() / configuration.particles),
    )  # fmt: skip
    write_sample(path, Sample(configuration, ensemble, facts))
    of_a = np.linalg.norm(seen.displacements, axis=-1)[:, :, configuration.species == SPECIES_A]
    halves = [np.corrcoef(of_a[0::2, s].mean(0), of_a[1::2, s].mean(0))[0, 1] for s in range(of_a.shape[1])]
    return {"propensity": of_a.mean((0, 2)).tolist(), "split_half": np.array(halves).tolist()}


def main() -> None:
    """Simulate what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    sources = sorted((Path(os.environ.get("GLASSFORMER_DATA", ".")) / "botan").glob("*.npz"))
    if not sources:
        parser.error("no BOTAN files: set GLASSFORMER_DATA to the folder that holds botan/*.npz")
    with ProcessPoolExecutor(arguments.workers) as pool:
        jobs = [pool.submit(simulate, source, index, arguments.out) for index, source in enumerate(sources)]
        rows = [job.result() for job in jobs]
    halves = np.array([row["split_half"] for row in rows])
    ceilings = np.sqrt(2 * halves / (1 + halves))
    table = {
        "configurations": len(rows),
        "times": CAMPAIGN.particle_times,
        "propensity_a": np.mean([row["propensity"] for row in rows], 0).tolist(),
        "split_half": halves.mean(0).tolist(),
        "ceiling": ceilings.mean(0).tolist(),
        "ceiling_standard_error": (ceilings.std(0, ddof=1) / np.sqrt(len(rows))).tolist(),
    }
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
