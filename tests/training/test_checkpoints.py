from __future__ import annotations

import errno

import pytest
import torch

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.training.checkpoints import (
    AtomicCheckpointIO,
    checkpoint_path,
    list_checkpoints,
    newest_checkpoint,
    remove_old_checkpoints,
)
from dvmsr.weights import parameter_shapes

NETWORK = NetworkConfig(channels=16, blocks=1, vimms_per_block=1)


def content_after(step):
    """The fields of a checkpoint, all weights being the step."""
    state = {
        f"network.{name}": torch.full(shape, float(step)) for name, shape in parameter_shapes(NETWORK).items()
    }
    return {
        "epoch": 0,
        "global_step": step,
        "pytorch-lightning_version": "2.6",
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
        "averaging_state": {},
        "state_dict": state,
        "current_model_state": state,
    }


@pytest.fixture
def folder(tmp_path):
    """Checkpoints after 5, 10 and 15 steps."""
    for step in (5, 10, 15):
        AtomicCheckpointIO().save_checkpoint(content_after(step), checkpoint_path(tmp_path, step))
    return tmp_path


def read(folder):
    warnings: list[str] = []
    path, content = newest_checkpoint(folder, NETWORK, warnings.append, set_aside=True)
    assert path == checkpoint_path(folder, content["global_step"])
    return content["global_step"], warnings


def test_the_newest_is_taken(folder):
    assert read(folder) == (15, [])


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_bit(content: bytes) -> bytes:
    # Among the 4,000 equal bytes of the tensor: the archive around it stays whole.
    middle = content.index(torch.full((4,), 15.0).numpy().tobytes()) + 2000
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda _: b"", lambda _: b"no checkpoint"])
def test_a_damaged_one_is_passed_over_with_a_warning(folder, damage):
    newest = checkpoint_path(folder, 15)
    newest.write_bytes(damage(newest.read_bytes()))
    step, warnings = read(folder)
    assert step == 10
    (warning,) = warnings
    assert str(newest) in warning
    assert "damaged" in warning
    assert "\n" not in warning
    # It is out of the way of what comes next.
    assert read(folder) == (10, [])
    remove_old_checkpoints(folder, 2)
    assert list_checkpoints(folder) == [checkpoint_path(folder, 10), checkpoint_path(folder, 5)]


@pytest.mark.parametrize(
    ("error", "seen", "message"),
    [
        (MemoryError("too large"), MemoryError, "too large"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError, "allocate memory"),
        (
            OSError(errno.EIO, "Input/output error"),
            ArgumentError,
            r"step-00000015\.ckpt: cannot be read: Input/output error$",
        ),
    ],
)
def test_what_is_no_damage_leaves_the_checkpoint(folder, monkeypatch, error, seen, message):
    def fail(*_: object, **__: object) -> None:
        raise error

    before = sorted(folder.iterdir())
    monkeypatch.setattr("torch.load", fail)
    with pytest.raises(seen, match=message):
        read(folder)
    assert sorted(folder.iterdir()) == before


def test_to_look_only_renames_nothing(folder):
    newest = checkpoint_path(folder, 15)
    newest.write_bytes(b"")
    before = sorted(folder.iterdir())
    path, _ = newest_checkpoint(folder, NETWORK, lambda _: None, set_aside=False)
    assert path == checkpoint_path(folder, 10)
    assert sorted(folder.iterdir()) == before


def test_one_that_another_process_took_away_is_passed_over(folder, monkeypatch):
    names = [checkpoint_path(folder, 20), *list_checkpoints(folder)]
    monkeypatch.setattr("dvmsr.training.checkpoints.list_checkpoints", lambda _: names)
    assert read(folder) == (15, [])


def test_all_damaged(folder):
    for path in list_checkpoints(folder):
        path.write_bytes(b"")
    with pytest.raises(ArgumentError, match="no checkpoint that is whole"):
        read(folder)


def test_the_oldest_are_removed(folder):
    remove_old_checkpoints(folder, 2)
    assert list_checkpoints(folder) == [checkpoint_path(folder, 15), checkpoint_path(folder, 10)]


def test_a_full_disk_leaves_what_there_was(folder, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(folder.iterdir())
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        ArgumentError, match=r"step-00000020\.ckpt: cannot be written: No space left on device"
    ):
        AtomicCheckpointIO().save_checkpoint({"global_step": 20}, checkpoint_path(folder, 20))
    assert sorted(folder.iterdir()) == before
