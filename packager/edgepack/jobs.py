"""Runs one job in one worker process and brings back its result, whatever happens to the worker.

A worker is started in a session of its own with an allow-listed environment; its standard error is the
job's log and carries progress. Its standard input is a pipe that only says "go" and, by closing, that
the host is gone. A worker that leaves no result has crashed; the host then names the signal and the
memory it had reached.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import msgspec

from edgepack import wire
from edgepack.envs import Environment
from edgepack.errors import EdgepackError
from edgepack.store import Store, disk_errors
from edgepack.wire import codec, progress
from edgepack.wire.runner import DISK_FULL
from edgepack.wire.types import PROTOCOL

THREADS = 2
"""Fixed, so that the same inputs give the same bits on every machine."""

GRACE_SECONDS = 3.0
POLL_SECONDS = 0.1
FULL_BYTES = 65536
"""A disk with less free space is full."""

_PASSED_ON = (
    "PATH",
    "HOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "USER",
    "LOGNAME",
)
_PASSED_ON_PREFIXES = ("OPENBLAS_", "SSL_", "NVPL_")
_PASSED_ON_TO_USER_CODE = ("HF_", "TORCH_HOME", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy",
                           "https_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # fmt: skip
_FIXED = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": str(THREADS),
    # Threads that spin while they wait slow everything down sixfold once workers share the cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "MKL_NUM_THREADS": str(THREADS),
    "OPENBLAS_NUM_THREADS": str(THREADS),
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

CRASH_CODES = {"convert": "E403", "run": "E503"}
TIMEOUT_CODES = {"convert": "E404", "run": "E504"}
MEMORY_CODES = {"convert": "E405", "run": "E505"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a job may take: wall seconds, and bytes of resident memory (0 for no limit)."""

    seconds: float = 3600.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One job: where and what to run.

    stage: "export", "samples", "reference", "convert", "run" or "inspect"; names errors and logs.
    entry: module:function. argument: a wire dataclass. packages: what the worker mounts.
    user_code: whether it runs the user's own Python. allow_pickle: lift the ban on pickles.
    """

    stage: str
    label: str
    entry: str
    argument: Any
    environment: Environment
    packages: dict[str, str]
    user_code: bool = False
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job's value as plain data, and what it took."""

    value: Any
    seconds: float
    peak_rss_bytes: int


Progress = Callable[[str, str, int, int], None]
"""(label, message, done, total)"""


