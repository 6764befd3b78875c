"""Shell completion of targets, devices and formats; it runs at every press of Tab, so without torch."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.renderers import FORMATS
from alexnet_cli.session.how import DEVICES
from alexnet_cli.session.session import FILES, names_like


def complete_target(incomplete: str) -> list[tuple[str, str]]:
    """Complete the built-in models, then files that can be targets, and folders."""
    named = [(name, about) for name, about in names_like(incomplete).items() if name.startswith(incomplete)]
    folder = Path(incomplete or ".") if incomplete.endswith("/") or not incomplete else Path(incomplete).parent
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return named
    prefix = incomplete[: incomplete.rfind("/") + 1]
    files = [
        (f"{prefix}{entry.name}/", "folder") if entry.is_dir() else (f"{prefix}{entry.name}", "file")
        for entry in entries
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix in FILES)
    ]
    return named + [(name, kind) for name, kind in files if name.startswith(incomplete)]


def complete_device(incomplete: str) -> list[str]:
    """Complete the kinds of devices."""
    return [device for device in DEVICES if device.startswith(incomplete)]


def complete_format(incomplete: str) -> list[str]:
    """Complete the formats."""
    return [name for name in ("json", "torchsummary", *FORMATS) if name.startswith(incomplete)]
