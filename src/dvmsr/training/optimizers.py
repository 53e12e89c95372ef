"""The optimizers: Adam, or Muon beside Adam."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dvmsr.model import DVMSR
from dvmsr.training.settings import OptimizerSettings

# The quintic of the Newton-Schulz iteration, and how often it is applied.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def make_optimizer(network: DVMSR, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name, for all parameters of a network."""
    parameters = list(network.parameters())
    if settings.name == "adam":
        return _adam(parameters, settings)
    hidden = list(hidden_weights(network))
    chosen = set(map(id, hidden))
    rest = [parameter for parameter in parameters if id(parameter) not in chosen]
    return Muon(hidden, settings.muon_rate, settings.muon_momentum, _adam(rest, settings))


def _adam(parameters: Iterable[Tensor], settings: OptimizerSettings) -> torch.optim.Adam:
    beta1, beta2 = settings.betas
    return torch.optim.Adam(parameters, settings.learning_rate, (beta1, beta2), fused=True)


def hidden_weights(network: DVMSR) -> Iterator[Tensor]:
    """Yield what Muon is for: the weights of dense layers and 3x3 convolutions between features."""
    ends = (network.shallow, network.reconstruct)
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)) and module not in ends:
            yield module.weight


class Muon(torch.optim.Optimizer):
    """Muon (https://kellerjordan.github.io/posts/muon/) for matrices and Adam for all else, in one optimizer.

    The momentum of a matrix is replaced by the nearest matrix with orthogonal rows or columns, about, and
    that is the step. A convolution is the matrix of its outputs by all inputs of its window.
    ``torch.optim.Muon`` takes no convolutions and iterates matrix after matrix in bfloat16: for this network
    0.20 s a step on a core without bfloat16, where all matrices of one shape together take 0.011 in float32.

    Args:
        hidden: Weights whose first dimension is outputs.
        rate: Muon's: a step's singular values, about; of high matrices times the root of height by width.
        momentum: Decay of Nesterov's momentum.
        adam: What all other parameters are in.
    """

    def __init__(
        self, hidden: Sequence[Tensor], rate: float, momentum: float, adam: torch.optim.Adam
    ) -> None:
        self._adam = adam
        super().__init__([{"params": hidden, "lr": rate, "momentum": momentum}, *adam.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; ``closure`` computes the loss and the gradients first."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        group, others = self.param_groups
        _step_of_muon(group, self.state)
        # Its state is part of this one's, also after that was loaded.
        self._adam.param_groups, self._adam.state = [others], self.state
        self._adam.step()
        return loss


@torch.no_grad()
def _step_of_muon(group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    by_shape = defaultdict(list)
    for weight in group["params"]:
        if weight.grad is not None:
            by_shape[weight.shape].append(weight)
    for shape, weights in by_shape.items():
        gradients = [weight.grad for weight in weights]
        averages = [state[weight].setdefault("momentum", torch.zeros_like(weight)) for weight in weights]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        steps = orthogonalize(torch.stack([x.flatten(1) for x in ahead]))
        outputs, inputs = shape[0], math.prod(shape[1:])
        rate = group["lr"] * math.sqrt(max(1, outputs / inputs))
        torch._foreach_add_(weights, [step.view(shape) for step in steps], alpha=-rate)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Bring all singular values near 1, between about 0.7 and 1.2, by a Newton-Schulz iteration.

    Args:
        matrices: (number, rows, columns).

    Returns:
        Matrices of the same shape.
    """
    first, second, third = _COEFFICIENTS
    high = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if high else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), x, beta=first)
    return x.mT if high else x
