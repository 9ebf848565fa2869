"""MSD and g(r) of a trajectory against freud and MDAnalysis, where those are installed: they are no dependencies."""

from typing import Any

import numpy as np
import pytest

from glassformer.core.arrays import FloatArray
from glassformer.evaluate.trajectory import Motion, msd, pair_correlation
from glassformer.observables.time_averages import Track
from glassformer.observables.time_origins import spread_in_time
from tests.liquids import mixture

BOX = np.array([5.0, 6.0, 7.5])


@pytest.fixture(scope="module")
def walk() -> Motion:
    """Particles that diffuse through a box of three different edges."""
    random = np.random.default_rng(0)
    places = random.uniform(0, 1, (100, 3)) * BOX + np.cumsum(random.normal(0, 0.2, (60, 100, 3)), 0)
    track = Track(places / BOX, np.tile(BOX, (60, 1)), mixture(100), np.array([7.25, 5.5]))
    return Motion("walk", track, np.arange(60.0), ("A", "B"))


def of_kind(motion: Motion, kind: int) -> FloatArray:
    """Return the unwrapped positions (F, N_a, 3) of a species."""
    found: FloatArray = (motion.track.fractions * BOX)[:, motion.track.species == kind]
    return found


def distances(motion: Motion) -> tuple[int, float]:
    """Return the number of bins of g(r), and where the last one ends."""
    r = pair_correlation(motion)["r"]
    return len(r), float(r[-1] + (r[1] - r[0]) / 2)


def test_freud(walk: Motion) -> None:
    freud: Any = pytest.importorskip("freud")
    columns, g = msd(walk), pair_correlation(walk)
    lags = np.rint(columns["time"]).astype(int)
    for kind, name in enumerate("ab"):
        expected = freud.msd.MSD(mode="window").compute(of_kind(walk, kind)).msd[lags]
        # It computes in single precision.
        np.testing.assert_allclose(columns[f"msd_{name}"], expected, rtol=2e-3)
    bins, farthest = distances(walk)
    box = freud.box.Box(*BOX)
    for a, b, name in ((0, 0, "g_aa"), (0, 1, "g_ab"), (1, 1, "g_bb")):
        # Its correction for finite numbers is for particles of one kind.
        mode = "finite_size" if a == b else "exact"
        found = freud.density.RDF(bins=bins, r_max=farthest, normalization_mode=mode)
        for number, frame in enumerate(spread_in_time(walk.times, 32).first):
            first, second = (box.wrap(of_kind(walk, kind)[frame] - BOX / 2) for kind in (a, b))
            found.compute((box, first), query_points=None if a == b else second, reset=number == 0)
        # A pair may change its bin by rounding.
        np.testing.assert_allclose(g[name][5:], found.rdf[5:], atol=0.05)
        assert np.median(np.abs(g[name] - found.rdf)) < 1e-5


def test_mdanalysis(walk: Motion) -> None:
    mda: Any = pytest.importorskip("MDAnalysis")
    from MDAnalysis.analysis.msd import EinsteinMSD  # type: ignore[import-not-found,unused-ignore]
    from MDAnalysis.analysis.rdf import InterRDF  # type: ignore[import-not-found,unused-ignore]
    from MDAnalysis.coordinates.memory import MemoryReader  # type: ignore[import-not-found,unused-ignore]

    universe = mda.Universe.empty(100, trajectory=True)
    places = walk.track.fractions * BOX
    universe.load_new(places, format=MemoryReader, dimensions=np.tile([*BOX, 90, 90, 90], (len(places), 1)))
    columns, g = msd(walk), pair_correlation(walk)
    lags = np.rint(columns["time"]).astype(int)
    groups = [universe.atoms[walk.track.species == kind] for kind in (0, 1)]
    for group, name in zip(groups, "ab", strict=True):
        found = EinsteinMSD(group, select="all", msd_type="xyz", fft=False).run().results.timeseries[lags]
        np.testing.assert_allclose(columns[f"msd_{name}"], found, rtol=1e-6)
    bins, farthest = distances(walk)
    frames = [int(frame) for frame in spread_in_time(walk.times, 32).first]
    for a, b, name in ((0, 0, "g_aa"), (0, 1, "g_ab"), (1, 1, "g_bb")):
        block = (1, 1) if a == b else None
        rdf = InterRDF(groups[a], groups[b], nbins=bins, range=(0, farthest), exclusion_block=block).run(frames=frames)
        np.testing.assert_allclose(g[name][5:], rdf.results.rdf[5:], atol=0.05)
        assert np.median(np.abs(g[name] - rdf.results.rdf)) < 1e-5
