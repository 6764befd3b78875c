"""Makes this process like one on Windows: without what Windows lacks, and as strict about files as Windows is.

It refuses names that Windows forbids, and to replace or remove a file that is open.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

NOT_IN_OS = (
    *("fork", "forkpty", "geteuid", "getuid", "getegid", "getgid", "killpg", "setpgid", "setsid", "sysconf", "uname"),
    *("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "mkfifo", "getpgid", "sched_getaffinity", "WNOHANG"),
)
NOT_IN_SIGNAL = ("SIGKILL", "SIGALRM", "SIGPIPE", "SIGHUP", "SIGUSR1", "SIGQUIT", "SIGCHLD", "alarm", "setitimer")
NO_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "curses", "syslog", "posix")
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


def is_open(path: str) -> bool:
    """Tell whether this process has a file open or mapped."""
    real = os.path.realpath(path)
    try:
        opened = {os.path.realpath(entry.path) for entry in os.scandir("/proc/self/fd")}
    except OSError:
        return False
    return real in opened or real in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")


def _heard(event: str, given: tuple[object, ...]) -> None:
    if event == "open" and isinstance(given[0], str) and given[0] != os.devnull:
        if given[2] & (os.O_WRONLY | os.O_RDWR) and FORBIDDEN.search(Path(given[0]).name):
            raise OSError(22, "Invalid argument", given[0])
    elif event in ("os.rename", "os.remove"):
        names = [str(name) for name in given[: 2 if event == "os.rename" else 1]]
        if any(map(is_open, names)):
            raise PermissionError(13, "it is open in another place", names[0])
        if event == "os.rename" and FORBIDDEN.search(Path(names[1]).name):
            raise OSError(22, "Invalid argument", names[1])


def become() -> None:
    """Take away what Windows lacks; what was imported before keeps what it has."""
    for module, names in ((os, NOT_IN_OS), (signal, NOT_IN_SIGNAL)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in NO_MODULES:
        sys.modules[name] = None  # type: ignore[assignment] # importing it fails
    sys.addaudithook(_heard)
