"""What is done of a video, kept on the disk until all of it is.

Beside the target lies a hidden folder with a file for each segment: the encoded packets of some frames, and
when these are shown. Its job.json says what the segments are of; other segments are thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import av
import numpy as np
from av.packet import Packet, PacketSideData
from av.video.stream import VideoStream
from numpy.typing import NDArray

from dvmsr.atomic import remove_abandoned, write_atomically
from dvmsr.errors import VideoError
from dvmsr.locks import lock_file

# Of side data only what carries VP9's transparency; its number in FFmpeg's AVPacketSideDataType.
_ADDITIONAL: Literal["matroska_block_additional"] = "matroska_block_additional"
_ADDITIONAL_NUMBER = 15


@dataclass(frozen=True)
class Outline:
    """What is to be known of a segment without its packets."""

    frames: NDArray[np.int64]
    """(N, 2): when each frame is shown, and how long, in ticks."""

    packet_times: NDArray[np.int64]
    """(N,): when each packet is shown, in the order of decoding, in ticks."""

    computed: int
    """Frames that went through the network; the others were the same as the one before."""

    checksum: int
    """CRC-32 of the pixels of the last source frame."""

    damaged: int
    """Packets and frames of the source that were found damaged on the way."""


@dataclass(frozen=True)
class Segment:
    """Some frames of a video, encoded by themselves."""

    packets: list[Packet[VideoStream]]
    """In the order of decoding."""

    extradata: bytes
    """The encoder's header."""

    outline: Outline


class SegmentFolder:
    """The segments of one target.

    Args:
        target: The file that is made of them.
        job: What they depend on; kept segments of another job are removed.

    Raises:
        VideoError: Another process works on the same target, or the folder cannot be made.
    """

    def __init__(self, target: Path, job: Mapping[str, Any]) -> None:
        self.path = target.parent / f".{target.name}.dvmsr"
        """The folder."""
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = lock_file(self.path / "lock")
        except BlockingIOError as error:
            raise VideoError(
                f"{target}: another dvmsr is making this file; wait for it, or end it"
            ) from error
        except OSError as error:
            raise VideoError(f"{self.path}: cannot be written: {error.strerror}") from error
        remove_abandoned(self.path)
        self._take_over(json.dumps(job, indent=1, sort_keys=True).encode())
        self.outlines: list[Outline] = []
        """Of the segments that are there, from the first on."""
        self.size = 0
        """Bytes of the segments."""
        self._find_whole()

    def close(self) -> None:
        """Let others work on the target."""
        os.close(self._lock)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def count(self) -> int:
        """How many segments are there."""
        return len(self.outlines)

    def add(self, segment: Segment) -> None:
        """Keep the next segment.

        Raises:
            OSError: It cannot be written.
        """
        outline = segment.outline
        index = np.array(
            [(p.pts, p.duration or 0, p.is_keyframe, p.size) for p in segment.packets], np.int64
        ).reshape(-1, 4)
        additional = [
            bytes(p.get_sidedata(_ADDITIONAL)) if p.has_sidedata(_ADDITIONAL) else b""
            for p in segment.packets
        ]
        with write_atomically(self._file(self.count)) as file:
            np.savez(
                file,
                index=index,
                data=_joined(bytes(packet) for packet in segment.packets),
                additional_sizes=np.array([len(each) for each in additional], np.int64),
                additional=_joined(iter(additional)),
                frames=outline.frames,
                extradata=_joined(iter([segment.extradata])),
                numbers=np.array([outline.computed, outline.checksum, outline.damaged], np.int64),
            )
        self._take(outline)

    def read(self, number: int) -> Segment:
        """Read a segment.

        Raises:
            VideoError: It is damaged.
        """
        segment = self._read(number)
        if segment is None:
            raise VideoError(
                f"{self._file(number)}: is damaged; the same command makes it again from there on"
            )
        return segment

    def all(self) -> Iterator[Segment]:
        """Read the segments one after the other.

        Raises:
            VideoError: One is damaged.
        """
        return (self.read(number) for number in range(self.count))

    def _take_over(self, job: bytes) -> None:
        file = self.path / "job.json"
        try:
            same = file.read_bytes() == job
        except OSError:
            same = False
        if same:
            return
        for old in self.path.glob("*.npz"):
            old.unlink()
        with write_atomically(file) as new:
            new.write(job)

    def _find_whole(self) -> None:
        """Find the segments up to the first that is missing or damaged, and remove what comes after."""
        while (segment := self._read(self.count)) is not None:
            self._take(segment.outline)
        for file in self.path.glob("*.npz"):
            if file.name >= self._file(self.count).name:
                file.unlink()

    def _take(self, outline: Outline) -> None:
        self.size += self._file(self.count).stat().st_size
        self.outlines.append(outline)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.npz"

    def _read(self, number: int) -> Segment | None:
        try:
            # Its parts carry checksums, which are compared here.
            with np.load(self._file(number), allow_pickle=False) as content:
                parts = {name: content[name] for name in content.files}
            outline = Outline(parts["frames"], parts["index"][:, 0], *map(int, parts["numbers"]))
            return Segment(list(_packets(parts)), parts["extradata"].tobytes(), outline)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
            return None


def _joined(parts: Iterator[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(parts), np.uint8)


def _packets(parts: Mapping[str, NDArray[Any]]) -> Iterator[Packet[VideoStream]]:
    data, additional = parts["data"].tobytes(), parts["additional"].tobytes()
    at = at_additional = 0
    for (pts, duration, key, size), more in zip(parts["index"], parts["additional_sizes"], strict=True):
        packet = cast("Packet[VideoStream]", Packet(data[at : at + int(size)]))
        at += int(size)
        packet.pts, packet.duration, packet.is_keyframe = int(pts), int(duration), bool(key)
        if more:
            side = PacketSideData(_ADDITIONAL_NUMBER, int(more))  # type: ignore[call-arg]
            side.update(additional[at_additional : at_additional + int(more)])
            packet.set_sidedata(side, move=True)
            at_additional += int(more)
        yield packet


def version() -> str:
    """Return the version of the libraries that encode, on which segments depend."""
    return f"{av.__version__} {av.ffmpeg_version_info}"
