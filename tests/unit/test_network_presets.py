"""Networks that ship: their names, their files, their sizes, and what they cost."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.cli.networks import network_costs
from glassformer.core import network_kinds
from glassformer.core.errors import SettingsError
from glassformer.core.network_kinds import ContinuousFilterSettings, MessagePassingSettings, ParticleNetSettings
from glassformer.core.presets import NETWORKS, load_network, network_presets, preset
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.mixtures import shipped
from glassformer.graph.batch import build_graph
from glassformer.network.heads import ParticleHead
from glassformer.network.registry import build_network
from glassformer.train.network_costs import edges, measure, network_cost, operations
from tests.conftest import rattled_lattice

# Of one target.
PARAMETERS = {
    # The published network has 70 721: 8 320 more in a decoder of edges (64-64), on which no output depends.
    "bapst2020": 62_401,
    "continuous-filter": 77_377,
    "dgcnn-four-blocks": 584_015,
    "equivariant": 60_825,
    "global-attention": 152_705,
    "induced-attention": 223_553,
    "particlenet": 365_321,
    "particlenet-glass": 365_185,
    "particlenet-glass-particle": 365_185,
    "subgraphs": 24_961,
}


def linear(*widths: int) -> int:
    """Parameters of linear layers with biases, one after the other."""
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def test_they_are_listed_with_what_they_are() -> None:
    found = network_presets()
    assert set(PARAMETERS) | {kind.preset for kind in network_kinds.NETWORKS.values()} == set(found)
    assert all(30 < len(text) < 200 and text.endswith(".") for text in found.values())


@pytest.mark.parametrize("name", network_presets())
def test_each_has_so_many_parameters_and_reads_a_structure(name: str) -> None:
    settings = load_network(name)
    network = build_network(settings, 1)
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == PARAMETERS.get(name, parameters) > 0
    structure = rattled_lattice(6)
    structure = replace(structure, inherent_positions=structure.positions)
    graph = build_graph(structure, settings, shipped("kob-andersen"), np.ones((216, 3)))
    outputs = network.eval()(graph)
    assert outputs.shape == ((216, 1) if settings.head == "particle" else (1, 1))
    assert torch.isfinite(outputs).all()


def test_bapst2020_has_the_published_network_s_layers() -> None:
    """Encoder of particles and edges, core with weights that all rounds share, decoder: perceptrons 64-64."""
    settings = load_network("bapst2020")
    expected = linear(1, 64, 64) + linear(3, 64, 64) + linear(6 * 64, 64, 64) + linear(3 * 64, 64, 64)
    assert expected + linear(64, 64, 64, 1) == PARAMETERS["bapst2020"]
    assert expected + linear(64, 64, 64, 1) + linear(64, 64, 64) == 70_721
    once = build_network(settings.model_copy(update={"steps": 1}), 1)
    assert sum(weight.numel() for weight in once.parameters()) == PARAMETERS["bapst2020"]


def test_every_round_of_the_continuous_filter_has_its_own_weights() -> None:
    round_ = linear(25, 64, 64) + 64 * 64 + linear(64, 64, 64)
    assert linear(2, 64) + 4 * round_ + linear(64, 64, 1) == PARAMETERS["continuous-filter"]


def test_a_file_and_a_name_give_the_same(tmp_path: Path) -> None:
    assert isinstance(load_network("bapst2020"), MessagePassingSettings)
    assert isinstance(load_network("continuous-filter"), ContinuousFilterSettings)
    assert load_network("particlenet-glass") == load_network(str(preset(NETWORKS, "particlenet-glass")))
    path = tmp_path / "own.toml"
    path.write_text("neighbors = 7\n")
    assert load_network(str(path)) == ParticleNetSettings(neighbors=7)


def test_an_unknown_name_is_told_the_nearest_and_all() -> None:
    with pytest.raises(SettingsError, match=r"no network file bapst2021, .*; did you mean 'bapst2020'") as caught:
        load_network("bapst2021")
    assert all(name in caught.value.remedy for name in PARAMETERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "message-passing"\ncutof = 2.0', "unknown key cutof; did you mean 'cutoff'"),
        ('name = "continuous-filter"\nneighbors = 3', "unknown key neighbors"),
        ("neighbors = 0", "neighbors: got 0"),
        ('name = "transformer"', f"got 'transformer'; expected one of {', '.join(network_kinds.NETWORKS)}"),
        ("name = [3]", "got [3]; expected one of"),
        ('inputs = ["species", "species"]', "inputs holds an entry twice"),
        ('name = "equivariant"\nvectors = 49', "vectors: got 49; expected at most width = 48"),
        ("neighbors", "is not TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_network(str(path))
    assert message in caught.value.problem
    assert str(path) in caught.value.problem


def test_operations_are_those_of_the_matrix_products() -> None:
    """Two for each weight and row that it is applied to; and for ParticleNet, N^2 C products a later block."""
    settings = load_network("bapst2020").model_copy(update={"steps": 3})
    particles, width = 500, 64
    count = edges(settings, particles)
    assert count == pytest.approx(particles * 1.2 * 4 / 3 * np.pi * 8, abs=0.5)
    of_edge = (3 + width) * width + width * width + 3 * 2 * width * width
    of_particle = (1 + width) * width + 3 * (4 + 3 + 1) * width * width + (2 * width + 1) * width
    assert operations(settings, particles) == 2 * (count * of_edge + particles * of_particle)
    settings = ParticleNetSettings(neighbors=8, blocks=((16, 24), (32,)), fully_connected=(12,))
    assert edges(settings, particles) == particles * 8
    of_edge = 4 * 16 + 16 * 24
    of_particle = 2 * 2 * 16 + 2 * 24 + (particles * 24 + 2 * 24 * 32 + 24 * 32)
    assert operations(settings, particles) == 2 * (particles * (8 * of_edge + of_particle) + 32 * 12 + 12)


def test_too_few_particles_are_refused() -> None:
    with pytest.raises(SettingsError, match="got k = 20 neighbours for 20 particles"):
        network_cost("particlenet", "", load_network("particlenet"), 20)
    with pytest.raises(SettingsError, match="at least two cutoffs"):
        measure(load_network("bapst2020"), 20, 1)


@pytest.mark.long
def test_costs_are_measured_in_a_process_of_its_own() -> None:
    (cost,) = network_costs(["bapst2020"], 300, 1, True, Silent())
    found = cost.measured
    assert found.threads == 1
    assert 0 < found.predict_seconds < found.train_seconds
    # What training keeps for the gradient: two (E, 64) arrays of float32 a round at least.
    arrays = 4 * 64 * edges(load_network("bapst2020"), 300)
    assert 2 * arrays < found.predict_bytes < found.train_bytes
    assert 14 * arrays < found.train_bytes < 60 * arrays


def glassformer(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "glassformer", *words], capture_output=True, text=True, check=False)


@pytest.mark.long
def test_the_command_lists_them() -> None:
    found = glassformer("networks")
    assert found.returncode == 0, found.stderr
    assert all(name[:20] in found.stdout for name in PARAMETERS)
    assert "62,401" in found.stdout
    assert "Measured" not in found.stdout


@pytest.mark.long
def test_the_command_s_json() -> None:
    found = glassformer("networks", "--json", "--particles", "1000")
    rows = {row["name"]: row for row in json.loads(found.stdout)}
    assert {name: row["parameters"] for name, row in rows.items()} == PARAMETERS
    assert {row["head"] for row in rows.values()} == {"system", "particle"}
    assert all(
        row["operations"] > 3e8 and row["measured"] is None and row["particles"] == 1000 for row in rows.values()
    )


@pytest.mark.long
def test_the_command_measures() -> None:
    found = glassformer("networks", "particlenet-glass", "--measure", "--particles", "200", "--threads", "1")
    assert found.returncode == 0, found.stderr
    assert "training step" in found.stdout
    assert " MB" in found.stdout


def test_the_command_refuses_what_there_is_not() -> None:
    found = glassformer("networks", "particlenet-glas")
    assert found.returncode == 2
    assert "did you mean 'particlenet-glass'" in found.stderr


def test_context_belongs_to_a_particle_head_and_reads_the_whole_configuration() -> None:
    with pytest.raises(SettingsError, match='expected head = "particle"'):
        check_settings({"context": True}, ParticleNetSettings, "network")
    heads = [ParticleHead(3, context, (4,), 0.0, 1) for context in (None, "mean", "max")]
    features = torch.arange(15.0).reshape(5, 3)
    other = features.clone()
    other[4] += 1.0
    for head, expected in zip(heads, ([4], [2, 3, 4], [2, 3, 4]), strict=True):
        head.eval()
        for layer in head.layers:
            # Every feature must count, whatever its sign.
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.constant_(layer.weight, 0.1)
        changed = (head(features, (2, 3)) != head(other, (2, 3))).any(1)
        assert changed.nonzero()[:, 0].tolist() == expected
