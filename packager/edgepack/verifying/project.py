"""A generated app project on disk: which template it is of, and what its manifest says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

import edgepack_templates as templates
from edgepack.errors import EdgepackError


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that has been recognized. manifest: its edgepack.json, decoded."""

    folder: Path
    platform: str
    template: templates.Template
    manifest: dict[str, Any]

    @property
    def target(self) -> str:
        """The target whose model it carries."""
        return str(self.manifest["target"])

    @property
    def task(self) -> str:
        """What the app does with its models."""
        return str(self.manifest["task"]["kind"])

    @property
    def screen(self) -> str:
        """The class of the screen that the app starts with."""
        return self.template.tasks[self.task].screen

    @property
    def payload(self) -> str:
        """Folder of the model and what describes it, relative to the project."""
        return self.template.payload

    @property
    def files(self) -> dict[str, str]:
        """What the template gives it: path in the project to path in the template."""
        return templates.files(self.platform, self.template, self.target, self.task)

    def sources(self, ending: str, *folders: str) -> list[Path]:
        """Files below folders of the project with that ending, sorted. Raises E610 for an odd name."""
        found = sorted(
            path for folder in folders for path in (self.folder / folder).rglob(f"*{ending}")
        )
        for path in found:
            name = path.relative_to(self.folder).as_posix()
            if not name.isprintable():
                raise wrong(repr(name), 0, "its name holds a character that compilers stumble over")
        return found


class _File(Struct):
    """A file beside edgepack.json."""

    path: str
    sha256: str


class _Task(Struct):
    kind: str
    files: list[_File]


class _Artifact(Struct):
    file: str
    sha256: str
    files: list[_File]


class _Model(Struct):
    artifact: _Artifact
    golden: str


class _Manifest(Struct):
    """What the rungs read of edgepack.json."""

    target: str
    task: _Task
    models: Annotated[list[_Model], Meta(min_length=1)]
    runtime: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file that is well, and what said so."""

    path: str
    parser: str


def recognize(folder: Path) -> Project:
    """The project in a folder. Raises E611 when there is none, E610 when its manifest is wrong."""
    folder = folder.absolute()
    for platform in ("android", "ios"):
        template = templates.read(platform)
        path = folder / template.payload / "edgepack.json"
        if path.is_file():
            manifest = _manifest(path)
            target = manifest["target"]
            if target not in template.targets:
                raise wrong("edgepack.json", 0, f"its template serves no target {target!r}")
            if manifest["task"]["kind"] not in template.tasks:
                kind = manifest["task"]["kind"]
                raise wrong("edgepack.json", 0, f"its template has no task {kind!r}")
            return Project(folder=folder, platform=platform, template=template, manifest=manifest)
    raise EdgepackError(
        "E611",
        f"{folder} holds no generated app",
        why="neither an Android nor an iOS project with an edgepack.json is there",
        help="name the folder of one app, for example dist/MODEL/apps/android",
    )


def wrong(name: str, line: int, message: str) -> EdgepackError:
    """The error for a file that a rung without tools refuses. line: 0 for none."""
    where = f"{name}, line {line}" if line else name
    return EdgepackError(
        "E610",
        f"the generated {where} is wrong",
        why=message,
        help="if you changed the file, this is where; if not, please report it with the app's settings",
    )


def _manifest(path: Path) -> dict[str, Any]:
    """edgepack.json, decoded: the right types down to what names the app's files. Raises E610."""
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        msgspec.convert(manifest, _Manifest)
    except json.JSONDecodeError as error:
        raise wrong(path.name, error.lineno, error.msg) from error
    except UnicodeDecodeError as error:
        raise wrong(path.name, 0, f"not UTF-8: {error.reason}") from error
    except (msgspec.ValidationError, RecursionError) as error:
        raise wrong(path.name, 0, str(error)) from error
    return manifest
