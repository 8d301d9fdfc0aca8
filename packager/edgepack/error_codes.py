"""The documentation of every error code, kept in error_codes.toml beside this file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from edgepack.config import suggestion
from edgepack.errors import EdgepackError


class Documented(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One code: its title, what it is, why it is bad, what to do instead."""

    title: str
    what: str
    why: str
    instead: str


def load() -> dict[str, Documented]:
    """Every code, sorted."""
    text = Path(__file__).with_name("error_codes.toml").read_text(encoding="utf-8")
    return dict(sorted(msgspec.convert(tomllib.loads(text), dict[str, Documented]).items()))


def find(code: str, documented: dict[str, Documented]) -> tuple[str, Documented]:
    """The code as written or without its E, in any case. Raises E114."""
    name = code.upper() if code.upper().startswith("E") else f"E{code}"
    if name in documented:
        return name, documented[name]
    raise EdgepackError(
        "E114",
        f"there is no error code {code!r}",
        help=suggestion(name, list(documented)) or "`edgepack explain` lists them all.",
    )
