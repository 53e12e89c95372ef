"""The processes of a run, and the device that each computes on."""

from __future__ import annotations

import os

import torch
from lightning.pytorch.utilities import rank_zero_only

from dvmsr.errors import ArgumentError
from dvmsr.training.settings import MachineSettings


def process_rank() -> int:
    """Return the number of this process in its run, before a trainer knows it."""
    return int(getattr(rank_zero_only, "rank", 0))


def process_count() -> int:
    """Return how many processes of this run there are already; Lightning starts its own later."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def devices_and_nodes(machine: MachineSettings) -> tuple[int, int]:
    """Return the processes on each machine, and the machines; torchrun's word goes before the settings'."""
    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, process_count() // local
    return machine.devices, machine.nodes


def choose_device(machine: MachineSettings) -> torch.device:
    """Return the device of this process.

    Raises:
        ArgumentError: A GPU is asked for, and there is none, or fewer than processes.
    """
    gpus = torch.cuda.device_count()
    if machine.accelerator == "cpu" or (machine.accelerator == "auto" and not gpus):
        return torch.device("cpu")
    devices, _ = devices_and_nodes(machine)
    if gpus < devices:
        raise ArgumentError(f"machine.devices is {devices}, but PyTorch finds {gpus} CUDA GPUs here")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
