"""The HTTP API: what programs send and get."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import resource
import shutil
import socket
import subprocess
import zipfile
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image

from dvmsr.errors import RequestError
from dvmsr.images import read_image
from dvmsr.web import Limits
from dvmsr.web.sessions import Sessions
from dvmsr.web.uploads import take_in

ROOT = Path(__file__).parents[2]


def a_picture_of(count):
    """A PNG file of so many bytes: what comes after its end is passed over."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "png")
    return file.getvalue() + bytes(count - len(file.getvalue()))


@pytest.mark.parametrize(
    ("name", "query", "arguments"),
    [
        ("cat.png", "", ()),
        ("grey16.png", "scale=2.5&format=tif", ("--scale", "2.5", "--format", "tif")),
        (
            "alpha.png",
            "scale=2&alpha=bicubic&format=png",
            ("-s", "2", "--alpha", "bicubic", "--format", "png"),
        ),
        ("p3.jpg", "size=long%3D100&quality=70", ("--size", "long=100", "--quality", "70")),
        ("p3.jpg", "format=avif&lossless=true", ("--format", "avif", "--lossless")),
        ("cat.png", "model=photo&strength=0.35", ("--model", "photo", "--strength", "0.35")),
        ("p3.jpg", "model=clean", ("--model", "clean")),
        ("moving.gif", "scale=2&pages=all", ("--scale", "2", "--pages", "all")),
        ("pages.tif", "scale=2&pages=all", ("--scale", "2", "--pages", "all")),
    ],
)
def test_one_request_has_the_command_lines_bytes(
    client, server, pictures, command_line, name, query, arguments
):
    status, headers, body = client.ask(
        "POST", f"api/enlarge?name={name}&{query}", pictures[name].read_bytes()
    )
    expected = command_line(pictures[name], *arguments)
    assert status == 200
    assert headers.get_filename() == expected.name
    assert body == expected.read_bytes()
    # Nothing of it is kept.
    assert server.files == []


def test_what_is_lost_is_said(client, pictures):
    status, headers, _ = client.ask(
        "POST", "api/enlarge?name=grey16.png&format=jpg&scale=2", pictures["grey16.png"].read_bytes()
    )
    assert status == 200
    assert json.loads(headers["Dvmsr-Notes"]) == ["8 of 16 bits are kept: JPEG holds no more"]


def test_step_by_step(client, pictures, command_line):
    status, added = client.add(pictures["p3.jpg"])
    assert status == 201
    # It lies on its side, and is told upright.
    assert (added["width"], added["height"], added["state"]) == (32, 48, "ready")
    path = f"api/pictures/{added['id']}"
    assert client.json("POST", "api/plan", {"scale": 2})[1][added["id"]]["width"] == 64
    assert client.ask("GET", f"{path}/result")[0] == 404
    assert client.json("POST", f"{path}/enlarge", {"scale": 2})[0] == 202
    assert client.wait(added)["result"]["name"] == "p3_x2.jpg"
    assert client.ask("GET", f"{path}/result")[2] == command_line(pictures["p3.jpg"], "-s", "2").read_bytes()
    assert client.ask("DELETE", path)[0] == 204
    assert client.pictures() == []


def test_all_in_one_file_though_they_have_one_name(server, client, pictures, until):
    names = ["cat.png", "cat.png", "CAT.png", "caf\u00e9.png", "cafe\u0301.png"]
    added = [client.add(pictures["cat.png"], name)[1] for name in names]
    for picture in added:
        client.json("POST", f"api/pictures/{picture['id']}/enlarge", {"scale": 1.5})
    for picture in added:
        client.wait(picture)
    status, headers, body = client.ask("GET", "api/results.zip")
    assert (status, headers.get_filename()) == (200, "dvmsr.zip")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "cat_x1.5.png",
            "cat_x1.5 (2).png",
            "CAT_x1.5 (3).png",
            "caf\u00e9_x1.5.png",
            "caf\u00e9_x1.5 (2).png",
        ]
    # Who hangs up amid it leaves nothing either.
    asked = f"GET /api/results.zip HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {client.cookie}\r\n\r\n"
    with socket.create_connection(server.address) as connection:
        connection.sendall(asked.encode())
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    until(lambda: not [path for path in server.files if path.suffix == ".zip"])


