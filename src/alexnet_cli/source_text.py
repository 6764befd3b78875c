"""The text of source files: read as Python reads it, known by a hash."""

from __future__ import annotations

import linecache
from hashlib import blake2b
from pathlib import Path

_DIGEST_BYTES = 20


def read_source(path: str) -> str | None:
    """Return the text of a source file, or of a notebook's cell by its name; None if there is none."""
    if not Path(path).is_file():
        return "".join(linecache.getlines(path)) or None
    import tokenize  # reads the encoding that a file declares

    try:
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def digest_of(text: str) -> str:
    """Return a hash of a source's text in hexadecimal."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
