"""The CPU engine: rows of an image in, rows of the enlarged image out. Needs no PyTorch."""

from dvmsr.engine.engine import (
    MAX_COUNT,
    PRECISIONS,
    Engine,
    EngineStream,
    available_threads,
    check_rows,
    instruction_set,
    pixel_type,
    whole_number,
)
from dvmsr.engine.profile import Profile, Stage, Work

__all__ = [
    "MAX_COUNT",
    "PRECISIONS",
    "Engine",
    "EngineStream",
    "Profile",
    "Stage",
    "Work",
    "available_threads",
    "check_rows",
    "instruction_set",
    "pixel_type",
    "whole_number",
]
