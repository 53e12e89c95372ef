"""PyTorch files that somebody made to do harm, or that came to it."""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
import textwrap
import warnings
import zipfile

import pytest
import torch

from dvmsr import NetworkConfig, WeightsError
from dvmsr.weights import load_weights, parameter_shapes

CONFIG = NetworkConfig(scale=2, channels=12, blocks=2, vimms_per_block=1, state_size=3)
NAME = "blocks.0.conv.weight"


@pytest.fixture
def state(make_weights):
    return {name: torch.from_numpy(array) for name, array in make_weights(CONFIG).parameters.items()}


def error_of(path) -> str:
    with pytest.raises(WeightsError) as raised:
        load_weights(path, residual=False)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def quantized(shape):
    return torch.quantize_per_tensor(torch.zeros(shape), 0.1, 0, torch.qint8)


def nested(shape):
    return torch.nested.nested_tensor([torch.zeros(shape), torch.zeros(2, *shape[1:])])


TENSORS = {
    "meta": (
        functools.partial(torch.empty, device="meta"),
        f"expected a state dict of dense tensors .* {NAME}",
    ),
    "sparse": (lambda s: torch.zeros(s).to_sparse(), f"expected a state dict of dense tensors .* {NAME}"),
    "nested": (nested, f"expected a state dict of dense tensors .* {NAME}"),
    "quantized": (quantized, f"{NAME} is of type qint8, expected floats of 16 to 64 bits"),
    "int64": (lambda s: torch.zeros(s, dtype=torch.int64), f"{NAME} is of type int64, expected floats .*"),
    "bool": (lambda s: torch.zeros(s, dtype=torch.bool), f"{NAME} is of type bool, expected floats .*"),
    "complex64": (
        lambda s: torch.zeros(s, dtype=torch.complex64),
        f"{NAME} is of type complex64, expected .*",
    ),
    "stride 0": (lambda s: torch.zeros(1).expand(s), f"{NAME} has more numbers than the file holds of it"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_of_other_kinds(tmp_path, state, kind):
    make, told = TENSORS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of them are not to be used any more
        state[NAME] = make(state[NAME].shape)
        torch.save(state, tmp_path / "file.pth")
    assert re.fullmatch(told, error_of(tmp_path / "file.pth"))


def test_negative_view_and_reversed_strides_load(tmp_path, state):
    """Rare, and still plain numbers."""
    state[NAME] = torch.complex(state[NAME] * 0, -state[NAME]).conj().imag
    state["deep.weight"] = state["deep.weight"].permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    assert state[NAME].is_neg()
    torch.save(state, tmp_path / "file.pth")
    loaded = load_weights(tmp_path / "file.pth", residual=False)
    for name in (NAME, "deep.weight"):
        assert torch.equal(torch.from_numpy(loaded.parameters[name]), state[name].resolve_neg())


def test_small_file_of_large_tensors_takes_no_memory(tmp_path):
    """3,000 channels out of one number: 13 KB that took 8 GB and minutes."""
    shapes = parameter_shapes(NetworkConfig(channels=3000))
    path = tmp_path / "file.pth"
    torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, path)
    assert path.stat().st_size < 40_000
    program = """
        import resource, sys
        import torch
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        from dvmsr.weights import load_weights
        try:
            load_weights(sys.argv[1], residual=False)
        except Exception as error:
            print(type(error).__name__, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    kind, mib = done.stdout.split()
    assert kind == "WeightsError"
    assert int(mib) < 100


def changed(path, change):
    """Write an archive of PyTorch's anew, each member as ``change`` makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out, "w") as after:
        for member in before.infolist():
            name, content, compression = change(member.filename, before.read(member))
            after.writestr(name, content, compression)
    path.write_bytes(out.getvalue())


def test_flipped_bit(tmp_path, state):
    """PyTorch does not look at the checksums."""
    path = tmp_path / "file.pth"
    torch.save(state, path)
    content = bytearray(path.read_bytes())
    content[content.index(state[NAME].numpy().tobytes()) + 2] ^= 1
    path.write_bytes(content)
    assert re.fullmatch(r"damaged PyTorch file \(the checksum of \S+ is wrong\)", error_of(path))


def test_archive_that_unpacks_to_much_more_than_it_is(tmp_path, state):
    path = tmp_path / "file.pth"
    torch.save({name: torch.zeros_like(tensor) for name, tensor in state.items()}, path)
    changed(path, lambda name, content: (name, content, zipfile.ZIP_DEFLATED))
    assert error_of(path) == "damaged PyTorch file (members larger than the file)"


def test_tensor_larger_than_what_is_stored_of_it(tmp_path):
    path = tmp_path / "file.pth"
    torch.save({"deep.bias": torch.zeros(4)}, path)
    # Of the storage, and of the tensor: 4 elements become 10,000.
    changed(
        path,
        lambda name, content: (
            name,
            content.replace(b"K\x04t", b"M\x10't").replace(b"K\x04\x85", b"M\x10'\x85"),
            zipfile.ZIP_STORED,
        ),
    )
    assert error_of(path).startswith("damaged PyTorch file (")


def test_deeply_nested(tmp_path):
    content: dict = {}
    for _ in range(400):
        content = {"params": content}
    torch.save(content, tmp_path / "file.pth")
    assert error_of(tmp_path / "file.pth").startswith("expected a state dict")


class _Code:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


PLACES = {
    "instead of the state dict": lambda code, _: code,
    "beside it": lambda code, state: {"params": state, "more": code},
    "as a tensor": lambda code, state: {**state, NAME: code},
    "as a name": lambda code, state: {**state, (code,): torch.zeros(1)},
    "in a list": lambda code, state: {"params": state, "more": [1, [code]]},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("old_format", [False, True])
def test_no_code_runs_wherever_it_lies(tmp_path, state, place, old_format):
    touched = tmp_path / "touched"
    content = PLACES[place](_Code(touched), state)
    torch.save(content, tmp_path / "file.pth", _use_new_zipfile_serialization=not old_format)
    assert "not loaded because it can run code" in error_of(tmp_path / "file.pth")
    assert not touched.exists()
    # What the test stands on.
    torch.load(tmp_path / "file.pth", weights_only=False)
    assert touched.exists()
