"""Size of the base package and all that it needs, as installed into a fresh virtual environment."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import venv
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "installed_size.json"
# What a virtual environment begins with.
NOT_OURS = ("pip", "setuptools")


def installed_bytes(site: Path) -> dict[str, int]:
    """Bytes of all files of each distribution, compiled Python files included.

    Args:
        site: The environment's folder of packages.

    Returns:
        Bytes by "name version", the largest first.
    """
    sizes = {}
    for distribution in distributions(path=[str(site)]):
        name = distribution.metadata["Name"]
        if name not in NOT_OURS:
            files = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
            total = sum(file.stat().st_size for file in files if file.is_file())
            sizes[f"{name} {distribution.version}"] = total
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def install(folder: Path) -> Path:
    """Install the base package into a fresh environment and return its folder of packages."""
    venv.create(folder, with_pip=True)
    command = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "-c",
        ROOT / "constraints.txt",
        ROOT,
    ]
    subprocess.run(command, check=True)
    return next(folder.glob("lib/python*/site-packages"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=RESULT, help="JSON file to write (default: %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = installed_bytes(install(Path(folder)))
    for name, size in sizes.items():
        print(f"{name:28} {size / 2**20:7.2f} MiB")
    print(f"{'all':28} {sum(sizes.values()) / 2**20:7.2f} MiB")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"bytes": sizes}, indent=2) + "\n")
    print(f"Wrote {options.output}")


if __name__ == "__main__":
    main()
