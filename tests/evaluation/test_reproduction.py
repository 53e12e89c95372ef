"""The scores that the authors' checkpoints are known to reach, through the whole path a user takes.

The table is an independent implementation's, on the same images.
"""

import pytest

from dvmsr import Upscaler
from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.datasets import open_set


@pytest.mark.parametrize(
    ("checkpoint", "dataset", "psnr", "ssim"),
    [
        ("ntire2024", "Set5", 32.184, 0.8946),
        ("ntire2024", "Set14", 28.609, 0.7816),
        ("ntire2024", "BSD100", 27.575, 0.7360),
        ("paper", "Set5", 32.214, 0.8951),
        ("paper", "Set14", 28.637, 0.7822),
        ("paper", "BSD100", 27.585, 0.7364),
    ],
)
def test_author_checkpoints_score_as_known(shared, checkpoint, dataset, psnr, ssim):
    upscaler = Upscaler(shared(f"weights/dvmsr-x4-author-{checkpoint}.safetensors"))
    score = score_set(upscaler, open_set(shared(f"benchmarks/{dataset}/x4")))
    assert score.psnr_y == pytest.approx(psnr, abs=0.005)
    assert score.ssim_y == pytest.approx(ssim, abs=0.0003)
