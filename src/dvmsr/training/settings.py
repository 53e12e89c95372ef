"""What fixes a run of training, together with the photographs."""

from __future__ import annotations

from dataclasses import dataclass, field

from dvmsr.config import NetworkConfig


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of one run."""

    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(vimm_residual=True))
    """Shape of the student."""

    steps: int = 20_000
    """Optimiser steps."""

    batch: int = 8
    """Patches in a step."""

    patch: int = 24
    """Side of an LR patch in pixels."""

    learning_rate: float = 1e-3
    """Adam's learning rate after the warm-up; it falls to a hundredth of it along a cosine."""

    warmup: int = 200
    """Steps over which the learning rate rises from 0."""

    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's decay rates (paper section 4.1)."""

    gradient_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it."""

    ema_decay: float = 0.999
    """Decay of the moving average of the weights, which is what is validated and kept."""

    lambda_hr: float = 1.0
    """Weight of the L1 distance to the ground truth."""

    lambda_kd: float = 1.0
    """Weight of the L1 distance to the teacher's output (paper section 3.3)."""

    seed: int = 0
    """Fixes the initial weights and every patch."""

    validate_every: int = 500
    """Steps between two validations, each followed by a checkpoint."""
