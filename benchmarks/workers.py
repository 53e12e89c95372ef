"""What the CPU benchmarks share: what their numbers depend on."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine_facts() -> dict[str, Any]:
    """What the numbers depend on: processor, system and versions, and how this process is scheduled."""
    import torch

    from dvmsr.engine import instruction_set

    processor = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    real_time = os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return {
        "processor": processor[0] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "instruction_set": {
            "dvmsr": instruction_set(),
            "torch": torch.backends.cpu.get_cpu_capability(),
        },
        "system": platform.platform(),
        "priority": "real-time" if real_time else "normal",
        "python": platform.python_version(),
        **{package: version(package) for package in ("dvmsr", "numpy", "torch")},
    }


def load_average() -> float:
    """Processes that ran or waited during the last minute, on average: what else kept the machine busy."""
    return round(os.getloadavg()[0], 2)


def write_report(path: Path, *, load_before: float, **contents: Any) -> None:
    """Write the result of a script: the date, the machine and ``contents``.

    Args:
        path: The JSON file; its folder is made if missing.
        load_before: ``load_average()`` from before the measurement.
        contents: What was measured.
    """
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_before": load_before,
        **contents,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Wrote {path}")
