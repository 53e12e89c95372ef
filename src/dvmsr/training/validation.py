"""Scores on benchmark sets while a run goes on, and pictures to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from numpy.typing import NDArray
from PIL import Image

from dvmsr.evaluation.benchmark import Bicubic, SetScore, SupportsUpscale, score_set
from dvmsr.evaluation.datasets import BenchmarkSet
from dvmsr.evaluation.networks import NetworkUpscaler
from dvmsr.evaluation.pairs import read_pair
from dvmsr.images import imresize
from dvmsr.model import DVMSR

_SAMPLE_SIDE = 64


class Validation:
    """Scores networks, and keeps a picture of the first image of each set.

    Args:
        sets: What to score on.
        scale: Enlargement of the networks.
        samples: Folder for the pictures: bicubic interpolation, the network, the ground truth.
        report: Gets a line of text with the scores.
    """

    def __init__(
        self, sets: Sequence[BenchmarkSet], scale: int, samples: Path, report: Callable[[str], object]
    ) -> None:
        self._sets = sets
        self._scale = scale
        self._samples = samples
        self._report = report

    @property
    def columns(self) -> list[str]:
        """Names of the scores in the log."""
        return [f"{benchmark.name} psnr_y" for benchmark in self._sets]

    def check(self) -> None:
        """Score bicubic interpolation, for comparison; whatever is wrong with a set shows before training.

        Raises:
            DatasetError: A set does not fit the scale, or has images that cannot be scored.
            ImageReadError: An image cannot be read.
        """
        self._score(Bicubic(self._scale), "bicubic interpolation")

    def run(self, network: DVMSR, step: int, loggers: Sequence[Logger]) -> None:
        """Score a network after ``step`` steps, and log the scores and pictures."""
        upscaler = NetworkUpscaler(network, self._scale)
        scores = self._score(upscaler, f"step {step}")
        metrics = {f"{score.name} psnr_y": score.psnr_y for score in scores}
        for logger in loggers:
            if metrics:
                logger.log_metrics(metrics, step)
        for benchmark in self._sets:
            picture = self._picture(upscaler, benchmark)
            self._samples.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(self._samples / f"{benchmark.name}-{step:08d}.png")
            for logger in loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(benchmark.name, picture, step, dataformats="HWC")

    def _score(self, upscaler: SupportsUpscale, label: str) -> list[SetScore]:
        scores = [score_set(upscaler, benchmark) for benchmark in self._sets]
        if scores:
            texts = [f"{score.name} {score.psnr_y:.3f} dB, SSIM {score.ssim_y:.4f}" for score in scores]
            self._report(f"{label}: {'; '.join(texts)}")
        return scores

    def _picture(self, upscaler: NetworkUpscaler, benchmark: BenchmarkSet) -> NDArray[Any]:
        """Bicubic, network and ground truth of the middle of a set's first image, side by side."""
        pair = benchmark.pairs[0]
        low, high = read_pair(pair, self._scale)
        top, left = (max(0, (side - _SAMPLE_SIDE) // 2) for side in low.shape[:2])
        low = low[top : top + _SAMPLE_SIDE, left : left + _SAMPLE_SIDE]
        bicubic = imresize(low, self._scale)
        rows = slice(self._scale * top, self._scale * top + len(bicubic))
        columns = slice(self._scale * left, self._scale * left + bicubic.shape[1])
        return np.concatenate([bicubic, upscaler.upscale(low), high[rows, columns]], axis=1)
