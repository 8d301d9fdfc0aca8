"""The rung `typecheck` for Android: the app's core, the app, its tests, as Kotlin's compiler sees them.

The core and its unit tests see Java, Kotlin and org.json alone. The rest of the app sees Android 14's
public classes and each surface of its runtime. Apps with the same sources are compiled once.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgepack_templates as templates
from edgepack.errors import EdgepackError
from edgepack.verifying import android_resources, kotlinc, tools
from edgepack.verifying.kotlinc import Call
from edgepack.verifying.project import Project

STUBS = templates.ROOT / "stubs" / "android"

_MAIN, _TEST, _DEVICE = (f"app/src/{part}/kotlin" for part in ("main", "test", "androidTest"))
_CORE = f"{_MAIN}/dev/edgepack/app/core"
_ANDROIDX = "stubs/androidx"
_ANDROID = "stubs/android"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A form of a runtime's classes that apps are compiled against.

    stubs: files of ours to compile. jar: a jar in a part of the tools, "" for none.
    """

    name: str
    stubs: tuple[str, ...] = ()
    jar: str = ""


# The first of each target is what apps are assembled with.
SURFACES: Mapping[str, tuple[Surface, ...]] = {
    "litert": (Surface(name="our declarations of LiteRT's classes", stubs=("litert.kt",)),),
    "executorch": (
        Surface(name="ExecuTorch's own Java classes of 1.1", jar="executorch/classes.jar"),
        Surface(name="our declarations of ExecuTorch 1.5", stubs=("executorch.kt",)),
    ),
}


# What a runtime's own classes refer to, and no registry here has.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "executorch": ("fbjni.kt", "fbjni_annotations.kt", "soloader.kt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A project and a folder of its own to work in, where its resources were linked."""

    project: Project
    scratch: Path


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
    calls = _stub_calls({site.project.target for site in sites}, batch)
    json = kotlinc.json_of_android(batch)
    planned: dict[str, list[Call]] = {}
    plans = [_Sources.of(site) for site in sites]
    for site, sources in zip(sites, plans, strict=True):
        if sources.core_key not in planned:
            planned[sources.core_key] = _core_calls(sources, json, batch)
            calls += planned[sources.core_key]
        if sources.app_key not in planned:
            planned[sources.app_key] = _app_calls(site.project.target, sources, batch)
            calls += planned[sources.app_key]
    failures = kotlinc.run(calls, batch)
    outcomes: list[list[str] | EdgepackError] = []
    for site, sources in zip(sites, plans, strict=True):
        needed = [*planned[sources.core_key], *planned[sources.app_key]]
        refused = [failures[call.output] for call in needed if call.output in failures]
        outcomes.append(_refused(refused[0]) if refused else _proved(site.project, sources))
        _keep(site, sources, batch / "out")
    return outcomes


def classes(site: Site, part: str) -> Path:
    """Where the classes of core, main, test, runtime or needed are once they are compiled."""
    return site.scratch / "classes" / part


def runtime_classes(site: Site) -> Path:
    """Jar or folder of the runtime's classes that the app is assembled with. Raises E616."""
    jar = SURFACES[site.project.target][0].jar
    return _in_part(jar) if jar else classes(site, "runtime")


# --- sources -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """The Kotlin sources of an app by their names in the project, and keys that name what they hold."""

    core: dict[str, Path]
    test: dict[str, Path]
    main: dict[str, Path]
    device: dict[str, Path]
    core_key: str
    app_key: str

    @classmethod
    def of(cls, site: Site) -> _Sources:
        """Those of a project, with the constants of its resources in main."""
        core, test, main, device = (
            _below(site.project.folder, name) for name in (_CORE, _TEST, _MAIN, _DEVICE)
        )
        main = {name: path for name, path in main.items() if name not in core}
        main |= _below(site.scratch, android_resources.SOURCES)
        core_key = _key("", core, test)
        return cls(
            core=core, test=test, main=main, device=device, core_key=core_key,
            app_key=_key(core_key + site.project.target, main, device),
        )  # fmt: skip


def _below(root: Path, folder: str) -> dict[str, Path]:
    """Sources below a folder, by their paths relative to `root`."""
    found = sorted((root / folder).rglob("*"))
    return {p.relative_to(root).as_posix(): p for p in found if p.suffix in (".kt", ".java")}


def _key(start: str, *sources: Mapping[str, Path]) -> str:
    """A name for sources: those with the same one compile alike."""
    known = hashlib.sha256(start.encode())
    for some in sources:
        for name, path in some.items():
            known.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return known.hexdigest()[:16]


def _copied(sources: Mapping[str, Path], key: str, batch: Path) -> tuple[str, ...]:
    """Copy sources into the batch; their names there.

    People's own paths may hold what a classpath or the locale of a JVM cannot.
    """
    for name, path in sources.items():
        copy = batch / key / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return tuple(f"{key}/{name}" for name in sources)


