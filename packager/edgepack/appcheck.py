"""Checking a generated app project without its build tools: every file goes through a real parser.

A file that was copied from the template must still equal it, so the parsers need only look at what
was rendered, and the rest is theirs for free. Above single files: the model has its digest, golden
cases are whole, version aliases exist, an Xcode project has no dangling or unreachable object.
"""

from __future__ import annotations

import json
import math
import plistlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

import edgepack_templates as templates
from edgepack.errors import EdgepackError
from edgepack.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import tree_sitter

_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2}
_OBJECT_ID = re.compile(r"[0-9A-F]{24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file that is well, and what said so."""

    path: str
    parser: str


class _ParseError(Exception):
    """A parser's complaint: line, 0 when it named none, and message."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def check(folder: Path) -> list[Checked]:
    """Every file of the project in `folder` with the parser that accepted it, sorted by path.

    Raises E610 with file, line and the parser's message for the first that is wrong, missing, or of
    no kind that a project holds; OSError when one cannot be read.
    """
    platform, template = _recognized(folder)
    manifest = _manifest(folder / template.payload)
    expected = templates.files(platform, template, manifest["target"])
    for name in expected:
        if not (folder / name).is_file():
            raise _error(name, 0, "the file is missing")
    checked = _check_payload(folder, template.payload, manifest)
    known = {entry.path for entry in checked}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in known:
            continue
        if name not in expected:
            raise _error(name, 0, "the template has no such file")
        source = expected[name]
        if source in template.executable and not path.stat().st_mode & 0o100:
            raise _error(name, 0, "the file is not executable")
        parser = _check_file(platform, name, source, path.read_bytes())
        checked.append(Checked(path=name, parser=parser))
    if platform == "android":
        _check_aliases(folder)
    else:
        _check_scheme(folder)
    return sorted(checked, key=lambda entry: entry.path)


def _error(name: str, line: int, message: str) -> EdgepackError:
    """The error for a file."""
    where = f"{name}, line {line}" if line else name
    return EdgepackError(
        "E610",
        f"the generated {where} is wrong",
        why=message,
        help="this is a mistake in edgepack's template: please report it with the app's settings",
    )


def _recognized(folder: Path) -> tuple[str, templates.Template]:
    """Platform and template of the project. Raises E610 when it is of none."""
    for platform in ("android", "ios"):
        template = templates.read(platform)
        if (folder / template.payload / "edgepack.json").is_file():
            return platform, template
    raise _error("edgepack.json", 0, f"{folder} holds none where a project has one")


# --- the model and what describes it -------------------------------------------------------------


def _manifest(payload: Path) -> dict[str, Any]:
    """edgepack.json, decoded. Raises E610."""
    try:
        manifest: dict[str, Any] = _parse_json((payload / "edgepack.json").read_text("utf-8"))
        for key in ("model", "target", "variant", "runtime", "artifact", "limits"):
            manifest[key]
    except _ParseError as fault:
        raise _error("edgepack.json", fault.line, fault.message) from fault
    except KeyError as missing:
        raise _error("edgepack.json", 0, f"{missing} is missing") from missing
    return manifest


def _check_payload(folder: Path, payload: str, manifest: dict[str, Any]) -> list[Checked]:
    """The model by its digests, the golden cases by their sizes. Raises E610."""
    artifact = manifest["artifact"]
    model = folder / payload / artifact["file"]
    if not model.exists() or digest.of_tree(model) != artifact["sha256"]:
        raise _error(f"{payload}/{artifact['file']}", 0, "its sha256 is not that of edgepack.json")
    checked = [Checked(path=f"{payload}/edgepack.json", parser="json")]
    for entry in artifact["files"]:
        name = f"{payload}/{entry['path']}"
        if digest.of_file(folder / name) != entry["sha256"]:
            raise _error(name, 0, "its sha256 is not that of edgepack.json")
        checked.append(Checked(path=name, parser="sha256"))
    name = f"{payload}/golden/golden.json"
    try:
        golden = _parse_json((folder / name).read_text("utf-8"))
    except _ParseError as fault:
        raise _error(name, fault.line, fault.message) from fault
    checked.append(Checked(path=name, parser="json"))
    for case in golden["cases"]:
        for entry in case["inputs"] + case["outputs"]:
            name = f"{payload}/golden/{entry['file']}"
            size = math.prod(entry["shape"]) * _BYTES.get(entry["dtype"], 1)
            if not (folder / name).is_file() or (folder / name).stat().st_size != size:
                raise _error(name, 0, f"golden.json says that it holds {size} bytes")
            checked.append(Checked(path=name, parser="golden.json"))
    return checked


# --- single files --------------------------------------------------------------------------------


def _check_file(platform: str, name: str, source: str, data: bytes) -> str:
    """Name of the parser that accepted a file of the template. Raises E610."""
    copied = not source.endswith(".j2")
    if copied and data != (templates.ROOT / platform / source).read_bytes():
        raise _error(name, 0, "it differs from the template, from which it was to be copied")
    if name.endswith(".jar"):
        return "template"
    try:
        text = _check_text(data, "\r\n" if name.endswith(".bat") else "\n")
        return _parse(name, text, copied=copied)
    except _ParseError as fault:
        raise _error(name, fault.line, fault.message) from fault


def _check_text(data: bytes, newline: str) -> str:
    """The text of a file: UTF-8, one kind of line end, nothing left of the template's language."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _ParseError(
            data.count(b"\n", 0, error.start) + 1, f"not UTF-8: {error.reason}"
        ) from error
    wrong = re.search(r"(?<!\r)\n" if newline == "\r\n" else r"\r", text)
    for found, message in (
        (wrong, "the wrong kind of line end"),
        (re.search(r"(?<!\\)\{[{%]", text), "a leftover of the template's language"),
        (re.search("\x00|\ufeff", text), "a character that no text holds"),
    ):
        if found:
            raise _ParseError(text.count("\n", 0, found.start()) + 1, message)
    if not text.endswith("\n"):
        raise _ParseError(text.count("\n") + 1, "the last line has no end")
    return text


