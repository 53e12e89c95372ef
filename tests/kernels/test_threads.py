"""Who has the threads of a training step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dvmsr.kernels.threads import native_threads, threads_for_kernels, threads_for_pytorch


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def counts() -> tuple[int, int]:
    return torch.get_num_threads(), native_threads()


def test_native_kernels_follow_pytorch() -> None:
    assert counts() == (3, 3)


def test_kernels_have_the_threads_and_give_them_back() -> None:
    pytest.importorskip("dvmsr._native")
    with threads_for_kernels("cpu"):
        assert counts() == (1, 3)
        with threads_for_kernels("cpu"):
            assert counts() == (1, 3)
        with threads_for_pytorch():
            assert counts() == (3, 3)
        assert counts() == (1, 3)
    assert counts() == (3, 3)


def test_they_come_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="stop"), threads_for_kernels("cpu"):
        raise ValueError("stop")
    assert counts() == (3, 3)


def test_nothing_changes_where_no_native_kernel_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with threads_for_kernels("cuda"):
        assert counts() == (3, 3)
    monkeypatch.setattr("dvmsr.kernels.threads.find_spec", lambda _: None)
    with threads_for_kernels("cpu"):
        assert counts() == (3, 3)
