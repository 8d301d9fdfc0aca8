"""The rungs in their order, and climbing them: what ran, what could not and why, what failed.

A rung that could not run is `not-run`, which is never a pass. A rung whose foundation did not pass is
not run either; the others are, so that one climb shows all there is to see.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from time import monotonic
from typing import Literal
from xml.parsers.expat import ExpatError

from msgspec import Struct

from edgepack.errors import EdgepackError
from edgepack.verifying import (
    android_resources,
    apple_resources,
    kotlin,
    kotlin_tests,
    packages,
    parsed,
    rendered,
    swift,
)
from edgepack.verifying.kotlin import Site
from edgepack.verifying.project import Checked, recognize

LEVELS = ("render", "parse", "resources", "typecheck", "test", "assemble")
Verdict = Literal["pass", "fail", "not-run"]

_COULD_NOT = ("E616", "E617")

# A rung goes on where those below it failed, so that a file may lack whatever it reads there. XML's
# own error is a SyntaxError.
_UNREADABLE = (
    ArithmeticError, AttributeError, ExpatError, FileNotFoundError, IsADirectoryError, LookupError,
    NotADirectoryError, PermissionError, RecursionError, SyntaxError, TypeError, ValueError,
)  # fmt: skip


class Rung(Struct, frozen=True, kw_only=True):
    """One rung. proved: what is certain since it passed. code, message, why, help: of what stopped it."""

    level: str
    verdict: Verdict
    seconds: float
    proved: list[str] = []
    code: str = ""
    message: str = ""
    why: str = ""
    help: str = ""


class Climb(Struct, frozen=True, kw_only=True):
    """How far up the ladder an app came.

    reached: the highest level up to which all passed, or "". verdict: fail when a rung failed, else
    not-run when one could not run.
    """

    app: str
    platform: str
    target: str
    level: str
    reached: str
    verdict: Verdict
    rungs: list[Rung]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A rung's function and the levels that must have passed before it."""

    check: Callable[[Site], list[str]]
    needs: tuple[str, ...] = ()


def climb(
    folder: Path,
    level: str,
    *,
    begun: Callable[[str], None] = lambda _: None,
    ended: Callable[[Rung], None] = lambda _: None,
) -> Climb:
    """Check the app in `folder` up to a level, telling of each rung as it begins and ends.

    Raises E610 or E611 when the folder holds no app whose manifest can be read.
    """
    project = recognize(folder)
    rungs: list[Rung] = []
    scratch = Path(tempfile.mkdtemp(prefix="edgepack-app-"))
    try:
        site = Site(project=project, scratch=scratch)
        for name in LEVELS[: LEVELS.index(level) + 1]:
            begun(name)
            rung = _step_on(name, _STEPS[project.platform][name], site, rungs)
            rungs.append(rung)
            ended(rung)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Climb(
        app=str(folder), platform=project.platform, target=project.target, level=level,
        reached=_reached(rungs), verdict=_verdict(rungs), rungs=rungs,
    )  # fmt: skip


def _reached(rungs: list[Rung]) -> str:
    """The last level up to which every rung passed, "" for none."""
    passed = takewhile(lambda rung: rung.verdict == "pass", rungs)
    return ([""] + [rung.level for rung in passed])[-1]


def _verdict(rungs: list[Rung]) -> Verdict:
    """The verdict on all rungs together."""
    verdicts = {rung.verdict for rung in rungs}
    if "fail" in verdicts:
        return "fail"
    return "not-run" if "not-run" in verdicts else "pass"


def _step_on(name: str, step: _Step, site: Site, below: list[Rung]) -> Rung:
    """One rung, whatever comes of it."""
    for rung in below:
        if rung.level in step.needs and rung.verdict != "pass":
            return Rung(
                level=name, verdict="not-run", seconds=0.0,
                message=f"the rung {rung.level} did not pass", why=f"{name} needs what it makes",
            )  # fmt: skip
    start = monotonic()
    try:
        proved = step.check(site)
    except EdgepackError as error:
        return Rung(
            level=name, verdict="not-run" if error.code in _COULD_NOT else "fail",
            seconds=monotonic() - start, code=error.code, message=error.message, why=error.why,
            help=error.help,
        )  # fmt: skip
    except _UNREADABLE as error:
        return Rung(
            level=name, verdict="fail", seconds=monotonic() - start, code="E610",
            message="a file of the app cannot be read", why=f"{type(error).__name__}: {error}",
            help="What render and parse say may tell which file it is. If they pass and you changed "
            "nothing, please report it.",
        )  # fmt: skip
    return Rung(level=name, verdict="pass", seconds=monotonic() - start, proved=proved)


# --- the rungs of each platform ------------------------------------------------------------------


def _render(site: Site) -> list[str]:
    checked = rendered.check(site.project)
    changed, added = (
        [entry.path for entry in checked if entry.parser == kind]
        for kind in (rendered.CHANGED, rendered.ADDED)
    )
    count = len(checked) - len(changed) - len(added)
    proved = [f"{count} files are there, whole, and as the template gave them"]
    if changed:
        proved.append(f"not compared, since you changed them: {', '.join(changed)}")
    if added:
        proved.append(f"not compared: {len(added)} files of your own")
    return proved


def _parse(site: Site) -> list[str]:
    checked = parsed.check(site.project)
    return [f"{len(checked)} files: {', '.join(_counted(checked))}"]


def _counted(checked: list[Checked]) -> list[str]:
    names = [entry.parser for entry in checked]
    return [f"{name} {names.count(name)}" for name in sorted(set(names))]


def _no_assembly(_: Site) -> list[str]:
    raise EdgepackError(
        "E617",
        "an iOS app can be assembled by Xcode alone",
        why="asset catalogs, signing and the SDK's frameworks exist nowhere else",
        help="`.github/workflows/ios.yml` in the app builds it on a Mac",
    )


_STEPS: Mapping[str, Mapping[str, _Step]] = {
    "android": {
        "render": _Step(check=_render),
        "parse": _Step(check=_parse),
        "resources": _Step(check=lambda s: android_resources.check(s.project, s.scratch)),
        "typecheck": _Step(check=kotlin.check, needs=("resources",)),
        "test": _Step(check=kotlin_tests.check, needs=("typecheck",)),
        "assemble": _Step(check=packages.check, needs=("resources", "typecheck")),
    },
    "ios": {
        "render": _Step(check=_render),
        "parse": _Step(check=_parse),
        "resources": _Step(check=lambda s: apple_resources.check(s.project)),
        "typecheck": _Step(check=lambda s: swift.check_types(s.project, s.scratch)),
        "test": _Step(check=lambda s: swift.check_core(s.project, s.scratch)),
        "assemble": _Step(check=_no_assembly),
    },
}
