"""ParticleNet beside a Keras implementation of it: the same weights and inputs, the same numbers."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.core.errors import CheckpointError
from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.core.presets import load_network
from glassformer.graph.batch import GraphBatch, join
from glassformer.network.heads import pool
from glassformer.network.keras_weights import load_keras_weights
from glassformer.network.registry import Network, build_network

CASES = ("particlenet", "dgcnn_four_blocks", "particlenet_mean_k16")


def case(folder: Path, name: str) -> tuple[ParticleNetSettings, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Settings from the preset that the file stands for, its weights, and the rest of it."""
    with np.load(folder / "particlenet_parity" / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    meta = ast.literal_eval(str(arrays["meta"]))
    settings = load_network("dgcnn-four-blocks" if name == "dgcnn_four_blocks" else "particlenet")
    assert isinstance(settings, ParticleNetSettings)
    if name == "particlenet_mean_k16":
        settings = settings.model_copy(update={"neighbors": 16, "aggregation": "mean"})
    assert [(settings.neighbors, widths) for widths in settings.blocks] == meta["conv"]
    assert [(width, settings.dropout) for width in settings.fully_connected] == meta["fc"]
    assert {"max": "max", "mean": "average"}[settings.aggregation] == meta["aggregation"]
    assert (settings.global_pool, settings.norm_epsilon) == (meta["global_pool"], meta["bn_epsilon"])
    weights = {key.removeprefix("w/"): value for key, value in arrays.items() if key.startswith("w/")}
    return settings, weights, arrays


def graphs(settings: ParticleNetSettings, points: np.ndarray, features: np.ndarray) -> GraphBatch:
    """The points' nearest neighbours in open space, by brute force; the features as they are."""
    parts = []
    for place, feature in zip(points, features, strict=True):
        distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
        np.fill_diagonal(distance, np.inf)
        neighbors = torch.from_numpy(np.argsort(distance, axis=1)[:, : settings.neighbors].ravel())
        size = len(place)
        graph = GraphBatch(
            species=torch.zeros(size, dtype=torch.int64),
            scalars=torch.from_numpy(feature),
            node_vectors=torch.empty(size, 0, 3),
            centers=torch.arange(size).repeat_interleave(settings.neighbors),
            neighbors=neighbors,
            vectors=torch.empty(len(neighbors), 3),
            counts=(size,),
        )
        parts.append(graph)
    return join(parts)


def loaded(folder: Path, name: str) -> tuple[Network, GraphBatch, dict[str, np.ndarray]]:
    settings, weights, arrays = case(folder, name)
    network = build_network(settings, outputs=arrays["output"].shape[1])
    load_keras_weights(network, weights)
    return network.eval(), graphs(settings, arrays["points"], arrays["features"]), arrays


@pytest.mark.parametrize("fast", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_pooled_features_and_outputs_equal_those_of_keras(name: str, fast: bool, reference_data: Path) -> None:
    network, graph, arrays = loaded(reference_data, name)
    # With gradients the plain operations run.
    with torch.set_grad_enabled(not fast):
        features = network.encoder(graph)
        pooled = pool(features, graph.counts, "mean").detach().numpy()
        output = network(graph).detach().numpy()
    np.testing.assert_allclose(pooled, arrays["pooled"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(output, arrays["output"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_weights_is_that_of_keras(name: str, reference_data: Path) -> None:
    network, _, arrays = loaded(reference_data, name)
    assert sum(weight.numel() for weight in network.parameters()) == int(arrays["n_trainable"])


def test_weights_of_another_shape_are_refused(reference_data: Path) -> None:
    settings, weights, _ = case(reference_data, "particlenet")
    narrow = settings.model_copy(update={"blocks": ((64, 64, 64), (128, 128, 128), (128, 128, 128))})
    with pytest.raises(CheckpointError, match=r"pn_EdgeConv2_conv0: got a weight of shape \(256, 256\)"):
        load_keras_weights(build_network(narrow, 2), weights)
    short = settings.model_copy(update={"blocks": settings.blocks[:2]})
    with pytest.raises(CheckpointError, match="dense: got a weight of shape"):
        load_keras_weights(build_network(short, 2), weights)
    longer = settings.model_copy(update={"blocks": (*settings.blocks, (256,))})
    with pytest.raises(CheckpointError, match="the weight pn_EdgeConv3_conv0/kernel is missing"):
        load_keras_weights(build_network(longer, 2), weights)
    with pytest.raises(CheckpointError, match="1 weights are left over, first extra"):
        load_keras_weights(build_network(settings, 2), weights | {"extra": np.zeros(1)})
    without = {key: value for key, value in weights.items() if not key.startswith("dense/")}
    with pytest.raises(CheckpointError, match="got 1 dense layers; expected 2"):
        load_keras_weights(build_network(settings, 2), without)
