"""Expected failures. Each says what went wrong and what to do about it; the command line prints both."""


class GlassformerError(Exception):
    """An expected failure: a `problem` in one line and its `remedy`."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem


class InputError(GlassformerError):
    """What the user gave cannot be used; nothing was written."""

    exit_code = 2


class SettingsError(InputError):
    """A campaign or run file that cannot be read or does not make sense."""


class ConfigurationError(InputError):
    """Positions, species or box that are no configuration."""


class DatasetError(InputError):
    """A dataset folder, or a file in it, that cannot be used."""


class CheckpointError(InputError):
    """A checkpoint that is damaged or belongs to another network."""


class NetworkError(InputError):
    """A network from outside that cannot be used, or that breaks what every network must hold."""


class PredictionError(InputError):
    """A prediction file that cannot be scored."""


class StorageError(InputError):
    """The file system refused: full, read-only, or in use by another run."""


class NoFileError(StorageError):
    """What has the name of a file is none: a folder, a pipe, a device, or a link that leads nowhere."""


class FullDiskError(StorageError):
    """The disk is full, or the user's quota is used up: whatever else is written will fail, too."""


class EngineError(GlassformerError):
    """The simulation engine is missing or failed."""


class DeviceMemoryError(EngineError):
    """The memory of a GPU does not suffice for what is simulated there together."""


class UnstableError(EngineError):
    """The dynamics became unstable: in `draws`, by their numbers in the vector, or in all if none is named."""

    def __init__(self, problem: str, remedy: str = "", draws: tuple[int, ...] = ()) -> None:
        super().__init__(problem, remedy)
        self.draws = draws


class TrainingError(GlassformerError):
    """Training failed or diverged."""
