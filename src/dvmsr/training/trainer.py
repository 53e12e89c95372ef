"""The loop: distillation as in paper section 3.3, with the teacher's outputs made beforehand."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dvmsr.errors import ArgumentError
from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.datasets import BenchmarkSet
from dvmsr.model import DVMSR
from dvmsr.training.photographs import Batch, Photographs
from dvmsr.training.settings import TrainingSettings
from dvmsr.weights import save_weights

_CHECKPOINT = "checkpoint.pt"
_LOG = "log.csv"
_LOG_FIELDS = ("step", "loss", "learning_rate", "seconds_per_step")


class NetworkUpscaler:
    """A PyTorch network as something that ``score_set`` can score."""

    def __init__(self, network: nn.Module, scale: int) -> None:
        self.network = network
        self.scale = scale

    @torch.no_grad()
    def upscale(self, image: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """Enlarge (H, W, 3) uint8 to (scale*H, scale*W, 3) uint8."""
        low = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        high = self.network(low)[0].permute(1, 2, 0).mul(255).round_().clamp_(0, 255)
        result: NDArray[np.uint8] = high.to(torch.uint8).numpy()
        return result


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Return the rate of a step: a linear warm-up, then a cosine to a hundredth."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Return an exponential moving average whose decay starts low, so that it forgets the random start."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        now = min(decay, (1 + count.item()) / (10 + count.item()))
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update


def distillation_loss(settings: TrainingSettings, output: Tensor, batch: Batch) -> Tensor:
    """Return ``lambda_hr * L1(output, HR) + lambda_kd * L1(output, teacher)``, without teacher the first term."""
    loss = settings.lambda_hr * F.l1_loss(output, batch.high)
    if batch.teacher is not None:
        loss = loss + settings.lambda_kd * F.l1_loss(output, batch.teacher)
    return loss


def train(
    settings: TrainingSettings,
    photographs: Photographs,
    run: Path,
    *,
    validation: Sequence[BenchmarkSet] = (),
    resume: bool = False,
    report: Callable[[str], object] = print,
) -> Path:
    """Train a student from random weights, or go on with a run.

    Args:
        settings: The recipe. A resumed run may differ in any setting but the network's shape.
        photographs: What to train on; those with a teacher's output are learnt from both.
        run: Folder of the run: gets ``checkpoint.pt``, ``log.csv`` and ``weights.safetensors``.
        validation: Sets to score at every checkpoint.
        resume: Go on from the checkpoint in ``run``.
        report: Gets a line of text now and then.

    Returns:
        The path of the weights: the moving average, as float16 safetensors.

    Raises:
        ArgumentError: The run folder holds a run and ``resume`` is off, or the other way round.
    """
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = run / _CHECKPOINT
    if checkpoint.exists() != resume:
        state = "holds a run already: resume it or take another folder" if not resume else "holds no run"
        raise ArgumentError(f"{run}: {state}")
    torch.manual_seed(settings.seed)
    network = DVMSR(settings.network)
    average = AveragedModel(network, multi_avg_fn=moving_average(settings.ema_decay))
    optimizer = torch.optim.Adam(network.parameters(), betas=settings.betas, fused=True)
    start = 0
    if resume:
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        start = saved["step"]
        report(f"resumed at step {start}")

    losses: list[float] = []
    since = time.monotonic()
    for step in range(start, settings.steps):
        batch = photographs.batch(settings.seed, step, settings.batch, settings.patch)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        loss = distillation_loss(settings, network(batch.low), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_norm)
        optimizer.step()
        average.update_parameters(network)
        losses.append(loss.item())
        done = step + 1
        if done % settings.validate_every == 0 or done == settings.steps:
            row: dict[str, Any] = {
                "step": done,
                "loss": round(float(np.mean(losses)), 6),
                "learning_rate": learning_rate(settings, step),
                "seconds_per_step": round((time.monotonic() - since) / len(losses), 4),
            }
            _save_checkpoint(
                checkpoint,
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": done,
                },
            )
            parameters = {name: p.detach().numpy() for name, p in average.module.named_parameters()}
            notes = {"steps": str(done), "settings": str(asdict(settings))}
            save_weights(run / "weights.safetensors", parameters, settings.network, notes=notes)
            upscaler = NetworkUpscaler(average.module, settings.network.scale)
            row |= {f"{x.name} psnr_y": round(score_set(upscaler, x).psnr_y, 3) for x in validation}
            _append_log(run / _LOG, row, [f"{x.name} psnr_y" for x in validation])
            report("  ".join(f"{key} {value}" for key, value in row.items()))
            losses.clear()
            since = time.monotonic()
    return run / "weights.safetensors"


def _save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".part")
    torch.save(content, temporary)
    os.replace(temporary, path)


def _append_log(path: Path, row: dict[str, Any], scores: Sequence[str]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*_LOG_FIELDS, *scores])
        if new:
            writer.writeheader()
        writer.writerow(row)
