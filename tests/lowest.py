"""Print constraints by which pip installs the oldest versions that pyproject.toml allows: for `make test-lowest`.

PyTorch is that of constraints.txt, of which there are builds for processors alone.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def oldest(requirements: list[str]) -> list[str]:
    """Return `name==version` of those that say `name>=version`."""
    found = [re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", line) for line in requirements]
    return [f"{one[1]}=={one[2]}" for one in found if one is not None and one[1] != "torch"]


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(line for name, lines in extras.items() if name != "dev" for line in lines)]
    torch = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    print("\n".join([*oldest(needed), *torch]))
