from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from dvmsr import ArgumentError, ExportError, NetworkConfig, Upscaler
from dvmsr.export import Comparison, export_onnx, onnx_file
from dvmsr.export import check as checking
from dvmsr.export.network import LEAST_OPSET, build_model
from dvmsr.weights import Weights, load_weights, save_weights

from .conftest import SMALL

# 63, 64 and 65 tokens: one less than a chunk, a chunk, and one more.
SIZES = [(1, 1), (7, 9), (8, 8), (5, 13), (1, 150), (150, 1), (40, 33)]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).random((height, width, 3), np.float32)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_the_engine(small_weights, run_model, height, width):
    model = build_model(small_weights)
    expected = Upscaler(small_weights, threads=1).upscale(noise(height, width))
    np.testing.assert_allclose(run_model(model, noise(height, width)), expected, atol=2e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"vimm_residual": True},
        {"scale": 3},
        {"scale": 4, "state_size": 1},
        {"conv_width": 1},
        {"conv_width": 2, "vimms_per_block": 2},
        {"channels": 1, "expansion": 1},
    ],
    ids=str,
)
def test_every_configuration(make_weights, run_model, changes):
    weights = make_weights(replace(SMALL, **changes))
    expected = Upscaler(weights, threads=1).upscale(noise(9, 14))
    np.testing.assert_allclose(run_model(build_model(weights), noise(9, 14)), expected, atol=2e-5)


@pytest.mark.parametrize("checkpoint", [None, "paper", "ntire2024"])
def test_trained_weights(shared, run_model, checkpoint):
    """The authors' decays go to 7,216, so that a product of them underflows within a few tokens."""
    path = checkpoint and shared(f"weights/dvmsr-x4-author-{checkpoint}.safetensors")
    weights = load_weights(path)
    expected = Upscaler(weights, threads=1).upscale(noise(20, 30))
    assert np.abs(run_model(build_model(weights), noise(20, 30)) - expected).max() < 1e-4


