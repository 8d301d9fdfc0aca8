"""The rung `resources` for iOS: asset catalogs, the privacy manifest, usage descriptions.

Xcode alone can compile an asset catalog; that its names fit its files can be told here.
"""

from __future__ import annotations

import json
import plistlib
import re
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.verifying.project import Project

# What a phone asks its user about needs a sentence for that user.
_USAGE = {
    "NSCameraUsageDescription": r"\bAVCaptureDevice\b",
    "NSMicrophoneUsageDescription": r"\b(?:AVAudioEngine|AVAudioRecorder|AVAudioApplication)\b",
}


def check(project: Project) -> list[str]:
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
