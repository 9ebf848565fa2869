"""The command analyse: observables of a dataset, or of a trajectory of any other code."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli import completion
from glassformer.cli.console import console, print_remark, print_table, progress
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.words import counted

if TYPE_CHECKING:
    from glassformer.dataset.readers.contents import Contents
    from glassformer.evaluate.trajectory import Motion


@dataclass(frozen=True)
class Given:
    """What a user says of a trajectory: times, species, whether to take a cut file, and what to take off."""

    time_step: float | None = None
    frame_time: float | None = None
    mixture: str = ""
    species: str = ""
    wave_numbers: str = ""
    incomplete: bool = False
    remove_drift: bool = False

    def check(self) -> None:
        """Raise `SettingsError` unless times are positive numbers."""
        for name, value in (("--time-step", self.time_step), ("--frame-time", self.frame_time)):
            if value is not None and not 0 < value < float("inf"):
                raise SettingsError(f"got {name} {value:g}; expected a positive number", "For example 0.005.")


_TRAJECTORY = "Options for trajectories"

TimeStep = Annotated[
    float | None,
    typer.Option(
        metavar="DT", help="Time step of the run, for files that give steps.", show_default=False,
        rich_help_panel=_TRAJECTORY,
    ),
]  # fmt: skip
FrameTime = Annotated[
    float | None,
    typer.Option(
        metavar="DT", help="Time between frames, for files that give neither steps nor times.",
        show_default=False, rich_help_panel=_TRAJECTORY,
    ),
]  # fmt: skip
MixtureName = Annotated[
    str,
    typer.Option(
        metavar="MIXTURE", help="Mixture that names the species and wave numbers: shipped, or a file (TOML).",
        show_default=False, autocompletion=completion.mixtures, rich_help_panel=_TRAJECTORY,
    ),
]  # fmt: skip
Assignment = Annotated[
    str,
    typer.Option(
        metavar="MAP", help="Species of each type, such as 1=A,2=B.", show_default="in order",
        rich_help_panel=_TRAJECTORY,
    ),
]  # fmt: skip
WaveNumbers = Annotated[
    str,
    typer.Option(
        metavar="NUMBERS", help="|k| of F_s and F for each species, separated by commas.",
        show_default="the mixture's", rich_help_panel=_TRAJECTORY,
    ),
]  # fmt: skip


def analyse(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Dataset folder, or a trajectory: LAMMPS dump, extended XYZ, GSD, ...",
            show_default=False,
        ),
    ],
    observables: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Observables to write, separated by commas; 'list' lists all.",
            show_default="all that the data allow",
        ),
    ] = "",
    compare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of published MSD tables to compare with.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write to.", show_default="SOURCE-analysis")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Also write a page with interactive figures of all observables and with the fits.",
            show_default=False,
        ),
    ] = None,
    time_step: TimeStep = None,
    frame_time: FrameTime = None,
    mixture: MixtureName = "",
    species: Assignment = "",
    wave_numbers: WaveNumbers = "",
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete",
            metavar="",
            help="Use the complete frames of a file whose last frame is cut off.",
            show_default=False,
            rich_help_panel=_TRAJECTORY,
        ),
    ] = False,
    remove_drift: Annotated[
        bool,
        typer.Option(
            "--remove-drift", metavar="", help="Subtract the displacement of the centre of all particles.",
            show_default=False, rich_help_panel=_TRAJECTORY,
        ),
    ] = False,
) -> None:  # fmt: skip
    """Compute observables of a dataset or a trajectory: tables (CSV), figures, fits."""
    from glassformer.dataset.readers.read import is_hdf5
    from glassformer.evaluate.analysis import OBSERVABLES

    if observables == "list":
        print_table(
            ["observable", "description"], [[o.name, o.meaning] for o in OBSERVABLES.values()], ["left", "left"]
        )
        return
    wanted = [name.strip() for name in observables.split(",") if name.strip()]
    given = Given(time_step, frame_time, mixture, species, wave_numbers, incomplete, remove_drift)
    given.check()
    if report is not None:
        from glassformer.report.observables_page import check_page

        check_page(report)
    if not source.exists():
        raise DatasetError(f"there is no file or folder {source}", "Check the path.")
    if not source.is_file() or is_hdf5(source):
        if given != Given() and source.exists():
            raise SettingsError(
                f"got the dataset {source} and an option of trajectories", "Omit the option, or give a trajectory."
            )
        _analyse_dataset(source, wanted, compare, out, report)
        return
    if compare is not None:
        raise SettingsError(
            "got --compare and a trajectory", "Give a dataset: only datasets are compared with published tables."
        )
    _analyse_trajectory(source, wanted, out, given, report)


def _analyse_dataset(
    dataset: Path, wanted: list[str], compare: Path | None, out: Path | None, report: Path | None
) -> None:
    from glassformer.cli.tables import print_fits, print_published_comparison
    from glassformer.dataset.folder import read_dataset, read_samples
    from glassformer.report.analyse import analyse as write_observables

    samples = read_samples(dataset) if dataset.is_file() else read_dataset(dataset)
    folder = out or dataset.resolve().with_name(f"{dataset.resolve().name}-analysis")
    if compare is None or wanted or report is not None:
        say = partial(console.print, markup=False, soft_wrap=True)
        print_fits(write_observables(samples, wanted, folder, say, report))
    if compare is not None:
        from glassformer.report.comparison import compare as compare_with

        print_published_comparison(compare_with(samples, compare, folder))
    _print_written(folder, report)


def _print_written(folder: Path, report: Path | None) -> None:
    console.print(f"tables and figures: {folder}", soft_wrap=True)
    if report is not None:
        console.print(f"report: {report}", soft_wrap=True)


def _analyse_trajectory(path: Path, wanted: list[str], out: Path | None, given: Given, report: Path | None) -> None:
    from glassformer.cli.tables import print_fits
    from glassformer.core.presets import load_mixture
    from glassformer.evaluate.trajectory import COLUMNS, STATIC
    from glassformer.evaluate.trajectory_file import Clock, motion_of, read_followed, stem
    from glassformer.report.trajectory import analyse_trajectory, check_names

    check_names(wanted)
    liquid = load_mixture(given.mixture) if given.mixture else None
    found = read_followed(path, liquid, given.species, _numbers(given.wave_numbers), given.incomplete)
    contents, names = found.contents, found.names
    _print_contents(contents, names)
    moving = contents.trajectory.frames > 1 and contents.trajectory.followed
    if not moving and not wanted:
        console.print(
            "Only rdf and structure: the file has one frame, or its particles cannot be followed.",
            style="dim",
            soft_wrap=True,
        )
    chosen = wanted or (list(COLUMNS) if moving else list(STATIC))
    dynamics = not set(chosen) <= set(STATIC)
    clock = Clock(given.time_step, given.frame_time)
    motion = motion_of(contents, names, found.wave_numbers, clock, dynamics)
    if moving and dynamics:
        motion = _drifting(motion, given.remove_drift)
        _print_times(motion)
    folder = out or path.resolve().with_name(f"{stem(path)}-analysis")
    with progress() as stages:
        fits = analyse_trajectory(motion, chosen, folder, stages, required=bool(wanted), page=report)
    print_fits(fits)
    _print_written(folder, report)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise SettingsError(
            f"got --wave-numbers {text}; expected numbers", "For example --wave-numbers 7.25,5.5."
        ) from None


def _print_contents(contents: "Contents", names: Sequence[str]) -> None:
    trajectory = contents.trajectory
    members = [int((contents.species == kind).sum()) for kind in range(len(names))]
    of = ", ".join(f"{number} {name}" for number, name in zip(members, names, strict=True))
    console.print(
        f"{contents.path.name}: {contents.format}, {counted(trajectory.frames, 'frame')} of"
        f" {counted(contents.particles, 'particle')} ({of})",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    for note in contents.notes:
        print_remark(note)


def _drifting(motion: "Motion", remove: bool) -> "Motion":
    """Return the motion without its drift where that is asked for; else say that there is one."""
    from glassformer.evaluate.trajectory import drift

    if remove:
        return replace(motion, track=motion.track.without_drift())
    share = drift(motion)
    if share:
        console.print(
            f"The centre of all particles drifts: {share:.0%} of their mean squared displacement from the first to the"
            " last frame. Subtract it with --remove-drift.",
            style="yellow", soft_wrap=True,
        )  # fmt: skip
    return motion


def _print_times(motion: "Motion") -> None:
    waves = ", ".join(f"{k:g} ({name})" for k, name in zip(motion.track.wave_numbers, motion.names, strict=True))
    console.print(
        f"times from {motion.lags[0].time:g} to {motion.lags[-1].time:g}; F_s and F at k = {waves}", soft_wrap=True
    )
