"""Folders with small configs of language models, as targets."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def folder(tmp_path):
    """Write a config and return the folder that holds it."""

    def write(config):
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return str(tmp_path)

    return write
