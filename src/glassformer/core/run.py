"""The run file: what to learn, with which network, and how to train and test it."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from glassformer.core.settings import Settings

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Targets(Settings):
    """The network learns ln MSD_A at these times; 'last' is the last time of the data."""

    times: Annotated[tuple[PositiveFloat | Literal["last"], ...], Field(min_length=1)] = (1.63, "last")


class Split(Settings):
    """Cross-validation by configuration: in each fold some are held out for the test, some for validation.

    All draws of a configuration stay on one side.
    """

    folds: Annotated[int, Field(ge=2)] = 4
    validation_per_state_point: PositiveInt = 1


class NetworkSettings(Settings):
    """Which network, and its shape."""

    name: Literal["particlenet"] = "particlenet"
    neighbors: PositiveInt = 20
    blocks: Annotated[tuple[Annotated[tuple[PositiveInt, ...], Field(min_length=1)], ...], Field(min_length=1)] = (
        (64, 64, 64),
        (128, 128, 128),
        (256, 256, 256),
    )
    aggregation: Literal["max", "mean"] = "mean"
    global_pool: Literal["max", "mean"] = "mean"
    fully_connected: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (256,)
    dropout: Fraction = 0.1


class Training(Settings):
    """Adam with the mean squared error; the learning rate drops once, as in the thesis."""

    epochs: PositiveInt = 30
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 1e-3
    late_learning_rate: PositiveFloat = 1e-4
    late_from_epoch: PositiveInt = 10
    weight_decay: NonNegativeFloat = 0.0
    symmetry_augmentation: bool = True


class Run(Settings):
    """One training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    targets: Targets = Targets()
    split: Split = Split()
    network: NetworkSettings = NetworkSettings()
    training: Training = Training()

    @model_validator(mode="after")
    def _target_times_differ(self) -> "Run":
        if len(set(self.targets.times)) < len(self.targets.times):
            raise ValueError("targets.times holds a time twice")
        return self
