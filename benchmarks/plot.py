"""Draw time and peak memory against the size of the image, from what ``inference.py`` measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from rows import RESULT, Row, fastest, read_report

PICTURE = Path(__file__).resolve().parents[1] / "docs/images/inference.png"
# Of each network one colour, of each precision one line.
LINES = {
    ("dvmsr-engine", "fp32"): ("DVMSR, engine, float32", "C0", "o-"),
    ("dvmsr-engine", "bf16"): ("DVMSR, engine, bfloat16", "C0", "o--"),
    ("dvmsr-torch", "fp32"): ("DVMSR, PyTorch, float32", "C1", "s-"),
    ("rlfn-torch", "fp32"): ("RLFN, PyTorch, float32", "C2", "^-"),
    ("rlfn-torch", "bf16"): ("RLFN, PyTorch, bfloat16", "C2", "^--"),
}


def curves(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return a row for each side, the least first, of each network and precision with the most threads.

    Of the engine the stream, of the others the fastest form.
    """
    threads = max(row.threads for row in rows)
    found = {}
    for network, precision in LINES:
        form = {"form": "stream"} if network == "dvmsr-engine" else {}
        fields = {"network": network, "precision": precision, "threads": threads, **form}
        by_side = (fastest(rows, **fields, width=side) for side in sorted({row.width for row in rows}))
        found[network, precision] = [row for row in by_side if row is not None]
    return found


def draw(rows: list[Row], path: Path) -> None:
    """Write the picture as a PNG file: time on the left, memory on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    lines = curves(rows)
    threads = max(row.threads for row in rows)
    _panel(left, lines, lambda row: row.seconds / row.megapixels, f"seconds per megapixel, {threads} threads")
    _panel(right, lines, lambda row: row.peak_mib, "peak memory of the process, MiB")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _panel(
    axes: Axes, lines: dict[tuple[str, str], list[Row]], value: Callable[[Row], float], label: str
) -> None:
    for key, rows in lines.items():
        name, colour, style = LINES[key]
        axes.plot(
            [row.megapixels for row in rows], [value(row) for row in rows], style, color=colour, label=name
        )
    axes.set(xscale="log", yscale="log", xlabel="side of the square LR image, pixels", ylabel=label)
    sides = sorted({row.width for rows in lines.values() for row in rows})
    axes.set_xticks([side**2 / 1e6 for side in sides], [str(side) for side in sides])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(visible=True, which="both", alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=PICTURE, help="PNG file (default: %(default)s)")
    options = parser.parse_args()
    draw(read_report(RESULT)[1], options.output)
    print(f"Wrote {options.output}")


if __name__ == "__main__":
    main()
