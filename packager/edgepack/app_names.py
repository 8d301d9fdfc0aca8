"""Application ids and names: what each platform takes."""

from __future__ import annotations

import re

from edgepack.contract.text import UNSHOWN
from edgepack.errors import EdgepackError

MAX_NAME_CHARACTERS = 100
_ANDROID_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)+")
_IOS_ID = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+")


def check(platform: str, app_id: str, name: str) -> None:
    """Raises E601 for the id, E602 for the name."""
    android = platform == "android"
    if (_ANDROID_ID if android else _IOS_ID).fullmatch(app_id) is None:
        why = (
            "it needs two or more parts of letters, digits and _, each starting with a letter"
            if android
            else "it needs two or more parts of letters, digits and -"
        )
        raise EdgepackError(
            "E601",
            f"{app_id!r} is not an application id for {platform}",
            why=f"{why}, with dots between them",
            help=f"for example {_better_id(app_id, android)}",
        )
    unfit = UNSHOWN.search(name)
    length = len(name.strip())
    if unfit or not 1 <= length <= MAX_NAME_CHARACTERS:
        why = f"a name has 1 to {MAX_NAME_CHARACTERS} characters, this one {length}"
        raise EdgepackError(
            "E602",
            f"{name[:40]!r} cannot be the name of an app",
            why=f"no screen shows the character U+{ord(unfit.group()):04X}" if unfit else why,
            help="give the app another name",
        )


def _better_id(given: str, android: bool) -> str:
    """An id near the given one that would do."""
    parts = [re.sub(r"[^a-zA-Z0-9]+", "_" if android else "-", part) for part in given.split(".")]
    parts = [part.strip("_-") for part in parts]
    parts = [f"a{part}" if android and part[:1].isdigit() else part for part in parts if part]
    return ".".join(parts) if len(parts) > 1 else ".".join(["com.example", *(parts or ["app"])])
