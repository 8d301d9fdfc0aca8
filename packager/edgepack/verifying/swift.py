"""The rungs `typecheck` and `test` for iOS: real Swift, Apple's frameworks as declarations of ours.

An app and its tests are type-checked as Swift 5 and as Swift 6, warnings as errors; EdgeCore is a
package that real Swift builds and tests. Apps with the same sources are checked once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgepack_templates as templates
from edgepack.errors import EdgepackError
from edgepack.verifying import tools
from edgepack.verifying.project import Project

STUBS = templates.ROOT / "stubs" / "ios"
LANGUAGES = ("5", "6")

_CORE = "EdgeCore/Sources/EdgeCore"
_APP, _TESTS = "EdgepackApp", "EdgepackAppTests"
_FAILED = "failed: "
_SWIFTC = "swiftc -module-cache-path cache -I modules -parse-as-library"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Sources that are checked once, by their names in the project; keys name what they hold."""

    core: Mapping[str, Path]
    app: Mapping[str, Path]
    tests: Mapping[str, Path]
    core_key: str
    app_key: str

    @classmethod
    def of(cls, project: Project) -> _Unit:
        """The Swift sources of a project."""
        core, app, tests = (_below(project, folder) for folder in (_CORE, _APP, _TESTS))
        core_key = _key("", core)
        return cls(
            core=core, app=app, tests=tests, core_key=core_key, app_key=_key(core_key, app, tests)
        )

    @property
    def frameworks(self) -> set[str]:
        """Modules that are imported and that are declared by us."""
        return _imports([*self.core.values(), *self.app.values(), *self.tests.values()])


def _below(project: Project, folder: str) -> dict[str, Path]:
    """Swift files below a folder, by their names in the project."""
    paths = project.sources(".swift", folder)
    return {path.relative_to(project.folder).as_posix(): path for path in paths}


def _key(start: str, *sources: Mapping[str, Path]) -> str:
    """A name for sources: those with the same one compile alike."""
    known = hashlib.sha256(start.encode())
    for some in sources:
        for name, path in some.items():
            known.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return known.hexdigest()[:16]


# --- type-checking -------------------------------------------------------------------------------


def check_types(project: Project, scratch: Path) -> list[str]:
    """As `check_all`, for one app. Raises E613, E616."""
    outcome = check_all([project], scratch)[0]
    if isinstance(outcome, EdgepackError):
        raise outcome
    return outcome


def check_all(projects: Sequence[Project], scratch: Path) -> list[list[str] | EdgepackError]:
    """For each app what was proved of its code and its tests, or its E613. Raises E616."""
    work = scratch / "types"
    shutil.rmtree(work, ignore_errors=True)
    units = [_Unit.of(project) for project in projects]
    cores = {unit.core_key: unit.core for unit in units}
    apps = {unit.app_key: unit for unit in units}
    for key, sources in [*cores.items(), *((k, {**u.app, **u.tests}) for k, u in apps.items())]:
        _copy(sources, work / key)
    shutil.copytree(STUBS, work / "stubs")
    frameworks = _in_order({name for unit in apps.values() for name in unit.frameworks})
    (work / "check.sh").write_text(_script(cores, apps, frameworks), encoding="utf-8")
    done = tools.swift("sh", "check.sh", cwd=work)
    if done.code:
        raise tools.missing("swift", f"it cannot compile our declarations: {done.text[-2000:]}")
    outcomes: list[list[str] | EdgepackError] = []
    for unit in units:
        said = [(work / f"{key}.log").read_text("utf-8") for key in (unit.core_key, unit.app_key)]
        refused = [text for text in said if _FAILED in text]
        outcomes.append(_refused(refused[0]) if refused else _proved(unit))
    return outcomes


def _copy(sources: Mapping[str, Path], place: Path) -> None:
    """Copy sources to a folder whose name holds nothing that a shell or a compiler could misread."""
    for name, path in sources.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / name)


