"""A hub whose answers are changed at random, read in a process of its own: `python fuzz_hub.py WHERE ROUNDS SEED`.

`HF_ENDPOINT` is set here. Prints how many were read; ends with an error as `fuzz_folders.py` does.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import hub_server
from fuzz_folders import Watch, read
from mutations import VALUES, changed_bytes, changed_json

MOST_MEMORY = 300_000_000
CODES = (200, 200, 204, 206, 301, 302, 307, 400, 401, 403, 404, 410, 416, 418, 429, 500, 503, 599)
HEADERS = {
    "Content-Length": ("0", "7", "-1", "x", str(2**63), "9" * 400),
    "Content-Range": ("bytes 0-1/2", "bytes 0-9/*", "x", f"bytes 0-99/{2**63}", "bytes 0-99/-5", "bytes 0-99/²"),
    "ETag": ('"../../../evil"', '""', "x" * 5_000, 'W/"weak"'),
    "X-Repo-Commit": ("../../../evil", "", "main", "x" * 5_000, hub_server.COMMIT[::-1]),
    "Location": ("file:///etc/passwd", "http://127.0.0.1:9/", "/", "//", "http://[", ""),
    "X-Linked-Size": ("-1", "x", str(2**63)),
    "X-Linked-Etag": ("../../evil",),
    "Retry-After": ("0", "x", "-1", "99999999"),
    "X-Error-Code": ("GatedRepo", "RepoNotFound", "EntryNotFound", "RevisionNotFound", "x"),
    "Content-Encoding": ("gzip", "br", "x"),
    "Link": ('<http://127.0.0.1:9/>; rel="next"', "<>; rel=next", "x"),
}
PATHS = (
    "../../../evil",
    "/etc/passwd",
    "..",
    "",
    "a" * 5_000,
    "unet/../../../config.json",
    "config.json\0",
    "\x1b[31m",
)


class Liar(hub_server.Handler):
    """Changes what it answers with some chance."""

    chance = Random()
    often = 0.3

    def _send(self, code, data, *, body, **headers):
        chance = self.chance
        for _ in range(chance.choice((1, 1, 2)) if chance.random() < self.often else 0):
            match chance.randrange(6):
                case 0:
                    code = chance.choice(CODES)
                case 1:
                    name = chance.choice([*HEADERS])
                    headers[name] = chance.choice(HEADERS[name])
                case 2 if headers:
                    del headers[chance.choice([*headers])]
                case 3:
                    data = changed_bytes(data, chance)
                case 4:
                    data = self._changed(data)
                case 5:
                    data = data[: chance.randrange(len(data) + 1)]
        self.close_connection = True
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _changed(self, data):
        """Change the JSON of a list, a config, or the header of weights, with the length that it has then."""
        chance = self.chance
        whole = data[8 : 8 + int.from_bytes(data[:8], "little")] if data[8:9] == b"{" else data
        try:
            value = json.loads(whole)
        except ValueError:
            return changed_bytes(data, chance)
        text = json.dumps(changed_json(value, chance, {"rfilename": PATHS, "siblings": VALUES, "sha": PATHS}))
        changed = text.encode()
        return changed if whole is data else len(changed).to_bytes(8, "little") + changed + data[8 + len(whole) :]


def main() -> None:
    root, many, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    home = root.parent / "home"
    home.mkdir(exist_ok=True)
    os.chdir(root.parent)
    Liar.chance = chance = Random(seed)
    with hub_server.serving(root, Liar) as hub:
        os.environ |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
        os.environ |= {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        time.sleep = lambda _: None  # it waits between its tries
        parts = {"pipeline": ":unet"}
        names = sorted((f"hf:{each.relative_to(root)}", parts.get(each.name, "")) for each in root.glob("*/*"))
        tempfile.gettempdir()  # which is found by writing there
        importlib.import_module("torch.distributed.nn")  # torch 2.6 writes a file as it imports this
        watch, codes, slowest = Watch(root.parent, Path(os.environ["ALEXNET_CACHE_DIR"])), Counter(), (0.0, 0, "")
        watch.ports |= {int(hub.address.rpartition(":")[2]), 9}  # where redirects lead
        Liar.often = 0.0
        for name, part in names:
            read(watch, ["summary", name + part])  # where no header can be had the model is built
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        Liar.often = 0.3
        for number in range(many):
            started, (name, part) = time.perf_counter(), chance.choice(names)
            try:
                revision = f"@{hub_server.COMMIT}" if chance.random() < 0.2 else ""
                code = read(watch, ["params", f"{name}{revision}{part}"])
                used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                assert used < before + MOST_MEMORY, f"{used:,} bytes"
                assert not (root.parent / "evil").exists()
            except BaseException:
                print(f"round {number} about {name}", file=sys.stderr)
                raise
            codes[code] += 1
            slowest = max(slowest, (round(time.perf_counter() - started, 1), number, name))
            if chance.random() < 0.3:
                forget(home)
    print(
        json.dumps(
            {"codes": codes, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "slowest": slowest}
        )
    )


def forget(home: Path) -> None:
    """Empty the hub's cache."""
    import shutil

    shutil.rmtree(home / "hub", ignore_errors=True)


if __name__ == "__main__":
    main()
