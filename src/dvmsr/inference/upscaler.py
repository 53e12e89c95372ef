"""The one way to enlarge: for Python users, the command line and the evaluation alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dvmsr.engine import Engine, EngineStream, Profile, available_threads, whole_number
from dvmsr.errors import ArgumentError
from dvmsr.inference.arrays import PillowImage, as_given, as_rgb, is_pillow_image
from dvmsr.inference.backend import RowEngine, RowStream, make_engine
from dvmsr.inference.sizes import asked_size
from dvmsr.inference.symmetries import SYMMETRIES, average_symmetries
from dvmsr.weights import SHIPPED_SCALES, Weights, load_model, load_weights

if TYPE_CHECKING:
    import PIL.Image

# At the end of a block threads wait for each other, so it should hold some work; and little memory.
_LEAST_ROWS = 16
_LEAST_PIXELS = 16_384


def rows_at_once(width: int) -> int:
    """Return how many rows of an image are enlarged at a time where it is not done as a whole.

    Args:
        width: Columns of the image.
    """
    return max(_LEAST_ROWS, _LEAST_PIXELS // width)


class _Shipped:
    """The shipped networks on one device, each made when it is first asked for."""

    def __init__(self, device: str, precision: str) -> None:
        self._device = device
        self._precision = precision
        self._made: dict[tuple[float, int], tuple[Weights, RowEngine]] = {}
        self._lock = Lock()

    def network(self, strength: float, scale: int) -> tuple[Weights, RowEngine]:
        with self._lock:
            if (strength, scale) not in self._made:
                weights = load_model("photo", strength, scale)
                self._made[strength, scale] = (weights, make_engine(weights, self._device, self._precision))
            return self._made[strength, scale]


class Upscaler:
    """Enlarges images with the DVMSR network.

    Args:
        weights: A file of weights (see ``dvmsr.weights.load_weights``) or weights in memory; None takes
            the ones that come with the package.
        device: Where to compute: "cpu"; "torch" for the PyTorch network on the CPU, slower and made to be
            changed; "cuda", "cuda:N" or another device of PyTorch's, which then must be
            installed; "auto" for "cuda" where there is one, else "cpu".
        threads: How many threads may work on a CPU; None takes every processor that this process may use.
            The result does not depend on it, bit by bit.
        precision: What to compute in: "fp32"; "bf16"; not on the CPU, "fp16"; "auto" for "bf16" on a CPU
            that multiplies it, else "fp32".
        model: Which of the networks that come with the package: "clean"; "photo" for images with the
            traces of JPEG, noise and blur; or "auto", by which each image file gets one by what it lost, and
            arrays the clean one.
        strength: How far from the clean to the photo network, from 0 to 1; see ``dvmsr.weights.load_model``.
        scale: Enlargement of the network that comes with the package, one of ``dvmsr.weights.SHIPPED_SCALES``
            for its model; None takes 4.

    Raises:
        ArgumentError: The device or the precision is unknown or not to be had here, threads is not a
            whole number from 1, there is no such model, strength or scale, or weights and one of these are
            given.
        MissingExtraError: The device needs PyTorch, and it is not installed.
        WeightsError: The file is missing, damaged or of another network.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights | None = None,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
        *,
        model: str = "clean",
        strength: float = 1.0,
        scale: int | None = None,
    ) -> None:
        self.threads = available_threads() if threads is None else whole_number("threads", threads)
        self.model: str | None = model if weights is None else None
        """The model as it was asked for; None of other weights than the shipped ones."""
        self._shipped = _Shipped(device, precision) if weights is None else None
        self._strength = strength if model == "photo" else 0.0
        if weights is None:
            scale = 4 if scale is None else scale
            if model == "auto" and scale not in SHIPPED_SCALES["photo"]:
                raise ArgumentError(
                    f'there is no photo network of scale {scale!r} for the model "auto": ask for'
                    ' "clean", or enlarge to another size (scale= of upscale)'
                )
            loaded = load_model("clean" if model == "auto" else model, strength, scale)
        elif (model, strength, scale) != ("clean", 1, None):
            raise ArgumentError("expected either weights or a model that comes with the package, got both")
        else:
            loaded = weights if isinstance(weights, Weights) else load_weights(weights)
        self.config = loaded.config
        self._asked = (loaded, device, precision)
        self._engine = make_engine(loaded, device, precision)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Upscaler:
        """Make an upscaler with the weights of a model on the Hugging Face Hub. Needs no PyTorch on a CPU.

        Args:
            name: ``"USER/NAME"``, or a folder that holds model.safetensors.
            device: As for the class.
            threads: As for the class.
            precision: As for the class.
            revision: Branch, tag or commit on the Hub; None takes the main branch.
            cache_dir: Where downloads are kept; None takes huggingface_hub's own place.
            local_files_only: Whether to take only what is kept already.
            token: For models that are not public; None takes the one that is logged in.

        Raises:
            WeightsError: There is no such model, it cannot be downloaded, or it is of another network.
            MissingExtraError: ``name`` is no folder, and huggingface_hub is not installed.
        """
        from dvmsr.weights.hub import load_pretrained

        weights = load_pretrained(
            name, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        )
        return cls(weights, device, threads, precision)

    @property
    def scale(self) -> int:
        """How many times larger the output is on each side."""
        return self.config.scale

    @property
    def is_native(self) -> bool:
        """Whether the native engine computes, on the CPU."""
        return isinstance(self._engine, Engine)

    @property
    def fingerprint(self) -> str:
        """What results depend on, as a hash: the weights, the device, and what is computed in."""
        weights, device, precision = self._asked
        digest = hashlib.sha256(f"{weights.config} {device} {precision}".encode())
        for name in sorted(weights.parameters):
            digest.update(name.encode() + np.ascontiguousarray(weights.parameters[name]).tobytes())
        return digest.hexdigest()

    def with_threads(self, threads: int) -> Upscaler:
        """Return the same network for another number of threads; the weights are shared.

        Raises:
            ArgumentError: ``threads`` is not a whole number from 1.
        """
        other = copy(self)
        other.threads = whole_number("threads", threads)
        return other

    def with_strength(self, strength: float) -> Upscaler:
        """Return the shipped photo network at a strength, for the same device, precision and threads.

        Each is made once for all upscalers that come from one another. Safe to be called by several threads.

        Args:
            strength: From 0, the clean network, to 1.

        Raises:
            ArgumentError: It is another number, or this upscaler's weights are not shipped ones.
        """
        if self._shipped is None:
            raise ArgumentError(
                "expected a network that comes with the package: other weights have no strength"
            )
        other = self._of(self._shipped.network(strength, self.scale))
        other.model = "photo"
        other._strength = strength
        return other

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that this network comes in, from the least; weights that are not shipped have one."""
        if self._shipped is None:
            return (self.scale,)
        return SHIPPED_SCALES["photo" if self._strength else "clean"]

    def with_scale(self, scale: int) -> Upscaler:
        """Return the network of another scale, for the same device, precision and threads.

        Each is made once for all upscalers that come from one another. Safe to be called by several threads.

        Args:
            scale: One of ``scales``.

        Raises:
            ArgumentError: It is another one.
        """
        if scale == self.scale:
            return self
        if self._shipped is None or scale not in self.scales:
            expected = " or ".join(map(str, self.scales))
            raise ArgumentError(f"scale of this network must be {expected}, got {scale!r}")
        return self._of(self._shipped.network(self._strength, scale))

    def _of(self, network: tuple[Weights, RowEngine]) -> Upscaler:
        other = copy(self)
        weights, other._engine = network
        other.config = weights.config
        other._asked = (weights, *self._asked[1:])
        return other

    @overload
    def upscale(
        self,
        image: NDArray[Any],
        *,
        scale: float | None = None,
        size: str | None = None,
        self_ensemble: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[Any]: ...

    @overload
    def upscale(
        self,
        image: PIL.Image.Image,
        *,
        scale: float | None = None,
        size: str | None = None,
        self_ensemble: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> PIL.Image.Image: ...

    def upscale(
        self,
        image: Any,
        *,
        scale: float | None = None,
        size: str | None = None,
        self_ensemble: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> Any:
        """Enlarge an image.

        Args:
            image: (H, W, 3) RGB, or (H, W) or (H, W, 1) grey, of uint8, uint16 (each over its full range), or
                finite float32 or float64 in [0, 1], H and W from 1; or a Pillow image of mode L, RGB or I;16,
                taken as its pixels lie (``PIL.ImageOps.exif_transpose`` turns a photograph upright).
            scale: How many times larger each side becomes, above 1 up to 16; by default as the network does
                it. Other scales are made by a reduction, and by more than one pass; see docs/sizes.md.
            size: Instead, what the result is to fit into: ``"3840x2160"``, ``"3840x"``, ``"x2160"`` or
                ``"long=4000"``.
            self_ensemble: Whether to enlarge the 8 flips and rotations and average them: 8 times the work
                for a somewhat better image.
            progress: Called now and then with the number of finished pixels of the image, and of all; with
                ``self_ensemble`` those of all 8 passes.

        Returns:
            The enlarged image, of the same kind and type. Integers are rounded
            and clipped, floats are not clipped. Both float types are computed in float32.

        Raises:
            ArgumentError: The image is of another shape or type, or holds NaN or infinity.
        """
        if is_pillow_image(image):
            pillow = PillowImage(image)
            enlarged = self.upscale(
                pillow.pixels, scale=scale, size=size, self_ensemble=self_ensemble, progress=progress
            )
            return pillow.wrap(enlarged)
        rgb = as_rgb(image)
        asked = asked_size(scale, size)
        if asked is not None:
            # Apart, as it is made of this class.
            from dvmsr.inference.sized import upscale_to_size

            resized = upscale_to_size(self, rgb, asked, self_ensemble=self_ensemble, progress=progress)
            return as_given(resized, image)
        _check_finite(rgb, first_row=0)
        passes = SYMMETRIES if self_ensemble else 1
        finished, total = 0, passes * rgb.shape[0] * rgb.shape[1]

        def report(rows: int, width: int) -> None:
            nonlocal finished
            finished += rows * width
            if progress is not None:
                progress(finished, total)

        def enlarge(pixels: NDArray[Any]) -> NDArray[Any]:
            if progress is None:
                return self._engine.stream(pixels.shape[1], pixels.dtype, self.threads).push(
                    pixels, last=True
                )
            return self._upscale_by_blocks(pixels, report)

        if not self_ensemble:
            return as_given(enlarge(rgb), image)
        averaged = average_symmetries(enlarge, _to_float(rgb))
        return as_given(_from_float(averaged, rgb.dtype), image)

    def _upscale_by_blocks(self, image: NDArray[Any], report: Callable[[int, int], object]) -> NDArray[Any]:
        """Enlarge (H, W, 3), and report the (rows, width) of the input that each block of output finishes."""
        height, width, _ = image.shape
        output = np.empty((self.scale * height, self.scale * width, 3), image.dtype)
        rows = rows_at_once(width)
        blocks = (image[top : top + rows] for top in range(0, height, rows))
        top = 0
        for block in self.stream(blocks, width):
            output[top : top + len(block)] = block
            top += len(block)
            report(len(block) // self.scale, width)
        return output

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        width: int,
        *,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Enlarge an image of any height in memory that does not grow with it.

        The result equals that of ``upscale`` on the whole image wherever it is cut: on the CPU bit by bit,
        on other devices up to the rounding of floats. Nothing is computed, and no argument checked, before
        the first block is asked for.

        Args:
            blocks: The image from top to bottom as (rows, width, 3) arrays of one type, as for
                ``upscale``; the numbers of rows may differ.
            width: Pixels in a row of the input.
            on_profile: Called at the end with where the engine's time went. Only on device "cpu".

        Yields:
            Blocks of (scale * rows, scale * width, 3). The output runs a few rows behind the input, on a GPU
            some more, until that ends.

        Raises:
            ArgumentError: A block is of another width or type or holds NaN or infinity, there are no rows,
                or the device has no profile.
        """
        stream: RowStream | None = None
        rows = 0
        for block in blocks:
            if not isinstance(block, np.ndarray):
                raise ArgumentError(f"blocks must be arrays of rows, got {type(block).__name__}")
            if stream is None:
                stream = self._start(width, block.dtype, profile=on_profile is not None)
                end = np.empty((0, width, 3), block.dtype)
            _check_finite(block, first_row=rows)
            rows += len(block)
            if len(output := stream.push(block)):
                yield output
        if stream is None or rows == 0:
            raise ArgumentError("expected at least one row of an image, got none")
        if len(output := stream.push(end, last=True)):
            yield output
        if on_profile is not None and isinstance(stream, EngineStream):
            on_profile(stream.profile())

    def _start(self, width: int, dtype: DTypeLike, *, profile: bool) -> RowStream:
        if not profile:
            return self._engine.stream(width, dtype, self.threads)
        if not isinstance(self._engine, Engine):
            raise ArgumentError('expected device "cpu" for a profile: it is of the native engine')
        return self._engine.stream(width, dtype, self.threads, profile=True)


