from __future__ import annotations

import pytest

from dvmsr import STUDENT, TEACHER, NetworkConfig
from dvmsr.model import DVMSR
from dvmsr.weights import parameter_shapes
from dvmsr.weights.author_names import author_name, our_name
from dvmsr.weights.shapes import deduce_config, mismatches

CONFIGS = {
    "student": STUDENT,
    "x2": NetworkConfig(scale=2),
    "x3": NetworkConfig(scale=3, channels=17, blocks=1, vimms_per_block=1),
    "wide": NetworkConfig(channels=24, blocks=3, vimms_per_block=4, state_size=5, expansion=3, conv_width=1),
    "teacher": TEACHER,
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_are_those_of_the_network(config):
    state = DVMSR(config).state_dict()
    assert parameter_shapes(config) == {name: tuple(x.shape) for name, x in state.items()}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_tell_the_configuration(config):
    assert deduce_config(parameter_shapes(config)) == config


def test_tell_the_configuration_when_one_is_missing():
    shapes = parameter_shapes(STUDENT)
    # These name the sizes themselves.
    telling = (
        "shallow.weight",
        "reconstruct.weight",
        "0.vimms.0.mamba.A_log",
        "0.vimms.0.mamba.conv1d.weight",
    )
    for missing in shapes:
        rest = {name: shape for name, shape in shapes.items() if name != missing}
        if missing.endswith(telling):
            assert deduce_config(rest) is None
        else:
            assert deduce_config(rest) == STUDENT


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("shallow.weight", ()),
        ("shallow.weight", (0, 3, 3, 3)),
        ("reconstruct.weight", (75, 60, 3, 3)),
        ("blocks.0.vimms.0.mamba.A_log", (120,)),
        ("blocks.0.vimms.0.mamba.A_log", (30, 16)),
        ("blocks.0.vimms.0.mamba.conv1d.weight", ()),
    ],
)
def test_suggest_no_configuration(name, shape):
    assert deduce_config(parameter_shapes(STUDENT) | {name: shape}) is None


def test_mismatches_are_told_by_name_and_shape():
    want = {"a": (1, 2), "b": (3,), "c": (4,)}
    assert mismatches(want, want) == []
    assert mismatches({"a": (2, 1), "c": (4,), "d": (5,)}, want) == [
        "b is missing",
        "d is unexpected",
        "a is 2x1, expected 1x2",
    ]


def test_authors_names_and_back():
    ours = list(parameter_shapes(NetworkConfig(blocks=12, vimms_per_block=11)))
    theirs = [author_name(name) for name in ours]
    assert [our_name(name) for name in theirs] == ours
    assert not set(theirs) & set(ours)
    assert "layers.11.residual_group.blocks.10.mixer.A_log" in theirs
