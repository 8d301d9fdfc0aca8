"""Environments made with the real uv from wheels written here, so that no network is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack import envs
from edgepack.errors import EdgepackError
from edgepack.wire.types import EnvironmentSpec

THIS = ".".join(map(str, sys.version_info[:3]))
SPEC = EnvironmentSpec(
    name="tiny", python=">=3.11", requirements=("tinypure>=1",), lock="lock.txt", probe=("tinypure",)
)  # fmt: skip


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    info = f"{name}-{version}.dist-info"
    members = {f"{name}/{path}": text for path, text in files.items()}
    members[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    members[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members[f"{info}/RECORD"] = "".join(f"{m},,\n" for m in [*members, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in members.items():
            archive.writestr(path, text)


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one small package; uv finds it in a folder and nowhere else."""
    wheels = folder / "wheels"
    wheel(wheels, "tinypure", "1.0", {"__init__.py": "ANSWER = 42\n"})
    for name in envs._UV_INDEX_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
    monkeypatch.setenv("EDGEPACK_CACHE", str(folder / "cache"))
    path = folder / "lock.txt"
    path.write_text("tinypure==1.0\n")
    return path


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock of one small package, in a cache of the test's own."""
    return prepared(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> envs.Environment:
    """An environment that is there already, for tests that leave it as it is."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return envs.ensure(SPEC, prepared(tmp_path_factory.mktemp("ready"), monkeypatch), quiet)


def quiet(_: str) -> None:
    pass


def refusal(action: Callable[[], object]) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        action()
    return caught.value


def answer(environment: envs.Environment) -> str:
    program = "import tinypure; print(tinypure.ANSWER)"
    done = subprocess.run(
        [environment.python, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def left(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "environments").iterdir() if p.suffix != ".lock")


def process(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


ENSURE = """
    import sys
    from pathlib import Path
    from edgepack import envs
    from edgepack.wire.types import EnvironmentSpec

    spec = EnvironmentSpec(name="tiny", python=">=3.11", requirements=(), lock="", probe=())
    print("ready", flush=True)
    sys.stdin.readline()
    made = envs.ensure(spec, Path(sys.argv[1]), lambda line: print(line, flush=True))
    print(made.python, flush=True)
"""


def test_an_environment_is_made_once_and_then_there_at_once(lock: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = envs.ensure(SPEC, lock, said.append)
    assert first.managed
    assert first.name == "tiny"
    assert answer(first) == "42"
    assert said[0] == f"environment tiny: making it in {first.python.parent.parent}"
    assert said[-1].startswith("environment tiny: ")
    assert "ready after" in said[-1]
    compiled = first.python.parent.parent.rglob("tinypure/__pycache__/*.pyc")
    assert len(list(compiled)) == 1
    said.clear()
    started = time.monotonic()
    again = envs.ensure(SPEC, lock, said.append)
    assert time.monotonic() - started < 0.2
    assert again == first
    assert said == []
    assert left(tmp_path / "cache") == [first.python.parent.parent.name]


def test_what_names_an_environment_is_its_lock_its_python_and_what_the_user_adds(
    lock: Path, tmp_path: Path
) -> None:
    plain = envs.folder_of(SPEC, lock)
    assert envs.folder_of(SPEC, lock) == plain
    assert plain.name.startswith("tiny-")
    assert len(plain.name) == len("tiny-") + 64
    assert envs.folder_of(SPEC, lock, "more==1") != plain
    copy = tmp_path / "other" / "lock.txt"
    copy.parent.mkdir()
    copy.write_text(lock.read_text())
    assert envs.folder_of(SPEC, copy) == plain
    copy.write_text("tinypure==2.0\n")
    assert envs.folder_of(SPEC, copy) != plain


def test_the_requirements_of_the_user_are_installed_beside_the_lock(
    lock: Path, tmp_path: Path
) -> None:
    wheel(tmp_path / "wheels", "extra", "3.1", {"__init__.py": ""})
    more = tmp_path / "requirements mit Leerzeichen.txt"
    more.write_text("extra\n")
    made = envs.ensure(SPEC, lock, quiet, requirements=more)
    assert envs.describe(made.python).distributions == ("extra-3.1", "tinypure-1.0")
    assert made.python.parent.parent == envs.folder_of(SPEC, lock, "extra\n")


def test_paths_with_spaces_and_other_scripts_work(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPACK_CACHE", str(tmp_path / "Über uns" / "日本 [語]"))
    made = envs.ensure(SPEC, lock, quiet)
    assert answer(made) == "42"
    assert "日本 [語]" in str(made.python)
    assert envs.existing(SPEC, made.python).python == made.python


def test_an_environment_whose_interpreter_is_gone_is_made_again(lock: Path) -> None:
    made = envs.ensure(SPEC, lock, quiet)
    made.python.unlink()
    made.python.symlink_to("/nowhere/python3.11")
    (made.python.parent.parent / "stale").write_text("x")
    again = envs.ensure(SPEC, lock, quiet)
    assert again.python == made.python
    assert answer(again) == "42"
    assert not (made.python.parent.parent / "stale").exists()


def test_two_processes_make_it_once(lock: Path, tmp_path: Path) -> None:
    both = [process(ENSURE, lock) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    said = [one.communicate("go\n", timeout=30)[0].splitlines() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert said[0][-1] == said[1][-1]
    assert sum("making it in" in line for lines in said for line in lines) == 1
    assert len(left(tmp_path / "cache")) == 1


@pytest.mark.parametrize("seconds", [0.0, 0.15, 0.3])
def test_a_build_that_was_killed_in_the_middle_leaves_nothing_half_made(
    lock: Path, tmp_path: Path, seconds: float
) -> None:
    many = {f"m{n}.py": f"def f(x):\n    return x + {n}\n" * 20 for n in range(200)}
    wheel(tmp_path / "wheels", "tinypure", "1.0", {"__init__.py": "ANSWER = 42\n", **many})
    killed = process(ENSURE, lock)
    assert killed.stdin is not None
    killed.stdin.write("go\n")
    killed.stdin.flush()
    deadline = time.monotonic() + 10
    while not list((tmp_path / "cache" / "environments").glob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(seconds)
    killed.kill()
    killed.communicate()
    # Its uv may go on; nothing of what it does may reach the environment that is made now.
    made = envs.ensure(SPEC, lock, quiet)
    assert answer(made) == "42"
    assert len(list(made.python.parent.parent.rglob("tinypure/*.py"))) == 201
    envs.describe(made.python)
    for part in (tmp_path / "cache" / "environments").glob("*.part"):
        assert part.name != made.python.parent.parent.name


def test_a_lock_that_cannot_be_installed_is_e301_with_uvs_words(lock: Path, tmp_path: Path) -> None:
    lock.write_text("no-such-package-anywhere==9.9\n")
    error = refusal(lambda: envs.ensure(SPEC, lock, quiet))
    assert error.code == "E301"
    assert "no-such-package-anywhere" in error.why
    assert "[environments] tiny" in error.help
    assert left(tmp_path / "cache") == []
    lock.write_text("tinypure==1.0\n")
    assert answer(envs.ensure(SPEC, lock, quiet)) == "42"


def test_a_lock_that_is_no_list_of_requirements_is_e301(lock: Path) -> None:
    lock.write_text("<<<<<<< HEAD\n")
    assert refusal(lambda: envs.ensure(SPEC, lock, quiet)).code == "E301"


def test_a_python_that_cannot_be_had_is_e302(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    future = EnvironmentSpec(
        name="future", python=">=4.7", requirements=(), lock="lock.txt", probe=()
    )  # fmt: skip
    error = refusal(lambda: envs.ensure(future, lock, quiet))
    assert error.code == "E302"
    assert ">=4.7" in error.message
    assert error.why


def test_a_full_disk_is_e303(
    lock: Path, disk: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "tinypure", "1.0", {"__init__.py": "#" + "x" * 3_000_000})
    small = disk("1m")
    monkeypatch.setenv("EDGEPACK_CACHE", str(small))
    error = refusal(lambda: envs.ensure(SPEC, lock, quiet))
    assert error.code == "E303"
    assert str(small) in error.message
    assert left(small) == []


def test_a_read_only_cache_is_e304(
    lock: Path,
    disk: Callable[[str], Path],
    read_only: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = disk("1m")
    read_only(small)
    monkeypatch.setenv("EDGEPACK_CACHE", str(small / "cache"))
    assert refusal(lambda: envs.ensure(SPEC, lock, quiet)).code == "E304"


# An interpreter that the user names


def test_this_interpreter_is_described() -> None:
    found = envs.describe(Path(sys.executable))
    assert found.version == THIS
    names = {d.rpartition("-")[0] for d in found.distributions}
    assert {"numpy", "pytest", "msgspec"} <= names
    assert names == {n.lower().replace("_", "-") for n in names}
    assert list(found.distributions) == sorted(found.distributions)


def test_the_first_of_two_versions_on_the_path_counts(lock: Path, tmp_path: Path) -> None:
    made = envs.ensure(SPEC, lock, quiet)
    (site,) = made.python.parent.parent.glob("lib/python*/site-packages")
    behind = tmp_path / "behind"
    (behind / "tinypure-9.0.dist-info").mkdir(parents=True)
    (behind / "Other_Name.x-2.0.dist-info").mkdir()
    (site / "behind.pth").write_text(f"{behind}\n")
    assert envs.describe(made.python).distributions == ("other-name-x-2.0", "tinypure-1.0")


def test_a_named_environment_that_fits_is_taken_as_it_is(ready: envs.Environment) -> None:
    found = envs.existing(SPEC, ready.python)
    assert found.python == ready.python
    assert not found.managed
    assert found.digest == envs.existing(SPEC, ready.python).digest
    (site,) = ready.python.parent.parent.glob("lib/python*/site-packages")
    (site / "more-1.0.dist-info").mkdir()
    assert envs.existing(SPEC, ready.python).digest != found.digest
    (site / "more-1.0.dist-info").rmdir()


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("tinypure>=2", "has tinypure 1.0"),
        ("tinypure==1.0.1", "has tinypure 1.0"),
        ("Not_There==1", "lacks Not_There"),
    ],
)
def test_a_requirement_that_is_not_met_is_e305(
    ready: envs.Environment, requirement: str, message: str
) -> None:
    asking = EnvironmentSpec(
        name="tiny", python=">=3.11", requirements=("tinypure", requirement), lock="", probe=()
    )  # fmt: skip
    error = refusal(lambda: envs.existing(asking, ready.python))
    assert error.code == "E305"
    assert error.message.endswith(message)
    assert requirement in error.why


def test_a_local_version_meets_the_version_it_is_built_from(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    python = tmp_path / "python"
    shown = json.dumps([list(sys.version_info[:3]), ["", str(site)]])
    python.write_text(f"#!/bin/sh\necho '{shown}'\n")
    python.chmod(0o755)
    asking = EnvironmentSpec(
        name="torch", python=">=3.11", requirements=("torch==2.13.0",), lock="", probe=()
    )  # fmt: skip
    assert envs.existing(asking, python).name == "torch"


def test_a_python_of_another_version_is_e302() -> None:
    asking = EnvironmentSpec(name="old", python="<3.9", requirements=(), lock="", probe=())
    error = refusal(lambda: envs.existing(asking, Path(sys.executable)))
    assert error.code == "E302"
    assert f"is Python {THIS}" in error.message
    assert "<3.9" in error.why


@pytest.mark.parametrize("kind", ["missing", "folder", "true", "echo", "cat", "false", "text"])
def test_what_is_no_python_is_e302(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "python"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
        path.chmod(0o755)
    elif kind != "missing":
        path = Path("/bin") / kind
        assert os.access(path, os.X_OK)
    error = refusal(lambda: envs.describe(path))
    assert error.code == "E302"
    assert error.message == f"{path} is not a Python that runs"
