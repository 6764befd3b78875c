"""The progress line: on a terminal only, redrawn in place, and gone before anything else is written."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import select
import struct
import subprocess
import sys
import threading

import pytest

from alexnet_cli.cli import stderr as module
from alexnet_cli.cli.stderr import progress

fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))  # which Windows lacks
LONG = 10  # seconds; nothing here takes them


class Terminal:
    """A pseudo-terminal: `stream` is written to, `shown` is what came out of it so far."""

    def __init__(self, columns: int = 80, encoding: str = "utf-8") -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding=encoding, errors="backslashreplace")
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.shown = ""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()
        with contextlib.suppress(OSError):
            os.close(self.master)

    def read(self) -> str:
        while select.select([self.master], [], [], 0)[0]:
            self.shown += self.decoder.decode(os.read(self.master, 65536))  # a read may end within a character
        return self.shown

    def wait_for(self, text: str) -> None:
        while text not in self.shown:
            assert select.select([self.master], [], [], LONG)[0], f"{text!r} is not in {self.shown!r}"
            self.read()

    def screen(self) -> list[str]:
        """Return the lines that a user sees: what is written after a carriage return covers what was there."""
        lines = []
        for written in self.read().replace("\r\n", "\n").split("\n"):
            line = ""
            for text in written.split("\r"):
                line = text + line[len(text) :]
            lines.append(line.rstrip())
        return lines


@pytest.fixture
def on_terminal(monkeypatch):
    """Connect stderr to a terminal where the line appears at once."""
    opened = []

    def on_terminal(columns: int = 80, encoding: str = "utf-8") -> Terminal:
        terminal = Terminal(columns, encoding)
        opened.append(terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", terminal.stream)
        monkeypatch.setattr(module, "PATIENCE", 0)
        monkeypatch.setattr(module, "TICK", 0.001)
        return terminal

    yield on_terminal
    for terminal in opened:
        terminal.close()


def test_the_line_is_drawn_redrawn_and_erased(on_terminal):
    terminal = on_terminal()
    done = iter(range(1000, 100_000))
    with progress("counting", lambda: f"{next(done):,} things"):
        terminal.wait_for("counting … 1,002 things, 0 s")
        assert re.fullmatch(r"counting … 1,\d{3} things, 0 s", terminal.screen()[-1])
    assert terminal.screen() == [""]
    assert "\x1b" not in terminal.shown  # no control sequence that some terminal does not know


def test_the_line_shows_elapsed_seconds(on_terminal, monkeypatch):
    terminal = on_terminal()
    times = iter([100.0, *[163.4] * 100_000])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    with progress("waiting"):
        terminal.wait_for("waiting … 63 s")


def test_a_shorter_text_covers_all_of_a_longer_one(on_terminal):
    terminal = on_terminal()
    texts = iter(["a great many things", *["few"] * 100_000])
    with progress("doing", lambda: next(texts)):
        terminal.wait_for("doing … few, 0 s")
        assert terminal.screen() == ["doing … few, 0 s"]
    assert terminal.screen() == [""]


def test_nested_progress_shows_only_the_outer_line(on_terminal):
    terminal = on_terminal()
    with progress("counting"):
        terminal.wait_for("counting")
        outer, threads = sys.stderr, threading.enumerate()
        with progress("adding"):
            assert sys.stderr is outer
            assert threading.enumerate() == threads
    assert terminal.screen() == [""]
    assert "adding" not in terminal.shown


def test_quick_work_shows_no_line_and_leaves_no_thread(on_terminal, monkeypatch):
    terminal = on_terminal()
    monkeypatch.setattr(module, "PATIENCE", LONG)
    before = threading.enumerate()
    with progress("counting"):
        assert sys.stderr is not terminal.stream
    assert terminal.read() == ""
    assert threading.enumerate() == before
    assert sys.stderr is terminal.stream


def test_an_interrupt_leaves_neither_line_nor_thread(on_terminal):
    terminal = on_terminal()
    before = threading.enumerate()

    @progress("counting")
    def interrupted():
        terminal.wait_for("counting")
        os.write(terminal.stream.fileno(), b"^C")  # as the terminal shows it
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.screen() == [""]
    assert threading.enumerate() == before
    assert sys.stderr is terminal.stream


def test_text_written_by_others_is_not_mixed_with_the_line(on_terminal):
    terminal = on_terminal()
    with progress("counting"):
        terminal.wait_for("counting")
        sys.stderr.write("note: something\n")
        terminal.wait_for("note: something")
        terminal.shown = terminal.shown.partition("note: something")[2]
        terminal.wait_for("counting")
        sys.stderr.writelines(["half ", "a line"])
        sys.stderr.flush()
        terminal.wait_for("half a line")
        assert terminal.screen()[-1] == "half a line"  # and it is not drawn over
        sys.stderr.write(", and its end\n")
        terminal.wait_for("and its end")
        assert terminal.screen()[-2] == "half a line, and its end"
    assert terminal.screen()[-1] == ""


@pytest.mark.parametrize("columns", [1, 12, 20])
def test_the_line_is_cut_to_the_width_of_a_narrow_terminal(on_terminal, columns):
    terminal = on_terminal(columns)
    drawn = "tracing … 1,204 operators, 0 s"[: columns - 1]
    with progress("tracing", lambda: "1,204 operators"):
        terminal.wait_for(f"\r{drawn}\r")
    pieces = terminal.read().split("\r")
    assert max(map(len, pieces)) == columns - 1
    assert terminal.screen() == [""]


def test_a_latin1_terminal_without_a_width_gets_dots_and_80_columns(on_terminal):
    terminal = on_terminal(0, "latin-1")
    with progress("tracing", lambda: "1,204 operators"):
        terminal.wait_for("tracing ... 1,204 operators, 0 s")
    assert terminal.screen() == [""]


def test_a_dumb_terminal_and_a_pipe_get_no_line(on_terminal, monkeypatch):
    terminal, pipe = on_terminal(), io.StringIO()
    for term, stream in (("dumb", terminal.stream), ("xterm", pipe), ("xterm", None)):
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr(sys, "stderr", stream)
        before = threading.enumerate()
        with progress("counting"):
            assert sys.stderr is stream
            assert threading.enumerate() == before
    assert terminal.read() == pipe.getvalue() == ""


def test_a_closed_terminal_does_not_stop_the_work(on_terminal):
    terminal = on_terminal()
    with progress("counting"):
        terminal.wait_for("counting")
        os.close(terminal.master)
        line = sys.stderr
        assert isinstance(line, module._Line)
        while line._free:
            threading.Event().wait(0.001)


# ── in the program ───────────────────────────────────────────────────────────────────────────────────────────────────

SLOW = """
import os, sys
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        x = self.layer(x)
        seen = ""
        while "operators, 0 s" not in seen:  # until the line is there
            seen += os.read({master}, 65536).decode()
        print("the model says something")
        return self.layer(x)
