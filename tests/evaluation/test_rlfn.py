"""The peer is the published network: the challenge's weights give their known scores with it."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.datasets import open_set
from dvmsr.evaluation.rlfn import RLFN


class RLFNUpscaler:
    scale = 4

    def __init__(self, weights):
        self.network = RLFN().eval().to(memory_format=torch.channels_last)
        self.network.load_state_dict(load_file(weights))

    @torch.inference_mode()
    def upscale(self, image):
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        output = self.network(batch.contiguous(memory_format=torch.channels_last))
        return np.ascontiguousarray(output[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def test_parameters():
    assert sum(parameter.numel() for parameter in RLFN().parameters()) == 317_218


@pytest.mark.parametrize(("dataset", "psnr", "ssim"), [("Set5", 32.098, 0.8939), ("Set14", 28.603, 0.7815)])
def test_published_weights_score_as_known(shared, dataset, psnr, ssim):
    upscaler = RLFNUpscaler(shared("weights/rlfn-x4-ntire2024-baseline.safetensors"))
    score = score_set(upscaler, open_set(shared(f"benchmarks/{dataset}/x4")))
    assert score.psnr_y == pytest.approx(psnr, abs=0.005)
    assert score.ssim_y == pytest.approx(ssim, abs=0.0003)
