"""The report cache: the same answer without torch, and never another question's."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from test_floors import ROOT, run_without_torch

from alexnet_cli.cache import folder as store
from alexnet_cli.cache import question
from alexnet_cli.cache.entries import decode
from alexnet_cli.renderers import FORMATS
from alexnet_cli.session import kept

RUN = "import sys; from alexnet_cli.__main__ import main; sys.argv = ['alexnet', *sys.argv[1:]]; main()"


def start(*arguments: str, folder: Path, **options) -> subprocess.Popen[str]:
    """Start the program, torch allowed."""
    environment = {**os.environ, "ALEXNET_CACHE_DIR": str(folder), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


@pytest.fixture
def traced(monkeypatch):
    """Count the traces that are made."""
    targets = []
    trace = kept._trace

    def count(subject, options, listener):
        targets.append(subject.target)
        return trace(subject, options, listener)

    monkeypatch.setattr(kept, "_trace", count)
    return targets


@pytest.fixture
def entry(alexnet, cache_folder) -> Path:
    """The kept answer to `alexnet summary`."""
    assert alexnet("summary").code == 0
    (path,) = cache_folder.iterdir()
    return path


@pytest.mark.parametrize("command", [["summary"], ["summary", "--depth", "1"], ["params", "--by-type", "--by-layer"]])
def test_a_kept_answer_is_the_same_byte_for_byte_and_needs_no_torch(alexnet, entry, command):
    for name in (*FORMATS, "json"):
        cold = alexnet(*command, "--format", name, "--no-cache")
        warm = run_without_torch(*command, "--format", name)
        assert (warm.returncode, warm.stdout, warm.stderr) == (cold.code, cold.out, cold.err) == (0, cold.out, "")


@pytest.mark.parametrize(
    "options",
    [
        ["alexnet-owt"],
        ["--arg", "num_classes=10"],
        ["-i", "3,230,230"],
        ["-b", "2"],
        ["--dtype", "float16"],
        ["--train"],
        ["--no-batch"],
    ],
)
def test_another_question_is_not_answered_from_it(alexnet, entry, traced, options):
    answer = alexnet("summary", *options, "--json")
    assert len(traced) == 1
    assert answer == alexnet("summary", *options, "--json", "--no-cache")
    assert answer == alexnet("summary", *options, "--json")
    assert len(traced) == (2 if answer.code == 0 else 3)  # what failed is not kept


@pytest.mark.parametrize("options", [["--no-cache"], ["--device", "cpu"], ["--traceback"], ["--formulas", "FILE"]])
def test_what_is_never_kept(alexnet, cache_folder, traced, tmp_path, options):
    formulas = tmp_path / "formulas.py"
    formulas.write_text("")
    options = [str(formulas) if option == "FILE" else option for option in options]
    for _ in range(2):
        assert alexnet("summary", *options).code == 0
    assert len(traced) == 2
    assert not cache_folder.exists()


def test_a_failed_forward_is_not_kept(alexnet, cache_folder):
    assert alexnet("summary", "-i", "3,224,224").code == 4
    assert not cache_folder.exists()


def test_an_edit_of_the_programs_own_source_is_a_miss(entry, tmp_path):
    copy = tmp_path / "alexnet_cli"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert run_without_torch("summary", PYTHONPATH=str(tmp_path)).returncode == 0
    edited = copy / "report.py"
    edited.write_text(edited.read_text() + "# a comment\n")
    done = run_without_torch("summary", PYTHONPATH=str(tmp_path))
    assert "imported torch" in done.stderr


def test_another_torch_python_or_program_is_a_miss(alexnet, entry, traced, monkeypatch):
    def key():
        return question.key_of("alexnet", (), "how", users_code=False)

    keys = {key()}
    for owner, name, value in (
        (question, "torch_version", lambda: "2.14.0"),
        (question, "__version__", "0.0.0"),
        (question.sys, "version", "3.99"),
        (question, "sources_digest", lambda: "other"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            keys.add(key())
    assert len(keys) == 5
    monkeypatch.setattr(question, "torch_version", lambda: "2.14.0")
    assert alexnet("summary").code == 0
    assert len(traced) == 1


def test_code_that_cannot_be_read_keeps_nothing(tmp_path, monkeypatch):
    assert question.sources_digest(tmp_path) is None
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    assert question.sources_digest(tmp_path) is None
    monkeypatch.setattr(question, "sources_digest", lambda: None)
    assert question.key_of("alexnet", (), "how", users_code=False) is None


def test_torchs_version_is_read_without_importing_its_metadata():
    from importlib.metadata import version

    from alexnet_cli.report_json import torch_version

    assert torch_version() == version("torch")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_header(path):
    path.write_bytes(path.read_bytes()[:20])


def another_number(path):
    path.write_bytes(path.read_bytes().replace(b"62378344", b"62378345"))


def another_key(path):
    path.write_bytes(path.read_bytes().replace(path.stem.encode(), b"0" * 40))


def deep_json(path):
    header, _, _ = path.read_bytes().partition(b"\n")
    body = b"[" * 100_000
    told = {**msgspec.json.decode(header), "checksum": question.digest(body)}
    path.write_bytes(msgspec.json.encode(told) + b"\n" + body)


def a_link(path):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = [
    cut,
    cut_in_header,
    another_number,
    another_key,
    deep_json,
    a_link,
    a_pipe,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(os.urandom(5000)),
    lambda path: path.write_text('{"schema_version": 1}\n{"layers": []}'),
    lambda path: path.chmod(0o666),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_ignored_and_replaced(alexnet, entry, traced, damage):
    expected = alexnet("summary")
    assert traced == []
    damage(entry)
    assert alexnet("summary") == expected
    assert len(traced) == 1
    assert alexnet("summary") == expected
    assert len(traced) == 1


def test_an_entry_cut_anywhere_is_ignored(entry):
    whole = entry.read_bytes()
    assert decode(entry.stem, whole) is not None
    for length in range(0, len(whole), 97):
        assert decode(entry.stem, whole[:length]) is None


def test_the_answer_to_another_question_under_this_name_is_ignored(alexnet, entry, traced, cache_folder):
    expected = alexnet("summary", "--json", "--no-cache")
    alexnet("summary", "alexnet-owt")
    (other,) = set(cache_folder.iterdir()) - {entry}
    shutil.copy(other, entry)
    assert alexnet("summary", "--json") == expected


def test_a_folder_where_an_entry_should_be(alexnet, entry, traced):
    entry.unlink()
    (entry / "inside").mkdir(parents=True)
    for _ in range(2):
        assert alexnet("summary").code == 0
    assert len(traced) == 2


@pytest.mark.parametrize("place", ["FILE", "FILE/below", "/proc/nowhere", "/dev/full", "/dev/null/below", "x" * 5000])
def test_a_folder_that_cannot_be_used_is_no_error(alexnet, tmp_path, monkeypatch, place):
    file = tmp_path / "file"
    file.write_text("mine")
    monkeypatch.setenv("ALEXNET_CACHE_DIR", place.replace("FILE", str(file)))
    for _ in range(2):
        answer = alexnet("summary")
        assert (answer.code, answer.err) == (0, "")
        assert "62,378,344" in answer.out
    assert alexnet("cache", "info", "--json").json["entries"] == 0
    assert alexnet("cache", "clear", "--json").json["removed"] == 0
    assert file.read_text() == "mine"


def test_without_a_home_nothing_is_kept(alexnet, monkeypatch, tmp_path):
    monkeypatch.delenv("ALEXNET_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    assert store.cache_folder() is None
    assert alexnet("summary").code == 0
    assert alexnet("cache", "info", "--json").json["folder"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["os.replace", "os.fdopen", "os.mkdir", "tempfile.mkstemp"])
def test_a_full_disk_is_no_error(alexnet, cache_folder, monkeypatch, name):
    def fail(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(name, fail)
        answer = alexnet("summary")
    assert (answer.code, answer.err) == (0, "")
    assert "62,378,344" in answer.out
    assert not cache_folder.exists() or list(cache_folder.iterdir()) == []


def test_fifty_processes_at_once_on_a_kept_answer(alexnet, entry):
    expected = alexnet("summary").out
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: run_without_torch("summary"), range(50)))
    assert {(answer.returncode, answer.stdout, answer.stderr) for answer in answers} == {(0, expected, "")}


def test_processes_that_keep_the_same_answer_at_once(alexnet, cache_folder):
    started = [start("summary", folder=cache_folder) for _ in range(4)]
    answers = {(*process.communicate(timeout=120), process.returncode) for process in started}
    assert answers == {(alexnet("summary", "--no-cache").out, "", 0)}
    assert len(list(cache_folder.iterdir())) == 1
    assert run_without_torch("summary").returncode == 0


def test_an_entry_is_whole_at_any_moment(cache_folder):
    key = "0" * 40
    texts = [bytes([number]) * 200_000 for number in range(8)]
    seen = set()

    def write_and_read(text):
        for _ in range(20):
            store.write(cache_folder, key, text)
            seen.add(store.read(cache_folder, key))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_and_read, texts))
    assert seen <= set(texts)
    assert store.size(cache_folder) == (1, 200_000)


@pytest.mark.parametrize(("limit", "value", "left"), [("MOST_ENTRIES", 3, 3), ("MOST_BYTES", 250, 2), (None, 0, 6)])
def test_the_oldest_are_dropped(cache_folder, monkeypatch, limit, value, left):
    if limit:
        monkeypatch.setattr(store, limit, value)
    foreign = cache_folder / "notes.txt"
    for number in range(6):
        store.write(cache_folder, f"{number:040}", b"x" * 100)
        os.utime(cache_folder / f"{number:040}.report", (number, number))
        foreign.write_text("mine")
    store.write(cache_folder, f"{5:040}", b"x" * 100)
    names = sorted(path.stem for path in cache_folder.glob("*.report"))
    assert names == [f"{number:040}" for number in range(6 - left, 6)]
    assert foreign.exists()


def test_what_is_too_large_is_not_kept(cache_folder, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 10)
    store.write(cache_folder, "0" * 40, b"x" * 11)
    assert not cache_folder.exists()


def test_info_and_clear(alexnet, entry, cache_folder):
    foreign = [cache_folder / name for name in ("notes.txt", "0.report", f"{'g' * 40}.report")]
    for path in foreign:
        path.write_text("mine")
    (cache_folder / f"{'1' * 40}.report").mkdir()
    (cache_folder / f"{'2' * 40}.abandoned.tmp").write_text("half")
    info = alexnet("cache", "info", "--json").json
    assert (info["command"], info["folder"]) == ("cache", str(cache_folder))
    assert (info["entries"], info["bytes"]) == (1, entry.stat().st_size)
    assert "removed" not in info
    assert str(cache_folder) in alexnet("cache").out
    assert (entry.stat().st_mode & 0o777, cache_folder.stat().st_mode & 0o777) == (0o600, 0o700)
    cleared = alexnet("cache", "clear", "--json").json
    assert (cleared["entries"], cleared["bytes"], cleared["removed"]) == (0, 0, 1)
    assert sorted(cache_folder.iterdir()) == sorted([*foreign, cache_folder / f"{'1' * 40}.report"])
    assert "Removed" in alexnet("cache", "clear").out
    assert alexnet("cache", "forget").code == 2


def test_the_cache_command_needs_no_torch(entry):
    for action in ("info", "clear"):
        assert run_without_torch("cache", action).returncode == 0


@pytest.fixture
def net(tmp_path):
    """A user's model that takes its width from a file beside it."""
    (tmp_path / "widths.py").write_text("WIDTH = 8\n")
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\nfrom widths import WIDTH\n\ndef net():\n    return nn.Linear(4, WIDTH)\n")
    return file


