"""A server on this machine that speaks what huggingface_hub asks the Hub for: to create, commit and download.

Run as a program it serves from a folder and prints its address: ``python hub_server.py FOLDER``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """Models are folders ``USER/NAME`` under the server's folder."""

    folder: Path

    def do_HEAD(self) -> None:
        self._resolve(with_body=False)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            self._answer({"id": "/".join(path.split("/")[3:5]), "sha": COMMIT, "siblings": [], "tags": []})
        else:
            self._resolve(with_body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._answer({"url": f"{self._root()}/{name}", "id": name, "name": name})
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self._answer(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
                    ]
                }
            )
        elif "/commit/" in path:
            name = "/".join(path.split("/")[3:5])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    (self.folder / name / entry["value"]["path"]).write_bytes(content)
            url = f"{self._root()}/{name}/commit/{COMMIT}"
            self._answer({"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:
            self._answer({"error": f"not spoken here: {path}"}, status=404)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _root(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _resolve(self, *, with_body: bool) -> None:
        """``/USER/NAME/resolve/REVISION/FILE``."""
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        file = self.folder / parts[0] / parts[1] / "/".join(parts[4:]) if len(parts) > 4 else self.folder
        if not file.is_file():
            known = (self.folder / "/".join(parts[:2])).is_dir()
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
