"""Records of replayed tests, what of them counts, and which failures are expected.

A test counts if it asked for a prediction, or failed because the emulator refused its model: all others
would pass anywhere. Tests that skip themselves, or are marked by Apple as expected to fail, do not count.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True, slots=True)
class Record:
    """One test: see `replay.py`. emulator: digest of the emulator's sources. suite: whose run it was part of.

    outcome: one of replay's, or "killed" for a test that took its process with it.
    """

    id: str
    suite: str
    emulator: str
    outcome: str
    predictions: int
    refusals: tuple[str, ...]
    operators: tuple[str, ...]
    reason: str
    where: str
    seconds: float

    @property
    def counts(self) -> bool:
        """Whether it says anything about the emulator."""
        if self.outcome in ("failed", "killed"):
            return self.predictions > 0 or bool(self.refusals) or self.outcome == "killed"
        return self.outcome == "passed" and self.predictions > 0

    @property
    def missed(self) -> bool:
        """Whether it counts and did not pass."""
        return self.counts and self.outcome != "passed"


@dataclass(frozen=True, slots=True)
class Expected:
    """Failures with a reason. tests: ids, `*` for any text; `#` and a suite's name after it for that suite alone.

    kind: "core-ml", what Core ML does and the emulator leaves out; "test", a defect of the test, or a
    setting it was not written for; "converter", a defect of coremltools; "undefined", a value that no
    document defines.
    """

    tests: tuple[str, ...]
    kind: str
    reason: str

    def covers(self, record: Record) -> bool:
        """Whether the failure is one of these."""
        return any(_pattern(text).fullmatch(f"{record.id}#{record.suite}") for text in self.tests)


def load_expected(path: Path = EXPECTED) -> tuple[Expected, ...]:
    """The expected failures of a file."""
    with path.open("rb") as file:
        entries = tomllib.load(file).get("expected", [])
    return tuple(Expected(tuple(e["tests"]), e["kind"], e["reason"]) for e in entries)


def reason_of(record: Record, expected: Iterable[Expected]) -> Expected | None:
    """The entry that explains a miss."""
    return next((entry for entry in expected if entry.covers(record)), None)


def read(path: Path, suite: str) -> dict[str, Record]:
    """The last finished record of every test in a file; empty if there is none yet."""
    found: dict[str, Record] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = parsed(json.loads(line), suite)
            if record is not None:
                found[record.id] = record
    return found


def parsed(line: dict[str, Any], suite: str) -> Record | None:
    """A line of a records file; None for one that only says that a test began."""
    if line["outcome"] == "begun":
        return None
    return Record(
        id=line["id"],
        suite=suite,
        emulator=line["emulator"],
        outcome=line["outcome"],
        predictions=line["predictions"],
        refusals=tuple(line["refusals"]),
        operators=tuple(line["operators"]),
        reason=line["reason"],
        where=line["where"],
        seconds=line["seconds"],
    )


def killed(test: str, emulator: str, reason: str) -> dict[str, Any]:
    """The line of a test that ended its process, or that its process was ended for."""
    return {
        "id": test, "emulator": emulator, "outcome": "killed", "predictions": 0, "refusals": [],
        "operators": [], "reason": reason, "where": "", "seconds": 0.0,
    }  # fmt: skip


def _pattern(text: str) -> re.Pattern[str]:
    tests, _, suite = text.partition("#")
    return re.compile(
        ".*".join(map(re.escape, tests.split("*"))) + "#" + (re.escape(suite) if suite else ".*"),
        re.DOTALL,
    )
