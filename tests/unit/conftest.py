"""Disks to break things on: small ones that fill up, and ones that turn read-only.

They are mounted, which needs root. Elsewhere on Linux a test that uses one runs again in a user
namespace of its own, where it is root; if that is forbidden too, it fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that needs root where it is root; None leaves the test to pytest."""
    if "disk" not in pyfuncitem.fixturenames or os.geteuid() == 0:
        return None
    if sys.platform != "linux":
        pytest.skip("small disks are mounted on Linux only")
    folder = pyfuncitem.funcargs["tmp_path"] / "as-root"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "pytest", "-q",
         "-p", "no:cacheprovider", f"--basetemp={folder}", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return True


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """disk("64k") -> the folder of a new, empty file system of that size."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def read_only() -> Callable[[Path], None]:
    """read_only(folder of a disk): nothing can be written to it from now on."""

    def remount(folder: Path) -> None:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    return remount
