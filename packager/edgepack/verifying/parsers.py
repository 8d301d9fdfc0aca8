"""A real parser for every kind of text file that a generated project holds."""

from __future__ import annotations

import json
import plistlib
import re
import tomllib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from edgepack.verifying import xcode
from edgepack.verifying.faults import ParseError

if TYPE_CHECKING:
    import tree_sitter

__all__ = ["ParseError", "parser_of", "toml"]


def parser_of(name: str) -> tuple[str, Callable[[str], object]] | None:
    """Name of a parser and the parser for a file by its name, None when there is none.

    The parser raises ParseError.
    """
    for ending, label, parse in (
        ((".kt", ".kts"), "tree-sitter-kotlin", _kotlin),
        ((".swift",), "tree-sitter-swift", _swift),
        ((".xcprivacy", ".plist"), "plistlib", _plist),
        ((".xml", ".xcscheme", ".xcworkspacedata"), "expat", _xml),
        ((".toml",), "tomllib", toml),
        ((".json",), "json", _json),
        ((".pbxproj",), "openstep-plist", xcode.project),
        ((".strings",), "openstep-plist", xcode.openstep),
        ((".properties",), "properties", _properties),
        ((".xcconfig",), "xcconfig", _xcconfig),
        ((".pro",), "proguard", _proguard),
        ((".md",), "text", str),
    ):
        if name.endswith(ending):
            return label, parse
    return None


def _xml(text: str) -> None:
    """Raises ParseError unless the text is well-formed XML."""
    try:
        expat.ParserCreate().Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise ParseError(error.lineno, expat.ErrorString(error.code)) from error


def _plist(text: str) -> None:
    """Raises ParseError unless the text is a property list in XML."""
    _xml(text)
    try:
        plistlib.loads(text.encode())
    except ValueError as error:
        raise ParseError(0, str(error)) from error


def toml(text: str) -> dict[str, Any]:
    """The decoded TOML. Raises ParseError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ParseError(int(line.group(1)) if line else 0, str(error)) from error


def _json(text: str) -> Any:
    """The decoded JSON object or array, in which every key occurs once. Raises ParseError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise ParseError(0, f"the key {key!r} occurs twice")
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ParseError(error.lineno, error.msg) from error
    if not isinstance(value, dict | list):
        raise ParseError(1, "neither an object nor an array")
    return value


def _properties(text: str) -> None:
    """Raises ParseError unless each line of a Java properties file is a key and a value."""
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        entry = re.fullmatch(r"\s*((?:\\.|[^\s=:\\])+)\s*[=:]\s*((?:\\[:=#!\\ tnrf]|[^\\])*)", line)
        if entry is None:
            raise ParseError(number, "not a key and a value")
        if entry.group(1) in seen:
            raise ParseError(number, f"the key {entry.group(1)} occurs twice")
        seen.add(entry.group(1))


def _xcconfig(text: str) -> None:
    """Raises ParseError unless each line is a setting, an include or a comment."""
    setting = r"\w+(\[\w+=[\w*]+\])* = (?:(?!//).)+"
    for number, line in enumerate(text.splitlines(), start=1):
        if not re.fullmatch(rf'(//.*)?|#include\?? "[^"]+"|{setting}', line):
            raise ParseError(number, "neither a setting nor an include nor a comment")


def _proguard(text: str) -> None:
    """Raises ParseError unless each rule starts with a dash and closes its braces."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not re.fullmatch(r"(#.*)?|-[a-z]+( [\w.*<>;{}@, ]+)?|    [\w<> .*;()]+;|}", line):
            raise ParseError(number, "not a rule")
    if text.count("{") != text.count("}"):
        raise ParseError(0, "braces do not match")


@lru_cache(maxsize=1024)
def _kotlin(text: str) -> None:
    """Raises ParseError for the first place that the Kotlin grammar does not accept."""
    _tree(_grammar("kotlin"), text)


@lru_cache(maxsize=1024)
def _swift(text: str) -> None:
    """Raises ParseError for the first place that the Swift grammar does not accept."""
    _tree(_grammar("swift"), text)


@cache
def _grammar(language: str) -> tree_sitter.Language:
    """A grammar; making one takes a while."""
    import tree_sitter
    import tree_sitter_kotlin
    import tree_sitter_swift

    grammars = {"kotlin": tree_sitter_kotlin, "swift": tree_sitter_swift}
    return tree_sitter.Language(grammars[language].language())


def _tree(grammar: tree_sitter.Language, text: str) -> None:
    """Raises ParseError for the first error or missing token in the tree."""
    import tree_sitter

    nodes = [tree_sitter.Parser(grammar).parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            what = f"{node.type} is missing" if node.is_missing else "this does not parse"
            near = text.splitlines()[node.start_point.row].strip() if text.strip() else ""
            raise ParseError(node.start_point.row + 1, f"{what}: {near[:80]}")
        if node.has_error:
            nodes.extend(reversed(node.children))