# --- compilations --------------------------------------------------------------------------------


def _stub_calls(targets: set[str], batch: Path) -> list[Call]:
    """Compilations of our declarations that the targets need."""
    calls = [
        _stub_call(_ANDROIDX, ("androidx_test.kt",), batch),
        _stub_call(_ANDROID, ("mediastore.kt",), batch),
    ]
    for target in sorted(targets):
        for number, surface in enumerate(SURFACES[target]):
            if surface.stubs:
                calls.append(_stub_call(f"stubs/{target}-{number}", surface.stubs, batch))
        if target in NEEDED:
            calls.append(_stub_call(f"stubs/{target}-needed", NEEDED[target], batch))
    return calls


def _stub_call(output: str, names: Sequence[str], batch: Path) -> Call:
    """The compilation of files of STUBS, which are copied into the batch."""
    sources = _copied({name: STUBS / name for name in names}, "declarations", batch)
    return Call(output=output, sources=sources, classpath=kotlinc.android())


def _core_calls(sources: _Sources, json: Path, batch: Path) -> list[Call]:
    """Compilations of the core and its unit tests."""
    key = sources.core_key
    core, test = (_copied(part, key, batch) for part in (sources.core, sources.test))
    calls = [Call(output=f"{key}/core", sources=core, classpath=(json,))]
    if test:
        seen: list[Path | str] = [json, f"out/{key}/core", *_junit()]
        own = f"{key}/core"
        calls.append(Call(output=f"{key}/test", sources=test, classpath=tuple(seen), friend=own))
    return calls


def _app_calls(target: str, sources: _Sources, batch: Path) -> list[Call]:
    """Compilations of the rest of the app with each surface, and of its tests for devices."""
    key, core = sources.app_key, f"{sources.core_key}/core"
    main, device = (_copied(part, key, batch) for part in (sources.main, sources.device))
    calls = []
    for number, surface in enumerate(SURFACES[target]):
        runtime: Path | str = f"out/stubs/{target}-{number}"
        if surface.jar:
            runtime = _in_part(surface.jar)
        seen = [f"out/{_ANDROID}", *kotlinc.android(), f"out/{core}", runtime]
        output = f"{key}/main" if number == 0 else f"{key}/main-{number}"
        calls.append(Call(output=output, sources=main, classpath=tuple(seen), friend=core))
    if device:
        made = [f"out/{core}", f"out/{key}/main", f"out/{_ANDROIDX}"]
        seen = [*kotlinc.android(), *made, *_junit()]
        calls.append(
            Call(
                output=f"{key}/device", sources=device, classpath=tuple(seen), friend=f"{key}/main"
            )
        )  # fmt: skip
    return calls


def _junit() -> tuple[Path, ...]:
    return tuple(tools.part("junit") / name for name in ("junit4.jar", "hamcrest.jar"))


def _in_part(jar: str) -> Path:
    """A jar of a part of the tools. Raises E616."""
    part, _, name = jar.partition("/")
    return tools.part(part) / name


# --- outcomes ------------------------------------------------------------------------------------


def _refused(message: str) -> EdgepackError:
    """The error for code that the compiler refuses; its paths are those of the project."""
    lines = [re.sub(r"^[0-9a-f]{16}/", "", line) for line in message.splitlines() if line.strip()]
    return EdgepackError(
        "E613",
        "kotlinc refuses the app's code",
        why="\n".join(lines[:30]),
        help="correct the line that it names",
    )


def _proved(project: Project, sources: _Sources) -> list[str]:
    """What a successful compilation says."""
    core, test, main, device = (
        len(part) for part in (sources.core, sources.test, sources.main, sources.device)
    )
    return [
        "kotlinc with warnings as errors, language 2.2",
        f"{core} files of the core, {test} of its tests: against java.* of Java 8 and org.json",
        f"{main} of the app, {device} of its tests for devices: against Android 14's public classes",
        *(f"the app against {surface.name}" for surface in SURFACES[project.target]),
    ]


def _keep(site: Site, sources: _Sources, out: Path) -> None:
    """Link the classes of an app to where its other rungs look for them."""
    target = site.project.target
    shutil.rmtree(site.scratch / "classes", ignore_errors=True)
    (site.scratch / "classes").mkdir()
    for part, made in (
        ("core", f"{sources.core_key}/core"),
        ("test", f"{sources.core_key}/test"),
        ("main", f"{sources.app_key}/main"),
        ("runtime", f"stubs/{target}-0"),
        ("needed", f"stubs/{target}-needed"),
    ):
        if (out / made).is_dir():
            classes(site, part).symlink_to(out / made, target_is_directory=True)
