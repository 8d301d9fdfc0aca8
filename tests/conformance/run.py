"""Replay coremltools' own tests against the Core ML emulator: `python tests/conformance/run.py`.

coremltools' wheel holds its tests. Off macOS they convert, skip the comparison and pass; here a stand-in
for the native module predicts with the emulator, so that they compare. Results and listings are kept in a
folder; a run that was interrupted goes on with --resume. Exit code 1 if a suite misses its bar or a failure
is not in expected.toml.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "packager"), str(ROOT / "targets")]

import records  # noqa: E402
import table  # noqa: E402
import workers  # noqa: E402
from records import Record  # noqa: E402
from suites import ENVIRONMENT, SUITES, Suite, sampled  # noqa: E402

from edgepack import envs  # noqa: E402

_PROGRESS_SECONDS = 15
_QUICK = 3.0


def main(argv: Sequence[str]) -> int:
    """Replay what was asked for; 0 if every bar is met."""
    asked = _arguments(argv)
    environment = envs.ensure(ENVIRONMENT, HERE / ENVIRONMENT.lock, say)
    (tests,) = environment.python.parents[1].glob("lib/python*/site-packages/coremltools")
    folder = asked.results or envs.cache_folder() / "conformance" / environment.digest
    folder.mkdir(parents=True, exist_ok=True)
    bench = workers.Bench(environment.python, tests, folder)
    expected = records.load_expected()
    fixed = _fixed(asked.tests) if asked.tests else {}
    results = []
    for suite in [SUITES[name] for name in asked.suite or fixed or SUITES]:
        all_tests, uncollected = (fixed[suite.name], {}) if fixed else workers.listed(bench, suite)
        chosen = _chosen(suite, all_tests, asked)
        found = records.read(bench.records_of(suite), suite.name)
        waiting = _waiting(chosen, found, asked)
        say(f"{suite.name}: {len(chosen)} of {len(all_tests)} tests, {len(waiting)} to run")
        if waiting:
            workers.replay(bench, suite, waiting, asked.jobs, _Progress(len(waiting)))
            found = records.read(bench.records_of(suite), suite.name)
        chosen_records = [found[test] for test in chosen if test in found]
        results.append(
            table.Result(
                suite, len(all_tests), uncollected, tuple(chosen_records), expected, bool(fixed)
            )
        )
    say(table.summary(results))
    if asked.write:
        asked.write.write_text(table.markdown(results), encoding="utf-8")
    if asked.write_sample:
        suites = [result.suite for result in results if result.suite.fixed]
        asked.write_sample.write_text(_sample(bench, suites), encoding="utf-8")
    return 0 if all(result.meets_bar for result in results) else 1


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Progress:
    """Says how far a suite is, not too often."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.started = self.told = time.monotonic()

    def __call__(self, suite: Suite, tally: Counter[str]) -> None:
        now = time.monotonic()
        done = sum(tally.values())
        if now - self.told < _PROGRESS_SECONDS and done < self.number:
            return
        self.told = now
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.most_common())
        say(f"{suite.name}  {done}/{self.number}  {now - self.started:.0f} s  {outcomes}")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--suite", action="append", choices=SUITES, help="a suite to run; all if none is named")
    add(
        "--sample",
        type=int,
        help="tests of each suite; 0 for all; the suite's own number if not given",
    )
    add("--only", default="", help="run tests whose id holds this text")
    add("--tests", type=Path, help="a file with a suite and a test's id in each line: run these")
    add("--jobs", type=int, default=2, help="processes; 2 if not given")
    add(
        "--resume",
        action="store_true",
        help="keep what earlier runs recorded, whatever the emulator was",
    )
    add("--again", action="store_true", help="with --resume, repeat what failed")
    add("--stop", action="store_true", help="run nothing, only judge what is recorded")
    add("--results", type=Path, help="folder of records; one in edgepack's cache if not given")
    add("--write", type=Path, help="write the tables to this Markdown file")
    add(
        "--write-sample",
        type=Path,
        help="write a fixed sample of what passed to this file, for --tests",
    )
    return parser.parse_args(argv)


def _chosen(suite: Suite, tests: list[str], asked: argparse.Namespace) -> list[str]:
    if asked.tests:
        return tests
    number = suite.sample if asked.sample is None else asked.sample
    return sampled([test for test in tests if asked.only in test], number)


def _waiting(chosen: list[str], found: dict[str, Record], asked: argparse.Namespace) -> list[str]:
    """Those without a record that may be kept."""
    if asked.stop:
        return []
    emulator = workers.digest_of_emulator()

    def kept(test: str) -> bool:
        record = found.get(test)
        if record is None or not (asked.resume or record.emulator == emulator):
            return False
        return not (asked.again and record.outcome in ("failed", "killed"))

    return [test for test in chosen if not kept(test)]


def _fixed(path: Path) -> dict[str, list[str]]:
    """Tests by suite, of a file with a suite and an id in each line."""
    tests: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        suite, _, test = line.partition(" ")
        tests.setdefault(suite, []).append(test)
    return tests


def _sample(bench: workers.Bench, suites: Sequence[Suite]) -> str:
    """A fixed sample of the recorded tests that predicted and passed quickly, for --tests."""
    lines = []
    for suite in suites:
        found = records.read(bench.records_of(suite), suite.name).values()
        quick = [
            r.id
            for r in found
            if r.outcome == "passed" and r.counts and r.seconds < _QUICK and r.id.isprintable()
        ]
        lines += [f"{suite.name} {test}\n" for test in sampled(sorted(quick), suite.fixed)]
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
