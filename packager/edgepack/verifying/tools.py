"""The tools that rungs need: where they are, and running them.

Most are parts of one folder that `make app-tools` fills in a checkout of edgepack; EDGEPACK_APP_TOOLS names
another. Java, and Swift where there is one, come from the PATH. Nothing is ever fetched here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack import envs
from edgepack.errors import EdgepackError

RECORD = "part.json"
VARIABLE = "EDGEPACK_APP_TOOLS"
MINUTES = 15

_KEPT_VARIABLES = ("HOME", "JAVA_HOME", "PATH", "TEMP", "TMP", "TMPDIR")

# Its arguments are the root folder, the folder to work in, and the command. Everything that it mounts
# is seen by the command alone and gone with it.
_ENTER_ROOT = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/project" &&
    mount -t tmpfs tmpfs "$1/tmp" || exit 126
root=$1; shift 2; cd /
exec env -i PATH=/usr/sbin:/usr/bin:/usr/libexec/swift/bin HOME=/tmp LC_ALL=C.UTF-8 \\
    LD_LIBRARY_PATH=/usr/libexec/swift/lib/swift/linux \\
    chroot "$root" sh -c 'cd /project && exec "$@"' sh "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How a tool ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams, without the blank space around them."""
        return f"{self.out.strip()}\n{self.err.strip()}".strip()


def folder() -> Path:
    """Where the parts are: EDGEPACK_APP_TOOLS, else app-tools in edgepack's cache."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else envs.cache_folder() / "app-tools"


def missing(what: str, why: str) -> EdgepackError:
    """The error for a tool that is not there or does not start."""
    return EdgepackError(
        "E616",
        f"{what} is missing",
        why=why,
        help=f"`make app-tools` in a checkout of edgepack sets it up, or name a folder in {VARIABLE}",
    )


def part(name: str) -> Path:
    """The folder of a part. Raises E616 when it was not made."""
    place = folder() / name
    if not (place / RECORD).is_file():
        raise missing(name, f"there is no {place}")
    return place


def versions() -> dict[str, str]:
    """Package to version of every part that is there."""
    found: dict[str, str] = {}
    for record in sorted(folder().glob(f"*/{RECORD}")):
        found.update(json.loads(record.read_text("utf-8"))["versions"])
    return dict(sorted(found.items()))


def program(name: str) -> Path:
    """A program of the JDK, by JAVA_HOME or else PATH. Raises E616."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which(name)
    if found is None:
        raise missing(name, "neither JAVA_HOME nor PATH has it; a JDK 17 or newer is needed")
    return Path(found)


def java(*arguments: object, classpath: Sequence[Path], cwd: Path) -> Output:
    """Run a Java program that lives for seconds: little optimization, little memory.

    With so little optimization Java has 48 MB for compiled code unless told otherwise, which many
    compilations in one process fill; what it has to say goes to standard error.
    """
    quick = (
        "-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m", "-XX:+UseSerialGC", "-Xss4m", "-Xmx2g",
        "-Xlog:disable", "-Xlog:all=warning:stderr",
    )  # fmt: skip
    path = os.pathsep.join(str(p) for p in classpath)
    return run(program("java"), *quick, "-Dfile.encoding=UTF-8", "-cp", path, *arguments, cwd=cwd)


def swift(*command: object, cwd: Path) -> Output:
    """Run a command of the Swift toolchain with `cwd` as its folder. Raises E616.

    The toolchain of the PATH is taken; else that of the part swift, by changing root into it.
    """
    argv = [str(c) for c in command]
    if shutil.which("swiftc"):
        return run(*argv, cwd=cwd)
    root = part("swift")
    if sys.platform != "linux" or shutil.which("unshare") is None:
        raise missing("swift", "its folder can be entered by Linux's unshare alone")
    alone = ["--mount", "--pid", "--fork", "--kill-child"]
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = ("sh", "-c", _ENTER_ROOT, "sh", root, cwd)
    done = run("unshare", *user, *alone, "--", *script, *argv, cwd=cwd)
    if done.code in (1, 125, 126, 127) and done.err.startswith(("unshare:", "mount:", "chroot:")):
        raise missing("swift", f"its folder cannot be entered here: {done.err.strip()}")
    return done


def run(*command: object, cwd: Path) -> Output:
    """Run a tool to its end, with few variables, in UTF-8 and English. Raises E616.

    What the tool started ends with it, also when it takes too long or edgepack is interrupted.
    """
    variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        process = subprocess.Popen(
            [str(c) for c in command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
            env={**variables, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except OSError as error:
        raise missing(Path(str(command[0])).name, str(error)) from error
    with process:
        try:
            out, err = process.communicate(timeout=MINUTES * 60)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            name = Path(str(command[0])).name
            raise missing(name, f"it did not end within {MINUTES} minutes") from error
    return Output(
        code=process.returncode,
        out=out.decode("utf-8", "replace"),
        err=err.decode("utf-8", "replace"),
    )
