"""Write the README's speed section from what ``inference.py`` measured (a part of ``make bench``)."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from rows import RESULT, Row, fastest, read_report

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- Written by benchmarks/readme_table.py from benchmarks/results/inference.json -->"
END = "<!-- End of what benchmarks/readme_table.py writes -->"
BASELINE = {"network": "rlfn-torch", "precision": "fp32"}
NETWORKS = {
    "dvmsr-engine": "DVMSR, this engine",
    "dvmsr-torch": "DVMSR, PyTorch",
    "rlfn-torch": "RLFN, PyTorch",
}
FORMS = {"channels_last": ", channels_last", "compiled": ", torch.compile"}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def section(report: dict[str, Any], rows: list[Row]) -> str:
    """Return the section's text: the first side's table, and the ratios of the project's goals.

    Args:
        report: The facts of the result.
        rows: Its rows; those of the first side hold everything, with one thread and with all.
    """
    side, most = rows[0].width, max(row.threads for row in rows)
    here = [row for row in rows if row.width == side]
    machine = report["machine"]
    told = (
        f"Seconds for one {side}x{side} image on an {machine['processor']}, {machine['cores']} cores with"
        f" {machine['instruction_set']['torch']}: medians of {rows[0].repeats} runs in turns, with PyTorch"
        f" {machine['torch'].partition('+')[0]}. Of the forms of [RLFN](https://arxiv.org/abs/2205.07514), the"
        " baseline of the NTIRE 2024 challenge on efficient super-resolution, each line has the fastest:"
        ' contiguous, channels_last or torch.compile. bfloat16 is `precision="bf16"` of the engine, and autocast'
        " in PyTorch."
    )
    lines = [
        textwrap.fill(told, 120, break_on_hyphens=False),
        "",
        f"| network | precision | 1 thread | {most} threads | of RLFN's float32 | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for network, name in NETWORKS.items():
        for precision, full_name in PRECISIONS.items():
            one, best = (
                fastest(here, network=network, precision=precision, threads=threads) for threads in (1, most)
            )
            base = fastest(here, **BASELINE, threads=most)
            if one is not None and best is not None and base is not None:
                lines.append(
                    f"| {name}{FORMS.get(best.form, '')} | {full_name} | {one.seconds:.3f} | {best.seconds:.3f} |"
                    f" {best.seconds / base.seconds:.2f} | {best.peak_mib:.0f} MiB |"
                )
    return "\n".join([*lines, "", textwrap.fill(_scaling(rows, side, most), 120)])


def _scaling(rows: list[Row], side: int, most: int) -> str:
    """Tell how time goes with threads and sizes."""
    engine = {"network": "dvmsr-engine", "form": "stream", "precision": "fp32"}
    one, all_threads = (fastest(rows, **engine, threads=threads, width=side) for threads in (1, most))
    streams = [row for row in rows if row.network == "dvmsr-engine" and row.form == "stream"]
    large = max((row for row in streams if row.precision == "fp32"), key=lambda row: row.width)
    assert one is not None
    assert all_threads is not None
    per_pixel = large.seconds / large.megapixels / (all_threads.seconds / all_threads.megapixels)
    return (
        f"In float32 the engine is {one.seconds / all_threads.seconds:.2f} times as fast with {most} threads as"
        f" with one. Streamed, a pixel of a {large.width}x{large.height} image takes {per_pixel:.2f} times as"
        f" long as one of a {side}x{side} image, at a peak of {large.peak_mib:.0f} MiB."
    )


def rewrite(readme: str, text: str) -> str:
    """Return the README with another text between its marks.

    Raises:
        SystemExit: The marks are not there.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md must have the lines {BEGIN} and {END}, and has not")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    README.write_text(
        rewrite(README.read_text(encoding="utf-8"), section(*read_report(RESULT))), encoding="utf-8"
    )
    print(f"Wrote {README}")


if __name__ == "__main__":
    main()
