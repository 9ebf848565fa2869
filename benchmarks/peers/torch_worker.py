"""ParticleNet in plain torch, as it is usually written; needs numpy and torch, nothing of glassformer.

torch.cdist and topk, edges [x_i, x_j - x_i] written out as (B, N, k, 2 C), a linear layer on every edge, autograd,
the default allocator. Y. Wang et al., ACM Trans. Graph. 38, 146 (2019).
"""

import itertools
from typing import Any, cast

import torch
from torch import Tensor, nn


class EdgeConv(nn.Module):
    """One block: points (B, N, P) and features (B, N, C) to features (B, N, widths[-1])."""

    def __init__(self, task: dict[str, Any], features: int, widths: list[int]) -> None:
        super().__init__()
        self.k = task["neighbors"]
        sizes = (2 * features, *widths)
        self.linears = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(batch_norm(task, width) for width in widths)
        self.shortcut = nn.Linear(features, widths[-1], bias=False)
        self.shortcut_norm = batch_norm(task, widths[-1])

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """Return the new features."""
        with torch.no_grad():
            neighbors = torch.cdist(points, points).topk(self.k + 1, largest=False).indices[..., 1:]
        graphs = torch.arange(len(features), device=features.device)[:, None, None]
        gathered = features[graphs, neighbors]
        center = features[:, :, None].expand_as(gathered)
        edges = torch.cat([center, gathered - center], -1)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            edges = torch.relu(over_last(norm, linear(edges)))
        shortcut = over_last(self.shortcut_norm, self.shortcut(features))
        return torch.relu(shortcut + edges.max(2).values)


class ParticleNet(nn.Module):
    """Input norm, edge convolutions, mean over the particles, fully connected layers: (B, N, C) to (B, K).

    Its parts have the names of glassformer's network.
    """

    block = EdgeConv

    def __init__(self, task: dict[str, Any], features: int) -> None:
        super().__init__()
        sizes = [features, *(widths[-1] for widths in task["blocks"])]
        blocks = (self.block(task, size, widths) for size, widths in zip(sizes, task["blocks"], strict=False))
        self.encoder = nn.ModuleDict({"input_norm": batch_norm(task, features), "blocks": nn.ModuleList(blocks)})
        layers: list[nn.Module] = []
        width = sizes[-1]
        for following in task["fully_connected"]:
            layers += [nn.Linear(width, following), nn.ReLU(), nn.Dropout(0.0)]
            width = following
        self.head = nn.ModuleDict({"layers": nn.Sequential(*layers, nn.Linear(width, task["outputs"]))})

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """Return the outputs."""
        features = over_last(self.encoder["input_norm"], features)
        for block in cast(nn.ModuleList, self.encoder["blocks"]):
            features = block(points, features)
            points = features
        outputs: Tensor = self.head["layers"](features.mean(1))
        return outputs


def batch_norm(task: dict[str, Any], width: int) -> nn.BatchNorm1d:
    """Return a batch norm of `width` channels."""
    return nn.BatchNorm1d(width, eps=task["norm_epsilon"], momentum=task["norm_momentum"])


def over_last(norm: nn.Module, values: Tensor) -> Tensor:
    """Return `norm` of `values`, whose last axis is the channels'."""
    normed: Tensor = norm(values.flatten(0, -2))
    return normed.view_as(values)


class Contender:
    """Plain torch in training and prediction."""

    def __init__(self, task: dict[str, Any], arrays: dict[str, Any]) -> None:
        torch.set_num_threads(task["threads"])
        self.points, self.features, self.targets = (
            torch.from_numpy(arrays[name]) for name in ("points", "features", "targets")
        )
        self.network = ParticleNet(task, self.features.shape[-1])
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays if name.startswith(("encoder.", "head."))}
        self.network.load_state_dict(weights)
        self.optimizer = torch.optim.Adam(self.network.parameters(), task["learning_rate"], eps=task["adam_epsilon"])

    def train_step(self) -> dict[str, Any]:
        """Make one step; return the loss and the outputs before it."""
        self.network.train()
        self.optimizer.zero_grad()
        outputs = self.network(self.points, self.features)
        loss = nn.functional.mse_loss(outputs, self.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"loss": float(loss.detach()), "outputs": outputs.tolist()}

    @torch.no_grad()
    def predict(self) -> dict[str, Any]:
        """Return the outputs."""
        self.network.eval()
        return {"outputs": self.network(self.points, self.features).tolist()}

    def versions(self) -> dict[str, str]:
        """Return the versions of what is at work here."""
        return {"torch": torch.__version__}