def test_tiles_are_the_picture(client, pictures, tmp_path):
    _, added = client.add(pictures["cat.png"])
    path = f"api/pictures/{added['id']}"
    _, view = client.json("GET", f"{path}/views/before")
    assert (view["width"], view["height"], view["levels"]) == (48, 32, 1)
    status, headers, body = client.ask("GET", f"{path}/tiles/{view['name']}/0/0/0")
    assert (status, headers["content-type"]) == (200, "image/png")
    (tmp_path / "tile.png").write_bytes(body)
    np.testing.assert_array_equal(read_image(tmp_path / "tile.png"), read_image(pictures["cat.png"]))
    assert client.ask("GET", f"{path}/views/after")[0] == 404
    assert client.ask("GET", f"{path}/tiles/before/7/0/0")[0] == 404
    assert client.ask("GET", f"{path}/thumbnail")[0] == 200


def test_a_part(client, pictures):
    _, added = client.add(pictures["cat.png"])
    path = f"api/pictures/{added['id']}/parts"
    box = {"left": 4, "top": 2, "width": 20, "height": 16}
    status, made = client.json("POST", path, {"box": box, "settings": {"scale": 3}})
    assert (status, made["width"], made["height"]) == (201, 60, 48)
    assert client.ask("GET", f"{path}/{made['id']}/after")[0] == 200
    status, told = client.json("POST", path, {"box": {**box, "left": 40}})
    assert status == 400
    assert told["error"] == "expected a part of 48x32 pixels, got 20x16 pixels at column 40, row 2"
    assert client.json("POST", path, {})[1]["error"].startswith("expected a box of left")
    for wrong in ({**box, "left": float("inf")}, {**box, "top": 0.5}, {**box, "top": True}, [4, 2, 20, 16]):
        assert client.json("POST", path, {"box": wrong})[0] == 400
    for wrong in ([1], "scale=2"):
        status, told = client.json("POST", path, {"box": box, "settings": wrong})
        assert (status, told["error"]) == (400, "expected settings as an object")


def test_a_part_of_an_animation_is_of_its_first_frame(client, pictures):
    _, added = client.add(pictures["moving.gif"])
    assert added["has_more"]
    box = {"left": 0, "top": 0, "width": 48, "height": 32}
    path = f"api/pictures/{added['id']}/parts"
    status, made = client.json("POST", path, {"box": box, "settings": {"scale": 2, "pages": "all"}})
    assert (status, made["width"], made["height"]) == (201, 96, 64)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"scale": 17}, "scale must be a number above 1, up to 16, got 17.0"),
        ({"scale": "two"}, "scale must be a number, got 'two'"),
        ({"scale": 2, "size": "9x"}, "expected either a scale or a size, got both"),
        ({"size": "large"}, "expected a size such as 3840x2160"),
        ({"format": "bmp"}, "format must be one of png, jpg"),
        ({"quality": 101}, "quality must be from 1 to 100, got 101"),
        ({"quality": float("inf")}, "quality must be a whole number, got inf"),
        ({"quality": "nan"}, "quality must be a whole number, got nan"),
        ({"scale": 10**400}, "scale must be a number, got '1000"),
        ({"pages": "some"}, "pages must be one of first, all; got 'some'"),
        ({"\ud800": 1}, "got \\ud800"),
        ({"quality": 5, "lossless": True}, "expected either a quality or lossless, got both"),
        ({"alpha": "none"}, "alpha must be one of network, bicubic"),
        ({"sharpen": 3}, "got sharpen"),
        ({"model": "anime"}, "model must be one of auto, clean, photo; got 'anime'"),
        ({"strength": 0.5}, "strength is of the model photo: choose that as well, or none"),
        ({"model": "photo", "strength": 0.33}, "strength must be from 0 to 1 in steps of 0.05, got 0.33"),
    ],
)
def test_settings_that_are_none(client, pictures, settings, sentence):
    _, added = client.add(pictures["cat.png"])
    status, told = client.json("POST", f"api/pictures/{added['id']}/enlarge", settings)
    assert status == 400
    assert sentence in told["error"]


