"""The isoconfigurational ensemble: many velocity draws from one configuration.

A. Widmer-Cooper, P. Harrowell and H. Fynewever, Phys. Rev. Lett. 93, 135701 (2004).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.dataset.sample import Ensemble
from glassformer.observables.displacements import mean_squared_displacement, self_scattering
from glassformer.physics.configuration import Configuration
from glassformer.physics.kob_andersen import kob_andersen
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.protocol import advance_in_chunks
from glassformer.simulate.schedule import observation_steps


@dataclass(frozen=True, eq=False)
class Draw:
    """One trajectory: observables at T times, displacements (S, N, 3) at the particle times, energy drift."""

    msd: FloatArray
    self_scattering: FloatArray
    displacements: FloatArray
    energy_drift: float


def particle_steps(campaign: Campaign, steps: IntArray) -> IntArray:
    """Return the steps of the campaign's particle times. Raises `SettingsError` if one is no observation time."""
    wanted = np.array([round(time / campaign.time_step) for time in campaign.particle_times], dtype=np.int64)
    for time, step in zip(campaign.particle_times, wanted, strict=True):
        if step not in steps or abs(step * campaign.time_step - time) > 1e-9 * time:
            nearest = steps[np.argmin(np.abs(steps * campaign.time_step - time))]
            raise SettingsError(
                f"particle_times: t = {time:g} is no observation time of the schedule; the nearest is"
                f" {nearest * campaign.time_step:g}",
                "Choose particle times from the schedule.",
            )
    return wanted


def run_draw(
    configuration: Configuration, temperature: float, seed: int, campaign: Campaign, progress: Callable[[int], None]
) -> Draw:
    """Follow one draw from `configuration` by velocity Verlet at constant energy. Raises `EngineError`."""
    steps = observation_steps(campaign.schedule, campaign.time_step)
    followed = particle_steps(campaign, steps)
    velocities = maxwell_boltzmann(seed, configuration.particles, temperature)
    species = configuration.species
    msd, scattering = np.empty((len(steps), 2)), np.empty((len(steps), 2))
    displacements = np.empty((len(followed), configuration.particles, 3))
    with Lammps(configuration, kob_andersen(campaign.cutoff), campaign.time_step, velocities) as engine:
        engine.begin_nve(int(steps[-1]))
        start, energy, now = engine.positions(), engine.total_energy(), 0
        for index, step in enumerate(steps):
            advance_in_chunks(engine, int(step) - now, progress)
            now = int(step)
            displacement = engine.positions() - start
            msd[index] = mean_squared_displacement(displacement, species)
            scattering[index] = self_scattering(displacement, species)
            displacements[followed == step] = displacement
        drift = (engine.total_energy() - energy) / configuration.particles
    return Draw(msd, scattering, displacements, drift)


def collect(draws: list[Draw], seeds: list[int], campaign: Campaign) -> Ensemble:
    """Put the draws of one configuration together into the arrays of a sample."""
    steps = observation_steps(campaign.schedule, campaign.time_step)
    displacements = np.stack([draw.displacements for draw in draws])
    squared = (displacements**2).sum(-1)
    return Ensemble(
        times=steps * np.float64(campaign.time_step),
        seeds=np.array(seeds, dtype=np.int64),
        msd=np.stack([draw.msd for draw in draws]),
        self_scattering=np.stack([draw.self_scattering for draw in draws]),
        particle_times=particle_steps(campaign, steps) * np.float64(campaign.time_step),
        displacement_mean=np.sqrt(squared).mean(0).astype(np.float32),
        displacement_sq_mean=squared.mean(0).astype(np.float32),
    )
