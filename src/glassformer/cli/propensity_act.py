"""The demo's second act: which particles will move, predicted and cross-validated at each state point."""

from collections.abc import Sequence
from pathlib import Path

from glassformer.api.training import with_scores
from glassformer.baselines.propensity_file import write_predictor
from glassformer.cli.console import console, print_table
from glassformer.core.errors import PredictionError
from glassformer.core.layout import OutFolder, PropensityFolder
from glassformer.core.progress import Progress
from glassformer.core.recipe import Recipe
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.held_out import read_held_out, write_held_out
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.held_out import HeldOutRow
from glassformer.simulate.quench import quench_dataset
from glassformer.train.held_out import held_out_identity, held_out_predictions
from glassformer.train.propensity import train_predictor


def train_propensities(recipe: Recipe, out: Path, workers: int, stages: Progress) -> None:
    """Quench the data of `out`, and train a model of each state point that is not there yet.

    A model is finished when its held-out predictions are there: they are written last.
    """
    files = OutFolder(out)
    quench_dataset(files.data, stages, workers)
    for label, samples in by_state_point(read_dataset(files.data)).items():
        folder = files.propensity(label)
        own = recipe.model_copy(update={"name": f"{recipe.name}-{label}"})
        if _finished(folder, held_out_identity(own, samples)):
            stages.say(f"the propensity model of {label} exists already and is kept")
        else:
            _train(own, samples, folder, workers, stages)


def _train(recipe: Recipe, samples: Sequence[Sample], folder: PropensityFolder, workers: int, stages: Progress) -> None:
    trained = train_predictor(samples, recipe, stages, workers)
    write_predictor(folder.model, with_scores(trained))
    write_held_out(folder.held_out, held_out_predictions(trained, samples, recipe))


def _finished(folder: PropensityFolder, identity: str) -> bool:
    """Tell whether the model and its held-out predictions exist and are those of `identity`."""
    if not (folder.model.exists() and folder.held_out.exists()):
        return False
    try:
        return read_held_out(folder.held_out).identity == identity
    except PredictionError:
        return False


def print_held_out(rows: Sequence[HeldOutRow]) -> None:
    """Print the correlations of held-out propensities beside the best baseline that reads one descriptor."""
    print_table(
        ["state point", "t", "of", "Pearson", "ceiling", "best one-number baseline", "ahead"],
        [
            [
                row.state_point,
                f"{row.time:g}",
                row.species,
                f"{row.score.pcc_mean:.2f} ± {row.score.pcc_error:.2f}",
                f"{row.score.ceiling:.2f}",
                f"{row.baselines[row.best].mean():.2f} {row.best}",
                f"{row.wins} of {len(row.pearson)}",
            ]
            for row in rows
        ],
    )
    console.print(
        "Which particles move: Pearson's correlation of predicted and simulated propensity over the particles of a"
        " configuration that was left out, mean and standard error over configurations; ceiling: what the noise of the"
        " draws allows; ahead: configurations in which the model is above every one-number baseline.",
        style="dim",
    )
