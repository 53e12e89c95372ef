"""The README's measured sections and the plot, from the numbers that are stored."""

from __future__ import annotations

import json

import pytest
import pyvips

import plot
from readme_table import BEGIN, END, README, rewrite, section, sections
from rows import RESULT, fastest, read_report


@pytest.fixture(scope="module")
def stored():
    return read_report(RESULT)


@pytest.mark.parametrize("source", ["inference.json", "strength.json"])
def test_readme_says_what_is_stored(source):
    """If not: ``python benchmarks/readme_table.py``."""
    readme = README.read_text(encoding="utf-8")
    assert rewrite(readme, source, sections()[source]) == readme


def test_the_table_of_damages_has_the_scores():
    stored = json.loads((RESULT.parent / "strength.json").read_text(encoding="utf-8"))["sets"]
    lines = sections()["strength.json"].splitlines()
    (line,) = (line for line in lines if line.startswith("| Set14 | JPEG, quality 40 |"))
    row = stored["Set14"]["jpeg40"]
    assert f"| {row['1']['psnr_y']:.2f} / {row['1']['ssim_y']:.4f} |" in line
    assert len(lines) == 2 + 6 * len(stored)


def test_the_table_has_the_medians(stored):
    _, rows = stored
    side, threads = rows[0].width, max(row.threads for row in rows)
    engine = fastest(rows, network="dvmsr-engine", precision="fp32", threads=threads, width=side)
    rlfn = fastest(rows, network="rlfn-torch", precision="fp32", threads=threads, width=side)
    assert engine is not None
    assert rlfn is not None
    (line,) = (
        line for line in section(*stored).splitlines() if line.startswith("| DVMSR, this engine | float32")
    )
    assert (
        f"| {engine.seconds:.3f} | {engine.seconds / rlfn.seconds:.2f} | {engine.peak_mib:.0f} MiB |" in line
    )
    # The fastest form, not any.
    forms = [row for row in rows if (row.network, row.precision, row.width) == ("rlfn-torch", "fp32", side)]
    assert len({row.form for row in forms}) == 3
    assert rlfn.seconds == min(row.seconds for row in forms if row.threads == threads)


def test_only_what_is_between_the_marks_is_rewritten():
    one, two = (BEGIN.format(name) for name in ("one.json", "two.json"))
    readme = f"before\n{one}\nold\n{END}\nbetween\n{two}\nold\n{END}\nafter\n"
    changed = rewrite(readme, "two.json", "new")
    assert changed == f"before\n{one}\nold\n{END}\nbetween\n{two}\n\nnew\n\n{END}\nafter\n"
    for lacking in (two, END):
        with pytest.raises(SystemExit, match="must have the lines"):
            rewrite(readme.replace(lacking, ""), "two.json", "new")


def test_numbers_of_another_run_change_the_section(stored):
    report, rows = stored
    assert section(report, rows) != section({**report, "machine": {**report["machine"], "cores": 99}}, rows)


def test_the_plot_has_every_side(stored, tmp_path):
    _, rows = stored
    curves = plot.curves(rows)
    sides = sorted({row.width for row in rows})
    assert [row.width for row in curves["dvmsr-engine", "fp32"]] == sides
    assert {row.form for row in curves["dvmsr-engine", "fp32"]} == {"stream"}
    plot.draw(rows, tmp_path / "new" / "plot.png")
    assert pyvips.Image.new_from_file(str(tmp_path / "new" / "plot.png")).width == 1000


def test_the_readme_shows_the_plot():
    assert plot.PICTURE.exists()
    assert f"({plot.PICTURE.relative_to(README.parent).as_posix()})" in README.read_text(encoding="utf-8")
