"""What the files and folders of a dataset, a training, a study, a report and an analysis are called, and nowhere else.

<out>/                     of `demo` and `experiment`: `OutFolder`
  data/, cooling/          `DatasetFolder`
    campaign.json
    <state point>/c0003.h5           and .c0003.unfinished/, .c0003.lock while it is simulated
  training/                `TrainingFolder`; of a study, training/<experiment>/
    run.json, predictions.h5, result.json; budget.json where time is limited
    fold-0/                `FoldFolder`
      model.safetensors, history.json, test.h5
  propensity/              of `demo`
    <state point>/         `PropensityFolder`
      model.h5, held-out.h5
  report/                  `ReportFolder`
    index.html, figures/
  results.json
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE, INDEX_FILE = ".lock", ".index"
# The folder of the demo's second network, within that of its first.
STRUCTURE_AWARE = "structure-aware"
SAMPLE_SUFFIX = ".h5"
# Of a propensity model.
MODEL_SUFFIX = ".h5"
MODEL_FILE, HISTORY_FILE, TEST_FILE = "model.safetensors", "history.json", "test.h5"
# Of models until version 4.
_OLDER_MODEL_FILE = "model.pt"
HELD_OUT_FILE = "held-out.h5"
RUN_FILE, PREDICTIONS_FILE, RESULT_FILE = "run.json", "predictions.h5", "result.json"
# Files that have the suffix of samples, and are none.
OTHER_HDF5_FILES = (PREDICTIONS_FILE, TEST_FILE, HELD_OUT_FILE, f"model{MODEL_SUFFIX}")
# Of a training within a budget of time: the epochs that fit.
BUDGET_FILE = "budget.json"


@dataclass(frozen=True, order=True)
class Draw:
    """Draw number `number` of the configuration that is called `configuration` in its dataset.

    Files, which name what they hold by texts, call it '<configuration>#<number>': `str` of it, and `read`.
    """

    configuration: str
    number: int

    def __str__(self) -> str:
        return f"{self.configuration}#{self.number}"

    @classmethod
    def read(cls, text: str) -> "Draw | None":
        """Return the draw that a file calls `text`, or None if that is the name of a whole configuration."""
        configuration, sign, number = text.rpartition("#")
        return cls(configuration, int(number)) if sign and number.isdecimal() else None


def configuration_of(text: str) -> str:
    """Return the configuration that a file calls `text`, or a draw of which it calls so."""
    draw = Draw.read(text)
    return text if draw is None else draw.configuration


def state_point_of(configuration: str) -> str:
    """Return the label of the state point of a configuration: they are called '<state point>/<name>'."""
    return configuration.rpartition("/")[0]


def names_state_point(wanted: str, label: str) -> bool:
    """Tell whether `wanted` is `label` or its first parts: 'T0.44' names 'T0.44_P2.93', and not 'T0.441_P2.91'."""
    return label == wanted or label.startswith(f"{wanted}_")


def configuration_id(index: int) -> str:
    """Return the name of configuration number `index`, and the stem of its file: 'c0003'."""
    return f"c{index:04d}"


def is_configuration(stem: str) -> bool:
    """Tell whether `stem` is a name that `configuration_id` gives."""
    return re.fullmatch(r"c(\d{4}|[1-9]\d{4,})", stem) is not None


def file_name(label: str) -> str:
    """Return `label` as the name of a file: it stays in its folder whatever the label holds."""
    return re.sub(r"[/\\\x00]", "_", label).lstrip(".") or "_"


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset: a folder per state point, a file per configuration."""

    path: Path

    @property
    def campaign(self) -> Path:
        """The settings of the campaign that simulated it."""
        return self.path / "campaign.json"

    @property
    def lock(self) -> Path:
        """The file that is locked while a campaign writes."""
        return self.path / LOCK_FILE

    @property
    def campaign_lock(self) -> Path:
        """The file that is locked while the settings are written."""
        return self.path / f".{self.campaign.name}{LOCK_FILE}"

    @property
    def index(self) -> Path:
        """The cache of what its samples hold in short."""
        return self.path / INDEX_FILE

    def sample(self, state_point: str, index: int) -> Path:
        """Return the file of configuration number `index` at `state_point`."""
        return self.path / state_point / f"{configuration_id(index)}{SAMPLE_SUFFIX}"


def unfinished_folder(sample: Path) -> Path:
    """Return the hidden folder that holds what is done of `sample` while it is simulated."""
    return sample.with_name(f".{sample.stem}.unfinished")


def sample_lock(sample: Path) -> Path:
    """Return the file that is there while a process makes or changes `sample`."""
    return sample.with_name(f".{sample.stem}{LOCK_FILE}")


def run_locks(host: str = "*", process: int | str = "*") -> str:
    """Return the pattern of the locks by which runs that share a folder are seen, or the name of one of them."""
    return f".run-{host}-{process}{LOCK_FILE}"


