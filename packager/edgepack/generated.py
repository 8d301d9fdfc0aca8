"""Generated files in a project that people work on: which are as generated, and which were changed.

A project lists its files with their digests. A file that still has its digest may be replaced by a newer
one; any other belongs to the person who changed it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgepack.errors import EdgepackError
from edgepack.wire import digest

LISTING = "edgepack-generated.json"


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did, by paths in the project. kept: changed by people, and left as they are."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]


def write_listing(project: Path) -> None:
    """List every file of a project that was just generated."""
    files = {name: digest.of_file(project / name) for name in _files(project)}
    text = json.dumps({"schema": 1, "files": files}, indent=2, ensure_ascii=False)
    (project / LISTING).write_text(text + "\n", encoding="utf-8")


def refuse_full(project: Path) -> None:
    """Raises E608 unless the folder is new or empty."""
    if project.exists() and (not project.is_dir() or any(project.iterdir())):
        raise EdgepackError(
            "E608", f"{project} is not an empty folder",
            help="Name a new folder, or pass --update to bring the app in it up to date.",
        )  # fmt: skip


def put(fresh: Path, project: Path) -> Updated:
    """Copy a generated project to a new or empty folder; a kill leaves no half of it. Raises E608."""
    refuse_full(project)
    project.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=project.parent, prefix=f".{project.name}."))
    try:
        shutil.copytree(fresh, aside, dirs_exist_ok=True)
        aside.chmod(0o755)
        if project.exists():
            project.rmdir()
        aside.rename(project)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return Updated(tuple(_files(project)), (), ())


def update(fresh: Path, project: Path, payload: str) -> Updated:
    """Bring a project up to a fresh one; files that people changed stay. A kill loses nothing.

    payload: the folder of the models, in which every file is replaced. Raises E611 when the project
    lists no generated files.
    """
    before, after = _listed(project), _listed(fresh)
    written, removed, kept = [], [], []
    for name, wanted in after.items():
        path = project / name
        found = digest.of_file(path) if path.is_file() else None
        if found == wanted:
            continue
        own = found is not None and found != before.get(name)
        if own and not name.startswith(f"{payload}/"):
            kept.append(name)
            continue
        _replace(fresh / name, path)
        written.append(name)
    for name in sorted(before.keys() - after.keys()):
        path = project / name
        if not path.is_file():
            continue
        if digest.of_file(path) == before[name]:
            path.unlink()
            removed.append(name)
        else:
            kept.append(name)
    _replace(fresh / LISTING, project / LISTING)
    return Updated(tuple(written), tuple(removed), tuple(kept))


def _files(project: Path) -> list[str]:
    """Every file of a project but the listing, sorted."""
    found = (p for p in project.rglob("*") if p.is_file())
    return sorted(n for n in (p.relative_to(project).as_posix() for p in found) if n != LISTING)


def _listed(project: Path) -> dict[str, str]:
    """Digests by path as the project lists them. Raises E611."""
    try:
        listing = json.loads((project / LISTING).read_text(encoding="utf-8"))
        return {str(name): str(found) for name, found in listing["files"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise EdgepackError(
            "E611", f"{project} holds no generated app",
            why=f"{LISTING} cannot be read: {error}",
            help="Name the folder of an app that edgepack made, or a new folder without --update.",
        ) from error  # fmt: skip


def _replace(source: Path, path: Path) -> None:
    """Put a copy in place by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        shutil.copyfile(source, aside)
        shutil.copymode(source, aside)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
