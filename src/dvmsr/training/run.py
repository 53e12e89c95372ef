"""A run of training, from its configuration to the exported weights."""

from __future__ import annotations

import logging
import math
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from dvmsr.atomic import remove_abandoned
from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError, DvmsrError, is_lack_of_memory
from dvmsr.evaluation.datasets import open_sets
from dvmsr.kernels.resources import resources_for_kernels
from dvmsr.model import DVMSR
from dvmsr.training.callbacks import KeepCheckpoints, LossLog, StopRequest, ValidateAverage
from dvmsr.training.checkpoints import (
    AtomicCheckpointIO,
    list_checkpoints,
    newest_checkpoint,
)
from dvmsr.training.csv_log import CsvLog
from dvmsr.training.display import Display
from dvmsr.training.moving_average import MovingAverage
from dvmsr.training.patch_data import PatchData
from dvmsr.training.patches import check_split
from dvmsr.training.photograph_files import (
    PhotographFile,
    add_teacher_outputs,
    find_photographs,
    fingerprint_files,
    fingerprint_teacher_outputs,
)
from dvmsr.training.photographs import Photograph, PhotographLoader
from dvmsr.training.processes import choose_device, devices_and_nodes, process_count, process_rank
from dvmsr.training.run_folder import RunFolder, versions
from dvmsr.training.settings import TrainingConfig
from dvmsr.training.task import DistillationTask, make_distance
from dvmsr.training.teacher import (
    Teacher,
    TeacherOutputs,
    fingerprint_network,
    fingerprint_weights,
    load_networks,
    load_teachers,
)
from dvmsr.training.validation import Validation
from dvmsr.weights import Weights, load_weights, rescale_weights


def train(
    config: TrainingConfig,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    display: Display | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
) -> Path:
    """Train a network, or go on with a run.

    Killed at any moment, a run that is resumed ends with the same weights as one that was not; on a CPU, bit
    by bit.

    Args:
        config: See :class:`TrainingConfig`.
        folder: Folder of the run; see :class:`RunFolder`.
        resume: Go on from the newest checkpoint in ``folder``.
        display: Shows progress; None shows it on standard error, in the first process.
        callbacks: More of Lightning's callbacks. They are called after the run's own, but before a checkpoint
            is saved; what their ``state_dict`` returns is kept there, as far as it is plain data and tensors.
        loggers: More of Lightning's loggers: they get the rows of the log and the scores.

    Returns:
        The path of the weights: the moving average, as float16 safetensors.

    Raises:
        ArgumentError: The folder, the configuration or a teacher does not fit; the disk is full.
        DatasetError: The photographs or a benchmark set cannot be used.
        WeightsError: A file of weights is missing, damaged or of another network.
        KeyboardInterrupt: After Ctrl-C, when a checkpoint has been saved.
    """
    display = display or Display(silent=process_rank() != 0)
    run = RunFolder(Path(folder))
    if config.machine.threads:
        torch.set_num_threads(config.machine.threads)
    device = choose_device(config.machine)
    check_split(config, math.prod(devices_and_nodes(config.machine)))
    with _taken(run, config, resume):
        inputs = _check_inputs(config, run, device, resume, display)
        if inputs.first < config.run.steps:
            _train_on(config, run, inputs, resume, display, _Hooks(callbacks, loggers))
        if process_rank() == 0:
            run.export(run.weights_file, display.line)
    return run.weights_file


@contextmanager
def _taken(run: RunFolder, config: TrainingConfig, resume: bool) -> Iterator[None]:
    """Keep the folder for this run: its first process does, for all of them."""
    if process_rank() != 0:
        yield
        return
    run.check(config, resume=resume)
    with run.locked():
        yield


@dataclass(frozen=True)
class _Hooks:
    """What a caller of :func:`train` adds."""

    callbacks: Sequence[Callback]
    loggers: Sequence[Logger]


@dataclass(frozen=True)
class _Inputs:
    """What goes into a run, checked as far as can be done in little time."""

    device: torch.device
    validation: Validation
    teachers: list[Weights]
    networks: list[nn.Module]
    """Teachers that are networks of one's own."""
    initial: Weights | None
    """Weights to begin with; None: random ones."""
    files: list[PhotographFile]
    record: dict[str, Any]
    checkpoint: Path | None
    first: int
    """The step to begin with."""


def _check_inputs(
    config: TrainingConfig, run: RunFolder, device: torch.device, resume: bool, display: Display
) -> _Inputs:
    sets = open_sets(map(Path, config.monitor.validation), config.network.scale)
    teachers = load_teachers(config.teacher, config.network.scale)
    networks = load_networks(config.teacher, config.network.scale)
    make_distance(config.loss)
    initial = _initial_weights(config)
    files = add_teacher_outputs(find_photographs(config.data), config.teacher)
    record = {
        "versions": versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "data": {"files": len(files), "fingerprint": fingerprint_files(files)},
        "teachers": [
            *map(fingerprint_weights, teachers),
            *map(fingerprint_network, config.teacher.networks, networks),
            *fingerprint_teacher_outputs(files),
        ],
        "initial_weights": None if initial is None else fingerprint_weights(initial),
    }
    checkpoint, first = None, 0
    if resume:
        run.check_same(config, record)
        if process_rank() == 0:
            remove_abandoned(run.checkpoints)
        if list_checkpoints(run.checkpoints):
            checkpoint, content = newest_checkpoint(
                run.checkpoints, config.network, display.line, set_aside=True
            )
            first = int(content["global_step"])
    validation = Validation(sets, config.network.scale, run.samples, display.line)
    return _Inputs(device, validation, teachers, networks, initial, files, record, checkpoint, first)


