"""Fuzz the readers of files of other codes: only results or typed errors may come of any file.

    python -m tests.fuzz.readers [--seconds 600]

Guided by coverage where the package atheris is installed (pip install atheris), by hypothesis otherwise. A file that
breaks a reader is kept in the current folder by either.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Fuzz for the time asked for; end with an error at the first failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        try:
            import atheris
        except ImportError:
            _with_hypothesis(seconds, Path(folder))
        else:
            _with_atheris(atheris, seconds, Path(folder))


def _with_atheris(atheris: object, seconds: int, folder: Path) -> None:
    with atheris.instrument_imports(include=["glassformer.dataset.readers"]):  # type: ignore[attr-defined]
        from tests.fuzz.corpus import corpus, read

    seeds, work = folder / "seeds", folder / "work"
    seeds.mkdir()
    work.mkdir()
    names = sorted(corpus())
    for number, name in enumerate(names):
        # The first byte says what the file is called.
        (seeds / name).write_bytes(bytes([number]) + corpus()[name])

    def one(data: bytes) -> None:
        if data:
            read(data[1:], names[data[0] % len(names)], work)

    arguments = [sys.argv[0], f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=20", str(seeds)]
    atheris.Setup(arguments, one)  # type: ignore[attr-defined]
    atheris.Fuzz()  # type: ignore[attr-defined]


def _with_hypothesis(seconds: int, folder: Path) -> None:
    from tests.fuzz.changes import fuzz

    end, tries = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        fuzz(folder, examples=500)
        tries += 500
    print(f"{tries} files by hypothesis: only results and typed errors")


if __name__ == "__main__":
    main()
