"""Networks for other runtimes: ONNX."""

from dvmsr.export.check import Comparison
from dvmsr.export.onnx_file import ExportedModel, export_onnx

__all__ = ["Comparison", "ExportedModel", "export_onnx"]
