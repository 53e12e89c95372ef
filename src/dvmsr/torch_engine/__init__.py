"""The PyTorch network as an engine: rows in, rows out, on a GPU or another device of PyTorch."""

from dvmsr.torch_engine.devices import find_device, sees_gpu
from dvmsr.torch_engine.engine import TorchEngine
from dvmsr.torch_engine.stream import TorchStream

__all__ = ["TorchEngine", "TorchStream", "find_device", "sees_gpu"]
