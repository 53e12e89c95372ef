"""``dvmsr evaluate --network``: any network of PyTorch's."""

from __future__ import annotations

import json
import sys

import pytest

MODULE = """
from torch import nn

def nearest():
    return nn.Upsample(scale_factor=4)

def none():
    return nn.Conv2d(3, 3, 1)

class Picky(nn.Module):
    def forward(self, x):
        if x.shape[2] != 24:
            raise ValueError("not 24 rows")
        return nn.functional.interpolate(x, scale_factor=4)
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_networks", None)


def scores(path):
    return json.loads(path.read_text())["datasets"]["Noise"]


def test_our_definition_scores_as_the_engine(dvmsr, network, benchmark_set, tmp_path):
    for name, options in (("engine", []), ("definition", ["--network", "dvmsr.model:DVMSR.from_weights"])):
        code, _, err = dvmsr(
            "evaluate", benchmark_set, *network, *options, "--json", tmp_path / f"{name}.json"
        )
        assert (code, err) == (0, "")
    one, other = (scores(tmp_path / f"{name}.json") for name in ("engine", "definition"))
    # A pixel may be rounded otherwise.
    assert other["psnr_y"] == pytest.approx(one["psnr_y"], abs=0.01)


def test_a_network_of_ones_own_without_weights(dvmsr, benchmark_set, tmp_path):
    options = ["--network", "own_networks:nearest", "--json", tmp_path / "a.json", "--threads", 1]
    code, _, err = dvmsr("evaluate", benchmark_set, *options)
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "a.json").read_text())["weights"] == "own_networks:nearest"
    assert scores(tmp_path / "a.json")["psnr_y"] < scores(tmp_path / "a.json")["bicubic"]["psnr_y"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--network", "own_networks:none"],
            "expected the network to enlarge (1, 3, 24, 24) 2,",
        ),
        (
            ["--network", "own_networks:Picky"],
            "failed: ValueError: not 24 rows; --debug shows where",
        ),
        (["--network", "own_networks"], "--network must be module:name"),
        (["--network", "own_networks:nearest", "--precision", "bf16"], "--network is scored as it is"),
    ],
)
def test_what_is_refused(dvmsr, benchmark_set, options, message):
    code, out, err = dvmsr("evaluate", benchmark_set, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