def _check_finite(rows: NDArray[Any], *, first_row: int) -> None:
    """Refuse what is no number: through the scan it would spoil all of the image after it."""
    if rows.dtype != np.float32:
        return
    with np.errstate(invalid="ignore"):
        # Faster than a look at each: the sum is finite where all of them are.
        if np.isfinite(rows.sum(dtype=np.float64)):
            return
    places = np.argwhere(~np.isfinite(rows))
    value = rows[tuple(places[0])]
    places[0, 0] += first_row
    axes = zip(("row", "column", "channel"), places[0], strict=True)
    where = ", ".join(f"{axis} {index}" for axis, index in axes)
    raise ArgumentError(
        f"pixels must be finite numbers, got {value} in {where} ({len(places)} in these rows are not finite);"
        " replace them, for instance by numpy.nan_to_num"
    )


def _to_float(image: NDArray[Any]) -> NDArray[np.float32]:
    """Integers over their full range to [0, 1]."""
    if image.dtype == np.float32:
        return image
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _from_float(image: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Take back ``_to_float``, in place: rounded and clipped for integers."""
    if dtype == np.float32:
        return image
    most = np.iinfo(dtype).max
    image *= most
    np.rint(image, out=image)
    return np.clip(image, 0, most, out=image).astype(dtype)
