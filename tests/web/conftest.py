"""Real servers, a real browser, and small pictures."""

from __future__ import annotations

import gc
import http.cookiejar
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvmsr.cli.commands import run
from dvmsr.images.colour import ColourDescription

ROOT = Path(__file__).parents[2]

# As the command, but it ends at once where it speaks to another machine or looks for its name.
PROGRAM = """
import os, sys
def hear(event, values):
    if event == "socket.connect" and isinstance(values[1], tuple):
        asked = values[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        asked = values[0]
    else:
        return
    if asked not in (None, "127.0.0.1", "localhost", "0.0.0.0"):
        os.write(2, f"it asked for {asked}".encode())
        os._exit(99)
sys.addaudithook(hear)
from dvmsr.cli import main
main()
"""


def wait_until(condition, seconds=45):
    """Ask again and again, from here: the page lets no script be made of a text."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def until():
    return wait_until


class Server:
    """A page of its own process, as a user starts it."""

    program = PROGRAM

    def __init__(self, folder, *arguments):
        self.folder = folder
        command = [sys.executable, "-c", PROGRAM, "web", "--no-browser", "--threads", "1", "--folder", folder]
        if "--port" not in arguments:
            command += ["--port", "0"]
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, self.process.stderr.read()
        self.url = found[0]

    @property
    def address(self):
        """Host and port."""
        host, _, port = self.url.strip("/").removeprefix("http://").partition(":")
        return host, int(port)

    @property
    def files(self):
        """All that lies in its folder, but for locks."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock"]

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


class Client:
    """A program that uses the API, and keeps its cookie."""

    def __init__(self, server, **headers):
        self._url = server.url
        self._headers = headers
        self._cookies = http.cookiejar.CookieJar()
        keeping = urllib.request.HTTPCookieProcessor(self._cookies)
        self._opener = urllib.request.build_opener(keeping, urllib.request.ProxyHandler({}))

    @property
    def cookie(self):
        """The header by which it is known."""
        return "; ".join(f"{each.name}={each.value}" for each in self._cookies)

    def ask(self, method, path, body=None, timeout=60, **headers):
        """Status, headers and body of an answer; an object is sent as JSON."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self._url + path, data, {**self._headers, **headers}, method=method)
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def json(self, method, path, body=None):
        status, _, answer = self.ask(method, path, body)
        return status, json.loads(answer) if answer else None

    def add(self, path, name=None):
        """Upload a file: status, and the picture or the sentence why not."""
        query = urllib.parse.urlencode({"name": name or path.name})
        return self.json("POST", f"api/pictures?{query}", path.read_bytes())

    def pictures(self):
        return self.json("GET", "api/pictures")[1]["pictures"]

    def wait(self, picture, *states):
        """Wait for a picture to be in a state, by default an end."""
        states = states or ("done", "failed", "cancelled")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (now,) = [each for each in self.pictures() if each["id"] == picture["id"]]
            if now["state"] in states:
                return now
            time.sleep(0.03)
        raise AssertionError(f"still {now}")


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Start servers, which end with the tests."""
    servers = []

    def start(*arguments, folder=None):
        servers.append(Server(folder or tmp_path_factory.mktemp("pages"), *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture(scope="session")
def server(start_server):
    """The page as it is by default."""
    return start_server()


@pytest.fixture(scope="session")
def narrow_server(start_server):
    """A page that takes little."""
    return start_server(
        *("--max-file", "0.05", "--max-pixels", "40000", "--max-queue", "1", "--max-pictures", "3"),
        *("--max-minutes", "0.4", "--max-stored", "0.5", "--max-people", "3"),
    )


@pytest.fixture(scope="session")
def connect():
    """Make a program that uses a server, as somebody else each time."""
    return Client


@pytest.fixture
def client(server):
    client = Client(server)
    yield client
    client.ask("DELETE", "api/pictures")


@pytest.fixture(scope="session")
def cat():
    """A part of a photograph, (32, 48, 3)."""
    return np.asarray(Image.open(ROOT / "examples" / "chelsea.png").convert("RGB"))[110:142, 150:198]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, cat):
    """Files by name, of many kinds."""
    folder = tmp_path_factory.mktemp("pictures")
    profile = ColourDescription(code_points=(12, 13)).to_profile(grey=False)
    exif = Image.Exif()
    exif[271], exif[274] = "Camera", 6  # its maker, and that it lies on its side
    Image.fromarray(cat).save(folder / "cat.png")
    Image.fromarray(cat).save(folder / "p3.jpg", icc_profile=profile, exif=exif, quality=95)
    Image.fromarray(cat[..., 0].astype(np.uint16) * 257).save(folder / "grey16.png")
    alpha = np.linspace(0, 255, cat.shape[0] * cat.shape[1]).reshape(cat.shape[:2]).astype(np.uint8)
    Image.fromarray(np.dstack([cat, alpha])).save(folder / "alpha.png")
    Image.fromarray(np.tile(cat, (3, 3, 1))).save(folder / "middle.png")
    Image.fromarray(np.tile(cat, (12, 16, 1))).save(folder / "large.png")
    flat = np.full((24, 32, 3), (200, 80, 60), np.uint8)
    Image.fromarray(flat).save(folder / "flat.png", icc_profile=profile)
    frames = [Image.fromarray(np.roll(cat, 8 * number, axis=1)) for number in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=80, loop=0)
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    (folder / "broken.jpg").write_bytes((folder / "p3.jpg").read_bytes()[:-400])
    (folder / "text.png").write_text("no picture")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def command_line(monkeypatch, tmp_path):
    """Enlarge a file by ``dvmsr upscale``, and return the result's path."""
    number = iter(range(100))

    def upscale(path, *arguments):
        folder = tmp_path / f"command-line-{next(number)}"
        folder.mkdir()
        monkeypatch.setattr(
            sys, "argv", ["dvmsr", "upscale", str(path), "-o", str(folder), "--threads", "1", *arguments]
        )
        assert run() == 0
        (result,) = folder.iterdir()
        return result

    yield upscale
    # What a process that ends soon need not look at, this one should.
    gc.unfreeze()


@pytest.fixture(scope="session")
def browser():
    """Chromium, to which there is no other machine than this one."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    rules = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a page as somebody else each time; what goes wrong in its scripts or asks for elsewhere fails."""
    contexts, wrong = [], []

    def open_page(server, **settings):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith((server.url, "blob:")) or wrong.append(request.url),
        )
        page.goto(server.url)
        wait_until(lambda: page.evaluate("document.getElementById('scale').value"))
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            page.evaluate("fetch('api/pictures', {method: 'DELETE'})")
        context.close()
    assert wrong == []


@pytest.fixture
def shoot(tmp_path):
    """Take a picture of a page, kept where DVMSR_SCREENSHOTS says."""
    folder = Path(os.environ.get("DVMSR_SCREENSHOTS", tmp_path))

    def shoot(page, name):
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    return shoot
