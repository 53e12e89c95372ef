"""The Python of the pages in docs/, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dvmsr.images import imresize, read_image

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the pages name: a small photograph and a benchmark set."""
    cat = np.asarray(Image.open(ROOT / "examples" / "chelsea.png").convert("RGB"))[100:148, 120:180]
    Image.fromarray(cat).save(tmp_path / "photo.jpg")
    for kind, image in (("HR", cat), ("LR", imresize(cat, 1 / 4))):
        (tmp_path / "Set5" / "x4" / kind).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "Set5" / "x4" / kind / "cat.png")
    with av.open(str(tmp_path / "clip.mp4"), "w") as clip:
        stream = clip.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(cat[row : row + 24, :32].copy(), "rgb24") for row in range(3)]
        clip.mux([packet for frame in (*frames, None) for packet in stream.encode(frame)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["library", "onnx", "video"])
def test_python_of_a_page(folder, page, capsys):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks
    names = {"__name__": page}
    for block in blocks:
        # At its own line, so that a failure names it.
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], f"docs/{page}.md", "exec"), names)
    if page == "library":
        assert "put the channels last" in capsys.readouterr().out
        assert read_image(folder / "photo_x4.png").shape == (192, 240, 3)
