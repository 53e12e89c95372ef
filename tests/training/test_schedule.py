from __future__ import annotations

import pytest

from dvmsr.training import OptimizerSettings
from dvmsr.training.schedule import rate_factor


def test_warm_up_then_cosine():
    settings = OptimizerSettings(warmup=4, final_rate=0.1)
    factors = [rate_factor(settings, 104, step) for step in range(104)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[54] == pytest.approx(0.55)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert factors[-1] == pytest.approx(0.1, abs=1e-3)


def test_milestones_of_the_paper():
    settings = OptimizerSettings(schedule="multistep", warmup=0)
    steps = (0, 249_999, 250_000, 400_000, 450_000, 499_999)
    assert [rate_factor(settings, 500_000, step) for step in steps] == [1, 1, 0.5, 0.25, 0.125, 0.0625]


def test_warm_restarts():
    settings = OptimizerSettings(schedule="restarts", warmup=0, restart_every=10, final_rate=0)
    factors = [rate_factor(settings, 30, step) for step in range(30)]
    assert factors[:10] == factors[10:20] == factors[20:]
    assert factors[0] == 1
    assert factors[9] < 0.05


def test_steps_beyond_the_last_keep_its_rate():
    """A scheduler asks once more after the last step."""
    assert rate_factor(OptimizerSettings(warmup=0, final_rate=0.2), 10, 11) == pytest.approx(0.2)