@dataclass(slots=True)
class Worker:
    """A started process that waits for its job, or works on it."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    started: float
    said_bytes: int = 0
    peak_rss_bytes: int = 0


class Jobs:
    """Starts workers, watches them, ends them. One per build; `cancel` from any thread ends all."""

    def __init__(self, store: Store, limits: Limits, report: Progress, logs: Path) -> None:
        """logs: folder that keeps the log of every failed job."""
        self._store = store
        self._limits = limits
        self._report = report
        self._logs = logs
        self._cancelled = Event()
        self._waiting: dict[str, Worker] = {}

    def preload(self, environment: Environment, modules: tuple[str, ...]) -> None:
        """Start a worker that imports `modules` now and takes the next job of that environment."""
        if modules and environment.name not in self._waiting and not self._cancelled.is_set():
            variables = _variables(user_code=False, allow_pickle=False)
            self._waiting[environment.name] = self._start(
                environment, modules, variables, "preload"
            )

    def run(self, call: Call) -> Done:
        """Do the job.

        Raises the job's own coded error, E403-E405 or E503-E505 for a worker that crashed, hung or
        outgrew its memory, E902 for an unexpected exception, KeyboardInterrupt when cancelled.
        """
        worker = None if call.user_code else self._waiting.pop(call.environment.name, None)
        if worker is not None and worker.process.poll() is not None:
            _discard(worker)
            worker = None
        if worker is None:
            variables = _variables(user_code=call.user_code, allow_pickle=call.allow_pickle)
            worker = self._start(call.environment, (), variables, call.stage)
        try:
            _hand_over(worker, call)
            reason = self._watch(worker, call)
            return self._result(worker, call, reason)
        finally:
            _discard(worker)

    def cancel(self) -> None:
        """End every worker; jobs that run raise KeyboardInterrupt in their threads."""
        self._cancelled.set()
        self.close()

    def close(self) -> None:
        """End workers that still wait for a job."""
        for name in list(self._waiting):
            worker = self._waiting.pop(name, None)  # Another thread may have taken it for its job.
            if worker is not None:
                _discard(worker)

    def _start(
        self,
        environment: Environment,
        modules: tuple[str, ...],
        variables: dict[str, str],
        stage: str,
    ) -> Worker:
        folder = self._store.scratch(stage)
        log = folder / "log.txt"
        argv = [str(environment.python), "-s", "-P", str(Path(wire.__file__).parent / "runner.py")]
        argv += [str(folder / "job.json"), ",".join(modules)]
        with disk_errors(folder), log.open("wb") as stderr:
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=folder,
                    env=variables | {"TMPDIR": str(folder)},
                    stdin=subprocess.PIPE,
                    stdout=stderr,
                    stderr=stderr,
                    start_new_session=True,
                )
            except OSError as error:
                raise EdgepackError(
                    "E302",
                    f"{environment.python} cannot be started",
                    why=str(error.strerror),
                    help="Run `edgepack doctor`; it makes environments that are missing.",
                ) from error
        return Worker(process, folder, log, time.monotonic())

    def _watch(self, worker: Worker, call: Call) -> str:
        """Wait for the worker's end; "" if it ended by itself, else why it was ended."""
        deadline = worker.started + self._limits.seconds
        pidfd = os.pidfd_open(worker.process.pid) if hasattr(os, "pidfd_open") else None
        try:
            while worker.process.poll() is None:
                if pidfd is None:
                    time.sleep(POLL_SECONDS / 4)
                else:
                    select.select([pidfd], [], [], POLL_SECONDS)
                self._pass_on_progress(worker, call)
                if self._cancelled.is_set():
                    raise KeyboardInterrupt
                if time.monotonic() > deadline:
                    return "time"
                worker.peak_rss_bytes = max(worker.peak_rss_bytes, _rss(worker.process))
                if 0 < self._limits.memory_bytes < worker.peak_rss_bytes:
                    return "memory"
        finally:
            if pidfd is not None:
                os.close(pidfd)
        self._pass_on_progress(worker, call)
        return ""

    def _pass_on_progress(self, worker: Worker, call: Call) -> None:
        with worker.log.open("rb") as log:
            log.seek(worker.said_bytes)
            data = log.read()
        whole, newline, _ = data.rpartition(b"\n")
        worker.said_bytes += len(whole) + len(newline)
        # Not splitlines: it would split at progress.MARKER, a record separator, too.
        for line in whole.decode(errors="replace").split("\n"):
            said = progress.parse(line)
            if said is not None:
                self._report(call.label, *said)

    def _result(self, worker: Worker, call: Call, reason: str) -> Done:
        path = worker.folder / "result.json"
        if not reason and path.exists():
            result = msgspec.json.decode(path.read_bytes())
            if result["status"] == "ok":
                return Done(
                    value=result["value"],
                    seconds=result["seconds"],
                    peak_rss_bytes=result["peak_rss_bytes"],
                )
            raise self._failure(worker, call, result["error"])
        raise self._crash(worker, call, reason)

    def _failure(self, worker: Worker, call: Call, error: dict[str, Any]) -> EdgepackError:
        log = self._keep_log(worker, call, error["traceback"])
        if error["resource"] == "disk" or (not error["code"] and _is_full(worker.folder)):
            return _no_space(call, error["message"], log)
        if error["resource"] == "memory":
            return EdgepackError(
                MEMORY_CODES.get(call.stage, "E222"),
                f"{call.label} ran out of memory",
                why=error["message"],
                help="Free memory, use --jobs 1, or give fewer samples.",
                log=log,
            )
        if error["code"]:
            return EdgepackError(
                error["code"], error["message"], why=error["why"], help=error["help"], log=log
            )
        return EdgepackError(
            "E902",
            f"{call.label} failed unexpectedly: {error['message'][:300]}",
            why="edgepack does not know this failure; the log has the full traceback.",
            help="Please report it with the log.",
            log=log,
        )

    def _crash(self, worker: Worker, call: Call, reason: str) -> EdgepackError:
        _end(worker.process)
        peak = worker.peak_rss_bytes
        log = self._keep_log(worker, call, "")
        reached = f"It had reached {peak / 1e9:.1f} GB of memory." if peak else ""
        code = worker.process.returncode
        if reason == "time":
            return EdgepackError(
                TIMEOUT_CODES.get(call.stage, "E223"),
                f"{call.label} did not finish within {self._limits.seconds:.0f} s and was ended",
                why=reached,
                help="Raise [limits] job_seconds if the model is large; the log tells what it was doing.",
                log=log,
            )
        if reason == "memory" or code == -signal.SIGKILL:
            limit = self._limits.memory_bytes
            said = f"outgrew its memory limit of {limit / 1e9:.1f} GB" if reason else "was killed"
            return EdgepackError(
                MEMORY_CODES.get(call.stage, "E222"),
                f"{call.label} {said}",
                why=reached or "The system kills the largest process when memory runs out.",
                help="Free memory, use --jobs 1, or raise [limits] memory_bytes.",
                log=log,
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code in DISK_FULL or _is_full(worker.folder):
            return _no_space(call, f"It ended with {name}.", log)
        return EdgepackError(
            CRASH_CODES.get(call.stage, "E224"),
            f"{call.label} crashed ({name})",
            why=reached or "The worker ended without a result.",
            help="The log ends with what it said last.",
            log=log,
        )

    def _keep_log(self, worker: Worker, call: Call, trace: str) -> str:
        """Copy the log out of the scratch folder; its path, or "" when that fails too."""
        kept = self._logs / f"{call.stage}-{call.label.replace(' ', '-').replace('/', '-')}.log"
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            text = worker.log.read_bytes() + trace.encode()
            kept.write_bytes(text)
        except OSError:
            return ""
        return str(kept)


def _no_space(call: Call, why: str, log: str) -> EdgepackError:
    return EdgepackError(
        "E303",
        f"no space left for the files of {call.label}",
        why=why,
        help="Free some space (`edgepack cache prune`), or set EDGEPACK_CACHE to a larger disk.",
        log=log,
    )


def _is_full(folder: Path) -> bool:
    """Whether a job's disk is full: native writers fail without saying that this is why."""
    return shutil.disk_usage(folder).free < FULL_BYTES


def _variables(*, user_code: bool, allow_pickle: bool) -> dict[str, str]:
    """The environment of a worker: an allow-list of ours plus fixed values.

    Converters are offline; the user's code keeps its proxies, hub settings and caches.
    """
    names = (*_PASSED_ON, *(_PASSED_ON_TO_USER_CODE if user_code else ()))
    variables = {
        k: v for k, v in os.environ.items() if k in names or k.startswith(_PASSED_ON_PREFIXES)
    }
    if user_code:
        variables |= {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON_TO_USER_CODE)}
    else:
        variables |= _OFFLINE
    if not allow_pickle:
        variables["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    return variables | _FIXED


def _rss(process: subprocess.Popen[bytes]) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(process.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _hand_over(worker: Worker, call: Call) -> None:
    """Write the job where the worker looks for it and tell it to go. Raises E303, E304."""
    job = {
        "protocol": PROTOCOL,
        "entry": call.entry,
        "argument_type": type(call.argument).__name__,
        "argument": codec.encode(call.argument),
        "edgepack": str(Path(wire.__file__).parent.parent),
        "packages": call.packages,
        "result": str(worker.folder / "result.json"),
    }
    with disk_errors(worker.folder):
        (worker.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    assert worker.process.stdin is not None
    # A worker that died before its job came leaves a broken pipe; the missing result tells.
    with contextlib.suppress(BrokenPipeError):
        worker.process.stdin.write(b"g")
        worker.process.stdin.flush()
    worker.started = time.monotonic()


def _discard(worker: Worker) -> None:
    """End a worker and remove its folder."""
    _end(worker.process)
    shutil.rmtree(worker.folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker and its whole process group: SIGTERM, then SIGKILL after a grace period."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        if process.poll() is not None:
            break
        _signal_group(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    _signal_group(process.pid, signal.SIGKILL)  # A worker's own children must not outlive it.


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
