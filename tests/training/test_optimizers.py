from __future__ import annotations

import pytest
import torch

from dvmsr import NetworkConfig
from dvmsr.model import DVMSR
from dvmsr.training import OptimizerSettings
from dvmsr.training.optimizers import Muon, hidden_weights, make_optimizer, orthogonalize

SETTINGS = OptimizerSettings(name="muon", learning_rate=2e-3, muon_rate=0.03, muon_momentum=0.9)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DVMSR(NetworkConfig(channels=10, blocks=2, vimms_per_block=1, state_size=3))


def give_gradients(network, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("shape", [(3, 7, 20), (2, 20, 7), (1, 5, 5), (4, 12, 1)])
def test_orthogonal_rows_or_columns(shape):
    """The singular vectors stay, and the singular values come near 1."""
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonalize(matrices) @ right.mT
    values = found.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(found, torch.diag_embed(values), atol=1e-4, rtol=0)


def test_each_matrix_for_itself():
    torch.manual_seed(0)
    matrices = torch.randn(3, 6, 9) * torch.tensor([1e-4, 1, 100]).view(3, 1, 1)
    together = orthogonalize(matrices)
    for one, found in zip(matrices, together, strict=True):
        torch.testing.assert_close(orthogonalize(one[None])[0], found, atol=1e-5, rtol=0)
    assert not orthogonalize(torch.zeros(1, 4, 4)).any()


def test_hidden_layers_are_for_muon_and_all_else_for_adam(network):
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    hidden = {names[id(weight)] for weight in hidden_weights(network)}
    layers = ("in_proj", "x_proj", "dt_proj", "out_proj", "conv")
    wanted = [f"blocks.0.vimms.0.mamba.{layer}.weight" for layer in layers[:4]]
    assert {*wanted, "blocks.1.conv.weight", "deep.weight"} < hidden
    assert len(hidden) == 2 * len(layers) + 1
    groups = make_optimizer(network, SETTINGS).param_groups
    assert [len(group["params"]) for group in groups] == [len(hidden), len(names) - len(hidden)]
    assert {id(p) for group in groups for p in group["params"]} == set(names)


def test_steps_of_matrices_are_those_of_pytorchs_muon(network):
    """Within the bfloat16 that PyTorch's iterates in."""
    weights = [weight for weight in hidden_weights(network) if weight.ndim == 2]
    copies = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    theirs = torch.optim.Muon(copies, lr=0.03, momentum=0.9, weight_decay=0)
    ours = make_optimizer(network, SETTINGS)
    before = [weight.detach().clone() for weight in weights]
    for seed in range(3):
        give_gradients(network, seed)
        for copy, weight in zip(copies, weights, strict=True):
            copy.grad = weight.grad.clone()
        ours.step()
        theirs.step()
    for weight, copy, start in zip(weights, copies, before, strict=True):
        moved = (weight - start).norm()
        assert moved > 0.03
        assert (weight - copy).norm() < 0.03 * moved


def test_a_convolution_is_the_matrix_of_its_outputs(network):
    weight = network.deep.weight
    before = weight.detach().clone()
    give_gradients(network)
    expected = orthogonalize(weight.grad.flatten(1)[None])[0].view_as(weight)
    make_optimizer(network, SETTINGS).step()
    # Of the first step, momentum leaves the direction alone.
    torch.testing.assert_close(weight.detach(), before - 0.03 * expected, atol=1e-5, rtol=0)


def test_all_else_moves_as_by_adam_alone(network):
    other = DVMSR(network.config)
    other.load_state_dict(network.state_dict())
    optimizers = [
        make_optimizer(network, SETTINGS),
        torch.optim.Adam(other.parameters(), 2e-3, SETTINGS.betas, fused=True),
    ]
    for seed in range(3):
        for one, optimizer in zip((network, other), optimizers, strict=True):
            give_gradients(one, seed)
            optimizer.step()
    hidden = set(map(id, hidden_weights(network)))
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two) != (id(one) in hidden)


def test_what_is_saved_is_all_that_is_needed_to_go_on(network, tmp_path):
    optimizer = make_optimizer(network, SETTINGS)
    for seed in range(2):
        give_gradients(network, seed)
        optimizer.step()
    torch.save([network.state_dict(), optimizer.state_dict()], tmp_path / "state")
    other = DVMSR(network.config)
    parameters, state = torch.load(tmp_path / "state", weights_only=True)
    other.load_state_dict(parameters)
    resumed = make_optimizer(other, SETTINGS)
    assert isinstance(resumed, Muon)
    resumed.load_state_dict(state)
    for one, of in ((network, optimizer), (other, resumed)):
        give_gradients(one, 7)
        of.step()
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
