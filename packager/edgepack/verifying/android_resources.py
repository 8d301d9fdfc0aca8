"""The rung `resources` for Android: aapt2 compiles the resources and links them with the manifest.

What Gradle does before that is done here: the manifest gets its package, entries that the app removes
from its libraries' manifests go. Permissions must be those that the code asks for, no more and no less.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from edgepack.errors import EdgepackError
from edgepack.verifying import gradle, tools
from edgepack.verifying.project import Project

LINKED = "base.apk"
SOURCES = "gen"
KEEP_RULES = "manifest.pro"

_ANDROID = "http://schemas.android.com/apk/res/android"
_TOOLS = "http://schemas.android.com/tools"
_MANIFEST = "app/src/main/AndroidManifest.xml"
_STORED = ("tflite", "pte", "ptd")


def check(project: Project, scratch: Path) -> list[str]:
    """What was proved. Writes LINKED, SOURCES and KEEP_RULES into `scratch`. Raises E612, E616."""
    asked = _check_permissions(project)
    _write_manifest(project, scratch / "AndroidManifest.xml")
    resources = project.folder / "app/src/main/res"
    _aapt2("compile", "--dir", resources, "-o", scratch / "res.zip", scratch=scratch)
    outputs = ("--java", SOURCES, "--proguard", KEEP_RULES, "-o", LINKED)
    link(project, scratch, *outputs)
    count = sum(1 for p in resources.rglob("*") if p.is_file())
    permissions = ", ".join(sorted(asked)) or "none"
    return [
        f"aapt2 linked the manifest and {count} resource files with Android 13's framework",
        f"permissions are those that the code asks for: {permissions}",
    ]


def link(project: Project, scratch: Path, *options: object) -> None:
    """Link what `check` compiled once more with other options. Raises E612, E616."""
    settings = gradle.settings(project.folder)
    stored = [part for ending in _STORED for part in ("-0", ending)]
    _aapt2(
        "link", "-I", tools.part("android") / "framework-res.apk",
        "--manifest", "AndroidManifest.xml", "--custom-package", settings.namespace,
        "-A", project.folder / "app/src/main/assets", *stored,
        "--min-sdk-version", settings.minimum_sdk, "--target-sdk-version", settings.target_sdk,
        "--version-code", settings.version_code, "--version-name", settings.version_name,
        "--auto-add-overlay", *options, "res.zip",
        scratch=scratch,
    )  # fmt: skip


def badging(package: Path) -> str:
    """What a phone reads from the manifest of an APK, as aapt2 writes it. Raises E612, E616."""
    return _aapt2("dump", "badging", package, scratch=package.parent)


def _aapt2(*arguments: object, scratch: Path) -> str:
    """Standard output of aapt2. Raises E612, E616."""
    done = tools.run(tools.part("bundletool") / "aapt2", *arguments, cwd=scratch)
    if done.code:
        raise EdgepackError(
            "E612",
            "aapt2 refuses the app's resources",
            why="\n".join(done.err.strip().splitlines()[:20]),
            help="correct the file that it names",
        )
    return done.out


def _write_manifest(project: Project, path: Path) -> None:
    """The manifest as Gradle would hand it to aapt2. Raises E612."""
    try:
        root = ET.parse(project.folder / _MANIFEST).getroot()  # noqa: S314 our own file
    except ET.ParseError as error:
        raise _wrong(f"the manifest is no XML: {error}") from error
    if root.get("package") is not None:
        raise _wrong("the manifest names a package, which Gradle's namespace does")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get(f"{{{_TOOLS}}}node") == "remove":
                parent.remove(child)
        for name in [n for n in parent.attrib if n.startswith(f"{{{_TOOLS}}}")]:
            del parent.attrib[name]
    root.set("package", gradle.settings(project.folder).application_id)
    ET.register_namespace("android", _ANDROID)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def permissions(project: Project) -> set[str]:
    """Every permission that the app declares, without those that it takes from its libraries."""
    root = ET.parse(project.folder / _MANIFEST).getroot()  # noqa: S314 our own file
    return {
        entry.get(f"{{{_ANDROID}}}name", "")
        for entry in root.iter("uses-permission")
        if entry.get(f"{{{_TOOLS}}}node") != "remove"
    }


def _check_permissions(project: Project) -> set[str]:
    """The permissions declared. Raises E612 unless the code asks for exactly these."""
    declared = permissions(project)
    code = "\n".join(p.read_text("utf-8") for p in project.sources(".kt", "app/src/main/kotlin"))
    asked = {
        f"android.permission.{name}"
        for name in re.findall(r"\bManifest\.permission\.([A-Z_]+)", code)
    }
    for some, others, what in (
        (declared, asked, "the manifest declares {}, which the code never asks for"),
        (asked, declared, "the code asks for {}, which the manifest does not declare"),
    ):
        if some - others:
            raise _wrong(what.format(", ".join(sorted(some - others))))
    return declared


def _wrong(why: str, lines: Sequence[str] = ()) -> EdgepackError:
    """The error for resources that do not fit together."""
    return EdgepackError(
        "E612",
        "the app's resources do not fit together",
        why="\n".join([why, *lines]),
        help="correct the manifest or the code",
    )
