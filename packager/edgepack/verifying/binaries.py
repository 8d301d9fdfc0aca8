"""Reading and writing the files that Android packages are made of: ZIP with alignment, ELF, DEX.

Sources: PKWARE's APPNOTE, the ELF-64 specification, source.android.com/docs/core/runtime/dex-format.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 16384
_WORD_BYTES = 4
_ALIGNMENT_FIELD = 0xD935
_LOCAL_HEADER_BYTES = 30
_FIELD_HEAD_BYTES = 6
_LOAD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file in a ZIP: whether it is stored as it is, its content."""

    stored: bool
    data: bytes


def write_zip(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write a ZIP whose stored files start at words, and its native libraries at pages of 16 KB."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as package:
        for name, entry in entries.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if entry.stored else zipfile.ZIP_DEFLATED
            if entry.stored:
                step = alignment_of(name)
                start = file.tell() + _LOCAL_HEADER_BYTES + len(name.encode())
                info.extra = _padding(-start % step, step)
            package.writestr(info, entry.data)


def alignment_of(name: str) -> int:
    """The bytes at a multiple of which a stored file must start in an APK."""
    return PAGE_BYTES if name.startswith("lib/") and name.endswith(".so") else _WORD_BYTES


def _padding(size: int, step: int) -> bytes:
    """An extra field of `size` bytes, or of whole steps more where a field could not be that small."""
    while 0 < size < _FIELD_HEAD_BYTES:
        size += step
    if size == 0:
        return b""
    head = struct.pack("<HHH", _ALIGNMENT_FIELD, size - 4, step)
    return head + bytes(size - _FIELD_HEAD_BYTES)


def read_zip(path: Path) -> dict[str, Entry]:
    """Every file of a ZIP, in its order."""
    with zipfile.ZipFile(path) as package:
        return {
            info.filename: Entry(
                stored=info.compress_type == zipfile.ZIP_STORED, data=package.read(info)
            )
            for info in package.infolist()
            if not info.is_dir()
        }


def stored_offsets(path: Path) -> dict[str, int]:
    """Where the content of each stored file of a ZIP starts, in bytes."""
    with path.open("rb") as file, zipfile.ZipFile(path) as package:
        found = {}
        for info in package.infolist():
            if info.compress_type == zipfile.ZIP_STORED:
                file.seek(info.header_offset + _LOCAL_HEADER_BYTES - 4)
                name, extra = struct.unpack("<HH", file.read(4))
                found[info.filename] = info.header_offset + _LOCAL_HEADER_BYTES + name + extra
        return found


def elf_alignments(data: bytes) -> list[int]:
    """Alignment of each segment that a 64-bit ELF file has loaded. Raises ValueError for another."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a little-endian 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found: list[int] = []
    for number in range(count):
        start = table + number * size
        (kind,) = struct.unpack_from("<I", data, start)
        if kind == _LOAD:
            found.extend(struct.unpack_from("<Q", data, start + 48))
    return found


def dex_classes(data: bytes) -> set[str]:
    """Names of the classes that a DEX file defines, as org.example.Outer$Inner.

    Raises ValueError for another kind of file.
    """
    if data[:4] != b"dex\n":
        raise ValueError("not a DEX file")
    strings, types = (struct.unpack_from("<I", data, at)[0] for at in (60, 68))
    count, classes = struct.unpack_from("<II", data, 96)
    found = set()
    for number in range(count):
        (kind,) = struct.unpack_from("<I", data, classes + number * 32)
        (name,) = struct.unpack_from("<I", data, types + kind * 4)
        (at,) = struct.unpack_from("<I", data, strings + name * 4)
        while data[at] & 0x80:
            at += 1
        descriptor = data[at + 1 : data.index(b"\0", at + 1)].decode("utf-8", "surrogatepass")
        found.add(descriptor[1:-1].replace("/", "."))
    return found
