"""The rung `assemble` for Android: an APK and an App Bundle from what the rungs before made.

The APK is made as a debug build is: D8, native libraries, 16 KB pages, a signature of a key that is
nobody's. The bundle is made as a release build is: R8 with the app's rules, then Google's own check.
What a runtime's library brings and no registry here has is named in what was proved.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from edgepack.errors import EdgepackError
from edgepack.verifying import android_resources, binaries, gradle, kotlin, tools
from edgepack.verifying.binaries import Entry
from edgepack.verifying.kotlin import Site

APK = "app.apk"
BUNDLE = "app.aab"

_KEY_PASSWORD = "android"  # noqa: S105 the one that every debug key has
_RULES = "app/proguard-rules.pro"


def check(site: Site) -> list[str]:
    """What was proved. Writes APK and BUNDLE into the scratch folder. Raises E615, E616."""
    libraries = _libraries(site)
    proved = [_assemble(site, libraries), *_check_apk(site, libraries), *_bundle(site, libraries)]
    if not libraries:
        name = site.project.template.targets[site.project.target].runtime.name
        proved.append(f"without the libraries of {name}, which Google's Maven repository alone has")
    return proved


# --- the APK -------------------------------------------------------------------------------------


def _assemble(site: Site, libraries: dict[str, bytes]) -> str:
    """Dex, pack, align and sign the app."""
    dexed = _dex(site)
    entries = binaries.read_zip(site.scratch / android_resources.LINKED)
    entries["classes.dex"] = Entry(stored=False, data=dexed)
    library = tools.part("dex") / "kotlin-stdlib.dex"
    entries["classes2.dex"] = Entry(stored=False, data=library.read_bytes())
    for name, data in libraries.items():
        entries[name] = Entry(stored=True, data=data)
    plain = site.scratch / "plain.apk"
    binaries.write_zip(plain, entries)
    signer = [tools.part("android") / "apksigner.jar"]
    program = "com.android.apksigner.ApkSignerTool"
    minimum = gradle.settings(site.project.folder).minimum_sdk
    _java(
        program, "sign", "--ks", tools.part("dex") / "debug.p12", "--ks-pass",
        f"pass:{_KEY_PASSWORD}", "--min-sdk-version", minimum, "--alignment-preserved", "true",
        "--in", plain, "--out", APK,
        classpath=signer, site=site, what="apksigner refuses the APK",
    )  # fmt: skip
    said = _java(
        program, "verify", "--verbose", "--min-sdk-version", minimum, APK,
        classpath=signer, site=site, what="apksigner does not accept its own signature",
    )  # fmt: skip
    schemes = re.findall(r"Verified using (v[23]) scheme.*: true", said)
    if not schemes:
        raise _wrong("the APK is not signed", said)
    size = (site.scratch / APK).stat().st_size
    return f"D8, aapt2 and apksigner made an APK of {size} bytes, signed by {' and '.join(schemes)}"


def _dex(site: Site) -> bytes:
    """The app's own classes and its runtime's in Android's form."""
    out = site.scratch / "dex"
    out.mkdir(exist_ok=True)
    _java(
        "com.android.tools.r8.D8", "--debug", *_r8_library(site), "--output", out,
        *_program(site), "--classpath", tools.part("kotlin") / "lib/kotlin-stdlib.jar",
        classpath=[tools.part("bundletool") / "bundletool.jar"], site=site,
        what="D8 refuses the app's classes",
    )  # fmt: skip
    return (out / "classes.dex").read_bytes()


