"""Training on a GPU: patches cut there, passes recorded as CUDA graphs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dvmsr.training import train
from dvmsr.weights import load_weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this processor lacks CUDA")


@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
def test_graphs_change_nothing(small_config, benchmark_set, make_display, tmp_path, precision, monkeypatch):
    weights, recorded = [], []
    record = torch.cuda.make_graphed_callables
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda *a: recorded.append(record(*a)))
    for graphs in (True, False):
        config = replace(
            small_config,
            run=replace(small_config.run, precision=precision),
            machine=replace(small_config.machine, accelerator="gpu", cuda_graphs=graphs),
            monitor=replace(small_config.monitor, validation=(str(benchmark_set),)),
        )
        weights.append(load_weights(train(config, tmp_path / str(graphs), display=make_display())))
    assert len(recorded) == 1
    for name, expected in weights[1].parameters.items():
        torch.testing.assert_close(
            torch.from_numpy(weights[0].parameters[name]), torch.from_numpy(expected), rtol=1e-2, atol=1e-3
        )
