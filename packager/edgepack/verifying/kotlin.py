"""The rung `typecheck` for Android: kotlinc with warnings as errors, several apps in one process.

The main code of an app is compiled against Android 14's public classes, java.* of Java 8 (which is what
Android 8 has, as far as signatures go) and each surface of its runtime; then its unit tests and its
tests for devices. Apps with the same sources are compiled once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgepack_templates as templates
from edgepack.errors import EdgepackError
from edgepack.verifying import android_resources, tools
from edgepack.verifying.project import Project

STUBS = templates.ROOT / "stubs" / "android"

# Kotlin 2.2 is what AGP 9.2 brings.
_OPTIONS = (
    "-no-stdlib", "-no-reflect", "-Xjdk-release=8", "-jvm-target", "1.8", "-Werror",
    "-language-version", "2.2", "-api-version", "2.2",
)  # fmt: skip
_COMPILER = (
    "kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect",
    "kotlinx-coroutines-core-jvm", "annotations-13.0",
)  # fmt: skip
_BATCH = Path(__file__).with_name("KotlinBatch.java")
_PARTS = ("main", "test", "androidTest")
_PROBLEM = re.compile(r"^(?:\d+/)?(\w+/.+?: (?:error|warning): .*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A form of a runtime's classes that apps are compiled against.

    stubs: files of ours to compile. jar: a jar in a part of the tools, "" for none.
    """

    name: str
    stubs: tuple[str, ...] = ()
    jar: str = ""


