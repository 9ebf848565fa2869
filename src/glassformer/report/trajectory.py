"""Write observables of one trajectory as CSV tables and figures, with their fits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from glassformer.core.errors import SettingsError
from glassformer.core.layout import AnalysisFolder
from glassformer.core.progress import Progress
from glassformer.core.words import counted
from glassformer.evaluate.analysis import label_for
from glassformer.evaluate.axis_labels import scattering_axis
from glassformer.evaluate.columns import Columns, names_of_species
from glassformer.evaluate.fits import fits_of
from glassformer.evaluate.trajectory import COLUMNS, Motion, make_trajectory_tables, observable_of, relaxation_times
from glassformer.report.analyse import save_figure, write_csv, write_fits
from glassformer.report.observable_figure import draw
from glassformer.report.observables_page import Drawn, write_observables_page
from glassformer.report.style import STYLE, literal

ERRORS = "standard error,\nfrom blocks of time"


def check_names(wanted: Sequence[str]) -> None:
    """Raise `SettingsError` for an observable that a trajectory does not have."""
    strange = [name for name in wanted if name not in COLUMNS]
    if strange:
        raise SettingsError(
            f"there is no observable '{strange[0]}' of a trajectory", f"Available: {', '.join(COLUMNS)}."
        )


def analyse_trajectory(
    motion: Motion,
    names: Sequence[str],
    out: Path,
    progress: Progress,
    required: bool = False,
    page: Path | None = None,
) -> list[dict[str, Any]]:
    """Write CSV tables and figures of the observables `names`, a folder each, into `out`; return the fits.

    What cannot be computed is left out, and `progress` gets one line about each, with the reason; if all are
    `required`, or nothing is left, it is an error. The fits are also written to out/fits.csv, and all figures and fits
    to `page`, if given.
    Raises `SettingsError` for an unknown observable, `DatasetError`, `StorageError`.
    """
    check_names(names)
    tables, problems = make_trajectory_tables(motion, list(dict.fromkeys(names)), progress)
    if problems and (required or not tables):
        raise problems[0][2]
    left_out = [f"{name}: left out: {error.problem}" for name, _, error in problems]
    for line in left_out:
        progress.say(line)
    folder = AnalysisFolder(out)
    drawn = []
    for name, columns in tables.items():
        write_csv(folder.table(name, motion.name), columns)
        drawn.append(_save_drawn(name, columns, motion, folder))
    fits: list[dict[str, Any]] = []
    if "scattering" in tables:
        first = {motion.name: motion.names[0]}
        fits = relaxation_times(motion) + fits_of("scattering", {motion.name: tables["scattering"]}, first)
        write_fits(folder.fits, fits)
    if page is not None:
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            write_observables_page(page, motion.name, _lead(motion), drawn, fits, {}, _facts(motion), left_out)
    return fits


def _lead(motion: Motion) -> str:
    members = zip(motion.track.members.astype(int).tolist(), motion.names, strict=True)
    particles = counted(len(motion.track.species), "particle")
    of = ", ".join(f"{number:,} {name}" for number, name in members)
    return f"{counted(len(motion.times), 'frame')} of {particles} ({of}), averaged over time origins or frames."


def _facts(motion: Motion) -> dict[str, str]:
    waves = zip(motion.track.wave_numbers, motion.names, strict=True)
    return {
        "trajectory": motion.name,
        "times": f"{motion.times[0]:g} to {motion.times[-1]:g} τ_LJ",
        "wave numbers": ", ".join(f"k = {k:g} / σ_AA ({name})" for k, name in waves),
    }


def _save_drawn(name: str, columns: Columns, motion: Motion, folder: AnalysisFolder) -> Drawn:
    observable, track = observable_of(name), motion.track
    label = label_for(observable, motion.names[0], track.dimension)
    if observable.symbol:
        parts = [f"{k:g} ({species})" for k, species in zip(track.wave_numbers, motion.names, strict=True)]
        label = scattering_axis(observable.symbol, parts)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = draw(
            observable, {motion.name: columns}, {motion.name: literal(motion.name)}, label,
            names=names_of_species(motion.names), errors=ERRORS, calls={"chi_4": motion.names[0]},
        )  # fmt: skip
        assert figure is not None
        save_figure(figure, folder.figure(name))
    return Drawn(observable, figure, " ".join(ERRORS.split()))
