"""The learning rate over time."""

from __future__ import annotations

import math

from dvmsr.training.settings import OptimizerSettings


def rate_factor(settings: OptimizerSettings, steps: int, step: int) -> float:
    """Return the learning rate of a step, as a part of the highest.

    Args:
        settings: See :class:`OptimizerSettings`.
        steps: Steps of the whole run.
        step: Number of the step, from 0.
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "multistep":
        return settings.gamma ** sum(step >= milestone for milestone in settings.milestones)
    done, period = step - settings.warmup, max(1, steps - settings.warmup)
    if settings.schedule == "restarts":
        done, period = done % settings.restart_every, settings.restart_every
    cosine = (1 + math.cos(math.pi * min(1.0, done / period))) / 2
    return settings.final_rate + (1 - settings.final_rate) * cosine