def test_lossless_jpeg_is_refused_before_it_is_begun(client, pictures):
    _, added = client.add(pictures["cat.png"])
    path = f"api/pictures/{added['id']}/enlarge"
    status, told = client.json("POST", path, {"format": "jpg", "lossless": True})
    assert status == 422
    assert told["error"] == "cat_x4.jpg: JPEG loses some detail; write PNG, TIFF, WebP or AVIF"


def test_what_is_no_request(client, pictures):
    _, added = client.add(pictures["cat.png"])
    path = f"api/pictures/{added['id']}"
    assert client.ask("POST", f"{path}/enlarge", b"[]")[0] == 400
    assert client.ask("POST", f"{path}/enlarge", b"{")[0] == 400
    assert client.ask("GET", "api/nothing")[0] == 404
    for depth in (b"[" * 50_000, b'{"a":' * 13_000):
        assert client.ask("POST", f"{path}/enlarge", depth)[0] == 400
    status, told = client.json("POST", "api/plan", b'{"scale": "' + bytes(1 << 16))
    assert (status, told["error"]) == (413, "expected at most 65,536 bytes of JSON")
    status, told = client.json("PUT", path)
    assert (status, told["error"]) == (405, f"/{path} cannot be asked for by PUT")
    client.ask("GET", f"{path}/views/before")
    for other in (
        *("tiles/" + 400 * "x" + "/0/0/0", "tiles/before/" + 5000 * "9" + "/0/0", "tiles/before/..%2f0/0/0"),
        *(
            "tiles/before/0/0/0.png",
            "tiles/before/0/x/0",
            "parts/" + 400 * "x" + "/after",
            "parts/x/original",
        ),
    ):
        assert client.ask("GET", f"{path}/{other}")[0] == 404
    assert client.ask("GET", f"{path}/tiles/before/0/0/0")[0] == 200
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, _, told = client.ask("POST", "api/pictures?name=a.png", b"--x--", **form)
    assert status == 415
    assert b"expected a file as the request's body, and not within a form" in told
    assert client.ask("GET", f"{path}/tiles/..%2F..%2Foriginal/0/0/0")[0] == 404
    assert client.ask("GET", "%2e%2e/settings.py")[0] == 404
    assert client.add(pictures["text.png"])[0] == 422
    assert client.add(pictures["cat.png"], name="../../\0.png")[1]["name"] == "_.png"


def test_others_cannot_see_it(server, client, pictures, connect):
    _, added = client.add(pictures["cat.png"])
    other = connect(server)
    other.add(pictures["cat.png"])
    for rest in ("thumbnail", "views/before", "result"):
        assert other.ask("GET", f"api/pictures/{added['id']}/{rest}")[0] == 404
    assert other.ask("DELETE", f"api/pictures/{added['id']}")[0] == 404
    other.ask("DELETE", "api/pictures")
    assert len(client.pictures()) == 1
    # Nobody is anybody without a cookie.
    assert connect(server).pictures() == []


def test_limits_have_sentences(narrow_server, pictures, connect):
    client = connect(narrow_server)

    def refused(name, status):
        got, told = client.add(pictures[name])
        assert got == status
        return told["error"]

    try:
        assert "large.png has 768x384 pixels, and a picture may have 0.04 million" in refused(
            "large.png", 422
        )
        bytes_sent = b"\x89PNG\r\n\x1a\n" + bytes(60_000)
        status, told = client.json("POST", "api/pictures?name=heavy.png", bytes_sent)
        assert (status, told["error"]) == (
            413,
            "heavy.png is larger than the 1 MiB that a file may have here; take a smaller file",
        )
        (_, first), (_, second), (_, third) = (
            client.add(pictures[name]) for name in ("middle.png", "cat.png", "alpha.png")
        )
        assert "there are 3 pictures on your page, and it holds no more" in refused("grey16.png", 409)
        path = "api/pictures/{}/enlarge"
        status, told = client.json("POST", path.format(first["id"]), {"scale": 16, "format": "png"})
        # One of the two is what stops it, by how fast the machine is.
        assert status in (422, 507)
        assert "are allowed for a picture" in told["error"] or "there is room for 1 MiB" in told["error"]
        assert client.json("POST", path.format(first["id"]), {"scale": 2})[0] == 202
        client.wait(first, "running", "done")
        assert client.json("POST", path.format(second["id"]), {"scale": 2})[0] == 202
        status, told = client.json("POST", path.format(third["id"]), {"scale": 2})
        if client.wait(first, "running", "done")["state"] == "running":
            assert (status, told["error"][:33]) == (429, "1 of your pictures wait already, ")
        # And one may not be there twice.
        client.wait(first)
        client.wait(second)
    finally:
        client.ask("DELETE", "api/pictures")