def set_aside(file: Path) -> Path:
    """Return the first free name under which a damaged file is kept: '<file>.damaged', '<file>.damaged-2', ..."""
    first = file.with_name(f"{file.name}.damaged")
    others = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(name for name in itertools.chain([first], others) if not os.path.lexists(name))


@dataclass(frozen=True)
class FoldFolder:
    """One network of a training."""

    path: Path

    @property
    def model(self) -> Path:
        """The trained network, or the file of one that an older version trained."""
        path, older = self.path / MODEL_FILE, self.path / _OLDER_MODEL_FILE
        return older if older.exists() and not path.exists() else path

    @property
    def history(self) -> Path:
        """Losses and errors of every epoch."""
        return self.path / HISTORY_FILE

    @property
    def test(self) -> Path:
        """Predictions of all that this network has not seen, in a study."""
        return self.path / TEST_FILE


_FOLD = re.compile(r"fold-(\d+)")


@dataclass(frozen=True)
class TrainingFolder:
    """A training: its settings, a folder per fold, the predictions of all folds together and, in a study, scores."""

    path: Path

    @property
    def run(self) -> Path:
        """The settings."""
        return self.path / RUN_FILE

    @property
    def lock(self) -> Path:
        """The file that is locked while networks are trained."""
        return self.path / LOCK_FILE

    @property
    def budget(self) -> Path:
        """The epochs that fit, where time is limited."""
        return self.path / BUDGET_FILE

    @property
    def predictions(self) -> Path:
        """Each configuration predicted by the network that had not seen it."""
        return self.path / PREDICTIONS_FILE

    @property
    def result(self) -> Path:
        """The scores of an experiment."""
        return self.path / RESULT_FILE

    def fold(self, number: int) -> FoldFolder:
        """Return the folder of fold `number`."""
        return FoldFolder(self.path / f"fold-{number}")

    def folds(self) -> list[FoldFolder]:
        """Return the folders of all folds that exist, by number."""
        entries = self.path.glob("fold-*")
        numbers = [int(found[1]) for entry in entries if (found := _FOLD.fullmatch(entry.name))]
        return [self.fold(number) for number in sorted(numbers)]


@dataclass(frozen=True)
class PropensityFolder:
    """A propensity model of one state point, and what cross-validation predicted."""

    path: Path

    @property
    def model(self) -> Path:
        """The model, trained on all configurations."""
        return self.path / f"model{MODEL_SUFFIX}"

    @property
    def held_out(self) -> Path:
        """Every particle as predicted by a fit that had not seen its configuration."""
        return self.path / HELD_OUT_FILE


@dataclass(frozen=True)
class ReportFolder:
    """A page, which needs nothing beside it, and its figures as files."""

    path: Path

    @property
    def page(self) -> Path:
        """The page."""
        return self.path / "index.html"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def animation(self) -> Path:
        """The animated distribution of the displacements."""
        return self.figures / "animation.gif"


@dataclass(frozen=True)
class OutFolder:
    """What `demo` and `experiment` write: data, one training or those of a study, a report, and the numbers."""

    path: Path

    @property
    def data(self) -> Path:
        """The dataset that is learned from."""
        return self.path / "data"

    @property
    def cooling(self) -> Path:
        """The dataset of a study's cooling runs."""
        return self.path / "cooling"

    @property
    def trainings(self) -> Path:
        """The folder of a study's experiments."""
        return self.path / "training"

    def training(self, experiment: str = "") -> TrainingFolder:
        """Return the one training or, in a study, that of `experiment`."""
        return TrainingFolder(self.trainings / experiment)

    def experiments(self) -> list[str]:
        """Return the names of the experiments that have a result."""
        return sorted(path.parent.name for path in self.trainings.glob(f"*/{RESULT_FILE}"))

    @property
    def propensities(self) -> Path:
        """The folder of the propensity models."""
        return self.path / "propensity"

    def propensity(self, state_point: str) -> PropensityFolder:
        """Return the folder of the propensity model of `state_point`."""
        return PropensityFolder(self.propensities / file_name(state_point))

    def held_out(self) -> list[Path]:
        """Return the files of held-out predictions that exist, by state point."""
        return sorted(self.propensities.glob(f"*/{HELD_OUT_FILE}"))

    @property
    def report(self) -> ReportFolder:
        """The report."""
        return ReportFolder(self.path / "report")

    @property
    def results(self) -> Path:
        """The numbers of the report."""
        return self.path / "results.json"


@dataclass(frozen=True)
class AnalysisFolder:
    """What `analyse` writes: a folder per observable with a table per state point and a figure, and the fits."""

    path: Path

    def table(self, observable: str, state_point: str) -> Path:
        """Return the table of an observable at a state point."""
        return self.path / observable / f"{file_name(state_point)}.csv"

    def figure(self, observable: str) -> Path:
        """Return the figure of an observable, without the suffix of its format."""
        return self.path / observable / observable

    @property
    def fits(self) -> Path:
        """The table of all fits."""
        return self.path / "fits.csv"
