"""A pytest plugin that runs coremltools' own tests against the emulator and records what happens.

Loaded with `-p replay` inside the conformance environment, by `run.py`. EDGEPACK_REPLAY names a JSON file:
{"tests": ids to run or null for all, "keep", "drop": see `suites.Suite`, "records": file to append to,
"listing": file for what was found, or "", "emulator": digest to record}. A record is a line of JSON:

    id, emulator
    outcome        passed, failed, skipped, xfailed (the test expects to fail), xpassed; begun at first
    predictions    how often it asked for a prediction; 0 says that nothing was tested
    refusals       models that the emulator did not load
    operators      types of the operations in the programs that were asked
    reason, where  of a failure or skip, in one line, and the file it came from
    seconds
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stand_in

stand_in.install()

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

_LONGEST_REASON = 400
_NEVER = r"neuralnetwork|NOTSET\]$"
torch.set_num_threads(1)


class Replay:
    """One run: what was asked for, and the record being written."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.tests = None if asked["tests"] is None else set(asked["tests"])
        self.keep = re.compile(asked["keep"])
        self.drop = re.compile("|".join(filter(None, [_NEVER, asked["drop"]])))
        self.records = Path(asked["records"])
        self.listing = asked["listing"]
        self.emulator = asked["emulator"]
        self.uncollected: dict[str, str] = {}
        self.record: dict[str, Any] = {}
        self.started = 0.0

    def pytest_sessionstart(self) -> None:
        """Parametrizations that are drawn at random are the same every time."""
        seed("")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Modules that cannot be imported, or skip themselves."""
        if report.failed:
            told = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
            self.uncollected[report.nodeid] = (told or [str(report.longrepr)])[-1].lstrip("E ")
        elif report.skipped:
            self.uncollected[report.nodeid] = skip_reason(report)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep what was asked for.

        Never kept: tests of the older model type, neural networks, and those whose parameters exclude
        one another, which pytest skips under a name that varies.
        """
        stand_in.correct()
        fitting = [
            i for i in items if self.keep.search(i.nodeid) and not self.drop.search(i.nodeid)
        ]
        if self.listing:
            found = {"tests": [name_of(i) for i in fitting], "uncollected": self.uncollected}
            Path(self.listing).write_text(json.dumps(found), encoding="utf-8")
        kept = [i for i in fitting if self.tests is None or name_of(i) in self.tests]
        left = {id(item) for item in kept}
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in left])
        items[:] = kept

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A record, begun and ended on disk: what kills the process leaves its name behind."""
        name = name_of(item)
        self._write({"id": name, "outcome": "begun"})
        stand_in.seen.clear()
        seed(name)
        self.record = {
            "id": name, "emulator": self.emulator, "outcome": "passed", "reason": "", "where": "",
        }  # fmt: skip
        self.started = time.monotonic()
        try:
            return (yield)
        finally:
            self._write(
                self.record
                | {
                    "predictions": stand_in.seen.predictions,
                    "refusals": stand_in.seen.refusals,
                    "operators": sorted(stand_in.seen.operators),
                    "seconds": round(time.monotonic() - self.started, 3),
                }
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first thing that did not pass is the test's outcome."""
        if self.record["outcome"] != "passed":
            return
        expected_to_fail = hasattr(report, "wasxfail")
        if report.failed:
            self.record["outcome"] = "failed"
            self.record["reason"], self.record["where"] = crash(report)
        elif report.skipped:
            self.record["outcome"] = "xfailed" if expected_to_fail else "skipped"
            self.record["reason"] = report.wasxfail if expected_to_fail else skip_reason(report)
        elif expected_to_fail and report.when == "call":
            self.record["outcome"] = "xpassed"
            self.record["reason"] = report.wasxfail

    def _write(self, record: dict[str, Any]) -> None:
        with self.records.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def name_of(item: pytest.Item) -> str:
    """A test's id, without the addresses of functions among its parameters."""
    return re.sub(r" at 0x[0-9a-f]+", "", item.nodeid)


def seed(text: str) -> None:
    """Seed every generator a test may draw from, so that a test draws the same alone and among others."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def crash(report: pytest.TestReport) -> tuple[str, str]:
    """A failure in one line, and the file and line that raised it."""
    found = getattr(report.longrepr, "reprcrash", None)
    if found is None:
        return " | ".join(str(report.longrepr).strip().splitlines()[-4:])[:_LONGEST_REASON], ""
    lines = [line.strip() for line in found.message.splitlines() if line.strip()]
    place = found.path.rpartition("site-packages" + os.sep)[2]
    return " | ".join(lines[:5])[:_LONGEST_REASON], f"{place}:{found.lineno}"


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped."""
    told = report.longrepr
    return (told[2] if isinstance(told, tuple) else str(told)).removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run."""
    asked = json.loads(Path(os.environ["EDGEPACK_REPLAY"]).read_text(encoding="utf-8"))
    config.pluginmanager.register(Replay(asked), "replay-run")
