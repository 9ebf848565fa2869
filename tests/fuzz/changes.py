"""Changes of valid files, by hypothesis."""

from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import corpus, read

WORDS = [
    b"nan", b"inf", b"-1", b"0", b"1e400", b"9" * 25, b"x", b"\n", b" ", b"\r\n", b"\xff", b"\x00",
    b"ITEM: ATOMS id type x",
    b"ITEM: TIMESTEP\n", b"Lattice=", b"pbc=", b"Properties=pos:R:3", b"Atoms # full\n", b"1 1 xlo xhi\n", b"\x80\x04",
]  # fmt: skip


def fuzz(folder: Path, examples: int, derandomize: bool = False) -> None:
    """Read `examples` changed files; raise what a reader should not have."""
    files = corpus()

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=derandomize,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(files)))
        contents = bytearray(files[name])
        for _ in range(data.draw(st.integers(0, 4))):
            start = data.draw(st.integers(0, len(contents)))
            length = data.draw(st.integers(0, 12))
            new = data.draw(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)))
            contents[start : start + length] = new
        if data.draw(st.booleans()):
            del contents[data.draw(st.integers(0, len(contents))) :]
        read(bytes(contents), name, folder)

    check()
