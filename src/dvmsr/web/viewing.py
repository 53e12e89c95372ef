"""What is made to show a picture: thumbnails, tiles of before and after, and parts that are tried first."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from dvmsr.batch.forecast import network_pixels
from dvmsr.errors import RequestError
from dvmsr.images import Tiles, open_image, write_thumbnail, write_tiles
from dvmsr.images.tiles import OVERLAP, TILE_SIDE
from dvmsr.inference.parts import Box, enlarge_part
from dvmsr.web.limits import Limits
from dvmsr.web.networks import Networks
from dvmsr.web.pictures import Picture
from dvmsr.web.queue import WorkQueue
from dvmsr.web.sessions import Sessions
from dvmsr.web.settings import Settings

BEFORE, AFTER = "before", "after"
"""The two pictures that are compared."""

_THUMBNAIL_SIDE = 160
_NUMBER = re.compile(r"[0-9]{1,7}")
_PART_NAME = re.compile(r"[0-9a-f]{16}")
# However fast or slow the machine is.
_PART_PIXELS = (96 * 96, 1024 * 1024)
# About, of a pixel: three or four samples of up to 16 bits, compressed lightly, and a third more for the
# smaller levels.
_TILE_BYTES = 4


@dataclass(frozen=True)
class View:
    """A picture in tiles, as the page shows it."""

    name: str
    """The folder of its tiles."""

    tiles: Tiles
    """What lies in it."""

    def as_json(self) -> dict[str, object]:
        """Return what the page needs to show it."""
        return {
            "name": self.name,
            "width": self.tiles.width,
            "height": self.tiles.height,
            "levels": self.tiles.levels,
            "tile": TILE_SIDE,
            "overlap": OVERLAP,
        }


class Views:
    """Makes what is shown, each once.

    Args:
        networks: What enlarges.
        sessions: Whose pictures there are.
        queue: Knows what can be done.
        limits: How large a part may be.
    """

    def __init__(self, networks: Networks, sessions: Sessions, queue: WorkQueue, limits: Limits) -> None:
        self._networks = networks
        self._sessions = sessions
        self._queue = queue
        self._limits = limits
        # Parts are to be there at once: several at a time would all be late.
        self._one_part = Lock()

    def part_pixels(self) -> int:
        """Return how many pixels a part may have that is tried, so that it takes a second or two here."""
        seconds = self._networks.pixel_seconds
        least, most = _PART_PIXELS
        return most if seconds is None else min(most, max(least, int(self._limits.part_seconds / seconds)))

    def thumbnail(self, picture: Picture) -> Path:
        """Return a small PNG file of a picture.

        Raises:
            ImageReadError: The picture is damaged.
        """
        path = picture.folder / "thumbnail.png"
        with picture.views:
            if not path.exists():
                write_thumbnail(
                    open_image(picture.source, max_pixels=self._limits.pixels), path, _THUMBNAIL_SIDE
                )
        return path

    def view(self, picture: Picture, which: str) -> View:
        """Return a picture in tiles.

        Args:
            picture: The picture.
            which: "before" or "after".

        Raises:
            RequestError: It is not enlarged, or there is no room for the tiles.
            ImageReadError: It is damaged.
        """
        result, run = picture.result, picture.run
        if which == BEFORE:
            name, source = BEFORE, picture.source
        elif which == AFTER and result is not None:
            # Of this run: a browser keeps those of earlier ones.
            name, source = f"{AFTER}-{run}", result.target
        else:
            raise RequestError(404, f"{picture.name} is not enlarged; enlarge it first")
        folder = picture.folder / f"tiles-{name}"
        with picture.views:
            if name not in picture.tiles:
                reader = open_image(source, max_pixels=1 << 62)
                needed = reader.width * reader.height * _TILE_BYTES
                self._sessions.check_room(picture.session, needed, f"showing {picture.name}")
                picture.tiles[name] = write_tiles(reader, folder)
            return View(name, picture.tiles[name])

    def tile(self, picture: Picture, name: str, level: str, column: str, row: str) -> Path:
        """Return the file of a tile.

        Raises:
            RequestError: There is none.
        """
        path = picture.folder / f"tiles-{name}" / level / f"{column}_{row}.png"
        is_place = all(_NUMBER.fullmatch(each) for each in (level, column, row))
        if name not in picture.tiles or not is_place or not path.is_file():
            raise RequestError(404, "there is no such tile any more; open the comparison again")
        return path

    def try_part(self, picture: Picture, box: Box, settings: Settings) -> dict[str, object]:
        """Enlarge a part of a picture at once, beside what is at work.

        Args:
            picture: The picture.
            box: The part, in its pixels.
            settings: How the whole would be enlarged.

        Returns:
            ``id`` to ask for the two pictures by, the size that ``after`` has, and ``seconds``.

        Raises:
            RequestError: The part is too large, or the whole cannot be enlarged so.
            ArgumentError: The part is not within the picture.
        """
        # A part is one of the picture that is seen.
        settings = replace(settings, pages="first")
        box.check(picture.width, picture.height)
        task, _ = self._queue.plan(picture, settings)
        upscaler = self._networks.find(settings)
        options = settings.options(self._limits.pixels)
        # More than one pass, for 16x, makes a pixel cost more.
        costly = network_pixels(task, upscaler.scale, options) / (picture.width * picture.height)
        pixels = round(box.width * box.height * max(1.0, costly))
        if pixels > self.part_pixels():
            raise RequestError(
                422,
                f"a part to try may have {self.part_pixels():,} pixels, and this one has {pixels:,} for the "
                "network; draw a smaller box",
            )
        folder = picture.folder / "parts"
        name = secrets.token_hex(8)
        with self._one_part:
            folder.mkdir(exist_ok=True)
            earlier = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
            # The last one may still be looked at.
            for path in earlier[:-2]:
                path.unlink(missing_ok=True)
            start = time.perf_counter()
            width, height = enlarge_part(
                upscaler,
                picture.source,
                box,
                options,
                folder / f"{name}-{BEFORE}.png",
                folder / f"{name}-{AFTER}.png",
            )
        seconds = time.perf_counter() - start
        return {"id": name, "width": width, "height": height, "seconds": round(seconds, 3)}

    def part(self, picture: Picture, name: str, which: str) -> Path:
        """Return the file of a part that was tried.

        Raises:
            RequestError: There is none.
        """
        path = picture.folder / "parts" / f"{name}-{which}.png"
        if not _PART_NAME.fullmatch(name) or which not in (BEFORE, AFTER) or not path.is_file():
            raise RequestError(404, "there is no such part any more; try it again")
        return path
