"""Enlarge a photograph with the installed package, by the command and by the library, and print its hash.

Run by ``wheels.py`` and by cibuildwheel in an environment that holds a wheel and what it asks for.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import dvmsr
from dvmsr.images import read_image

source = Path(sys.argv[1]).resolve()
for tool in ("cc", "c++", "gcc", "g++", "clang", "cmake"):
    # cibuildwheel's containers have compilers; a wheel must not look for one.
    if len(sys.argv) == 2 and shutil.which(tool):
        raise SystemExit(f"expected no compiler on the path, found {tool}")
command = shutil.which("dvmsr", path=str(Path(sys.executable).parent))
with tempfile.TemporaryDirectory() as folder:
    target = Path(folder) / "large.png"
    subprocess.run(
        [command, "upscale", source, "-o", target, "--threads", "1"], check=True, stdout=sys.stderr
    )
    pixels = read_image(target)
crop = read_image(source)[:32, :48]
assert dvmsr.Upscaler(threads=1).upscale(crop).shape == (128, 192, 3)
assert "torch" not in sys.modules
assert Path(dvmsr.__file__).is_relative_to(sys.prefix), f"not the installed package: {dvmsr.__file__}"
print(hashlib.sha256(pixels.tobytes()).hexdigest())
