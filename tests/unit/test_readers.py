"""Files of other codes: the same structure from every one, and what is refused."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError, InputError
from glassformer.dataset.readers.contents import Contents
from glassformer.dataset.readers.read import format_of, read_file
from glassformer.dataset.readers.species import assign_species

LOW, EDGES = np.array([-3.0, 2.0, -1.0]), np.array([7.0, 8.0, 9.0])
# From the corner, in units of the edges; the second lies on three edges at once, the third is moved by whole periods.
PARTS = np.array([[0.5, 0.25, 0.125], [1.0, 0.0, 1.0], [0.0, 0.75, 0.5], [0.25, 0.5, 0.875]])
IMAGES = np.array([[0, 0, 0], [1, -2, 0], [-1, 0, 3], [0, 0, -1]])
TYPES = [1, 1, 2, 1]
WRAPPED = PARTS % 1 * EDGES
UNWRAPPED = (PARTS + IMAGES) * EDGES
BOUNDS = "\n".join(f"{low} {high}" for low, high in zip(LOW, LOW + EDGES, strict=True))


def values() -> dict[str, list[Any]]:
    """Return every column that a dump of the four particles may have."""
    inside, outside = PARTS * EDGES + LOW, UNWRAPPED + LOW
    columns: dict[str, list[Any]] = {"id": [1, 2, 3, 4], "type": TYPES, "element": ["A", "A", "B", "A"]}
    for axis, name in enumerate("xyz"):
        columns |= {
            name: inside[:, axis], f"{name}s": PARTS[:, axis], f"{name}u": outside[:, axis],
            f"{name}su": (PARTS + IMAGES)[:, axis], f"i{name}": IMAGES[:, axis], f"v{name}": [0.5] * 4,
        }  # fmt: skip
    return columns


def frame(columns: str, order: tuple[int, ...] = (2, 0, 3, 1), step: int = 0, bounds: str = BOUNDS) -> str:
    known = values()
    lines = [" ".join(str(known[name][row]) for name in columns.split()) for row in order]
    return (
        f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(lines)}\nITEM: BOX BOUNDS pp pp pp\n{bounds}\n"
        f"ITEM: ATOMS {columns}\n" + "".join(f"{line}\n" for line in lines)
    )


def written(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize(
    ("columns", "unwrapped"),
    [
        ("id type x y z ix iy iz", True),
        ("id type xs ys zs ix iy iz", True),
        ("xu yu zu type id", True),
        ("vx zsu id ysu type xsu", True),
        ("id type x y z", False),
        ("zs ys xs type id", False),
        ("id element x y z ix iy iz", True),
        # Two kinds of positions agree; the unwrapped ones are taken.
        ("id type x y z xu yu zu", True),
        # An image flag is missing.
        ("id type x y z ix iy", False),
    ],
)
@pytest.mark.parametrize("name", ["a.lammpstrj", "a.lammpstrj.gz", "a.txt"])
def test_a_dump_gives_the_same_positions_whatever_its_columns(
    columns: str, unwrapped: bool, name: str, tmp_path: Path
) -> None:
    found = read_file(written(tmp_path / name, frame(columns)))
    trajectory = found.trajectory
    assert trajectory.unwrapped == unwrapped
    np.testing.assert_allclose(trajectory.positions[0], UNWRAPPED if unwrapped else WRAPPED, atol=1e-12)
    np.testing.assert_array_equal(trajectory.boxes, [EDGES])
    np.testing.assert_allclose(found.first.positions, WRAPPED, atol=1e-12)
    assert found.species.tolist() == [0, 0, 1, 0]
    assert found.types == (("A", "B") if "element" in columns else ("1", "2"))


def test_line_ends_and_marks_of_other_systems_make_no_difference(tmp_path: Path) -> None:
    text = frame("id type x y z ix iy iz")
    for changed in (text.replace("\n", "\r\n"), f"\ufeff{text}", f"\n{text}\n\n"):
        found = read_file(written(tmp_path / "a.lammpstrj", changed))
        np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED, atol=1e-12)


def test_frames_become_a_trajectory_by_the_numbers_of_the_particles(tmp_path: Path) -> None:
    text = frame("id type x y z ix iy iz") + frame("id type x y z ix iy iz", (1, 3, 2, 0), 50)
    trajectory = read_file(written(tmp_path / "a.lammpstrj", text)).trajectory
    assert trajectory.followed
    assert trajectory.steps is not None
    assert trajectory.steps.tolist() == [0, 50]
    np.testing.assert_array_equal(trajectory.positions[0], trajectory.positions[1])


def test_ids_of_other_numbers_are_told(tmp_path: Path) -> None:
    lines = frame("id type x y z ix iy iz").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("ITEM: ATOMS")) + 1
    assert read_file(written(tmp_path / "a.lammpstrj", "\n".join(lines) + "\n")).notes == ()
    moved = [f"{int(line.split()[0]) + 1000} {line.split(maxsplit=1)[1]}" for line in lines[start:]]
    found = read_file(written(tmp_path / "b.lammpstrj", "\n".join(lines[:start] + moved) + "\n"))
    assert found.notes == ("The ids are not 1 to 4: particles are numbered in the order of their ids.",)
    np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED, atol=1e-12)


def test_frames_without_numbers_or_with_steps_that_go_back_are_no_trajectory(tmp_path: Path) -> None:
    order = (0, 1, 2, 3)
    unnumbered = frame("type x y z", order) + frame("type x y z", order, 50)
    found = read_file(written(tmp_path / "a.lammpstrj", unnumbered))
    assert not found.trajectory.followed
    assert "have no numbers" in found.notes[0]
    found = read_file(written(tmp_path / "a.lammpstrj", frame("id type x y z") * 3))
    assert not found.trajectory.followed
    assert found.trajectory.steps is None
    assert len(list(found.structures)) == 3
    assert "do not increase" in found.notes[0]


@pytest.mark.parametrize("columns", ["id type x y z ix iy iz", "id type xs ys zs", "type x y id", "id type xu yu"])
@pytest.mark.parametrize("walls", ["pp pp pp", "pp pp ff"])
def test_two_dimensions_have_no_z(columns: str, walls: str, tmp_path: Path) -> None:
    bounds = "-3 4\n2 10\n-0.5 0.5"
    known = values()
    rows = [
        " ".join(str({"z": 0, "zs": 0.5, "iz": 0}.get(n, known[n][row])) for n in columns.split())
        for row in (2, 0, 3, 1)
    ]
    header = frame(columns, (0,) * 4, bounds=bounds).split("ITEM: ATOMS")[0].replace("pp pp pp", walls)
    found = read_file(written(tmp_path / "a.lammpstrj", f"{header}ITEM: ATOMS {columns}\n" + "\n".join(rows) + "\n"))
    assert found.first.dimension == 2
    np.testing.assert_array_equal(found.first.box, [7, 8, 1])
    np.testing.assert_allclose(found.first.positions, WRAPPED * [1, 1, 0], atol=1e-12)
    assert "two dimensions" in found.notes[0]


DUMP = frame("id type x y z")


def test_a_tilted_box_is_no_question_of_columns(tmp_path: Path) -> None:
    for old, new in (
        ("pp pp pp\n-3.0 4.0", "xy xz yz pp pp pp\n-3.0 4.0 0.5"),
        ("BOX BOUNDS", "BOX BOUNDS abc origin"),
    ):
        with pytest.raises(DatasetError, match="triclinic") as caught:
            read_file(written(tmp_path / "tilted.lammpstrj", DUMP.replace(old, new)))
        assert caught.value.remedy == "Use an orthorhombic box."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (DUMP.replace("pp pp pp\n-3.0 4.0", "xy xz yz pp pp pp\n-3.0 4.0 0.5"), "triclinic box with tilt factors"),
        (DUMP.replace("BOX BOUNDS", "BOX BOUNDS abc origin"), "general triclinic"),
        (DUMP.replace("pp pp pp", "pp ff pp"), "not periodic along y"),
        (DUMP.replace("pp pp pp", "pp pp fs"), "not periodic along z"),
        (DUMP.replace("-3.0 4.0", "4.0 -3.0"), r"box edges \[-7.0"),
        (DUMP.replace("-3.0 4.0", "nan 4.0"), r"box edges \[nan"),
        (DUMP.replace("-3.0 4.0", "x 4.0"), "could not convert"),
        (DUMP.replace("id type x y z", "id type vx y z"), "without positions"),
        (DUMP.replace("id type x y z", "id kind x y z"), "without type"),
        (DUMP.replace("\n3 2 ", "\n1 2 "), "number 1 belongs to several"),
        (DUMP.replace("\n3 2 ", "\n3 2.5 "), "got the type 2.5"),
        (DUMP.replace("\n3 2 ", "\n3 B "), "line 10: got '3 B"),
        (DUMP.replace("\n3 2 -3.0", "\n3 2 inf"), "positions of 1 particle are not finite"),
        (DUMP.replace("\n3 2 -3.0", "\n3 2 1e30"), "more than 1e[+]07 box lengths away"),
        (DUMP + frame("id type x y z", (0, 1, 2), 5), "frame 1 has 3 particles; the first has 4"),
        (DUMP + frame("id type x y z", step=5).replace("\n3 2 ", "\n7 2 "), "frame 1 has other particle ids"),
        (DUMP + frame("id type x y z", step=5).replace("\n3 2 ", "\n3 1 "), "frame 1: 1 particle changed type"),
        (DUMP.replace("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n3"), "where a frame begins"),
        (DUMP.replace("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n0"), "NUMBER OF ATOMS"),
        (DUMP.replace("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n-4"), "NUMBER OF ATOMS"),
        (DUMP.replace("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n99999999999"), "ends inside frame 0"),
        (DUMP.replace("TIMESTEP\n0", "TIMESTEP\nx"), "ITEM: TIMESTEP"),
        ("ITEM: SOMETHING\n1\n", "SOMETHING: is not known"),
        ("ITEM: TIMESTEP\n0\n" * 20, "without ITEM: ATOMS"),
        ("ITEM: TIMESTEP\n0\nITEM: ATOMS id type x y z\n1 1 0 0 0\n", "lacks its number of atoms or its box"),
        (DUMP + "x" * 200_000, "longer than"),
    ],
)
def test_dumps_that_cannot_be_used_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_file(written(tmp_path / "a.lammpstrj", text))
    assert "a.lammpstrj" in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["a.lammpstrj", "a.lammpstrj.gz"])
def test_a_cut_off_frame_is_told_with_the_whole_ones_before(name: str, tmp_path: Path) -> None:
    whole = frame("id type x y z") + frame("id type x y z", step=5)
    path = written(tmp_path / name, whole + frame("id type x y z", step=10)[:-7])
    if path.suffix == ".gz":
        # The checksum at the end is missing, too.
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DatasetError, match="ends inside frame 2, after 2 whole frames") as caught:
        read_file(path)
    assert "--incomplete" in caught.value.remedy
    assert read_file(path, incomplete=True).trajectory.frames == 2


def test_wherever_a_file_is_cut_no_number_is_made_up(tmp_path: Path) -> None:
    text = frame("id type x y z", step=3) + frame("id type x y z", step=15)
    whole = read_file(written(tmp_path / "a.lammpstrj", text)).trajectory.positions
    first = len(frame("id type x y z", step=3))
    for end in range(1, len(text)):
        path = written(tmp_path / "a.lammpstrj", text[:end])
        if end == first:
            assert read_file(path).trajectory.frames == 1
            continue
        with pytest.raises(DatasetError):
            read_file(path)
        if end > first:
            np.testing.assert_array_equal(read_file(path, incomplete=True).trajectory.positions, whole[:1])


def test_a_frame_needs_no_more_memory_than_it_has_lines(tmp_path: Path) -> None:
    # 10^11 particles are announced and none follows.
    text = frame("id type x y z").replace("ATOMS\n4", "ATOMS\n100000000000")
    with pytest.raises(DatasetError, match="ends inside frame 0"):
        read_file(written(tmp_path / "a.lammpstrj", text))


def data_text(style: str = "atomic", images: bool = True) -> str:
    inside = PARTS * EDGES + LOW
    middle = {"atomic": "", "charge": "0.5 ", "molecular": "", "full": "0.5 ", "sphere": "1.0 1.9 "}[style]
    molecule = "7 " if style in ("molecular", "full") else ""
    lines = [
        f"{row + 1} {molecule}{TYPES[row]} {middle}{' '.join(map(str, inside[row]))}"
        + (f" {' '.join(map(str, IMAGES[row]))}" if images else "")
        for row in (2, 0, 3, 1)
    ]
    bounds = "\n".join(f"{low} {high} {a}lo {a}hi" for a, low, high in zip("xyz", LOW, LOW + EDGES, strict=True))
    return (
        f"a comment with 99 atoms\n\n4 atoms # so many\n2 atom types\n\n{bounds}\n\nMasses\n\n1 1.0\n2 1.0\n\n"
        f"Atoms # {style}\n\n" + "\n".join(lines) + "\n\nVelocities\n\n1 0 0 0\n"
    )


@pytest.mark.parametrize("style", ["atomic", "charge", "molecular", "full", "sphere"])
@pytest.mark.parametrize("images", [True, False])
def test_data_files(style: str, images: bool, tmp_path: Path) -> None:
    found = read_file(written(tmp_path / "liquid.data", data_text(style, images)))
    assert found.format == "LAMMPS data"
    assert found.trajectory.unwrapped == images
    np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED if images else WRAPPED, atol=1e-12)
    assert found.species.tolist() == [0, 0, 1, 0]


def test_data_files_with_labels_of_their_types(tmp_path: Path) -> None:
    text = data_text().replace("Masses\n", "Atom Type Labels\n\n1 big\n2 small\n\nMasses\n")
    for number, label in ((1, "big"), (2, "small")):
        for row in range(4):
            text = text.replace(f"\n{row + 1} {number} ", f"\n{row + 1} {label} ")
    found = read_file(written(tmp_path / "liquid.data", text))
    assert found.types == ("big", "small")
    np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("4 atoms # so many", "5 atoms"), "line 21: got ''"),
        (("Atoms # atomic", "Atoms # ellipsoid"), "style 'ellipsoid'"),
        (("Atoms # atomic", "Atoms # molecular"), "got 8 columns of the style molecular"),
        (("Atoms # atomic", "Bonds"), "without a section Atoms"),
        (("2 atom types", "2 atom types\n0.5 0 0 xy xz yz"), "triclinic box"),
        (("-3.0 4.0 xlo xhi", ""), "box is missing"),
        (("-3.0 4.0 xlo xhi", "-3.0 a xlo xhi"), "got '-3.0 a xlo xhi'"),
    ],
)
def test_data_files_that_cannot_be_used_are_refused(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    assert change[0] in data_text()
    with pytest.raises(InputError, match=message):
        read_file(written(tmp_path / "liquid.data", data_text().replace(*change)))


LATTICE = 'Lattice="7 0 0 0 8 0 0 0 9" Origin="-3 2 -1"'


def xyz(properties: str = "id:I:1:species:S:1:pos:R:3:map_shift:I:3", header: str = f"{LATTICE} Time=2.5") -> str:
    known = {
        "id": [[1], [2], [3], [4]], "species": [["A"], ["A"], ["B"], ["A"]], "type": [[kind] for kind in TYPES],
        "pos": PARTS * EDGES + LOW, "map_shift": IMAGES, "velo": np.ones((4, 3)),
    }  # fmt: skip
    names = properties.split(":")[::3]
    rows = (2, 0, 3, 1) if "id" in names else range(4)
    lines = [" ".join(str(value) for name in names for value in known[name][row]) for row in rows]
    return f"4\n{header} Properties={properties}\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("properties", "types", "unwrapped"),
    [
        ("species:S:1:pos:R:3", ("A", "B"), False),
        ("id:I:1:type:I:1:pos:R:3:map_shift:I:3", ("1", "2"), True),
        ("velo:R:3:pos:R:3:species:S:1", ("A", "B"), False),
    ],
)
def test_extended_xyz(properties: str, types: tuple[str, ...], unwrapped: bool, tmp_path: Path) -> None:
    found = read_file(written(tmp_path / "a.xyz.gz", xyz(properties)))
    assert (found.format, found.types) == ("extended XYZ", types)
    assert found.trajectory.unwrapped == unwrapped
    np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED if unwrapped else WRAPPED, atol=1e-12)
    assert found.trajectory.times is not None
    assert found.trajectory.times.tolist() == [2.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xyz(header="no box"), "has no box"),
        (xyz(header='Lattice="7 0 0 1 8 0 0 0 9"'), "triclinic box"),
        (xyz(header='Lattice="7 0 0 0 8 0"'), "got Lattice="),
        (xyz(header=f'{LATTICE} pbc="T F T"'), "not periodic along y"),
        (xyz().replace("pos:R:3", "pos:R:2"), "Properties="),
        (xyz().replace("species:S:1", "name:S:1"), "Properties="),
        (xyz().replace("Time=2.5", "Time=now"), "got Time=now"),
        (xyz() + xyz().replace("4\n", "3\n", 1), "frame 1 has 3 particles"),
        (xyz().replace("4\n", "3\n", 1), "where a frame begins"),
        (xyz()[:-20], "line 6: got|ends inside frame 0"),
        ("4\n", "ends inside frame 0"),
    ],
)
def test_extended_xyz_that_cannot_be_used_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_file(written(tmp_path / "a.xyz", text))


def rounded(found: Contents) -> tuple[Any, ...]:
    return found.trajectory.positions.round(5).tolist(), found.species.tolist(), found.trajectory.boxes.tolist()


def test_all_text_formats_give_the_same_arrays(tmp_path: Path) -> None:
    texts = {"a.lammpstrj": frame("id type x y z ix iy iz"), "a.data": data_text(), "a.xyz": xyz()}
    found = [read_file(written(tmp_path / name, text)) for name, text in texts.items()]
    assert rounded(found[0]) == rounded(found[1]) == rounded(found[2])


def test_the_contents_tell_the_format_before_the_suffix(tmp_path: Path) -> None:
    texts = {"LAMMPS dump": DUMP, "LAMMPS data": data_text(), "extended XYZ": xyz()}
    for name, text in texts.items():
        for suffix in ("lammpstrj", "data", "xyz", "npz", "gz", "what"):
            assert format_of(written(tmp_path / f"a.{suffix}", text)) == name
    assert format_of(written(tmp_path / "a.xyz", "no number\n")) == "extended XYZ"
    for text in ("hello", "\0\1\2", "[table]\n"):
        with pytest.raises(DatasetError, match="has an unknown format"):
            read_file(written(tmp_path / "a.what", text))
    with pytest.raises(DatasetError, match="there is no file"):
        read_file(tmp_path / "none.data")
    with pytest.raises(InputError, match="not a regular file"):
        read_file(tmp_path)


def test_types_become_species_by_name_by_order_or_as_told(tmp_path: Path) -> None:
    numbered = read_file(written(tmp_path / "a.lammpstrj", DUMP))
    found = assign_species(numbered, ("A", "B"))
    assert found.species.tolist() == [0, 0, 1, 0]
    assert found.notes == ("Types by their order: 1 is A, 2 is B (otherwise --species 1=A,2=B).",)
    found = assign_species(numbered, ("A", "B", "C"), "2=A, 1=C")
    assert (found.species.tolist(), found.notes) == ([2, 2, 0, 2], ())
    named = read_file(written(tmp_path / "a.xyz", xyz()))
    found = assign_species(named, ("B", "A"))
    assert (found.species.tolist(), found.notes) == ([1, 1, 0, 1], ())


@pytest.mark.parametrize(
    ("names", "assignment", "message"),
    [
        (("A",), "", "has particles of the types 1, 2; the mixture's species are A"),
        (("A", "B"), "1=A", "particles of type 2, which --species 1=A does not name"),
        (("A", "B"), "1=A,2=X", "got the species 'X'; the mixture has A, B"),
        (("A", "B"), "1=A,1=B", "expected one species for every type"),
        (("A", "B"), "1A", "expected one species for every type"),
    ],
)
def test_types_without_a_species_are_refused(
    names: tuple[str, ...], assignment: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        assign_species(read_file(written(tmp_path / "a.lammpstrj", DUMP)), names, assignment)
    assert "--species 1=A,2=" in caught.value.remedy


@pytest.mark.parametrize("kind", ["9", "\x1b[31m", "x" * 40, "a=b"])
def test_names_of_types_are_such_that_can_be_printed(kind: str, tmp_path: Path) -> None:
    text = xyz("species:S:1:pos:R:3").replace("\nB ", f"\n{kind} ")
    if kind == "9":
        assert read_file(written(tmp_path / "a.xyz", text)).types == ("9", "A")
        return
    with pytest.raises(DatasetError, match="got the type") as caught:
        read_file(written(tmp_path / "a.xyz", text))
    assert "\x1b" not in str(caught.value)


def test_more_types_than_a_mixture_can_have_are_refused(tmp_path: Path) -> None:
    rows = "\n".join(f"{row} {row} {row % 7} {row % 8} {row % 9}" for row in range(9))
    text = DUMP.split("ITEM: ATOMS")[0].replace("ATOMS\n4", "ATOMS\n9")
    with pytest.raises(DatasetError, match="got 9 types of particles; expected at most 8"):
        read_file(written(tmp_path / "a.lammpstrj", f"{text}ITEM: ATOMS id type x y z\n{rows}\n"))
