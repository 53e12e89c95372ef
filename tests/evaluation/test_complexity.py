import pytest
import torch

from dvmsr.config import STUDENT, TEACHER, NetworkConfig
from dvmsr.errors import ArgumentError
from dvmsr.evaluation.complexity import count_complexity
from dvmsr.model import DVMSR

TOKENS = 256 * 256


def macs_of(complexity, *words):
    """Sum over the parts whose name holds one of the words."""
    return sum(part.macs for part in complexity.parts if any(word in part.name for word in words))


def test_student_has_the_published_parameters():
    assert count_complexity(STUDENT, 1, 1).parameters == 424_428


@pytest.mark.parametrize(
    "config",
    [
        STUDENT,
        TEACHER,
        NetworkConfig(scale=2),
        NetworkConfig(scale=3, vimm_residual=True),
        NetworkConfig(channels=17, blocks=3, vimms_per_block=1, state_size=5, expansion=3, conv_width=2),
    ],
    ids=repr,
)
def test_parameters_are_those_of_the_pytorch_network(config):
    with torch.device("meta"):
        network = DVMSR(config)
    assert count_complexity(config, 8, 8).parameters == sum(p.numel() for p in network.parameters())


def test_published_macs_are_what_fvcore_sees():
    """The paper's 20.17 G: convolutions, in_proj, and 5 operations per element of ten LayerNorms."""
    student = count_complexity(STUDENT, 256, 256)
    layer_norms = 10 * 5 * 60 * TOKENS
    seen = macs_of(student, "convolution", "in_proj") + layer_norms
    assert round(seen / 1e9, 2) == 20.17
    hidden = macs_of(student, "conv1d", "x_proj", "dt_proj", "scan", "out_proj")
    assert student.macs == seen - layer_norms + hidden


def test_macs_of_the_student():
    student = count_complexity(STUDENT, 256, 256)
    assert macs_of(student, "convolution") == TOKENS * 9 * (3 * 60 + 5 * 60 * 60 + 60 * 48)
    linear = 60 * 240 + 120 * 36 + 4 * 120 + 120 * 60
    assert macs_of(student, "_proj") == TOKENS * 8 * linear
    assert macs_of(student, "conv1d") == TOKENS * 8 * 120 * 4
    assert macs_of(student, "scan") == TOKENS * 8 * 120 * (4 * 16 + 2)


def test_activations_are_the_published_ones():
    """The authors' own log of the challenge's script: 26.74 M."""
    assert round(count_complexity(STUDENT, 256, 256).activations / 1e6, 2) == 26.74


def test_costs_follow_the_number_of_pixels():
    one, many = count_complexity(STUDENT, 1, 1), count_complexity(STUDENT, 6, 7)
    assert many.macs == 42 * one.macs
    assert many.activations == 42 * one.activations
    assert many.parameters == one.parameters
    assert (many.height, many.width) == (6, 7)


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_no_pixel(size):
    with pytest.raises(ArgumentError, match="got"):
        count_complexity(STUDENT, *size)
