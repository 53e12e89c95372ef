"""Videos: decoded, enlarged and encoded; needs PyAV (the extra ``video``)."""

from dvmsr.video.options import VideoOptions, parse_time
from dvmsr.video.plan import VideoPlan, is_finished
from dvmsr.video.preview import preview_video
from dvmsr.video.upscale import UpscaledVideo, VideoProgress, upscale_video

__all__ = [
    "UpscaledVideo",
    "VideoOptions",
    "VideoPlan",
    "VideoProgress",
    "is_finished",
    "parse_time",
    "preview_video",
    "upscale_video",
]