@pytest.mark.parametrize("opset", [LEAST_OPSET, 18, 21])
def test_operator_sets(small_weights, run_model, opset):
    model = build_model(small_weights, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    assert np.array_equal(run_model(model, noise(9, 9)), run_model(build_model(small_weights), noise(9, 9)))


@pytest.mark.parametrize("opset", [LEAST_OPSET - 1, 10_000])
def test_unknown_operator_set(small_weights, opset):
    with pytest.raises(ArgumentError, match=rf"^opset must be 17 to \d+, got {opset}$"):
        build_model(small_weights, opset=opset)


def test_float16_multiplies_in_it(small_weights):
    """By the reference of ONNX: ONNX Runtime widens float16 on a CPU."""
    image = noise(6, 14)
    feed = {"image": image.transpose(2, 0, 1)[None]}
    expected = Upscaler(small_weights, threads=1).upscale(image).transpose(2, 0, 1)
    full, half = (
        ReferenceEvaluator(build_model(small_weights, half=half)).run(None, feed)[0][0]
        for half in (False, True)
    )
    assert np.abs(full - expected).max() < 2e-5
    difference = np.abs(half - expected)
    assert 1e-4 < difference.max() < 0.03
    assert np.sqrt(np.mean(difference**2)) < 0.005


def test_float16_of_trained_weights_is_of_8_bits():
    """On a part of an image, in which features of the blocks go beyond what float16 holds."""
    image = noise(7, 10)
    model = build_model(load_weights(), half=True)
    output = ReferenceEvaluator(model).run(None, {"image": image.transpose(2, 0, 1)[None]})[0][0]
    difference = output.transpose(1, 2, 0) - Upscaler(threads=1).upscale(image)
    assert np.sqrt(np.mean(difference**2)) < 0.5 / 255


class TestFile:
    def test_is_written_and_compared(self, small_weights, tmp_path, run_model):
        path = tmp_path / "small.onnx"
        done = export_onnx(path, small_weights)
        assert (done.path, done.size) == (path, path.stat().st_size)
        assert [(c.height, c.width) for c in done.comparisons] == list(checking.SIZES)
        assert done.difference == max(c.difference for c in done.comparisons) < 1e-4
        assert run_model(path, noise(5, 6)).shape == (10, 12, 3)
        assert [file.name for file in tmp_path.iterdir()] == ["small.onnx"]

    def test_metadata(self, small_weights, tmp_path):
        export_onnx(tmp_path / "small.onnx", small_weights, licence="CC0-1.0")
        model = onnx.load(tmp_path / "small.onnx")
        found = {entry.key: entry.value for entry in model.metadata_props}
        assert (found["scale"], found["weights"], found["license"]) == ("2", "noise", "CC0-1.0")
        assert NetworkConfig(**json.loads(found["config"])) == SMALL
        assert found["model"].startswith("DVMSR")
        assert found["version"] == model.producer_version

    def test_shipped_weights(self, tmp_path):
        done = export_onnx(tmp_path / "a.onnx")
        half = export_onnx(tmp_path / "b.onnx", half=True)
        assert done.difference < 1e-4
        assert half.size < 0.6 * done.size < 0.6 * 3e6
        found = {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}
        assert (found["license"], found["weights"]) == ("MIT", "dvmsr_x4.safetensors")

    def test_licence_of_other_weights_is_not_made_up(self, small_weights, tmp_path):
        save_weights(tmp_path / "own.safetensors", small_weights.parameters, SMALL)
        done = export_onnx(tmp_path / "a.onnx", tmp_path / "own.safetensors")
        assert "license" not in {entry.key for entry in onnx.load(done.path).metadata_props}

    def test_existing_file(self, small_weights, tmp_path):
        path = tmp_path / "small.onnx"
        path.write_bytes(b"precious")
        with pytest.raises(ExportError, match=r"small\.onnx: exists already"):
            export_onnx(path, small_weights)
        assert path.read_bytes() == b"precious"
        export_onnx(path, small_weights, overwrite=True)
        assert path.stat().st_size > 1000

    def test_other_suffix(self, small_weights, tmp_path):
        with pytest.raises(ArgumentError, match=r"expected a name that ends with \.onnx"):
            export_onnx(tmp_path / "small.pb", small_weights)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("none/small.onnx", r"small\.onnx: there is no folder"),
            ("folder.onnx", r"folder\.onnx: is no regular file"),
            # It refuses new files even to root.
            ("/proc/small.onnx", r"^/proc/small\.onnx: cannot be written: No such file"),
        ],
    )
    def test_impossible_target_is_told_before_the_work(
        self, small_weights, tmp_path, monkeypatch, name, message
    ):
        monkeypatch.setattr(onnx_file, "build_model", lambda *_, **__: pytest.fail("the work has begun"))
        (tmp_path / "folder.onnx").mkdir()
        with pytest.raises(ExportError, match=message):
            export_onnx(tmp_path / name, small_weights, overwrite=True)

    def test_difference_stops_it(self, small_weights):
        """A model of other weights than the engine's."""
        name = "reconstruct.bias"
        changed = {**small_weights.parameters, name: small_weights.parameters[name] + np.float32(0.001)}
        other = Weights(small_weights.config, changed, "other")
        content = build_model(other).SerializeToString()
        with pytest.raises(ExportError, match=r"differs from the engine by 0\.001 at 5x7 pixels"):
            checking.compare(content, small_weights)

    def test_model_that_cannot_be_loaded(self, small_weights):
        with pytest.raises(ExportError, match=r"^ONNX Runtime [\d.]+ cannot load the model: "):
            checking.compare(b"nonsense", small_weights)


def test_seconds_per_megapixel():
    assert Comparison(1000, 500, 0.0, 2.0, 1.0).seconds_per_megapixel == 4.0
