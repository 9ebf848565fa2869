"""Mixtures: their tables, potentials against LAMMPS's pair styles, both engines, velocities, and a campaign of each."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from glassformer.core.campaign import Campaign
from glassformer.core.errors import ConfigurationError, SettingsError
from glassformer.core.mixture import MixtureSettings, particle_numbers, shipped_mixture, shipped_mixtures
from glassformer.core.presets import load_campaign, load_mixture
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.mixtures import mixture_of, shipped
from glassformer.observables.displacements import mean_squared_displacement, self_scattering
from glassformer.observables.structure import radial_distribution
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import interactions
from glassformer.physics.pair_forces import PairForces
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep.engine import Lockstep

# Usual number densities.
DENSITIES = {"wahnstrom": 1.296, "soft-spheres": 0.8, "kob-andersen-2d": 1290 / 32.8962**2}
# The mixtures that ship, and every other truncation of both forms.
TRUNCATED = {
    f"{name}, {truncation}": (name, truncation)
    for name in ("kob-andersen", "soft-spheres")
    for truncation in ("cut", "shifted-force", "smooth")
}
EVERY = [*shipped_mixtures(), *TRUNCATED]
every_mixture = pytest.mark.parametrize("name", EVERY)


def mixture(name: str) -> Mixture:
    if name in TRUNCATED:
        source, truncation = TRUNCATED[name]
        return replace(shipped(source), truncation=truncation)
    return shipped(name)


def density(name: str) -> float:
    return DENSITIES.get(name.partition(",")[0], 1.2)


@cache
def liquid(name: str) -> tuple[Configuration, np.ndarray]:
    """Return a hot liquid of a few hundred particles and its velocities, from LAMMPS."""
    kind = mixture(name)
    particles = 430 if kind.dimension == 2 else 400
    start = random_configuration(kind, particles, density(name), seed=1)
    with Lammps(start, kind, 0.004) as engine:
        engine.minimise()
        start = engine.configuration()
    velocities = maxwell_boltzmann(2, kind.masses_of(start.species), 1.0, kind.dimension)
    with Lammps(start, kind, 0.004, velocities) as engine:
        engine.begin_nvt((1.0, 1.0), 500, 0.4)
        engine.advance(500)
        return engine.configuration(), engine.velocities()


@pytest.mark.long
@every_mixture
def test_energy_forces_and_virial_equal_those_of_lammps(name: str) -> None:
    (structure, velocities), kind = liquid(name), mixture(name)
    found, fast = interactions(structure, kind), PairForces(structure, kind)(structure.positions)
    lockstep = Lockstep(structure, kind, 0.004, velocities[None])
    with Lammps(structure, kind, 0.004, velocities) as engine:
        engine.begin_nve(1)
        energy, forces, pressure = engine.potential_energy(), engine.forces(), engine.pressure()
    scale, volume = np.abs(forces).max(), float(np.prod(structure.box))
    kinetic = (kind.masses_of(structure.species)[:, None] * velocities**2).sum()
    virial = kind.dimension * volume * pressure - kinetic
    for one, tolerance in ((found, 1e-10), (fast, 1e-10)):
        assert np.abs(one.force - forces).max() < tolerance * scale
    assert found.energy.sum() == pytest.approx(energy, rel=1e-10)
    assert fast.energy == pytest.approx(energy, rel=1e-10)
    assert found.virial.sum() == pytest.approx(virial, rel=1e-10)
    assert np.abs(lockstep.forces()[0] - forces).max() < 1e-5 * scale
    assert lockstep.potential_energy()[0] == pytest.approx(energy, rel=1e-5)
    assert lockstep.virial()[0] == pytest.approx(virial, rel=1e-5)


@every_mixture
def test_forces_are_the_slope_of_the_energy_of_a_pair(name: str) -> None:
    kind = mixture(name)
    for a in range(kind.kinds):
        for b in range(a, kind.kinds):
            box = np.array([20.0, 20.0, 20.0 if kind.dimension == 3 else 1.0])

            def pair(r: np.ndarray, a: int = a, b: int = b, box: np.ndarray = box) -> Configuration:
                z = 3.0 if box[2] > 1 else 0.0
                positions = np.array([[3.0, 3.0, z], [3.0 + float(r[0]), 3.0, z]])
                return Configuration(positions, np.array([a, b], np.uint8), box)

            for r in (0.9, 1.3, kind.cutoff[a, b] - 0.01):
                at = np.array([r * kind.sigma[a, b] if r < 2 else r])
                force = interactions(pair(at), kind).force[1, 0]
                slope = approx_fprime(at, lambda r: float(interactions(pair(r), kind).energy.sum()), 1e-7)[0]
                assert force == pytest.approx(-slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("truncation", "continuous"), [("cut", 0), ("shifted", 1), ("shifted-force", 2), ("smooth", 3)]
)
@pytest.mark.parametrize("name", ["kob-andersen", "soft-spheres"])
def test_what_vanishes_at_the_cutoff(name: str, truncation: str, continuous: int) -> None:
    """Value, slope and curvature, as many as the truncation promises, and no more."""
    kind = replace(shipped(name), truncation=truncation)
    a, b, r, shift, linear, square, fourth = kind.pair_terms
    value = a / 12 / r**12 - b / 6 / r**6 - shift + linear * r + square * r**2 + fourth * r**4
    slope = (b / r**6 - a / r**12) / r + linear + 2 * square * r + 4 * fourth * r**3
    curvature = (13 * a / r**12 - 7 * b / r**6) / r**2 + 2 * square + 12 * fourth * r**2
    for order, derivative in enumerate((value, slope, curvature)):
        assert (np.abs(derivative) < 1e-13).all() == (order < continuous)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["lammps", "lockstep"])
# Of a potential that jumps at its cutoff the energy does not converge: it is left out.
@pytest.mark.parametrize("name", [name for name in EVERY if not name.endswith("cut")])
def test_the_error_of_the_total_energy_falls_as_the_square_of_the_time_step(name: str, engine: str) -> None:
    (structure, velocities), kind = liquid(name), mixture(name)

    def error(time_step: float) -> float:
        steps, energies = round(0.02 / time_step), []
        if engine == "lockstep":
            lockstep = Lockstep(structure, kind, time_step, velocities[None], np.float64)
            for _ in range(12):
                energies.append(lockstep.total_energy()[0])
                lockstep.advance(steps)
        else:
            with Lammps(structure, kind, time_step, velocities) as lammps:
                lammps.begin_nve(12 * steps)
                for _ in range(12):
                    energies.append(lammps.total_energy())
                    lammps.advance(steps)
        return float(np.std(energies))

    # The kink of a force that jumps at the cutoff blurs the ratio of 4 a little.
    assert error(0.004) / error(0.002) == pytest.approx(4, rel=0.15)


@pytest.mark.long
@pytest.mark.parametrize("name", ["wahnstrom", "kob-andersen-2d"])
def test_lockstep_follows_lammps_step_by_step(name: str) -> None:
    (structure, velocities), kind = liquid(name), mixture(name)
    lockstep = Lockstep(structure, kind, 0.002, np.stack([velocities, -velocities]), np.float64)
    lockstep.advance(100)
    with Lammps(structure, kind, 0.002, velocities) as engine:
        engine.begin_nve(100)
        start = engine.positions()
        engine.advance(100)
        moved = engine.positions() - start
    assert np.abs(lockstep.displacements()[0] - moved).max() < 1e-10
    np.testing.assert_allclose(lockstep.velocities()[0].shape, velocities.shape)
    if kind.dimension == 2:
        assert not lockstep.displacements()[:, :, 2].any()
        assert not moved[:, 2].any()


@pytest.mark.parametrize("name", shipped_mixtures())
def test_velocities_have_the_temperature_and_no_momentum(name: str) -> None:
    kind = shipped(name)
    masses = kind.masses_of(kind.assign(4300))
    velocities = maxwell_boltzmann(3, masses, 0.7, kind.dimension)
    freedom = kind.dimension * (len(masses) - 1)
    assert (masses[:, None] * velocities**2).sum() == pytest.approx(0.7 * freedom, rel=1e-12)
    np.testing.assert_allclose((masses[:, None] * velocities).sum(0), 0, atol=1e-10)
    # Equipartition: <m v^2> = T for every mass; its relative standard error is sqrt(2 / n) for n components.
    for mass in np.unique(masses):
        components = velocities[masses == mass, : kind.dimension]
        error = np.sqrt(2 / components.size)
        assert mass * (components**2).mean() == pytest.approx(0.7, rel=4 * error)
    assert velocities[:, 2].any() == (kind.dimension == 3)


# Parameters as the papers print them, by pair: epsilon, sigma; masses.
PRINTED = {
    "kob-andersen": ([1, 1.5, 0.5], [1, 0.8, 0.88], [1, 1]),
    "kob-andersen-uniform": ([1, 1.5, 0.5], [1, 0.8, 0.88], [1, 1]),
    "kob-andersen-65-35": ([1, 1.5, 0.5], [1, 0.8, 0.88], [1, 1]),
    "wahnstrom": ([1, 1, 1], [1, 11 / 12, 5 / 6], [1, 0.5]),
    "kob-andersen-2d": ([1, 1.5, 0.75, 0.5, 1.5, 0.75], [1, 0.8, 0.9, 0.88, 0.8, 0.94], [1, 1, 1]),
    "soft-spheres": ([1, 1, 1], [1, 1.1, 1.2], [1, 2]),
}


@pytest.mark.parametrize("name", shipped_mixtures())
def test_parameters_are_those_of_the_papers(name: str) -> None:
    kind = shipped(name)
    epsilon, sigma, masses = PRINTED[name]
    upper = np.triu_indices(kind.kinds)
    np.testing.assert_allclose(kind.epsilon[upper], epsilon, rtol=1e-15)
    np.testing.assert_allclose(kind.sigma[upper], sigma, rtol=1e-15)
    np.testing.assert_array_equal(kind.masses, masses)
    assert "(19" in load_source(name) or "(20" in load_source(name)


def load_source(name: str) -> str:
    return " ".join(line for line in Path(preset_path(name)).read_text().splitlines() if line.startswith("#"))


def preset_path(name: str) -> str:
    from glassformer.core.presets import MIXTURES, preset

    return str(preset(MIXTURES, name))


def test_the_two_dimensional_mixture_has_the_numbers_of_its_data() -> None:
    assert particle_numbers(shipped_mixture("kob-andersen-2d").fractions, 1290) == (600, 330, 360)
    assert np.bincount(shipped("kob-andersen-2d").assign(1290)).tolist() == [600, 330, 360]


TABLE = {
    "species": ["A", "B"],
    "composition": [3, 1],
    "epsilon": [[1, 1.2], [1.2, 0.8]],
    "sigma": [[1, 0.9], [0.9, 0.8]],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"epsilon": [[1, 1.2], [1.1, 0.8]]},
            r"epsilon: got 1.1 and 1.2 for one pair of species; expected a symmetric",
        ),
        ({"sigma": [[1, 0.9]]}, r"sigma: got rows of \[2\] values; expected 2 rows of 2"),
        ({"masses": [1.0]}, "masses: got 1 values for 2 species; expected one for each"),
        ({"composition": [1, 2, 3]}, "composition: got 3 values for 2 species"),
        ({"species": ["A", "A"]}, "species: got A, A; expected different names"),
        ({"species": ["A", "b#1"]}, "species"),
        ({"cutoff": 2.5}, "give either cutoff or cutoff_in_sigma, and not both"),
        ({"cutoff_in_sigma": None}, "give either cutoff or cutoff_in_sigma"),
        ({"form": "yukawa"}, "form: got 'yukawa'; expected 'lennard-jones' or 'inverse-power'"),
        ({"truncation": "none"}, "truncation: got 'none'"),
        ({"dimension": 4}, "dimension"),
        ({"masses": [1.0, 0.0]}, "masses"),
        ({"sigmas": 1}, "unknown key sigmas; did you mean 'sigma'"),
        ({"name": "a\nb"}, "printable"),
    ],
)
def test_wrong_tables_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_settings(TABLE | {"cutoff_in_sigma": 2.5} | changes, MixtureSettings, "mine.toml")


def test_what_is_not_given_has_a_default() -> None:
    table = check_settings(TABLE | {"cutoff": 2.0}, MixtureSettings, "mine.toml")
    kind = mixture_of(table)
    np.testing.assert_allclose(kind.wave_numbers, 7.25 / np.array([1, 0.8]))
    np.testing.assert_array_equal(kind.masses, [1, 1])
    np.testing.assert_array_equal(kind.fractions, [0.75, 0.25])
    np.testing.assert_array_equal(kind.cutoff, np.full((2, 2), 2.0))
    assert (kind.truncation, kind.form, kind.dimension) == ("shifted", "lennard-jones", 3)


def test_a_liquid_is_known_by_its_physics() -> None:
    first = shipped_mixture("kob-andersen")
    renamed = first.model_copy(update={"name": "mine", "species": ("X", "Y"), "wave_numbers": (7.0, 5.0)})
    parts = first.model_copy(update={"composition": (4.0, 1.0)})
    assert first.identity == renamed.identity == parts.identity == "scaled"
    assert shipped_mixture("kob-andersen-uniform").identity == "uniform"
    names = {shipped_mixture(name).identity for name in shipped_mixtures()}
    assert len(names) == len(shipped_mixtures())
    heavier = first.model_copy(update={"masses": (1.0, 2.0)})
    assert heavier.identity not in names


def test_other_compositions_and_dimensions_are_refused() -> None:
    kind = shipped("kob-andersen")
    kind.check(kind.assign(1000), "here")
    # 3277 of 4096 are as near as whole numbers come; 27 such boxes are a box, too.
    kind.check(np.tile(kind.assign(4096), 27), "here")
    with pytest.raises(ConfigurationError, match=r"got 88000 A particles of 110592; expected 88364 to 88584, 80 %"):
        kind.check((np.arange(110592) >= 88000).astype(np.uint8), "here")
    with pytest.raises(ConfigurationError, match=r"here: got 500 A particles of 1000; expected 800, 80 %: the kob"):
        kind.check(shipped("wahnstrom").assign(1000), "here")
    with pytest.raises(ConfigurationError, match="got 3 species; expected 2, A, B"):
        kind.check(shipped("kob-andersen-2d").assign(1290), "here")
    flat = liquid("kob-andersen-2d")[0]
    with pytest.raises(ConfigurationError, match="in 2 dimensions; wahnstrom is a mixture in 3"):
        interactions(flat, shipped("wahnstrom"))
    with pytest.raises(ConfigurationError, match="got particles of 2 species"):
        interactions(liquid("kob-andersen")[0], replace(kind, species=("A",), cutoff=kind.cutoff[:1, :1]))


CAMPAIGN = """
seed = 5
particles = {particles}
configurations = 1
draws = 2
engine = "{engine}"
time_step = 0.004
particle_times = [0.4]
{mixture}

