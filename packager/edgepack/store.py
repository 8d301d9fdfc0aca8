"""The content-addressed cache: what a stage made, under the digest of all that went into it.

An entry is a folder put in place by one rename, so it is whole or absent whatever is killed. Its files
are verified when they are used, by size and time of change or else by digest; a corrupt entry is deleted
and counts as a miss. Failures are never
stored. Work in progress lies in a scratch folder that belongs to one process and is swept by the next
once that process is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from edgepack.errors import EdgepackError
from edgepack.wire import digest

_UNWRITABLE = (
    errno.EROFS, errno.EACCES, errno.EPERM,
    errno.ENOTDIR, errno.EEXIST, errno.EISDIR,  # a file stands where a folder must be, or the reverse
    errno.ENAMETOOLONG,
)  # fmt: skip


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says of itself.

    parts: what the key was made of. value: the stage's result. files: sha256 by relative path.
    stamps: size in bytes and time of change (ns) of those files; one that has them is not read again.
    guards: files outside the store, by path, that must still have these digests.
    """

    stage: str
    parts: dict[str, Any]
    value: Any
    files: dict[str, str]
    stamps: dict[str, tuple[int, int]] = {}
    guards: dict[str, str] = {}
    bytes: int = 0
    seconds: float = 0.0
    peak_rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored result: its key, its folder of files, what it says of itself."""

    key: str
    folder: Path
    meta: Meta

    def path(self, name: str) -> Path:
        """A file or folder of this entry."""
        return self.folder / "files" / name


class Store:
    """The cache below one folder. Safe for any number of processes at once."""

    def __init__(self, root: Path) -> None:
        """Open the store, sweep what dead processes left. Raises E303, E304."""
        self.root = root
        self._entries = root / "entries"
        self._scratch = root / "scratch" / uuid.uuid4().hex
        with disk_errors(root):
            self._entries.mkdir(parents=True, exist_ok=True)
            self._scratch.parent.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._lock = FileLock(self._scratch.with_suffix(".lock"))
            self._lock.acquire()
            self._scratch.mkdir()

    def close(self) -> None:
        """Remove this process's scratch folder."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._lock.release()
        self._scratch.with_suffix(".lock").unlink(missing_ok=True)

    def scratch(self, name: str) -> Path:
        """A new empty folder on the store's disk, gone when the store is closed."""
        folder = self._scratch / f"{name}-{uuid.uuid4().hex[:8]}"
        with disk_errors(self.root):
            folder.mkdir(parents=True)
        return folder

    def get(self, key: str) -> Entry | None:
        """The entry of `key` with every file as it was stored, else None; a corrupt one is deleted."""
        entry = self._read(self._entries / key)
        if entry is None:
            return None
        if not _unchanged({Path(path): sha for path, sha in entry.meta.guards.items()}):
            return None
        found, stamps = _files(entry.folder / "files"), entry.meta.stamps
        if found.keys() != entry.meta.files.keys() or not _unchanged(
            {
                path: entry.meta.files[name]
                for name, path in found.items()
                if _stamp(path) != stamps.get(name)
            }
        ):
            shutil.rmtree(entry.folder, ignore_errors=True)
            return None
        with contextlib.suppress(OSError):  # A cache that can only be read still serves.
            os.utime(entry.folder)
        return entry

    def put(self, key: str, made: Path, meta: Meta) -> Entry:
        """Store the folder `made` (consumed) under `key` and give the entry that is then there.

        Where another process was faster that is its entry, so that all go on with the same files; one
        that `get` would not give is replaced. Raises E303, E304.
        """
        with disk_errors(self.root):
            found = _files(made)
            meta = msgspec.structs.replace(
                meta,
                files=dict(zip(found, digest.of_files(list(found.values())), strict=True)),
                stamps={name: _stamp(path) for name, path in found.items()},
                bytes=sum(path.stat().st_size for path in found.values()),
            )
            whole = self.scratch("put")
            made.rename(whole / "files")
            (whole / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode(meta)))
            folder = self._entries / key
            while True:
                there = self.get(key)
                if there is not None:
                    return there
                with contextlib.suppress(FileNotFoundError):
                    folder.rename(self.scratch("old") / "entry")
                try:
                    whole.rename(folder)
                except OSError as error:
                    # Another process stored the same key between our look and our rename.
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                else:
                    return Entry(key, folder, meta)

    def entries(self) -> Iterator[tuple[Entry, float]]:
        """Every readable entry and when it was last used (seconds since the epoch)."""
        for folder in sorted(self._entries.iterdir()):
            entry = self._read(folder)
            with contextlib.suppress(FileNotFoundError):  # Another process may remove it meanwhile.
                if entry is not None:
                    yield entry, folder.stat().st_mtime

    def prune(self, older_than_seconds: float) -> tuple[int, int]:
        """Delete entries last used longer ago; (how many, how many bytes)."""
        limit = time.time() - older_than_seconds
        old = [(e, t) for e, t in self.entries() if t <= limit]
        for entry, _ in old:
            shutil.rmtree(entry.folder, ignore_errors=True)
        return len(old), sum(e.meta.bytes for e, _ in old)

    def _read(self, folder: Path) -> Entry | None:
        try:
            meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=Meta)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return Entry(folder.name, folder, meta)

    def _sweep(self) -> None:
        """Remove scratch folders whose process is gone: its lock can be had."""
        for lock_file in self._scratch.parent.glob("*.lock"):
            lock = FileLock(lock_file)
            with contextlib.suppress(Timeout, OSError):
                lock.acquire(timeout=0)
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink(missing_ok=True)
                lock.release()


def _files(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its relative path, sorted."""
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}


def _stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _unchanged(files: dict[Path, str]) -> bool:
    """Whether every file is there with its sha256."""
    try:
        return digest.of_files(list(files)) == list(files.values())
    except OSError:
        return False


def refuse_unwritable(place: Path) -> None:
    """Raises E304 unless a folder can be made or filled there, as a test with a file in it says."""
    with disk_errors(place):
        near = next(p for p in (place, *place.absolute().parents) if p.exists())
        try:
            tempfile.TemporaryFile(dir=near).close()
        except FileNotFoundError as error:  # What file systems that are no disks say.
            raise PermissionError(errno.EACCES, "no file can be made there", str(near)) from error


@contextlib.contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn what a full or read-only disk raises into E303 and E304."""
    try:
        yield
    except OSError as error:
        where = error.filename2 or error.filename or place
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgepackError(
                "E303",
                f"no space left for {where}",
                help="Free some space (`edgepack cache prune`), or set EDGEPACK_CACHE to a larger disk.",
            ) from error
        if error.errno in _UNWRITABLE:
            raise EdgepackError(
                "E304",
                f"cannot write {where}",
                why=str(error.strerror),
                help="Make the folder writable, or choose another: EDGEPACK_CACHE for the cache, "
                "--dist for the output.",
            ) from error
        raise
