"""Time and peak memory of training on the CPU: native kernels against slower forms, in one run.

Two tasks: a whole step of the student (forward, backward, Adam) at batch 8 of 32x32 LR patches, and the
selective scan alone, forward and backward, at batch 8 and 4,096 tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

from dvmsr._native import multiplies_bfloat16
from dvmsr.evaluation.measuring import measure
from workers import add_output, load_average, write_report

KERNELS = ["cpu", "bf16", "composed", "reference"]
RESULT = Path(__file__).parent / "results" / "training_step.json"
# What holds to the end of a process, of which each case has one.
PROCESS = ExitStack()


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    task: str
    """"step" or "scan"."""

    kernels: str
    """"cpu", the native ones; "bf16", these with products of bfloat16; "composed", the native scan and causal
    convolution between PyTorch's products and convolutions; or "reference"."""

    threads: int
    batch: int
    tokens: int
    """In each sequence: the pixels of an LR patch."""

    in_a_row: int
    """How often the work is done at a time, as steps follow each other in training."""


@dataclass(frozen=True)
class Row(Case):
    """What one case measured. Its names are those of the JSON file."""

    seconds: float
    """Of the work once."""

    base_mib: float
    """Memory of the process before the first run: the libraries, the weights, the inputs."""

    peak_mib: float


def student_step(case: Case) -> Callable[[], object]:
    """A step on noise, as the trainer does it, without its clipping and moving average."""
    import torch

    from dvmsr.model import DVMSR

    torch.manual_seed(0)
    network = DVMSR()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    side = round(case.tokens**0.5)
    low = torch.rand(case.batch, 3, side, side)
    high = torch.rand(case.batch, 3, network.config.scale * side, network.config.scale * side)

    def step() -> None:
        loss = torch.nn.functional.l1_loss(network(low), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def scan_alone(case: Case) -> Callable[[], object]:
    """The scan with the student's sizes, and all its gradients."""
    import torch

    from dvmsr import STUDENT
    from dvmsr.kernels import selective_scan

    torch.manual_seed(0)
    channels, states = STUDENT.inner_channels, STUDENT.state_size
    tokens = (case.batch, case.tokens)
    u, delta, z = (torch.randn(*tokens, channels) for _ in range(3))
    B, C = (torch.randn(*tokens, states) for _ in range(2))
    A = -torch.rand(channels, states) * states
    inputs = [u, delta - 4, A, B, C, torch.ones(channels), z, torch.zeros(channels)]
    for tensor in inputs:
        tensor.requires_grad_()
    gradient = torch.randn(*tokens, channels)

    def forward_and_backward() -> None:
        y, _ = selective_scan(*inputs)
        torch.autograd.grad(y, inputs, gradient)

    return forward_and_backward


TASKS = {"step": student_step, "scan": scan_alone}


def build(case: Case) -> Callable[[], object]:
    """Make this process that of a case, and return a function that does its work once."""
    import torch

    from dvmsr.kernels import using
    from dvmsr.kernels.resources import resources_for_kernels

    torch.set_num_threads(case.threads)
    run = TASKS[case.task](case)

    fused, composed = case.kernels in ("cpu", "bf16"), case.kernels == "composed"
    PROCESS.enter_context(using("cpu" if fused or composed else case.kernels))
    if composed:
        PROCESS.enter_context(compose())
    if fused:
        # As the trainer does. Where the products are PyTorch's, the threads are.
        PROCESS.enter_context(resources_for_kernels("cpu"))
    PROCESS.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=case.kernels == "bf16"))

    def in_a_row() -> None:
        for _ in range(case.in_a_row):
            run()

    return in_a_row


def compose() -> AbstractContextManager[object]:
    """Put PyTorch's products in the place of the fused kernels."""
    from dvmsr.kernels import cpu, reference

    vimm = partial(reference.vimm, conv=cpu.causal_conv1d, scan=cpu.selective_scan)
    return patch.multiple(cpu, vimm=vimm, conv3x3=reference.conv3x3)


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows, with the time of the definition as a ratio to that of the native kernels."""
    # Not at the top: the workers import this file too, and their memory is measured.
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Training on the CPU, {rows[0].threads} threads, medians")
    for heading in ("task", "kernels"):
        table.add_column(heading)
    for heading in ("batch x tokens", "ms", "/ first", "MiB before", "peak MiB"):
        table.add_column(heading, justify="right")
    fast = {row.task: row.seconds for row in reversed(rows)}
    for row in rows:
        table.add_row(
            row.task,
            row.kernels,
            f"{row.batch} x {row.tokens}",
            f"{1000 * row.seconds:.1f}",
            f"{row.seconds / fast[row.task]:.2f}",
            f"{row.base_mib:.0f}",
            f"{row.peak_mib:.0f}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of each case (default: 2)")
    parser.add_argument("--batch", type=int, default=8, help="patches, sequences (default: 8)")
    parser.add_argument("--patch", type=int, default=32, help="side of the step's LR patches (default: 32)")
    parser.add_argument(
        "--tokens", type=int, default=4096, help="length of the scan's sequences (default: 4096)"
    )
    parser.add_argument(
        "--kernels",
        nargs="+",
        choices=KERNELS,
        default=[kernels for kernels in KERNELS if kernels != "bf16" or multiplies_bfloat16()],
        help="what is measured: the fused kernels, these with products of bfloat16, PyTorch's products with"
        " the native scan, the definitions (default: all that this processor is made for; the ratios are to"
        " the first)",
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each case (default: 5)")
    add_output(parser, RESULT)
    options = parser.parse_args()

    load = load_average()
    rows: list[Row] = []
    # One task after the other: the definitions of both at once need much memory.
    for task, tokens in (("step", options.patch**2), ("scan", options.tokens)):
        # The scan alone has no products.
        chosen = [
            kernels for kernels in options.kernels if task == "step" or kernels not in ("bf16", "composed")
        ]
        cases = [
            Case(task, kernels, options.threads, options.batch, tokens, 1 if kernels == "reference" else 10)
            for kernels in chosen
        ]
        measured = measure(build, cases, warm_up=1, repeats=options.repeats)
        rows += [
            Row(**asdict(case), **asdict(replace(result, seconds=result.seconds / case.in_a_row)))
            for case, result in zip(cases, measured, strict=True)
        ]
    print_table(rows)
    contents = {"repeats": options.repeats, "rows": [asdict(row) for row in rows]}
    write_report(options.output, load_before=load, **contents)


if __name__ == "__main__":
    main()