"""


def test_a_trace_shows_how_many_operators_ran(on_terminal, tmp_path, alexnet):
    terminal = on_terminal()
    path = tmp_path / "slow.py"
    path.write_text(SLOW.format(master=terminal.master))
    answer = alexnet("summary", f"{path}:Slow", "-i", "3", "--json")
    assert answer.code == 0
    assert answer.json["totals"]["macs"] == 2 * 3 * 3  # stdout has the answer and nothing else
    assert terminal.screen() == ["the model says something", ""]


def test_rendering_shows_the_number_of_rows(on_terminal, alexnet, monkeypatch):
    from alexnet_cli.cli import output

    terminal = on_terminal()

    def render(document, format_name, style):
        terminal.wait_for("writing … 22 rows, 0 s")  # 19 layers, the softmax, their container and the model
        return "the answer\n"

    monkeypatch.setattr(output, "render", render)
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    assert alexnet("summary", "--no-cache").code == 0
    assert terminal.screen() == ["the answer", ""]
    assert terminal.shown.endswith(f"\r{' ' * len('writing … 22 rows, 0 s^C')}\rthe answer\r\n")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("draw -o {file}.svg", "drawing … 0 s"),
        ("report -o {file}.html", "writing … 0 s"),
        ("explain", "trying the changes … "),
        ("memory --capacity 1GB", "looking for the largest batch … "),
    ],
)
def test_other_long_steps_show_a_line(on_terminal, alexnet, tmp_path, command, line):
    terminal = on_terminal()
    assert alexnet(*command.format(file=tmp_path / "file").split(), "--no-cache").code == 0
    assert line in terminal.read()
    assert terminal.screen() == [""]


def test_progress_imports_neither_rich_nor_torch():
    code = "import sys, alexnet_cli.session.session; print({'rich', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
