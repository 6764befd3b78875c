"""What the methods of an `Inspection` return."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from alexnet_cli.answers.answer import Answer
from alexnet_cli.answers.draw import Figure, format_named_by
from alexnet_cli.answers.files import JSON, check_place, format_of, write_file
from alexnet_cli.answers.report import Page
from alexnet_cli.document import Document, Note
from alexnet_cli.drawing.page import Width
from alexnet_cli.errors import ForwardError
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope, to_json

R = TypeVar("R", bound=Envelope)


class Result(Generic[R]):
    """An answer: `str()` is its table, in a notebook it shows itself, and its values are attributes.

    `data` is the value object that JSON is written from; its fields are attributes of the result too, with the names
    of the JSON keys: `look.summary().totals.params`.
    """

    def __init__(self, answer: Answer[R], notes: tuple[str, ...] = ()) -> None:
        self.data: R = answer.result
        self.notes = notes
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "data":
            raise AttributeError(name)
        return getattr(self.data, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.data.__struct_fields__]

    def __str__(self) -> str:
        return render(self._document(), "table", Style())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return _framed(render(self._document(), "html", Style()))

    def json(self) -> str:
        """Return what the command prints with `--json`."""
        return to_json(self.data)

    def save(self, path: str | Path) -> None:
        """Write the answer to a file, in the format that its suffix names: `.json`, `.md`, `.csv`, `.svg`, ...

        The file is replaced as a whole.

        Raises:
            AlexnetError: the suffix names no format, or the file cannot be written.
        """
        file = Path(path)
        check_place(file)
        name = format_of(file)
        text = self.json() if name == JSON else render(self._document(), name, Style())
        write_file(file, text.encode())

    def _document(self) -> Document:
        document = self._answer.document()
        return replace(document, blocks=(*document.blocks, *(Note(text) for text in self.notes)))


def result_of(answer: Answer[R], notes: tuple[str, ...]) -> Result[R]:
    """Return an answer's result.

    Raises:
        ForwardError: a model failed while it ran.
    """
    error = answer.result.error
    if error is not None:
        raise ForwardError(error.message, error.hint, error.path)
    return Result(answer, notes)


class Drawing:
    """A figure: in a notebook it shows itself as SVG, `str()` draws it with characters."""

    def __init__(self, figure: Figure, width: Width, scale: float) -> None:
        self.report: Report = figure.report
        self._figure = figure
        self._width = width
        self._scale = scale

    def __str__(self) -> str:
        return str(self._figure.write("text"))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.svg()

    def svg(self) -> str:
        """Return the figure as SVG."""
        return str(self._figure.write("svg", width=self._width))

    def save(self, path: str | Path) -> None:
        """Write the figure to a file: `.svg`, `.png`, `.pdf`, `.dot`, `.mmd` or `.txt`. It is replaced as a whole.

        Raises:
            AlexnetError: the suffix names no format, a library is missing, or the file cannot be written.
        """
        file = Path(path)
        check_place(file)
        written = self._figure.write(format_named_by(file), width=self._width, scale=self._scale)
        write_file(file, written if isinstance(written, bytes) else written.encode())


class ReportPage:
    """A page about a model, as HTML that needs nothing else."""

    def __init__(self, page: Page) -> None:
        self.html = page.html

    def __str__(self) -> str:
        return self.html

    def _repr_html_(self) -> str:
        return _framed(self.html, height="80vh")

    def save(self, path: str | Path) -> None:
        """Write the page to a file. It is replaced as a whole.

        Raises:
            AlexnetError: the file cannot be written.
        """
        file = Path(path)
        check_place(file)
        write_file(file, self.html.encode())


def _framed(page: str, height: str = "") -> str:
    """Put a page into a frame of its own: a notebook's styles do not reach it, nor its styles the notebook.

    Without a height the frame is as tall as the page.
    """
    fit = "" if height else " onload=\"this.style.height=this.contentDocument.documentElement.scrollHeight+'px'\""
    style = f"width:100%;border:0;height:{height or '20em'}"
    return f'<iframe srcdoc="{escape(page)}" style="{style}"{fit}></iframe>'
