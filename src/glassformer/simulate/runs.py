"""What an equilibration asks of whatever moves its particles: LAMMPS on a core, or a CUDA device that many share."""

from typing import Any, Protocol

from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lammps import Lammps


class Run(Protocol):
    """One trajectory at given temperatures and pressures. Every method raises `EngineError`."""

    def begin_npt(
        self,
        temperatures: tuple[float, float],
        pressures: tuple[float, float],
        steps: int,
        damping_time: float,
        done: int = 0,
    ) -> None:
        """Prepare a run of `steps`, ramping temperature and pressure; `done` of the steps lie behind."""

    def begin_nvt(self, temperatures: tuple[float, float], steps: int, damping_time: float, done: int = 0) -> None:
        """Prepare a run of `steps` at constant volume, ramping the temperature; `done` of them lie behind."""

    def advance(self, steps: int) -> None:
        """Advance the run that was prepared by `steps`."""

    def renew(self) -> NDArray[Any]:
        """Return all that the future depends on, and continue as a run does that is resumed from it."""

    def configuration(self) -> Configuration:
        """Return the present structure, wrapped."""

    def fractions(self) -> FloatArray:
        """Return the unwrapped positions (N, 3) as fractions of the present box."""

    def velocities(self) -> FloatArray:
        """Return the velocities (N, 3)."""

    def box(self) -> FloatArray:
        """Return the present box edges (3,)."""

    def potential_energy(self) -> float:
        """Return the potential energy U of the whole system."""

    def temperature(self) -> float:
        """Return the instantaneous temperature."""

    def pressure(self) -> float:
        """Return the instantaneous pressure."""

    def close(self) -> None:
        """Free what it holds."""


class Starter(Protocol):
    """Starts runs of one mixture with one time step."""

    def relaxed(self, configuration: Configuration) -> Configuration:
        """Return `configuration` near a local minimum of the energy: without overlaps."""

    def start(self, configuration: Configuration, velocities: FloatArray) -> Run:
        """Start a run."""

    def resume(self, contents: NDArray[Any], species: ByteArray) -> Run:
        """Continue from what `Run.renew` returned."""


class LammpsStarter:
    """Runs in LAMMPS, each on one core."""

    def __init__(self, mixture: Mixture, time_step: float) -> None:
        self._mixture, self._time_step = mixture, time_step

    def relaxed(self, configuration: Configuration) -> Configuration:
        """Return `configuration` after `Lammps.minimise`."""
        with Lammps(configuration, self._mixture, self._time_step) as engine:
            engine.minimise()
            return engine.configuration()

    def start(self, configuration: Configuration, velocities: FloatArray) -> Run:
        """Start a run."""
        return Lammps(configuration, self._mixture, self._time_step, velocities)

    def resume(self, contents: NDArray[Any], species: ByteArray) -> Run:
        """Continue from LAMMPS's restart file."""
        return Lammps.from_restart(contents, species, self._mixture, self._time_step)
