"""What training scripts save loads as the bare network does; what is not only that network does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dvmsr import NetworkConfig, Upscaler, WeightsError
from dvmsr.model import DVMSR
from dvmsr.weights import load_weights, save_weights
from dvmsr.weights.author_names import author_name

CONFIG = NetworkConfig(scale=2, channels=12, blocks=2, vimms_per_block=1, state_size=3)


@pytest.fixture
def state(make_weights):
    return {name: torch.from_numpy(array) for name, array in make_weights(CONFIG).parameters.items()}


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def assert_loads(path, state):
    loaded = load_weights(path, residual=False)
    assert loaded.config == CONFIG
    assert list(loaded.parameters) == list(state)
    for name, tensor in state.items():
        assert np.array_equal(loaded.parameters[name], tensor.float().numpy()), name


PREFIXES = ["", "module.", "net_g.", "_orig_mod.", "network.", "module._orig_mod.", "model.net_g.module."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("names", ["ours", "authors"])
def test_prefixes(tmp_path, state, prefix, names):
    saved = {author_name(name) if names == "authors" else name: x for name, x in state.items()}
    torch.save(prefixed(saved, prefix), tmp_path / "file.pth")
    assert_loads(tmp_path / "file.pth", state)
    save_file(prefixed(saved, prefix), tmp_path / "file.safetensors")
    assert_loads(tmp_path / "file.safetensors", state)


@pytest.mark.parametrize(
    "keys",
    [
        ["params"],
        ["state_dict"],
        ["model"],
        ["model_state_dict"],
        ["net_g"],
        ["ema"],
        ["model", "state_dict"],
    ],
    ids=" in ".join,
)
def test_containers(tmp_path, state, keys):
    content = prefixed(state, "module.")
    for key in keys:
        content = {key: content, "epoch": 7, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    torch.save(content, tmp_path / "file.pth")
    assert_loads(tmp_path / "file.pth", state)


def test_what_really_wraps_a_network(tmp_path, make_weights):
    """DataParallel, a compiled module, and an average, as PyTorch itself names them."""
    network = DVMSR.from_weights(make_weights(CONFIG))
    state = network.state_dict()
    average = torch.optim.swa_utils.AveragedModel(network)
    wrapped = [torch.nn.DataParallel(network), torch.compile(network, backend="eager"), average]
    for number, module in enumerate(wrapped):
        path = tmp_path / f"{number}.pth"
        torch.save({"state_dict": module.state_dict()}, path)
        assert_loads(path, state)


def test_bfloat16(tmp_path, state):
    halves = {name: tensor.bfloat16() for name, tensor in state.items()}
    torch.save(halves, tmp_path / "file.pth")
    assert_loads(tmp_path / "file.pth", halves)
    save_file(halves, tmp_path / "file.safetensors")
    assert_loads(tmp_path / "file.safetensors", halves)


def test_companions_are_no_part_of_the_network(tmp_path, state):
    """Lightning's checkpoint of a GAN: the discriminator beside it is another module."""
    content = prefixed(state, "net_g.") | {
        "net_d.conv.weight": torch.zeros(3),
        "teacher.deep.bias": torch.zeros(9),
    }
    torch.save({"state_dict": content, "global_step": 3}, tmp_path / "file.ckpt")
    assert_loads(tmp_path / "file.ckpt", state)


def test_average_goes_before_the_last_step(tmp_path, state):
    last = {name: tensor + 1 for name, tensor in state.items()}
    torch.save(prefixed(last, "net_g.") | prefixed(state, "net_g_ema."), tmp_path / "file.pth")
    assert_loads(tmp_path / "file.pth", state)


def test_a_part_that_is_not_known_is_refused(tmp_path, state):
    """It would be another network without it."""
    for more in ("module.head.weight", "head.weight", "module.blocks.0.attention.weight"):
        torch.save(prefixed(state, "module.") | {more: torch.zeros(3)}, tmp_path / "file.pth")
        with pytest.raises(WeightsError, match=rf"not weights of DVMSR: {more} is unexpected$"):
            load_weights(tmp_path / "file.pth", residual=False)


def test_what_is_wrong_is_told_in_the_names_of_the_file(tmp_path, state):
    del state["deep.bias"]
    torch.save(prefixed(state, "module.") | {"module.deep.bias": torch.zeros(3)}, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"module\.deep\.bias is 3, expected 12$"):
        load_weights(tmp_path / "file.pth", residual=False)


class TestResidual:
    """The parameters do not tell it, and with the wrong guess an image comes out that looks only worse."""

    @pytest.fixture
    def file(self, tmp_path, state):
        """What a conversion of our own file leaves: the tensors alone."""
        save_file(state, tmp_path / "bare.safetensors")
        return tmp_path / "bare.safetensors"

    def test_is_never_guessed(self, file):
        with pytest.raises(
            WeightsError,
            match=r"bare\.safetensors: does not say whether each ViMM adds .* --residual yes\|no",
        ):
            Upscaler(file)

    @pytest.mark.parametrize("residual", [False, True])
    def test_is_what_was_said(self, file, residual):
        assert load_weights(file, residual=residual).config.vimm_residual is residual

    def test_of_the_authors_network_is_known(self, tmp_path, state):
        path = tmp_path / "theirs.safetensors"
        save_file({author_name(name): tensor for name, tensor in state.items()}, path)
        assert load_weights(path).config.vimm_residual is False
        assert load_weights(path, residual=True).config.vimm_residual is True

    @pytest.mark.parametrize("residual", [False, True])
    def test_that_contradicts_the_metadata_is_refused(self, tmp_path, make_weights, residual):
        config = NetworkConfig(channels=8, blocks=1, vimms_per_block=1, vimm_residual=residual)
        path = tmp_path / "ours.safetensors"
        save_weights(path, make_weights(config).parameters, config)
        assert load_weights(path, residual=residual).config == config
        said = "yes" if residual else "no"
        with pytest.raises(
            WeightsError, match=rf"says itself that vimm_residual is {said}: leave out --residual"
        ):
            load_weights(path, residual=not residual)
