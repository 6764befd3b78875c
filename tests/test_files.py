"""Files that answers go to: the old one or the new one, nothing left beside it, whatever comes in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from alexnet_cli.answers.files import write_file, written_beside
from alexnet_cli.errors import OutputError

DISTURBED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from alexnet_cli.answers.files import write_file, written_beside

    event, how, file, kind = sys.argv[1], getattr(signal, sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    if kind == "named" and hasattr(os, "O_TMPFILE"):
        del os.O_TMPFILE

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in the background without it
    once = []

    def heard(name, given):
        if name == event and any(".alexnet-" in str(each) for each in given) and not once:
            once.append(name)
            os.kill(os.getpid(), how)

    sys.addaudithook(heard)
    if kind == "many":
        with written_beside(file) as made:
            made.write_bytes(b"new")
    else:
        write_file(file, b"new")
""")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("event", ["open", "os.link", "os.chmod", "os.rename", "os.mkdir"])
@pytest.mark.parametrize("kind", ["one", "named", "many"])
def test_a_signal_at_any_write_leaves_one_whole_file(tmp_path, event, how, kind):
    """Where the system can, a single file is `one` that has no name before it is whole; else it is `named` from the
    first. Of several, each is in a folder before."""
    file = tmp_path / "answer.txt"
    file.write_bytes(b"old")
    command = [sys.executable, "-c", DISTURBED, event, how, str(file), kind]
    done = subprocess.run(command, capture_output=True, check=False)
    if kind == "one" and not hasattr(os, "O_TMPFILE"):
        kind = "named"
    never = event in {"one": ("open", "os.mkdir"), "named": ("os.link", "os.mkdir"), "many": ("os.link",)}[kind]
    assert done.returncode == (0 if never else -getattr(signal, how)), done.stderr
    assert file.read_bytes() in (b"old", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.txt"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")
def test_a_process_that_is_killed_while_it_writes_leaves_nothing(tmp_path):
    file = tmp_path / "answer.txt"
    file.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", DISTURBED, "os.link", "SIGKILL", str(file), "one"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.txt"]
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize("write", [write_file, None])
def test_a_name_as_long_as_names_may_be(tmp_path, write):
    file = tmp_path / ("n" * 251 + ".txt")
    if write:
        write(file, b"new")
    else:
        with written_beside(file) as made:
            made.write_bytes(b"new")
    assert file.read_bytes() == b"new"


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "answer.txt", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "answer.txt").stat().st_mode & 0o777 == 0o640


def test_while_it_is_written_nobody_else_can_read_it(tmp_path, monkeypatch):
    seen = []
    chmod = type(tmp_path).chmod
    monkeypatch.setattr(
        type(tmp_path), "chmod", lambda self, mode: (seen.append(self.stat().st_mode & 0o777), chmod(self, mode))
    )
    write_file(tmp_path / "answer.txt", b"new")
    assert seen == [0o600]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_file(tmp_path / "file" / "answer.txt", b"new")
