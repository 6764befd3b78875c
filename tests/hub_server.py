"""A hub of models on this machine: the part of the hub's API that fetching configs and headers needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Hub:
    """Serves the models in the folders of `root`; `faults` are done to requests whose path contains the key.

    `sent` counts the bytes that were sent of each file, `tokens` are those that came with requests.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, list[str]] = {}
        self.sent: Counter[str] = Counter()
        self.tokens: set[str | None] = set()
        self.address = ""

    def fault(self, path: str) -> str | None:
        """Return what is to go wrong with a request; each fault happens once, "always …" each time."""
        for part, faults in self.faults.items():
            if part in path and faults:
                return faults[0] if faults[0].startswith("always ") else faults.pop(0)
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub  # of the class that is made for one server

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        self.hub.tokens.add(self.headers.get("authorization"))
        path = self.path.partition("?")[0]
        fault = (self.hub.fault(path) or "").removeprefix("always ")
        if fault.isdigit():
            extra = {"Retry-After": "0"} if fault == "429" else {}
            self._send(int(fault), b"{}", body=body, **extra)
        elif match := re.fullmatch(r"/api/models/(.+?)/(?:revision|tree)/([^/]+)", path):
            self._list(*match.groups(), body=body)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self._list(match[1], "main", body=body)
        elif match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            if fault == "redirect":
                self._send(302, b"", body=False, Location=f"{self.hub.address}/moved{path}")
            else:
                self._file(match[1].removeprefix("moved/"), match[3], fault, body=body)
        else:
            self._send(404, b"{}", body=body)

    def _list(self, repo, revision, *, body):
        folder = self.hub.root / repo
        if not folder.is_dir():
            self._send(404, b"{}", body=body, **{"X-Error-Code": "RepoNotFound"})
            return
        if revision not in ("main", COMMIT):
            self._send(404, b"{}", body=body, **{"X-Error-Code": "RevisionNotFound"})
            return
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        names = [each.relative_to(folder).as_posix() for each in files]
        if "/tree/" in self.path:
            listed = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": _tag(file)}
                for name, file in zip(names, files, strict=True)
            ]
        else:
            listed = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        self._send(200, json.dumps(listed).encode(), body=body)

    def _file(self, repo, name, fault, *, body):
        file = self.hub.root / repo / name
        if not file.is_file():
            self._send(404, b"", body=body, **{"X-Error-Code": "EntryNotFound"})
            return
        data, size, code, extra = file.read_bytes(), file.stat().st_size, 200, {}
        asked = _RANGE.fullmatch(self.headers.get("range") or "")
        if asked and fault != "whole":
            first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
            data, code = data[first : last + 1], 206
            extra["Content-Range"] = f"bytes {first}-{last}/{size}"
        if body:
            self.hub.sent[f"{repo}/{name}"] += len(data)
        if fault == "slow":
            time.sleep(0.5)
        length = len(data)
        if fault == "cut":
            data = data[: length // 2]
            self.close_connection = True
        self._send(
            code,
            data,
            body=body,
            **{"ETag": f'"{_tag(file)}"', "X-Repo-Commit": COMMIT, "Content-Length": str(length), **extra},
        )

    def _send(self, code, data, *, body, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _tag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def serving(root: Path, handler: type[Handler] = Handler):
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answering", (handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
