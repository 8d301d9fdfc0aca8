"""Reading flatbuffers by field number, with nothing but struct.

Just what two fixed schemas need. Whatever points outside the buffer raises struct.error, so that a
damaged file becomes an error of ours and never a crash of the runtime.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A flatbuffer table at `at`; fields by number. Raises struct.error beyond the buffer's end."""

    data: bytes | mmap.mmap
    at: int

    def slot(self, number: int) -> int:
        """Position of a field, 0 if absent."""
        vtable = self.at - i32(self.data, self.at)
        if vtable < 0 or 4 + 2 * number >= u16(self.data, vtable):
            return 0
        offset = u16(self.data, vtable + 4 + 2 * number)
        return self.at + offset if offset else 0

    def number(self, number: int, code: str = "<i") -> int:
        """A scalar field, 0 if absent."""
        at = self.slot(number)
        return int(struct.unpack_from(code, self.data, at)[0]) if at else 0

    def table(self, number: int) -> Table | None:
        """A table field."""
        at = self.slot(number)
        return Table(self.data, at + u32(self.data, at)) if at else None

    def vector(self, number: int) -> tuple[int, int]:
        """Position of a vector's first element and its length; (0, 0) if absent."""
        at = self.slot(number)
        if not at:
            return 0, 0
        start = at + u32(self.data, at)
        length = u32(self.data, start)
        if start + 4 + length > len(self.data):
            raise struct.error(f"a vector of {length} elements ends beyond the file")
        return start + 4, length

    def tables(self, number: int) -> list[Table]:
        """A vector of tables."""
        start, length = self.vector(number)
        places = range(start, start + 4 * length, 4)
        return [Table(self.data, at + u32(self.data, at)) for at in places]

    def ints(self, number: int) -> tuple[int, ...]:
        """A vector of int."""
        start, length = self.vector(number)
        return struct.unpack_from(f"<{length}i", self.data, start) if length else ()

    def text(self, number: int) -> str:
        """A string, "" if absent."""
        start, length = self.vector(number)
        return self.data[start : start + length].decode("utf-8", "replace")


def u16(data: bytes | mmap.mmap, at: int) -> int:
    """Two bytes, unsigned."""
    return int(struct.unpack_from("<H", data, at)[0])


def u32(data: bytes | mmap.mmap, at: int) -> int:
    """Four bytes, unsigned."""
    return int(struct.unpack_from("<I", data, at)[0])


def i32(data: bytes | mmap.mmap, at: int) -> int:
    """Four bytes, signed."""
    return int(struct.unpack_from("<i", data, at)[0])