# The first of each target is what apps are tested and assembled with.
SURFACES: Mapping[str, tuple[Surface, ...]] = {
    "litert": (Surface(name="our declarations of LiteRT's classes", stubs=("litert.kt",)),),
    "executorch": (
        Surface(name="ExecuTorch's own Java classes of 1.1", jar="executorch/classes.jar"),
        Surface(name="our declarations of ExecuTorch 1.5", stubs=("executorch.kt",)),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A project and a folder of its own to work in, where its resources were linked."""

    project: Project
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One compilation: its name, sources relative to the batch's folder, and what it sees."""

    output: str
    sources: tuple[str, ...]
    classpath: tuple[Path | str, ...]
    friends: str = ""


def check(site: Site) -> list[str]:
    """As `check_all`, for one app. Raises E613, E616."""
    outcome = check_all([site])[0]
    if isinstance(outcome, EdgepackError):
        raise outcome
    return outcome


def check_all(sites: Sequence[Site]) -> list[list[str] | EdgepackError]:
    """For each app what was proved, or its E613. Compiled classes go to `classes(site, part)`.

    Raises E616.
    """
    if not sites:
        return []
    batch = sites[0].scratch / "kotlin"
    shutil.rmtree(batch, ignore_errors=True)
    batch.mkdir()
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault(_digest(site), []).append(site)
    calls = _stub_calls({site.project.target for site in sites}, batch)
    planned: dict[str, list[_Call]] = {}
    for key, members in groups.items():
        planned[key] = _app_calls(members[0], key, batch)
        calls += planned[key]
    failures = _compile(calls, batch)
    outcomes: dict[str, list[str] | EdgepackError] = {}
    for key, members in groups.items():
        wrong = [failures[c.output] for c in planned[key] if c.output in failures]
        outcomes[key] = _refused(wrong[0], key) if wrong else _proved(members[0].project)
        for site in members:
            _keep(batch / "out" / key, site.scratch / "classes")
            if SURFACES[site.project.target][0].stubs:
                _keep(batch / f"out/stubs-{site.project.target}-0", classes(site, "runtime"))
    return [outcomes[_digest(site)] for site in sites]


def classes(site: Site, part: str) -> Path:
    """Where the classes of main, test or androidTest are once they are compiled."""
    return site.scratch / "classes" / part


def runtime_classes(site: Site) -> Path:
    """Jar or folder of the runtime's classes that the app is tested and assembled with."""
    surface = SURFACES[site.project.target][0]
    if surface.jar:
        part, _, name = surface.jar.partition("/")
        return tools.part(part) / name
    return classes(site, "runtime")


def stubs(names: Sequence[str], scratch: Path) -> Path:
    """Compile files of STUBS into a folder. Raises E613, E616."""
    calls = _stub_calls(set(), scratch, {"more": tuple(names)})
    failures = _compile(calls, scratch)
    for message in failures.values():
        raise _refused(message, "")
    return scratch / "out" / "stubs-more"


# --- calls ---------------------------------------------------------------------------------------


def _digest(site: Site) -> str:
    """A name for the sources of an app: apps with the same one compile alike."""
    known = hashlib.sha256(site.project.target.encode())
    for path in _sources(site):
        known.update(path.name.encode() + b"\0" + path.read_bytes())
    return known.hexdigest()[:16]


def _sources(site: Site) -> list[Path]:
    """Every Kotlin source of the app and the constants of its resources."""
    folders = [f"app/src/{part}/kotlin" for part in _PARTS]
    made = site.scratch / android_resources.SOURCES
    return [*site.project.sources(".kt", *folders), *sorted(made.rglob("*.java"))]


def _stub_calls(
    targets: set[str], batch: Path, more: Mapping[str, tuple[str, ...]] | None = None
) -> list[_Call]:
    """Compilations of our declarations that the targets need."""
    wanted = dict(more or {"androidx": ("androidx_test.kt",)})
    for target in sorted(targets):
        for number, surface in enumerate(SURFACES[target]):
            if surface.stubs:
                wanted[f"{target}-{number}"] = surface.stubs
    (batch / "stubs").mkdir(exist_ok=True)
    for names in wanted.values():
        for name in names:
            shutil.copyfile(STUBS / name, batch / "stubs" / name)
    return [
        _Call(
            output=f"stubs-{key}",
            sources=tuple(f"stubs/{name}" for name in names),
            classpath=tuple(_platform()),
        )
        for key, names in wanted.items()
    ]


def _app_calls(site: Site, key: str, batch: Path) -> list[_Call]:
    """Compilations of one app, its sources copied beside the batch's arguments.

    Paths of people's own may hold what a classpath or the JVM's locale cannot.
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in _PARTS:
        folder = site.project.folder / f"app/src/{part}/kotlin"
        found[part] = _copied(
            site.project.sources(".kt", f"app/src/{part}/kotlin"), folder, f"{key}/{part}", batch
        )
    made = site.scratch / android_resources.SOURCES
    resources = _copied(sorted(made.rglob("*.java")), made, f"{key}/gen", batch)
    calls = []
    for number, surface in enumerate(SURFACES[site.project.target]):
        calls.append(
            _Call(
                output=f"{key}/main" if number == 0 else f"{key}/main-{number}",
                sources=(*found["main"], *resources),
                classpath=(*_platform(), _surface(site.project.target, number, surface)),
            )
        )
    junit = [tools.part("junit") / name for name in ("junit4.jar", "hamcrest.jar")]
    main = f"out/{key}/main"
    for part, sees in (("test", ()), ("androidTest", ("out/stubs-androidx",))):
        if found[part]:
            path = (*_platform(), main, *junit, *sees)
            calls.append(
                _Call(output=f"{key}/{part}", sources=found[part], classpath=path, friends=main)
            )
    return calls


def _copied(paths: Sequence[Path], folder: Path, where: str, batch: Path) -> tuple[str, ...]:
    """Copy sources below a folder into the batch; their names there."""
    names = []
    for path in paths:
        name = f"{where}/{path.relative_to(folder).as_posix()}"
        (batch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, batch / name)
        names.append(name)
    return tuple(names)


def _platform() -> list[Path]:
    """What every app sees: Android's classes and Kotlin's library. Raises E616."""
    android, kotlin = tools.part("android"), tools.part("kotlin")
    return [
        android / "android-34.jar", android / "android-23.jar", kotlin / "lib/kotlin-stdlib.jar",
    ]  # fmt: skip


def _surface(target: str, number: int, surface: Surface) -> Path | str:
    """Where the classes of a surface are."""
    if surface.jar:
        part, _, name = surface.jar.partition("/")
        return tools.part(part) / name
    return f"out/stubs-{target}-{number}"


# --- the compiler --------------------------------------------------------------------------------


def _compile(calls: Sequence[_Call], batch: Path) -> dict[str, str]:
    """Run the compilations; output to message of those that failed. Raises E616."""
    lines: list[str] = []
    for call in calls:
        path = os.pathsep.join(str(p) for p in call.classpath)
        friends = [f"-Xfriend-paths={call.friends}"] if call.friends else []
        lines += [*_OPTIONS, *friends, "-cp", path, "-d", f"out/{call.output}", *call.sources, ""]
    (batch / "calls").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    library = tools.part("kotlin") / "lib"
    done = tools.java(
        "-Dkotlin.environment.keepalive=true", _BATCH, "calls",
        classpath=[library / f"{name}.jar" for name in _COMPILER], cwd=batch,
    )  # fmt: skip
    codes = [int(line) for line in done.out.split()]
    if done.code or len(codes) != len(calls):
        raise tools.missing("kotlinc", f"it ended with code {done.code}: {done.text[-2000:]}")
    return {
        call.output: (batch / f"calls.{number}.log").read_text("utf-8")
        for number, (call, code) in enumerate(zip(calls, codes, strict=True))
        if code
    }


def _refused(message: str, key: str) -> EdgepackError:
    """The error for an app that the compiler refuses; its paths are those of the project."""
    lines = [
        re.sub(r"/gen/", "/R/", line.replace(f"{key}/main/", "").replace(f"{key}/", ""))
        for line in message.splitlines()
        if line.strip()
    ]
    return EdgepackError(
        "E613",
        "kotlinc refuses the app's code",
        why="\n".join(lines[:30]),
        help="correct the line that it names",
    )


def _proved(project: Project) -> list[str]:
    """What a successful compilation says."""
    counts = {part: len(project.sources(".kt", f"app/src/{part}/kotlin")) for part in _PARTS}
    files = ", ".join(f"{count} of {part}" for part, count in counts.items())
    return [
        f"kotlinc with warnings as errors, language 2.2: {files}",
        "against Android 14's public classes and java.* of Java 8",
        *(f"against {surface.name}" for surface in SURFACES[project.target]),
    ]


def _keep(made: Path, place: Path) -> None:
    """Copy the classes of an app to where its other rungs look for them."""
    shutil.rmtree(place, ignore_errors=True)
    if made.is_dir():
        shutil.copytree(made, place)
