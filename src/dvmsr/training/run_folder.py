"""The folder of a run: what lies in it, beginning one, going on with one, exporting its weights."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dvmsr.atomic import write_atomically
from dvmsr.errors import ArgumentError
from dvmsr.locks import lock_file
from dvmsr.training.checkpoint_content import PREFIX
from dvmsr.training.checkpoints import list_checkpoints, newest_checkpoint
from dvmsr.training.recipe import differences, make_config, read_recipe, to_toml
from dvmsr.training.settings import MachineSettings, MonitorSettings, TrainingConfig
from dvmsr.weights import parameter_shapes, save_weights

# The weights, their average and Adam's two moments, 4 bytes each.
_CHECKPOINT_BYTES_PER_PARAMETER = 16


class RunFolder:
    """The files of a run.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The folder itself."""
        self.config_file = path / "config.toml"
        """The effective configuration, a recipe itself."""
        self.record_file = path / "record.json"
        """Versions, and fingerprints of the photographs, teachers and initial weights."""
        self.checkpoints = path / "checkpoints"
        """The newest checkpoints."""
        self.log_file = path / "log.csv"
        """Loss, learning rate, time and scores by step."""
        self.samples = path / "samples"
        """Pictures of each validation."""
        self.weights_file = path / "weights.safetensors"
        """The result."""

    def check(self, config: TrainingConfig, *, resume: bool) -> None:
        """Check that a run can begin here, or go on, before anything is computed.

        Raises:
            ArgumentError: The folder holds a run where none should be, or none where one should; it cannot be
                written, or the disk has no room for checkpoints.
        """
        if resume:
            self.read_config()
        elif self.config_file.exists():
            raise ArgumentError(f"{self.path} holds a run already: add --resume, or name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with write_atomically(self.path / ".writable"):
                pass
            (self.path / ".writable").unlink()
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise ArgumentError(
                f"{self.path}: the run's folder cannot be written: {error.strerror}"
            ) from error
        parameters = sum(math.prod(shape) for shape in parameter_shapes(config.network).values())
        needed = _CHECKPOINT_BYTES_PER_PARAMETER * parameters * (config.monitor.keep_checkpoints + 1)
        if free < needed:
            raise ArgumentError(
                f"{self.path}: checkpoints take {needed >> 20} MiB, and {free >> 20} MiB are free here"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in the folder, which must exist.

        Raises:
            ArgumentError: Another process does.
        """
        try:
            lock = lock_file(self.path / ".lock")
        except BlockingIOError as error:
            raise ArgumentError(
                f"{self.path}: another process trains here; wait for it, or stop it (Ctrl-C, or kill PID)"
            ) from error
        except OSError as error:
            raise ArgumentError(
                f"{self.path}: the run's folder cannot be written: {error.strerror}"
            ) from error
        try:
            yield
        finally:
            os.close(lock)

    def read_config(self) -> TrainingConfig:
        """Return the configuration that the run began with.

        Raises:
            ArgumentError: There is no run.
        """
        if not self.config_file.exists():
            raise ArgumentError(f"{self.path} holds no run")
        return make_config(read_recipe(self.config_file))

    def begin(self, config: TrainingConfig, record: Mapping[str, Any]) -> None:
        """Keep what the run begins with.

        Raises:
            ArgumentError: The folder cannot be written.
        """
        self._write(self.record_file, json.dumps(record, indent=2) + "\n")
        # Last: where it is, there is a run.
        self._write(self.config_file, to_toml(config))

    def check_same(self, config: TrainingConfig, record: Mapping[str, Any]) -> None:
        """Check that a run would go on with what it began with.

        Raises:
            ArgumentError: It would not; the message names what differs.
        """
        found = differences(self.read_config(), config)
        try:
            stored = json.loads(self._read_record())
            same = {
                "the photographs": stored["data"]["fingerprint"] == record["data"]["fingerprint"],
                "the teachers": stored["teachers"] == record["teachers"],
                "the weights in run.initial_weights": stored["initial_weights"] == record["initial_weights"],
            }
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ArgumentError(
                f"{self.record_file}: no record of a run of this version ({type(error).__name__}: {error});"
                " the run must begin anew, in another folder"
            ) from error
        found += [f"{what} are others" for what, fine in same.items() if not fine]
        if found:
            raise ArgumentError(f"{self.path} cannot go on with another configuration: {'; '.join(found)}")

    def export(self, target: Path, report: Callable[[str], object]) -> int:
        """Write the averaged weights of the newest checkpoint as a file for ``Upscaler``.

        Args:
            target: The file to write; an existing one is replaced.
            report: Gets a line of text for each damaged checkpoint.

        Returns:
            The number of steps that the weights were trained for.

        Raises:
            ArgumentError: There is no run or no checkpoint, or the file cannot be written.
        """
        config = self.read_config()
        if not list_checkpoints(self.checkpoints):
            raise ArgumentError(f"{self.path}: no checkpoint yet, so there is nothing to export")
        _, checkpoint = newest_checkpoint(self.checkpoints, config.network, report, set_aside=False)
        parameters = {
            name.removeprefix(PREFIX): tensor.float().numpy()
            for name, tensor in checkpoint["state_dict"].items()
            if name.startswith(PREFIX)
        }
        steps = int(checkpoint["global_step"])
        notes = {
            "trained_steps": steps,
            "training_config": to_toml(_without_folders(config)),
            "training_record": self._read_record(),
        }
        try:
            save_weights(target, parameters, config.network, notes=notes)
        except OSError as error:
            raise ArgumentError(f"{target}: cannot be written: {error.strerror}") from error
        return steps

    def _read_record(self) -> str:
        try:
            return self.record_file.read_text(encoding="utf-8")
        except OSError as error:
            raise ArgumentError(f"{self.record_file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ArgumentError(f"{self.record_file}: not a text: {error}") from error

    def _write(self, file: Path, text: str) -> None:
        try:
            with write_atomically(file) as stream:
                stream.write(text.encode())
        except OSError as error:
            raise ArgumentError(f"{file}: cannot be written: {error.strerror}") from error


def _without_folders(config: TrainingConfig) -> TrainingConfig:
    """Keep of each path the name alone: where a machine has its files is for nobody else."""

    def names(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(Path(path).name for path in paths)

    return replace(
        config,
        data=replace(config.data, hr=names(config.data.hr), lr=names(config.data.lr)),
        teacher=replace(
            config.teacher,
            weights=names(config.teacher.weights),
            outputs_folder=Path(config.teacher.outputs_folder).name,
        ),
        run=replace(config.run, initial_weights=Path(config.run.initial_weights).name),
        monitor=MonitorSettings(),
        machine=MachineSettings(),
    )


def versions() -> dict[str, str]:
    """Return the versions that a run's result depends on."""
    found = {"python": platform.python_version()}
    for package in ("dvmsr", "torch", "lightning", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found
