"""The moving average of the weights, which is what is validated and exported."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from dvmsr.model import DVMSR


class MovingAverage(WeightAveraging):
    """An exponential moving average whose decay starts low, so that it soon forgets the random start.

    Args:
        decay: What the decay rises to.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False, multi_avg_fn=self._average)
        self._decay = decay
        self._updates = 0

    @property
    def network(self) -> DVMSR:
        """The network with the averaged weights, while a run goes on."""
        assert self._average_model is not None
        network = self._average_model.module.network
        assert isinstance(network, DVMSR)
        return network

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average. Its counter stays on the CPU: read from a GPU, it would halt it in each step."""
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the step's weights into the average."""
        self._updates = trainer.global_step - 1
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    @torch.no_grad()
    def _average(self, averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:  # noqa: ARG002
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(averaged, current, 1 - decay)
