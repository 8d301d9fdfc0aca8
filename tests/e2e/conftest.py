"""Disks that are full or read-only: small file systems in memory, which need root to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory below `folder`. Only root may mount; elsewhere the test says so."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root; continuous integration has it")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    yield from mounted(tmp_path / "small-disk", "size=1m")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that cannot be written."""
    yield from mounted(tmp_path / "read-only-disk", "size=1m,ro")
