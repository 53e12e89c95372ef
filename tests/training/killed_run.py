"""Trains as a file says, and sends a signal to all its processes after a step: FILE FOLDER STEP SIGNAL."""

import os
import signal
import sys
from pathlib import Path

import torch

from dvmsr.training import make_config, read_recipe, train
from dvmsr.training.display import Display


class Sender(Display):
    """Sends the signal, as a terminal or kill does."""

    def update(self, done: int, loss: float | None) -> None:
        """Do so after one step."""
        super().update(done, loss)
        if done == int(sys.argv[3]):
            os.killpg(os.getpgrp(), signal.Signals[sys.argv[4]])


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(make_config(read_recipe(Path(sys.argv[1]))), sys.argv[2], display=Sender())
