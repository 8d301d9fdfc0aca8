"""The rung `render`: is every generated file there, whole, and as the template gave it?

A copied file must equal the template's. Rendered text is UTF-8 with one kind of line end and nothing
left of the template's language. The model has its digest, the golden cases have their sizes. What people
changed, by the project's own listing, and what they added is theirs: it is named, not compared.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import edgepack_templates as templates
from edgepack import generated
from edgepack.errors import EdgepackError
from edgepack.verifying.parsers import ParseError
from edgepack.verifying.project import Checked, Project, wrong
from edgepack.wire import digest

CHANGED, ADDED = "changed", "added"
"""In the place of a parser: files that are people's own."""

_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2}


def check(project: Project) -> list[Checked]:
    """Every file of the project. Raises E610 for the first that is wrong or missing, or strange to the models."""
    expected, listed = project.files, _listed(project)
    for name in expected:
        if not (project.folder / name).is_file():
            raise wrong(name, 0, "the file is missing")
    checked = [*_check_payload(project), Checked(path=generated.LISTING, parser="json")]
    known = {entry.path for entry in checked}
    for path in sorted(p for p in project.folder.rglob("*") if p.is_file()):
        name = path.relative_to(project.folder).as_posix()
        inside = name.startswith(f"{project.payload}/")
        if inside and name not in known:
            raise wrong(name, 0, "edgepack.json has no such file, and it would be part of the app")
        same = name == generated.LISTING or digest.of_file(path) in listed.get(name, ())
        if inside and not same:
            raise wrong(name, 0, f"its sha256 is not that of {generated.LISTING}")
        if name in known:
            continue
        if not same:
            checked.append(Checked(path=name, parser=CHANGED if name in listed else ADDED))
            continue
        if name not in expected:
            raise wrong(name, 0, "the template has no such file")
        if expected[name] in project.template.executable and not path.stat().st_mode & 0o100:
            raise wrong(name, 0, "the file is not executable")
        _check_file(project, name, expected[name])
        checked.append(Checked(path=name, parser="template"))
    return checked


def _listed(project: Project) -> dict[str, list[str]]:
    """Digests of the generated files as the project lists them. Raises E610."""
    try:
        return generated.listed(project.folder)
    except EdgepackError as error:
        raise wrong(generated.LISTING, 0, error.why) from error


def _check_file(project: Project, name: str, source: str) -> None:
    """Raises E610 unless the file is as the template gave it."""
    data = (project.folder / name).read_bytes()
    original = templates.ROOT / project.platform / source
    copied = not source.endswith(".j2")
    if copied and data != original.read_bytes():
        raise wrong(name, 0, "it differs from the template, which another edgepack may have had")
    # Vectors for tests hold any character there is.
    if not (copied and name.endswith((".jar", ".json"))):
        try:
            _check_text(data, "\r\n" if name.endswith(".bat") else "\n")
        except ParseError as fault:
            raise wrong(name, fault.line, fault.message) from fault


def _check_text(data: bytes, newline: str) -> None:
    """Raises ParseError unless the bytes are text as a template gives it."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(line, f"not UTF-8: {error.reason}") from error
    for found, message in (
        (
            re.search(r"(?<!\r)\n" if newline == "\r\n" else r"\r", text),
            "the wrong kind of line end",
        ),
        (re.search(r"(?<!\\)\{[{%]", text), "a leftover of the template's language"),
        (re.search("\x00|\ufeff", text), "a character that no text holds"),
    ):
        if found:
            raise ParseError(text.count("\n", 0, found.start()) + 1, message)
    if not text.endswith("\n"):
        raise ParseError(text.count("\n") + 1, "the last line has no end")


def _check_payload(project: Project) -> list[Checked]:
    """The models and the task's files by their digests, the golden cases by their sizes. Raises E610."""
    payload = project.payload
    checked = [Checked(path=f"{payload}/edgepack.json", parser="json")]
    checked += _check_digests(project, project.manifest["task"]["files"])
    for model in project.manifest["models"]:
        artifact = model["artifact"]
        path = project.folder / payload / artifact["file"]
        if not path.exists() or digest.of_tree(path) != artifact["sha256"]:
            name = f"{payload}/{artifact['file']}"
            raise wrong(name, 0, "its sha256 is not that of edgepack.json")
        checked += _check_digests(project, artifact["files"])
        checked += _check_golden(project, f"{payload}/{model['golden']}")
    return checked


def _check_digests(project: Project, entries: list[dict[str, Any]]) -> list[Checked]:
    """Files beside edgepack.json that have the digests it says. Raises E610."""
    checked = []
    for entry in entries:
        name = f"{project.payload}/{entry['path']}"
        path = project.folder / name
        if not path.is_file() or digest.of_file(path) != entry["sha256"]:
            raise wrong(name, 0, "its sha256 is not that of edgepack.json")
        checked.append(Checked(path=name, parser="sha256"))
    return checked


def _check_golden(project: Project, folder: str) -> list[Checked]:
    """The golden cases of one model. Raises E610."""
    name = f"{folder}/golden.json"
    checked = [Checked(path=name, parser="json")]
    for case in _golden(project, name)["cases"]:
        for entry in case["inputs"] + case["outputs"]:
            name = f"{folder}/{entry['file']}"
            size = math.prod(entry["shape"]) * _BYTES.get(entry["dtype"], 1)
            path = project.folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise wrong(name, 0, f"golden.json says that it holds {size} bytes")
            checked.append(Checked(path=name, parser="golden.json"))
    return checked


def _golden(project: Project, name: str) -> dict[str, Any]:
    """golden.json, decoded. Raises E610."""
    try:
        golden: dict[str, Any] = json.loads((project.folder / name).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise wrong(name, error.lineno, error.msg) from error
    except OSError as error:
        raise wrong(name, 0, str(error.strerror)) from error
    return golden
