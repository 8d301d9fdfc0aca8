"""Text made safe for the languages that templates are written in; the filters of our templates.

Braces are escaped too, so that a leftover {{ in a project is always a mistake of the template.
"""

from __future__ import annotations

import hashlib
import json
import re


def android_string(text: str) -> str:
    r"""Text for a <string> resource, before XML escaping.

    aapt2 folds white space, drops unescaped quotes and reads a leading @ or ? as a reference.
    Source: developer.android.com/guide/topics/resources/string-resource, on special characters.
    """
    escaped = re.sub(r"""([\\'"])""", r"\\\1", text)
    escaped = escaped.replace("\n", r"\n").replace("\t", r"\t").replace("{", r"\u007b")
    escaped = re.sub(r"^ | (?= )| $", r"\\u0020", escaped)
    return f"\\{escaped}" if escaped.startswith(("@", "?")) else escaped


def strings_file(text: str) -> str:
    """Text between the quotes of an Apple .strings file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\n", "\\n").replace("\t", "\\t").replace("{", "\\U007b")


def pbx_string(text: str) -> str:
    """A quoted string of an Xcode project file."""
    return f'"{strings_file(text)}"'


def plain_name(text: str) -> str:
    """A name without what Xcode's build settings would read as a variable, a quote or an escape."""
    plain = " ".join(re.sub(r"""[${}"'`\\\s]+""", " ", text).split())
    return plain or "Edgepack"


def toml_string(text: str) -> str:
    """A quoted string of TOML."""
    return json.dumps(text)


def markdown(text: object) -> str:
    """Text in one line of Markdown that shows as it is."""
    return re.sub(r"([\\`*_\[\]{}<>|#~&$])", r"\\\1", " ".join(str(text).split()))


def object_id(label: str) -> str:
    """The 24 hex digits by which an Xcode project knows the object of that label."""
    return hashlib.sha256(f"edgepack {label}".encode()).hexdigest()[:24].upper()


FILTERS = {
    "android_string": android_string,
    "markdown": markdown,
    "object_id": object_id,
    "pbx_string": pbx_string,
    "plain_name": plain_name,
    "strings_file": strings_file,
    "toml": toml_string,
}
