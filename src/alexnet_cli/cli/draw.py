"""`alexnet draw`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, cast

import typer

from alexnet_cli import drawing
from alexnet_cli.answers.draw import MODEL_EXPLORER, STYLES, THEMES, for_model_explorer, format_named_by
from alexnet_cli.answers.draw import draw as answer
from alexnet_cli.answers.files import check_place, write_file
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.cli.output import Output, finish
from alexnet_cli.cli.stderr import note, progress
from alexnet_cli.errors import UsageError, one_of
from alexnet_cli.graphics.svg import converter
from alexnet_cli.session.session import Session

EPILOG = """
\b
Examples:
  alexnet draw                               in the terminal
  alexnet draw -o alexnet.svg                blocks in perspective, for a page
  alexnet draw -o alexnet.pdf --width slide  the same for a slide
  alexnet draw net.py:Net -o net.svg         a graph if the data flow branches
  alexnet draw net.py:Net --depth 1 --style blocks -o net.svg
  alexnet draw -f mermaid                    for a Markdown page
  alexnet draw -f model-explorer -o graph.json   for Model Explorer, with node data beside it
"""

LEAST_PIXELS, MOST_PIXELS, LEAST_COLUMNS = 320, 20_000, 20
_PICTURES = ("png", "pdf")

Asked: Any = options_of(
    answer,
    style=typer.Option(
        "--style",
        metavar="STYLE",
        help="blocks: a chain in perspective; graph: modules and what flows between them; bars: sizes, parameters and "
        "MACs; auto: blocks if the data flow is a chain of convolutions, poolings and linear layers, else graph.",
        autocompletion=lambda: list(STYLES),
    ),
    depth=typer.Option(
        min=0, metavar="N", help="Draw the modules at this depth; default: the deepest that fits a page."
    ),
    theme=typer.Option(
        "--theme",
        metavar="THEME",
        help="light, dark, or auto: an SVG follows its viewer's preference, other formats are light.",
        autocompletion=lambda: list(THEMES),
    ),
)
DrawWidth = Annotated[
    str | None,
    typer.Option(
        "--width",
        metavar="WIDTH",
        help="page (680 pixels, 18 cm), slide (1280 pixels), or a number of pixels; for text, of characters.",
        autocompletion=lambda: ["page", "slide"],
    ),
]
Scale = Annotated[
    float | None,
    typer.Option("--scale", min=0.1, max=20, metavar="N", help="PNG pixels per pixel of the width; default 2."),
]
DrawFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="text, svg, png, pdf, dot (Graphviz), mermaid, or model-explorer (its graph JSON).",
        autocompletion=lambda: [*drawing.FORMATS, MODEL_EXPLORER],
    ),
]


@with_groups()
def draw(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    width: DrawWidth = None,
    scale: Scale = None,
    format_name: DrawFormat = None,
    output: options.File = None,
    no_color: options.NoColor = False,
    run: options.Run,
) -> None:
    """Draw the architecture as a figure: blocks in perspective, a graph of modules, or bars."""
    one_of(asked.style, STYLES, "style")
    one_of(asked.theme, THEMES, "theme")
    chosen = _format(format_name, output)
    if scale is not None and chosen != "png":
        raise UsageError(f"--scale applies only to PNG, not to {chosen}", "SVG and PDF have no pixels: see --width")
    if chosen == MODEL_EXPLORER:
        if width is not None or vars(asked) != {"style": "auto", "depth": None, "theme": "auto"}:
            raise UsageError(
                "--style, --depth, --theme and --width apply only to figures",
                "Model Explorer lays out the graph itself",
            )
        _explored(run.session(target), output)
    size = _width(width, text=chosen == "text")
    if chosen in _PICTURES:
        converter(chosen.upper())
    session = run.session(target)
    session.report()
    out = Output(chosen, output, size or None if isinstance(size, int) else None, no_color)
    with progress("drawing"):
        figure = answer(session, **vars(asked))
        written = figure.write(chosen, width=size, scale=scale or 2.0, style=out.style())
    out.write(written)
    finish(figure)


def _explored(session: Session, file: Path | None) -> NoReturn:
    """Write the graph, and beside its file, if it has one, the node data."""
    session.report()
    with progress("drawing"):
        made = for_model_explorer(session)
    Output(MODEL_EXPLORER, file).write(made.graph)
    if file is not None:
        for name, data in made.node_data.items():
            write_file(file.with_suffix(f".{name}.json"), data)
        names = ", ".join(file.with_suffix(f".{name}.json").name for name in made.node_data)
        note(f"node data for the graph: {names}")
    finish(made)


def _format(name: str | None, file: Path | None) -> str:
    """Choose the format by its name, else by the file's suffix, else text."""
    if file is not None:
        check_place(file)
    if name is not None:
        chosen = one_of(name, (*drawing.FORMATS, MODEL_EXPLORER), "format")
    elif file is None:
        chosen = "text"
    else:
        chosen = format_named_by(file)
    if chosen in _PICTURES and file is None and sys.stdout.isatty():
        raise UsageError(f"{chosen} cannot be shown in a terminal", f"name a file, as in -o alexnet.{chosen}")
    return chosen


def _width(given: str | None, *, text: bool) -> int | Literal["page", "slide"]:
    """Read `--width`; 0 stands for the terminal's width, the default for text."""
    if given is None:
        return 0 if text else "page"
    least, most = (LEAST_COLUMNS if text else LEAST_PIXELS), MOST_PIXELS
    if given in ("page", "slide"):
        if text:
            raise UsageError(f"--width {given} applies to figures", "for text give a number of characters")
        return cast("Literal['page', 'slide']", given)
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < len(str(10 * most)) else -1
    if not least <= number <= most:
        names = "" if text else "page, slide, or "
        raise UsageError(f"invalid --width {given!r}", f"{names}a number from {least} to {most}")
    return number
