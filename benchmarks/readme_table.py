"""Write the README's measured sections from what ``inference.py`` and ``strength.py`` stored."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows import RESULT, Row, fastest, read_report

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- Written by benchmarks/readme_table.py from benchmarks/results/{} -->"
END = "<!-- End of what benchmarks/readme_table.py writes -->"
BASELINE = {"network": "rlfn-torch", "precision": "fp32"}
NETWORKS = {
    "dvmsr-engine": "DVMSR, this engine",
    "dvmsr-torch": "DVMSR, PyTorch",
    "rlfn-torch": "RLFN, PyTorch",
}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


DAMAGES = {
    "clean": "nothing",
    "jpeg40": "JPEG, quality 40",
    "jpeg60": "JPEG, quality 60",
    "jpeg80": "JPEG, quality 80",
    "noise10": "noise of 10/255",
    "phone": "blur, noise, JPEG",
}
NETWORKS_OF_DAMAGES = {"bicubic": "bicubic", "0": "clean", "1": "photo", "auto": "auto"}


def damages_section(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of what each network makes of damaged images.

    Args:
        sets: What ``strength.py`` measured.
    """
    lines = [
        "| set | what its LR images went through | " + " | ".join(NETWORKS_OF_DAMAGES.values()) + " |",
        "|---" * (2 + len(NETWORKS_OF_DAMAGES)) + "|",
    ]
    for name, rows in sets.items():
        for damage, told in DAMAGES.items():
            scores = [rows[damage][network] for network in NETWORKS_OF_DAMAGES]
            cells = (f"{score['psnr_y']:.2f} / {score['ssim_y']:.4f}" for score in scores)
            lines.append(f"| {name} | {told} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section(report: dict[str, Any], rows: list[Row]) -> str:
    """Return the section's text: the first side's table, and the ratios of the project's goals.

    Args:
        report: The facts of the result.
        rows: Its rows; those of the first side hold everything, with one thread and with all.
    """
    side, most = rows[0].width, max(row.threads for row in rows)
    here = [row for row in rows if row.width == side]
    lines = [
        _fill(_introduction(report["machine"], rows[0])),
        "",
        f"| network | precision | 1 thread | {most} threads | of RLFN's float32 | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    base = fastest(here, **BASELINE, threads=most)
    for network, name in NETWORKS.items():
        for precision, full_name in PRECISIONS.items():
            fields = {"network": network, "precision": precision}
            one, best = (fastest(here, **fields, threads=threads) for threads in (1, most))
            if one is not None and best is not None and base is not None:
                seconds = f"{one.seconds:.3f} | {best.seconds:.3f} | {best.seconds / base.seconds:.2f}"
                lines.append(f"| {name} | {full_name} | {seconds} | {best.peak_mib:.0f} MiB |")
    return "\n".join([*lines, "", _fill(_scaling(rows, side, most))])


def _fill(text: str) -> str:
    return textwrap.fill(text, 118, break_on_hyphens=False, break_long_words=False)


def _introduction(machine: dict[str, Any], row: Row) -> str:
    priority = " at real-time priority" if machine["priority"] == "real-time" else ""
    instructions, torch = machine["instruction_set"]["torch"], machine["torch"].partition("+")[0]
    return (
        f"Seconds for one {row.width}x{row.height} image on an {machine['processor']}, {machine['cores']}"
        f" cores with {instructions}: medians of {row.repeats} runs in turns{priority},"
        f" with PyTorch {torch}. Of [RLFN](https://arxiv.org/abs/2205.07514), the"
        " baseline of the NTIRE 2024 challenge on efficient super-resolution, each number is of its fastest"
        ' form: contiguous, channels_last or torch.compile. bfloat16 is `precision="bf16"` of the engine, and'
        " autocast in PyTorch. The memory is the whole process's, compiling included."
    )


def _scaling(rows: list[Row], side: int, most: int) -> str:
    """Tell how the engine's time goes with threads and sizes."""
    engine = {"network": "dvmsr-engine", "precision": "fp32"}
    # The numbers of the table, of the fastest form; a large image is streamed, and compared with that.
    one, two = (fastest(rows, **engine, threads=threads, width=side) for threads in (1, most))
    here = fastest(rows, **engine, form="stream", threads=most, width=side)
    large = fastest(rows, **engine, form="stream", threads=most, width=max(row.width for row in rows))
    assert one is not None
    assert two is not None
    assert here is not None
    assert large is not None
    per_pixel = large.seconds / large.megapixels / (here.seconds / here.megapixels)
    return (
        f"In float32 the engine is {one.seconds / two.seconds:.2f} times as fast with {most} threads as with"
        f" one. Streamed, a pixel of a {large.width}x{large.height} image takes {per_pixel:.2f} times as"
        f" long as one of a {side}x{side} image, at a peak of {large.peak_mib:.0f} MiB."
    )


def rewrite(readme: str, source: str, text: str) -> str:
    """Return the README with another text between the marks of a file of results.

    Raises:
        SystemExit: The marks are not there.
    """
    before, begin, rest = readme.partition(BEGIN.format(source))
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md must have the lines {BEGIN.format(source)} and {END}, and has not")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def sections() -> dict[str, str]:
    """Return the text of each section by the name of its file of results."""
    strength = json.loads((RESULT.parent / "strength.json").read_text(encoding="utf-8"))
    return {RESULT.name: section(*read_report(RESULT)), "strength.json": damages_section(strength["sets"])}


def main() -> None:
    readme = README.read_text(encoding="utf-8")
    for source, text in sections().items():
        readme = rewrite(readme, source, text)
    README.write_text(readme, encoding="utf-8")
    print(f"Wrote {README}")


if __name__ == "__main__":
    main()
