from __future__ import annotations

import dataclasses

import pytest

from dvmsr import STUDENT, TEACHER, ArgumentError, NetworkConfig
from dvmsr.config import MAX_STATE_SIZE

COUNTS = [field.name for field in dataclasses.fields(NetworkConfig) if field.type == "int"]


def test_the_papers_networks():
    assert (STUDENT.channels, STUDENT.blocks, STUDENT.vimms_per_block) == (60, 4, 2)
    assert (TEACHER.channels, TEACHER.blocks, TEACHER.vimms_per_block) == (192, 8, 2)
    assert not STUDENT.vimm_residual


@pytest.mark.parametrize(("channels", "rank"), [(1, 1), (16, 1), (17, 2), (60, 4), (192, 12)])
def test_derived_widths(channels, rank):
    config = NetworkConfig(channels=channels, expansion=3)
    assert (config.dt_rank, config.inner_channels) == (rank, 3 * channels)


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        STUDENT.scale = 2


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, None])
def test_counts_are_whole_numbers(name, value):
    with pytest.raises(ArgumentError, match=rf"^{name} must be a whole number from 1, got {value!r}$"):
        NetworkConfig(**{name: value})


@pytest.mark.parametrize("scale", [1, 5, 8])
def test_scales(scale):
    with pytest.raises(ArgumentError, match=rf"^scale must be one of 2, 3, 4, got {scale}$"):
        NetworkConfig(scale=scale)


def test_states_have_a_limit():
    """The native kernels would write past their memory."""
    assert NetworkConfig(state_size=MAX_STATE_SIZE).state_size == 256
    with pytest.raises(ArgumentError, match=r"^state_size must be up to 256, got 257$"):
        NetworkConfig(state_size=257)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_residual_is_a_switch(value):
    with pytest.raises(ArgumentError, match=rf"^vimm_residual must be true or false, got {value!r}$"):
        NetworkConfig(vimm_residual=value)
