"""Gradle's build scripts, which cannot run here: names of the version catalog, and a few settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgepack.verifying import parsers
from edgepack.verifying.project import wrong

_CATALOG = "gradle/libs.versions.toml"
_SCRIPT = "app/build.gradle.kts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app's build script says of the app."""

    namespace: str
    application_id: str
    minimum_sdk: int
    target_sdk: int
    version_code: int
    version_name: str


def settings(folder: Path) -> Settings:
    """The settings in the script of the app. Raises E610 when one is missing."""
    text = (folder / _SCRIPT).read_text("utf-8")

    def value(name: str) -> str:
        found = re.search(rf'^ *{name} = "?([^"\n]+)"?$', text, re.MULTILINE)
        if found is None:
            raise wrong(_SCRIPT, 0, f"it sets no {name}")
        return found.group(1)

    return Settings(
        namespace=value("namespace"),
        application_id=value("applicationId"),
        minimum_sdk=int(value("minSdk")),
        target_sdk=int(value("targetSdk")),
        version_code=int(value("versionCode")),
        version_name=value("versionName"),
    )


def check_aliases(folder: Path) -> None:
    """Raises E610 when a script names a library or plugin that the catalog does not have."""
    catalog = parsers.toml((folder / _CATALOG).read_text("utf-8"))
    known = {alias.replace("-", ".") for alias in catalog["libraries"]}
    known |= {f"plugins.{alias.replace('-', '.')}" for alias in catalog["plugins"]}
    for path in sorted(folder.rglob("*.kts")):
        text = path.read_text("utf-8")
        for found in re.finditer(r"\blibs\.([\w.]+)", text):
            if found.group(1) not in known:
                line = text.count("\n", 0, found.start()) + 1
                name = path.relative_to(folder).as_posix()
                raise wrong(name, line, f"libs.versions.toml has no {found.group(1)}")
    for kind in ("libraries", "plugins"):
        for alias, entry in catalog[kind].items():
            if entry["version"]["ref"] not in catalog["versions"]:
                raise wrong(_CATALOG, 0, f"{alias} has no version")
