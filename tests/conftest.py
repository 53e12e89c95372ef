"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dvmsr import NetworkConfig
from dvmsr.weights import Weights, parameter_shapes

# Whoever runs the tests in the background may have them ignored, and every command would go on ignoring them.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, signal.SIG_DFL)

SHARED = Path(__file__).resolve().parents[2] / "shared"

# The one reason to skip a test where everything that tests need is at hand.
LACKING_PROCESSOR = "this processor lacks"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that CI was meant to run and skipped."""
    for report in _unwanted_skips(terminalreporter):
        terminalreporter.write_line(f"CI has all that {report.nodeid} needs, and it was skipped", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail on CI where a test was skipped that has all it needs there."""
    # Where several processes run the tests, one of them tells.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _unwanted_skips(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unwanted_skips(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    if not os.environ.get("CI") or not SHARED.exists():
        return []
    skipped = reporter.stats.get("skipped", [])
    return [report for report in skipped if LACKING_PROCESSOR not in str(report.longrepr)]


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Return a path under ../shared, or skip the test where it is absent."""

    def path(relative: str) -> Path:
        found = SHARED / relative
        if not found.exists():
            pytest.skip(f"../shared/{relative} is not beside this checkout")
        return found

    return path


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: for the small tensors of tests more of them cost more than they give."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_weights() -> Callable[..., Weights]:
    """Make a network of noise whose features stay of one size, with decays and steps as trained ones have."""

    def make(config: NetworkConfig, seed: int = 0) -> Weights:
        rng = np.random.default_rng(seed)

        def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
            if name.endswith("A_log"):
                return rng.uniform(-4, 8, shape)
            if name.endswith("dt_proj.bias"):
                return rng.uniform(-9, 1, shape)
            if "norm." in name or name.endswith(".D"):
                return rng.normal(name.endswith((".weight", ".D")), 0.1, shape)
            return rng.normal(0, np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1, shape)

        shapes = parameter_shapes(config)
        return Weights(config, {n: values(n, s).astype(np.float32) for n, s in shapes.items()}, "noise")

    return make