def _script(
    cores: Mapping[str, Mapping[str, Path]], apps: Mapping[str, _Unit], frameworks: Sequence[str]
) -> str:
    """All calls of the compiler in one shell, as entering the toolchain's root takes a moment.

    What is said of some sources goes to the log of their key, and after a call that fails, its name.
    """
    lines = ["mkdir -p modules cache"]
    lines += [
        f"{_SWIFTC} -emit-module -swift-version 6 -enable-library-evolution -suppress-warnings"
        f" -module-name {name} -o modules/{name}.swiftmodule stubs/{name}.swift || exit 1"
        for name in frameworks
    ]
    lines += _side_by_side(
        {
            key: [_call(key, key, language, "EdgeCore", sources) for language in LANGUAGES]
            for key, sources in cores.items()
        }
    )
    lines += _side_by_side(
        {
            key: [
                _call(key, unit.core_key, language, module, sources)
                for language in LANGUAGES
                for module, sources in ((_APP, unit.app), (_TESTS, unit.tests))
            ]
            for key, unit in apps.items()
        }
    )
    lines.append("exit 0")
    return "".join(f"{line}\n" for line in lines)


def _side_by_side(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Groups of calls, as many at once as there are cores; each group stops at its first failure."""
    lines: list[str] = []
    cores = os.cpu_count() or 1
    for number, (key, calls) in enumerate(groups.items(), start=1):
        lines += ["(", *calls, f") > {key}.log 2>&1 &"]
        if number % cores == 0:
            lines.append("wait")
    return [*lines, "wait"]


def _call(key: str, core: str, language: str, module: str, sources: Iterable[str]) -> str:
    """The call that checks the sources of a module in one language mode, and what follows its failure."""
    made = f"{key}/swift{language}"
    out = f"-emit-module -enable-testing -o {made}/{module}.swiftmodule"
    how = "-typecheck" if module == _TESTS else out
    files = shlex.join(f"{key}/{name}" for name in sources)
    seen = f"-I {made} -I {core}/swift{language}"
    call = f"{_SWIFTC} -warnings-as-errors -swift-version {language} {seen} {how}"
    failed = f"{{ echo '{_FAILED}{module} in Swift {language} mode'; exit; }}"
    return f"mkdir -p {made} && {call} -module-name {module} {files} || {failed}"


def _in_order(wanted: set[str]) -> list[str]:
    """Our declarations that are needed for those, each after what it imports itself."""
    found: list[str] = []

    def add(name: str) -> None:
        if name not in found:
            for other in sorted(_imports([STUBS / f"{name}.swift"]) - {name}):
                add(other)
            found.append(name)

    for name in sorted(wanted):
        add(name)
    return found


def _imports(sources: Iterable[Path]) -> set[str]:
    """Modules that files import and that are declared by us."""
    text = "\n".join(path.read_text("utf-8") for path in sources)
    found = set(re.findall(r"^(?:@\w+ )*import (?:\w+ )?(\w+)", text, re.MULTILINE))
    return found & {path.stem for path in STUBS.glob("*.swift")}


def _refused(said: str) -> EdgepackError:
    """The error for code that the compiler refuses; its paths are those of the project."""
    lines = re.sub(r"(?:/project/)?\b[0-9a-f]{16}/", "", said).splitlines()
    named = list(dict.fromkeys(line for line in lines if re.match(r"\S.*?:\d+:\d+: ", line)))
    where = [line.removeprefix(_FAILED) for line in lines if line.startswith(_FAILED)]
    return EdgepackError(
        "E613",
        f"swiftc refuses the app's code: {', '.join(where)}",
        why="\n".join(named[:30] or lines[-30:]),
        help="correct the line that it names",
    )


def _proved(unit: _Unit) -> list[str]:
    """What a successful check says."""
    modes = " and ".join(LANGUAGES)
    return [
        f"swiftc with warnings as errors, as Swift {modes}",
        f"{len(unit.core)} files of EdgeCore, {len(unit.app)} of the app, {len(unit.tests)} of its tests",
        f"against our declarations of {', '.join(sorted(unit.frameworks))}",
    ]


# --- the core's tests ----------------------------------------------------------------------------


def check_core(project: Project, scratch: Path) -> list[str]:
    """What was proved of the package EdgeCore, built and tested. Raises E614, E616."""
    work = scratch / "core"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(project.folder / "EdgeCore", work)
    done = tools.swift("swift-test", "--package-path", ".", "--scratch-path", "build", cwd=work)
    passed = re.findall(r"Executed (\d+) tests?, with 0 failures", done.text)
    if done.code or not passed or int(passed[-1]) == 0:
        failures = re.findall(r"^.*\berror: .*$", done.text, re.MULTILINE)
        raise EdgepackError(
            "E614",
            "EdgeCore cannot be built or its tests fail",
            why="\n".join(failures[:30] or done.text.splitlines()[-30:]),
            help="correct the core, or the test that names what it should do",
        )
    return [f"swift build and swift test: {passed[-1]} tests of EdgeCore pass"]
