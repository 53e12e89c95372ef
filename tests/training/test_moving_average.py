from __future__ import annotations

from dataclasses import replace

import torch

from dvmsr.training import train
from dvmsr.training.checkpoints import checkpoint_path, read_checkpoint


def test_the_decay_warms_up(make_display, small_config, tmp_path):
    """Recomputed from the weights after each step."""
    monitor = replace(small_config.monitor, checkpoint_every=1, keep_checkpoints=10)
    config = replace(small_config, run=replace(small_config.run, steps=6), monitor=monitor)
    train(config, tmp_path / "run", display=make_display())
    average: dict[str, torch.Tensor] = {}
    for step in range(1, 7):
        saved = read_checkpoint(checkpoint_path(tmp_path / "run" / "checkpoints", step), config.network)
        decay = min(config.optimizer.ema_decay, step / (9 + step))
        for name, value in saved["current_model_state"].items():
            average[name] = value if step == 1 else decay * average[name] + (1 - decay) * value
        for name, value in saved["state_dict"].items():
            torch.testing.assert_close(value, average[name], msg=f"{name} after step {step}")
