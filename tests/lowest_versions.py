"""Print constraints for pip: the lowest versions that pyproject.toml allows, for `make lowest`.

torch stays as constraints.txt pins it: its lowest version would bring several GB of CUDA packages. What has no lower
bound is the newest that fits.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("notebook", "gsd", "parsl")
AS_PINNED = ("torch",)


def lowest(requirements: list[str]) -> dict[str, str]:
    """Return the lowest version of each requirement that has one, by name."""
    bounds = (re.match(r"([\w.-]+)(?:\[[^\]]*\])?>=([\w.]+)", one) for one in requirements)
    return {bound[1].lower(): bound[2] for bound in bounds if bound and bound[1].lower() not in AS_PINNED}


def main() -> None:
    """Print a line per package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    known = lowest([*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])])
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    known |= dict(line.split("==") for line in pins if line.partition("==")[0].lower() in AS_PINNED)
    for name, version in sorted(known.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
