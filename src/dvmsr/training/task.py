"""What is learnt: a student's distance to the ground truth and to its teacher (paper section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from dvmsr.errors import ArgumentError, is_lack_of_memory
from dvmsr.model import DVMSR
from dvmsr.plugins import called, load_plugin
from dvmsr.training.optimizers import make_optimizer
from dvmsr.training.patches import Batch
from dvmsr.training.schedule import rate_factor
from dvmsr.training.settings import LossSettings, TrainingConfig
from dvmsr.training.teacher import Teacher

Distance = Callable[[Tensor, Tensor], Tensor]
"""The distance of two batches of images (batch, 3, H, W): a scalar."""


def make_distance(settings: LossSettings) -> Distance:
    """Return the mean distance of two batches of images, of the kind that the settings name.

    Raises:
        ArgumentError: A function of one's own cannot be imported.
    """
    if settings.function:
        return partial(_own_distance, load_plugin(settings.function, "loss.function"), settings.function)
    if settings.distance == "l1":
        return F.l1_loss
    if settings.distance == "l2":
        return F.mse_loss
    return partial(F.smooth_l1_loss, beta=settings.smooth_l1_beta)


def _own_distance(function: Distance, name: str, output: Tensor, target: Tensor) -> Tensor:
    with called(f"loss.function: {name}"):
        loss = function(output, target)
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ArgumentError(
            f"loss.function: expected {name} to return a scalar tensor that depends on its first argument, "
            f"got {got}"
        )
    return loss.reshape(())


class DistillationTask(LightningModule):
    """Trains a network on its own, or as the student of a teacher that it does not own.

    Args:
        network: What is trained, and all that is saved.
        config: See :class:`TrainingConfig`.
        teacher: Makes the outputs that batches do not bring; None where they bring all, or there is none.

    Raises:
        ArgumentError: ``config.loss.function`` cannot be imported.
    """

    def __init__(self, network: DVMSR, config: TrainingConfig, teacher: Teacher | None) -> None:
        super().__init__()
        self.network = network
        self._config = config
        # In a tuple, so that it is no submodule: not in the optimizer, not in what is saved.
        self._teacher = (teacher,)
        self._distance = make_distance(config.loss)

    def on_fit_start(self) -> None:
        """Put the teacher beside the student."""
        for teacher in self._teacher:
            if teacher is not None:
                teacher.to(self.device)

    def on_train_start(self) -> None:
        """On a GPU of its own, record the network's passes as CUDA graphs: a step then has few launches.

        The moving average's copy of the network, which is what is scored, goes on as it was.

        Raises:
            ArgumentError: They cannot be recorded.
        """
        alone = self.device.type == "cuda" and self.trainer.world_size == 1
        # What watches the network's modules would see nothing of a replay.
        watched = any(module._forward_hooks or module._backward_hooks for module in self.network.modules())
        if not (alone and self._config.machine.cuda_graphs) or watched:
            return
        patches, side = self._config.run.batch + self._config.teacher.teacher_only, self._config.data.patch
        sample = torch.rand(patches, 3, side, side, device=self.device)
        with self.trainer.precision_plugin.forward_context():
            try:
                torch.cuda.make_graphed_callables(self.network, (sample,))
            except RuntimeError as error:
                if is_lack_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
                raise ArgumentError(
                    f"the network's passes could not be recorded as CUDA graphs ({reason}): leave that"
                    " out, by machine.cuda_graphs = false"
                ) from error

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's name
        """Return the loss of a batch."""
        inputs = [images.float() / 255 for images in (batch.low, batch.teacher_only) if images is not None]
        low = torch.cat(inputs)
        output: Tensor = self.network(low)
        loss = output.new_zeros(())
        settings = self._config.loss
        if settings.lambda_hr > 0:
            high = batch.high.float() / 255
            loss = loss + settings.lambda_hr * self._distance(output[: len(high)], high)
        target = self._teacher_output(batch, low)
        if target is not None:
            loss = loss + settings.lambda_kd * self._distance(output, target)
        return loss

    def _teacher_output(self, batch: Batch, low: Tensor) -> Tensor | None:
        (teacher,) = self._teacher
        given = None if batch.teacher is None else batch.teacher.float()
        if teacher is None:
            return given
        settings = self._config.teacher
        if given is not None and settings.outputs == "cached":
            return torch.cat([given, teacher(low[len(given) :])])
        made: Tensor = teacher(low)
        if given is not None:
            # Of the folder, one more in the mean.
            made[: len(given)].lerp_(given, 1 / (len(settings.weights) + len(settings.networks) + 1))
        return made

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer and its learning rates by step."""
        settings = self._config.optimizer
        optimizer = make_optimizer(self.network, settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, partial(rate_factor, settings, self._config.run.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002 - Lightning's names
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Scale the gradients down to the configured norm.

        Here and not by ``Trainer(gradient_clip_val=...)``, which refuses fused optimizers under bf16-mixed.
        """
        if self._config.optimizer.gradient_norm > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._config.optimizer.gradient_norm)
