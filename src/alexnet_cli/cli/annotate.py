"""`alexnet annotate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.answers.annotate import annotate as answer
from alexnet_cli.answers.annotate import copies, without_comments, write_in_place
from alexnet_cli.answers.files import check_place
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.cli.output import Output, finish
from alexnet_cli.cli.stderr import note
from alexnet_cli.errors import UsageError

EPILOG = """
\b
Examples:
  alexnet annotate net.py:Net                         what each line of forward made and cost
  alexnet annotate net.py:Net --gpu h100-sxm          with the least time of each line
  alexnet annotate net.py:Net --source torch.nn       with the lines of torch's own layers
  alexnet annotate net.py:Net --json                  by file and line, for editors
  alexnet annotate net.py:Net -o net.html             as a page
  alexnet annotate net.py:Net --comments -o seen.py   a copy of the file, with comments
  alexnet annotate net.py:Net --comments --in-place   the comments in your own files
  alexnet annotate net.py:Net --in-place --remove     and out of them again
"""

Asked: Any = options_of(
    answer,
    gpu=typer.Option(
        metavar="NAME", help=f"One of {', '.join(HARDWARE)}.", autocompletion=lambda: list(HARDWARE), show_default=False
    ),
    tf32=typer.Option("--tf32", help="Compare float32 with the TF32 peak of tensor cores."),
    source=Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="A package, module, file or folder whose source is shown too; repeatable. Default: your own files, "
            "and that of the model's class.",
        ),
    ],
)
Comments = Annotated[
    bool, typer.Option("--comments", help="Write a copy of the source with comments, to stdout or with -o to a file.")
]
File = Annotated[
    str | None, typer.Option("--file", metavar="PATH", help="With --comments: which file, if several were run.")
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="With --comments: write them into your own files, in place of earlier ones.")
]
Remove = Annotated[bool, typer.Option("--remove", help="With --in-place: take the comments out of your files again.")]


@with_groups(without=("device",))
def annotate(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    comments: Comments = False,
    file: File = None,
    in_place: InPlace = False,
    remove: Remove = False,
    run: options.Run,
    page: options.Page,
) -> None:
    """Show your own source, with what each line made and cost: shapes, MACs, bytes saved, least time."""
    writes = comments or (in_place and remove)
    _check(page, writes=writes, file=file, in_place=in_place, remove=remove)
    session = run.session(target)
    if not writes:
        page.out().answer(answer(session, **vars(asked)))
    if remove:
        write_in_place(without_comments(session, target, asked.source))
        return
    answered = answer(session, **vars(asked))
    written = copies(answered, file)
    if in_place:
        write_in_place(written)
        for each in written:
            note(f"written: {each.path}")
    else:
        if len(written) > 1:
            others = ", ".join(str(each.path) for each in written[1:])
            note(f"only {written[0].path} is written, not {others}: --file chooses one")
        Output("python", page.output).write(written[0].data)
    finish(answered)


def _check(page: options.Page, *, writes: bool, file: str | None, in_place: bool, remove: bool) -> None:
    """See that the options about comments go together.

    Raises:
        UsageError: they do not.
    """
    if (in_place or file is not None) and not writes:
        raise UsageError("--in-place and --file go with --comments", "--in-place --remove takes comments out again")
    if remove and not in_place:
        raise UsageError("--remove goes with --in-place", "as in --in-place --remove")
    if in_place and page.output is not None:
        raise UsageError("--in-place and --output exclude each other", "a copy leaves your files alone")
    if writes and (page.json or page.format_name is not None):
        raise UsageError("--comments writes Python, in no other format", "ask for the comments or for the format")
    if writes and page.output is not None:
        check_place(page.output)
