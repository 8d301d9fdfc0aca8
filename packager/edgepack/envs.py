"""Locked Python environments, made once with uv and shared by every build.

An environment is named by the digest of its lock, Python and platform, built aside under a file lock
and renamed, so that two builds or a kill cannot leave half of one. PyTorch's default Linux wheel drags
gigabytes of CUDA: where the user configured no index of their own, its CPU index is tried first.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock

from edgepack.errors import EdgepackError
from edgepack.store import disk_errors
from edgepack.wire import digest
from edgepack.wire.runner import DISK_FULL
from edgepack.wire.types import EnvironmentSpec

Report = Callable[[str], None]

_UV_INDEX_SETTINGS = (
    "UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_NO_INDEX", "UV_TORCH_BACKEND", "UV_OFFLINE",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A Python that can do a target's jobs.

    name: the spec's. python: its interpreter. digest: of what is installed, part of cache keys.
    managed: whether edgepack made it.
    """

    name: str
    python: Path
    digest: str
    managed: bool


class Installed(msgspec.Struct, frozen=True):
    """What `describe` learns of an interpreter: version, and distributions found on its path."""

    version: str
    distributions: tuple[str, ...]


def cache_folder() -> Path:
    """Where environments and the store live: EDGEPACK_CACHE, else the user's cache folder."""
    chosen = os.environ.get("EDGEPACK_CACHE")
    return (
        Path(chosen).expanduser().absolute()
        if chosen
        else Path(platformdirs.user_cache_dir("edgepack"))
    )


