"""Training, of a network or a propensity model, on data with draws."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassformer.api.display import html_table
from glassformer.api.predictions import PredictionSet, Scores, scores_of
from glassformer.api.reading import AnyStructures, samples_at
from glassformer.api.simulation import caged, quenched
from glassformer.api.structures import Structure
from glassformer.baselines.propensity_file import write_predictor
from glassformer.baselines.propensity_model import PropensityPredictor
from glassformer.core.cores import cores
from glassformer.core.errors import SettingsError
from glassformer.core.layout import MODEL_SUFFIX, TrainingFolder
from glassformer.core.memory import available_memory
from glassformer.core.presets import is_recipe, load_recipe
from glassformer.core.progress import Progress, Silent
from glassformer.core.recipe import Recipe, is_recipe_table
from glassformer.core.run import Run, load_run
from glassformer.core.runs import exclusive
from glassformer.core.settings import check_settings
from glassformer.dataset.outline import stream_dataset
from glassformer.dataset.predictions import read_predictions, write_predictions
from glassformer.dataset.sample import Sample
from glassformer.evaluate.evaluation import evaluate
from glassformer.evaluate.propensity_scores import score_propensities
from glassformer.simulate.cage import cage_dataset, usual_sampling
from glassformer.simulate.quench import quench_dataset
from glassformer.train.labelled_structures import check_ends, check_liquid, chosen, is_chosen, targets_of
from glassformer.train.propensity import Trained, train_predictor
from glassformer.train.propensity_prediction import cross_validated

if TYPE_CHECKING:
    from glassformer.train.checkpoint import Model
    from glassformer.train.device import Device
    from glassformer.train.nodes import Member

# Of the memory, the part for samples: in training, graphs are asked for more often.
SAMPLES_SHARE = 0.25

AnyRun = str | Path | Mapping[str, Any] | Run | Recipe


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """A finished training: files of the `models`, and `scores` of structures that were left out in turn.

    `models`: of a network one for each fold; of a propensity model one, trained on all structures. `predictions`: of
    each structure by a model that had not seen it; None for a propensity model of several temperatures.
    """

    out: Path
    models: tuple[Path, ...]
    scores: Scores
    predictions: PredictionSet | None = None

    def __repr__(self) -> str:
        models = ", ".join(str(path.relative_to(self.out)) for path in self.models)
        return f"Training in {self.out}: {models}\n{self.scores!r}"

    def _repr_html_(self) -> str:
        rows = [(f"model {number}", path) for number, path in enumerate(self.models)]
        return html_table(f"Training in {self.out}", (), rows) + self.scores._repr_html_()


def train(
    recipe: AnyRun,
    data: AnyStructures,
    out: str | Path,
    *,
    network: str = "",
    threads: int | None = None,
    processes: int = 1,
    device: "Device" = "auto",
    allow_unequilibrated: bool = False,
    progress: Progress | None = None,
) -> Training:
    """Train a network or a propensity model, with cross-validation by configuration.

    `recipe`: a run file or recipe by name, as TOML file, or its settings as a table; one that says what it `reads` is
    the recipe of a propensity model. `data`: structures with draws, or datasets; inherent structures and cages that a
    recipe reads are found on the way, and kept in a dataset. `out`: folder of the models; a training of networks that
    was interrupted continues when it is called again. `network` takes the place of the run's own, `processes` train
    one network together, on the `device` 'cpu' or 'cuda'; 'auto' is a GPU if there is one.

    Raises `SettingsError`, `DatasetError`, `CheckpointError` if the folder holds another training, `TrainingError`.
    """
    chosen, stages, threads = run_or_recipe(recipe, network), progress or Silent(), threads or cores()
    if isinstance(chosen, Recipe):
        made = train_propensity(chosen, data, Path(out), threads, stages)
        known = PredictionSet(read_predictions(made.predictions[0])) if len(made.predictions) == 1 else None
        return Training(Path(out), (made.model,), Scores(made.predictor.card.scores), known)
    path = train_network(chosen, data, Path(out), threads, stages, allow_unequilibrated, processes, device=device)
    predictions = read_predictions(path)
    models = tuple(fold.model for fold in TrainingFolder(Path(out)).folds())
    return Training(Path(out), models, scores_of(evaluate(predictions)), PredictionSet(predictions))


def run_or_recipe(recipe: AnyRun, network: str = "") -> Run | Recipe:
    """Return the settings that `recipe` names or is. Raises `SettingsError`."""
    if isinstance(recipe, Run | Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        correct = "settings", "Correct the settings."
        if is_recipe_table(recipe):
            return check_settings(dict(recipe), Recipe, *correct)
        return check_settings(dict(recipe), Run, *correct)
    return load_recipe(str(recipe)) if is_recipe(str(recipe)) else load_run(str(recipe), network)


def train_network(
    run: Run,
    data: AnyStructures,
    out: Path,
    threads: int,
    stages: Progress,
    allow_unequilibrated: bool = False,
    processes: int = 1,
    start: "Model | None" = None,
    device: "Device" = "auto",
    member: "Member | None" = None,
    memory: float | None = None,
) -> Path:
    """Train the networks of `run`, and return the path of the prediction file. Raises as `train`.

    With `start`, from the weights of a trained network; as `member` of the processes that srun or torchrun started.
    `memory`: bytes that all these processes on this machine may take for samples and graphs.
    """
    if not isinstance(data, str | Path | Structure) and len(data) > 1 and isinstance(data[0], str | Path):
        raise SettingsError(
            f"got {len(data)} datasets; a network is trained on one", "Put its state points into one folder."
        )
    free = available_memory()
    of_node = memory if memory is not None else math.inf if free is None else free / 2
    # A process that starts others holds samples and graphs, too, beside them.
    of_each = of_node / (processes + (processes > 1) if member is None else member.on_node)
    samples = _samples_within(data, SAMPLES_SHARE * of_each, run, stages.say)
    from glassformer.train.training import train_run

    of_graphs = (1 - SAMPLES_SHARE) * of_each
    return train_run(
        run, samples, out, stages, threads, allow_unequilibrated, processes, start, device, member, of_graphs
    )


def _samples_within(data: AnyStructures, memory: float, run: Run, say: Callable[[str], None]) -> Sequence[Sample]:
    """Return the samples of `samples_at`; those of one dataset need not be in memory all at once."""
    paths = [data] if isinstance(data, str | Path) else [] if isinstance(data, Structure) else data
    if len(paths) == 1 and isinstance(paths[0], str | Path) and Path(paths[0]).is_dir():
        return stream_dataset(Path(paths[0]), memory, run, say)
    return samples_at(data)


def train_propensity(
    recipe: Recipe, data: AnyStructures, out: Path, threads: int, stages: Progress
) -> "PropensityTraining":
    """Derive what the recipe reads, train, and write model and predictions. Raises as `train`."""
    kept = out / f".{recipe.name}-networks"
    samples = _with_derived(recipe, data, threads, stages)
    with exclusive(out):
        trained = train_predictor(samples, recipe, stages, threads, kept)
        scored, path = with_scores(trained), out / f"{recipe.name}{MODEL_SUFFIX}"
        write_predictor(path, scored)
        shutil.rmtree(kept, ignore_errors=True)
        return PropensityTraining(scored, path, _write_cross_validation(trained, samples, out))


@dataclass(frozen=True, eq=False)
class PropensityTraining:
    """A propensity model with its scores, its file, and the files of what cross-validation predicted."""

    predictor: PropensityPredictor
    model: Path
    predictions: tuple[Path, ...]


def _write_cross_validation(trained: Trained, samples: Sequence[Sample], out: Path) -> tuple[Path, ...]:
    """Write what cross-validation predicted, a file for each temperature, beside the model."""
    card, paths = trained.predictor.card, []
    for temperature in card.temperatures:
        predictions = cross_validated(trained, samples, temperature)
        if predictions is not None:
            which = "" if len(card.temperatures) == 1 else f"-T{temperature:g}"
            paths.append(out / f"{card.name}{which}-predictions{MODEL_SUFFIX}")
            write_predictions(paths[-1], predictions)
    return tuple(paths)


def _with_derived(recipe: Recipe, data: AnyStructures, threads: int, stages: Progress) -> list[Sample]:
    """Return the samples with what the recipe reads: found and kept in the datasets, or found in memory."""
    paths = [data] if isinstance(data, str | Path) else [] if isinstance(data, Structure) else data
    datasets = [Path(one) for one in paths if isinstance(one, str | Path)]
    if datasets:
        known = chosen(samples_at(datasets), recipe)
        check_ends(known, recipe)
        check_liquid(known, recipe)
        # All that can be refused is refused before anything is derived.
        targets_of(known, recipe)
        for dataset, described in _described(datasets):
            wanted = partial(_is_wanted, recipe=recipe, described=described)
            quench_dataset(dataset, stages, threads, wanted)
            if recipe.reads != "inherent":
                cage_dataset(dataset, recipe.reads, None, stages, threads, wanted)
        return chosen(samples_at(datasets), recipe)
    known = chosen(samples_at(data), recipe)
    check_liquid(known, recipe)
    targets_of(known, recipe)
    samples = [quenched(sample, threads, stages) for sample in known]
    if recipe.reads == "inherent":
        return samples
    kind = recipe.reads
    return [
        sample
        if sample.cage is not None and sample.cage.kind == kind
        else caged(sample, kind, usual_sampling(sample, kind), threads, stages)
        for sample in samples
    ]


def _described(datasets: Sequence[Path]) -> list[tuple[Path, frozenset[str]]]:
    """Return the datasets that have a structure first, with the fingerprints of these structures; others add times.

    Ends of draws come before further draws of them, wherever they were named.
    """
    samples = {dataset: samples_at(dataset) for dataset in datasets}
    known: set[str] = set()
    found = []
    for dataset in sorted(samples, key=lambda one: all(sample.origin is None for sample in samples[one])):
        new = frozenset(sample.configuration.fingerprint for sample in samples[dataset]) - known
        known |= new
        if new:
            found.append((dataset, new))
    return found


def _is_wanted(sample: Sample, recipe: Recipe, described: frozenset[str]) -> bool:
    return is_chosen(sample, recipe) and sample.configuration.fingerprint in described


def with_scores(trained: Trained) -> PropensityPredictor:
    """Return the model with the scores of cross-validation on its card."""
    card, scores = trained.predictor.card, []
    for temperature, times in zip(card.temperatures, card.times, strict=True):
        for place, time in enumerate(times):
            for kind, name in enumerate(card.mixture.species):
                predictions, labels, ceilings = trained.answers(temperature, place, kind)
                off = [one.mean() - label.mean() for one, label in zip(predictions, labels, strict=True)]
                score = score_propensities(predictions, labels, ceilings).as_json()
                score |= {"mean_error": float(np.sqrt(np.mean(np.square(off))))}
                scores.append({"temperature": temperature, "time": time, "species": name} | score)
    return replace(trained.predictor, card=card.model_copy(update={"scores": tuple(scores)}))
