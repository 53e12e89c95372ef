"""The script that draws slides, screens and charts to train on."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "recipes" / "graphics.py"
FONTS = [
    str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVu{name}.ttf")
    for name in ("Sans", "Serif")
]


@pytest.fixture(scope="module")
def graphics():
    spec = importlib.util.spec_from_file_location("graphics", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["slide", "document", "screen", "chart", "drawing"])
def test_each_kind_draws_something_and_the_same_again(graphics, kind, monkeypatch):
    monkeypatch.setattr(graphics, "KINDS", (getattr(graphics, kind),))
    for seed in range(4):
        image = np.asarray(graphics.graphic(seed, FONTS, 128))
        assert image.shape == (128, 128, 3)
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2
        np.testing.assert_array_equal(image, np.asarray(graphics.graphic(seed, FONTS, 128)))


def run(*arguments, **environment):
    command = [sys.executable, "-W", "error", SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **environment)


def test_without_fontconfig_says_what_to_install(tmp_path):
    done = run(tmp_path / "out", env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "fc-list was not found: install fontconfig" in done.stderr
    assert not (tmp_path / "out").exists()


def test_too_small_is_refused(tmp_path):
    done = run(tmp_path / "out", "--side", 100)
    assert done.returncode == 2
    assert "expected at least 128, got 100" in done.stderr


@pytest.mark.skipif(not shutil.which("fc-list"), reason="needs fontconfig")
def test_draws_with_the_fonts_of_this_machine(tmp_path):
    done = run(tmp_path / "out", "--count", 2, "--seed", 7, "--side", 128)
    assert done.returncode == 0, done.stderr
    sizes = {}
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            sizes[path.name] = image.size
    assert sizes == {"graphics_0007.png": (128, 128), "graphics_0008.png": (128, 128)}
