"""Debian packages of any suite as files, through apt with lists of its own: the system is not touched."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "DEBIAN_MIRROR"


class Apt:
    """apt whose configuration, lists and downloads are below one folder."""

    def __init__(self, folder: Path, suites: Sequence[str]) -> None:
        """Fetch the lists of the suites. Raises ValueError where there is no Debian mirror."""
        self.folder = folder / "apt"
        for name in ("etc", "lists/partial", "cache/archives/partial", "files"):
            (self.folder / name).mkdir(parents=True)
        lines = [
            f"{kind} [signed-by={KEYRING}] {_mirror()} {suite} main\n"
            for suite in suites
            for kind in ("deb", "deb-src")
        ]
        (self.folder / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
        self._apt("update")

    def download(self, package: str, version: str) -> Path:
        """One package."""
        return self._fetch("download", f"{package}={version}")

    def source(self, package: str, suite: str, file: str) -> Path:
        """The upstream archive of a source package, without its description.

        Some mirrors cannot serve a description whose name holds a tilde; apt then exits with an error
        although the archive has come, and the caller checks its digest.
        """
        where = self.folder / "files"
        self._apt(
            "source", "--tar-only", "--download-only", f"{package}/{suite}", cwd=where, check=False
        )
        if not (where / file).is_file():
            raise ValueError(f"apt did not fetch {file}")
        return where / file

    def download_closure(self, packages: Sequence[str]) -> list[Path]:
        """Packages and all that they depend on, as for an empty system."""
        self._apt("install", "--download-only", "--no-install-recommends", "--yes", *packages)
        return sorted((self.folder / "cache/archives").glob("*.deb"))

    def _fetch(self, *arguments: str) -> Path:
        where = self.folder / "files"
        before = set(where.iterdir())
        self._apt(*arguments, cwd=where)
        return next(iter(set(where.iterdir()) - before))

    def _apt(self, *arguments: str, cwd: Path | None = None, check: bool = True) -> None:
        options = {
            "Dir::Etc::sourcelist": self.folder / "etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "",
            "APT::Architecture": "amd64",
            "Debug::NoLocking": "1",
        }
        given = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        subprocess.run(
            ["apt-get", "-qq", *given, *arguments],
            cwd=cwd, check=check, capture_output=True, text=True,
        )  # fmt: skip


def _mirror() -> str:
    """The mirror of Debian that this machine uses. Raises ValueError when it uses none."""
    if os.environ.get(MIRROR_VARIABLE):
        return os.environ[MIRROR_VARIABLE]
    for line in _targets("$(ORIGIN)|$(LABEL)|$(REPO_URI)"):
        if line.startswith("Debian|Debian|"):
            return line.split("|")[2]
    # Before the first `apt-get update` apt knows no more than what its sources say.
    system = platform.freedesktop_os_release()
    for line in _targets("$(RELEASE)|$(REPO_URI)", "--no-release-info"):
        if system["ID"] == "debian" and line.startswith(f"{system.get('VERSION_CODENAME')}|"):
            return line.split("|")[1]
    raise ValueError(f"apt knows no mirror of Debian here; name one in {MIRROR_VARIABLE}")


def _targets(line: str, *options: str) -> list[str]:
    """What apt's sources say, a line for each in that format."""
    command = ["apt-get", "indextargets", *options, "--format", line, "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
