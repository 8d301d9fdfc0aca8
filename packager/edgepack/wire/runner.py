"""The program of every worker: `PYTHON -s -P runner.py JOB.json MODULES`. One job, one process.

It runs in someone else's Python, so it imports nothing but the standard library and mounts our two
packages by where their files lie. File descriptor 1 becomes 2 before anything else, so that library
chatter cannot corrupt a result; the result is a file, written aside and renamed. MODULES, separated by
commas, are imported at once; the job is taken up when a byte arrives on standard input. End of file
there means that the host is gone, and ends the process whatever it is doing.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import sys
import threading
import time
import traceback
import types
from pathlib import Path
from typing import Any

PROTOCOL = 1


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
    """What the host shows of an exception; a coded one keeps its words."""
    shown: dict[str, Any] = {
        "code": getattr(error, "code", None),
        "message": getattr(error, "message", None) or f"{type(error).__name__}: {error}",
        "why": getattr(error, "why", ""),
        "help": getattr(error, "help", ""),
        "type": type(error).__name__,
        "traceback": traceback.format_exc(),
    }
    if not (isinstance(shown["code"], str) and hasattr(error, "why")):
        shown["code"], shown["message"] = None, f"{type(error).__name__}: {error}"
    return {"status": "error", "error": shown}


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write JSON aside and rename: a result is whole or absent."""
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(result), encoding="utf-8")
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

    def end_with_host() -> None:
        os.read(pipe, 1)
        os._exit(1)

    threading.Thread(target=end_with_host, daemon=True).start()


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
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 the one place: everything is reported to the host
        result = failure(error)
    except SystemExit as error:
        result = failure(RuntimeError(f"the job's code called exit({error.code})"))
    result["seconds"] = time.monotonic() - started
    result["peak_rss_bytes"] = peak_rss_bytes()
    result["python"] = ".".join(map(str, sys.version_info[:3]))
    write_result(Path(job["result"]), result)
    sys.stdout.flush()
    sys.stderr.flush()
    # Native libraries of the converters have been seen to crash while they are torn down.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