[schedule]
first = 1
count = 12
last = 250

[equilibration]
time_step = 0.004
hold_in_tau_alpha = 0.01
most_windows = 2

[[equilibration.stages]]
temperature = 1.0
pressure = 1.0
duration = 2.0

[[state_points]]
temperature = 1.0
density = {density}
hold_time = 1.0
"""


@pytest.mark.long
@pytest.mark.parametrize("name", shipped_mixtures())
def test_a_campaign_of_each_from_simulation_to_observables(name: str, tmp_path: Path) -> None:
    """What the draws' files hold is what LAMMPS's own computes say of the same run."""
    flat = shipped(name).dimension == 2
    text = CAMPAIGN.format(
        particles=860 if flat else 500, engine="lammps", mixture=f'mixture = "{name}"', density=density(name)
    )
    (tmp_path / "campaign.toml").write_text(text)
    campaign = load_campaign(str(tmp_path / "campaign.toml"))
    assert run_campaign(campaign, tmp_path / "data", Silent(), workers=1) == 1
    (sample,) = read_dataset(tmp_path / "data")
    kind, c = sample.mixture, sample.configuration
    assert sample.facts.mixture == shipped_mixture(name)
    assert c.dimension == kind.dimension
    assert c.density == pytest.approx(density(name), rel=1e-9)
    velocities = maxwell_boltzmann(
        int(sample.ensemble.seeds[0]), kind.masses_of(c.species), sample.facts.temperature, kind.dimension
    )
    with Lammps(c, kind, 0.004, velocities) as engine:
        moved, distances = lammps_computes(engine, kind)
        engine.begin_nve(250)
        engine.advance(250)
        msd, scattering = moved()
        start = distances()
    np.testing.assert_allclose(sample.ensemble.msd[0, -1], msd, rtol=1e-6)
    # Slow enough at k = 7.25 that cosines are no noise.
    assert 0.1 < min(scattering) < max(scattering) < 0.9
    np.testing.assert_allclose(sample.ensemble.self_scattering[0, -1], scattering, rtol=1e-6)
    # LAMMPS's g(r) of the last structure, in the same bins.
    np.testing.assert_allclose(start[0], start[1], rtol=1e-9, atol=1e-9)
    assert sample.facts.energy_drift < 5e-3


def lammps_computes(engine: Lammps, kind: Mixture):  # type: ignore[no-untyped-def]
    """Define LAMMPS's mean squared displacements, F_s and g(r); return functions that read them."""
    lammps = engine._engine
    lammps.command("compute moved all displace/atom")
    for number, k in enumerate(kind.wave_numbers.tolist()):
        lammps.command(f"group kind{number} type {number + 1}")
        lammps.command(f"compute msd{number} kind{number} msd com no")
        cosines = "+".join(f"cos({k}*c_moved[{axis + 1}])" for axis in range(kind.dimension))
        lammps.command(f"variable cosine{number} atom ({cosines})/{kind.dimension}")
        lammps.command(f"compute scattering{number} kind{number} reduce ave v_cosine{number}")
    pairs = [(a, b) for a in range(kind.kinds) for b in range(a, kind.kinds)]
    bins, reach = 40, float(kind.cutoff.min())
    names = " ".join(f"{a + 1} {b + 1}" for a, b in pairs)
    lammps.command(f"compute gofr all rdf {bins} {names} cutoff {reach}")

    def moved() -> tuple[list[float], list[float]]:
        lammps.command("run 0 post no")
        msd = [float(lammps.extract_compute(f"msd{number}", 0, 1)[3]) for number in range(kind.kinds)]
        return msd, [float(lammps.extract_compute(f"scattering{number}", 0, 0)) for number in range(kind.kinds)]

    def distances() -> tuple[np.ndarray, np.ndarray]:
        lammps.command("run 0 post no")
        table = lammps.numpy.extract_compute("gofr", 0, 2)
        theirs = table[:, 1::2].T
        c = engine.configuration()
        edges = np.linspace(0, reach, bins + 1)
        ours = radial_distribution(c.positions, c.species, c.box, edges, kind.kinds, kind.dimension)
        return ours, theirs

    return moved, distances


