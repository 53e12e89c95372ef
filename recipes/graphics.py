"""Draws slides, documents, screens, charts and line art to train on, beside photographs: one PNG each.

    python recipes/graphics.py GRAPHICS --count 200

All of them come from random numbers, the words from Python's own documentation and the letters from the fonts
of this machine, which fc-list (fontconfig) names. With the same fonts and Pillow the same files come out.
"""

from __future__ import annotations

import argparse
import math
import pydoc_data.topics
import random
import re
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
WORDS = re.findall(r"[A-Za-z][A-Za-z'-]+", " ".join(pydoc_data.topics.topics.values()))
# Signs without letters, and those of Noto's families that are for other scripts.
UNFIT = re.compile(r"Symbol|Math|Emoji|Noto(Sans|Serif)(?!-|Mono|Display)")
SMALLEST = 128
SUPERSAMPLING = 4
"""Shapes are drawn so many times larger and reduced, as Pillow draws them without antialiasing."""


class Canvas:
    """An image in work: its background, its two fonts, and random choices."""

    def __init__(self, rng: random.Random, fonts: list[str], side: int) -> None:
        self.rng, self.side = rng, side
        self.image = background(rng, side)
        self.draw = ImageDraw.Draw(self.image)
        self.dark = np.asarray(self.image.convert("L")).mean() < 128
        self.families = [rng.choice(fonts) for _ in range(2)]

    def ink(self) -> Colour:
        """Return a colour that can be read on the background."""
        rng = self.rng
        if rng.random() < 0.45:
            grey = rng.randint(205, 255) if self.dark else rng.randint(0, 50)
            return (grey, grey, grey)
        far = 255 if self.dark else 0
        red, green, blue = (int(far + (value - far) * 0.6) for value in self.colour())
        return red, green, blue

    def colour(self) -> Colour:
        """Return any colour."""
        return self.rng.randint(0, 255), self.rng.randint(0, 255), self.rng.randint(0, 255)

    def font(self, size: int, family: int = 0) -> ImageFont.FreeTypeFont:
        """Return one of the two fonts."""
        return ImageFont.truetype(self.families[family], size)

    def paste(self, layer: Image.Image, place: tuple[int, int]) -> None:
        """Lay a supersampled layer with transparency over the image."""
        size = (layer.width // SUPERSAMPLING, layer.height // SUPERSAMPLING)
        layer = layer.resize(size, Image.Resampling.BOX)
        self.image.paste(layer, place, layer)


def background(rng: random.Random, side: int) -> Image.Image:
    """Return one grey, one colour, or a dithered gradient."""
    kind = rng.random()
    start = np.array([rng.randint(0, 255) for _ in range(3)], float)
    if kind < 0.4:
        grey = rng.choice([255, 255, 255, 250, 240, 245, 30, 20, 0, 40])
        return Image.new("RGB", (side, side), (grey, grey, grey))
    if kind < 0.6:
        return Image.new("RGB", (side, side), tuple(int(value) for value in start))
    end = np.clip(start + np.array([rng.randint(-120, 120) for _ in range(3)]), 0, 255)
    angle = rng.random() * math.tau
    y, x = np.mgrid[0:side, 0:side] / side
    way = x * math.cos(angle) + y * math.sin(angle)
    if kind > 0.85:
        way = np.hypot(x - rng.random(), y - rng.random())
    way = (way - way.min()) / (way.max() - way.min())
    pixels = start + (end - start) * way[..., None]
    dither = np.random.default_rng(rng.randint(0, 1 << 30)).random(pixels.shape) - 0.5
    return Image.fromarray(np.clip(np.rint(pixels + dither), 0, 255).astype(np.uint8))


def phrase(rng: random.Random, count: int) -> str:
    """Return some words, at times in capitals or with numbers among them."""
    first = rng.randrange(len(WORDS) - count - 1)
    words = WORDS[first : first + count]
    kind = rng.random()
    if kind < 0.08:
        words = [word.upper() for word in words]
    if kind > 0.75:
        words = [
            word
            if rng.random() < 0.85
            else f"{rng.uniform(0, 10 ** rng.randint(1, 5)):.{rng.randint(0, 3)}f}"
            for word in words
        ]
    return " ".join(words)


def paragraph(canvas: Canvas, box: tuple[int, int, int, int], size: int, family: int, leading: float) -> None:
    """Fill a box with lines of text."""
    left, top, right, bottom = box
    font, ink = canvas.font(size, family), canvas.ink()
    while top + size < bottom:
        line = phrase(canvas.rng, canvas.rng.randint(2, 16))
        while line and font.getlength(line) > right - left:
            line = line.rpartition(" ")[0]
        canvas.draw.text((left, top), line, font=font, fill=ink)
        top += int(size * leading)


def shape(canvas: Canvas) -> None:
    """Draw one shape somewhere: a box, an ellipse, a polygon, an arc, a line or hatching."""
    rng, side = canvas.rng, canvas.side
    width, height = rng.randint(10, side // 2), rng.randint(10, side // 2)
    place = rng.randint(-20, side - 20), rng.randint(-20, side - 20)
    columns, rows = width * SUPERSAMPLING, height * SUPERSAMPLING
    layer = Image.new("RGBA", (columns, rows), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    stroke = rng.choice([1, 1, 2, 2, 3, 4, 6]) * SUPERSAMPLING
    fill = (*canvas.colour(), 255) if rng.random() < 0.5 else None
    line = (*canvas.ink(), 255)
    kind = rng.randrange(7)
    box = (stroke, stroke, columns - stroke, rows - stroke)
    if box[2] <= box[0] or box[3] <= box[1]:
        return

    def points(count: int) -> list[tuple[int, int]]:
        return [(rng.randint(0, columns), rng.randint(0, rows)) for _ in range(count)]

    if kind == 0:
        draw.rectangle(box, fill=fill, outline=line, width=stroke)
    elif kind == 1:
        draw.ellipse(box, fill=fill, outline=line, width=stroke)
    elif kind == 2:
        radius = rng.randint(2, 20) * SUPERSAMPLING
        draw.rounded_rectangle(box, radius=radius, fill=fill, outline=line, width=stroke)
    elif kind == 3:
        draw.polygon(points(rng.randint(3, 6)), fill=fill, outline=line, width=stroke)
    elif kind == 4:
        draw.arc(box, rng.randint(0, 360), rng.randint(0, 720), fill=line, width=stroke)
    elif kind == 5:
        draw.line(points(rng.randint(2, 6)), fill=line, width=stroke, joint="curve")
    else:
        step = rng.randint(2, 12) * SUPERSAMPLING
        for x in range(0, columns, step):
            end = (x + rng.choice([0, 0, rows]), rows)
            draw.line([(x, 0), end], fill=line, width=max(SUPERSAMPLING, step // 3))
    canvas.paste(layer, place)


def slide(canvas: Canvas) -> None:
    """A title, points under it, and some shapes."""
    rng, side, draw = canvas.rng, canvas.side, canvas.draw
    size = rng.randint(26, 56)
    title, font = phrase(rng, rng.randint(1, 4)), canvas.font(size)
    if rng.random() < 0.4:
        shadow = rng.randint(1, 3)
        draw.text((24 + shadow, 18 + shadow), title, font=font, fill=(0, 0, 0))
    draw.text((24, 18), title, font=font, fill=canvas.ink())
    y = 30 + size
    size = rng.randint(14, 30)
    font, ink = canvas.font(size, rng.randint(0, 1)), canvas.ink()
    while y + size < side - 10:
        if rng.random() < 0.15:
            y += size
        left = rng.choice([24, 24, 50, 80])
        if rng.random() < 0.7:
            top, dot = y + size // 2, size // 4
            draw.ellipse((left, top, left + dot, top + dot), fill=ink)
        draw.text((left + size // 2, y), phrase(rng, rng.randint(2, 8)), font=font, fill=ink)
        y += int(size * rng.uniform(1.2, 1.6))
    for _ in range(rng.randint(0, 3)):
        shape(canvas)


def document(canvas: Canvas) -> None:
    """Paragraphs in columns."""
    rng, side = canvas.rng, canvas.side
    columns = rng.choice([1, 1, 2, 3])
    width = (side - 20) // columns
    for column in range(columns):
        y = 12
        while y < side - 30:
            height = rng.randint(60, 260)
            size = rng.choice([8, 9, 10, 11, 12, 13, 14, 16, 18, 22])
            box = (12 + column * width, y, (column + 1) * width, min(side - 5, y + height))
            paragraph(canvas, box, size, rng.randint(0, 1), rng.uniform(1.1, 1.5))
            y += height + 12


def screen(canvas: Canvas) -> None:
    """Rows of buttons, boxes and labels."""
    rng, side, draw = canvas.rng, canvas.side, canvas.draw
    y = 0
    while y < side:
        height, x = rng.choice([18, 22, 28, 36, 48]), 0
        if rng.random() < 0.5:
            fill = canvas.colour() if rng.random() < 0.4 else None
            draw.rectangle((0, y, side, y + height), fill=fill, outline=canvas.ink(), width=1)
        while x < side:
            width, kind = rng.randint(30, 180), rng.random()
            size = min(height - 6, rng.randint(9, 20))
            if kind < 0.25:
                box = (x + 3, y + 3, x + width - 3, y + height - 3)
                radius = rng.randint(0, 8)
                draw.rounded_rectangle(box, radius=radius, fill=canvas.colour(), outline=canvas.ink())
            elif kind < 0.32:
                box = (x + 4, y + 4, x + height - 4, y + height - 4)
                draw.rectangle(box, outline=canvas.ink(), width=rng.randint(1, 2))
            if kind < 0.85:
                text, font = phrase(rng, rng.randint(1, 3)), canvas.font(size, rng.randint(0, 1))
                draw.text((x + 8, y + (height - size) // 2 - 1), text, font=font, fill=canvas.ink())
            x += width
        y += height


def chart(canvas: Canvas) -> None:
    """Axes, numbers, and bars or lines."""
    rng, side, draw = canvas.rng, canvas.side, canvas.draw
    ink, font = canvas.ink(), canvas.font(rng.randint(9, 16))
    left, bottom = rng.randint(30, 60), side - rng.randint(30, 60)
    for tick in range(rng.randint(3, 9)):
        y = bottom - tick * rng.randint(30, 60)
        draw.line((left, y, side - 10, y), fill=canvas.ink(), width=1)
        draw.text((4, y - 7), f"{tick * 10 ** rng.randint(0, 2)}", font=font, fill=ink)
    draw.line((left, bottom, side - 10, bottom), fill=ink, width=2)
    draw.line((left, bottom, left, 10), fill=ink, width=2)
    count = rng.randint(4, 24)
    width = (side - left - 20) // count
    for i in range(count):
        draw.text((left + i * width, bottom + 4), str(1990 + i), font=font, fill=ink)
    if rng.random() < 0.5:
        for i in range(count):
            box = (left + i * width + 2, rng.randint(20, bottom - 2), left + (i + 1) * width - 2, bottom)
            draw.rectangle(box, fill=canvas.colour(), outline=ink if rng.random() < 0.5 else None)
    else:
        layer = Image.new("RGBA", (side * SUPERSAMPLING, side * SUPERSAMPLING), (0, 0, 0, 0))
        for _ in range(rng.randint(1, 5)):
            y, points = rng.randint(60, bottom), []
            for i in range(count + 1):
                y = min(bottom, max(15, y + rng.randint(-60, 60)))
                points.append(((left + i * width) * SUPERSAMPLING, y * SUPERSAMPLING))
            line, stroke = (*canvas.colour(), 255), rng.randint(1, 4) * SUPERSAMPLING
            ImageDraw.Draw(layer).line(points, fill=line, width=stroke, joint="curve")
        canvas.paste(layer, (0, 0))
    draw.text((left + 10, 8), phrase(rng, 4), font=canvas.font(rng.randint(12, 26), 1), fill=ink)


def drawing(canvas: Canvas) -> None:
    """Many shapes, and words in large letters."""
    rng, side = canvas.rng, canvas.side
    for _ in range(rng.randint(8, 30)):
        shape(canvas)
    for _ in range(rng.randint(0, 6)):
        size = rng.randint(12, 90)
        place = rng.randint(0, side - 100), rng.randint(0, side - 40)
        canvas.draw.text(
            place,
            phrase(rng, rng.randint(1, 3)),
            font=canvas.font(size),
            fill=canvas.ink(),
            stroke_width=rng.choice([0, 0, 0, 1, 2, 3]),
            stroke_fill=canvas.colour(),
        )


KINDS = (slide, slide, document, screen, chart, drawing)


def graphic(seed: int, fonts: list[str], side: int) -> Image.Image:
    """Return the graphic of a seed, RGB, ``side`` pixels square; some are turned a little, as scans are."""
    rng = random.Random(seed)
    scale = rng.choice([1, 1, 1, 2])
    canvas = Canvas(rng, fonts, side * scale)
    rng.choice(KINDS)(canvas)
    image = canvas.image
    if scale > 1 and rng.random() < 0.3:
        image = image.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC, fillcolor=canvas.colour())
    return image.resize((side, side), Image.Resampling.BOX)


def find_fonts() -> list[str]:
    """Return the files of the fonts that have Latin letters and can be scaled."""
    command = ["fc-list", ":lang=en:scalable=true", "file", "--format", "%{file}\n"]
    files = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(file for file in files if file.endswith((".ttf", ".otf")) and not UNFIT.search(file))


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder, made if missing")
    parser.add_argument("--count", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next follow (default: 0)")
    parser.add_argument("--side", type=int, default=512, help="rows and columns of each (default: 512)")
    options = parser.parse_args()
    if options.side < SMALLEST:
        parser.error(f"--side: expected at least {SMALLEST}, got {options.side}")
    try:
        fonts = find_fonts()
    except OSError:
        parser.error("fc-list was not found: install fontconfig (Debian, Ubuntu: apt install fontconfig)")
    if not fonts:
        parser.error("no fonts: install some (Debian, Ubuntu: apt install fonts-dejavu fonts-liberation2)")
    options.output.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seed, options.seed + options.count):
        graphic(seed, fonts, options.side).save(options.output / f"graphics_{seed:04}.png")


if __name__ == "__main__":
    main()