def _parse(name: str, text: str, *, copied: bool) -> str:
    """Name of the parser that accepted the text, "template" for a copy without one."""
    found = _parser_of(name)
    if found is None:
        if copied:
            return "template"
        raise _ParseError(0, "nothing here can parse a file of its kind")
    label, parse = found
    parse(text)
    return label


def _parser_of(name: str) -> tuple[str, Callable[[str], object]] | None:
    """The parser for a file by its name, None when there is none."""
    for ending, label, parse in (
        ((".kt", ".kts"), "tree-sitter-kotlin", _parse_kotlin),
        ((".swift",), "tree-sitter-swift", _parse_swift),
        ((".xcprivacy", ".plist"), "plistlib", _parse_plist),
        ((".xml", ".xcscheme", ".xcworkspacedata"), "expat", _parse_xml),
        ((".toml",), "tomllib", _parse_toml),
        ((".json",), "json", _parse_json),
        ((".pbxproj",), "openstep-plist", _parse_pbxproj),
        ((".strings",), "openstep-plist", _parse_openstep),
        ((".properties",), "properties", _parse_properties),
        ((".xcconfig",), "xcconfig", _parse_xcconfig),
        ((".pro",), "proguard", _parse_proguard),
        ((".md",), "text", str),
    ):
        if name.endswith(ending):
            return label, parse
    return None


def _parse_xml(text: str) -> None:
    """Raises _ParseError unless the text is well-formed XML."""
    try:
        expat.ParserCreate().Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise _ParseError(error.lineno, expat.ErrorString(error.code)) from error


def _parse_plist(text: str) -> None:
    """Raises _ParseError unless the text is a property list in XML."""
    _parse_xml(text)
    try:
        plistlib.loads(text.encode())
    except ValueError as error:
        raise _ParseError(0, str(error)) from error


def _parse_toml(text: str) -> dict[str, Any]:
    """The decoded TOML. Raises _ParseError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise _ParseError(int(line.group(1)) if line else 0, str(error)) from error


def _parse_json(text: str) -> dict[str, Any]:
    """The decoded JSON object, every key of which occurs once. Raises _ParseError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise _ParseError(0, f"the key {key!r} occurs twice")
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise _ParseError(error.lineno, error.msg) from error
    if not isinstance(value, dict):
        raise _ParseError(1, "not an object")
    return value


def _parse_properties(text: str) -> None:
    """Raises _ParseError unless each line of a Java properties file is a key and a value."""
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        entry = re.fullmatch(r"\s*((?:\\.|[^\s=:\\])+)\s*[=:]\s*((?:\\[:=#!\\ tnrf]|[^\\])*)", line)
        if entry is None:
            raise _ParseError(number, "not a key and a value")
        if entry.group(1) in seen:
            raise _ParseError(number, f"the key {entry.group(1)} occurs twice")
        seen.add(entry.group(1))


def _parse_xcconfig(text: str) -> None:
    """Raises _ParseError unless each line is a setting, an include or a comment."""
    setting = r"\w+(\[\w+=[\w*]+\])* = (?:(?!//).)+"
    for number, line in enumerate(text.splitlines(), start=1):
        if not re.fullmatch(rf'(//.*)?|#include\?? "[^"]+"|{setting}', line):
            raise _ParseError(number, "neither a setting nor an include nor a comment")


