"""What the tests of the engine on PyTorch share."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Where the same tests run: the CPU is no device for users here, who have the native engine."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    return torch.zeros(1, device=request.param).device


def tensors_in(tree):
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def addresses_in(tree):
    return {x.untyped_storage().data_ptr() for x in tensors_in(tree)}


class LiveMemory(TorchDispatchMode):
    """The bytes of tensors made meanwhile and alive, and the most of them that there have been."""

    def __init__(self):
        super().__init__()
        self.live, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        given = addresses_in((args, kwargs))
        self.live = {key: (ref, size) for key, (ref, size) in self.live.items() if not ref.expired()}
        for tensor in tensors_in(output):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in given:
                self.live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return output


@pytest.fixture
def live_memory():
    return LiveMemory


class Stream:
    def wait_stream(self, _stream): ...
    def wait_event(self, _event): ...
    def synchronize(self): ...


class Event:
    def record(self, _stream): ...
    def synchronize(self): ...


class CUDAGraph:
    """The operators that ran while it was captured, with their tensors."""

    def __init__(self):
        self.calls = []
        self.replays = 0

    def replay(self):
        self.replays += 1
        for function, args, kwargs, output in self.calls:
            # Casts are calls of their own.
            with torch.autocast("cpu", enabled=False):
                again = function(*args, **kwargs)
            given = addresses_in((args, kwargs))
            for old, new in zip(tensors_in(output), tensors_in(again), strict=True):
                if old.untyped_storage().data_ptr() not in given:
                    old.copy_(new)


class Capture(TorchDispatchMode):
    """Records operators in a graph. As with a real one, what was there before is not changed by it."""

    def __init__(self, graph, **_options):
        super().__init__()
        self.graph, self.made, self.before = graph, set(), []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function._schema.is_mutable and not addresses_in(args[0]) & self.made:
            self.before.append((args[0], args[0].clone()))
        output = function(*args, **kwargs)
        self.made |= addresses_in(output) - addresses_in((args, kwargs))
        self.graph.calls.append((function, args, kwargs, output))
        return output

    def __exit__(self, *error):
        super().__exit__(*error)
        for tensor, value in self.before:
            tensor.copy_(value)


@pytest.fixture
def emulated_cuda(monkeypatch):
    """CUDA's streams and graphs on a CPU, each step done when it is asked for; returns the graphs made.

    It shows that the right rows and states are carried, not that they are waited for: for that the same
    tests run where there is CUDA.
    """
    graphs = []

    class Graph(CUDAGraph):
        def __init__(self):
            super().__init__()
            graphs.append(self)

    real_empty = torch.empty

    def empty(*args, pin_memory=False, **kwargs):  # noqa: ARG001 - there is none without CUDA
        return real_empty(*args, **kwargs)

    monkeypatch.setattr(torch, "empty", empty)
    stand_ins = {
        "Stream": Stream,
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": Capture,
        "stream": contextlib.nullcontext,
        "device": contextlib.nullcontext,
        "current_stream": Stream,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return graphs
