"""Recordings as WAVE files of 16-bit samples, which every recorder and player knows.

A file that breaks off is read as far as it goes; chunks that are neither format nor data are skipped.
Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0, 1991.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepack.errors import EdgepackError

Array = np.ndarray[Any, np.dtype[Any]]

PCM, EXTENSIBLE = 1, 0xFFFE
"""Tags of formats; the extensible one holds another at SUBFORMAT."""

SUBFORMAT = 24
BITS = 16
BYTES = 2


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound of a file. rate: in Hz. samples: int16 [moments, channels]."""

    rate: int
    samples: Array


def write(samples: Array, rate: int) -> bytes:
    """The file of int16 [samples], one channel. rate: in Hz."""
    body = samples.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", PCM, 1, rate, BYTES * rate, BYTES, BITS)
    chunks = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", body)
    return _chunk(b"RIFF", chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    """A part of the file; all that are written here have an even length."""
    return name + struct.pack("<I", len(body)) + body


def read(data: bytes, name: str) -> Recording:
    """The recording in a file. name: for the message. Raises E630 unless it is 16-bit PCM."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _unfit(name, "it is no WAVE file")
    rate = channels = 0
    place = 12
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + size]
        if kind == b"fmt ":
            rate, channels = _format(body, name)
        elif kind == b"data":
            if not channels:
                raise _unfit(name, "its samples come before their format")
            whole = len(body) // (BYTES * channels)
            samples = np.frombuffer(body, "<i2", whole * channels).astype(np.int16)
            return Recording(rate, samples.reshape(whole, channels))
        place += 8 + size + size % 2
    raise _unfit(name, "it holds no samples")


def _format(body: bytes, name: str) -> tuple[int, int]:
    """Rate and number of channels. Raises E630."""
    if len(body) < struct.calcsize("<HHIIHH"):
        raise _unfit(name, "its format breaks off")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= SUBFORMAT + BYTES:
        (tag,) = struct.unpack_from("<H", body, SUBFORMAT)
    if tag != PCM or bits != BITS or not channels or not 0 < rate < 1 << 31:
        raise _unfit(name, f"format {tag} with {bits} bits, {channels} channels at {rate} Hz")
    return rate, channels


def _unfit(name: str, why: str) -> EdgepackError:
    """E630 about a file."""
    return EdgepackError(
        "E630",
        f"the recording {name} cannot be read",
        why=why,
        help="Save it as WAV with 16-bit PCM samples.",
    )
