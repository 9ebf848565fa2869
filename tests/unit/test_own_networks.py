"""Networks from outside the package: trained, predicted, scored, reported and tested by the ordinary commands."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import CheckpointError, NetworkError, SettingsError
from glassformer.core.network_kinds import OtherCodeWarning, OwnNetworkSettings, registered_networks
from glassformer.core.presets import load_network
from glassformer.core.progress import Silent
from glassformer.core.run import Run, load_run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import write_sample
from glassformer.network.registry import build_network
from glassformer.testing import PROPERTIES, Subject
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.network_costs import network_cost
from glassformer.train.training import train_run
from tests.conftest import synthetic_sample

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guide"
GUIDE = (GUIDES / "own-network.md").read_text()
# The guide's network and run file.
NETWORK = next(block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "class MyNetwork" in block)
DOCUMENTED = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL).group(1)  # type: ignore[union-attr]
# The samples here say how far each particle went at one time; they are few, and trained on for a short time.
RUN = DOCUMENTED.partition("\n[training]")[0].replace('"last"', "1.0")
SHORT = '\n[split]\nfolds = 2\n\n[training]\nepochs = 1\nbatch_size = 2\naugmentation = "none"\n'
NAME = "mynetwork:MyNetwork"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own, in which the command is run; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and tmp_path in Path(file).parents:
            del sys.modules[name]


def write_dataset(folder: Path, number: int = 4) -> Path:
    for state_point in ("T0.50_P1.55", "T0.56_P0.17"):
        for index in range(number):
            path = folder / state_point / f"c{index:04d}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sample(path, synthetic_sample(index, state_point))
    return folder


def installed(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run the command as an installed script does: Python's path begins with the script's folder, not with this one."""
    script = folder / "bin" / "glassformer"
    script.parent.mkdir(exist_ok=True)
    script.write_text("from glassformer.__main__ import main\nmain()\n")
    return subprocess.run(
        [sys.executable, str(script), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_the_guide_s_network_goes_the_whole_way(here: Path) -> None:
    marker = f"\nopen({str(here / 'imported')!r}, 'w').close()\n"
    (here / "mynetwork.py").write_text(NETWORK + marker)
    (here / "run.toml").write_text(RUN + SHORT)
    write_dataset(here / "data")
    done = installed(here, "train", "run.toml", "data", "--out", "training", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert (here / "imported").exists()
    (here / "imported").unlink()
    section = (GUIDES / "networks.md").read_text().partition("## What a training gives")[2].partition("\n## ")[0]
    files = re.findall(r"^\| `([^`]*)`", section, re.MULTILINE)
    assert len(files) == 4
    assert [name for name in files if not (here / "training" / name).is_file()] == []
    words = ("predict", "training/fold-0/model.safetensors", "data", "--out", "p.h5")
    refused = installed(here, *words)
    assert refused.returncode == 2
    assert f"needs the network {NAME}" in refused.stderr
    assert f"--network {NAME}" in refused.stderr
    # Nothing was run.
    assert not (here / "imported").exists()
    done = installed(here, *words, "--network", NAME)
    assert done.returncode == 0, done.stderr
    predictions = read_predictions(here / "p.h5")
    assert predictions.network == NAME
    assert np.isfinite(predictions.prediction).all()
    assert predictions.quantity == "propensity"
    scores = CliRunner().invoke(app, ["evaluate", "training/predictions.h5", "--json"], catch_exceptions=False)
    assert json.loads(scores.output)["network"] == NAME
    CliRunner().invoke(app, ["report", "."], catch_exceptions=False)
    assert "nearest neighbours" not in (here / "report" / "index.html").read_text()
    assert "all neighbours within 2 σ" in (here / "report" / "index.html").read_text()


@pytest.fixture
def trained(here: Path) -> Path:
    (here / "mynetwork.py").write_text(NETWORK)
    (here / "run.toml").write_text(RUN + SHORT)
    samples = read_dataset(write_dataset(here / "data"))
    train_run(load_run(str(here / "run.toml")), samples, here / "training", Silent(), 1)
    return here / "training" / "fold-0" / "model.safetensors"


def forget() -> None:
    sys.modules.pop("mynetwork", None)


@pytest.mark.long
def test_a_model_says_what_it_needs(trained: Path, here: Path) -> None:
    model = read_model(trained, allowed=[NAME])
    assert re.fullmatch(r"mynetwork\.py sha256 [0-9a-f]{16}", model.network_code)
    with pytest.raises(CheckpointError, match="loading a model runs no such code by itself") as caught:
        read_model(trained, allowed=["other:Network"])
    assert model.network_code in caught.value.problem
    forget()
    with (here / "mynetwork.py").open("a") as file:
        file.write("# changed\n")
    with pytest.warns(OtherCodeWarning, match=f"was trained with the network {NAME} \\({model.network_code}\\)"):
        read_model(trained, allowed=[NAME])
    forget()
    (here / "mynetwork.py").rename(here / "elsewhere.py")
    with pytest.raises(CheckpointError, match="cannot be used: network mynetwork:MyNetwork: there is no module") as no:
        read_model(trained, allowed=[NAME])
    assert "install the package" in no.value.remedy


def test_changed_code_does_not_continue_a_training(trained: Path, here: Path) -> None:
    run, samples = load_run(str(here / "run.toml")), read_dataset(here / "data")
    forget()
    (here / "mynetwork.py").write_text(NETWORK.replace("torch.tanh(self.node", "torch.sin(self.node"))
    with pytest.raises(CheckpointError, match="or the network's code differ"):
        train_run(run, samples, here / "training", Silent(), 1)


@pytest.mark.long
def test_training_starts_from_a_network_from_outside(trained: Path, here: Path) -> None:
    words = ["train", "run.toml", "data", "--out", "more", "--from", str(trained)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    model = read_model(here / "more" / "fold-1" / "model.safetensors", allowed=[NAME])
    assert model.started_from == read_model(trained, allowed=[NAME]).parameter_hash


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an installed package that offers a network under a short name."""
    (folder / "site" / "mynets").mkdir(parents=True)
    (folder / "site" / "mynets" / "__init__.py").write_text(NETWORK)
    info = folder / "site" / "mynets-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynets\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[glassformer.networks]\nmine = mynets:MyNetwork\n")
    (info / "top_level.txt").write_text("mynets\n")
    monkeypatch.syspath_prepend(str(folder / "site"))


@pytest.mark.long
def test_an_installed_package_offers_a_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no network of that name ships"):
        load_network("mine")
    offer(here, monkeypatch)
    assert registered_networks() == {"mine": "mynets:MyNetwork"}
    assert "mynets" not in sys.modules
    (here / "run.toml").write_text(RUN.replace(NAME, "mine") + SHORT)
    samples = read_dataset(write_dataset(here / "data"))
    train_run(load_run(str(here / "run.toml")), samples, here / "training", Silent(), 1)
    # What is installed need not be allowed.
    model: Model = read_model(here / "training" / "fold-0" / "model.safetensors")
    assert model.network_code == "mynets 1.2"
    listed = CliRunner().invoke(app, ["networks", "particlenet-glass"]).output
    assert "Of installed packages: mine." in listed


def test_settings_are_those_of_the_documented_table(here: Path) -> None:
    (here / "mynetwork.py").write_text(NETWORK)
    (here / "run.toml").write_text(DOCUMENTED)
    run = load_run("run.toml")
    assert (run.training.epochs, run.training.batch_size) == (20, 2)
    network = run.network
    assert isinstance(network, OwnNetworkSettings)
    assert network.options == {"width": 32}
    assert network.promises == ("rotation-invariant",)
    made = build_network(network, 4)
    assert made.encoder.edge.weight.shape == (32, 5)
    assert made.head.layers[0].in_features == 32
    assert load_network(NAME) == OwnNetworkSettings(name=NAME)
    assert load_run("default", NAME).network == OwnNetworkSettings(name=NAME)
    cost = network_cost(NAME, "", load_network(NAME), 200)
    # Two matrix products of each edge and particle, and the head's.
    assert cost.parameters == 5 * 16 + 16 + 18 * 16 + 16 + 16 * 64 + 64 + 64 + 1
    assert cost.operations > 2 * 200 * (18 * 16 + 16 * 64 + 64)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"neighbors": 3, "cutoff": 1.0}, "got neighbors, and cutoff or structure"),
        ({"width": 3}, "unknown key network.width"),
        ({"claims": ["fast"]}, "network.claims"),
        ({"options": 3}, "network.options"),
        ({"name": "transformer"}, "or package.module:Class for a network of your own"),
    ],
)
def test_mistakes_in_the_table_are_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings({"network": {"name": NAME} | table}, Run, "run")
    assert message in caught.value.problem


MODULE = """
import torch
from torch import nn
VALUE = 3
class Plain: pass
class Good(nn.Module):
    def __init__(self, scalars, width=4):
        super().__init__()
        self.layer = nn.Linear(scalars, width)
    def forward(self, graph):
        return self.layer(graph.scalars)
class Fussy(Good):
    def __init__(self, scalars, width=4):
        raise ValueError("width is too small")
class Pooled(Good):
    def forward(self, graph):
        return super().forward(graph).mean(0, keepdim=True)
class Flat(Good):
    def forward(self, graph):
        return super().forward(graph)[:, 0]
class Pair(Good):
    def forward(self, graph):
        return super().forward(graph), graph
class Whole(Good):
    def forward(self, graph):
        return graph.species[:, None]
class Crash(Good):
    def forward(self, graph):
        return graph.scalars @ torch.ones(7, 3)
"""


@pytest.mark.parametrize(
    ("name", "options", "problem", "remedy"),
    [
        ("nowhere:Net", {}, "there is no module nowhere", "in the folder that holds it"),
        ("mine.deep:Net", {}, "there is no module mine.deep", "install the package"),
        ("broken:Net", {}, "importing broken failed: ZeroDivisionError: division by zero", "broken.py, line 2)"),
        ("needy:Net", {}, "importing needy failed: ModuleNotFoundError: No module named 'absent'", ""),
        ("mine:Goood", {}, "the module mine has no 'Goood'; did you mean 'Good'?", "Good, Fussy"),
        ("mine:", {}, "has no ''", "Good, Fussy"),
        ("mine:Plain", {}, "is a class of another kind; expected a class derived from torch.nn.Module", ""),
        ("mine:VALUE", {}, "is a int; expected a class derived", ""),
        ("mine:Good", {"widht": 3}, "options do not fit the constructor of Good", "it takes: width"),
        ("mine:Good", {"width": "x"}, "Good(scalars=2, width='x') failed: TypeError", "mine.py, line 9)"),
        ("mine:Fussy", {}, "Fussy(scalars=2) failed: ValueError: width is too small", "mine.py, line 14)"),
        ("mine:Pooled", {}, "returned the shape (1, 4) for 9 particles; expected (9, F)", "(M, F)"),
        ("mine:Flat", {}, "returned the shape (9,) for 9 particles", "(M, F)"),
        ("mine:Pair", {}, "returned a tuple; expected a tensor of floats", "(M, F)"),
        ("mine:Whole", {}, "returned a tensor of torch.int64", "(M, F)"),
        ("mine:Crash", {}, "its forward failed on a graph: RuntimeError", "mine.py, line 29)"),
    ],
)
def test_each_mistake_is_one_plain_error(
    name: str, options: dict[str, Any], problem: str, remedy: str, here: Path
) -> None:
    (here / "mine.py").write_text(MODULE)
    (here / "broken.py").write_text("\n1 / 0\n")
    (here / "needy.py").write_text("import absent\n")
    settings = OwnNetworkSettings(name=name, options=options)
    with pytest.raises(NetworkError) as caught:
        build_network(settings, 1)
    assert problem in caught.value.problem
    assert remedy in str(caught.value)
    assert name in caught.value.problem
    # A run with it is refused before anything is written.
    tables = {"network": {"name": name, "options": options}, "split": {"folds": 2}, "targets": {"times": [1.0]}}
    run = check_settings(tables, Run, "run")
    with pytest.raises(NetworkError):
        train_run(run, [synthetic_sample(index) for index in range(4)], here / "out", Silent(), 1)
    assert not (here / "out").exists()


def test_lazy_layers_get_their_sizes(here: Path) -> None:
    (here / "mine.py").write_text(
        "from torch import nn\nclass Lazy(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.LazyLinear(6)\n"
        "    def forward(self, graph):\n        return self.layer(graph.scalars)\n"
    )
    made = build_network(OwnNetworkSettings(name="mine:Lazy", neighbors=5), 1)
    assert made.encoder.layer.weight.shape == (6, 2)
    assert made.training


# The guide's network, with one thing that breaks a property.
BROKEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "output shape": ("return torch.tanh(", "return torch.inf * torch.tanh(", {}),
    "reads the structure": ("graph.scalars, sums]", "graph.scalars, 0 * sums]", {}),
    "reads the species": ("graph.scalars", "torch.ones_like(graph.scalars)", {}),
    "permutation of particles": (
        "squares = graph",
        "squares = (graph.centers[:, None] % 7 == 0) + graph",
        {},
    ),
    "rotations": (
        "graph.vectors.square().sum(1, keepdim=True)",
        "graph.vectors[:, :1]",
        {"claims": ["rotation-invariant"]},
    ),
    "continuity at the cutoff": ("import torch\n", "import torch\n\n", {"claims": ["continuous"]}),
    "two sizes in one batch": ("graph.scalars, sums]", "graph.scalars, sums - sums.mean(0)]", {}),
    "neither box nor size": ("graph.scalars, sums]", "graph.scalars, sums + 0.01 * sums.sum(0)]", {}),
    "isolated particles": (
        "return torch",
        "sums = sums / torch.bincount(graph.centers, minlength=len(sums))[:, None]\n        return torch",
        {},
    ),
    "coincident features": ("keepdim=True)", "keepdim=True).sqrt()", {}),
    "every weight is trained": ("self.node =", "self.unused = nn.Linear(2, 2)\n        self.node =", {}),
    "gradients": ("sums], 1))", "sums.detach()], 1))", {}),
    "determinism": ("return torch.tanh(", "return 1e-9 * torch.rand(()) + torch.tanh(", {}),
    "state_dict round trip": (
        "        self.node =",
        "        self.bias = torch.randn(())\n        self.node =",
        {},
    ),
    "single precision": (
        "squares = graph",
        "squares = (1e9 + graph.vectors.square().sum(1, keepdim=True)) - 1e9 + 0 * graph",
        {},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_network_that_breaks_a_property_is_found(name: str, here: Path) -> None:
    before, after, table = BROKEN[name]
    text = NETWORK.replace(before, after)
    assert text != NETWORK
    if name == "state_dict round trip":
        text = text.replace("return torch.tanh(", "return self.bias + torch.tanh(")
    (here / "mynetwork.py").write_text(text)
    settings = OwnNetworkSettings(name=NAME, cutoff=1.6, **table)
    assert PROPERTIES[name].applies(settings)
    with pytest.raises(NetworkError) as caught:
        PROPERTIES[name].check(Subject.of(settings))
    assert len(caught.value.problem) > 10
    assert caught.value.remedy.endswith((".", ")"))


@pytest.mark.long
def test_the_command_tests_a_network(here: Path) -> None:
    (here / "mynetwork.py").write_text(NETWORK)
    done = CliRunner().invoke(app, ["networks", NAME, "--check"], catch_exceptions=False)
    lines = done.output.splitlines()
    assert [line.split("  ")[0] for line in lines] == list(PROPERTIES)
    promised = {"rotations", "continuity at the cutoff"}
    for name, line in zip(PROPERTIES, lines, strict=True):
        assert line.endswith("not promised by its settings" if name in promised else "holds")
    forget()
    (here / "mynetwork.py").write_text(NETWORK.replace("graph.scalars, sums]", "graph.scalars, sums - sums.mean(0)]"))
    (here / "mine.toml").write_text(f'name = "{NAME}"\ncutoff = 1.6\nclaims = ["rotation-invariant"]\n')
    broken = installed(here, "networks", "mine.toml", "--check")
    assert broken.returncode == 2
    assert re.search(r"two sizes in one batch +DOES NOT HOLD", broken.stdout)
    assert re.search(r"rotations +holds", broken.stdout)
    assert "1 of 16 properties do not hold" in broken.stderr
    assert "two sizes in one batch: Pool over the particles of each graph" in broken.stderr
    refused = CliRunner().invoke(app, ["networks", "--check"])
    assert "got 0 networks with --check" in str(refused.exception)


@pytest.mark.long
def test_a_network_that_ships_is_tested_by_its_name() -> None:
    done = CliRunner().invoke(app, ["networks", "continuous-filter", "--check", "--json"], catch_exceptions=False)
    outcomes = json.loads(done.output)
    assert {one["name"] for one in outcomes} == set(PROPERTIES)
    assert all(one["holds"] for one in outcomes)


@pytest.mark.long
def test_the_example_of_pytorch_geometric(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_geometric", reason="needs PyTorch Geometric: pip install 'glassformer[pyg]'")
    monkeypatch.chdir(ROOT / "examples")
    run = load_run("pyg_run.toml")
    assert load_network("pyg_network.toml") == run.network
    try:
        done = CliRunner().invoke(app, ["networks", "pyg_network.toml", "--check"], catch_exceptions=False)
        assert done.exit_code == 0
        changes = {"training": {"epochs": 1}, "split": {"folds": 2}, "targets": {"times": (1.0,)}}
        run = run.model_copy(
            update={name: getattr(run, name).model_copy(update=table) for name, table in changes.items()}
        )
        samples = read_dataset(write_dataset(here / "data"))
        predictions = read_predictions(train_run(run, samples, here / "training", Silent(), 1))
        assert predictions.particle_prediction is not None
        assert np.isfinite(predictions.particle_prediction).all()
    finally:
        sys.modules.pop("pyg_network", None)
