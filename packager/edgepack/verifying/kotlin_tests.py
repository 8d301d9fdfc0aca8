"""The rung `test` for Android: the core's own unit tests, run by JUnit on this machine.

The core imports nothing of Android but org.json, for which Android's implementation is here.
"""

from __future__ import annotations

import re

from edgepack.errors import EdgepackError
from edgepack.verifying import kotlin, kotlinc, tools
from edgepack.verifying.kotlin import Site


def check(site: Site) -> list[str]:
    """What was proved. The tests were compiled by the rung before. Raises E614, E616."""
    compiled = kotlin.classes(site, "test")
    names = sorted(
        path.relative_to(compiled).with_suffix("").as_posix().replace("/", ".")
        for path in compiled.rglob("*Test.class")
    )
    if not names:
        raise EdgepackError(
            "E614",
            "the app's core has no tests",
            why=f"no class below {compiled.name} ends in Test",
            help="restore app/src/test from the template",
        )
    junit = tools.part("junit")
    classpath = [
        compiled, kotlin.classes(site, "core"), site.project.folder / "app/src/test/resources",
        junit / "junit4.jar", junit / "hamcrest.jar", junit / "json.jar",
        kotlinc.library(),
    ]  # fmt: skip
    done = tools.java("org.junit.runner.JUnitCore", *names, classpath=classpath, cwd=site.scratch)
    passed = re.search(r"^OK \((\d+) tests?\)", done.out, re.MULTILINE)
    if done.code or passed is None or int(passed.group(1)) == 0:
        raise EdgepackError(
            "E614",
            "tests of the app's core fail",
            why=_failures(done.text),
            help="correct the core, or the test that names what it should do",
        )
    return [f"JUnit: {passed.group(1)} tests of {len(names)} classes pass"]


def _failures(text: str) -> str:
    """What JUnit says of failing tests, without the frames of JUnit itself."""
    kept = [
        line
        for line in text.splitlines()
        if not re.match(r"\s*at (?:org\.junit|java\.base|jdk\.internal)", line)
    ]
    return "\n".join(kept[-40:])
