"""What the tests of training share: small photographs, a small network, one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvmsr import NetworkConfig
from dvmsr.images import imresize
from dvmsr.training import DataSettings, MonitorSettings, OptimizerSettings, RunSettings, TrainingConfig
from dvmsr.training.display import Display
from dvmsr.weights import parameter_shapes, save_weights

SMALL = NetworkConfig(channels=8, blocks=1, vimms_per_block=1, state_size=4)


def smooth_image(height: int, width: int, seed: int) -> np.ndarray:
    """Random blobs: something to learn, unlike noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), np.uint8)
    return imresize(coarse, output_size=(height, width))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three photographs of odd sizes."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, (height, width) in enumerate([(70, 66), (64, 81), (97, 64)]):
        Image.fromarray(smooth_image(height, width, number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def benchmark_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark set of one image, for scale 4."""
    folder = tmp_path_factory.mktemp("sets") / "Tiny"
    high = smooth_image(64, 48, 9)
    for kind, image in (("HR", high), ("LR", imresize(high, 1 / 4))):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(image).save(folder / kind / "one.png")
    return folder


@pytest.fixture(scope="session")
def teacher_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a file of weights: a small network of noise."""

    def make(seed: int = 0, scale: int = 4) -> Path:
        rng = np.random.default_rng(seed)
        config = replace(SMALL, scale=scale)
        parameters = {name: rng.normal(0, 0.1, shape) for name, shape in parameter_shapes(config).items()}
        path = tmp_path_factory.mktemp("teachers") / f"teacher{seed}.safetensors"
        save_weights(path, parameters, config)
        return path

    return make


@pytest.fixture
def small_config(photographs: Path) -> TrainingConfig:
    """A run that takes a second."""
    return TrainingConfig(
        network=SMALL,
        data=DataSettings(hr=(str(photographs),), patch=8),
        optimizer=OptimizerSettings(learning_rate=2e-3, warmup=3, ema_decay=0.9),
        run=RunSettings(steps=20, batch=2),
        monitor=MonitorSettings(checkpoint_every=5, log_every=5, validate_every=10),
    )


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_torch_thread: None) -> None:
    """In all tests here."""


class RecordingDisplay(Display):
    """Keeps the lines, and calls ``at_step`` after each step."""

    def __init__(self, at_step: Callable[[int], object] = lambda _: None) -> None:
        super().__init__(silent=True)
        self.lines: list[str] = []
        self._at_step = at_step

    def line(self, text: str) -> None:
        self.lines.append(text)

    def update(self, done: int, loss: float | None) -> None:
        super().update(done, loss)
        self._at_step(done)


@pytest.fixture
def make_display() -> type[RecordingDisplay]:
    """Make a display that keeps its lines; its argument is called after each step, with the number."""
    return RecordingDisplay
