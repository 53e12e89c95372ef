"""Interlaced video: two fields of a frame, taken one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from av import VideoFrame
from av.filter import Graph
from av.video.stream import VideoStream

from dvmsr.video.libav import pulled


def deinterlaced(frames: Iterator[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    """Make one picture of the two fields of each frame (FFmpeg's bwdif). Frames without fields stay.

    Args:
        frames: Frames in the order of their times.
        stream: What they are of.

    Yields:
        As many frames, whose ticks are half as long.
    """
    graph: Graph | None = None
    for frame in frames:
        if graph is None:
            graph = Graph()
            graph.link_nodes(
                graph.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=stream.time_base,
                ),
                # mode 0: a picture for each frame; deint 1: of interlaced frames only.
                graph.add("bwdif", "mode=0:deint=1"),
                graph.add("buffersink"),
            ).configure()
        graph.vpush(frame)
        yield from pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from pulled(graph)
