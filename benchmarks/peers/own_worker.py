"""glassformer's own network, with the allocator's setting that its training has."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.graph.batch import GraphBatch, build_graph, join
from glassformer.network import particlenet
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration
from glassformer.train.memory import keep_large_blocks

# The matrix product whose speed is the limit of the largest layers: a block of edges by 256 channels.
SGEMM = (5120, 256, 256)
SGEMM_SECONDS = 0.3


class Timed:
    """A function, and the seconds spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        began = time.perf_counter()
        try:
            return self.function(*args)
        finally:
            self.seconds += time.perf_counter() - began


class Contender:
    """glassformer in training, where a configuration's first graph is at hand, and in prediction, where it is not."""

    def __init__(self, task: dict[str, Any], arrays: dict[str, Any]) -> None:
        keep_large_blocks()
        torch.set_num_threads(task["threads"])
        self.settings = ParticleNetSettings.model_validate(task["settings"])
        self.configurations = [
            Configuration(positions, arrays["species"], arrays["box"]) for positions in arrays["positions"]
        ]
        self.velocities = list(arrays["velocities"])
        self.targets = torch.from_numpy(arrays["targets"])
        self.network = build_network(self.settings, task["outputs"])
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays if name.startswith(("encoder.", "head."))}
        self.network.load_state_dict(weights)
        self.optimizer = torch.optim.Adam(self.network.parameters(), task["learning_rate"], eps=task["adam_epsilon"])
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=task["precision"] == "bf16")
        self.graph = self._graph()
        self.search = Timed(vars(particlenet)["feature_neighbors"])
        vars(particlenet)["feature_neighbors"] = self.search

    def _graph(self) -> GraphBatch:
        pairs = zip(self.configurations, self.velocities, strict=True)
        return join([build_graph(one, self.settings, velocities=velocities) for one, velocities in pairs])

    def train_step(self) -> dict[str, Any]:
        """Make one step; return the loss, the outputs before it, and the seconds spent on feature neighbours."""
        self.network.train()
        self.search.seconds = 0.0
        self.optimizer.zero_grad()
        with self.autocast:
            outputs: Tensor = self.network(self.graph).float()
            loss = nn.functional.mse_loss(outputs, self.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"loss": float(loss.detach()), "outputs": outputs.tolist(), "neighbor_seconds": self.search.seconds}

    @torch.no_grad()
    def predict(self) -> dict[str, Any]:
        """Return the outputs, from positions on, and the seconds spent on feature neighbours."""
        self.network.eval()
        self.search.seconds = 0.0
        with self.autocast:
            outputs = self.network(self._graph()).float()
        return {"outputs": outputs.tolist(), "neighbor_seconds": self.search.seconds}

    def sgemm(self) -> float:
        """Return the speed in GFLOP/s of torch's matrix product of (5120, 256) and (256, 256)."""
        rows, inner, columns = SGEMM
        left, right, out = torch.rand(rows, inner), torch.rand(inner, columns), torch.empty(rows, columns)
        torch.mm(left, right, out=out)
        began, products = time.perf_counter(), 0
        while time.perf_counter() - began < SGEMM_SECONDS:
            torch.mm(left, right, out=out)
            products += 1
        return 2e-9 * rows * inner * columns * products / (time.perf_counter() - began)

    def versions(self) -> dict[str, str]:
        """Return the versions of what is at work here."""
        return {"torch": torch.__version__}
