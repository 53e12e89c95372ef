"""Files of more than one picture: pages, frames, thumbnails and gain maps."""

from __future__ import annotations

from dataclasses import dataclass

from dvmsr.errors import setting
from dvmsr.images.decoding import Decoder
from dvmsr.images.metadata import jpeg, png
from dvmsr.images.source import SourceFile
from dvmsr.images.tiff_structure import Directory, TiffStructure, TiffStructureError

_WIDTH, _HEIGHT, _KIND = 256, 257, 254
_REDUCED, _MASK = 1, 4
# A thumbnail is at most half as wide, and of the same shape up to the rounding of its sides.
_LEAST_REDUCTION = 2
_ROUNDING = 1.5


@dataclass(frozen=True)
class Pictures:
    """What pictures a file holds."""

    pages: tuple[int, ...] = (0,)
    """Numbers of the pages of a TIFF file that are no thumbnails, from 0; else the first alone."""

    animated: bool = False
    """Whether it is an animation."""

    notes: tuple[str, ...] = ()
    """What is left out where one picture is taken, a line each."""


def find_pictures(source: SourceFile, decoder: Decoder) -> Pictures:
    """Find out what pictures a file holds.

    Args:
        source: The file.
        decoder: Of its first picture.

    Raises:
        ImageReadError: The file is damaged.
        OSError: The file cannot be read any more.
    """
    if source.kind in ("GIF", "WebP"):
        frames = decoder.frames
        if frames > 1:
            return Pictures(animated=True, notes=(f"of {frames} frames the first is enlarged; {_all()}",))
        return Pictures()
    with source.open() as file:
        if source.kind == "TIFF":
            try:
                structure = TiffStructure(file)
                return _find_pages(structure, list(structure.directories()))
            except TiffStructureError:
                return Pictures()
        if (source.kind == "AVIF" and b"avis" in file.read(32)) or (
            source.kind == "PNG" and any(kind == b"acTL" for kind, _ in png.read_chunks(file))
        ):
            note = f"of an animation the first frame is enlarged; {_all()}"
            return Pictures(animated=True, notes=(note,))
        if source.kind == "JPEG" and any(jpeg.is_gain_map(*each) for each in jpeg.read_segments(file)):
            return Pictures(notes=("the gain map is lost: the picture is as screens without HDR show it",))
    return Pictures()


def _all() -> str:
    return setting("--pages all", 'pages="all"') + " takes all"


def _find_pages(structure: TiffStructure, directories: list[Directory]) -> Pictures:
    def value(directory: Directory, tag: int) -> int:
        entry = directory.entries.get(tag)
        values = structure.values(entry) if entry is not None else ()
        return values[0] if values else 0

    sizes = [(value(each, _WIDTH), value(each, _HEIGHT)) for each in directories]
    pages = tuple(
        number
        for number, directory in enumerate(directories)
        if not value(directory, _KIND) & (_REDUCED | _MASK)
        # Not every program marks the thumbnail that it writes first.
        and not (number == 0 and len(sizes) > 1 and _is_thumbnail(sizes[0], sizes[1]))
    )
    if not pages:
        return Pictures()
    notes = []
    if pages[0] != 0:
        notes.append(f"page {pages[0] + 1} is enlarged: what comes before it is its thumbnail or mask")
    if len(pages) > 1:
        notes.append(f"of {len(pages)} pages the first is enlarged; {_all()}")
    return Pictures(pages=pages, notes=tuple(notes))


def _is_thumbnail(small: tuple[int, int], large: tuple[int, int]) -> bool:
    if small[0] * _LEAST_REDUCTION > large[0] or small[1] * _LEAST_REDUCTION > large[1] or not all(small):
        return False
    # How much wider or higher the small one is than the large one, made as large.
    return abs(small[0] - large[0] * small[1] / large[1]) <= _ROUNDING or (
        abs(small[1] - large[1] * small[0] / large[0]) <= _ROUNDING
    )
