"""What the user holds: manifest.json, report.json and the artifacts, put in place all at once.

manifest.json is byte-identical for identical inputs: no clock, no host name, no path. report.json
carries timings, memory and the full tables of the last build.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock
from msgspec import Struct

from edgepack.config import Audio, Image, ParityLimits
from edgepack.plan import BuildPlan
from edgepack.store import disk_errors
from edgepack.verdict import ParityReport
from edgepack.wire.types import Evidence, Fidelity, Scalar, Signature, Verdict

SCHEMA = 1
MANIFEST = "manifest.json"
REPORT = "report.json"

_OLD = ".edgepack-old-"
"""Starts the name of a folder that is on its way out."""


class Feed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an input is made from what a phone has, where edgepack knows it.

    image, audio: the settings of edgepack.toml. pad: value that fills up to the fixed size.
    range: lowest and highest value the input takes.
    """

    name: str
    image: Image | None = None
    audio: Audio | None = None
    pad: float | None = None
    range: tuple[float, float] | None = None


class ManifestModel(Struct, frozen=True, kw_only=True):
    """The source model. source: as configured; sha256: of its file and all files it needs."""

    name: str
    source: str
    sha256: str
    signatures: list[Signature]
    feeds: list[Feed] = []


class ManifestTensor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The worst values of one output over all cases, six significant digits; 999 dB means equal."""

    name: str
    max_abs: float
    max_rel: float
    sqnr_db: float
    psnr_db: float
    cosine: float
    argmax_agreement: float | None = None


class ManifestParity(Struct, frozen=True, kw_only=True):
    """The verdict on an artifact, and what it rests on."""

    verdict: Verdict
    reason: str
    runtime: str
    fidelity: Fidelity
    evidence: Evidence
    cases: int
    limits: ParityLimits
    tensors: list[ManifestTensor]


class ManifestArtifact(Struct, frozen=True, kw_only=True):
    """One artifact. model: name of what it was made from. file: relative to the manifest.

    signature: exactly what an app feeds and gets.

    calibration: sha256 of the calibration samples, null where the precision needs none.
    environment: digest of the environment that made it.
    """

    model: str
    variant: str
    target: str
    precision: str
    options: dict[str, Scalar]
    calibration: str | None
    file: str
    sha256: str
    bytes: int
    signature: Signature
    versions: dict[str, str]
    environment: str
    notes: list[str]
    parity: ManifestParity


class ManifestApp(Struct, frozen=True, kw_only=True):
    """One generated app project. path: relative to the manifest; sha256: of its files as generated.

    variants: the artifacts it carries, one of each model that its task runs.
    """

    platform: str
    task: str
    variants: list[str]
    path: str
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """manifest.json: what was made of which models, and how good it is."""

    schema: int
    edgepack: str
    name: str
    models: list[ManifestModel]
    artifacts: list[ManifestArtifact]
    apps: list[ManifestApp] = []


class StageRecord(Struct, frozen=True, kw_only=True):
    """One stage of the last build. parts: what its key is made of; `edgepack cache why` shows them.

    changed: the parts that differ from the build before.
    """

    stage: str
    variant: str
    seconds: float
    peak_rss_bytes: int
    cached: bool
    key: str = ""
    parts: dict[str, Any] = {}
    changed: list[str] = []


class Report(Struct, frozen=True, kw_only=True):
    """report.json: how the last build went."""

    schema: int
    plan: BuildPlan
    stages: list[StageRecord]
    parity: list[ParityReport]
    warnings: list[str] = []


def encode(value: Manifest | Report) -> bytes:
    """Readable JSON with keys in a fixed order, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a dist folder, None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_report(folder: Path) -> Report | None:
    """The report in a dist folder, None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def with_changes(stages: list[StageRecord], before: Report | None) -> list[StageRecord]:
    """The records with the parts that differ from the build before; unchanged where there was none."""
    if before is None:
        return stages
    known = {(s.stage, s.variant): s for s in before.stages}
    result = []
    for stage in stages:
        old = known.get((stage.stage, stage.variant))
        changed = [] if old is None else _changed(old.parts, stage.parts)
        result.append(msgspec.structs.replace(stage, changed=changed))
    return result


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of the parts that differ. old comes from JSON: new must pass through it to be compared."""
    new = msgspec.json.decode(msgspec.json.encode(new))
    return sorted(part for part in old.keys() | new.keys() if old.get(part) != new.get(part))


