"""Models on the Hub: in a local folder, and at a server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dvmsr import MissingExtraError, NetworkConfig, Upscaler, WeightsError
from dvmsr.model import DVMSR
from dvmsr.weights import load_weights
from dvmsr.weights.hub import load_pretrained

CONFIG = NetworkConfig(scale=2, channels=8, blocks=1, vimms_per_block=1, state_size=4, vimm_residual=True)
SERVER = Path(__file__).with_name("hub_server.py")


@pytest.fixture
def network(make_weights):
    return DVMSR.from_weights(make_weights(CONFIG))


def image():
    return np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class TestFolder:
    def test_comes_back_bit_by_bit(self, network, tmp_path):
        network.save_pretrained(tmp_path / "mine")
        assert {file.name for file in (tmp_path / "mine").iterdir()} == {
            "model.safetensors",
            "config.json",
            "README.md",
        }
        assert NetworkConfig(**json.loads((tmp_path / "mine" / "config.json").read_text())) == CONFIG
        again = DVMSR.from_pretrained(tmp_path / "mine")
        assert again.config == CONFIG
        assert_same(network.state_dict(), again.state_dict())

    def test_upscaler(self, network, make_weights, tmp_path):
        network.save_pretrained(tmp_path)
        output = Upscaler.from_pretrained(tmp_path, threads=1).upscale(image())
        assert np.array_equal(output, Upscaler(make_weights(CONFIG), threads=1).upscale(image()))

    def test_upscaler_needs_no_pytorch(self, network, tmp_path):
        network.save_pretrained(tmp_path)
        program = (
            f"import sys, dvmsr; dvmsr.Upscaler.from_pretrained({str(tmp_path)!r});"
            "print({'torch', 'huggingface_hub'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"

    def test_card_of_the_shipped_weights(self, tmp_path):
        DVMSR.from_weights(load_weights()).save_pretrained(tmp_path)
        card = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\nlibrary_name: dvmsr\n")
        assert "license: mit" in card
        assert "## How they were trained" in card
        size = (tmp_path / "model.safetensors").stat().st_size
        assert size < 1_000_000, "the shipped weights are float16"

    def test_card_of_others_makes_nothing_up(self, network, tmp_path):
        network.save_pretrained(tmp_path)
        card = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert "license" not in card
        assert "# DVMSR, 2x" in card
        (tmp_path / "README.md").write_text("mine")
        network.save_pretrained(tmp_path)
        assert (tmp_path / "README.md").read_text() == "mine"

    @pytest.mark.parametrize("text", ['{"scale": ', "[]", "null"])
    def test_damaged_configuration(self, network, tmp_path, text):
        network.save_pretrained(tmp_path)
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(WeightsError, match=r"its config\.json is damaged \("):
            DVMSR.from_pretrained(tmp_path)

    def test_a_folder_that_cannot_be_written_is_left_as_it_is(self, network, tmp_path):
        network.save_pretrained(tmp_path)
        before = (tmp_path / "config.json").read_bytes()
        (tmp_path / "model.safetensors").unlink()
        (tmp_path / "model.safetensors").mkdir()
        with pytest.raises(WeightsError, match=r"model\.safetensors: is no regular file"):
            network.save_pretrained(tmp_path)
        assert (tmp_path / "config.json").read_bytes() == before
        with pytest.raises(WeightsError, match=r"config\.json: cannot be made: "):
            network.save_pretrained(tmp_path / "config.json")
        # It refuses new files even to root.
        with pytest.raises(WeightsError, match=r"^/proc: cannot be written: "):
            network.save_pretrained("/proc")

    def test_empty_folder(self, tmp_path):
        with pytest.raises(WeightsError, match=r"model\.safetensors: cannot read weights"):
            load_pretrained(tmp_path)


class TestServer:
    @pytest.fixture
    def run(self, tmp_path):
        """Run a program whose Hub is a server here, and return what it prints."""
        (tmp_path / "hub").mkdir()
        server = subprocess.Popen(
            [sys.executable, SERVER, tmp_path / "hub"], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_nobody",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
        }

        def run(program):
            command = [sys.executable, "-c", program]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=120
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run
        server.kill()
        server.wait()
        server.stdout.close()

    def test_pushed_and_loaded(self, run, network, tmp_path):
        network.save_pretrained(tmp_path / "local")
        run(
            f"from dvmsr.model import DVMSR\n"
            f"DVMSR.from_pretrained({str(tmp_path / 'local')!r}).push_to_hub('somebody/dvmsr-x2')"
        )
        pushed = tmp_path / "hub" / "somebody" / "dvmsr-x2"
        for name in ("model.safetensors", "config.json", "README.md"):
            assert (pushed / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
        output = run(
            "import numpy as np, sys, dvmsr\n"
            "image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)\n"
            "upscaler = dvmsr.Upscaler.from_pretrained('somebody/dvmsr-x2', threads=1)\n"
            "print('torch' in sys.modules, upscaler.upscale(image).tobytes().hex())\n"
            "from dvmsr.model import DVMSR\n"
            "print(DVMSR.from_pretrained('somebody/dvmsr-x2', revision='main').config == upscaler.config)"
        )
        expected = Upscaler.from_pretrained(pushed, threads=1).upscale(image())
        assert output.split() == ["False", expected.tobytes().hex(), "True"]

    def test_errors_are_told(self, run):
        output = run(
            "from dvmsr import Upscaler, WeightsError\n"
            "from dvmsr.model import DVMSR\n"
            "for kind in (Upscaler, DVMSR):\n"
            "    for name in ('nobody/nothing', 'a b/c', 'one/two/three'):\n"
            "        try: kind.from_pretrained(name)\n"
            "        except WeightsError as error: print(error)"
        )
        first, second, third, *of_pytorch = output.splitlines()
        assert of_pytorch == [first, second, third]
        assert first.startswith("nobody/nothing: cannot be had from the Hub (")
        assert second == "a b/c: no folder, and no name on the Hub; expected USER/NAME"
        assert third == "one/two/three: no folder, and no name on the Hub; expected USER/NAME"


def test_without_huggingface_hub():
    """A folder is read all the same; the rest says what to install."""
    program = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from dvmsr import MissingExtraError, Upscaler\n"
        "from dvmsr.model import DVMSR\n"
        "network = DVMSR()\n"
        "for call in (lambda: Upscaler.from_pretrained('a/b'), lambda: DVMSR.from_pretrained('a/b'),\n"
        "             lambda: network.save_pretrained('x'), lambda: network.push_to_hub('a/b')):\n"
        "    try: call()\n"
        "    except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all("needs huggingface_hub: run pip install '.[hub]'" in line for line in lines)
    assert issubclass(MissingExtraError, ImportError)
