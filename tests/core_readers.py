"""What the cores of the apps read of edgepack.json, taken from their own sources: keys and types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import edgepack_templates as templates

KOTLIN = templates.ROOT / "android/app/src/main/kotlin/dev/edgepack/app/core"
SWIFT = templates.ROOT / "ios/EdgeCore/Sources/EdgeCore"

Flaws = list[str]

_KINDS: dict[str, tuple[type, ...]] = {
    "Int": (int,), "Double": (int, float), "String": (str,), "Boolean": (bool,), "Bool": (bool,),
    "JSONObject": (dict,), "JSONArray": (list,),
}  # fmt: skip


def _is(kind: str, value: Any) -> bool:
    """Whether a value of JSON has a type of Kotlin's or Swift's; true is no number."""
    return isinstance(value, _KINDS[kind]) and (not isinstance(value, bool) or bool in _KINDS[kind])


# --- Kotlin --------------------------------------------------------------------------------------


def kotlin_flaws(
    value: dict[str, Any], *parts: str, by: str = "entry", also: tuple[str, ...] = ()
) -> Flaws:
    """What keeps functions or classes of the Kotlin core from reading an object, and what none of them reads.

    parts: those that read the object, all together. by: a pattern of what they call it. also: keys that
    others read, or that are read in another way.
    """
    read: dict[str, str] = {}
    flaws = []
    for name in parts:
        body = _kotlin(name)
        gets = re.findall(rf'\b{by}\.get(\w+)\("(\w+)"\)', body)
        read |= {key: kind for kind, key in gets}
        for key, options in re.findall(r'choice\(entry, "(\w+)", ((?:"[^"]*"(?:, )?)+)\)', body):
            read[key] = "String"
            if value.get(key) not in re.findall('"([^"]*)"', options):
                flaws.append(f"{name} knows no {key} {value.get(key)!r}")
    for key, kind in read.items():
        if key not in value:
            flaws.append(f"{key} is read, and missing")
        elif not _is(kind, value[key]):
            flaws.append(f"{key} is read as {kind}, it is {value[key]!r}")
    return flaws + [f"nothing reads {key}" for key in sorted(value.keys() - read.keys() - {*also})]


def _kotlin(name: str) -> str:
    """The source of a function, or the properties of a class."""
    for path in sorted(KOTLIN.glob("*.kt")):
        found = re.search(
            rf"^(?:private )?(?:fun|class) {name}\(.*?(?=^(?:private |internal )?(?:fun|class)|\Z)",
            path.read_text("utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        if found:
            return found.group()
    raise AssertionError(f"the Kotlin core has no {name}")


# --- Swift ---------------------------------------------------------------------------------------


def swift_flaws(value: Any, kind: str, inside: str = "") -> Flaws:
    """What keeps Swift from decoding a value as one of the core's types, and keys that it leaves out."""
    if kind.startswith("[") and isinstance(value, list):
        return [flaw for one in value for flaw in swift_flaws(one, kind[1:-1], inside)]
    if kind.startswith("[") or kind in _KINDS:
        return [] if kind in _KINDS and _is(kind, value) else [f"{value!r} is no {kind}"]
    if kind == "TokenizerSettings":
        family = {"unigram": "UnigramSettings", "byte-level": "ByteLevelSettings"}[value["type"]]
        return swift_flaws({k: v for k, v in value.items() if k != "type"}, family)
    word, body = _swift(kind, inside)
    if word == "enum":
        cases = re.findall(r'(\w+)(?: = "([^"]*)")?', " ".join(re.findall(r"case ([^\n]*)", body)))
        return [] if value in [raw or name for name, raw in cases] else [f"{kind} has no {value!r}"]
    keys = dict(re.findall(r'case (\w+) = "([^"]*)"', _own(body, "enum CodingKeys")))
    fields = {
        keys.get(name, name): kind
        for name, kind in re.findall(r"^    public let (\w+): (\S+)$", body, re.MULTILINE)
    }
    flaws = [f"{kind} has {key}, which is missing" for key in fields.keys() - value.keys()]
    flaws += [f"{kind} has no {key}" for key in value.keys() - fields.keys()]
    for key, field in fields.items():
        if key in value:
            flaws += [f"{kind}.{key}: {flaw}" for flaw in swift_flaws(value[key], field, body)]
    return flaws


def _swift(kind: str, inside: str) -> tuple[str, str]:
    """struct or enum, and the body of that type: the one in a type's own body, else the core's."""
    sources = [inside, *(path.read_text("utf-8") for path in _swift_files())]
    for source in sources:
        found = re.search(rf"^( *)public (struct|enum) {kind}: [^\n]*\{{$", source, re.MULTILINE)
        if found:
            end = source.index(f"\n{found[1]}}}\n", found.end())
            return found[2], re.sub(
                f"^{found[1]}", "", source[found.end() : end], flags=re.MULTILINE
            )
    raise AssertionError(f"the Swift core has no {kind}")


def _swift_files() -> list[Path]:
    return sorted(SWIFT.glob("*.swift"))


def _own(body: str, head: str) -> str:
    """The part of a body that begins with `head`, "" if there is none."""
    start = body.find(head)
    return "" if start < 0 else body[start : body.index("\n    }", start)]