def _parse_proguard(text: str) -> None:
    """Raises _ParseError unless each rule starts with a dash and closes its braces."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not re.fullmatch(r"(#.*)?|-[a-z]+( [\w.*<>;{}@, ]+)?|    [\w<> .*;()]+;|}", line):
            raise _ParseError(number, "not a rule")
    if text.count("{") != text.count("}"):
        raise _ParseError(0, "braces do not match")


def _parse_kotlin(text: str) -> None:
    """Raises _ParseError for the first place that the Kotlin grammar does not accept."""
    _parse_tree(_grammar("kotlin"), text)


def _parse_swift(text: str) -> None:
    """Raises _ParseError for the first place that the Swift grammar does not accept."""
    _parse_tree(_grammar("swift"), text)


@cache
def _grammar(language: str) -> tree_sitter.Language:
    """A grammar; making one takes a while."""
    import tree_sitter
    import tree_sitter_kotlin
    import tree_sitter_swift

    grammars = {"kotlin": tree_sitter_kotlin, "swift": tree_sitter_swift}
    return tree_sitter.Language(grammars[language].language())


def _parse_tree(grammar: tree_sitter.Language, text: str) -> None:
    """Raises _ParseError for the first error or missing token in the tree."""
    import tree_sitter

    nodes = [tree_sitter.Parser(grammar).parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            what = f"{node.type} is missing" if node.is_missing else "this does not parse"
            near = text.splitlines()[node.start_point.row].strip() if text.strip() else ""
            raise _ParseError(node.start_point.row + 1, f"{what}: {near[:80]}")
        if node.has_error:
            nodes.extend(reversed(node.children))


# --- Xcode ---------------------------------------------------------------------------------------


def _parse_openstep(text: str) -> Any:
    """The decoded property list of the old kind: .strings, .pbxproj. Raises _ParseError."""
    import openstep_plist

    try:
        return openstep_plist.loads(text)
    except openstep_plist.ParseError as error:
        line = re.search(r"line (\d+)", str(error))
        raise _ParseError(int(line.group(1)) if line else 0, str(error)) from error


def _parse_pbxproj(text: str) -> dict[str, Any]:
    """The decoded project. Raises _ParseError for a dangling or an unreachable object."""
    project: dict[str, Any] = _parse_openstep(text)
    objects = project["objects"]
    reached: set[str] = set()
    waiting = [project["rootObject"]]
    while waiting:
        here = waiting.pop()
        if here in reached:
            continue
        if here not in objects:
            raise _ParseError(_line_of(text, here), f"there is no object {here}")
        if "isa" not in objects[here]:
            raise _ParseError(_line_of(text, here), f"the object {here} has no isa")
        reached.add(here)
        waiting.extend(_references(objects[here]))
    for key in objects:
        if key not in reached:
            raise _ParseError(_line_of(text, key), f"nothing refers to the object {key}")
    return project


def _references(value: Any) -> list[str]:
    """Every string within a value that has the form of an object's id."""
    if isinstance(value, dict):
        return [found for part in value.items() for item in part for found in _references(item)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    return [value] if isinstance(value, str) and _OBJECT_ID.fullmatch(value) else []


def _line_of(text: str, part: str) -> int:
    """Number of the line where a part first occurs, 0 if nowhere."""
    position = text.find(part)
    return text.count("\n", 0, position) + 1 if position >= 0 else 0


def _check_scheme(folder: Path) -> None:
    """Raises E610 when a scheme or the project names a target or a file that is not there."""
    name = "EdgepackApp.xcodeproj/project.pbxproj"
    objects = _parse_pbxproj((folder / name).read_text("utf-8"))["objects"]
    groups = {
        child: entry.get("path", "")
        for entry in objects.values()
        if entry["isa"] == "PBXGroup"
        for child in entry["children"]
    }
    for key, entry in objects.items():
        if entry.get("sourceTree") != "<group>" or "path" not in entry:
            continue
        if not (folder / groups.get(key, "") / entry["path"]).exists():
            raise _error(name, 0, f"there is no {entry['path']}")
    scheme = "EdgepackApp.xcodeproj/xcshareddata/xcschemes/EdgepackApp.xcscheme"
    text = (folder / scheme).read_text("utf-8")
    for found in re.finditer(r'BlueprintIdentifier = "(\w+)"', text):
        if objects.get(found.group(1), {}).get("isa") != "PBXNativeTarget":
            line = text.count("\n", 0, found.start()) + 1
            raise _error(scheme, line, f"the project has no target {found.group(1)}")


# --- Gradle --------------------------------------------------------------------------------------


def _check_aliases(folder: Path) -> None:
    """Raises E610 when a build script names a library or plugin that the catalog does not have."""
    catalog = _parse_toml((folder / "gradle/libs.versions.toml").read_text("utf-8"))
    known = {alias.replace("-", ".") for alias in catalog["libraries"]}
    known |= {f"plugins.{alias.replace('-', '.')}" for alias in catalog["plugins"]}
    for path in sorted(folder.rglob("*.kts")):
        text = path.read_text("utf-8")
        for found in re.finditer(r"\blibs\.([\w.]+)", text):
            if found.group(1) not in known:
                line = text.count("\n", 0, found.start()) + 1
                name = path.relative_to(folder).as_posix()
                raise _error(name, line, f"libs.versions.toml has no {found.group(1)}")
    for kind in ("libraries", "plugins"):
        for alias, entry in catalog[kind].items():
            if entry["version"]["ref"] not in catalog["versions"]:
                raise _error("gradle/libs.versions.toml", 0, f"{alias} has no version")
