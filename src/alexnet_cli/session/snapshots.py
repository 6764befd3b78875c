"""Snapshots of CUDA memory, which are read beside a model."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.snapshot import Snapshot


def read_snapshot(path: Path) -> Snapshot:
    """Read what `torch.cuda.memory._dump_snapshot` wrote, as data.

    Raises:
        TargetError: it cannot be read, or is no snapshot.
    """
    from alexnet_cli.targets.snapshot_file import read_snapshot as read  # other commands need none of it

    return read(path)