def _check_apk(site: Site, libraries: dict[str, bytes]) -> list[str]:
    """What the finished APK says of itself. Raises E615 unless it is what the project says."""
    apk = site.scratch / APK
    entries = binaries.read_zip(apk)
    settings, screen = gradle.settings(site.project.folder), site.project.screen
    said = android_resources.badging(apk)
    for pattern, expected, what in (
        (r"^package: name='([^']*)'", settings.application_id, "its id"),
        (r"^sdkVersion:'(\d+)'", str(settings.minimum_sdk), "its oldest Android"),
        (r"^targetSdkVersion:'(\d+)'", str(settings.target_sdk), "its target Android"),
        (r"^launchable-activity: name='([^']*)'", screen, "what a launcher starts"),
    ):
        found = re.search(pattern, said, re.MULTILINE)
        if found is None or found.group(1) != expected:
            raise _wrong(f"{what} is {found and found.group(1)!r}, the project says {expected!r}")
    granted = set(re.findall(r"^uses-permission: name='([^']*)'", said, re.MULTILINE))
    if granted != android_resources.permissions(site.project):
        raise _wrong(f"its permissions are {', '.join(sorted(granted)) or 'none'}")
    if screen not in binaries.dex_classes(entries["classes.dex"].data):
        raise _wrong(f"classes.dex does not define {screen}")
    return [
        f"its id, versions, permissions ({', '.join(sorted(granted)) or 'none'}) and launcher entry",
        _check_model(site, entries),
        _check_pages(apk, libraries),
    ]


def _check_model(site: Site, entries: dict[str, Entry]) -> str:
    """Raises E615 unless every model lies in the APK whole and uncompressed."""
    names = []
    for model in site.project.manifest["models"]:
        artifact = model["artifact"]
        name = f"assets/edgepack/{artifact['file']}"
        entry = entries.get(name)
        if entry is None or hashlib.sha256(entry.data).hexdigest() != artifact["sha256"]:
            raise _wrong(f"{name} is not the model of edgepack.json")
        if not entry.stored:
            raise _wrong(f"{name} is compressed: no runtime could map it into memory")
        names.append(name)
    return f"stored whole, with the sha256 of edgepack.json: {', '.join(names)}"


def _check_pages(apk: Path, libraries: dict[str, bytes]) -> str:
    """Raises E615 unless stored files and segments of libraries lie at pages of 16 KB."""
    for name, offset in binaries.stored_offsets(apk).items():
        if offset % binaries.alignment_of(name):
            raise _wrong(
                f"{name} starts at byte {offset}, no multiple of {binaries.alignment_of(name)}"
            )
    for name, data in libraries.items():
        least = min(binaries.elf_alignments(data))
        if least < binaries.PAGE_BYTES:
            raise _wrong(f"{name} has segments for pages of {least} bytes")
    if not libraries:
        return "stored files start at multiples of 4 bytes"
    return f"{len(libraries)} native libraries start and load at pages of 16 KB"


# --- the bundle ----------------------------------------------------------------------------------


def _bundle(site: Site, libraries: dict[str, bytes]) -> list[str]:
    """Shrink, pack and validate an App Bundle. Raises E615."""
    shrunk = _shrink(site)
    android_resources.link(site.project, site.scratch, "--proto-format", "-o", "proto.apk")
    entries: dict[str, Entry] = {}
    for name, entry in binaries.read_zip(site.scratch / "proto.apk").items():
        inside = f"manifest/{name}" if name == "AndroidManifest.xml" else name
        entries[inside] = entry
    entries["dex/classes.dex"] = Entry(stored=False, data=shrunk)
    for name, data in libraries.items():
        entries[name] = Entry(stored=False, data=data)
    module, bundle = site.scratch / "base.zip", site.scratch / BUNDLE
    binaries.write_zip(module, entries)
    bundle.unlink(missing_ok=True)
    tool = [tools.part("bundletool") / "bundletool.jar"]
    program = "com.android.tools.build.bundletool.BundleToolMain"
    for arguments in (
        ("build-bundle", f"--modules={module}", f"--output={bundle}"),
        ("validate", f"--bundle={bundle}"),
    ):
        _java(program, *arguments, classpath=tool, site=site, what="bundletool refuses the bundle")
    return [
        f"R8 with the app's rules: {len(shrunk)} bytes of code, what native code looks up is kept",
        f"bundletool built and validated a bundle of {bundle.stat().st_size} bytes",
    ]