def _train_on(
    config: TrainingConfig, run: RunFolder, inputs: _Inputs, resume: bool, display: Display, hooks: _Hooks
) -> None:
    if process_rank() == 0:
        inputs.validation.check()
    photographs = _load_photographs(config, run, inputs, display)
    if inputs.first:
        display.line(f"going on after step {inputs.first}")
    if process_rank() == 0 and not resume:
        run.begin(config, inputs.record)
    network = _network(config.network, config.run.seed, inputs.initial)
    task = DistillationTask(network, config, _online_teacher(config, inputs))
    stop = StopRequest()
    average = MovingAverage(config.optimizer.ema_decay)
    callbacks = [
        stop,
        average,
        LossLog(config.monitor.log_every, display),
        ValidateAverage(
            inputs.validation, average, config.monitor.validate_every, start=inputs.initial is not None
        ),
        *hooks.callbacks,
        KeepCheckpoints(run.checkpoints, config.monitor, stop),
    ]
    with _quiet_lightning():
        loggers = [*_loggers(run, inputs, display), *hooks.loggers]
        trainer = _trainer(config, inputs.device, loggers, callbacks)
        data = PatchData(photographs, config, inputs.first)
        _fit(trainer, task, data, inputs.checkpoint, stop, run, display)


def _load_photographs(
    config: TrainingConfig, run: RunFolder, inputs: _Inputs, display: Display
) -> list[Photograph]:
    machine = config.machine
    cache = Path(machine.cache) if machine.cache else run.path.parent / "cache"
    memory, threads = machine.memory_mib << 20, max(1, machine.workers)
    loader = PhotographLoader(config.data, config.network.scale, memory, cache, threads, display.line)
    photographs = loader.load(inputs.files)
    display.line(f"{len(photographs)} photographs")
    if not inputs.teachers or config.teacher.outputs == "online":
        return photographs
    ensemble = config.teacher.self_ensemble
    outputs = TeacherOutputs(inputs.teachers, ensemble, cache, inputs.device, display.line)
    return outputs.add_to(photographs, process_rank(), process_count())


def _online_teacher(config: TrainingConfig, inputs: _Inputs) -> Teacher | None:
    networks = [*map(DVMSR.from_weights, inputs.teachers), *inputs.networks]
    if networks and (config.teacher.outputs == "online" or config.teacher.teacher_only):
        return Teacher(networks, config.teacher.self_ensemble)
    return None


def _initial_weights(config: TrainingConfig) -> Weights | None:
    if not config.run.initial_weights:
        return None
    weights = load_weights(config.run.initial_weights, residual=config.network.vimm_residual)
    weights = rescale_weights(weights, config.network.scale)
    if weights.config != config.network:
        raise ArgumentError(
            f"{weights.source} are weights of {weights.config}, but the run's are {config.network}"
        )
    return weights


def _network(config: NetworkConfig, seed: int, initial: Weights | None) -> DVMSR:
    if initial is not None:
        return DVMSR.from_weights(initial)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DVMSR(config)


def _loggers(run: RunFolder, inputs: _Inputs, display: Display) -> list[Logger]:
    columns = [*LossLog.COLUMNS, *inputs.validation.columns]
    loggers: list[Logger] = [CsvLog(run.log_file, columns, inputs.first)]
    if find_spec("tensorboard") is None:
        display.line("no TensorBoard log: it needs tensorboard, which is not installed")
    else:
        # Of steps that are done again, the old values are hidden.
        purge_step = inputs.first + 1 if inputs.first else None
        loggers.append(TensorBoardLogger(run.path, name="", version="tensorboard", purge_step=purge_step))
    return loggers


def _trainer(
    config: TrainingConfig, device: torch.device, loggers: list[Logger], callbacks: list[Callback]
) -> Trainer:
    devices, nodes = devices_and_nodes(config.machine)
    gpu = device.type == "cuda"
    if gpu:
        # TF32 for what stays float32.
        torch.set_float32_matmul_precision("high")
    return Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="auto"
        if devices * nodes == 1
        else DDPStrategy(process_group_backend=None if gpu else "gloo"),
        precision="bf16-mixed" if config.run.precision == "bf16-mixed" else "32-true",
        max_steps=config.run.steps,
        max_epochs=-1,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        limit_val_batches=0,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _fit(
    trainer: Trainer,
    task: DistillationTask,
    data: PatchData,
    checkpoint: Path | None,
    stop: StopRequest,
    run: RunFolder,
    display: Display,
) -> None:
    try:
        # An absolute path: Lightning takes one that begins with "http" for an address.
        path = None if checkpoint is None else checkpoint.absolute()
        with resources_for_kernels(trainer.strategy.root_device.type):
            trainer.fit(task, datamodule=data, ckpt_path=path, weights_only=True)
    except SystemExit as error:
        # What Lightning makes of Ctrl-C.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    except OSError as error:
        raise ArgumentError(f"{run.path}: cannot be written: {error.strerror}") from error
    except Exception as error:
        # What only Lightning and the optimizer can tell of a checkpoint, they tell before the first step.
        if checkpoint is None or stop.started or isinstance(error, DvmsrError) or is_lack_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ArgumentError(
            f"{checkpoint}: damaged checkpoint ({reason}); remove it, and --resume takes the one before it"
        ) from error
    finally:
        display.stop()
    if stop.signal is not None and trainer.global_step < trainer.max_steps:
        display.line(f"stopped after step {trainer.global_step}, which is saved: go on with --resume")
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        # As shells count.
        raise SystemExit(128 + stop.signal)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave Lightning's banners and tips away; its warnings stay."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 uses what PyTorch 2.13 deprecates.
            message = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
            warnings.filterwarnings("ignore", message=message, category=FutureWarning)
            # Where CUDA graphs were recorded, on another stream; PyTorch waits for it.
            message = "The AccumulateGrad node's stream does not match"
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
