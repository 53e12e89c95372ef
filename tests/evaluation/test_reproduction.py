"""The scores that weights are known to reach, through the whole path a user takes."""

import re

import pytest

from dvmsr import Upscaler
from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.datasets import open_set
from dvmsr.weights import shipped_weights


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
    """The table is an independent implementation's, on the same images."""
    upscaler = Upscaler(shared(f"weights/dvmsr-x4-author-{checkpoint}.safetensors"))
    score = score_set(upscaler, open_set(shared(f"benchmarks/{dataset}/x4")))
    assert score.psnr_y == pytest.approx(psnr, abs=0.005)
    assert score.ssim_y == pytest.approx(ssim, abs=0.0003)


@pytest.mark.parametrize(
    ("scale", "dataset", "least"),
    [(4, "Set5", 32.0), (4, "Set14", 28.5), (4, "BSD100", 27.52), (2, "Set5", 37.6), (2, "Set14", 33.4)],
)
def test_shipped_weights_score_as_their_card_says(shared, scale, dataset, least):
    card = shipped_weights(scale=scale).with_suffix(".md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {dataset} \| ([\d.]+) \| ([\d.]+) \|", card, re.MULTILINE)
    assert row is not None, f"the card has no scores of {dataset}"
    score = score_set(Upscaler(scale=scale), open_set(shared(f"benchmarks/{dataset}/x{scale}"), scale))
    assert score.psnr_y >= least
    assert score.psnr_y == pytest.approx(float(row[1]), abs=0.005)
    assert score.ssim_y == pytest.approx(float(row[2]), abs=0.0003)
