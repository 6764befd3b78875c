"""The screencast: commands that are typed, and what they print, as one SVG that moves by CSS.

Each picture is the program's own (`--format svg`), so that the screencast cannot show what the program does not print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

COMMANDS = (
    "summary --depth 1",
    "params --by-type",
    "summary -i 3,224,224 --depth 1",
    "receptive-field",
    "check --max-params 60M",
)
WIDTH = 960
TYPED_S, SHOWN_S = 1.5, 4.5
"""Seconds in which a command is typed, and its answer is shown."""

_CHAR, _TOP = 8.4, 40
"""The width of a character of 14 pixels, and the height of the line with the command."""

_SIZE = re.compile(r'<svg [^>]*width="([\d.]+)" height="([\d.]+)"')


def screencast(answer: Callable[[str], str]) -> str:
    """Return the SVG; `answer` runs a command line and returns what it prints."""
    pictures = [answer(f"{command} --format svg --width 100") for command in COMMANDS]
    pictures = [picture[picture.index("<svg") : picture.rindex("</svg>") + len("</svg>")] for picture in pictures]
    sizes = [_SIZE.match(picture) for picture in pictures]
    height = _TOP + max(float(size[2]) for size in sizes if size)
    body = "\n".join(
        _scene(number, command, picture)
        for number, (command, picture) in enumerate(zip(COMMANDS, pictures, strict=True))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
        f'role="img" aria-label="alexnet in a terminal: {escape(", ".join(COMMANDS))}">\n'
        f"<style>\n{''.join(_style(COMMANDS))}</style>\n{body}\n</svg>\n"
    )


def _scene(number: int, command: str, picture: str) -> str:
    text = f"$ alexnet {command}"
    cover = (
        f'<rect class="cover type{number}" x="{20 + 2 * _CHAR:g}" y="10" width="{len(text) * _CHAR:g}" height="24"/>'
    )
    return (
        f'<g class="scene scene{number}"><text class="line" x="20" y="27">{escape(text)}</text>{cover}'
        f'<g class="answer{number}" transform="translate(0 {_TOP})">{picture}</g></g>'
    )


def _style(commands: Sequence[str]) -> Iterator[str]:
    """Yield the rules: every scene has its share of the time, in which its command is typed and then answered."""
    scene = TYPED_S + SHOWN_S
    whole = scene * len(commands)
    yield _STILL
    for number, command in enumerate(commands):
        start, typed, end = (100 * (number * scene + after) / whole for after in (0, TYPED_S, scene))
        steps = len(f"$ alexnet {command}")
        frames = {
            "scene": f"0%, {start:.3f}%, {end:.3f}%, 100% {{ opacity: 0 }} "
            f"{start + 0.001:.3f}%, {end - 0.001:.3f}% {{ opacity: 1 }}",
            "type": f"0%, {start:.3f}% {{ transform: scaleX(1); animation-timing-function: steps({steps}) }} "
            f"{typed:.3f}%, 100% {{ transform: scaleX(0) }}",
            "answer": f"0%, {typed:.3f}% {{ opacity: 0 }} {typed + 0.001:.3f}%, 100% {{ opacity: 1 }}",
        }
        for what, rules in frames.items():
            yield f"@keyframes {what}{number} {{ {rules} }}\n"
            yield f".{what}{number} {{ animation: {what}{number} {whole:g}s infinite; }}\n"
    yield _ENDS


_STILL = """
.line { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #59636e; }
.cover { fill: #fff; transform-box: fill-box; transform-origin: right; }
.scene { opacity: 0; }
""".lstrip()
_ENDS = """
@media (prefers-reduced-motion: reduce) {
* { animation: none !important; } .scene0 { opacity: 1; } .cover { opacity: 0; }
}
@media (prefers-color-scheme: dark) { .cover { fill: #0d1117; } .line { fill: #9198a1; } }
""".lstrip()
