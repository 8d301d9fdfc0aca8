"""Jobs that behave as badly as real converters do, mounted into workers by the tests.

Each takes an InspectJob whose `artifact` carries one string: a path, a number, or nothing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire import progress
from edgepack.wire.types import Inspection, InspectJob, Signature, TensorSpec


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class NotOursError(Exception):
    """Looks like a coded error to a careless reader."""

    code = 404
    message = None
    why = None


class LooseError(BaseException):
    pass


def echo(job: InspectJob) -> Inspection:
    tensor = TensorSpec(name=job.artifact, dtype="float32", shape=(1, "n"))
    signature = Signature(name="forward", inputs=(tensor,), outputs=(tensor,))
    return Inspection(format="test", precision="fp32", signature=signature, operators={"add": 2})


def surroundings(job: InspectJob) -> dict[str, Any]:
    return {
        "cwd": str(Path.cwd()),
        "files": sorted(p.name for p in Path.cwd().iterdir()),
        "environment": dict(os.environ),
        "hash": hash("edgepack"),
        "modules": sorted(m for m in sys.modules if m.partition(".")[0] == "edgepack"),
        "numpy": "numpy" in sys.modules,
        "sqlite3": "sqlite3" in sys.modules,
        "path": sys.path,
        "pid": os.getpid(),
        "stdin": sys.stdin.read(),
        "modules_of_ours": "jobs_of_tests" in sys.modules,
    }


def coded(job: InspectJob) -> None:
    raise EdgepackError("E401", "no operator 'grün'", why="line one\nline two", help="Use another.")


def plain(job: InspectJob) -> None:
    raise LookupError("no code for this")


def unspeakable(job: InspectJob) -> None:
    raise UnspeakableError


def not_ours(job: InspectJob) -> None:
    raise NotOursError("four oh four")


def loose(job: InspectJob) -> None:
    raise LooseError("not an Exception")


def surrogates(job: InspectJob) -> None:
    raise ValueError(os.fsdecode(b"bad \xff name"))


def no_json(job: InspectJob) -> object:
    return {"value": object()}


def not_a_number(job: InspectJob) -> float:
    return float("nan")


def segfault(job: InspectJob) -> None:
    sys.stderr.write("last words\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def null_pointer(job: InspectJob) -> None:
    ctypes.string_at(0)


def abort(job: InspectJob) -> None:
    os.abort()


def hang(job: InspectJob) -> None:
    Path(job.artifact).write_text(str(os.getpid()))
    time.sleep(120)


def stubborn(job: InspectJob) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    frozen(job)


def frozen(job: InspectJob) -> None:
    """Native code that never gives the interpreter back."""
    Path(job.artifact).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(120)


def greedy(job: InspectJob) -> None:
    hoard = []
    while True:
        hoard.append(b"x" * 10_000_000)
        time.sleep(0.01)


def memory_error(job: InspectJob) -> None:
    raise MemoryError("could not allocate")


def wrapped_memory_error(job: InspectJob) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
        bytearray(2 * 10**9)
    except MemoryError as error:
        raise EdgepackError("E402", "the converter failed") from error


def killed(job: InspectJob) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def quits(job: InspectJob) -> None:
    sys.exit(int(job.artifact))


def vanishes(job: InspectJob) -> None:
    os._exit(int(job.artifact))


def chatters(job: InspectJob) -> str:
    sys.stdout.write("garbage on stdout {not json}\n")
    os.write(1, b"\xff\xfe raw \x1eedgepack not json\n" * 50)
    os.write(2, b"no newline at the end")
    return "still here"


def progresses(job: InspectJob) -> None:
    progress.report("loading")
    for number in range(3):
        progress.report("läuft", number + 1, 3)


def leaves_child(job: InspectJob) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    return child.pid


def hangs_with_child(job: InspectJob) -> None:
    pid = leaves_child(job)
    Path(job.artifact).write_text(f"{os.getpid()} {pid}")
    time.sleep(120)


def fills(job: InspectJob) -> None:
    """Write into the folder until its disk is full."""
    with (Path(job.artifact) / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)


def fills_and_hides_it(job: InspectJob) -> None:
    try:
        fills(job)
    except OSError:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0") from None


def fills_and_wraps_it(job: InspectJob) -> None:
    try:
        fills(job)
    except OSError as error:
        raise EdgepackError("E402", "the converter failed") from error


def fills_and_returns(job: InspectJob) -> str:
    try:
        fills(job)
    except OSError:
        return "x" * 100_000


def memory(job: InspectJob) -> int:
    hoard = bytearray(int(job.artifact))
    hoard[::4096] = b"x" * len(hoard[::4096])
    return len(hoard)