def folder_of(spec: EnvironmentSpec, lock: Path, extra: str = "") -> Path:
    """Where the environment of `lock` lies or will lie. extra: text of further requirements."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = digest.of_value(
        [
            lock.read_text(encoding="utf-8"),
            extra,
            spec.python,
            version,
            platform.machine(),
            sys.platform,
        ]
    )
    return cache_folder() / "environments" / f"{spec.name}-{key}"


def is_ready(folder: Path) -> bool:
    """Whether an environment is complete: it was renamed into place."""
    return python_in(folder).exists()


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def ensure(
    spec: EnvironmentSpec, lock: Path, report: Report, *, requirements: Path | None = None
) -> Environment:
    """The environment of `lock` (plus the user's `requirements`), made if it is not there.

    Raises E301 when the lock cannot be installed, E302 when no fitting Python can be had, E303, E304.
    """
    extra = requirements.read_text(encoding="utf-8") if requirements else ""
    folder = folder_of(spec, lock, extra)
    if not is_ready(folder):
        with disk_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(folder.name + ".lock")):
                if not is_ready(folder):
                    _make(spec, folder, [lock, *([requirements] if requirements else [])], report)
    return Environment(
        name=spec.name,
        python=python_in(folder),
        digest=folder.name.rpartition("-")[2],
        managed=True,
    )


def existing(spec: EnvironmentSpec, python: Path) -> Environment:
    """An environment that the user named, checked against the requirements.

    Raises E302 when `python` does not run or is too old, E305 when a requirement is not met.
    """
    installed = describe(python)
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    if installed.version not in SpecifierSet(spec.python):
        raise EdgepackError(
            "E302",
            f"{python} is Python {installed.version}",
            why=f"The {spec.name} environment needs Python {spec.python}.",
            help="Name another interpreter, or remove the setting and let edgepack make one.",
        )
    versions = dict(d.rsplit("-", 1) for d in installed.distributions)
    for text in spec.accepts or spec.requirements:
        requirement = Requirement(text)
        found = versions.get(_normal(requirement.name))
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            raise EdgepackError(
                "E305",
                f"{python} has {requirement.name} {found}"
                if found
                else f"{python} lacks {requirement.name}",
                why=f"The {spec.name} environment needs {text}.",
                help="Install it there, or remove the setting and let edgepack make its own.",
            )
    return Environment(
        name=spec.name,
        python=python,
        digest=digest.of_value(msgspec.to_builtins(installed)),
        managed=False,
    )


def describe(python: Path) -> Installed:
    """Version and distributions ("name-version") of an interpreter. Raises E302 when it does not run."""
    program = "import json, sys; print(json.dumps([list(sys.version_info[:3]), sys.path]))"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        version, paths = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EdgepackError(
            "E302",
            f"{python} is not a Python that runs",
            why=str(error),
            help="Give the path of an interpreter, such as .venv/bin/python.",
        ) from error
    found: dict[str, str] = {}
    for path in paths:
        for info in sorted(Path(path).glob("*.dist-info")) if path else ():
            name, _, number = info.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(_normal(name), number)  # The first on the path is the one imported.
    distributions = tuple(f"{name}-{number}" for name, number in sorted(found.items()))
    return Installed(".".join(map(str, version)), distributions)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _make(spec: EnvironmentSpec, folder: Path, requirements: list[Path], report: Report) -> None:
    """Build the environment aside and rename it. Removes what killed attempts left."""
    for left in folder.parent.glob(f"{folder.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)
    # Each attempt has its own name: uv goes on for a while when the build that started it is killed.
    aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.part")
    started = time.monotonic()
    report(f"environment {spec.name}: making it in {folder}")
    try:
        _fill(spec, aside, requirements, report)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)  # One whose interpreter is gone.
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    seconds = time.monotonic() - started
    report(f"environment {spec.name}: {size / 1e6:.0f} MB ready after {seconds:.0f} s")


def _fill(spec: EnvironmentSpec, folder: Path, requirements: list[Path], report: Report) -> None:
    """A virtual environment in `folder` with all that the requirement files list."""
    from packaging.specifiers import SpecifierSet

    own = ".".join(map(str, sys.version_info[:3]))
    python = sys.executable if own in SpecifierSet(spec.python) else spec.python
    done = _uv(["venv", "--relocatable", "--python", python, str(folder)], report)
    _refuse_full_disk(done, folder)
    if done.returncode:
        raise EdgepackError(
            "E302",
            f"no Python {spec.python} for the {spec.name} environment",
            why=_tail(done.stderr),
            help="Install one (`uv python install 3.11`), or run edgepack with it.",
        )
    install = ["pip", "install", "--compile-bytecode", "--python", str(python_in(folder))]
    install += [word for path in requirements for word in ("-r", str(path))]
    done = _install(install, report)
    _refuse_full_disk(done, folder)
    if done.returncode:
        raise EdgepackError(
            "E301",
            f"the {spec.name} environment cannot be installed",
            why=_tail(done.stderr),
            help="Check the network or the index settings (UV_INDEX, UV_FIND_LINKS); an existing "
            f'environment can be named: [environments] {spec.name} = ".venv".',
        )


def _refuse_full_disk(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """E303 when uv ended for lack of space, in the environment or in its own cache."""
    numbers = {int(n) for n in re.findall(r"\(os error (\d+)\)", done.stderr)}
    if done.returncode and numbers & set(DISK_FULL):
        raise EdgepackError(
            "E303",
            f"no space left for the environment in {folder.parent}",
            why=_tail(done.stderr),
            help="Free some space, or set EDGEPACK_CACHE (and UV_CACHE_DIR) to a larger disk.",
        )


def _install(arguments: list[str], report: Report) -> subprocess.CompletedProcess[str]:
    """What `uv pip install` came to, with PyTorch's CPU index first on Linux.

    Users who chose their own sources get those alone.
    """
    chosen = any(os.environ.get(name) for name in _UV_INDEX_SETTINGS)
    if sys.platform == "linux" and not chosen:
        done = _uv([*arguments, "--torch-backend", "cpu"], report)
        if done.returncode == 0:
            return done
        report("PyTorch's CPU index cannot be reached, its default wheel is used")
    return _uv(arguments, report)


def _uv(arguments: list[str], report: Report) -> subprocess.CompletedProcess[str]:
    """Run uv, handing each line it says about downloads to `report`."""
    from uv import find_uv_bin

    process = subprocess.Popen(
        [find_uv_bin(), *arguments, "--no-progress"],
        # The user's own uv settings count; those of whatever project is around do not.
        cwd=cache_folder(),
        env={**os.environ, **_absolute_find_links()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    lines = []
    assert process.stderr is not None
    try:
        for line in process.stderr:
            lines.append(line)
            if line.startswith(
                ("Downloading", " Downloading", "Prepared", "Installed", "Bytecode")
            ):
                report(" ".join(line.split()))
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        process.stderr.close()
    return subprocess.CompletedProcess(arguments, process.returncode, "", "".join(lines))


def _absolute_find_links() -> dict[str, str]:
    """UV_FIND_LINKS with folders that start from the current one made absolute."""
    text = os.environ.get("UV_FIND_LINKS", "")
    links = [
        str(Path(part).absolute()) if Path(part).exists() else part for part in text.split(",")
    ]
    return {"UV_FIND_LINKS": ",".join(links)} if text else {}


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])
