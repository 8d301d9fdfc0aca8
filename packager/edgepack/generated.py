"""Generated files in a project that people work on: which are as generated, and which were changed.

A project lists its files with their digests. A file that still has its digest may be replaced by a newer
one; any other belongs to the person who changed it. While a project is brought up to date, the listing
holds the digests that are to come as well: a kill leaves files of both kinds, and none is taken for a
person's.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
    _list(project, {name: digest.of_file(project / name) for name in _files(project)})


def _list(project: Path, files: Mapping[str, str | list[str]]) -> None:
    """Write the listing in one step."""
    text = json.dumps({"schema": 1, "files": files}, indent=2, ensure_ascii=False)
    aside = project / f".{LISTING}.edgepack"
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(project / LISTING)


def refuse_full(project: Path) -> None:
    """Raises E608 unless the folder is new or empty."""
    if project.exists() and (not project.is_dir() or any(project.iterdir())):
        raise EdgepackError(
            "E608", f"{project} is not an empty folder",
            help="Name a new folder, or pass --update to bring the app in it up to date.",
        )  # fmt: skip


def refuse_foreign(project: Path, payload: str) -> None:
    """Raises E611 unless the folder lists a generated app with that folder of models."""
    if f"{payload}/edgepack.json" not in listed(project):
        raise _foreign(project, f"{LISTING} is of an app for another platform")


def put(fresh: Path, project: Path) -> Updated:
    """Copy a generated project to a new or empty folder. Raises E608.

    A kill leaves no half of a new folder; an empty one, which may be a disk's root or a shell's own, is
    filled, and what a kill leaves of that `update` completes.
    """
    refuse_full(project)
    if project.exists():
        for name in (LISTING, *_files(fresh)):
            _replace(fresh / name, project / name)
        return Updated(tuple(_files(project)), (), ())
    project.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=project.parent, prefix=f".{project.name}."))
    try:
        shutil.copytree(fresh, aside, dirs_exist_ok=True)
        aside.chmod(0o755)
        aside.rename(project)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return Updated(tuple(_files(project)), (), ())


def update(fresh: Path, project: Path, payload: str) -> Updated:
    """Bring a project up to a fresh one; files that people changed stay. A kill loses nothing.

    payload: the folder of the models, in which every generated file is replaced. Raises E608 when
    something of people's own is where a file of the models, or any folder, is to be; E611 when the
    project lists no generated files, or those of another platform.
    """
    refuse_foreign(project, payload)
    before, after = listed(project), listed(fresh)
    _refuse_in_the_way(project, before, after, payload)
    coming = {name: sorted({*before.get(name, ()), *digests}) for name, digests in after.items()}
    _list(project, {**before, **coming})
    written, removed, kept = [], [], []
    for name, wanted in after.items():
        path = project / name
        found = digest.of_file(path) if path.is_file() else None
        if found in wanted:
            continue
        own = found is not None and found not in before.get(name, ())
        if own and not name.startswith(f"{payload}/"):
            kept.append(name)
            continue
        _replace(fresh / name, path)
        written.append(name)
    for name in sorted(before.keys() - after.keys()):
        path = project / name
        if not path.is_file():
            continue
        if digest.of_file(path) in before[name]:
            path.unlink()
            removed.append(name)
        else:
            kept.append(name)
    _replace(fresh / LISTING, project / LISTING)
    return Updated(tuple(written), tuple(removed), tuple(kept))


def _refuse_in_the_way(
    project: Path, before: Mapping[str, list[str]], after: Mapping[str, list[str]], payload: str
) -> None:
    """Raises E608 for what is not edgepack's and stands where a new file must be, before any is written.

    An app's check refuses models with another file among them, so that it cannot be left there.
    """
    for name, wanted in after.items():
        path = project / name
        strange = path.is_file() and name not in before and digest.of_file(path) not in wanted
        above = [
            place for place in path.parents if place.is_relative_to(project) and place.is_file()
        ]
        if path.is_dir() or above or (strange and name.startswith(f"{payload}/")):
            way = (above or [path])[0].relative_to(project).as_posix()
            raise EdgepackError(
                "E608", f"{way} in {project} is in the way",
                why=f"The app has a file {name}, and what is there is not edgepack's.",
                help="Move it elsewhere, then update again. Nothing was changed.",
            )  # fmt: skip


def _files(project: Path) -> list[str]:
    """Every file of a project but the listing, sorted."""
    found = (p for p in project.rglob("*") if p.is_file())
    return sorted(n for n in (p.relative_to(project).as_posix() for p in found) if n != LISTING)


def listed(project: Path) -> dict[str, list[str]]:
    """Digests by path as a project lists them: one, or while it is brought up to date two. Raises E611."""
    try:
        listing = json.loads((project / LISTING).read_text(encoding="utf-8"))
        files = {
            str(name): [found] if isinstance(found, str) else [str(one) for one in found]
            for name, found in listing["files"].items()
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise _foreign(project, f"{LISTING} cannot be read: {error}") from error
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise _foreign(project, f"{LISTING} names {name!r}, which is no file of the project")
    return files


def _foreign(project: Path, why: str) -> EdgepackError:
    """E611 about a folder that is to be brought up to date."""
    return EdgepackError(
        "E611", f"{project} holds no generated app of this kind", why=why,
        help="Name the folder of an app that edgepack made, or a new folder without --update.",
    )  # fmt: skip


def _replace(source: Path, path: Path) -> None:
    """Put a copy in place by one rename; what a kill leaves beside it the next one overwrites."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.edgepack")
    try:
        shutil.copyfile(source, aside)
        shutil.copymode(source, aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
