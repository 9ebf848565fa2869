"""Descriptors against slow and obvious implementations, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Voronoi
from scipy.special import sph_harm_y

from glassformer.core.errors import ConfigurationError
from glassformer.dataset.mixtures import shipped
from glassformer.observables.descriptors import Descriptors, DescriptorSettings, collect_descriptors, join
from glassformer.observables.descriptors.angular import bond_orders
from glassformer.observables.descriptors.averages import coarse_grained_fields, recursive_averages
from glassformer.observables.descriptors.displacements import (
    collective_displacements,
    displacement_descriptors,
    forces_on_the_way,
    plateau_displacements,
)
from glassformer.observables.descriptors.energies import local_energies
from glassformer.observables.descriptors.harmonic import harmonic_amplitudes
from glassformer.observables.descriptors.neighbors import find_neighbors
from glassformer.observables.descriptors.radial import Shells, default_shells, local_density, radial_densities
from glassformer.observables.descriptors.voronoi import voronoi_cells
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import inherent_structure
from glassformer.physics.pair import interactions
from tests.conftest import random_mixture, rattled_lattice

KOB_ANDERSEN = shipped("kob-andersen")
SHELLS = Shells(np.array([1.0, 1.5, 2.0]), np.array([0.1, 0.2, 0.1]))
SMALL = DescriptorSettings(reach=2.5, generations=1, fine_generations=1, voronoi=True)


def in_plane(particles: int = 200, seed: int = 3) -> Configuration:
    """Particles in two dimensions that do not overlap much."""
    side = int(np.ceil(np.sqrt(particles)))
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)[:particles]
    flat = (grid * 1.1 + random.uniform(-0.15, 0.15, grid.shape)) % (side * 1.1)
    positions = np.concatenate([flat, np.zeros((len(flat), 1))], 1)
    species = (np.arange(len(flat)) % 3 == 0).astype(np.uint8)
    return Configuration(positions, species, np.array([side * 1.1, side * 1.1, 1.0]))


def separations(configuration: Configuration) -> np.ndarray:
    """r_j - r_i, (N, N, 3)."""
    positions = configuration.positions
    return minimum_image(positions[None] - positions[:, None], configuration.box)


@pytest.mark.parametrize("cutoff", [0.9, 1.5, 2.1, 3.15])
@pytest.mark.parametrize("threads", [1, 3])
def test_neighbors_are_those_of_the_distance_matrix(cutoff: float, threads: int) -> None:
    configuration = rattled_lattice(6)
    close = np.linalg.norm(separations(configuration), axis=-1) < cutoff
    np.fill_diagonal(close, False)
    found = find_neighbors(configuration, cutoff, threads)
    np.testing.assert_array_equal(np.diff(found.rows), close.sum(1))
    np.testing.assert_array_equal(found.indices, np.nonzero(close)[1])


def test_unwrapped_positions_have_the_same_neighbors() -> None:
    inside = rattled_lattice(6)
    outside = replace(inside, positions=inside.positions + inside.box * np.array([3, -2, 1]))
    np.testing.assert_array_equal(find_neighbors(outside, 2.0).indices, find_neighbors(inside, 2.0).indices)
    with pytest.raises(ConfigurationError, match="not finite"):
        find_neighbors(replace(inside, positions=inside.positions * np.nan), 2.0)


def test_neighbors_beyond_half_the_box_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"at most half the shortest box edge, 3\.15"):
        find_neighbors(rattled_lattice(6), 3.2)


@pytest.mark.long
@pytest.mark.parametrize("configuration", [rattled_lattice(6), in_plane()])
def test_radial_densities_against_a_sum(configuration: Configuration) -> None:
    found = radial_densities(find_neighbors(configuration, SHELLS.reach), SHELLS, ("A", "B"), threads=2)
    distance = np.linalg.norm(separations(configuration), axis=-1)
    np.fill_diagonal(distance, np.inf)
    for kind, name in enumerate("AB"):
        of_kind = distance[:, configuration.species == kind]
        for center, width in zip(SHELLS.centers, SHELLS.widths, strict=True):
            expected = np.exp(-((of_kind - center) ** 2) / (2 * width**2)).sum(1)
            np.testing.assert_allclose(found.column(f"radial.{name}.{center:.3f}"), expected, atol=1e-4)


def test_default_shells_are_those_of_the_paper() -> None:
    shells = default_shells()
    assert (len(shells.centers), shells.centers[0], shells.centers[-1]) == (107, 0.85, 5.0)
    np.testing.assert_allclose(np.diff(shells.centers), np.repeat([0.025, 0.05], [46, 60]))
    assert default_shells(2.5).centers[-1] == pytest.approx(2.5)


@pytest.mark.long
def test_bond_orders_against_spherical_harmonics() -> None:
    configuration = rattled_lattice(6)
    degrees = (1, 2, 5, 6, 12)
    vector = separations(configuration)
    distance = np.linalg.norm(vector, axis=-1)
    np.fill_diagonal(distance, np.inf)
    polar = np.arccos(np.clip(vector[..., 2] / distance, -1, 1))
    azimuth = np.arctan2(vector[..., 1], vector[..., 0])
    near = find_neighbors(configuration, SHELLS.reach)
    for chosen, label in ((None, "all"), ([1], "B")):
        found = bond_orders(near, SHELLS, degrees, chosen, label, threads=2)
        counted = np.ones(len(distance)) if chosen is None else np.isin(configuration.species, chosen)
        for center, width in zip(SHELLS.centers, SHELLS.widths, strict=True):
            weight = np.exp(-((distance - center) ** 2) / (2 * width**2)) * counted
            weight /= weight.sum(1, keepdims=True)
            for degree in degrees:
                means = [(weight * sph_harm_y(degree, m, polar, azimuth)).sum(1) for m in range(-degree, degree + 1)]
                expected = np.sqrt(4 * np.pi / (2 * degree + 1) * (np.abs(means) ** 2).sum(0))
                got = found.column(f"bond_order.{label}.{degree}.{center:.3f}")
                # Where only tails of Gaussians reach, those below 4e-6 are left out.
                enough = (np.exp(-((distance - center) ** 2) / (2 * width**2)) * counted).sum(1) > 0.1
                np.testing.assert_allclose(got[enough], expected[enough], atol=1e-3)


def test_bond_orders_in_the_plane() -> None:
    configuration = in_plane()
    vector = separations(configuration)
    distance, angle = np.linalg.norm(vector, axis=-1), np.arctan2(vector[..., 1], vector[..., 0])
    np.fill_diagonal(distance, np.inf)
    found = bond_orders(find_neighbors(configuration, 2.5), SHELLS, (4, 6))
    weight = np.exp(-((distance - 1.5) ** 2) / (2 * 0.2**2))
    expected = np.abs((weight * np.exp(6j * angle)).sum(1)) / weight.sum(1)
    np.testing.assert_allclose(found.column("bond_order.all.6.1.500"), expected, atol=1e-3)


def test_energies_are_those_of_the_reference() -> None:
    configuration = rattled_lattice(6)
    found = local_energies(find_neighbors(configuration, 2.5), KOB_ANDERSEN, near=2.0)
    expected = interactions(configuration, KOB_ANDERSEN)
    np.testing.assert_allclose(found.column("energy"), expected.energy, rtol=1e-6)
    np.testing.assert_allclose(found.column("virial"), expected.virial, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.column("energy.A") + found.column("energy.B"), expected.energy, rtol=1e-5)
    close = np.linalg.norm(separations(configuration), axis=-1) < 2
    np.fill_diagonal(close, False)
    differences = np.where(close, (expected.energy[None] - expected.energy[:, None]) ** 2, 0)
    np.testing.assert_allclose(found.column("energy_variance"), differences.sum(1) / close.sum(1), rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("truncation", ["shifted", "smooth"])
def test_curvature_and_harmonic_amplitudes_against_differences_of_forces(truncation: str) -> None:
    liquid = replace(KOB_ANDERSEN, truncation=truncation)
    start = rattled_lattice(6, amplitude=0.02)
    structure = replace(start, positions=inherent_structure(start, liquid).positions)
    near, step, moved = find_neighbors(structure, 2.5), 1e-5, np.array([0, 7, 100])
    curvature = local_energies(near, liquid).column("curvature")
    for particle in moved:
        members = [particle, *near.indices[near.rows[particle] : near.rows[particle + 1]]]
        distance = np.linalg.norm(separations(structure)[particle, members], axis=-1)
        members = np.array(members)[distance < 1.5]
        hessian = np.empty((3 * len(members), 3 * len(members)))
        for place, member in enumerate(members):
            for axis in range(3):
                forces = []
                for sign in (1, -1):
                    shifted = structure.positions.copy()
                    shifted[member, axis] += sign * step
                    at = replace(structure, positions=wrap(shifted, structure.box))
                    forces.append(interactions(at, liquid).force[members].ravel())
                hessian[3 * place + axis] = -(forces[0] - forces[1]) / (2 * step)
        assert curvature[particle] == pytest.approx(np.trace(hessian[:3, :3]), rel=1e-4)
        found = harmonic_amplitudes(near, liquid, [0.0, 1.5], threads=2)
        assert found.column("harmonic.0")[particle] == pytest.approx(np.trace(np.linalg.inv(hessian[:3, :3])), rel=1e-4)
        expected = np.trace(np.linalg.inv(hessian)[:3, :3])
        assert found.column("harmonic.1.5")[particle] == pytest.approx(expected, rel=1e-4)


def test_harmonic_amplitudes_need_a_minimum() -> None:
    with pytest.raises(ConfigurationError, match="not at an energy minimum"):
        harmonic_amplitudes(find_neighbors(random_mixture(300), 2.5), KOB_ANDERSEN, [0.0])
    dense = random_mixture(300)
    gas = replace(dense, positions=dense.positions * 20, box=dense.box * 20)
    with pytest.raises(ConfigurationError, match="no neighbors that hold them"):
        harmonic_amplitudes(find_neighbors(gas, 2.5), KOB_ANDERSEN, [0.0])


@pytest.mark.parametrize("configuration", [rattled_lattice(5), in_plane(64), random_mixture(200, 4)])
def test_voronoi_cells_against_convex_hulls(configuration: Configuration) -> None:
    dimension = configuration.dimension
    points = configuration.positions[:, :dimension]
    shifts = np.stack(np.meshgrid(*[[0, -1, 1]] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    everywhere = (points[None] + shifts[:, None] * configuration.edges).reshape(-1, dimension)
    diagram = Voronoi(everywhere)
    hulls = [ConvexHull(diagram.vertices[diagram.regions[region]]) for region in diagram.point_region[: len(points)]]
    found = voronoi_cells(configuration)
    # In the plane scipy calls the area of the polygon `volume` and its perimeter `area`.
    np.testing.assert_allclose(found.column("voronoi.volume"), [hull.volume for hull in hulls], rtol=1e-5)
    np.testing.assert_allclose(found.column("voronoi.surface"), [hull.area for hull in hulls], rtol=1e-5)
    assert found.column("voronoi.volume").sum() == pytest.approx(np.prod(configuration.edges), rel=1e-6)


def test_a_cube_has_six_faces() -> None:
    # Displaced a little, or cells of a lattice meet in more than four at a corner.
    configuration = rattled_lattice(4, amplitude=1e-9)
    cells = voronoi_cells(configuration)
    np.testing.assert_allclose(cells.column("voronoi.surface"), 6 * 1.05**2, rtol=1e-5)
    np.testing.assert_allclose(cells.column("voronoi.asphericity"), 6 / np.pi, rtol=1e-5)


def test_displacements_against_a_loop() -> None:
    reference = rattled_lattice(6)
    random = np.random.default_rng(0)
    vector = random.normal(0, 0.1, reference.positions.shape)
    found = displacement_descriptors(wrap(reference.positions - vector, reference.box), find_neighbors(reference, 2.0))
    separation = separations(reference)
    distance = np.linalg.norm(separation, axis=-1)
    for i in (0, 50, 215):
        members = [j for j in range(reference.particles) if j != i and distance[i, j] < 1.5]
        unit = separation[i, members] / distance[i, members, None]
        relative = vector[members] - vector[i]
        deformation, *_ = np.linalg.lstsq(separation[i, members], relative, rcond=None)
        expected = {
            "length": np.linalg.norm(vector[i]),
            "square": (vector[i] ** 2).sum(),
            "relative": np.mean([(row**2).sum() for row in relative]),
            "stretch": np.mean([row @ direction for row, direction in zip(relative, unit, strict=True)]),
            "common": np.linalg.norm(vector[members].mean(0)),
            "along": np.mean([(vector[i] @ direction) ** 2 for direction in unit]),
            "nonaffine": ((relative - separation[i, members] @ deformation) ** 2).sum(1).mean(),
        }
        for name, value in expected.items():
            assert found.column(f"displacement.{name}")[i] == pytest.approx(value, rel=1e-4), name


def test_a_homogeneous_deformation_is_affine() -> None:
    reference = rattled_lattice(6)
    # Far from the faces, where the deformation of a periodic box would be a jump.
    inner = (np.abs(reference.positions - reference.box / 2) < 1).all(1)
    strain = np.array([[0.01, 0.004, 0], [0, -0.02, 0.003], [0.005, 0, 0.01]])
    start = reference.positions - (reference.positions - reference.box / 2) @ strain.T
    found = displacement_descriptors(wrap(start, reference.box), find_neighbors(reference, 2.0))
    assert inner.any()
    np.testing.assert_allclose(found.column("displacement.nonaffine")[inner], 0, atol=1e-12)


def test_collective_displacements_against_a_loop() -> None:
    reference = rattled_lattice(6)
    vector = np.random.default_rng(0).normal(0, 0.1, reference.positions.shape)
    start = wrap(reference.positions - vector, reference.box)
    found = collective_displacements(start, find_neighbors(reference, 2.5), 2.1, (1, 3))
    distance = np.linalg.norm(separations(reference), axis=-1)
    weight = np.where(distance < 2.1, np.exp(-distance / 2.1), 0)
    weight /= weight.sum(1, keepdims=True)
    for generation in (1, 3):
        mean = np.linalg.matrix_power(weight, generation) @ vector
        expected = {
            "length": np.linalg.norm(mean, axis=1),
            "along": (mean * vector).sum(1),
            "rest": np.linalg.norm(vector - mean, axis=1),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(found.column(f"collective.{name}.{generation}"), values, rtol=1e-4, atol=1e-6)
    assert len(found.names) == 6


@pytest.mark.parametrize("configuration", [rattled_lattice(6, amplitude=0.05), in_plane()])
def test_forces_are_those_of_the_engine(configuration: Configuration) -> None:
    thermal = configuration
    mixture = shipped("kob-andersen-2d") if configuration.dimension == 2 else KOB_ANDERSEN
    force = interactions(thermal, mixture).force
    vector = np.random.default_rng(4).normal(0, 0.1, thermal.positions.shape)
    vector[:, configuration.dimension :] = 0
    vector[0] = 0
    reference = replace(thermal, positions=wrap(thermal.positions + vector, thermal.box))
    table = forces_on_the_way(find_neighbors(thermal, 2.5), find_neighbors(reference, 2.5), mixture)
    work = (force * vector).sum(1)
    np.testing.assert_allclose(table.column("force.length"), np.linalg.norm(force, axis=1), rtol=1e-3)
    np.testing.assert_allclose(table.column("force.work"), work, rtol=1e-3, atol=1e-2)
    along = work[1:] / np.linalg.norm(vector[1:], axis=1)
    np.testing.assert_allclose(table.column("force.along")[1:], along, rtol=1e-3, atol=1e-2)
    # One that is in its place has no direction to it.
    assert table.column("force.along")[0] == 0


@pytest.mark.parametrize("configuration", [rattled_lattice(6), in_plane()])
def test_plateau_displacements_are_means_over_a_gaussian_cage(configuration: Configuration) -> None:
    random, dimension, number = np.random.default_rng(5), configuration.dimension, configuration.particles
    vector = np.zeros((number, 3))
    vector[:, :dimension] = random.normal(0, 0.1, (number, dimension))
    # One at its place, one that hardly moves around it, and one that does not move at all.
    square = random.uniform(0.002, 0.05, number)
    vector[0], square[1], square[2] = 0, 1e-6, 0
    start = wrap(configuration.positions - vector, configuration.box)
    table = plateau_displacements(start, find_neighbors(configuration, 2.0), square)
    samples = random.normal(size=(20_000, dimension))
    for i in (0, 1, 2, 3, 50):
        length = np.linalg.norm(vector[i, :dimension] + samples * np.sqrt(square[i] / dimension), axis=1)
        error = length.std() / np.sqrt(len(length))
        assert table.column("plateau.mean")[i] == pytest.approx(length.mean(), abs=4 * error + 2e-6)
        assert table.column("plateau.root")[i] == pytest.approx(np.sqrt((vector[i] ** 2).sum() + square[i]), rel=1e-5)
    # Where the exact form ends, the expansion takes over without a step.
    variance = (vector**2).sum(1)[3] / 600 * np.array([1 + 1e-4, 1 - 1e-4])
    both = [
        plateau_displacements(start, find_neighbors(configuration, 2.0), np.full(number, dimension * one))
        for one in variance
    ]
    assert both[0].column("plateau.mean")[3] == pytest.approx(both[1].column("plateau.mean")[3], rel=1e-5)


def test_averages_against_a_loop() -> None:
    configuration = rattled_lattice(6)
    values = np.random.default_rng(1).normal(size=(configuration.particles, 3)).astype(np.float32)
    table = Descriptors(("a.x", "a.y", "a.z"), values)
    near = find_neighbors(configuration, 2.5)
    found = recursive_averages(table, near, 2.1, 2)
    distance = np.linalg.norm(separations(configuration), axis=-1)
    weight = np.where(distance < 2.1, np.exp(-distance / 2.1), 0)
    weight /= weight.sum(1, keepdims=True)
    np.testing.assert_allclose(found.select(["a.x@1", "a.y@1", "a.z@1"]).values, weight @ values, atol=1e-5)
    np.testing.assert_allclose(found.column("a.y@2"), weight @ weight @ values[:, 1], atol=1e-5)
    np.testing.assert_array_equal(found.column("a.x"), values[:, 0])
    fields = coarse_grained_fields(table, near, [0.5, 2.0], ("A", "B"))
    for kind, name in enumerate("AB"):
        weight = np.where(distance < 2.5, np.exp(-distance / 2.0), 0) * (configuration.species == kind)
        np.testing.assert_allclose(fields.column(f"field.density.{name}.2"), weight.sum(1), rtol=1e-5)
        expected = weight @ values[:, 2] / weight.sum(1)
        np.testing.assert_allclose(fields.column(f"field.a.z.{name}.2"), expected, atol=1e-5)


def test_local_density_of_a_lattice_is_its_density() -> None:
    configuration = rattled_lattice(7)
    found = local_density(find_neighbors(configuration, 3.0)).column("density")
    # About a particle, a perfect lattice is denser than its mean: by 6 exp(-(2 pi 0.6 / 1.05)^2 / 2) = 1 % here, and by
    # 4 exp(-(2 pi 0.6 / 1.1)^2 / 2) = 1 % in the plane. Shaking adds the correlation of a particle with itself.
    assert found.mean() == pytest.approx(configuration.density, rel=0.02)
    flat = in_plane(400)
    assert local_density(find_neighbors(flat, 3.0)).column("density").mean() == pytest.approx(flat.density, rel=0.05)


def quenched() -> Configuration:
    """A small configuration with its inherent structure."""
    configuration = rattled_lattice(6, amplitude=0.05)
    return replace(configuration, inherent_positions=inherent_structure(configuration, KOB_ANDERSEN).positions)


def changed(configuration: Configuration, change: object) -> Configuration:
    """Both structures with `change` applied to positions."""
    assert callable(change)
    assert configuration.inherent_positions is not None
    box = configuration.box
    return replace(
        configuration,
        positions=wrap(change(configuration.positions), box),
        inherent_positions=wrap(change(configuration.inherent_positions), box),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        lambda r: r + np.array([0.3, -2.0, 11.1]),
        lambda r: r[:, [1, 2, 0]],
        lambda r: np.stack([r[:, 1], -r[:, 0], r[:, 2]], 1),
        lambda r: -r,
    ],
    ids=["translated", "axes exchanged", "rotated", "inverted"],
)
def test_descriptors_do_not_change_when_the_structure_is_moved(change: object) -> None:
    configuration = quenched()
    before = collect_descriptors(configuration, KOB_ANDERSEN, SMALL)
    after = collect_descriptors(changed(configuration, change), KOB_ANDERSEN, SMALL)
    np.testing.assert_allclose(after.values, before.values, rtol=1e-3, atol=2e-4)


def test_bond_orders_do_not_change_under_any_rotation() -> None:
    # A cluster in a box that it does not fill has no periodic images to spoil the rotation.
    random = np.random.default_rng(2)
    cluster = random.uniform(-1.2, 1.2, (40, 3))
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    box, species = np.full(3, 20.0), np.zeros(40, np.uint8)
    found = [
        bond_orders(find_neighbors(Configuration(points + 10, species, box), 3.0), SHELLS).values
        for points in (cluster, cluster @ rotation)
    ]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_numbering_and_threads_do_not_matter() -> None:
    configuration = quenched()
    assert configuration.inherent_positions is not None
    order = np.random.default_rng(0).permutation(configuration.particles)
    renumbered = Configuration(
        configuration.positions[order],
        configuration.species[order],
        configuration.box,
        configuration.inherent_positions[order],
    )
    before = collect_descriptors(configuration, KOB_ANDERSEN, SMALL)
    after = collect_descriptors(renumbered, KOB_ANDERSEN, SMALL)
    np.testing.assert_allclose(after.values, before.values[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        collect_descriptors(configuration, KOB_ANDERSEN, SMALL, threads=2).values, before.values
    )


def test_names_say_what_there_is() -> None:
    table = collect_descriptors(quenched(), KOB_ANDERSEN, SMALL)
    for name in (
        "inherent.radial.B.1.000",
        "inherent.bond_order.all.6.1.400@1",
        "inherent.energy@1",
        "inherent.density",
    ):
        assert name in table.names
    assert table.values.dtype == np.float32
    assert np.isfinite(table.values).all()
    with pytest.raises(ConfigurationError, match=r"1 descriptors are missing, the first inherent\.softness"):
        table.select(["inherent.energy", "inherent.softness"])


def test_what_cannot_be_described() -> None:
    with pytest.raises(ConfigurationError, match="has none"):
        collect_descriptors(rattled_lattice(6), KOB_ANDERSEN)
    with pytest.raises(ConfigurationError, match="descriptors of shorter reach"):
        collect_descriptors(quenched(), KOB_ANDERSEN)
    with pytest.raises(ConfigurationError, match="several descriptors named a"):
        Descriptors(("a", "a"), np.zeros((2, 2), np.float32))
    with pytest.raises(ConfigurationError, match="expected one per column"):
        Descriptors(("a",), np.zeros((2, 2), np.float32))
    with pytest.raises(ConfigurationError, match="the same number"):
        join(Descriptors(("a",), np.zeros((2, 1), np.float32)), Descriptors(("b",), np.zeros((3, 1), np.float32)))
    with pytest.raises(ConfigurationError, match="centers do not increase"):
        Shells(np.array([1.0, 1.0]), np.array([0.1, 0.1]))


def test_a_two_dimensional_mixture_of_three_species_is_described() -> None:
    disks = shipped("kob-andersen-2d")
    flat = in_plane(196)
    species = (np.arange(196) % disks.kinds).astype(np.uint8)
    configuration = replace(flat, species=species)
    found = inherent_structure(configuration, disks).positions
    table = collect_descriptors(replace(configuration, inherent_positions=found), disks, SMALL)
    assert np.isfinite(table.values).all()
    assert f"inherent.radial.{disks.species[-1]}.1.000" in table.names
