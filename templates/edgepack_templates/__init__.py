"""Real app projects that edgepack fills in: one folder per platform, each with a template.toml.

Only files that end in .j2 are rendered; every other file is copied as it is.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The library that runs the model in the app, at one exact version.

    package: Maven coordinates without version, or the URL of a Swift package.
    branch, products: of a Swift package. keep: Java packages that must not be shrunk.
    """

    name: str
    version: str
    package: str = ""
    branch: str = ""
    products: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    unwanted_permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How a template serves one target.

    dtypes: those its code can feed and read.
    flexible: whether it can feed axes of varying size. only: files that no other target gets.
    """

    suffix: str
    dtypes: tuple[str, ...]
    flexible: bool
    only: tuple[str, ...]
    runtime: Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What an app does, as far as its template is concerned.

    screen: class that starts. only: files that other tasks lack. permissions: those that the app asks
    people for.
    """

    screen: str
    only: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template.toml.

    payload: folder for the models, their manifest and the golden cases. tasks: those it has an app for.
    rename: names in the template and in the project, where they differ.
    """

    schema: Literal[1]
    payload: str
    targets: dict[str, Target]
    tasks: dict[str, Task]
    versions: dict[str, str]
    executable: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)


def read(platform: str) -> Template:
    """The template.toml of a platform, decoded and checked."""
    import msgspec

    text = (ROOT / platform / "template.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Template)


def files(platform: str, template: Template, target: str, task: str) -> dict[str, str]:
    """The files of a project for a target and a task: path in the project to path in the template."""
    own = {*template.targets[target].only, *template.tasks[task].only}
    special = {name for part in template.targets.values() for name in part.only}
    special |= {name for part in template.tasks.values() for name in part.only}
    root = ROOT / platform
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    return {
        template.rename.get(name, name).removesuffix(".j2"): name
        for name in names
        if name != "template.toml" and (name in own or name not in special)
    }
