"""The rungs of iOS: resources without Apple's tools, type-checking against our declarations, the core's tests.

The app's code is checked as Swift 5 and as Swift 6, warnings as errors; EdgeCore is a package that real
Swift builds and tests.
"""

from __future__ import annotations

import json
import plistlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgepack_templates as templates
from edgepack.errors import EdgepackError
from edgepack.verifying import tools
from edgepack.verifying.project import Project

STUBS = templates.ROOT / "stubs" / "ios"
LANGUAGES = ("5", "6")

# What a phone asks its user about needs a sentence for that user.
_USAGE = {
    "NSCameraUsageDescription": r"\bAVCaptureDevice\b",
    "NSMicrophoneUsageDescription": r"\b(?:AVAudioEngine|AVAudioRecorder|AVAudioApplication)\b",
}


# --- resources -----------------------------------------------------------------------------------


def check_resources(project: Project) -> list[str]:
    """What was proved of asset catalogs, the privacy manifest and usage descriptions. Raises E612."""
    catalogs = sorted(project.folder.rglob("*.xcassets"))
    assets = [path for catalog in catalogs for path in catalog.rglob("Contents.json")]
    for path in assets:
        _check_assets(project, path)
    tracked = _check_privacy(project)
    described = _check_usage(project)
    return [
        f"{len(assets)} folders of asset catalogs name files that are there",
        f"the privacy manifest declares {tracked}",
        f"usage descriptions are those that the code needs: {', '.join(described) or 'none'}",
    ]


def _check_assets(project: Project, path: Path) -> None:
    """Raises E612 when a catalog names a file that is not there, or holds one it does not name."""
    content = json.loads(path.read_text("utf-8"))
    entries = [e for kind in ("images", "data") for e in content.get(kind, [])]
    named = {entry["filename"] for entry in entries if "filename" in entry}
    found = {p.name for p in path.parent.iterdir() if p.is_file()} - {"Contents.json"}
    where = path.relative_to(project.folder).as_posix()
    for name in sorted(named ^ found):
        raise _wrong(f"{where}: {'there is no' if name in named else 'nothing names'} {name}")


def _check_privacy(project: Project) -> str:
    """What the privacy manifest declares. Raises E612 for a key that Apple does not know."""
    path = project.folder / "EdgepackApp/PrivacyInfo.xcprivacy"
    declared: dict[str, Any] = plistlib.loads(path.read_bytes())
    known = ("NSPrivacyTracking", "NSPrivacyTrackingDomains", "NSPrivacyCollectedDataTypes",
             "NSPrivacyAccessedAPITypes")  # fmt: skip
    unknown = sorted(set(declared) - set(known))
    if unknown or declared.get("NSPrivacyTracking") is not False:
        why = f"unknown: {', '.join(unknown)}" if unknown else "it must say that it tracks nothing"
        raise _wrong(f"PrivacyInfo.xcprivacy: {why}")
    reasons = len(declared.get("NSPrivacyAccessedAPITypes", []))
    return f"no tracking and {reasons} reasons for guarded APIs"


def _check_usage(project: Project) -> list[str]:
    """The usage descriptions. Raises E612 unless they are those that the code needs, with words."""
    code = "\n".join(p.read_text("utf-8") for p in project.sources(".swift", "EdgepackApp"))
    settings = "\n".join(
        p.read_text("utf-8")
        for p in [
            *project.sources(".xcconfig", "Config"),
            *project.folder.glob("*.xcodeproj/*.pbxproj"),
        ]
    )
    described = []
    for key, pattern in _USAGE.items():
        found = re.search(rf'INFOPLIST_KEY_{key} = "?(.*?)"?;?$', settings, re.MULTILINE)
        text = found.group(1).strip() if found else ""
        needed = re.search(pattern, code) is not None
        if needed and not text:
            raise _wrong(f"the code needs {key}, which is missing or empty")
        if found and not needed:
            raise _wrong(f"{key} is set, but the code does not need it")
        if needed:
            described.append(key)
    return described


