"""Work in a process of its own, so that what a tool changes in torch, or leaves behind where it fails, is gone with it.

The process is forked, without `multiprocessing`, in whose processes TorchLens refuses to run: nobody may have computed
anything in more threads than one before.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, which JSON must hold.

    Raises:
        RuntimeError: it raised, or its process died; what it said went to stderr.
    """
    end, start = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(end)
            with os.fdopen(start, "w") as pipe:
                json.dump(work(*arguments), pipe)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may leave this process by another way
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(start)
    with os.fdopen(end) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"{work.__name__} failed in its process ({os.waitstatus_to_exitcode(status)})")
    return json.loads(said)