def test_the_room_is_kept(narrow_server, tmp_path, connect):
    """Files add up, those of all requests."""
    noise = np.random.default_rng(1).integers(0, 256, (120, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    client = connect(narrow_server)
    try:
        _, added = client.add(tmp_path / "noise.png")
        status, told = client.json("POST", f"api/pictures/{added['id']}/enlarge", {"scale": 8})
        assert status in (422, 507)
        assert "noise.png" in told["error"]
    finally:
        client.ask("DELETE", "api/pictures")


def test_uploads_at_the_same_time_have_the_room_once(narrow_server, connect, until):
    """Each alone would fit; each begins before the others have come."""
    client = connect(narrow_server)
    client.ask("POST", "api/pictures?name=a.png", a_picture_of(1000))
    picture = a_picture_of(50_000)
    sending = []
    try:
        for _ in range(15):
            sending.append(http.client.HTTPConnection(*narrow_server.address, timeout=60))
            sending[-1].putrequest("POST", "/api/pictures?name=b.png")
            sending[-1].putheader("Cookie", client.cookie)
            sending[-1].putheader("Content-Length", str(len(picture)))
            sending[-1].endheaders(picture[:-1])
        until(lambda: sum(path.stat().st_size for path in narrow_server.files) >= 600_000)
        for one in sending:
            one.send(picture[-1:])
        answers = [one.getresponse() for one in sending]
        refused = [json.loads(answer.read())["error"] for answer in answers if answer.status != 201]
        assert {answer.status for answer in answers} <= {201, 409, 507}
        assert any(sentence.startswith("there is no room for b.png any more") for sentence in refused)
    finally:
        for one in sending:
            one.close()
        client.ask("DELETE", "api/pictures")


def test_an_upload_that_stops_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("dvmsr.web.uploads._SILENT_SECONDS", 0.05)
    limits = Limits()
    sessions = Sessions(tmp_path, limits)
    session = sessions.open()

    async def some():
        yield b"beginning"
        await anyio.sleep(30)

    with pytest.raises(RequestError, match=r"nothing more of a.png came for 0.05 seconds; send it again"):
        anyio.run(lambda: take_in(sessions, session, limits, name="a.png", announced=None, chunks=some()))
    assert list(session.folder.iterdir()) == []


def test_a_disk_that_is_full(start_server, connect, pictures):
    """As a limit on the size of files tells it: the sentence to whoever asked, a line to the owner."""
    server = start_server()
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1000, hard))
    client = connect(server)
    status, told = client.add(pictures["middle.png"])
    assert (status, told["error"][:16]) == (507, "the disk is full")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert client.add(pictures["middle.png"])[0] == 201
    _, errors = server.end()
    assert errors.startswith("dvmsr: error: POST '/api/pictures': OSError: [Errno 27]")
    assert errors.count("\n") == 1


def test_too_many_people(narrow_server, pictures, connect):
    clients = [connect(narrow_server) for _ in range(4)]
    try:
        answers = [client.add(pictures["cat.png"]) for client in clients]
        assert [status for status, _ in answers] == [201, 201, 201, 503]
        assert answers[-1][1]["error"].startswith("3 people use this page at the moment")
    finally:
        for client in clients:
            client.ask("DELETE", "api/pictures")


