"""What happens after a step: the log, the progress bar, validation, checkpoints, an orderly stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor

from dvmsr.errors import DvmsrError
from dvmsr.training.checkpoints import checkpoint_path, remove_old_checkpoints
from dvmsr.training.display import Display
from dvmsr.training.moving_average import MovingAverage
from dvmsr.training.settings import MonitorSettings
from dvmsr.training.validation import Validation

_SECONDS_TO_A_SECOND = 1.0


class LossLog(Callback):
    """Logs the mean loss and time since the row before and the next learning rate, and shows progress.

    Args:
        every: Steps between two rows.
        display: Shows the progress.
    """

    COLUMNS = ("loss", "learning_rate", "seconds_per_step")
    """Names of what is logged."""

    def __init__(self, every: int, display: Display) -> None:
        self._every = every
        self._display = display
        self._loss: Tensor | None = None
        self._steps = 0
        self._shown: float | None = None
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to show progress."""
        self._since = time.monotonic()
        self._display.start(trainer.global_step, trainer.max_steps)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Log.

        Raises:
            DvmsrError: The loss is no finite number.
        """
        loss = outputs["loss"].detach()
        self._loss = loss if self._loss is None else self._loss + loss
        self._steps += 1
        done = trainer.global_step
        if done % self._every == 0 or done == trainer.max_steps:
            mean = trainer.strategy.reduce(self._loss / self._steps, reduce_op="mean")
            self._shown = float(mean)
            if not math.isfinite(self._shown):
                raise DvmsrError(
                    f"the loss became {self._shown} by step {done}: begin anew with a lower"
                    " optimizer.learning_rate or optimizer.gradient_norm"
                )
            now = time.monotonic()
            row = {
                "loss": self._shown,
                "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
                "seconds_per_step": (now - self._since) / self._steps,
            }
            for logger in trainer.loggers:
                logger.log_metrics(row, done)
            self._loss, self._steps, self._since = None, 0, now
        self._display.update(done, self._shown)


class ValidateAverage(Callback):
    """Scores the averaged weights.

    Args:
        validation: What to score on.
        average: Has the weights.
        every: Steps between two validations; the last step is always one.
        start: Whether to score what the run begins with, for comparison.
    """

    def __init__(self, validation: Validation, average: MovingAverage, every: int, *, start: bool) -> None:
        self._validation = validation
        self._average = average
        self._every = every
        self._start = start

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Score what is known before the first step."""
        if self._start and trainer.is_global_zero and trainer.global_step == 0:
            self._validation.run(self._average.network, 0, trainer.loggers)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Score, in the first process; the others wait at their next gradient."""
        step = trainer.global_step
        if trainer.is_global_zero and (step % self._every == 0 or step == trainer.max_steps):
            self._validation.run(self._average.network, step, trainer.loggers)


class StopRequest(Callback):
    """Notes that a person or the system asks the run to stop: Ctrl-C (SIGINT), SIGTERM or SIGHUP.

    From the first step to the last, they do not end the process; a second one does, of any of the three.
    Before, they do what they always do.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The signal that came, if one did."""
        self.started = False
        """Whether steps have begun: what a checkpoint holds is in its place by then."""
        self._came = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to listen; in other threads than the main one Python does not let us."""
        self.started = True
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # What nohup shields from stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Listen no more."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Listen no more."""
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's signature
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._came = signal.Signals(number), now
        # Of one Ctrl-C in a terminal a process hears twice where a launcher such as torchrun sends it on.
        elif now - self._came >= _SECONDS_TO_A_SECOND:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            # As shells count.
            raise SystemExit(128 + number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class KeepCheckpoints(Checkpoint):
    """Saves a checkpoint every so often, after the last step, and where the run is asked to stop.

    As a ``Checkpoint`` it comes after all other callbacks, and so saves what they changed.

    Args:
        folder: Where to.
        settings: See :class:`MonitorSettings`.
        stop: Says whether to stop.
    """

    def __init__(self, folder: Path, settings: MonitorSettings, stop: StopRequest) -> None:
        self._folder = folder
        self._settings = settings
        self._stop = stop

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Save if it is time to.

        Raises:
            ArgumentError: The checkpoint cannot be written.
            DvmsrError: The loss is no finite number.
        """
        step = trainer.global_step
        stop = self._agree_to_stop(trainer)
        if stop or step % self._settings.checkpoint_every == 0 or step == trainer.max_steps:
            if not torch.isfinite(outputs["loss"]):
                raise DvmsrError(
                    f"the loss became infinite or no number by step {step}; nothing more is saved"
                )
            trainer.save_checkpoint(checkpoint_path(self._folder, step))
            if trainer.is_global_zero:
                remove_old_checkpoints(self._folder, self._settings.keep_checkpoints)
        trainer.should_stop = stop

    def _agree_to_stop(self, trainer: Trainer) -> bool:
        stop = self._stop.signal is not None
        if trainer.world_size == 1:
            return stop
        # The processes must stop after the same step. Asking each time would cost them time.
        if trainer.global_step % self._settings.log_every:
            return False
        return trainer.strategy.reduce_boolean_decision(stop, all=False)
