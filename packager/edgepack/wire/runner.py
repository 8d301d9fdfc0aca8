"""The program of every worker: `PYTHON -s -P runner.py JOB.json MODULES`. One job, one process.

It runs in someone else's Python, so it imports nothing but the standard library and mounts our two
packages by where their files lie. File descriptor 1 becomes 2 before anything else, so that library
chatter cannot corrupt a result; the result is a file, written aside and renamed. MODULES, separated by
commas, are imported at once; the job is taken up when a byte arrives on standard input. End of file
there means that the host is gone, and ends the process whatever it is doing.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
import types
from pathlib import Path
from typing import Any

PROTOCOL = 1
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def mount(edgepack: str, packages: dict[str, str]) -> None:
    """Make `edgepack.wire`, `edgepack.errors` and each named package importable from their files."""
    stub = types.ModuleType("edgepack")
    stub.__path__ = [edgepack]
    sys.modules["edgepack"] = stub
    for name, location in packages.items():
        spec = importlib.util.spec_from_file_location(
            name, Path(location) / "__init__.py", submodule_search_locations=[location]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"no package {name} at {location}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def perform(job: dict[str, Any]) -> Any:
    """Import the job's entry, give it its decoded argument, return its encoded value."""
    from edgepack.wire import codec
    from edgepack.wire import types as wire_types

    module_name, _, function_name = job["entry"].partition(":")
    function = getattr(importlib.import_module(module_name), function_name)
    argument = codec.decode(getattr(wire_types, job["argument_type"]), job["argument"])
    return codec.encode(function(argument))


def failure(error: BaseException) -> dict[str, Any]:
    """What the host shows of an exception; a coded one keeps its words.

    resource: "disk" or "memory" when that is what ran out, however the exception was wrapped; else "".
    """
    words = {name: getattr(error, name, None) for name in ("code", "message", "why", "help")}
    if not all(isinstance(word, str) for word in words.values()):
        words = {"code": None, "message": said(error), "why": "", "help": ""}
    shown = {**words, "resource": exhausted(error), "traceback": traceback.format_exc()}
    return {"status": "error", "error": shown}


def said(error: BaseException) -> str:
    """Class and text of an exception; its text may itself raise."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 the exception's own code
        return f"{type(error).__name__} (its text cannot be had)"


def exhausted(error: BaseException | None) -> str:
    """Which of "disk" and "memory" ran out, by the exception or those it came from; "" for neither."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, MemoryError):
            return "memory"
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return "disk"
        seen.append(error)
        error = error.__cause__ or error.__context__
    return ""


def peak_rss_bytes() -> int:
    """Highest resident memory of this program so far.

    On Linux from /proc: ru_maxrss there starts at the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write JSON aside and rename: a result is whole or absent. Raises OSError."""
    aside = path.with_suffix(".tmp")
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    aside.write_bytes(text.encode(errors="replace"))
    aside.replace(path)


def wait_for_go(modules: list[str]) -> None:
    """Import what the job will need, then block until the host says go; end with the host."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 the job itself will say it better
            break
    if not os.read(0, 1):
        os._exit(0)
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    leads = os.getpgrp() == os.getpid()

    def end_with_host() -> None:
        os.read(pipe, 1)
        if leads:
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=end_with_host, daemon=True).start()
    if sys.platform == "linux":
        # The thread cannot run while native code holds the interpreter. The kernel's SIGIO then ends
        # this process and the children in its group: to terminate is its default on Linux.
        fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


def main(argv: list[str]) -> int:
    """Run the job file named first in `argv`; 0 if a result was written, good or bad."""
    os.dup2(2, 1)
    job_path = Path(argv[0])
    wait_for_go([name for name in argv[1].split(",") if name])
    started = time.monotonic()
    job = json.loads(job_path.read_text(encoding="utf-8"))
    try:
        if job["protocol"] != PROTOCOL:
            raise ValueError(f"job protocol {job['protocol']}, this runner speaks {PROTOCOL}")
        mount(job["edgepack"], job["packages"])
        result: dict[str, Any] = {"status": "ok", "value": perform(job)}
        json.dumps(result, allow_nan=False)  # A value that is no JSON is a failure like any other.
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:
        result = failure(RuntimeError(f"the job's code called exit({error.code})"))
    except BaseException as error:  # noqa: BLE001 the one place: everything is reported to the host
        result = failure(error)
    result["seconds"] = time.monotonic() - started
    result["peak_rss_bytes"] = peak_rss_bytes()
    result["python"] = ".".join(map(str, sys.version_info[:3]))
    try:
        write_result(Path(job["result"]), result)
    except OSError as error:
        os._exit(error.errno if error.errno in DISK_FULL else 1)
    sys.stdout.flush()
    sys.stderr.flush()
    # Native libraries of the converters have been seen to crash while they are torn down.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
