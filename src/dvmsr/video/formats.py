"""Files that can be written, and encoders: which one is taken for what, and how it is told what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av

from dvmsr.errors import ArgumentError, VideoError, setting

# What every decoder for H.264 takes (level 5.1); H.265 is for larger pictures.
_H264_COLUMNS, _H264_ROWS = 4096, 2304


@dataclass(frozen=True)
class Encoder:
    """An encoder, its defaults, and its own words for quality and effort."""

    name: str
    """FFmpeg's name of it."""

    codec: str
    """What people call what it writes."""

    crf: int | None = None
    """Constant rate factor by default; None where it has none."""

    preset: str | None = None
    """Effort by default; None where it has none."""

    options: Mapping[str, str] = field(default_factory=dict)
    """What it is told always."""

    parameters: str | None = None
    """The option that takes the encoder's own parameters, joined by colons."""

    quiet: tuple[str, ...] = ()
    """Those of them by which it keeps silent."""


_ENCODERS = (
    Encoder("libx264", "H.264", 18, "medium", parameters="x264-params"),
    Encoder("libx265", "H.265", 20, "medium", parameters="x265-params", quiet=("log-level=error",)),
    Encoder("libsvtav1", "AV1", 24, "8", parameters="svtav1-params"),
    Encoder("libvpx-vp9", "VP9", 24, None, {"b": "0", "row-mt": "1", "cpu-used": "4"}),
    Encoder("prores_ks", "ProRes", None, None, {"vendor": "apl0"}),
    Encoder("ffv1", "FFV1", None, None, {"level": "3"}),
    Encoder("gif", "GIF"),
    Encoder("libwebp_anim", "WebP"),
    Encoder("apng", "APNG"),
)
_BY_NAME = {encoder.name: encoder for encoder in _ENCODERS}
_ALIASES = {
    "h264": "libx264",
    "avc": "libx264",
    "h265": "libx265",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
}

LOSSLESS = _BY_NAME["ffv1"]
"""What frames of a picture file wait in until all are there."""


@dataclass(frozen=True)
class Container:
    """A kind of file."""

    name: str
    """What people call it."""

    muxer: str
    """FFmpeg's name of it."""

    options: Mapping[str, str] = field(default_factory=dict)
    """What its muxer is told."""

    turns: bool = True
    """Whether it can say how the video is turned."""

    picture: str | None = None
    """The only encoder, where this is an animation format of pictures; those hold nothing but frames."""


# The index comes first, so that browsers begin before they have it all.
_MP4 = Container("MP4", "mp4", {"movflags": "+faststart"})
_MOV = Container("MOV", "mov", {"movflags": "+faststart"})
_MATROSKA = Container("Matroska", "matroska")
_WEBM = Container("WebM", "webm")
_APNG = Container("APNG", "apng", turns=False, picture="apng")
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".mkv": _MATROSKA,
    ".webm": _WEBM,
    ".gif": Container("GIF", "gif", turns=False, picture="gif"),
    ".webp": Container("WebP", "webp", turns=False, picture="libwebp_anim"),
    ".png": _APNG,
    ".apng": _APNG,
}
"""By the suffix of the file's name."""


def container_of(path: Path) -> Container:
    """Return the kind of file that a name's suffix chooses.

    Raises:
        VideoError: It chooses none.
    """
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise VideoError(
            f"{path}: expected a name that ends in {', '.join(CONTAINERS)}; got {path.suffix or 'no suffix'}"
        )
    return container


def choose_encoder(
    container: Container, width: int, height: int, *, deep: bool, alpha: bool, asked: str | None
) -> Encoder:
    """Return the encoder for a video.

    Args:
        container: The file that it goes into.
        width: Columns.
        height: Rows.
        deep: Whether it has more than 8 bits.
        alpha: Whether it has transparency.
        asked: What was asked for: an alias such as "h265", or FFmpeg's name of an encoder.

    Raises:
        ArgumentError: There is no such encoder, or the format is of one encoder only.
    """
    if container.picture is not None:
        codec = setting("--codec", "codec")
        if asked is not None and _ALIASES.get(asked, asked) != container.picture:
            raise ArgumentError(f"{container.name} files have a codec of their own; leave {codec} out")
        return _BY_NAME[container.picture]
    if asked is not None:
        return _asked_encoder(asked)
    if container is _WEBM:
        return _BY_NAME["libsvtav1" if deep else "libvpx-vp9"]
    if alpha and container is _MOV:
        return _BY_NAME["prores_ks"]
    if alpha and container is _MATROSKA:
        return _BY_NAME["ffv1" if deep else "libvpx-vp9"]
    large = width > _H264_COLUMNS or height > _H264_ROWS
    return _BY_NAME["libx265" if deep or large else "libx264"]


