"""One line of progress from a worker to the host: JSON behind a marker, on standard error."""

from __future__ import annotations

import json
import sys

MARKER = "\x1eedgepack "


def report(message: str, done: int = 0, total: int = 0) -> None:
    """Tell the host what is going on; `done` of `total` when it can be counted."""
    line = json.dumps({"message": message, "done": done, "total": total})
    sys.stderr.write(f"{MARKER}{line}\n")
    sys.stderr.flush()


def parse(line: str) -> tuple[str, int, int] | None:
    """(message, done, total) of a line written by `report`, None for any other line."""
    if not line.startswith(MARKER):
        return None
    try:
        data = json.loads(line[len(MARKER) :])
        return str(data["message"]), int(data["done"]), int(data["total"])
    except (ValueError, KeyError, TypeError):
        return None
