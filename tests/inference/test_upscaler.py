from __future__ import annotations

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import dvmsr
from dvmsr import ArgumentError, ImageReadError, ImageWriteError, NetworkConfig, Upscaler, WeightsError
from dvmsr.engine import available_threads
from dvmsr.images import read_image
from dvmsr.weights import save_weights

CONFIG = NetworkConfig(scale=2, channels=16, blocks=1, vimms_per_block=1)
# Rows that wait for those below them.
LATE = CONFIG.blocks + 3


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(CONFIG)


@pytest.fixture(scope="module")
def upscaler(weights):
    return Upscaler(weights, threads=1)


def noise(height, width, dtype=np.uint8):
    rng = np.random.default_rng(0)
    if np.dtype(dtype) == np.float32:
        return rng.random((height, width, 3), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_its_place(upscaler, value):
    image = noise(20, 7, np.float32)
    image[13, 5, 1] = image[14, 0, 0] = value
    told = rf"^pixels must be finite numbers, got {value} in row 13, column 5, channel 1 \(2 in these rows"
    with pytest.raises(ArgumentError, match=told):
        upscaler.upscale(image)
    with pytest.raises(ArgumentError, match=told):
        list(upscaler.stream([image[:12], image[12:]], width=7))


def test_numbers_of_any_size_are_taken(upscaler):
    image = np.full((9, 7, 3), np.finfo(np.float32).max, np.float32)
    assert upscaler.upscale(image).shape == (18, 14, 3)


class TestUpscaler:
    def test_properties(self, upscaler):
        assert upscaler.scale == 2
        assert upscaler.config == CONFIG
        assert upscaler.threads == 1

    def test_all_threads_by_default(self, weights):
        assert Upscaler(weights).threads == available_threads()

    def test_weights_from_a_file(self, tmp_path, weights):
        path = tmp_path / "noise.safetensors"
        save_weights(path, weights.parameters, CONFIG)
        image = noise(5, 4)
        for given_path in (path, str(path)):
            assert Upscaler(given_path, threads=1).upscale(image).shape == (10, 8, 3)

    def test_missing_weights(self, tmp_path):
        with pytest.raises(WeightsError, match=r"none\.safetensors: cannot read weights"):
            Upscaler(tmp_path / "none.safetensors")

    @pytest.mark.parametrize("threads", [0, -2, 1.0, "2", True])
    def test_bad_threads(self, weights, threads):
        with pytest.raises(ArgumentError, match=r"^threads must be a whole number from 1, got "):
            Upscaler(weights, threads=threads)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_type_is_kept(self, upscaler, dtype):
        image = noise(5, 4, dtype)
        before = image.copy()
        output = upscaler.upscale(image)
        assert (output.shape, output.dtype) == ((10, 8, 3), dtype)
        assert output.flags.c_contiguous
        assert np.array_equal(image, before)

    def test_types_agree(self, upscaler):
        image = noise(9, 7)
        exact = upscaler.upscale((image / 255).astype(np.float32))
        assert np.abs(upscaler.upscale(image) - 255 * np.clip(exact, 0, 1)).max() <= 0.501
        deep = upscaler.upscale(image.astype(np.uint16) * 257)
        assert np.abs(deep - 65535 * np.clip(exact.astype(np.float64), 0, 1)).max() <= 0.6

    def test_float_is_not_clipped(self, weights):
        bright = noise(9, 7, np.float32) * 40 - 20
        output = Upscaler(weights, threads=1).upscale(bright)
        assert output.min() < 0
        assert output.max() > 1

    @pytest.mark.parametrize("height", [1, 2, 7])
    @pytest.mark.parametrize("width", [1, 2, 7])
    def test_small_images(self, upscaler, height, width):
        assert upscaler.upscale(noise(height, width)).shape == (2 * height, 2 * width, 3)

    def test_doubles_are_computed_as_floats(self, upscaler):
        image = noise(9, 7, np.float32)
        output = upscaler.upscale(image.astype(np.float64))
        assert output.dtype == np.float64
        assert np.array_equal(output, upscaler.upscale(image))

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
    def test_grey(self, upscaler, dtype):
        """As of three channels alike, whose mean it is."""
        grey = noise(9, 7, np.float32 if dtype == np.float64 else dtype)[..., 0].astype(dtype)
        mean = upscaler.upscale(np.stack([grey] * 3, axis=2)).mean(axis=2, dtype=np.float64)
        output = upscaler.upscale(grey)
        assert (output.shape, output.dtype) == ((18, 14), dtype)
        assert np.abs(output - mean).max() <= (0.5 if np.dtype(dtype).kind == "u" else 1e-6)
        assert np.array_equal(upscaler.upscale(grey[..., None]), output[..., None])

    @pytest.mark.parametrize(
        ("image", "told"),
        [
            (
                np.zeros((4, 4, 4), np.uint8),
                r"got \(4, 4, 4\); leave .* out: image\[\.\.\., :3\] .*",
            ),
            (
                np.zeros((4, 4, 2), np.uint8),
                r"got \(4, 4, 2\); leave .* out: image\[\.\.\., 0\] .*",
            ),
            (noise(4, 4)[None], r"got \(1, 4, 4, 3\); enlarge the images of a batch one by one"),
            (
                noise(4, 4).transpose(2, 0, 1),
                r"got \(3, 4, 4\); put the channels last: image\.transpose\(1, 2, 0\)",
            ),
            (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
            (np.zeros((4, 0), np.uint8), r"got \(4, 0\)"),
            (noise(4, 4).tolist(), r"got list; convert it: numpy\.asarray\(image\)"),
            (None, "got NoneType"),
        ],
        ids=["alpha", "grey alpha", "batch", "channels first", "no rows", "no columns", "list", "none"],
    )
    def test_no_image(self, upscaler, image, told):
        with pytest.raises(ArgumentError, match=rf"^image must be an array of shape .*, {told}$"):
            upscaler.upscale(image)

    def test_tensor(self, upscaler):
        torch = pytest.importorskip("torch")
        with pytest.raises(ArgumentError, match=r"got Tensor; convert it: image\.permute\(1, 2, 0\)\.cpu"):
            upscaler.upscale(torch.zeros(3, 4, 4))

    @pytest.mark.parametrize(
        ("dtype", "way"),
        [
            (np.int64, r"image\.astype\(numpy\.uint8\) if its values are 0 to 255"),
            (np.float16, r"image\.astype\(numpy\.float32\)"),
            (bool, r"image\.astype\(numpy\.uint8\) \* 255"),
        ],
    )
    def test_type_of_no_image(self, upscaler, dtype, way):
        with pytest.raises(ArgumentError, match=rf"^pixels must be uint8, .*, got \w+; convert them: {way}$"):
            upscaler.upscale(np.zeros((4, 4, 3), dtype))


class TestPillowImages:
    @pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
    def test_comes_back_as_one(self, weights, upscaler, mode):
        pixels = noise(9, 7, np.uint16 if mode == "I;16" else np.uint8)
        pixels = pixels if mode == "RGB" else np.ascontiguousarray(pixels[..., 0])
        image = Image.fromarray(pixels)
        assert image.mode == mode
        for output in (upscaler.upscale(image), dvmsr.upscale(image, weights=weights, threads=1)):
            assert isinstance(output, Image.Image)
            assert (output.mode, output.size) == (mode, (14, 18))
            assert np.array_equal(np.asarray(output), upscaler.upscale(pixels))

    @pytest.mark.parametrize(("mode", "lost"), [("RGBA", ", which drops its transparency"), ("P", "")])
    def test_other_modes_are_told_how_to_convert(self, upscaler, mode, lost):
        told = rf'got {mode}; convert it: image\.convert\("RGB"\){lost} \('
        with pytest.raises(ArgumentError, match=told):
            upscaler.upscale(Image.new(mode, (7, 9)))


class TestSelfEnsemble:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_is_the_mean_of_eight(self, upscaler, dtype):
        image = noise(9, 7, dtype)
        most = 1 if dtype == np.float32 else np.iinfo(dtype).max
        exact = (image / most).astype(np.float32)
        outputs = []
        for quarters in range(4):
            for flip in (False, True):
                turned = np.rot90(exact[:, ::-1] if flip else exact, quarters)
                output = np.rot90(upscaler.upscale(np.ascontiguousarray(turned)), -quarters)
                outputs.append(output[:, ::-1] if flip else output)
        mean = np.mean(outputs, axis=0, dtype=np.float64)
        output = upscaler.upscale(image, self_ensemble=True)
        assert output.dtype == dtype
        if dtype == np.float32:
            assert np.abs(output - mean).max() < 1e-6
        else:
            assert np.abs(output - most * np.clip(mean, 0, 1)).max() <= 0.51

    def test_turns_with_the_image(self, upscaler):
        image = noise(9, 7, np.float32)
        output = upscaler.upscale(image, self_ensemble=True)
        turned = upscaler.upscale(np.ascontiguousarray(np.rot90(image)), self_ensemble=True)
        assert np.abs(np.rot90(output) - turned).max() < 1e-6

    def test_grey_and_short_form(self, weights, upscaler):
        grey = noise(9, 7)[..., 0]
        output = upscaler.upscale(grey, self_ensemble=True)
        assert output.shape == (18, 14)
        assert np.array_equal(dvmsr.upscale(grey, weights=weights, threads=1, self_ensemble=True), output)


class TestProgress:
    @pytest.mark.parametrize("self_ensemble", [False, True])
    def test_counts_all_pixels(self, upscaler, self_ensemble):
        seen = []
        image = noise(300, 130)
        output = upscaler.upscale(
            image, self_ensemble=self_ensemble, progress=lambda *state: seen.append(state)
        )
        assert np.array_equal(output, upscaler.upscale(image, self_ensemble=self_ensemble))
        passes = 8 if self_ensemble else 1
        finished = [done for done, _ in seen]
        assert len(seen) > 2 * passes
        assert finished == sorted(set(finished))
        assert {total for _, total in seen} == {passes * 300 * 130}
        assert finished[-1] == passes * 300 * 130

    def test_what_it_raises_ends_the_work(self, upscaler):
        def stop(*_):
            raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            upscaler.upscale(noise(300, 130), progress=stop)


class TestStream:
    @settings(max_examples=30, deadline=None)
    @given(
        heights=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any),
        width=st.integers(1, 30),
        dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    )
    def test_equals_the_whole_image(self, upscaler, heights, width, dtype):
        image = noise(sum(heights), width, dtype)
        blocks = np.split(image, np.cumsum(heights)[:-1])
        output = list(upscaler.stream(iter(blocks), width))
        assert all(len(block) for block in output)
        assert np.array_equal(np.concatenate(output), upscaler.upscale(image))

    def test_takes_no_more_than_it_needs(self, upscaler):
        """An endless image: what it gives comes out while more comes in."""
        taken = []

        def endless():
            while True:
                taken.append(1)
                yield noise(1, 5)

        output = upscaler.stream(endless(), 5)
        assert len(taken) == 0, "something was read before anybody asked"
        for rows in range(1, 4):
            assert next(output).shape == (2, 10, 3)
            assert len(taken) == LATE + rows

    def test_can_be_left(self, upscaler):
        closed = []

        def blocks():
            try:
                while True:
                    yield noise(20, 5)
            finally:
                closed.append(True)

        output = upscaler.stream(blocks(), 5)
        next(output)
        output.close()
        assert closed

    def test_error_of_the_source_comes_through(self, upscaler):
        def blocks():
            yield noise(20, 5)
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            list(upscaler.stream(blocks(), 5))

    @pytest.mark.parametrize("blocks", [[], [noise(4, 5)[:0]], [noise(4, 5)[:0]] * 3])
    def test_no_rows(self, upscaler, blocks):
        with pytest.raises(ArgumentError, match=r"^expected at least one row of an image, got none$"):
            list(upscaler.stream(blocks, 5))

    @pytest.mark.parametrize(
        ("second", "told"),
        [
            (noise(2, 4), r"expected rows of shape \(rows, 5, 3\) and type uint8, got \(2, 4, 3\) of uint8"),
            (noise(2, 5, np.uint16), r"expected rows of .* type uint8, got \(2, 5, 3\) of uint16"),
            (noise(2, 5).tolist(), "blocks must be arrays of rows, got list"),
            (None, "blocks must be arrays of rows, got NoneType"),
        ],
        ids=["width", "type", "list", "none"],
    )
    def test_wrong_block(self, upscaler, second, told):
        with pytest.raises(ArgumentError, match=f"^{told}$"):
            list(upscaler.stream([noise(3, 5), second, noise(3, 5)], 5))

    @pytest.mark.parametrize("width", [0, 2.5, "5"])
    def test_bad_width(self, upscaler, width):
        with pytest.raises(ArgumentError, match=r"^width must be a whole number from 1, got "):
            next(upscaler.stream([noise(4, 5)], width))


class TestShortForm:
    @pytest.fixture
    def photo(self, tmp_path):
        path = tmp_path / "photo.png"
        image = pyvips.Image.new_from_array(noise(9, 7)).copy(interpretation="srgb")
        image.write_to_file(str(path))
        return path

    def test_array(self, weights, upscaler):
        output = dvmsr.upscale(noise(9, 7), weights=weights, threads=1)
        assert np.array_equal(output, upscaler.upscale(noise(9, 7)))

    def test_file(self, weights, upscaler, photo):
        for path in (photo, str(photo)):
            output = dvmsr.upscale(path, weights=weights, threads=1)
            assert np.array_equal(output, upscaler.upscale(noise(9, 7)))
        assert list(photo.parent.iterdir()) == [photo]

    def test_file_into_file(self, weights, upscaler, photo):
        target = photo.with_name("large.png")
        assert dvmsr.upscale(photo, output=str(target), weights=weights, threads=1) == target
        assert np.array_equal(read_image(target), upscaler.upscale(noise(9, 7)))

    def test_existing_output(self, weights, photo):
        target = photo.with_name("large.png")
        target.write_bytes(b"precious")
        with pytest.raises(ImageWriteError, match="exists already"):
            dvmsr.upscale(photo, output=target, weights=weights)
        assert target.read_bytes() == b"precious"
        dvmsr.upscale(photo, output=target, overwrite=True, weights=weights, threads=1)
        assert read_image(target).shape == (18, 14, 3)

    def test_output_is_for_files(self, weights, tmp_path):
        with pytest.raises(ArgumentError, match=r"^output is only for an image file, got ndarray; save"):
            dvmsr.upscale(noise(9, 7), output=tmp_path / "large.png", weights=weights)

    @pytest.mark.parametrize("image", [None, 3, b"photo.png", [[1, 2, 3]]])
    def test_neither_array_nor_path(self, weights, image):
        with pytest.raises(ArgumentError, match=r"^image must be an array .* or the path of an image, got "):
            dvmsr.upscale(image, weights=weights)

    def test_progress_of_a_file(self, weights, photo):
        for output in ({}, {"output": photo.with_name("large.png")}):
            seen = []
            dvmsr.upscale(photo, weights=weights, progress=lambda *state: seen.append(state), **output)  # noqa: B023
            assert seen[-1] == (63, 63)

    @pytest.mark.parametrize("names", [{"image": ""}, {"image": "low.png", "output": ""}])
    def test_empty_name(self, weights, names):
        with pytest.raises(ArgumentError, match="expected the names of files, got an empty one"):
            dvmsr.upscale(**names, weights=weights)

    def test_missing_file(self, weights, tmp_path):
        with pytest.raises(ImageReadError, match="no such file"):
            dvmsr.upscale(tmp_path / "none.png", weights=weights)


def test_fingerprint_tells_what_results_depend_on():
    clean = Upscaler()
    assert clean.fingerprint == Upscaler(threads=1).fingerprint == Upscaler(model="auto").fingerprint
    others = [Upscaler(precision="bf16"), Upscaler(model="photo"), clean.with_strength(0.5)]
    assert len({clean.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert clean.with_strength(1).fingerprint == Upscaler(model="photo").fingerprint
    assert clean.fingerprint != clean.with_scale(2).fingerprint == Upscaler(scale=2).fingerprint


class TestScale:
    def test_each_is_made_once_and_keeps_the_threads(self):
        clean = Upscaler(threads=3)
        assert clean.scales == (2, 4)
        assert clean.with_scale(4) is clean
        double = clean.with_scale(2)
        assert (double.scale, double.threads, double.config.scale) == (2, 3, 2)
        assert clean.with_threads(1).with_scale(2)._engine is double._engine

    def test_strength_0_of_photo_is_the_clean_one_at_each(self):
        none_of_it = Upscaler(model="photo", strength=0, scale=2, threads=1)
        assert none_of_it.fingerprint == Upscaler(scale=2).fingerprint
        assert none_of_it.scales == (2, 4)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"scale": 5}, 'scale of the model "clean" must be 2 or 4, got 5'),
            ({"scale": True}, 'scale of the model "clean" must be 2 or 4, got True'),
            ({"model": "photo", "scale": 2}, 'scale of the model "photo" must be 4, got 2'),
            ({"model": "auto", "scale": 2}, "there is no photo network of scale 2"),
        ],
    )
    def test_none_such(self, settings, message):
        with pytest.raises(ArgumentError, match=message):
            Upscaler(**settings)

    def test_other_weights_have_their_own(self, weights):
        with pytest.raises(ArgumentError, match="either weights or a model"):
            Upscaler(weights, scale=4)
        with pytest.raises(ArgumentError, match="scale of this network must be 2, got 3"):
            Upscaler(weights).with_scale(3)
