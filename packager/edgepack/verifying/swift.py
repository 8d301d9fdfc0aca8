"""The rungs `typecheck` and `test` for iOS: real Swift, Apple's frameworks as declarations of ours.

An app and its tests are type-checked as Swift 5 and as Swift 6, warnings as errors; EdgeCore is a
package that real Swift builds and tests. Apps with the same sources are checked once.
"""

from __future__ import annotations

import hashlib
import re
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
    """Sources that are checked once, by their names in the project. key names what they hold."""

    key: str
    sources: Mapping[str, Path]

    @property
    def files(self) -> int:
        """How many files there are of the app itself."""
        return sum(1 for name in self.sources if name.startswith(f"{_APP}/"))


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
    units = [_unit(project) for project in projects]
    distinct = {unit.key: unit for unit in units}
    for key, unit in distinct.items():
        _copy(unit.sources, work / key)
    shutil.copytree(STUBS, work / "stubs")
    frameworks = {key: _frameworks(unit.sources.values()) for key, unit in distinct.items()}
    script = _script(distinct, _in_order({name for some in frameworks.values() for name in some}))
    (work / "check.sh").write_text(script, encoding="utf-8")
    done = tools.swift("sh", "check.sh", cwd=work)
    if done.code:
        raise tools.missing("swift", f"it cannot compile our declarations: {done.text[-2000:]}")
    outcomes: list[list[str] | EdgepackError] = []
    for unit in units:
        said = (work / f"{unit.key}.log").read_text("utf-8")
        outcomes.append(
            _refused(said, unit.key) if _FAILED in said else _proved(unit, frameworks[unit.key])
        )
    return outcomes


def _unit(project: Project) -> _Unit:
    """The Swift sources of a project."""
    sources = {
        path.relative_to(project.folder).as_posix(): path
        for path in project.sources(".swift", _CORE, _APP, _TESTS)
    }
    known = hashlib.sha256()
    for name, path in sources.items():
        known.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return _Unit(key=known.hexdigest()[:16], sources=sources)


def _copy(sources: Mapping[str, Path], place: Path) -> None:
    """Copy sources to a folder whose name holds nothing that a shell or a compiler could misread."""
    for name, path in sources.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / name)


def _script(units: Mapping[str, _Unit], frameworks: Sequence[str]) -> str:
    """All calls of the compiler in one shell, as entering the toolchain's root takes a moment.

    What is said of a unit goes to its log, and after a call that fails, its name.
    """
    lines = ["mkdir -p modules cache"]
    lines += [
        f"{_SWIFTC} -emit-module -swift-version 6 -enable-library-evolution -suppress-warnings"
        f" -module-name {name} -o modules/{name}.swiftmodule stubs/{name}.swift || exit 1"
        for name in frameworks
    ]
    for key, unit in units.items():
        lines.append("(")
        for language in LANGUAGES:
            lines += _calls(key, unit, language)
        lines.append(f") > {key}.log 2>&1")
    lines.append("exit 0")
    return "".join(f"{line}\n" for line in lines)


def _calls(key: str, unit: _Unit, language: str) -> list[str]:
    """Calls that check the core, the app and its tests in one language mode."""
    made = f"{key}/swift{language}"
    strict = f"{_SWIFTC} -warnings-as-errors -swift-version {language} -I {made}"
    modules = {
        "EdgeCore": f"-emit-module -o {made}/EdgeCore.swiftmodule",
        _APP: f"-emit-module -enable-testing -o {made}/{_APP}.swiftmodule",
        _TESTS: "-typecheck",
    }
    lines = [f"mkdir -p {made}"]
    for module, how in modules.items():
        names = [name for name in unit.sources if name.partition("/")[0] == module]
        files = " ".join(f"'{key}/{name}'" for name in names)
        if files:
            call = f"{strict} {how} -module-name {module} {files}"
            lines.append(
                f"{call} || {{ echo '{_FAILED}{module} in Swift {language} mode'; exit; }}"
            )
    return lines


def _in_order(wanted: set[str]) -> list[str]:
    """Our declarations that are needed for those, each after what it imports itself."""
    found: list[str] = []

    def add(name: str) -> None:
        if name not in found:
            for other in sorted(_frameworks([STUBS / f"{name}.swift"]) - {name}):
                add(other)
            found.append(name)

    for name in sorted(wanted):
        add(name)
    return found


def _frameworks(sources: Iterable[Path]) -> set[str]:
    """Modules that files import and that are declared by us."""
    text = "\n".join(path.read_text("utf-8") for path in sources)
    found = set(re.findall(r"^(?:@\w+ )*import (?:\w+ )?(\w+)", text, re.MULTILINE))
    return found & {path.stem for path in STUBS.glob("*.swift")}


def _refused(said: str, key: str) -> EdgepackError:
    """The error for code that the compiler refuses; its paths are those of the project."""
    lines = said.replace(f"{key}/", "").replace("/work/", "").splitlines()
    named = list(dict.fromkeys(line for line in lines if re.match(r"\S.*?:\d+:\d+: ", line)))
    where = [line.removeprefix(_FAILED) for line in lines if line.startswith(_FAILED)]
    return EdgepackError(
        "E613",
        f"swiftc refuses the app's code: {', '.join(where)}",
        why="\n".join(named[:30] or lines[-30:]),
        help="correct the line that it names",
    )


def _proved(unit: _Unit, frameworks: set[str]) -> list[str]:
    """What a successful check says."""
    modes = " and ".join(LANGUAGES)
    return [
        f"swiftc with warnings as errors, as Swift {modes}: {unit.files} files of the app, its tests",
        f"against real EdgeCore and our declarations of {', '.join(sorted(frameworks))}",
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