def _shrink(site: Site) -> bytes:
    """The whole app through R8, as Gradle's release build does. Raises E615."""
    out = site.scratch / "shrunk"
    out.mkdir(exist_ok=True)
    rules = site.scratch / "rules.pro"
    # The library that R8 sees is older than the code that it is given.
    rules.write_text("-dontwarn java.**\n", encoding="utf-8")
    kept = [site.project.folder / _RULES, site.scratch / android_resources.KEEP_RULES, rules]
    library = tools.part("kotlin") / "lib"
    _java(
        "com.android.tools.r8.R8", "--release", *_r8_library(site), "--output", out,
        *(part for rule in kept for part in ("--pg-conf", rule)),
        *_program(site), library / "kotlin-stdlib.jar", library / "annotations-13.0.jar",
        classpath=[tools.part("bundletool") / "bundletool.jar"], site=site,
        what="R8 refuses the app with its rules",
    )  # fmt: skip
    data = (out / "classes.dex").read_bytes()
    runtime = site.project.template.targets[site.project.target].runtime
    wanted = {site.project.screen} | {
        name
        for name in _class_names(kotlin.runtime_classes(site))
        if name.startswith(tuple(f"{package}." for package in runtime.keep))
    }
    lost = sorted(wanted - binaries.dex_classes(data))
    if lost:
        raise _wrong(f"R8 drops or renames {', '.join(lost[:5])}, which native code looks up")
    return data


# --- what both need ------------------------------------------------------------------------------


def _libraries(site: Site) -> dict[str, bytes]:
    """Native libraries of the runtime by their names in an APK; none where no registry has them."""
    if site.project.target != "executorch":
        return {}
    root = tools.part("executorch")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.glob("lib/*/*.so"))
    }


def _program(site: Site) -> list[Path]:
    """Jars of the app's classes, of its runtime's, and of what those need."""
    made = []
    folders = {
        "core.jar": kotlin.classes(site, "core"),
        "main.jar": kotlin.classes(site, "main"),
        "runtime.jar": kotlin.runtime_classes(site),
    }
    if site.project.target in kotlin.NEEDED:
        folders["needed.jar"] = kotlin.classes(site, "needed")
    for name, source in folders.items():
        if source.is_dir():
            jar = site.scratch / name
            files = sorted(source.rglob("*.class"))
            entries = {
                p.relative_to(source).as_posix(): Entry(stored=True, data=p.read_bytes())
                for p in files
            }
            binaries.write_zip(jar, entries)
            made.append(jar)
        else:
            made.append(source)
    return made


def _class_names(classes: Path) -> set[str]:
    """Names of the classes in a jar or below a folder."""
    if classes.is_dir():
        names: Iterable[str] = (p.relative_to(classes).as_posix() for p in classes.rglob("*.class"))
    else:
        with zipfile.ZipFile(classes) as jar:
            names = jar.namelist()
    return {
        name.removesuffix(".class").replace("/", ".") for name in names if name.endswith(".class")
    }


def _r8_library(site: Site) -> list[object]:
    """Options of D8 and R8 that say what a phone has."""
    android = tools.part("android")
    jars = [android / f"{name}.jar" for name in ("android-34", "android-23", "java-23")]
    minimum = gradle.settings(site.project.folder).minimum_sdk
    return ["--min-api", minimum, *(part for jar in jars for part in ("--lib", jar))]


def _java(program: str, *arguments: object, classpath: list[Path], site: Site, what: str) -> str:
    """Standard output of one of Google's tools. Raises E615 with what it says, E616."""
    done = tools.java(program, *arguments, classpath=classpath, cwd=site.scratch)
    if done.code:
        lines = [
            line
            for line in done.text.splitlines()
            if not line.startswith(("Info: Unexpected error while reading", "\tat "))
        ]
        raise _wrong(what, "\n".join(lines[:20]))
    return done.out


def _wrong(message: str, why: str = "") -> EdgepackError:
    """The error for a package that is refused or not what the project says."""
    return EdgepackError(
        "E615", f"the assembled app is wrong: {message}", why=why, help="correct the file it names"
    )
