from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dvmsr import ArgumentError, MissingExtraError, NetworkConfig, WeightsError
from dvmsr.weights import Weights, files, load_weights, save_weights
from dvmsr.weights.author_names import author_name

SMALL = NetworkConfig(scale=2, channels=12, blocks=2, vimms_per_block=1, state_size=3)


@pytest.fixture
def parameters(make_weights):
    return dict(make_weights(SMALL).parameters)


def as_authors(parameters):
    return {author_name(name): array for name, array in parameters.items()}


def as_tensors(parameters):
    return {name: torch.from_numpy(array) for name, array in parameters.items()}


def assert_loads(path, parameters, config=SMALL, residual=None):
    loaded = load_weights(path, residual=residual)
    assert loaded.config == config
    assert list(loaded.parameters) == list(parameters)
    for name, array in parameters.items():
        assert loaded.parameters[name].dtype == np.float32
        assert np.array_equal(loaded.parameters[name], array), name


def error_of(path, residual=False) -> str:
    """The message, which has to be one line that begins with the file."""
    with pytest.raises(WeightsError) as raised:
        load_weights(path, residual=residual)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


class TestOurFiles:
    @pytest.mark.parametrize("residual", [False, True])
    def test_round_trip_in_float16(self, tmp_path, parameters, residual):
        config = NetworkConfig(
            scale=2, channels=12, blocks=2, vimms_per_block=1, state_size=3, vimm_residual=residual
        )
        path = tmp_path / "ours.safetensors"
        save_weights(path, parameters, config, notes={"trained": "in a test"})
        assert_loads(
            path, {n: x.astype(np.float16).astype(np.float32) for n, x in parameters.items()}, config
        )
        assert {x.dtype for x in load_file(path).values()} == {np.dtype(np.float16)}
        with safe_open(path, "np") as opened:
            assert json.loads(opened.metadata()["dvmsr"])["trained"] == "in a test"

    def test_the_same_weights_are_the_same_bytes(self, tmp_path, parameters):
        first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
        for path in (first, second):
            save_weights(path, parameters, SMALL, notes={str(i): "note" for i in range(9)})
        assert first.read_bytes() == second.read_bytes()

    def test_source_is_told(self, tmp_path, parameters):
        save_weights(tmp_path / "ours.safetensors", parameters, SMALL)
        assert load_weights(tmp_path / "ours.safetensors").source == str(tmp_path / "ours.safetensors")

    def test_existing_file_is_replaced(self, tmp_path, parameters):
        path = tmp_path / "ours.safetensors"
        path.write_bytes(b"old")
        save_weights(path, parameters, SMALL)
        assert load_weights(path).config == SMALL
        assert list(tmp_path.iterdir()) == [path]

    def test_file_stays_as_it_was_when_writing_fails(self, tmp_path, parameters, monkeypatch):
        path = tmp_path / "ours.safetensors"
        path.write_bytes(b"old")

        def full_disk(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files, "save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            save_weights(path, parameters, SMALL)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_other_users_may_read_it(self, tmp_path, parameters):
        save_weights(tmp_path / "ours.safetensors", parameters, SMALL)
        assert (tmp_path / "ours.safetensors").stat().st_mode & 0o777 == 0o644

    def test_parameters_that_do_not_fit_are_not_written(self, tmp_path, parameters):
        del parameters["deep.bias"]
        with pytest.raises(ArgumentError, match=r"deep\.bias is missing"):
            save_weights(tmp_path / "ours.safetensors", parameters, SMALL)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
    def test_values_that_float16_cannot_hold_are_not_written(self, tmp_path, parameters, value):
        parameters["deep.bias"][3] = value
        with pytest.raises(
            ArgumentError, match=r"deep\.bias holds values that are not finite numbers in float16"
        ):
            save_weights(tmp_path / "ours.safetensors", parameters, SMALL)
        assert list(tmp_path.iterdir()) == []


class TestAuthorsFiles:
    def test_safetensors(self, tmp_path, parameters):
        save_file(as_authors(parameters), tmp_path / "theirs.safetensors")
        assert_loads(tmp_path / "theirs.safetensors", parameters)

    @pytest.mark.parametrize("old_format", [False, True])
    @pytest.mark.parametrize("key", [None, "params", "params_ema"])
    def test_pytorch_files(self, tmp_path, parameters, key, old_format):
        state = as_tensors(as_authors(parameters))
        content = state if key is None else {key: state}
        torch.save(content, tmp_path / "theirs.pth", _use_new_zipfile_serialization=not old_format)
        assert_loads(tmp_path / "theirs.pth", parameters)

    def test_average_goes_before_the_last_step(self, tmp_path, parameters):
        state = as_tensors(as_authors(parameters))
        last_step = {name: x + 1 for name, x in state.items()}
        torch.save({"params": last_step, "params_ema": state}, tmp_path / "theirs.pth")
        assert_loads(tmp_path / "theirs.pth", parameters)

    def test_tensors_of_other_kinds(self, tmp_path, parameters):
        exact = {name: np.round(x * 8) / 8 for name, x in parameters.items()}
        state = {name: torch.nn.Parameter(x.bfloat16()) for name, x in as_tensors(exact).items()}
        torch.save(state, tmp_path / "ours.pth")
        assert_loads(tmp_path / "ours.pth", exact, residual=False)

    @pytest.mark.parametrize("name", ["ntire2024.safetensors", "paper.safetensors", "paper.pth"])
    def test_released_files(self, shared, name):
        loaded = load_weights(shared(f"weights/dvmsr-x4-author-{name}"))
        assert loaded.config == NetworkConfig()
        assert sum(x.size for x in loaded.parameters.values()) == 424_428

    def test_released_pytorch_file_holds_the_released_tensors(self, shared):
        want = load_weights(shared("weights/dvmsr-x4-author-paper.safetensors"))
        assert_loads(shared("weights/dvmsr-x4-author-paper.pth"), want.parameters, want.config)

    def test_pytorch_file_without_pytorch(self, tmp_path, parameters, monkeypatch):
        torch.save(as_tensors(parameters), tmp_path / "theirs.pth")
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
        with pytest.raises(
            MissingExtraError, match=r"theirs\.pth.* needs torch: run pip install '.\[train\]'"
        ):
            load_weights(tmp_path / "theirs.pth")


class TestDamagedFiles:
    def test_missing(self, tmp_path):
        assert error_of(tmp_path / "none.safetensors") == "cannot read weights: No such file or directory"

    def test_folder(self, tmp_path):
        assert error_of(tmp_path) == "cannot read weights: Is a directory"

    def test_pipe(self, tmp_path):
        """That nobody writes into, and that would be waited for."""
        os.mkfifo(tmp_path / "pipe")
        assert error_of(tmp_path / "pipe").startswith("expected a file of weights, got a pipe or device")
        assert error_of(Path("/dev/null")).startswith("expected a file of weights, got a pipe or device")

    @pytest.mark.parametrize("start", [b"", b"PK\x03\x04", b"\x80\x02"])
    @pytest.mark.parametrize("length", [0, 1, 7, 5000])
    def test_random_bytes(self, tmp_path, start, length):
        path = tmp_path / "noise"
        path.write_bytes(start + np.random.default_rng(0).bytes(length))
        assert "damaged" in error_of(path)

    @pytest.mark.parametrize("keep", [1, 4, 8, 100, 3000, -1])
    def test_truncated_safetensors(self, tmp_path, parameters, keep):
        path = tmp_path / "cut.safetensors"
        save_weights(path, parameters, SMALL)
        path.write_bytes(path.read_bytes()[:keep])
        assert error_of(path).startswith("neither a safetensors file nor a PyTorch file, or damaged")

    @pytest.mark.parametrize("old_format", [False, True])
    @pytest.mark.parametrize("keep", [4, 100, 3000, -1])
    def test_truncated_pytorch_file(self, tmp_path, parameters, keep, old_format):
        path = tmp_path / "cut.pth"
        torch.save(as_tensors(parameters), path, _use_new_zipfile_serialization=not old_format)
        path.write_bytes(path.read_bytes()[:keep])
        assert error_of(path).startswith("damaged")

    @pytest.mark.parametrize("old_format", [False, True])
    def test_code_in_a_pickle_is_not_run(self, tmp_path, parameters, old_format):
        touched = tmp_path / "touched"

        class Code:
            def __reduce__(self):
                return os.mkdir, (str(touched),)

        path = tmp_path / "code.pth"
        state = as_tensors(parameters)
        torch.save({"params": state, "more": Code()}, path, _use_new_zipfile_serialization=not old_format)
        message = error_of(path)
        assert "not loaded because it can run code" in message
        assert "weights_only" not in message
        assert not touched.exists()

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("write", [save_file, lambda x, path: torch.save(as_tensors(x), path)])
    def test_values_that_are_not_finite(self, tmp_path, parameters, value, write):
        parameters["blocks.1.conv.weight"][1, 2, 0, 0] = value
        write(parameters, tmp_path / "file")
        assert error_of(tmp_path / "file") == (
            "damaged weights: blocks.1.conv.weight holds values that are not finite numbers"
        )


class TestForeignFiles:
    def test_another_network(self, tmp_path):
        path = tmp_path / "foreign.safetensors"
        names = ("head.weight", "body.0.weight", "body.1.weight", "tail.weight")
        save_file({name: np.zeros((4, 4), np.float32) for name in names}, path)
        assert re.fullmatch(
            r"weights of another network: .*, got body\.0\.weight, body\.1\.weight, head\.weight, \.\.\.",
            error_of(path),
        )

    def test_a_network_that_shares_some_names(self, tmp_path):
        """SwinIR and its like begin and end as the authors' network does."""
        path = tmp_path / "swin.pth"
        state = {
            "conv_first.weight": torch.zeros(60, 3, 3, 3),
            "layers.0.conv.weight": torch.zeros(60, 60, 3, 3),
        }
        torch.save({"params": state}, path)
        assert error_of(path).endswith("got conv_first.weight, layers.0.conv.weight")

    def test_rlfn(self, shared):
        path = shared("weights/rlfn-x4-ntire2024-baseline.safetensors")
        assert error_of(path).startswith("weights of another network: expected those of DVMSR")

    @pytest.mark.parametrize("write", [save_file, torch.save])
    def test_no_tensors(self, tmp_path, write):
        write({}, tmp_path / "empty")
        assert error_of(tmp_path / "empty").endswith("got no tensors")

    @pytest.mark.parametrize(
        "content",
        [
            [1],
            {"epoch": 3},
            {3: torch.zeros(2)},
            {"params": [torch.zeros(2)]},
        ],
        ids=["list", "number", "number as name", "list of tensors"],
    )
    def test_pytorch_file_of_something_else(self, tmp_path, content):
        torch.save(content, tmp_path / "other.pth")
        assert error_of(tmp_path / "other.pth").startswith("expected a state dict of tensors")

    @pytest.mark.parametrize("kind", ["int8", "int64", "bool", "float8_e4m3fn"])
    def test_safetensors_of_another_type(self, tmp_path, parameters, kind):
        from safetensors.torch import save_file as save_tensors

        path = tmp_path / "other.safetensors"
        tensors = as_tensors(parameters)
        tensors["deep.bias"] = tensors["deep.bias"].to(getattr(torch, kind))
        save_tensors(tensors, path)
        assert re.fullmatch(r"deep\.bias is of type \w+, expected floats of 16 to 64 bits", error_of(path))

    @pytest.mark.parametrize("names", [dict, as_authors])
    @pytest.mark.parametrize("name", ["deep.bias", "blocks.1.vimms.0.mamba.A_log", "blocks.0.conv.weight"])
    def test_missing_parameter(self, tmp_path, parameters, name, names):
        path = tmp_path / "file.safetensors"
        del parameters[name]
        save_file(names(parameters), path)
        called = name if names is dict else author_name(name)
        assert error_of(path) == f"not weights of DVMSR: {called} is missing"

    @pytest.mark.parametrize("names", [dict, as_authors])
    def test_unexpected_parameter(self, tmp_path, parameters, names):
        path = tmp_path / "file.safetensors"
        save_file(names(parameters) | {"more.weight": np.zeros(3, np.float32)}, path)
        assert error_of(path) == "not weights of DVMSR: more.weight is unexpected"

    def test_parameter_under_both_names(self, tmp_path, parameters):
        path = tmp_path / "file.safetensors"
        save_file(as_authors(parameters) | {"deep.bias": parameters["deep.bias"]}, path)
        assert error_of(path) == "not weights of DVMSR: deep.bias is unexpected"

    @pytest.mark.parametrize("names", [dict, as_authors])
    def test_wrong_shape(self, tmp_path, parameters, names):
        path = tmp_path / "file.safetensors"
        parameters["blocks.1.vimms.0.mamba.conv1d.weight"] = np.zeros((24, 1, 3), np.float32)
        save_file(names(parameters), path)
        name = next(name for name in names(parameters) if name.endswith("conv1d.weight") and ".1." in name)
        assert error_of(path) == f"not weights of DVMSR: {name} is 24x1x3, expected 24x1x4"

    def test_list_of_what_does_not_fit_has_an_end(self, tmp_path, parameters):
        path = tmp_path / "file.safetensors"
        save_file(
            {name: array for name, array in parameters.items() if not name.startswith("blocks.1.vimms")}, path
        )
        assert re.fullmatch(
            r"not weights of DVMSR: (\S+ is missing; ){3}\S+ is missing and 7 more", error_of(path)
        )


class TestConfigurationInTheMetadata:
    @staticmethod
    def error(tmp_path, parameters, config) -> str:
        path = tmp_path / "file.safetensors"
        text = config if isinstance(config, str) else json.dumps({"config": config})
        save_file(parameters, path, {"dvmsr": text})
        return error_of(path)

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ("{", "Expecting property name"),
            ("{}", "'config'"),
            ([1], "must be a mapping"),
            ({"depth": 3}, "unexpected keyword argument 'depth'"),
            ({"scale": 5}, "scale must be one of 2, 3, 4, got 5"),
            ({"channels": 60.0}, r"channels must be a whole number from 1, got 60\.0"),
            ({"blocks": 0}, "blocks must be a whole number from 1, got 0"),
            ({"vimm_residual": 1}, "vimm_residual must be true or false, got 1"),
            pytest.param({"channels": 10**4000}, "channels must be .* got a larger one", id="4,000 digits"),
            pytest.param('{"config": {"scale": 1' + "0" * 5000 + "}}", "5001 digits", id="5,000 digits"),
            pytest.param("[" * 100_000, "recursion", id="nested deeply"),
        ],
    )
    def test_bad(self, tmp_path, parameters, config, told):
        message = self.error(tmp_path, parameters, config)
        assert re.fullmatch(rf"its configuration is not one of this version \(.*{told}.*\)", message)

    def test_of_another_shape(self, tmp_path, parameters):
        config = {"scale": 2, "channels": 12, "blocks": 2, "vimms_per_block": 1, "state_size": 4}
        message = self.error(tmp_path, parameters, config)
        assert "blocks.0.vimms.0.mamba.A_log is 24x3, expected 24x4" in message

    def test_beyond_all_measure(self, tmp_path, parameters):
        """Names of so many blocks would fill the memory before one was found missing."""
        message = self.error(tmp_path, parameters, {"blocks": 5000})
        assert message == "its configuration has 5000 blocks of 2 ViMMs, which its 36 tensors cannot be"


def test_shipped_weights_are_the_default(monkeypatch, tmp_path, make_weights):
    weights: Weights = make_weights(SMALL)
    save_weights(tmp_path / "shipped.safetensors", weights.parameters, SMALL)
    monkeypatch.setattr(files, "shipped_weights", lambda: tmp_path / "shipped.safetensors")
    assert load_weights().source == str(tmp_path / "shipped.safetensors")
