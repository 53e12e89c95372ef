from __future__ import annotations

import numpy as np
import pytest
import torch

from dvmsr import STUDENT, TEACHER, NetworkConfig
from dvmsr.kernels import using
from dvmsr.model import DVMSR, vimm
from dvmsr.weights import load_weights

SMALL = NetworkConfig(channels=12, blocks=2, vimms_per_block=2, state_size=4)


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def parameters_of(network: torch.nn.Module) -> int:
    return sum(x.numel() for x in network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (1, 7), (4, 1)])
def test_shapes(scale, residual, height, width):
    config = NetworkConfig(scale=scale, channels=12, blocks=1, vimms_per_block=1, vimm_residual=residual)
    with torch.no_grad():
        out = DVMSR(config)(torch.rand(2, 3, height, width))
    assert out.shape == (2, 3, scale * height, scale * width)
    assert torch.isfinite(out).all()


def test_student_is_as_large_as_the_released_network():
    assert parameters_of(DVMSR(STUDENT)) == 424_428


def test_teacher_builds():
    teacher = DVMSR(TEACHER)
    assert len(teacher.blocks) == 8
    assert [len(block.vimms) for block in teacher.blocks] == [2] * 8
    assert teacher.deep.weight.shape == (192, 192, 3, 3)
    with torch.no_grad():
        assert teacher(torch.rand(1, 3, 3, 2)).shape == (1, 3, 12, 8)


def test_residual_is_around_each_vimm():
    torch.manual_seed(0)
    plain = vimm.ViMM(SMALL)
    residual = vimm.ViMM(
        NetworkConfig(channels=12, blocks=2, vimms_per_block=2, state_size=4, vimm_residual=True)
    )
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(1, 20, 12)
    with torch.no_grad():
        torch.testing.assert_close(residual(x), x + plain(x))


def test_images_of_a_batch_do_not_meet(make_weights):
    network = DVMSR.from_weights(make_weights(SMALL))
    images = torch.rand(3, 3, 6, 5)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), alone, rtol=1e-5, atol=1e-5)


def test_scan_goes_down_the_image_only(make_weights):
    """What streaming rests on: rows far enough above a change stay as they were."""
    network = DVMSR.from_weights(make_weights(SMALL))
    image = torch.rand(1, 3, 16, 5)
    changed = image.clone()
    changed[:, :, 12:] = 0
    halo = SMALL.blocks + 3  # one row for each convolution on the longest way
    with torch.no_grad():
        before, after = network(image), network(changed)
    first = 4 * (12 - halo)
    assert torch.equal(before[:, :, :first], after[:, :, :first])
    assert not torch.equal(before[:, :, first : first + 4], after[:, :, first : first + 4])


def test_layout_of_the_input_does_not_matter(make_weights):
    network = DVMSR.from_weights(make_weights(SMALL))
    image = torch.rand(1, 3, 6, 5)
    with torch.no_grad():
        other = network(image.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(network(image), other)


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_reach_every_parameter_and_the_image(residual):
    torch.manual_seed(0)
    config = NetworkConfig(channels=12, blocks=2, vimms_per_block=2, state_size=4, vimm_residual=residual)
    network = DVMSR(config)
    image = torch.rand(2, 3, 5, 6, requires_grad=True)
    network(image).square().mean().backward()
    for name, parameter in [*network.named_parameters(), ("image", image)]:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_gradients_are_those_of_the_definition(make_weights):
    image = torch.rand(1, 3, 4, 5)

    def gradients(network, x):
        network(x).square().mean().backward()
        return {name: parameter.grad.double() for name, parameter in network.named_parameters()}

    got = gradients(DVMSR.from_weights(make_weights(SMALL)), image)
    with using("reference"):
        want = gradients(DVMSR.from_weights(make_weights(SMALL)).double(), image.double())
    for name, expected in want.items():
        assert (got[name] - expected).abs().max() <= 1e-4 * expected.abs().max(), name


def test_start_is_mambas():
    torch.manual_seed(0)
    mamba = DVMSR(STUDENT).blocks[3].vimms[1].mamba
    torch.testing.assert_close(-mamba.A_log.exp(), -torch.arange(1.0, 17.0).expand(120, 16))
    step = torch.nn.functional.softplus(mamba.dt_proj.bias)
    assert step.min() >= 0.99e-3
    assert step.max() <= 1.01e-1
    assert step.max() / step.min() > 10
    assert (mamba.D == 1).all()


def test_from_weights_takes_them_all(make_weights):
    weights = make_weights(SMALL)
    network = DVMSR.from_weights(weights)
    assert network.config == SMALL
    for name, tensor in network.state_dict().items():
        assert np.array_equal(tensor.numpy(), weights.parameters[name]), name
    with torch.no_grad():
        network.deep.bias.zero_()
    assert weights.parameters["deep.bias"].any(), "the network shares the weights' memory"


@pytest.mark.parametrize("name", ["ntire2024", "paper"])
def test_matches_the_stored_reference(shared, name):
    network = DVMSR.from_weights(load_weights(shared(f"weights/dvmsr-x4-author-{name}.safetensors")))
    with np.load(shared(f"reference/forward-{name}.npz")) as data:
        cases = [key.removeprefix("input_") for key in data if key.startswith("input_")]
        assert len(cases) == 5
        for case in cases:
            image = torch.from_numpy(data[f"input_{case}"]).permute(2, 0, 1)[None] / 255
            with torch.no_grad():
                got = network(image)[0].permute(1, 2, 0).numpy()
            assert np.abs(got - data[f"output_{case}"]).max() <= 1e-4, case
