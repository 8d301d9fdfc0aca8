"""A target of another package that nothing runs, whose converter dies in every way that converters die.

Its precision says how; "fine" makes a file. It borrows the environment of LiteRT's runtime.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from edgepack.wire import digest
from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    EnvironmentSpec,
    Inspection,
    InspectJob,
    Precision,
    RunJob,
    RunResult,
    Target,
)
from edgepack_targets import litert

_RUNTIME = litert.TARGET.run_in
_ENVIRONMENT = EnvironmentSpec(
    name=_RUNTIME.name,
    python=_RUNTIME.python,
    requirements=_RUNTIME.requirements,
    lock=os.path.relpath(Path(litert.__file__).parent / _RUNTIME.lock, Path(__file__).parent),
    probe=_RUNTIME.probe,
)
_WAYS = ("fine", "segfault", "abort", "hang", "killed", "hungry", "exit")

TARGET = Target(
    name="broken",
    title="Broken",
    suffix=".broken",
    platforms=("android",),
    default_for=(),
    precisions=tuple(Precision(name=way) for way in _WAYS),
    default_precisions=("segfault",),
    convert_in=_ENVIRONMENT,
    run_in=_ENVIRONMENT,
    not_run="No machine reads such files.",
    dynamic=False,
)


def convert(job: ConvertJob) -> Artifact:
    """An artifact, or none: the process ends, or never does."""
    way, path = job.recipe.precision, Path(job.out) / f"{job.stem}.broken"
    path.write_bytes(b"half an artifact")
    if way == "fine":
        return Artifact(
            file=path.name, sha256=digest.of_file(path), bytes=path.stat().st_size, format="broken",
            signature=job.signature, versions={},
        )  # fmt: skip
    if way == "segfault":
        ctypes.string_at(0)
    elif way == "abort":
        os.abort()
    elif way == "hang":
        time.sleep(3600)
    elif way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "hungry":
        held = [bytearray(os.urandom(1)) * 2**26 for _ in range(2**10)]
        raise MemoryError(len(held))
    os._exit(3)


def run(job: RunJob) -> RunResult:
    """Never reached."""
    raise NotImplementedError(job.artifact)


def inspect(job: InspectJob) -> Inspection:
    """Never reached."""
    raise NotImplementedError(job.artifact)
