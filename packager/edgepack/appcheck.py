"""Checking a generated app project without its build tools: every file goes through a real parser.

It is the two lowest rungs of `edgepack.verifying`, which a build runs on every app that it makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.verifying import parsed, project, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.verifying.project import Checked


def check(folder: Path) -> list[Checked]:
    """Every file of the project in `folder` with the parser that accepted it, sorted by path.

    Raises E610 with file, line and the parser's message for the first that is wrong, missing, or of
    no kind that a project holds, E611 when the folder holds no project; OSError when a file cannot
    be read.
    """
    found = project.recognize(folder)
    checked = {entry.path: entry for entry in rendered.check(found)}
    checked.update({entry.path: entry for entry in parsed.check(found)})
    return [checked[path] for path in sorted(checked)]
