"""`hf:ORG/NAME`: a model folder on a hub. Configs are fetched into the hub's own cache, weights only by their headers.

The `huggingface_hub` package does the fetching: its token, its cache, its mirror (`HF_ENDPOINT`) and its way to wait
where the hub asks for it. A header is read by HTTP ranges, and never more than it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from alexnet_cli.errors import AlexnetError, TargetError, UsageError, told
from alexnet_cli.report import Report
from alexnet_cli.targets.checkpoint import INDEX
from alexnet_cli.targets.checkpoint.contents import Contents, damaged
from alexnet_cli.targets.checkpoint.quantised import CONFIGS as QUANTISATIONS
from alexnet_cli.targets.checkpoint.quantised import as_the_model_has_them, quantisation_beside
from alexnet_cli.targets.checkpoint.read import merged, weight_map
from alexnet_cli.targets.checkpoint.safetensors import LENGTH_BYTES, contents_of, header_length
from alexnet_cli.targets.pretrained import CONFIGS
from alexnet_cli.targets.pretrained.folder import WEIGHTS, config_subject
from alexnet_cli.targets.subject import Asked, Subject

_NAME = re.compile(r"(?:hf|diffusers):(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[^:@]+))?(?::(?P<part>\w+))?")
_AT_FIRST = 100_000
"""Bytes that are asked for at first: most headers are shorter."""
_AT_ONCE = 16
_ATTEMPTS = 3
_HTTP_PARTIAL = 206
_HIDDEN = (401, 404)


class Repo(NamedTuple):
    """A model on the hub, and the commit or branch of it."""

    name: str
    revision: str | None

    def __str__(self) -> str:
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


def hub_subject(asked: Asked) -> Subject | Report:
    """Return the subject of a model on the hub.

    Raises:
        UsageError: the name is not of the form hf:ORG/NAME, or a pipeline's part was not named.
        TargetError: the hub cannot be reached, has no such model, or does not let it be read.
    """
    match = _NAME.fullmatch(asked.target)
    if match is None:
        raise UsageError(f"{asked.target!r} is not of the form hf:ORG/NAME", "as in hf:Qwen/Qwen3-8B")
    repo, part = Repo(match["repo"], match["revision"]), match["part"] or ""
    folder = _configs(repo, with_code=asked.trusted)
    file = next((folder / name for name in CONFIGS if (folder / name).is_file()), None)
    if file is None:
        raise TargetError(f"{repo} has no config: it says nothing about its model", f"it needs {' or '.join(CONFIGS)}")
    found = config_subject(file, part, asked)
    if isinstance(found, Report):
        return found
    below = "" if found.files[-1].parent == folder else f"{found.files[-1].parent.name}/"
    return replace(found, weights=partial(_own_weights, Repo(repo.name, folder.name), below, found.files[-1]))


def _own_weights(repo: Repo, folder: str, config: Path) -> Contents | None:
    """Return what the weights hold, quantised ones as the model has them."""
    contents = _weights(repo, folder)
    return contents and as_the_model_has_them(contents, quantisation_beside(config))


def _configs(repo: Repo, *, with_code: bool) -> Path:
    """Fetch the configs of a model, and its code where that may run; return their folder, called as the commit."""
    hub = _library()
    wanted = [*CONFIGS, *QUANTISATIONS, *(f"*/{name}" for name in CONFIGS), *(["*.py"] if with_code else [])]
    with _explained(repo), _without_bars(hub):
        return Path(hub.snapshot_download(repo.name, revision=repo.revision, allow_patterns=wanted))


def _weights(repo: Repo, folder: str) -> Contents | None:
    """Return what the weights in a folder of a model hold, by their headers; None if none are in safetensors."""
    hub = _library()
    with _explained(repo), _without_bars(hub):
        there = set(hub.HfApi().list_repo_files(repo.name, revision=repo.revision))
    name = next((f"{folder}{each}" for each in WEIGHTS if f"{folder}{each}" in there and ".safetensors" in each), None)
    if name is None:
        return None
    if not name.endswith(INDEX):
        return _header(repo, name)
    with _explained(repo), _without_bars(hub):
        index = Path(hub.hf_hub_download(repo.name, name, revision=repo.revision))
    places = weight_map(index, (".safetensors",))
    names = list(dict.fromkeys(places.values()))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shards = pool.map(lambda each: _header(repo, f"{folder}{each}"), names)
        return merged(index, places, dict(zip(names, shards, strict=True)))


def _header(repo: Repo, name: str) -> Contents:
    """Read which tensors a file on the hub holds."""
    path = Path(f"{repo}/{name}")
    with _explained(repo):
        data, size = _first_bytes(repo, name, _AT_FIRST)
        length = header_length(path, data[:LENGTH_BYTES], size)
        if LENGTH_BYTES + length > len(data):
            data, _ = _first_bytes(repo, name, LENGTH_BYTES + length)
    return contents_of(path, data[LENGTH_BYTES : LENGTH_BYTES + length], size - LENGTH_BYTES - length)


def _first_bytes(repo: Repo, name: str, count: int) -> tuple[bytes, int]:
    """Return the first bytes of a file on the hub, at most `count` whatever the server sends, and its size."""
    hub = _library()
    stream = getattr(hub.utils, "http_stream_backoff", None)
    if stream is None:
        what = f"huggingface_hub {hub.__version__} cannot read a part of a file"
        raise TargetError(what, "pip install 'huggingface_hub>=1'")
    url = hub.hf_hub_url(repo.name, name, revision=repo.revision)
    headers = {**hub.utils.build_hf_headers(), "range": f"bytes=0-{count - 1}", "accept-encoding": "identity"}
    for attempt in range(_ATTEMPTS):
        data, size, cut = _read(
            stream("GET", url, headers=headers, timeout=hub.constants.DEFAULT_DOWNLOAD_TIMEOUT), count
        )
        if cut is not None and attempt == _ATTEMPTS - 1:
            raise cut
        if cut is None:
            break
    if size is None:
        raise damaged(Path(f"{repo}/{name}"), "the hub does not say how large it is")
    return data, size


def _read(answer: AbstractContextManager[Any], count: int) -> tuple[bytes, int | None, Exception | None]:
    """Read the beginning of an answer: its first bytes, the size of the file, and how the connection was cut."""
    hub, data = _library(), bytearray()
    with answer as response:
        hub.utils.hf_raise_for_status(response)
        size = _size_of(response)
        try:  # what is raised out of this block is taken for a failed request, and breaks its retries
            for piece in response.iter_bytes():
                data += piece
                if len(data) >= count:
                    break
        except hub.errors.HTTPError as error:
            return bytes(data), size, error
    return bytes(data[:count]), size, None


def _size_of(response: Any) -> int | None:
    if response.status_code == _HTTP_PARTIAL:
        total = response.headers.get("content-range", "").rpartition("/")[2]
    else:
        total = response.headers.get("content-length", "")
    return int(total) if total.isdecimal() else None


def _library() -> Any:
    """Import huggingface_hub, with the parts that are used here."""
    try:
        for part in ("errors", "utils", "constants"):
            import_module(f"huggingface_hub.{part}")
    except ImportError as error:
        raise TargetError("huggingface_hub is not installed", "pip install 'alexnet-cli[hf]'") from error
    return import_module("huggingface_hub")


@contextmanager
def _without_bars(hub: Any) -> Iterator[None]:
    """Show no progress of small downloads."""
    were_off = hub.utils.are_progress_bars_disabled()
    hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            hub.utils.enable_progress_bars()


@contextmanager
def _explained(repo: Repo) -> Iterator[None]:
    """Say what went wrong between here and the hub."""
    hub = _library()
    errors, where = hub.errors, hub.constants.ENDPOINT
    try:
        yield
    except errors.HFValidationError as error:
        raise UsageError(f"{repo} is not a name on a hub", "as in hf:Qwen/Qwen3-8B") from error
    except (errors.HTTPError, errors.EntryNotFoundError, OSError) as error:
        told_by = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
        if isinstance(told_by, errors.HfHubHTTPError):
            raise _refusal(repo, told_by, errors) from error
        hint = "is this machine offline? HF_ENDPOINT names another hub; models that were fetched before need none"
        raise TargetError(f"{where} cannot be reached: {told(error)}", hint) from error
    except AlexnetError:
        raise
    except Exception as error:  # whatever the library raises when an answer is not as it expects
        what = f"{where} gives an answer about {repo} that cannot be read: {told(error)}"
        raise TargetError(what, "does HF_ENDPOINT name a hub?") from error


def _refusal(repo: Repo, error: Any, errors: Any) -> TargetError:
    """Return what an answer of the hub that is an error means."""
    where, status = _library().constants.ENDPOINT, error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return TargetError(f"{repo} is gated", f"accept its terms at {where}/{repo.name}, and set HF_TOKEN")
    if isinstance(error, errors.RevisionNotFoundError):
        return TargetError(
            f"{where} has no revision {repo.revision!r} of {repo.name}", "name a branch, a tag or a commit"
        )
    if status in _HIDDEN:
        return TargetError(
            f"{where} has no {repo.name}, or does not show it to you", "for a private model set HF_TOKEN"
        )
    return TargetError(f"{where} answers {status} about {repo.name}", "try again later")
