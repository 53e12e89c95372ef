"""What the tests of videos share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dvmsr import NetworkConfig, Upscaler
from dvmsr.video import VideoOptions, upscale_video
from dvmsr.video.libav import same_priority
from dvmsr.weights import save_weights

# What makes clips lies beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def priority():
    """Clips of AV1 are made here, whose encoder raises root's."""
    with same_priority():
        yield


@pytest.fixture(scope="session")
def weights(make_weights):
    """A small network of noise: times and tracks are the matter here, not looks."""
    return make_weights(NetworkConfig(channels=16, blocks=1, vimms_per_block=1))


@pytest.fixture(scope="session")
def upscaler(weights):
    return Upscaler(weights, threads=1)


@pytest.fixture(scope="session")
def shipped():
    """The network that keeps colours."""
    return Upscaler(threads=1)


@pytest.fixture
def enlarge(upscaler, tmp_path):
    """Enlarge a clip: what was done. In segments of a few frames, as longer videos are."""

    def run(source, name="out.mp4", *, by=upscaler, **options):
        options = {"segment_frames": 5, **options}
        if name.endswith(".mp4"):
            options.setdefault("preset", "ultrafast")
        return upscale_video(by, source, tmp_path / name, VideoOptions(**options))

    return run


@pytest.fixture(scope="session")
def weights_file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    save_weights(path, weights.parameters, weights.config)
    return path
