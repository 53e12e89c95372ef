"""``dvmsr upscale --ray`` and URLs on the command line, with a real cluster and a real S3 server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
import typer

from dvmsr import ArgumentError, NetworkConfig, Upscaler
from dvmsr.cli.commands import app
from dvmsr.cluster import ClusterSettings, driver
from dvmsr.images import read_image
from dvmsr.weights import save_weights

COMMAND = [sys.executable, "-m", "dvmsr", "upscale"]
PROGRAM = Path(__file__).with_name("cluster_program.py")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The environment for a server that answers as S3 does, with a bucket."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=stream, stderr=stream
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        keys = {
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": found[0], "OMP_NUM_THREADS": "1"}
        program = "import s3fs; s3fs.S3FileSystem().mkdir('photos')"
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
        yield environment
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def address(s3):
    """The address of a cluster that can reach the server."""
    program = subprocess.Popen(
        [sys.executable, str(PROGRAM)], env=s3, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    found = ""
    for line in program.stdout:
        if re.fullmatch(r"[\d.]+:\d+", line.strip()):
            found = line.strip()
            break
    assert found, "the cluster has not begun"
    yield found
    program.communicate()


@pytest.fixture(scope="module")
def weights(make_weights, tmp_path_factory):
    noise = make_weights(NetworkConfig(channels=16, blocks=1, vimms_per_block=1))
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    save_weights(path, noise.parameters, noise.config)
    return path


@pytest.fixture
def folder(tmp_path, write_noise):
    for number in range(5):
        write_noise(tmp_path / "in" / f"{number}.png", height=12, width=9 + number, seed=number)
    return tmp_path / "in"


def upscale(environment, *arguments, cwd=None):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )


def test_a_folder_with_a_damaged_image(s3, address, weights, folder, tmp_path):
    # Its header is whole, so that it is a worker that finds out.
    content = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(content[: len(content) // 2])
    # Relative names: the cluster's processes work in other folders.
    arguments = ("in", "-o", "out", "--weights", weights, "--report", "told.json", "--ray", address)
    run = upscale(s3, *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert "5 images for 2 processors of 2 machines" in run.stderr
    assert run.stdout.splitlines()[-1].startswith("4 of 5 images enlarged in ")
    assert re.search(r"^dvmsr: error: in/3\.png: [^\n]+$", run.stderr, re.MULTILINE)
    assert "Traceback" not in run.stderr
    report = json.loads((tmp_path / "told.json").read_text())
    assert report["counts"] == {"enlarged": 4, "finished before": 0, "failed": 1, "passed over": 0, "left": 0}
    assert {entry["target"] for entry in report["files"] if entry["status"] == "enlarged"} == {
        f"out/{number}_x4.png" for number in (0, 1, 2, 4)
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{number}_x4.png" for number in (0, 1, 2, 4)
    ]
    expected = Upscaler(weights, threads=1).upscale(read_image(folder / "1.png"))
    assert np.array_equal(read_image(tmp_path / "out" / "1_x4.png"), expected)
    again = upscale(s3, *arguments, cwd=tmp_path)
    assert "finished before: 4 images" in again.stderr


def test_s3_to_s3(s3, address, weights, folder, tmp_path):
    program = f"import s3fs; s3fs.S3FileSystem().put({str(folder)!r}, 'photos/', recursive=True)"
    subprocess.run([sys.executable, "-c", program], env=s3, check=True, timeout=60)
    source, results = "s3://photos/in", "s3://photos/large"
    run = upscale(s3, source, "-o", results, "--weights", weights, "--ray", address)
    assert (run.returncode, run.stdout.splitlines()[-1].split(" in ")[0]) == (0, "5 of 5 images enlarged")
    assert f"{source}/2.png 11x12 -> {results}/2_x4.png 44x48" in run.stdout
    # The same without a cluster, onto this machine; and again, with nothing left to do.
    here = upscale(s3, source, "-o", tmp_path / "here", "--weights", weights, "--threads", 1)
    assert here.returncode == 0, here.stderr
    again = upscale(s3, source, "-o", results, "--weights", weights, "--threads", 1)
    assert "0 of 5 images enlarged" in again.stdout
    assert "5 finished before" in again.stdout
    program = (
        f"import s3fs; s3fs.S3FileSystem().get('photos/large', {str(tmp_path / 'got')!r}, recursive=True)"
    )
    subprocess.run([sys.executable, "-c", program], env=s3, check=True, timeout=60)
    names = sorted(path.name for path in (tmp_path / "got").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "here").iterdir())
    for name in names:
        assert np.array_equal(read_image(tmp_path / "got" / name), read_image(tmp_path / "here" / name))


NOBODY = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("source", "output", "environment", "told"),
    [
        ("s3://none/in", "s3://photos/out", {}, "s3://none/in: there is no such file, folder or bucket"),
        ("in", "s3://none/out", {}, "s3://none/out: there is no bucket none; create it first"),
        ("in", "s3://photos/out", NOBODY, "s3://photos/out: cannot be reached: Could not connect "),
        ("s3://photos/in", "out", NOBODY, "s3://photos/in: cannot be reached: Could not connect "),
    ],
)
def test_nothing_is_begun_where_s3_says_no(s3, tmp_path, source, output, environment, told):
    run = upscale({**s3, **environment}, source, "-o", output, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"dvmsr: error: {told}")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture
def no_keys_are_right(s3):
    """While it lasts, the server knows none of the keys that it is given."""

    def ask_for_keys_after(requests):
        url = f"{s3['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
        request = Request(url, requests.encode(), {"Content-Type": "text/plain"})
        with urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    ask_for_keys_after("0")
    yield
    ask_for_keys_after("inf")


@pytest.mark.usefixtures("no_keys_are_right", "folder")
@pytest.mark.parametrize(("source", "output"), [("s3://photos/in", "out"), ("in", "s3://photos/out")])
def test_wrong_keys(s3, tmp_path, source, output):
    run = upscale(s3, source, "-o", output, cwd=tmp_path)
    url = source if source.startswith("s3") else output
    message = f"dvmsr: error: {url}: cannot be reached: The AWS Access Key Id you provided does not exist "
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(message)
    assert run.stderr.count("\n") == 1


def test_interrupted(s3, address, write_noise, tmp_path):
    """Ctrl-C: exit code 130, nothing half, and what is done is kept."""
    for number in range(40):
        write_noise(tmp_path / "in" / f"{number:02}.png", height=150, width=150, seed=number)
    command = [*COMMAND, "in", "-o", "out", "--report", "told.json", "--ray", address]
    run = subprocess.Popen(command, env=s3, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    run.stdout.readline()
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130
    counts = json.loads((tmp_path / "told.json").read_text())["counts"]
    assert counts["enlarged"] >= 1
    assert counts["left"] > 0
    assert counts["enlarged"] + counts["left"] == 40
    deadline = time.monotonic() + 30
    while any(path.name.startswith(".") for path in (tmp_path / "out").iterdir()):
        assert time.monotonic() < deadline, "something half is left"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("arguments", "address", "inputs"),
    [
        (["in", "--ray"], "auto", ["in"]),
        (["in", "--ray", "-o", "out"], "auto", ["in"]),
        (["--ray", "10.0.0.1:6379", "in"], "10.0.0.1:6379", ["in"]),
        (["--ray", "ray://head:10001", "in"], "ray://head:10001", ["in"]),
        (["--ray=local", "in"], "local", ["in"]),
        (["--", "--ray"], None, ["--ray"]),
    ],
)
def test_the_address_is_optional(arguments, address, inputs):
    command = typer.main.get_command(app).commands["upscale"]
    context = command.make_context("upscale", [*arguments])
    assert (context.params["ray"], context.params["inputs"]) == (address, inputs)


@pytest.mark.parametrize(
    "address", ["nonsense", "10.0.0.1", "10.0.0.1:", "ray://head", "http://head:8265", "in/", ""]
)
def test_what_is_no_address(address):
    with pytest.raises(ArgumentError) as told:
        ClusterSettings(address)
    assert str(told.value) == f"expected HOST:PORT, ray://HOST:PORT, local or auto, got {address!r}"


def test_what_follows_ray_is_no_input(s3, folder, tmp_path):
    run = upscale(s3, "-o", tmp_path / "out", "--ray", folder)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        f"dvmsr: error: --ray: expected HOST:PORT, ray://HOST:PORT, local or auto, got {str(folder)!r}; "
        "name images and folders before --ray (see dvmsr upscale --help)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (("--ray", "127.0.0.1:1"), {}, "--ray 127.0.0.1:1"),
        (("--ray",), {"RAY_ADDRESS": "127.0.0.1:1"}, "RAY_ADDRESS=127.0.0.1:1"),
    ],
)
def test_nobody_answers(s3, tmp_path, arguments, environment, name):
    # Before anything is looked for.
    run = upscale({**s3, **environment}, tmp_path / "none", "-o", tmp_path / "out", *arguments)
    assert run.returncode == 2
    assert re.fullmatch(rf"dvmsr: error: {re.escape(name)}: no cluster answers there [^\n]+\n", run.stderr)


@contextmanager
def listener(answer, until):
    """Listen, answer the first who comes, and end the connection when ``until`` is set."""

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(64)
            connection.sendall(answer)
            until.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            until.set()
            thread.join()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"no", b""]
)
def test_what_answers_is_not_ray(answer):
    closed = threading.Event()
    closed.set()
    with listener(answer, closed) as address, pytest.raises(ArgumentError) as told:
        ClusterSettings(f"ray://{address}").check_answer()
    assert str(told.value) == (
        f"--ray ray://{address}: no cluster answers there (what listens is not Ray); "
        "begin one with ray start --head"
    )


def test_what_listens_says_nothing(monkeypatch):
    monkeypatch.setattr(driver, "_SECONDS_FOR_AN_ANSWER", 0.2)
    with listener(b"", threading.Event()) as address, pytest.raises(ArgumentError, match="timed out"):
        ClusterSettings(address).check_answer()


def test_the_greeting_is_not_sent_where_ray_asks_for_certificates(monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        ClusterSettings(f"127.0.0.1:{server.getsockname()[1]}").check_answer()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(64) == b""


def test_the_port_of_another_server(s3, tmp_path):
    address = s3["AWS_ENDPOINT_URL"].removeprefix("http://")
    run = upscale(s3, tmp_path, "-o", tmp_path / "out", "--ray", address)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        f"dvmsr: error: --ray {address}: no cluster answers there (what listens is not Ray); "
        "begin one with ray start --head\n"
    )