def choose_pixel_format(
    encoder: Encoder, container: Container, *, deep: bool, alpha: bool, asked: str | None
) -> str:
    """Return the pixel format for an encoder: 4:2:0, which plays everywhere, save where it has none.

    Args:
        encoder: The encoder.
        container: The file that its output goes into.
        deep: Whether the video has more than 8 bits.
        alpha: Whether it has transparency.
        asked: The format that was asked for.

    Raises:
        ArgumentError: The encoder does not take the format that was asked for.
    """
    if container.picture is not None:
        # Of the frames that wait; the pictures themselves are made of them.
        return "bgra"
    formats = [each.name for each in av.Codec(encoder.name, "w").video_formats or ()]
    if asked is not None:
        if formats and asked not in formats:
            raise ArgumentError(
                f"{encoder.name} takes the pixel formats {', '.join(formats)}; got {asked[:40]!r}"
            )
        return asked
    wanted = []
    if alpha and container in (_MATROSKA, _WEBM, _MOV):
        wanted += ["yuva420p10le", "yuva444p10le"] if deep else []
        wanted += ["yuva420p", "yuva444p10le", "rgba", "argb", "bgra"]
        # x265's transparency is a layer that hardly anything shows.
        wanted = [] if encoder.name == "libx265" else wanted
    wanted += ["yuv420p10le", "yuv422p10le"] if deep else []
    wanted += ["yuv420p", "yuvj420p", "yuv422p10le"]
    return next((each for each in wanted if each in formats), formats[0] if formats else "yuv420p")


def tells_aspect(container: Container, encoder: Encoder) -> bool:
    """Return whether a file says how wide pixels are: QuickTime's own words, or the codec's."""
    return container.muxer in ("mp4", "mov") or (
        container.muxer == "matroska" and encoder.codec in ("H.264", "H.265")
    )


def encoder_options(
    encoder: Encoder, pixel_format: str, crf: int | None, preset: str | None, parameters: list[str]
) -> dict[str, str]:
    """Return what an encoder is told.

    Args:
        encoder: The encoder.
        pixel_format: Of its frames.
        crf: Constant rate factor; None for the default.
        preset: Effort; None for the default.
        parameters: Further parameters of the encoder's own.

    Raises:
        ArgumentError: It has no constant rate factor, or no presets.
    """
    known = encoder.name in _BY_NAME
    for name, value, default in (("crf", crf, encoder.crf), ("preset", preset, encoder.preset)):
        if known and value is not None and default is None:
            raise ArgumentError(
                f"{encoder.name} ({encoder.codec}) has no {setting(f'--{name}', name)}; leave it out"
            )
    options = dict(encoder.options)
    crf = encoder.crf if crf is None else crf
    if crf is not None:
        options["crf"] = str(crf)
    if preset or encoder.preset:
        options["preset"] = preset or encoder.preset or ""
    own = [*encoder.quiet, *parameters]
    if encoder.parameters and own:
        options[encoder.parameters] = ":".join(own)
    if encoder.name == "prores_ks":
        # 4444 where there is transparency or full colour, else HQ.
        options["profile"] = "4" if "444" in pixel_format else "3"
    if encoder.name == "libvpx-vp9" and pixel_format.startswith("yuva"):
        options["auto-alt-ref"] = "0"
    return options


def _asked_encoder(asked: str) -> Encoder:
    name = _ALIASES.get(asked, asked)
    if name in _BY_NAME and name not in {each.picture for each in CONTAINERS.values()}:
        return _BY_NAME[name]
    try:
        codec = av.Codec(name, "w")
    except (ValueError, av.FFmpegError) as error:
        raise ArgumentError(
            f"expected an encoder such as {', '.join(_ALIASES)}, or FFmpeg's name of one that is built in; "
            f"got {asked[:40]!r}"
        ) from error
    if codec.type != "video":
        raise ArgumentError(f"expected an encoder of video, got {asked[:40]!r}, which encodes {codec.type}")
    return Encoder(name, codec.canonical_name)
