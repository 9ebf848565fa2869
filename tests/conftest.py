"""Shared fixtures: a tiny campaign that is really simulated once, and synthetic samples for the tests of files."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from glassformer.core.arrays import ISOCONFIGURATIONAL, FloatArray
from glassformer.core.campaign import Campaign
from glassformer.core.checksum import with_user_block
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.facts import Facts
from glassformer.dataset.sample import Ensemble, EquilibrationRecord, Sample
from glassformer.observables.recorded import AVERAGED
from glassformer.observables.species import mean_by_species
from glassformer.physics.configuration import Configuration
from glassformer.physics.lattice import rattled_lattice as rattled_lattice
from tests.liquids import mixture

# Before anything imports Triton, which asks when its functions are defined: without a GPU its kernels are interpreted.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

TINY_CAMPAIGN = {
    "seed": 11,
    "particles": 200,
    "cutoff": "uniform",
    "configurations": 4,
    "draws": 2,
    "engine": "lammps",
    "particle_times": [1.065],
    "schedule": {"first": 1, "count": 20, "last": 400, "until": 2.0},
    "equilibration": {
        # Far from enough for a physicist; what the windows measure is real all the same.
        "hold_in_tau_alpha": 0.01,
        "most_windows": 40,
        "stages": [
            {"temperature": 0.5495, "pressure": 0.4888, "duration": 0.5},
            {"temperature": "target", "duration": 0.5, "ramp": True},
        ],
    },
    "state_points": [
        {"temperature": 0.5, "pressure": 1.55, "hold_time": 0.5},
        {"temperature": 0.56, "pressure": 0.17, "hold_time": 0.5},
    ],
}

TINY_RUN = {
    "seed": 3,
    "targets": {"times": ["last"]},
    "split": {"folds": 2, "validation_per_state_point": 1},
    "network": {"neighbors": 6, "blocks": [[8, 8], [8, 8]], "fully_connected": [8]},
    "training": {"epochs": 4, "batch_size": 2},
}

# Tests, and files with fixtures, that took long: `python -m tests.slower LOG` writes it.
SLOWER = Path(__file__).with_name("slower.txt")
# Seconds that a slow test may take: the longest stop and continue a command 20 times.
SLOW_TIMEOUT = 3600


def pytest_configure() -> None:
    # A shell that starts the tests in the background, or under nohup, has them ignore Ctrl-C or a hang-up, and all that
    # they start, too.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help=f"leave out the tests that {SLOWER.name} lists")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fast"):
        leave_out = set(SLOWER.read_text().split())
        names = [(item.nodeid.partition("::")[0], item.nodeid.partition("[")[0]) for item in items]
        kept = [item for item, of in zip(items, names, strict=True) if leave_out.isdisjoint(of)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    for item in items:
        if "slow" in Path(item.fspath).parts:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of outside reference data, or a skip with its reason."""
    folder = os.environ.get("GLASSFORMER_DATA")
    if not folder:
        pytest.skip("needs the reference data: set GLASSFORMER_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_campaign() -> Campaign:
    return check_settings(TINY_CAMPAIGN, Campaign, "tiny")


@pytest.fixture(scope="session")
def tiny_run() -> Run:
    return check_settings(TINY_RUN, Run, "tiny")


@pytest.fixture(scope="session")
def tiny_dataset(tiny_campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight configurations of 200 particles, simulated by LAMMPS: 2 state points x 4."""
    from glassformer.simulate.campaign import run_campaign

    dataset = tmp_path_factory.mktemp("tiny") / "data"
    run_campaign(tiny_campaign, dataset, Silent(), workers=2)
    return dataset


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """Open one of the package's HDF5 files to be changed, and give it the checksum of what it then holds."""
    with h5py.File(path, "a") as file:
        yield file
    path.write_bytes(with_user_block(path.read_bytes()))


def random_mixture(particles: int, seed: int = 0, density: float = 1.2) -> Configuration:
    """Uniformly random positions: good for files and graphs, not for energies."""
    edge = (particles / density) ** (1 / 3)
    positions = np.random.default_rng(seed).uniform(0, edge, (particles, 3))
    return Configuration(positions, mixture(particles), np.full(3, edge))


def synthetic_sample(index: int = 0, state_point: str = "T0.50_P1.55", draws: int = 3, particles: int = 100) -> Sample:
    """A sample whose arrays have the right form; the numbers follow a formula."""
    configuration = random_mixture(
        particles, seed=index + 1000 * len(state_point) + round(100 * float(state_point[1:5]))
    )
    times = np.array([0.5, 1.0, 2.0])
    random = np.random.default_rng(index)
    msd = 0.1 * times[:, None] * np.array([1.0, 2.0]) * random.uniform(0.8, 1.2, (draws, 1, 1))
    rows = {
        "times": times,
        "seeds": np.arange(draws, dtype=np.int64),
        "msd": msd,
        "self_scattering": np.exp(-msd),
        "particle_times": np.array([1.0]),
        "displacement_mean": np.empty((1, particles), np.float32),
        "displacement_sq_mean": np.empty((1, particles), np.float32),
        "quartic": 2 * msd**2,
        "overlap": np.exp(-msd),
        "displacements": random.normal(0, 1, (draws, 1, particles, 3)).astype(np.float32),
    }
    # A row that has no formula here has its form.
    sizes = {"D": draws, "N": particles, "Q": 2, "S": 1, "T": len(times)}
    others = {spec.name: np.full(spec.sized(sizes), 0.5, spec.dtype) for spec in ISOCONFIGURATIONAL}
    ensemble = Ensemble(**others | rows)
    record = EquilibrationRecord(
        *random.uniform(1, 2, (5, 7)), windows=np.where(np.arange(16) == 7, np.nan, 1.5).reshape(2, 8)
    )
    named = re.fullmatch(r"T[\d.]+_P(-?[\d.]+)", state_point)
    facts = Facts(
        state_point=state_point, temperature=float(state_point[1:5]), pressure=float(named.group(1)) if named else 1.55,
        cutoff="uniform", time_step=0.005,
        seed=1, index=index, engine="none", protocol="none", parameter_hash="0", code_version="0",
        equilibration_time=10.0,
        tau_alpha=2.0, equilibration_in_tau_alpha=5.0, energy_drift=1e-5, wave_number_a=7.25, wave_number_b=5.5,
        equilibrated=True, hold_tau_alpha=2.0, q6=0.01, crystalline_fraction=0.0,
    )  # fmt: skip
    return with_msd(Sample(configuration, ensemble, facts, record), msd)


def with_msd(sample: Sample, msd: FloatArray) -> Sample:
    """`sample` with the mean squared displacements `msd`, and a quartic and displacements that fit them."""
    ensemble, species = sample.ensemble, sample.configuration.species
    assert ensemble.displacements is not None
    displacements = ensemble.displacements.astype(np.float64)
    for number, time in enumerate(ensemble.particle_times):
        at = ensemble.times.tolist().index(time)
        for draw, wanted in zip(displacements[:, number], msd[:, at], strict=True):
            draw *= np.sqrt(wanted / mean_by_species((draw**2).sum(1), species))[species, None]
    means = {name: of(displacements).mean(0).astype(np.float32) for name, of in AVERAGED.items()}
    scaled = replace(
        ensemble,
        msd=msd,
        quartic=2 * msd**2,
        displacements=displacements.astype(np.float32),
        **means,
    )
    return replace(sample, ensemble=scaled)