@pytest.mark.long
def test_the_observables_of_a_run_are_those_of_its_displacements() -> None:
    """A mass-weighted or two-dimensional draw has the moments of what moved."""
    for name in ("wahnstrom", "kob-andersen-2d"):
        (structure, velocities), kind = liquid(name), shipped(name)
        engine = Lockstep(structure, kind, 0.004, velocities[None])
        engine.advance(50)
        moves = engine.displacements()[0]
        msd = mean_squared_displacement(moves, structure.species, kind.kinds)
        scattering = self_scattering(moves, structure.species, kind.wave_numbers, kind.dimension)
        assert msd.shape == scattering.shape == (kind.kinds,)
        for number in range(kind.kinds):
            own = moves[structure.species == number, : kind.dimension]
            assert msd[number] == pytest.approx((own**2).sum(1).mean(), rel=1e-12)
            assert scattering[number] == pytest.approx(np.cos(kind.wave_numbers[number] * own).mean(), rel=1e-12)


def test_a_campaign_takes_a_mixture_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'species = ["A", "B"]\ncomposition = [3, 1]\nepsilon = [[1.0, 1.2], [1.2, 0.8]]\n'
        "sigma = [[1.0, 0.9], [0.9, 0.8]]\ncutoff_in_sigma = 2.5\n"
    )
    common = {"particles": 500, "engine": "auto", "density": 1.1}
    (tmp_path / "by_file.toml").write_text(CAMPAIGN.format(mixture='mixture = "mine.toml"', **common))
    inside = "[mixture]\n" + (tmp_path / "mine.toml").read_text()
    (tmp_path / "inside.toml").write_text(CAMPAIGN.format(mixture="", **common) + inside)
    by_file, table = (load_campaign(str(tmp_path / f"{name}.toml")) for name in ("by_file", "inside"))
    assert by_file.mixture.name == "mine"
    assert by_file.mixture.same_liquid(table.mixture)
    point = by_file.state_points[0]
    assert by_file.sample_parameters(point) == table.sample_parameters(point)
    assert "cutoff" not in by_file.sample_parameters(point)
    assert load_mixture(str(tmp_path / "mine.toml")) == by_file.mixture
    (tmp_path / "wrong.toml").write_text(CAMPAIGN.format(mixture='mixture = "yours.toml"', **common))
    with pytest.raises(SettingsError, match=r"there is no mixture 'yours.toml'; these ship: kob-andersen"):
        load_campaign(str(tmp_path / "wrong.toml"))


def test_campaigns_that_name_a_cutoff_are_read_and_keep_their_hash() -> None:
    named = load_campaign("demo")
    values = named.model_dump(mode="json", exclude={"mixture"}) | {"cutoff": "uniform"}
    older = Campaign.model_validate(values)
    assert older == named
    parameters = older.sample_parameters(older.state_points[0])
    assert parameters["cutoff"] == "uniform"
    assert "mixture" not in parameters
    assert "relaxation_estimate" not in parameters["equilibration"]
    assert "expected_density" not in parameters["state_point"]
