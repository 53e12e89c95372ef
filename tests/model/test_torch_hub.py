"""``torch.hub.load`` of this repository, in a process of its own: the hub changes where modules are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, torch
network = torch.hub.load(sys.argv[1], "dvmsr", source="local")
assert not network.training
with torch.no_grad():
    print(tuple(network(torch.rand(1, 3, 8, 6)).shape), sum(p.numel() for p in network.parameters()))
print(torch.hub.load(sys.argv[1], "dvmsr", source="local", scale=2, pretrained=False).config.scale)
"""


def test_the_network_comes_by_name():
    command = [sys.executable, "-c", PROGRAM, str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.splitlines() == ["(1, 3, 32, 24) 424428", "2"]
