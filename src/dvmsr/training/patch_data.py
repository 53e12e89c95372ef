"""What gives a run its batches: cut on the CPU, or on the GPU that has all photographs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.pytorch import LightningDataModule

from dvmsr.training.patches import Batch, PatchBatches, PatchPlaces, Places, StepLoader
from dvmsr.training.photographs import Photograph
from dvmsr.training.resident import ResidentPhotographs, bytes_on_gpu
from dvmsr.training.settings import TrainingConfig

# The part of a GPU's free memory that photographs may take.
_SHARE_OF_MEMORY = 0.25


class PatchData(LightningDataModule):
    """Gives each process of a run its part of the batches.

    On a GPU that has room for all photographs they are put there, and patches are cut there; else, and where
    patches are degraded or ``machine.photographs_on_gpu`` is off, on the CPU. The patches are the same.

    Args:
        photographs: What to cut from.
        config: See :class:`TrainingConfig`.
        first: The step to begin with.
    """

    def __init__(self, photographs: Sequence[Photograph], config: TrainingConfig, first: int) -> None:
        super().__init__()
        self._photographs = photographs
        self._config = config
        self._first = first
        self._resident: ResidentPhotographs | None = None

    def train_dataloader(self) -> StepLoader:
        """Return the batches of this process, or where they lie."""
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batches = PatchBatches(self._photographs, self._config, rank, world)
        device = self.trainer.strategy.root_device
        if self._fits_on(device):
            self._resident = ResidentPhotographs(self._photographs, self._config, device)
        return StepLoader(
            batches if self._resident is None else PatchPlaces(batches),
            self._first,
            self._config.run.steps,
            self._config.machine.workers,
        )

    def on_after_batch_transfer(self, batch: Batch | Places, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Cut the patches where only their places came."""
        if isinstance(batch, Batch):
            return batch
        assert self._resident is not None
        return self._resident.cut(batch)

    def _fits_on(self, device: torch.device) -> bool:
        if device.type != "cuda" or not self._config.machine.photographs_on_gpu:
            return False
        if self._config.degradation.probability > 0:
            return False
        free, _ = torch.cuda.mem_get_info(device)
        return bytes_on_gpu(self._photographs) <= _SHARE_OF_MEMORY * free
