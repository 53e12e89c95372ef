"""What ``gpu.py`` measures: a scan, a ViMM, whole networks and training steps, each as a function to call."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dvmsr import STUDENT, Upscaler
from dvmsr.evaluation.rlfn import RLFN
from dvmsr.kernels import selective_scan, using
from dvmsr.model import DVMSR, ViMM
from dvmsr.torch_engine.devices import computing_in

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    task: str
    """scan, gradients (the scan, and all its gradients), vimm, model, image (pixels to pixels) or step."""

    implementation: str
    """dvmsr, reference, rlfn or mamba-ssm."""

    precision: str
    """fp32 or bf16."""

    launch: str
    """eager or graph."""

    batch: int
    side: int
    """Rows and columns of each LR image: side**2 tokens."""


def make_scan(case: Case, device: str) -> Callable[[], object]:
    """The scan alone, forward, with the student's sizes and steps as trained networks have them."""
    kernel = _mamba_ssm_scan() if case.implementation == "mamba-ssm" else selective_scan
    inputs = _scan_inputs(case, device)
    if case.implementation == "mamba-ssm":
        # It takes (batch, channels, length).
        u, delta, A, B, C, D, z, bias = inputs
        u, delta, B, C, z = (x.transpose(1, 2).contiguous() for x in (u, delta, B, C, z))
        return lambda: kernel(u, delta, A, B, C, D, z=z, delta_bias=bias, delta_softplus=True)
    return lambda: kernel(*inputs)


def _scan_inputs(case: Case, device: str) -> list[Tensor]:
    dtype = PRECISIONS[case.precision]
    gen = torch.Generator(device).manual_seed(0)
    channels, states, length = STUDENT.inner_channels, STUDENT.state_size, case.side**2

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=gen, device=device)

    along = [normal(case.batch, length, width) for width in (channels, channels, states, states, channels)]
    u, delta, B, C, z = (x.to(dtype) for x in along)
    A = -torch.rand(channels, states, generator=gen, device=device) * states
    D, bias = torch.ones(channels, device=device), torch.full((channels,), -4.0, device=device)
    return [u, delta, A, B, C, D, z, bias]


def make_gradients(case: Case, device: str) -> Callable[[], object]:
    """The scan, and the gradients of all its inputs."""
    inputs = [x.requires_grad_() for x in _scan_inputs(case, device)]
    gradient = torch.randn_like(inputs[0])
    return lambda: torch.autograd.grad(selective_scan(*inputs)[0], inputs, gradient)


def make_image(case: Case, device: str) -> Callable[[], object]:
    """An image of bytes through ``dvmsr.Upscaler``: by bands on a GPU, with the copies there and back."""
    upscaler = Upscaler(device=device, precision=case.precision)
    image = np.zeros((case.side, case.side, 3), np.uint8)
    return lambda: upscaler.upscale(image)


def make_vimm(case: Case, device: str) -> Callable[[], object]:
    """A ViMM, forward."""
    torch.manual_seed(0)
    vimm = ViMM(STUDENT).to(device)
    tokens = torch.randn(case.batch, case.side**2, STUDENT.channels, device=device)
    return lambda: vimm(tokens)


def make_network(name: str) -> nn.Module:
    """A network with random weights: they change its output, not its speed."""
    torch.manual_seed(0)
    return RLFN() if name == "rlfn" else DVMSR()


def make_model(case: Case, device: str) -> Callable[[], object]:
    """A whole network, forward."""
    network = make_network(case.implementation).to(device, memory_format=torch.channels_last).eval()
    images = torch.rand(case.batch, 3, case.side, case.side, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    return lambda: network(images)


def make_step(case: Case, device: str) -> Callable[[], object]:
    """A training step on noise: forward, L1, backward, Adam."""
    network = make_network(case.implementation).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    low = torch.rand(case.batch, 3, case.side, case.side, device=device)
    high = torch.rand(case.batch, 3, 4 * case.side, 4 * case.side, device=device)

    def step() -> None:
        with _autocast(case, device):
            output = network(low)
        loss = nn.functional.l1_loss(output.float(), high)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _autocast(case: Case, device: str) -> torch.autocast:
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=case.precision == "bf16")


MAKERS = {
    "scan": make_scan,
    "gradients": make_gradients,
    "vimm": make_vimm,
    "model": make_model,
    "image": make_image,
    "step": make_step,
}


def build(case: Case, device: str) -> Callable[[], object]:
    """Return a function that does the case's work once. With launch "graph" it replays a CUDA graph."""
    run = MAKERS[case.task](case, device)
    if case.task in ("scan", "vimm", "model"):
        forward = run

        def run() -> object:
            # Entered at each call: what is recorded in a graph has its casts of the weights in it.
            with computing_in(PRECISIONS[case.precision], torch.device(device)):
                return forward()

    if case.implementation == "reference":
        inner = run

        def run() -> object:
            with using("reference"):
                return inner()

    if case.launch == "graph":
        return _recorded(run)
    return run


def _recorded(run: Callable[[], object]) -> Callable[[], object]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()

    def replay(_kept: object = run) -> None:
        # The graph reads the tensors of run, and does not keep them.
        graph.replay()

    return replay


def has_mamba_ssm() -> bool:
    """Whether the package that the authors' release needs is here to be compared with."""
    return importlib.util.find_spec("mamba_ssm") is not None


def _mamba_ssm_scan() -> Callable[..., Tensor]:
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    return selective_scan_fn  # type: ignore[no-any-return]