def test_a_users_file_is_kept_only_where_that_is_asked_for(alexnet, net, cache_folder, traced):
    for _ in range(2):
        assert alexnet("summary", f"{net}:net").code == 0
    assert len(traced) == 2
    assert not cache_folder.exists()
    first = alexnet("summary", f"{net}:net", "--cache")
    again = alexnet("summary", f"{net}:net", "--cache")
    assert len(traced) == 3
    assert first == again
    assert "no input was given: found" in again.err
    assert alexnet("summary", f"{net}:net").code == 0
    assert len(traced) == 4


@pytest.mark.parametrize("name", ["net.py", "widths.py"])
def test_an_edit_of_a_users_file_or_of_what_it_imports_is_a_miss(alexnet, net, traced, name):
    alexnet("params", f"{net}:net", "--cache")
    file = net.with_name(name)
    file.write_text(file.read_text().replace("WIDTH = 8", "WIDTH = 9").replace("Linear(4", "Linear(5"))
    totals = alexnet("params", f"{net}:net", "--cache", "--json").json["totals"]
    assert totals["params"] == (9 * 5 if name == "widths.py" else 8 * 6)
    assert len(traced) == 2
    net.with_name("widths.py").unlink()
    assert alexnet("params", f"{net}:net", "--cache").code == 3


def test_a_file_that_changes_while_it_is_traced_is_not_kept(alexnet, net, cache_folder):
    later = net.stat().st_mtime + 100
    os.utime(net, (later, later))
    assert alexnet("summary", f"{net}:net", "--cache").code == 0
    assert not cache_folder.exists()


def test_a_kept_answer_about_a_users_file_needs_no_torch(net, cache_folder):
    with start("summary", f"{net}:net", "--cache", folder=cache_folder) as process:
        cold = process.communicate(timeout=120)
    warm = run_without_torch("summary", f"{net}:net", "--cache")
    assert (warm.stdout, warm.stderr) == cold
