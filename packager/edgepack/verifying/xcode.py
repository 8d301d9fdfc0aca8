"""Xcode projects: property lists of the old kind, and what their objects and schemes refer to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgepack.verifying.faults import ParseError
from edgepack.verifying.project import wrong

_OBJECT_ID = re.compile(r"[0-9A-F]{24}")
_PROJECT = "EdgepackApp.xcodeproj/project.pbxproj"
_SCHEME = "EdgepackApp.xcodeproj/xcshareddata/xcschemes/EdgepackApp.xcscheme"


def openstep(text: str) -> Any:
    """The decoded property list: .strings, .pbxproj. Raises ParseError."""
    import openstep_plist

    try:
        return openstep_plist.loads(text)
    except openstep_plist.ParseError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ParseError(int(line.group(1)) if line else 0, str(error)) from error


def project(text: str) -> dict[str, Any]:
    """The decoded project.pbxproj. Raises ParseError for a dangling or an unreachable object."""
    decoded: dict[str, Any] = openstep(text)
    objects = decoded["objects"]
    reached: set[str] = set()
    waiting = [decoded["rootObject"]]
    while waiting:
        here = waiting.pop()
        if here in reached:
            continue
        if here not in objects:
            raise ParseError(_line_of(text, here), f"there is no object {here}")
        if "isa" not in objects[here]:
            raise ParseError(_line_of(text, here), f"the object {here} has no isa")
        reached.add(here)
        waiting.extend(_references(objects[here]))
    for key in objects:
        if key not in reached:
            raise ParseError(_line_of(text, key), f"nothing refers to the object {key}")
    return decoded


def check_references(folder: Path) -> None:
    """Raises E610 when a scheme or the project names a target or a file that is not there."""
    objects = project((folder / _PROJECT).read_text("utf-8"))["objects"]
    groups = {
        child: entry.get("path", "")
        for entry in objects.values()
        if entry["isa"] == "PBXGroup"
        for child in entry["children"]
    }
    for key, entry in objects.items():
        if entry.get("sourceTree") != "<group>" or "path" not in entry:
            continue
        if not (folder / groups.get(key, "") / entry["path"]).exists():
            raise wrong(_PROJECT, 0, f"there is no {entry['path']}")
    text = (folder / _SCHEME).read_text("utf-8")
    for found in re.finditer(r'BlueprintIdentifier = "(\w+)"', text):
        if objects.get(found.group(1), {}).get("isa") != "PBXNativeTarget":
            line = text.count("\n", 0, found.start()) + 1
            raise wrong(_SCHEME, line, f"the project has no target {found.group(1)}")


def _references(value: Any) -> list[str]:
    """Every string within a value that has the form of an object's id."""
    if isinstance(value, dict):
        return [found for part in value.items() for item in part for found in _references(item)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    return [value] if isinstance(value, str) and _OBJECT_ID.fullmatch(value) else []


def _line_of(text: str, part: str) -> int:
    """Number of the line where a part first occurs, 0 if nowhere."""
    position = text.find(part)
    return text.count("\n", 0, position) + 1 if position >= 0 else 0
