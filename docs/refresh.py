"""Writes the real output into the README and the pages beside this script: `make docs`. A test holds them to it.

A block that begins with ```console and a line `$ alexnet …` is followed by what that command prints, 100 columns wide;
its notes and errors come after it, as in a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from screencast import screencast

from alexnet_cli.cli.app import run

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
PICTURE = ROOT / "docs" / "summary.svg"
SCREENCAST = ROOT / "docs" / "screencast.svg"
FIGURES = {
    ROOT / "docs" / name: f"draw {what} --format svg"
    for name, what in {
        "alexnet.svg": "",
        "alexnet-bars.svg": "--style bars",
        "resnet.svg": "networks.py:ResNet -i 3,224,224",
        "unet.svg": "networks.py:UNet -i 3,224,224",
        "encoder.svg": "networks.py:Encoder -i 128:int64",
    }.items()
}
"""The figures of the README, each with the command that draws it."""
EXPLORED = ROOT / "docs" / "explore.svg"
_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_BLOCK = re.compile(r"```console\n\$ alexnet(?P<arguments>[^\n]*)\n.*?```", re.DOTALL)


def shown(text: str) -> list[str]:
    """Return the arguments of each command whose output stands in the text."""
    return [match["arguments"] for match in _BLOCK.finditer(text)]


def refreshed(text: str) -> str:
    """Return the text with every console block as the program answers now."""
    return _BLOCK.sub(lambda match: _block(match["arguments"]), text)


def picture() -> str:
    """Return the summary as a picture."""
    return answer("summary --format svg")


def figure(path: Path) -> str:
    """Return one of `FIGURES` as it is drawn now."""
    return answer(FIGURES[path])


def explored() -> str:
    """Return the screen of `explore` as a picture, with the viewer's own fonts."""
    from alexnet_cli.answers.explore import explore
    from alexnet_cli.explorer.app import Explorer
    from alexnet_cli.graphics.text import Style
    from alexnet_cli.session.how import how_to_run
    from alexnet_cli.session.session import Named, Session

    async def screen() -> str:
        app = Explorer(explore(session, sort="macs"), Style(color=True))
        async with app.run_test(size=(120, 34)) as pilot:
            await pilot.press("slash", *"layer1.1.conv1", "enter", "escape")
            await app.workers.wait_for_complete()
            await pilot.pause()
            return app.export_screenshot(title="alexnet explore networks.py:ResNet --sort macs")

    with _among_the_examples():
        session = Session(Named("networks.py:ResNet"), how_to_run(input_size=["3,224,224"]))
        return _WEB_FONT.sub("", asyncio.run(screen())) + "\n"


def notebook() -> str:
    """Return the notebook with the outputs that it has now: text and figures, without the tables' HTML."""
    import nbformat
    from nbclient import NotebookClient

    made = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(made, timeout=300, kernel_name="python3", resources={"metadata": {"path": ROOT / "docs"}}).execute()
    made.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for cell in made.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if not output.get("data", {}).get("text/html", "<svg").startswith("<svg"):
                del output["data"]["text/html"]
    return str(nbformat.writes(made)) + "\n"


def answer(arguments: str) -> str:
    """Return what a command prints, stdout before stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with _among_the_examples(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        run(shlex.split(arguments, comments=True))
    return _text(out) + _text(err)


@contextlib.contextmanager
def _among_the_examples() -> Iterator[None]:
    before = Path.cwd()
    os.chdir(ROOT / "docs")
    try:
        yield
    finally:
        os.chdir(before)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    printed: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined] # a BytesIO, as made above
    return printed.decode()


def _block(arguments: str) -> str:
    return f"```console\n$ alexnet{arguments}\n{answer(arguments + ' --width 100').rstrip()}\n```"


def main() -> None:
    """Write the pages and their pictures."""
    wanted = {page: refreshed(page.read_text(encoding="utf-8")) for page in PAGES} | {
        PICTURE: picture(),
        SCREENCAST: screencast(answer),
        EXPLORED: explored(),
        NOTEBOOK: notebook(),
    }
    wanted |= {path: figure(path) for path in FIGURES}
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