def test_turns_are_taken(server, pictures, connect):
    """Of two people each has a turn; a long queue of one does not keep the other waiting."""
    many, one = connect(server), connect(server)
    try:
        added = [many.add(pictures[name])[1] for name in ("middle.png",) * 4]
        _, single = one.add(pictures["cat.png"])
        for picture in added:
            many.json("POST", f"api/pictures/{picture['id']}/enlarge", {"scale": 2})
        one.json("POST", f"api/pictures/{single['id']}/enlarge", {"scale": 2})
        one.wait(single)
        assert [each["state"] for each in many.pictures()].count("done") <= 2
        for picture in added:
            many.wait(picture)
    finally:
        for client in (many, one):
            client.ask("DELETE", "api/pictures")


def test_a_picture_removed_while_it_is_enlarged(server, client, pictures):
    _, added = client.add(pictures["large.png"])
    client.json("POST", f"api/pictures/{added['id']}/enlarge", {})
    client.wait(added, "running")
    assert client.ask("DELETE", f"api/pictures/{added['id']}")[0] == 204
    # The next is not kept waiting, and nothing of it stays.
    _, cat = client.add(pictures["cat.png"])
    client.json("POST", f"api/pictures/{cat['id']}/enlarge", {"scale": 2})
    assert client.wait(cat)["state"] == "done"
    assert not [path for path in server.files if "large" in path.name or ".dvmsr-" in path.name]


def test_who_hangs_up_is_not_worked_for(server, client, pictures, connect):
    other = connect(server)
    with pytest.raises(TimeoutError):
        other.ask("POST", "api/enlarge?name=large.png", pictures["large.png"].read_bytes(), timeout=1)
    _, cat = client.add(pictures["cat.png"])
    client.json("POST", f"api/pictures/{cat['id']}/enlarge", {"scale": 2})
    assert client.wait(cat)["state"] == "done"
    assert not [path for path in server.files if "large" in path.name]


def test_the_docs_examples(server, pictures, tmp_path, monkeypatch, command_line, capsys):
    text = (
        (ROOT / "docs" / "web.md").read_text(encoding="utf-8").replace("http://127.0.0.1:8765/", server.url)
    )
    shutil.copy(pictures["p3.jpg"], tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    (curl,) = re.findall(r"^curl .*$", text, re.MULTILINE)
    subprocess.run(["bash", "-ec", curl], check=True, capture_output=True)
    expected = command_line(tmp_path / "photo.jpg", "--scale", "2")
    assert (tmp_path / "photo_x2.jpg").read_bytes() == expected.read_bytes()
    (python,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(compile(python, "docs/web.md", "exec"), {})
    expected = command_line(tmp_path / "photo.jpg", "--size", "long=120", "--format", "png")
    assert (tmp_path / "photo_long120.png").read_bytes() == expected.read_bytes()
    assert "[]" in capsys.readouterr().out


def test_health(client):
    status, told = client.json("GET", "health")
    assert status == 200
    assert told["status"] == "ok"
    assert told["waiting"] == 0


def test_password(start_server, connect):
    server = start_server("--host", "0.0.0.0", "--user", "me", "--password", "a:ü")
    # What stands for all addresses is none that a browser could open.
    assert server.url.startswith("http://127.0.0.1:")

    def asked(text):
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    nobody = connect(server)
    assert nobody.ask("GET", "health")[0] == 200
    for path in ("", "api/pictures", "main.js", "api/results.zip"):
        status, headers, _ = nobody.ask("GET", path)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")
    for wrong in ("me:", "me:b", "you:a:ü", ""):
        assert connect(server, **asked(wrong)).ask("GET", "")[0] == 401
    assert connect(server, Authorization="Basic %%%").ask("GET", "")[0] == 401
    assert connect(server, **asked("me:a:ü")).ask("GET", "")[0] == 200


def test_other_sites_have_no_way_in(server, client, pictures):
    # By their own name, led here; and by a page of theirs in the same browser.
    assert client.ask("GET", "api/pictures", Host="evil.example")[0] == 403
    cat = pictures["cat.png"].read_bytes()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[::1"):
        assert client.ask("POST", "api/enlarge?name=a.png", cat, Origin=origin)[0] == 403
    assert client.ask("DELETE", "api/pictures", Origin=server.url.rstrip("/"))[0] == 204
    headers = client.ask("GET", "")[1]
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
