"""What all levels of tests share: environments made once, workers, and a store of their own."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgepack import envs, registry
from edgepack.envs import Environment
from edgepack.jobs import Call, Jobs, Limits
from edgepack.store import Store
from edgepack.wire.types import EnvironmentSpec

# A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "sample_apps" / "vision"


def pytest_addoption(parser: pytest.Parser) -> None:
    """--update-golden rewrites expected files; the review reads the difference."""
    parser.addoption("--update-golden", action="store_true", help="rewrite expected files")


def specs() -> dict[str, tuple[EnvironmentSpec, Path]]:
    """Every environment that sources and targets declare: its spec and its lock."""
    spec, folder = registry.environment_of_sources()
    found = {spec.name: (spec, folder / spec.lock)}
    for registered in registry.targets().values():
        for spec in (registered.target.convert_in, registered.target.run_in):
            found[spec.name] = (spec, registered.folder / spec.lock)
    return found


@pytest.fixture(scope="session")
def shared_cache() -> Path:
    """The cache whose environments all tests use; made by whoever needs one first."""
    return envs.cache_folder()


@pytest.fixture(scope="session")
def environment(shared_cache: Path) -> Callable[[str], Environment]:
    """The environment of a name, made if it is missing. A failure to make it fails the test."""
    made: dict[str, Environment] = {}

    def get(name: str) -> Environment:
        if name not in made:
            spec, lock = specs()[name]
            made[name] = envs.ensure(spec, lock, lambda line: sys.stderr.write(f"{line}\n"))
        return made[name]

    return get


def _worker(
    folder: Path, environment: Callable[[str], Environment]
) -> Iterator[Callable[..., Any]]:
    import edgepack.wire.types as wire_types

    store = Store(folder / "worker-store")
    jobs = Jobs(store, Limits(seconds=600), lambda *_: None, folder / "logs")

    def run(entry: str, argument: Any, name: str) -> Any:
        module, _, function = entry.partition(":")
        call = Call(
            stage="convert", label=function, entry=entry, argument=argument,
            environment=environment(name), packages=registry.packages(module),
            user_code=module.startswith("edgepack_targets.sources"),
        )  # fmt: skip
        value = jobs.run(call).value
        loaded = importlib.import_module(module)
        hints = typing.get_type_hints(getattr(loaded, function), vars(wire_types))
        return msgspec.convert(value, hints["return"])

    yield run
    jobs.close()
    store.close()


@pytest.fixture
def worker(
    tmp_path: Path, environment: Callable[[str], Environment]
) -> Iterator[Callable[..., Any]]:
    """worker(entry, argument, environment name) -> the job's value, decoded into its dataclass."""
    yield from _worker(tmp_path, environment)


@pytest.fixture(scope="session")
def session_worker(
    tmp_path_factory: pytest.TempPathFactory, environment: Callable[[str], Environment]
) -> Iterator[Callable[..., Any]]:
    """As `worker`, for what many tests share."""
    yield from _worker(tmp_path_factory.mktemp("worker"), environment)


@pytest.fixture
def run_python(environment: Callable[[str], Environment]) -> Callable[..., str]:
    """run_python(environment name, script, *arguments) -> what the script printed on standard output.

    edgepack and edgepack_targets are importable in the script.
    """

    def run(name: str, script: Path, *arguments: object) -> str:
        paths = [str(ROOT / "packager"), str(ROOT / "targets"), str(Path(script).parent)]
        done = subprocess.run(
            [environment(name).python, "-s", str(script), *map(str, arguments)],
            capture_output=True, text=True, timeout=900, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture
def cache(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own that shares the environments of all."""
    own = tmp_path / "cache"
    own.mkdir()
    (shared_cache / "environments").mkdir(parents=True, exist_ok=True)
    (own / "environments").symlink_to(shared_cache / "environments")
    monkeypatch.setenv("EDGEPACK_CACHE", str(own))
    return own


class Finished:
    """A finished `edgepack` process: its exit code, standard output and standard error."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        """The answer of a command that was given --json."""
        return json.loads(self.out)


@pytest.fixture
def edgepack(cache: Path, tmp_path: Path) -> Callable[..., Finished]:
    """edgepack(*arguments, cwd=...) -> a finished process of the command line, with a cache of its own."""

    def run(*arguments: object, cwd: Path = tmp_path, timeout: float = 900) -> Finished:
        done = subprocess.run(
            [Path(sys.executable).with_name("edgepack"), *map(str, arguments)],
            cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False,
            env={**os.environ, "EDGEPACK_CACHE": str(cache)},
        )  # fmt: skip
        return Finished(done)

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text): text equals tests/golden/name; --update-golden writes it."""

    def compare(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run with --update-golden and read it"
        assert text == path.read_text(encoding="utf-8")

    return compare


# Disks to break things on: small ones that fill up, and ones that turn read-only. They are mounted, which
# needs root. Elsewhere on Linux a test that uses one runs again in a user namespace of its own, where it is
# root; if that is forbidden too, it fails.


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that needs root where it is root; None leaves the test to pytest."""
    if "disk" not in pyfuncitem.fixturenames or os.geteuid() == 0:
        return None
    if sys.platform != "linux":
        pytest.skip("small disks are mounted on Linux only")
    folder = pyfuncitem.funcargs["tmp_path"] / "as-root"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "pytest", "-q",
         "-p", "no:cacheprovider", f"--basetemp={folder}", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return True


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """disk("64k") -> the folder of a new, empty file system of that size."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def read_only() -> Callable[[Path], None]:
    """read_only(folder of a disk): nothing can be written to it from now on."""

    def remount(folder: Path) -> None:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    return remount