def parity_of(report: ParityReport) -> ManifestParity:
    """The part of a parity report that belongs in the manifest."""
    return ManifestParity(
        verdict=report.verdict, reason=report.reason, runtime=report.runtime, fidelity=report.fidelity,
        evidence=report.evidence, cases=report.cases, limits=report.limits,
        tensors=[
            ManifestTensor(
                name=t.name,
                max_abs=_short(t.max_abs.worst),
                max_rel=_short(t.max_rel.worst),
                sqnr_db=_short(t.sqnr_db.worst),
                psnr_db=_short(t.psnr_db.worst),
                cosine=_short(t.cosine.worst),
                argmax_agreement=None if t.argmax_agreement is None else _short(t.argmax_agreement),
            )
            for t in report.tensors
        ],
    )  # fmt: skip


def _short(number: float) -> float:
    return float(f"{number:.6g}")


@contextlib.contextmanager
def locked(dist: Path) -> Iterator[None]:
    """Hold the output folder: two builds into one dist put their results in place one after the other."""
    with disk_errors(dist):
        dist.mkdir(parents=True, exist_ok=True)
        lock = FileLock(dist / ".edgepack.lock")
        with lock:
            _clean(dist)
            yield


def _clean(dist: Path) -> None:
    """Remove what killed builds left, but put back a folder that one of them had only moved away."""
    for left in dist.glob(".edgepack-*"):
        final = dist / left.name.removeprefix(_OLD)
        if left.name.startswith(_OLD) and not final.exists():
            left.rename(final)
        elif left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def staging(dist: Path) -> Path:
    """A new empty folder beside the final one, on the same disk. Call while `locked`."""
    with disk_errors(dist):
        folder = dist / f".edgepack-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        return folder


def put_in_place(staged: Path, final: Path) -> None:
    """Make `staged` the folder `final`, atomically; whatever was there is removed afterwards."""
    with disk_errors(final):
        if not final.exists():
            staged.rename(final)
            return
        _exchange(staged, final)
        shutil.rmtree(staged, ignore_errors=True)


def write_aside(path: Path, data: bytes) -> None:
    """Replace one file atomically."""
    with disk_errors(path):
        aside = path.with_name(f".edgepack-{path.name}")
        aside.write_bytes(data)
        aside.replace(path)


def remove(folder: Path) -> None:
    """Remove a folder if it is there."""
    with disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder with the modes of its files."""
    with disk_errors(target):
        if not source.is_dir():
            shutil.copyfile(source, target)
            return
        target.mkdir()
        # Not copytree: it hides what went wrong in an error without a number.
        for path in sorted(source.rglob("*")):
            place = target / path.relative_to(source)
            if path.is_dir():
                place.mkdir()
            else:
                shutil.copy(path, place)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step of the file system, so that no moment has neither.

    Source: renameat2(2) on Linux ≥ 3.15, renamex_np(2) on macOS ≥ 10.12.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        done = libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    elif sys.platform == "darwin":
        done = libc.renamex_np(first, second, _RENAME_SWAP)
    else:
        done, _ = -1, ctypes.set_errno(errno.ENOSYS)
    if done == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(other))
    _exchange_slowly(one, other)


def _exchange_slowly(one: Path, other: Path) -> None:
    """Swap two folders where the file system has no such step.

    For a moment `other` exists only under another name; `_clean` puts it back after a kill in it.
    """
    old = other.with_name(f"{_OLD}{other.name}")
    other.rename(old)
    one.rename(other)
    old.rename(one)
