"""`alexnet` and `python -m alexnet_cli`."""

from __future__ import annotations

import gc
import os
import sys

RARELY = (50_000, 20, 100)
"""The collector would walk torch's half million objects each time; a short-lived program gains little from that."""


def main() -> None:
    """Run the command line and exit with its code; an interrupt ends it quietly, even during start-up."""
    try:
        _open_what_is_closed()
        gc.set_threshold(*RARELY)
        from alexnet_cli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    gc.freeze()  # at exit the collector would walk torch's objects several times, for memory that is given back anyway
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Reopen streams that the shell closed (`>&-`) on the null device; stdout is read-only there, so writing fails."""
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


if __name__ == "__main__":
    main()
