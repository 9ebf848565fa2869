"""The run file: what to learn, with which network, and how to train and test it."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from glassformer.core.bounds import Count, LearningRate, NonNegativeCount, Time, Weight
from glassformer.core.mixture import SpeciesName
from glassformer.core.network_kinds import AnyNetwork, ParticleNetSettings
from glassformer.core.presets import RUNS, find, load_network, named
from glassformer.core.settings import Settings, check_settings, checked, read_toml

Quantity = Literal["squared-displacement", "propensity"]
Precision = Literal["float32", "tf32", "bf16"]


class Targets(Settings):
    """What the network learns, at these times; 'last' is the last time of the data.

    A system head learns the MSD of the first species of a configuration, MSD_A; a particle head learns, for every
    particle of `species`, the mean over draws of |r(t) - r(0)|^2 ('squared-displacement') or of |r(t) - r(0)|
    ('propensity'). `species`: a name of the mixture, 'both' of two, or 'all'; 'A' is the first species in a mixture
    that calls none so. `scale`: the labels or
    their logarithms are standardised. `draws`: labels are means over draws, or every draw is a sample of its own; with
    'log' a network then learns the mean of logarithms, less than the logarithm of the mean by half their variance.
    `standardised`: labels of a particle head by the mean and spread of all that are learned 'together', or of each
    'species' by itself; always those of the training set, and of each time.
    """

    times: Annotated[tuple[Time | Literal["last"], ...], Field(min_length=1)] = (1.63, "last")
    scale: Literal["log", "linear"] = "log"
    quantity: Quantity = "squared-displacement"
    species: SpeciesName = "A"
    draws: Literal["mean", "each"] = "mean"
    standardised: Literal["together", "species"] = "together"

    @model_serializer(mode="wrap")
    def _without_usual_scale(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A run keeps the identity that it had before there was a choice.
        values: dict[str, Any] = serialise(self)
        if self.standardised == "together":
            values.pop("standardised", None)
        return values


class Split(Settings):
    """Cross-validation by configuration: in each fold some are held out for the test, some for validation.

    All draws of a configuration stay on one side, unless `by` is 'draw': then every draw is dealt out alone, and the
    network is tested on structures that it was trained on. That is the classic leak, there to be measured; scores from
    it are marked; for validation as many draws are set aside as `validation_per_state_point` configurations have.
    `trained_folds`: so many of the folds are trained and tested, all of them if it is not given.
    `training_share`: that part of the training configurations of every state point, rounded up, is used.
    """

    by: Literal["configuration", "draw"] = "configuration"
    folds: Annotated[int, Field(ge=2, le=10_000)] = 4
    validation_per_state_point: Count = 1
    trained_folds: Count | None = None
    training_share: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> "Split":
        if self.trained_folds is not None and self.trained_folds > self.folds:
            raise ValueError(f"got trained_folds = {self.trained_folds}; there are {self.folds} folds")
        return self


class Training(Settings):
    """How to train. The thesis: Adam, MSE, the learning rate drops once.

    `schedule` 'step': `late_learning_rate` from epoch `late_from_epoch`; 'cosine': up linearly in `warmup_epochs`, then
    down to `late_learning_rate` along a cosine. `early_stopping`: epochs without a better validation error before the
    end; 0 means none. `clip_gradient`: largest norm of the gradient; 0 means none. `precision` of matrix products:
    'tf32' rounds their factors to 10 bits on GPUs that have it (on CPUs it is float32), 'bf16' to 7 bits anywhere;
    sums, norms and the optimiser stay in float32. `deterministic`: on a GPU, the same numbers every time, at some cost;
    on a CPU they always are. `augmentation`: the cube's 48 symmetries, its 24 rotations, or any rotation, drawn again
    for every configuration and epoch; in two dimensions the square's 8, its 4 rotations, or any rotation in the plane.
    `batches` 'stratified': each holds labels from all over their range, so that batch norms, which take their batch's
    mean off, leave the differences between state points; 'shuffled': as it falls. From epoch `frozen_norms_from_epoch`
    on, counted from 0, batch norms train with the statistics of the whole training set, which are measured again after
    every epoch, as they predict with them; 0 means never. `keep`: the epoch with the smallest validation error, or the
    last, where few configurations make that error noisy. `seconds`: the time to train one network in, 0 for as long as
    it takes. The time of an epoch is then measured first, and the schedule of `epochs` epochs is stretched or shortened
    to as many as fit; see `within`. Validation counts, tests and the measurement do not.
    """

    epochs: Count = 30
    seconds: Weight = 0.0
    batch_size: Count = 16
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: LearningRate = 1e-3
    schedule: Literal["step", "cosine"] = "step"
    late_learning_rate: LearningRate = 1e-4
    late_from_epoch: Count = 10
    warmup_epochs: NonNegativeCount = 0
    weight_decay: Weight = 0.0
    clip_gradient: Weight = 0.0
    early_stopping: NonNegativeCount = 0
    loss: Literal["mse", "mae", "huber"] = "mse"
    augmentation: Literal["symmetries", "cubic-rotations", "rotations", "none"] = "symmetries"
    batches: Literal["stratified", "shuffled"] = "stratified"
    frozen_norms_from_epoch: NonNegativeCount = 0
    keep: Literal["best", "last"] = "best"
    precision: Precision = "float32"
    deterministic: bool = False
    tensorboard: bool = False

    @model_serializer(mode="wrap")
    def _without_later_choices(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A run keeps the identity that it had before there was a choice.
        values: dict[str, Any] = serialise(self)
        for name in ("seconds", "deterministic"):
            if not getattr(self, name):
                values.pop(name, None)
        return values

    def within(self, epochs: int) -> "Training":
        """Return the same schedule in so many `epochs`, without a limit of time.

        All that is counted in epochs changes in proportion, rounded: warm-up, the drop of the learning rate, patience
        and the epoch that freezes batch norms. Trained with these settings a network comes out the same on any day.
        """
        share = epochs / self.epochs
        changed = {
            "epochs": epochs,
            "seconds": 0.0,
            "late_from_epoch": max(1, round(self.late_from_epoch * share)),
            "warmup_epochs": min(round(self.warmup_epochs * share), epochs - 1),
            "early_stopping": max(min(1, self.early_stopping), round(self.early_stopping * share)),
            "frozen_norms_from_epoch": min(round(self.frozen_norms_from_epoch * share), epochs - 1),
        }
        return Training.model_validate(self.model_dump() | changed)

    @model_validator(mode="after")
    def _warmup_ends(self) -> "Training":
        if self.schedule == "step" and self.warmup_epochs:
            raise ValueError('warmup_epochs has no effect with schedule "step": expected schedule = "cosine"')
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError(f"got warmup_epochs = {self.warmup_epochs}; expected less than epochs = {self.epochs}")
        return self

    @model_validator(mode="after")
    def _endings_agree(self) -> "Training":
        if self.keep == "last" and self.early_stopping:
            raise ValueError('early_stopping ends when the best epoch lies behind: expected keep = "best" with it')
        if self.frozen_norms_from_epoch >= self.epochs:
            raise ValueError(
                f"got frozen_norms_from_epoch = {self.frozen_norms_from_epoch}; expected less than epochs ="
                f" {self.epochs}, or 0 for never"
            )
        return self


class Run(Settings):
    """One training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    targets: Targets = Targets()
    split: Split = Split()
    network: AnyNetwork = ParticleNetSettings()
    training: Training = Training()

    @model_validator(mode="after")
    def _target_times_differ(self) -> "Run":
        if len(set(self.targets.times)) < len(self.targets.times):
            raise ValueError("targets.times holds a time twice")
        return self

    @model_validator(mode="after")
    def _draws_where_they_belong(self) -> "Run":
        if "velocity" in self.network.inputs and self.targets.draws != "each":
            raise ValueError('velocities as input belong to a draw: expected targets.draws = "each"')
        if self.network.head == "particle" and self.targets.draws == "each":
            raise ValueError('a particle head learns means over draws: expected targets.draws = "mean"')
        if self.split.by == "draw" and self.targets.draws != "each":
            raise ValueError('split.by = "draw" deals out single draws: expected targets.draws = "each"')
        return self

    @model_validator(mode="after")
    def _particles_where_they_belong(self) -> "Run":
        targets = self.targets
        if self.network.head == "system" and targets.standardised == "species":
            raise ValueError(
                "a system head has one label per configuration: leave targets.standardised as it is, or take"
                ' network.head = "particle"'
            )
        if self.network.head == "system" and (targets.quantity, targets.species) != ("squared-displacement", "A"):
            raise ValueError(
                "a system head learns MSD_A, nothing else: leave targets.quantity and targets.species as they are, or"
                ' take network.head = "particle"'
            )
        return self


def load_run(source: str, network: str = "") -> Run:
    """Return the run that `source` names: a TOML file, or one that ships with the package, by its name.

    `network`: in place of the run's own, a network that ships, or a TOML file. Raises `SettingsError`.
    """
    values = read_toml(find(RUNS, source))
    where, remedy = named(RUNS, source)
    if not network:
        return check_settings(values, Run, where, remedy)
    alone = checked(values, Run)
    values["network"] = load_network(network).model_dump(mode="json")
    if isinstance(alone, Run):
        where, remedy = (
            f"{where} with --network {network}",
            f"Choose another network, or {remedy[0].lower()}{remedy[1:]}",
        )
    return check_settings(values, Run, where, remedy)
