"""The CPU engine: rows of an image in, rows of the enlarged image out. Needs no PyTorch."""

from dvmsr.engine.engine import (
    Engine,
    EngineStream,
    available_threads,
    check_rows,
    instruction_set,
    pixel_type,
    whole_number,
)

__all__ = [
    "Engine",
    "EngineStream",
    "available_threads",
    "check_rows",
    "instruction_set",
    "pixel_type",
    "whole_number",
]
