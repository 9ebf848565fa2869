"""ParticleNet in Keras, as its public Keras code builds it; needs numpy and tensorflow, nothing of glassformer.

The distances of all pairs by a matrix product, the k + 1 least by top_k less the nearest, edges [x_i, x_j - x_i]
written out, 1 x 1 convolutions with batch norm and ReLU, in a compiled step. H. Qu and L. Gouskos, Phys. Rev. D 101,
056019 (2020). XLA and gather_nd brought nothing.

Batch norm is Keras's own layer or, if the task says `fused_norm`, TensorFlow's fused one, which Keras 2 took of itself
and Keras 3 no longer has: the step is then sooner done.
"""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf
from tensorflow import keras


class FusedBatchNorm(keras.layers.Layer):  # type: ignore[misc]
    """Batch norm of (B, N, k, C) over all but the last axis."""

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__()
        self.epsilon, self.momentum = task["norm_epsilon"], task["norm_momentum"]

    def build(self, shape: Any) -> None:
        """Make scale, shift and the running statistics, in the order of `set_weights`."""
        width = (shape[-1],)
        self.gamma = self.add_weight(shape=width, name="gamma")
        self.beta = self.add_weight(shape=width, name="beta")
        self.mean = self.add_weight(shape=width, name="mean", trainable=False)
        self.variance = self.add_weight(shape=width, name="variance", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return `inputs`, normalised by their own statistics in training, else by the running ones."""
        norm = tf.compat.v1.nn.fused_batch_norm
        if not training:
            running = {"mean": self.mean, "variance": self.variance}
            return norm(inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=False, **running)[0]
        outputs, mean, variance = norm(inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True)
        for running, new in ((self.mean, mean), (self.variance, variance)):
            running.assign(running + self.momentum * (new - running))
        return outputs


def make_norm(task: dict[str, Any]) -> Any:
    """Return a batch norm over all but the last axis."""
    if task.get("fused_norm"):
        return FusedBatchNorm(task)
    return keras.layers.BatchNormalization(epsilon=task["norm_epsilon"], momentum=1 - task["norm_momentum"])


class EdgeConv(keras.layers.Layer):  # type: ignore[misc]
    """One block: points (B, N, P) and features (B, N, C) to features (B, N, widths[-1])."""

    def __init__(self, task: dict[str, Any], widths: list[int]) -> None:
        super().__init__()
        self.k = task["neighbors"]
        self.convolutions = [keras.layers.Conv2D(width, 1, use_bias=False) for width in widths]
        self.norms = [make_norm(task) for _ in widths]
        self.shortcut = keras.layers.Conv2D(widths[-1], 1, use_bias=False)
        self.shortcut_norm = make_norm(task)

    def call(self, points: Any, features: Any, training: bool = False) -> Any:
        """Return the new features."""
        squares = tf.reduce_sum(points * points, axis=2, keepdims=True)
        distances = squares - 2 * tf.matmul(points, points, transpose_b=True) + tf.transpose(squares, (0, 2, 1))
        neighbors = tf.nn.top_k(-distances, self.k + 1).indices[:, :, 1:]
        gathered = tf.gather(features, neighbors, batch_dims=1)
        center = tf.tile(features[:, :, None], (1, 1, self.k, 1))
        edges = tf.concat([center, gathered - center], axis=-1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            edges = tf.nn.relu(norm(convolution(edges), training=training))
        shortcut = self.shortcut_norm(self.shortcut(features[:, :, None]), training=training)
        return tf.nn.relu(tf.squeeze(shortcut, 2) + tf.reduce_max(edges, axis=2))


class ParticleNet(keras.Model):  # type: ignore[misc]
    """Input norm, edge convolutions, mean over the particles, fully connected layers: (B, N, C) to (B, K)."""

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__()
        self.input_norm = make_norm(task)
        self.convolutions = [EdgeConv(task, widths) for widths in task["blocks"]]
        self.hidden = [keras.layers.Dense(width, activation="relu") for width in task["fully_connected"]]
        self.output_layer = keras.layers.Dense(task["outputs"])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the outputs of `inputs`, points and features."""
        points, features = inputs
        features = tf.squeeze(self.input_norm(features[:, :, None], training=training), 2)
        for convolution in self.convolutions:
            features = convolution(points, features, training=training)
            points = features
        pooled = tf.reduce_mean(features, axis=1)
        for layer in self.hidden:
            pooled = layer(pooled)
        return self.output_layer(pooled)

    def take(self, arrays: dict[str, Any]) -> None:
        """Take the weights of glassformer's network, by its names."""

        def norm(layer: Any, name: str) -> None:
            layer.set_weights([arrays[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])

        def linear(layer: Any, name: str) -> None:
            layer.set_weights([arrays[f"{name}.weight"].T[None, None]])

        norm(self.input_norm, "encoder.input_norm")
        for index, block in enumerate(self.convolutions):
            name = f"encoder.blocks.{index}"
            for number, (convolution, its_norm) in enumerate(zip(block.convolutions, block.norms, strict=True)):
                linear(convolution, f"{name}.linears.{number}")
                norm(its_norm, f"{name}.norms.{number}")
            linear(block.shortcut, f"{name}.shortcut")
            norm(block.shortcut_norm, f"{name}.shortcut_norm")
        for layer, name in zip((*self.hidden, self.output_layer), head_names(arrays), strict=True):
            layer.set_weights([arrays[f"{name}.weight"].T, arrays[f"{name}.bias"]])


def head_names(arrays: dict[str, Any]) -> list[str]:
    """Return the names of the head's linear layers, first to last."""
    names = {name.rsplit(".", 1)[0] for name in arrays if name.startswith("head.layers.")}
    return sorted(names, key=lambda name: int(name.rsplit(".", 1)[1]))


class Contender:
    """Keras in training and prediction."""

    def __init__(self, task: dict[str, Any], arrays: dict[str, Any]) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
        self.network = ParticleNet(task)
        self.inputs = [tf.constant(arrays["points"]), tf.constant(arrays["features"])]
        self.targets = tf.constant(arrays["targets"])
        few = task["neighbors"] + 1
        self.network([part[:, :few] for part in self.inputs])
        self.network.take(arrays)
        self.optimizer = keras.optimizers.Adam(task["learning_rate"], epsilon=task["adam_epsilon"])
        self._step = tf.function(self._train_step)
        self._forward = tf.function(lambda inputs: self.network(inputs, training=False))

    def _train_step(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            outputs = self.network(inputs, training=True)
            loss = tf.reduce_mean(tf.square(outputs - targets))
        weights = self.network.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss, outputs

    def train_step(self) -> dict[str, Any]:
        """Make one step; return the loss and the outputs before it."""
        loss, outputs = self._step(self.inputs, self.targets)
        return {"loss": float(loss), "outputs": outputs.numpy().tolist()}

    def predict(self) -> dict[str, Any]:
        """Return the outputs."""
        return {"outputs": self._forward(self.inputs).numpy().tolist()}

    def versions(self) -> dict[str, str]:
        """Return the versions of what is at work here."""
        return {"tensorflow": tf.__version__, "keras": keras.__version__}
