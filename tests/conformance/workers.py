"""Processes that replay tests: batches of them, restarted after the one that a test ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import records
from suites import Suite, file_of

from edgepack.wire import digest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EMULATOR = ROOT / "targets" / "edgepack_targets" / "coreml" / "emulator"
_BATCH = 500
_TEST_SECONDS = 300
_NO_TESTS = 5  # pytest's exit code


@dataclass(frozen=True, slots=True)
class Bench:
    """Where tests run. python: the environment's. tests: coremltools' folder. results: for what is written."""

    python: Path
    tests: Path
    results: Path

    def records_of(self, suite: Suite) -> Path:
        """The file of a suite's records."""
        return self.results / f"{suite.name}.jsonl"


Progress = Callable[[Suite, Counter[str]], None]


def listed(bench: Bench, suite: Suite) -> tuple[list[str], dict[str, str]]:
    """All tests of a suite, and the modules that cannot be imported with the reason. Kept beside the results."""
    kept = bench.results / f"{suite.name}.tests.json"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as scratch:
            listing = Path(scratch) / "tests.json"
            asked = {"tests": None, "records": os.devnull, "listing": str(listing)}
            _, told = _pytest(
                bench, suite, asked, ["--collect-only", "-qq", *suite.paths], Path(scratch)
            )
            if not listing.exists():
                raise SystemExit(f"{suite.name}: no tests were found\n{told[-4000:]}")
            shutil.copy(listing, kept)
    found = json.loads(kept.read_text(encoding="utf-8"))
    return found["tests"], found["uncollected"]


def replay(bench: Bench, suite: Suite, tests: Sequence[str], jobs: int, progress: Progress) -> None:
    """Run tests in so many processes; their records are appended to the suite's file."""
    tally: Counter[str] = Counter()

    def run(batch: list[str]) -> None:
        waiting = batch
        while waiting:
            done = _batch(bench, suite, waiting)
            tally.update(done.values())
            waiting = [test for test in waiting if test not in done]
            progress(suite, tally)

    with ThreadPoolExecutor(jobs) as pool:
        for finished in [pool.submit(run, batch) for batch in batches(tests, jobs)]:
            finished.result()


def batches(tests: Sequence[str], jobs: int) -> list[list[str]]:
    """Tests in groups that one process runs. A file is imported as seldom as can be."""
    size = min(_BATCH, max(1, -(-len(tests) // jobs)))
    by_file = sorted(tests, key=file_of)
    return [by_file[start : start + size] for start in range(0, len(by_file), size)]


def digest_of_emulator() -> str:
    """What the emulator's sources come to."""
    files = sorted(EMULATOR.rglob("*.py"))
    return digest.of_value([[str(f.relative_to(EMULATOR)), f.read_text()] for f in files])


def _batch(bench: Bench, suite: Suite, tests: list[str]) -> dict[str, str]:
    """Outcomes of the tests that are over; at least one is."""
    emulator = digest_of_emulator()
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "records.jsonl"
        asked = {"tests": tests, "records": str(lines), "listing": "", "emulator": emulator}
        files = list(dict.fromkeys(file_of(test) for test in tests))
        limit = _TEST_SECONDS + 20 * len(tests)
        code, told = _pytest(
            bench, suite, asked, [f"--timeout={_TEST_SECONDS}", *files], Path(scratch), limit
        )
        found = (
            [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
        )
    over = {line["id"]: line for line in found if line["outcome"] != "begun"}
    begun = [line["id"] for line in found if line["id"] not in over]
    if not found and code == _NO_TESTS:
        return dict.fromkeys(tests, "unfound")
    if not found:
        raise SystemExit(f"{suite.name}: {len(tests)} tests cannot be run\n{told[-4000:]}")
    why = told.strip().splitlines()[-1] if told.strip() else "it said nothing"
    for test in begun:
        over[test] = records.killed(test, emulator, f"ended its process: {why}")
    text = "".join(json.dumps(line) + "\n" for line in over.values())
    with bench.records_of(suite).open(
        "ab", buffering=0
    ) as file:  # one write, not torn by another's
        file.write(text.encode())
    return {test: line["outcome"] for test, line in over.items()}


def _pytest(
    bench: Bench, suite: Suite, asked: dict[str, object], arguments: list[str], scratch: Path,
    limit: float = 1800,
) -> tuple[int, str]:  # fmt: skip
    """Run pytest over coremltools' tests; its exit code, and what it said."""
    request = scratch / "asked.json"
    request.write_text(
        json.dumps({"keep": suite.keep, "drop": suite.drop, "emulator": "", **asked}),
        encoding="utf-8",
    )
    (scratch / "tmp").mkdir()
    paths = [str(HERE), str(ROOT / "packager"), str(ROOT / "targets")]
    environment = {
        **os.environ, **suite.settings, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYMIL_TEST_TARGETS": "mlprogram", "TMPDIR": str(scratch / "tmp"),
        "EDGEPACK_REPLAY": str(request), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1",
    }  # fmt: skip
    argv = [
        str(bench.python), "-s", "-m", "pytest", "-c", os.devnull, "--rootdir", str(bench.tests),
        "-p", "replay", "-p", "pytest_timeout", "-p", "no:cacheprovider", "-p", "no:warnings", "-q",
        "--no-header", "--tb=no", "--show-capture=no", "--continue-on-collection-errors", *arguments,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            argv, cwd=bench.tests, env=environment, text=True, errors="replace", timeout=limit,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        told = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
        return 1, f"{told}\nkilled after {limit:.0f} s"
    return done.returncode, done.stdout
