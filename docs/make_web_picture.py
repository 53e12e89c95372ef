"""Draw docs/images/web.webp: the page in Chromium, with the example photograph before and after."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyvips
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Start the page, enlarge the photograph as a visitor does, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dvmsr", "web", "--no-browser", "--port", "0", "--folder", folder]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
            sync_playwright() as playwright,
        ):
            assert server.stdout is not None
            url = re.findall(r"http\S+", server.stdout.readline())[0]
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1200, "height": 620}, color_scheme="light")
            page.set_default_timeout(120_000)
            page.goto(url)
            page.set_input_files("#choose", [str(ROOT / "examples" / "chelsea.png")])
            page.get_by_role("button", name="Enlarge chelsea.png").click()
            page.get_by_role("button", name="Compare chelsea.png").click()
            page.locator("#layer-after[data-ready=true]").wait_for()
            page.get_by_role("button", name="One pixel of the result").click()
            page.locator("#layer-after[data-ready=true]").wait_for()
            seen = Path(folder) / "seen.png"
            page.screenshot(path=seen)
            image = pyvips.Image.new_from_file(str(seen))
            image.webpsave(str(ROOT / "docs" / "images" / "web.webp"), Q=82, keep="none")
            browser.close()
            server.terminate()


if __name__ == "__main__":
    main()