def _wrong(why: str) -> EdgepackError:
    """The error for resources that do not fit together."""
    return EdgepackError(
        "E612", "the app's resources do not fit together", why=why, help="correct the file it names"
    )


# --- type-checking -------------------------------------------------------------------------------


def check_types(project: Project, scratch: Path) -> list[str]:
    """What was proved of the app's code and its tests. Raises E613, E616."""
    work = scratch / "types"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in ("EdgepackApp", "EdgepackAppTests", "EdgeCore"):
        shutil.copytree(project.folder / name, work / name)
    shutil.copytree(STUBS, work / "stubs")
    script = _script(work, sorted(path.stem for path in STUBS.glob("*.swift")))
    (work / "check.sh").write_text(script, encoding="utf-8")
    done = tools.swift("sh", "check.sh", cwd=work)
    if done.code:
        raise EdgepackError(
            "E613",
            "swiftc refuses the app's code",
            why="\n".join(_complaints(done.text)),
            help="correct the line that it names",
        )
    count = len(list((work / "EdgepackApp").rglob("*.swift")))
    modes = " and ".join(LANGUAGES)
    frameworks = ", ".join(sorted(_imports(work / "EdgepackApp")))
    return [
        f"swiftc with warnings as errors, as Swift {modes}: {count} files of the app, its tests",
        f"against real EdgeCore and our declarations of {frameworks}",
    ]


def _script(work: Path, stubs: Sequence[str]) -> str:
    """The compiler's calls in one shell, as entering the toolchain's root takes a moment each time."""
    swiftc = "swiftc -module-cache-path cache -I modules -parse-as-library"
    lines = ["set -e", "mkdir -p modules cache"]
    lines += [
        f"{swiftc} -emit-module -swift-version 6 -enable-library-evolution -suppress-warnings"
        f" -module-name {name} -o modules/{name}.swiftmodule stubs/{name}.swift"
        for name in stubs
    ]
    strict = f"{swiftc} -warnings-as-errors"
    core = " ".join(_quoted(work, "EdgeCore/Sources/EdgeCore"))
    app = " ".join(_quoted(work, "EdgepackApp"))
    tests = " ".join(_quoted(work, "EdgepackAppTests"))
    lines.append(
        f"{strict} -emit-module -swift-version 5 -module-name EdgeCore"
        f" -o modules/EdgeCore.swiftmodule {core}"
    )
    for language in LANGUAGES:
        checked = f"{strict} -swift-version {language} -I app{language}"
        module = f"-module-name EdgepackApp -o app{language}/EdgepackApp.swiftmodule"
        lines += [
            f"echo 'in Swift {language} mode' >&2",
            f"mkdir -p app{language}",
            f"{checked} -emit-module -enable-testing {module} {app}",
            f"{checked} -typecheck -module-name EdgepackAppTests {tests}",
        ]
    return "".join(f"{line}\n" for line in lines)


def _quoted(work: Path, folder: str) -> list[str]:
    """Swift files below a folder for a shell. Names of the template need no more than quotes."""
    return [
        f"'{path.relative_to(work).as_posix()}'"
        for path in sorted((work / folder).rglob("*.swift"))
    ]


def _imports(folder: Path) -> set[str]:
    """Modules that files import and that are declared by us."""
    text = "\n".join(p.read_text("utf-8") for p in folder.rglob("*.swift"))
    found = set(re.findall(r"^(?:@\w+ )*import (\w+)", text, re.MULTILINE))
    return found & {path.stem for path in STUBS.glob("*.swift")}


def _complaints(text: str) -> list[str]:
    """Lines of the compiler that name a place, without the source that it draws below."""
    mode = [line for line in text.splitlines() if line.startswith("in Swift ")][-1:]
    lines = [line for line in text.splitlines() if re.search(r"\.swift:\d+:\d+: ", line)]
    return [*mode, *dict.fromkeys(lines)][:30] or text.splitlines()[-30:]


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
