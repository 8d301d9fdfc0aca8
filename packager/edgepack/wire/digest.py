"""Digests: sha256 of bytes, files, folders and plain values. All 64 hex digits are always kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def of_bytes(data: bytes) -> str:
    """sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """sha256 of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_files(paths: Sequence[Path]) -> list[str]:
    """sha256 of each file's content, computed on all cores. Raises OSError."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(of_file, paths))


def of_tree(path: Path) -> str:
    """sha256 of a file, or of a folder's sorted relative paths and file digests. Raises OSError.

    Names, contents and nesting count; times, modes and empty folders do not.
    """
    if not path.is_dir():
        return of_file(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    names = [p.relative_to(path).as_posix() for p in files]
    return of_value(list(zip(names, of_files(files), strict=True)))


def of_value(value: Any) -> str:
    """sha256 of a value's canonical JSON: sorted keys, no spaces, UTF-8.

    Raises TypeError for anything but dict, list, tuple, str, int, float, bool and None.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return of_bytes(text.encode())


def size_of_tree(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. Raises OSError."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
